//! What of the store cannot be read.

use super::{Check, said};
use crate::api::{Problem, blocking};
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::store::StoreError;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::sync::DamagedRange;
use std::sync::Arc;

/// Looks at everything now; what keeps it from that.
pub(super) async fn look(daemon: &Arc<Daemon>) -> Result<Option<StoreError>, Problem> {
    let scrub = daemon.scrub.clone();
    Ok(blocking(move || scrub.all()).await?.err())
}

/// What was damaged when it was last looked at, and is not mended yet.
pub(super) fn check(
    daemon: &Daemon,
    driver: &DriverStatus,
    directory: &Directory,
    looked: Option<Option<StoreError>>,
) -> Check {
    let findings = daemon.scrub.findings();
    if let Some(error) = looked.flatten() {
        return Check::bad(
            "damage",
            "error",
            (
                format!("没能全部检查：{}", said(&error)),
                format!("not everything could be looked at: {error}"),
            ),
            (
                "检查磁盘（dmesg、SMART），再运行 fenbu doctor --deep",
                "check the disk (dmesg, SMART), then run fenbu doctor --deep again",
            ),
        );
    }
    let damaged = &driver.engine.damaged;
    if let Some(first) = damaged.iter().min_by_key(|d| d.coming) {
        return lacking(driver, directory, damaged.len(), first);
    }
    let Some(looked_ms) = findings.looked_ms else {
        return Check::good(
            "damage",
            "尚未发现损坏（第一次全面检查还没完成）",
            "no damage met so far (the first look through everything is not done yet)",
        );
    };
    let minutes = crate::clock::wall_ms().saturating_sub(looked_ms) / 60_000;
    let (logs, records, healed) = (findings.logs, findings.records, findings.healed);
    Check::good(
        "damage",
        format!(
            "没有损坏：{minutes} 分钟前检查过 {logs} 个日志、{records} 份记录，重新生成 {healed} 份"
        ),
        format!(
            "no damage: {logs} logs and {records} records were looked at {minutes} minutes ago, {healed} made again"
        ),
    )
}

/// Entries that cannot be read here.
fn lacking(
    driver: &DriverStatus,
    directory: &Directory,
    ranges: usize,
    first: &DamagedRange,
) -> Check {
    let name =
        |node: &NodeId| directory.node(node).map_or_else(|| node.short(), |n| n.name.clone());
    let space = directory.space(&first.space).map_or_else(String::new, |s| s.label.clone());
    let (author, from, to) = (name(&first.author), first.from, first.to);
    let live = driver.engine.peers.iter().filter(|p| p.live).count();
    let nobody = live > 0 && first.holders == 0 && !first.coming;
    let words = (
        format!(
            "{ranges} 段条目读不出，如节点“{author}”在数据范围“{space}”写的第 {from} 至 {to} 条"
        ),
        format!(
            "{ranges} ranges of entries cannot be read, such as {from} to {to} that node '{author}' wrote in space '{space}'"
        ),
    );
    let hint = match (nobody, live) {
        (true, _) => (
            "已连接的节点都没有这些条目：与其他节点连接；若没有任何节点有，可从备份中找回（见运行手册）。检查磁盘",
            "no node that is connected has them: connect to others; if none has, look in a backup (see the runbook). Check the disk",
        ),
        (_, 0) => (
            "与任一节点连接，本节点会自行取回；检查磁盘（dmesg、SMART）",
            "connect to any node, and they are fetched again by themselves; check the disk (dmesg, SMART)",
        ),
        _ => (
            "正在从其他节点取回，几分钟后再检查；检查磁盘（dmesg、SMART）",
            "they are being fetched again from other nodes, look again in a few minutes; check the disk (dmesg, SMART)",
        ),
    };
    Check::bad("damage", if nobody { "error" } else { "warning" }, words, hint)
}
