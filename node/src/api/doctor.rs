//! What is wrong, in words, and what to do about it.

use super::status::admin_linked;
use super::{Problem, blocking};
use crate::continuity::Incarnation;
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::freshness::{Age, age};
use crate::transport::TransportError;
use crate::words::Lang;
use axum::Json;
use axum::extract::{Query, State};
use fenbu_protocol::directory::{Directory, NodeInfo, Space};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::seal;
use fenbu_protocol::sync::Difference;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(super) struct Examine {
    /// A peer to reach: its name, unit, id prefix, or `host:port`.
    net: Option<String>,
    /// Look at everything stored first.
    #[serde(default)]
    deep: bool,
}

/// One line of the examination.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    ok: bool,
    level: &'static str,
    message_zh: String,
    message_en: String,
    hint_zh: Option<String>,
    hint_en: Option<String>,
}

impl Check {
    pub(super) fn good(name: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        let (message_zh, message_en) = (zh.into(), en.into());
        Self { name, ok: true, level: "ok", message_zh, message_en, hint_zh: None, hint_en: None }
    }

    pub(super) fn bad(
        name: &'static str,
        level: &'static str,
        (zh, en): (String, String),
        (hint_zh, hint_en): (&str, &str),
    ) -> Self {
        Self {
            name,
            ok: level == "note",
            level,
            message_zh: zh,
            message_en: en,
            hint_zh: Some(hint_zh.into()),
            hint_en: Some(hint_en.into()),
        }
    }
}

/// A message in Chinese.
fn said(message: &impl ToString) -> String {
    Lang::Zh.say(&message.to_string())
}

pub(super) async fn doctor(
    State(daemon): State<Arc<Daemon>>,
    Query(examine): Query<Examine>,
) -> Result<Json<Value>, Problem> {
    let looked = if examine.deep { Some(damage::look(&daemon).await?) } else { None };
    let driver = daemon.status().await.ok_or_else(Problem::stopping)?;
    let directory = daemon.records.shared.directory.now();
    let mut checks = vec![store(&daemon).await?, peers(&driver), disk::check(&daemon, &driver)];
    checks.push(damage::check(&daemon, &driver, &directory, looked));
    checks.push(directory_check(&driver, &directory));
    checks.push(freshness(&driver, &directory, &daemon));
    checks.extend(root_key(&daemon));
    checks.push(keys(&daemon, &directory));
    checks.push(continuity(&daemon, &driver).await?);
    checks.push(super::forks::check(&daemon, &driver, &directory).await?);
    checks.push(refused(&daemon, &driver).await?);
    checks.push(conduct(&driver, &directory));
    checks.push(states(&driver, &directory));
    checks.push(alarms(&driver));
    checks.push(clock());
    if let Some(wanted) = examine.net {
        checks.extend(net(&daemon, &directory, &wanted).await?);
    }
    Ok(Json(json!({ "schema": "fenbu.doctor/1", "checks": checks })))
}

async fn store(daemon: &Arc<Daemon>) -> Result<Check, Problem> {
    let asked = daemon.clone();
    let counts = blocking(move || {
        asked.records.shared.readers.with(|r| {
            r.check()?;
            r.counts()
        })
    })
    .await?;
    Ok(match counts {
        Ok(c) => Check::good(
            "store",
            format!("数据库可读：{} 条日志条目，{} 份文档", c.entries, c.documents),
            format!("the database can be read: {} entries, {} documents", c.entries, c.documents),
        ),
        Err(e) => {
            daemon.scrub.blocked(&e);
            Check::bad(
                "store",
                "error",
                (
                    format!("数据库无法读取：{}", said(&e)),
                    format!("the database cannot be read: {e}"),
                ),
                (
                    "节点会自行用读得出的内容重建数据库，其余从其他节点取回；一分钟后再检查，并检查磁盘（dmesg、SMART）",
                    "the node makes it anew of what can be read and fetches the rest from peers: look again in a minute, and check the disk (dmesg, SMART)",
                ),
            )
        }
    })
}

/// Whether this node goes on in the logs it had, and if not, whether it has back what it wrote there.
async fn continuity(daemon: &Arc<Daemon>, driver: &DriverStatus) -> Result<Check, Problem> {
    let asked = daemon.clone();
    let incarnation =
        blocking(move || asked.records.shared.readers.with(Incarnation::stored)).await??;
    let Some((since_ms, why)) = incarnation.recent() else {
        return Ok(Check::good(
            "continuity",
            "本节点在自己的日志中继续书写",
            "this node writes on in its own logs",
        ));
    };
    let missing = driver.engine.own_missing;
    let ago = crate::clock::wall_ms().saturating_sub(since_ms) / 60_000;
    let words = (
        format!("{}（{ago} 分钟前；还缺自己写的 {missing} 条）", Lang::Zh.say(why.describe())),
        format!("{} ({ago} minutes ago; {missing} entries of its own are missing)", why.describe()),
    );
    let met = driver.engine.peers.iter().any(|p| p.live);
    Ok(Check::bad(
        "continuity",
        if met && missing == 0 { "note" } else { "warning" },
        words,
        if met {
            (
                "恢复备份后属正常，无需处理；若不曾恢复备份，说明此目录有第二份在运行：停掉其中一份",
                "nothing need be done if a backup was restored; if none was, a second copy of this folder exists: make sure that only one ever runs",
            )
        } else {
            (
                "可以照常书写；连上任一节点，自己后来写的内容就会取回",
                "it can be written to; connect it to any peer, and what it wrote later comes back",
            )
        },
    ))
}

fn peers(driver: &DriverStatus) -> Check {
    let peers = &driver.engine.peers;
    let live = peers.iter().filter(|p| p.live).count();
    let zh = format!("已连接 {live} / {} 个节点", peers.len());
    let en = format!("connected to {live} of {} peers", peers.len());
    if peers.is_empty() || live > 0 {
        return Check::good("peers", zh, en);
    }
    let why = peers.iter().find_map(|p| p.why.clone()).unwrap_or_default();
    Check::bad(
        "peers",
        "error",
        (format!("{zh}（{}）", said(&why)), format!("{en} ({why})")),
        (
            "检查网络与防火墙（UDP），或运行 fenbu doctor --net 对方节点",
            "check the network and the firewall (UDP), or run fenbu doctor --net PEER",
        ),
    )
}

fn directory_check(driver: &DriverStatus, directory: &Directory) -> Check {
    let Some(why) = &driver.engine.directory_stopped else {
        return Check::good(
            "directory",
            format!("目录第 {} 版，联邦“{}”", directory.epoch(), directory.name()),
            format!("directory at epoch {}, federation '{}'", directory.epoch(), directory.name()),
        );
    };
    let hint = match directory.fork() {
        Some(_) => (
            "可以照常书写；请保管根密钥的人执行 fenbu root recover（见运行手册）",
            "writing goes on; have whoever keeps the root key run fenbu root recover (see the runbook)",
        ),
        None => ("升级本节点的 fenbu", "upgrade fenbu on this node"),
    };
    let words = (
        format!("目录停在第 {} 版：{}", directory.epoch(), said(why)),
        format!("the directory stopped at epoch {}: {why}", directory.epoch()),
    );
    Check::bad("directory", "error", words, hint)
}

/// A node that is cut off is told, not locked out.
fn freshness(driver: &DriverStatus, directory: &Directory, daemon: &Daemon) -> Check {
    let linked = admin_linked(driver, directory);
    let since = match age(&driver.heard, directory, &daemon.me(), linked) {
        Age::Own => {
            let (zh, en) = ("本节点签署目录", "this node signs the directory");
            return Check::good("freshness", zh, en);
        }
        Age::Linked => {
            let (zh, en) = (
                "目录是最新的：已连上管理节点",
                "the directory is current: the admin node is connected",
            );
            return Check::good("freshness", zh, en);
        }
        Age::Since(since) => since,
    };
    let now_ms = daemon.records.shared.clock.now_ms();
    let hours = |ms: u64| now_ms.saturating_sub(ms) / 3_600_000;
    let (old, anyone) = (since.map(hours), driver.heard.anyone_ms.map(hours));
    let words = heard_in_words(directory.epoch(), old, anyone);
    if old.is_some_and(|hours| hours < STALE_HOURS) {
        return Check::good("freshness", words.0, words.1);
    }
    let level = if old.is_some_and(|hours| hours < OLD_HOURS) { "note" } else { "warning" };
    Check::bad(
        "freshness",
        level,
        words,
        (
            "可以照常工作；之后接纳或撤销了谁，本节点还不知道：方便时连上任一较新的节点",
            "work goes on; whom the admin has let in or revoked since is not known here: connect to any node that is more current when you can",
        ),
    )
}

/// How many hours ago the admin node was last linked, and any node.
fn heard_in_words(epoch: u64, admin: Option<u64>, anyone: Option<u64>) -> (String, String) {
    let ago = |hours: Option<u64>| match hours.map(|hours| (hours / 24, hours % 24)) {
        None => ("从未".to_owned(), "never".to_owned()),
        Some((days, hours)) => {
            (format!("{days} 天 {hours} 小时前"), format!("{days}d {hours}h ago"))
        }
    };
    let ((admin_zh, admin_en), (anyone_zh, anyone_en)) = (ago(admin), ago(anyone));
    (
        format!("目录第 {epoch} 版；最近联系管理节点：{admin_zh}；最近联系任何节点：{anyone_zh}"),
        format!(
            "directory at epoch {epoch}; last link to the admin node: {admin_en}, to any node: {anyone_en}"
        ),
    )
}

/// The root key lies where a thief of the machine finds it.
fn root_key(daemon: &Daemon) -> Option<Check> {
    let held = daemon.config.dir.join(crate::folder::ROOT_KEY).is_file();
    held.then(|| {
        Check::bad(
            "root-key",
            "note",
            ("联邦的根密钥还在本机".into(), "the federation's root key is on this machine".into()),
            (
                "把它移到离线介质：fenbu root export，verify，remove",
                "move it to a stick in a safe: fenbu root export, verify, remove",
            ),
        )
    })
}

/// From then on people are told that they work with yesterday's directory …
const STALE_HOURS: u64 = 24;
/// … and from then on that something should be done about it.
const OLD_HOURS: u64 = 30 * 24;

/// Whether this node can read and write the sealed spaces it is a reader of, and, at the admin node,
/// whether every reader can.
fn keys(daemon: &Daemon, directory: &Directory) -> Check {
    let (me, keyring) = (daemon.me(), daemon.records.shared.keys.now());
    let sealed = directory.spaces().filter(|s| s.is_sealed() && directory.may_read(&me, &s.id));
    let sealed: Vec<_> = sealed.collect();
    let whole = |s: &Space| (1..=s.key_epoch()).all(|n| keyring.key(s, n).is_some());
    if let Some(space) = sealed.iter().find(|s| s.key_epoch() == 0 || !whole(s)) {
        let label = &space.label;
        return Check::bad(
            "keys",
            "error",
            (
                format!("缺少数据范围“{label}”的密钥：其中一些记录无法读取或写入"),
                format!(
                    "keys of space '{label}' are missing: some of its records cannot be read or written"
                ),
            ),
            (
                "让管理节点运行并与本节点连接，它会补发缺少的密钥",
                "let the admin node run and meet this one: it hands out what is missing",
            ),
        );
    }
    let missing = if directory.admin() == me { seal::missing(directory) } else { Vec::new() };
    if let Some(first) = missing.first() {
        let name =
            directory.node(&first.node).map_or_else(|| first.node.short(), |n| n.name.clone());
        let space = directory.space(&first.space).map_or_else(String::new, |s| s.label.clone());
        return Check::bad(
            "keys",
            "warning",
            (
                format!("节点“{name}”没有数据范围“{space}”的旧密钥，本节点也没有"),
                format!("node '{name}' lacks an old key of space '{space}', and so does this node"),
            ),
            (
                "须由持有该密钥的节点担任管理节点：见运行手册",
                "a node that holds the key must become the admin: see the runbook",
            ),
        );
    }
    Check::good(
        "keys",
        format!("{} 个加密数据范围的密钥齐全", sealed.len()),
        format!("all keys of {} sealed spaces are here", sealed.len()),
    )
}

async fn refused(daemon: &Arc<Daemon>, driver: &DriverStatus) -> Result<Check, Problem> {
    let asked = daemon.clone();
    let stored = blocking(move || asked.records.shared.readers.with(|r| r.refused(1))).await??;
    if driver.engine.refused.is_empty() && stored.is_empty() {
        return Ok(Check::good("entries", "没有被拒绝的条目", "no refused entries"));
    }
    let why = stored
        .first()
        .map(|r| r.reason.clone())
        .or_else(|| driver.engine.refused.first().map(|(_, why)| why.clone()))
        .unwrap_or_default();
    Ok(Check::bad(
        "entries",
        "warning",
        (format!("有条目不计入：{}", said(&why)), format!("some entries do not count: {why}")),
        ("把此信息报告给管理节点", "report this to the administrator of the admin node"),
    ))
}

/// Peers that broke rules, or sent more than this node takes.
fn conduct(driver: &DriverStatus, directory: &Directory) -> Check {
    let held = |peer: &NodeId| driver.held_back.get(peer).map_or(0, |(_, ms)| *ms);
    let worst = driver
        .engine
        .peers
        .iter()
        .map(|p| (p.refusals.violations + p.refusals.unread, held(&p.peer), p))
        .filter(|(broken, ms, _)| *broken > 0 || *ms >= HELD_BACK_WORTH_TELLING_MS)
        .max_by_key(|(broken, ms, _)| (*broken, *ms));
    let Some((broken, ms, peer)) = worst else {
        return Check::good("conduct", "各节点都守规则", "every node keeps to the rules");
    };
    let name = directory.node(&peer.peer).map_or_else(|| peer.peer.short(), |n| n.name.clone());
    let why = peer.why.clone().unwrap_or_default();
    Check::bad(
        "conduct",
        "warning",
        (
            format!("节点“{name}”违反规则 {broken} 次，因发送过多被放慢 {ms} 毫秒。{}", said(&why)),
            format!(
                "node '{name}' broke rules {broken} times and was held back {ms} ms for sending too much. {why}"
            ),
        ),
        (
            "与该单位联系：先升级其程序；仍不守规则就吊销该节点（见运行手册）",
            "ask its unit: upgrade its program first; if it goes on, revoke the node (see the runbook)",
        ),
    )
}

/// Whether peers made the same records of the same entries.
fn states(driver: &DriverStatus, directory: &Directory) -> Check {
    let differences = &driver.engine.differences;
    let under_way = |d: &&Difference| d.rebuilding || !d.confirmed;
    let Some(worst) = differences.iter().min_by_key(|d| under_way(d)) else {
        return Check::good("records", "与各节点的记录一致", "the same records as every peer");
    };
    let why = crate::states::describe(directory, worst);
    Check::bad(
        "records",
        if under_way(&worst) { "warning" } else { "error" },
        (said(&why), why),
        if under_way(&worst) {
            ("等几分钟再检查", "wait a few minutes and look again")
        } else {
            (
                "两个节点升级到同一版本，再在两边运行 fenbu repair documents；仍不一致就按运行手册处理",
                "upgrade both nodes to one version and run fenbu repair documents on both; if they differ still, see the runbook",
            )
        },
    )
}

/// A backlog may be held back for a moment; a minute of it is a flood.
const HELD_BACK_WORTH_TELLING_MS: u64 = 60_000;

fn alarms(driver: &DriverStatus) -> Check {
    match driver.alarms.last() {
        None => Check::good("alarms", "没有警报", "no alarms"),
        Some(last) => Check::bad(
            "alarms",
            "warning",
            (
                format!("{} 条警报，最近：{}", driver.alarms.len(), said(last)),
                format!("{} alarms, the last: {last}", driver.alarms.len()),
            ),
            ("查看日志与运行手册", "see the log and the runbook"),
        ),
    }
}

/// 2024-01-01: before that this program did not exist.
const EARLIEST_MS: u64 = 1_704_067_200_000;

fn clock() -> Check {
    let now = crate::clock::wall_ms();
    if now >= EARLIEST_MS {
        return Check::good("clock", "系统时钟合理", "the system clock is plausible");
    }
    Check::bad(
        "clock",
        "warning",
        ("系统时钟停在过去".into(), "the system clock is far in the past".into()),
        (
            "校准时钟；记录顺序不受影响，但显示的时间不对",
            "set the clock; order is not affected, shown times are wrong",
        ),
    )
}

async fn net(
    daemon: &Arc<Daemon>,
    directory: &Directory,
    wanted: &str,
) -> Result<Vec<Check>, Problem> {
    let found: Vec<&NodeInfo> = directory
        .nodes()
        .filter(|n| n.node != daemon.me())
        .filter(|n| n.name == wanted || n.unit == wanted || n.node.to_string().starts_with(wanted))
        .collect();
    let targets: Vec<_> = if found.is_empty() && wanted.contains(':') {
        vec![(None, wanted.to_owned())]
    } else {
        let addresses = |n: &&NodeInfo| {
            let node = n.node;
            n.addresses.iter().map(move |a| (Some(node), a.clone())).collect::<Vec<_>>()
        };
        found.iter().flat_map(addresses).collect()
    };
    if targets.is_empty() {
        return Err(Problem::not_found(format!(
            "no other node is called '{wanted}', and it is not HOST:PORT; see `fenbu directory`"
        )));
    }
    let mut checks = Vec::new();
    for (peer, address) in targets {
        let result = daemon.endpoint.probe(peer, &address).await;
        checks.push(match result {
            Ok(probe) => {
                let ms = probe.rtt.as_secs_f64() * 1e3;
                Check::good(
                    "net",
                    format!("{address} 有应答，往返 {ms:.1} 毫秒"),
                    format!("{address} answers, round trip {ms:.1} ms"),
                )
            }
            Err(error) => unreachable_check(&error),
        });
    }
    Ok(checks)
}

fn unreachable_check(error: &TransportError) -> Check {
    let hint = match error {
        TransportError::Silent { .. } => (
            "多半是防火墙拦截了 UDP：请在两端和中间设备放行该 UDP 端口（QUIC 不用 TCP）",
            "most likely a firewall drops UDP: open that UDP port at both ends and between (QUIC does not use TCP)",
        ),
        TransportError::Unresolved { .. } => {
            ("检查主机名或域名解析", "check the host name or the name service")
        }
        TransportError::WrongNode { .. } => (
            "该地址上是另一个节点：更正目录中的地址",
            "another node answers there: correct the address in the directory",
        ),
        _ => ("检查对方节点是否在运行", "check that the peer is running"),
    };
    Check::bad("net", "error", (said(&error), error.to_string()), hint)
}

mod damage;
mod disk;
