//! Where things stand: this node, its peers, and what is still to move.

use super::forks::Lost;
use super::{Problem, blocking};
use crate::continuity::Incarnation;
use crate::daemon::Daemon;
use crate::driver::DriverStatus;
use crate::freshness::{Age, age};
use crate::states;
use crate::store::{Counts, Digests, StoreError};
use crate::transport::LinkStats;
use crate::words::Lang;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{NodeId, SpaceId};
use fenbu_protocol::record::ALL;
use fenbu_protocol::sync::{PeerStatus, SpaceGap};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Node = State<Arc<Daemon>>;

/// What the store adds to the engine's view.
struct Stored {
    counts: Counts,
    digests: BTreeMap<SpaceId, Digests>,
    records: Map<String, Value>,
    columns: BTreeMap<String, u64>,
    /// Entries of readable spaces that are not documents yet.
    behind: bool,
    incarnation: Incarnation,
    lost: Lost,
}

fn stored(daemon: &Daemon) -> Result<Stored, StoreError> {
    let shared = &daemon.records.shared;
    let readable = shared.readable();
    shared.readers.with(|reader| {
        let mut records = Map::new();
        for schema in ALL {
            let count = reader.count(schema.kind, Some(&readable))?;
            records.insert(schema.plural.into(), count.into());
        }
        let posts = fenbu_protocol::record::schema_named("post").map(|s| s.kind);
        let columns = match posts {
            // The founding picture counts what is out.
            Some(kind) => {
                let published = Some(("status", "published"));
                reader.count_by(kind, "column", published, Some(&readable))?
            }
            None => BTreeMap::new(),
        };
        Ok(Stored {
            counts: reader.counts()?,
            digests: reader.digests()?,
            records,
            columns,
            behind: !reader.behind(&readable, 1)?.is_empty(),
            incarnation: Incarnation::stored(reader)?,
            lost: Lost::read(reader)?,
        })
    })
}

async fn gather(daemon: &Arc<Daemon>) -> Result<(DriverStatus, Arc<Directory>), Problem> {
    let status = daemon.status().await.ok_or_else(Problem::stopping)?;
    Ok((status, daemon.records.shared.directory.now()))
}

pub(super) async fn status(State(daemon): Node, lang: Lang) -> Result<Json<Value>, Problem> {
    let (driver, directory) = gather(&daemon).await?;
    let asked = daemon.clone();
    let stored = blocking(move || stored(&asked)).await??;
    let records = daemon.records.clone();
    let conflicts = blocking(move || records.conflicts()).await??;
    let me = daemon.me();
    let info = directory.node(&me);
    let totals = driver.links.values().map(|l| l.stats).chain(driver.past.values().copied());
    let totals = totals.fold(LinkStats::default(), add);
    let peers = &driver.engine.peers;
    let missing = |p: &PeerStatus| {
        p.spaces.iter().map(|(_, g)| g.missing_here).fold(0u64, u64::saturating_add)
    };
    let to_come = |p: &PeerStatus| {
        p.spaces.iter().map(|(_, g)| g.bytes_to_come).fold(0u64, u64::saturating_add)
    };
    let lacking = |p: &&PeerStatus| p.spaces.iter().any(|(_, g)| g.missing_there > 0);
    Ok(Json(json!({
        "schema": "fenbu.status/1",
        "node": me,
        "name": info.map(|i| i.name.clone()),
        "unit": info.map(|i| i.unit.clone()),
        "federation": directory.federation(),
        "federation_name": directory.name(),
        "version": env!("CARGO_PKG_VERSION"),
        "epoch": directory.epoch(),
        "directory_head": directory.head(),
        "directory_heard": heard(&driver, &directory, &me),
        "listen": daemon.local_addr().to_string(),
        "incarnation": {
            "number": stored.incarnation.number,
            "since_ms": stored.incarnation.began.map(|(at_ms, _)| at_ms),
            "why": stored.incarnation.began.map(|(_, why)| lang.say(why.describe())),
        },
        "forks": super::forks::listed(&driver, &stored.lost, &directory),
        "own_missing": driver.engine.own_missing,
        "uptime_s": daemon.records.shared.clock.uptime_ms() / 1000,
        "spaces": spaces(&directory, &driver, &stored, &me),
        "records": stored.records,
        "posts_by_column": stored.columns,
        "conflicts": super::conflicts::counted(&conflicts),
        "entries": stored.counts.entries,
        "documents": stored.counts.documents,
        "waiting": stored.counts.waiting,
        "refused": stored.counts.refused,
        "peers": {
            "known": peers.len(),
            "connected": peers.iter().filter(|p| p.live).count(),
            "behind": peers.iter().filter(lacking).count(),
        },
        "handshakes": {
            "accepted": driver.handshakes.accepted,
            "failed": driver.handshakes.failed,
            "retried": driver.handshakes.retried,
            "refused": driver.handshakes.refused,
        },
        "behind_entries": peers.iter().map(missing).max().unwrap_or(0),
        "behind_bytes": peers.iter().map(to_come).max().unwrap_or(0),
        "materialising": stored.behind || daemon.progress.busy.load(Ordering::Acquire),
        "bytes_sent": totals.stream_bytes_out,
        "bytes_received": totals.stream_bytes_in,
        "udp_bytes_sent": totals.udp_bytes_out,
        "udp_bytes_received": totals.udp_bytes_in,
        "console": console(&daemon, lang),
        "alarms": alarms(&driver, &stored, &directory).iter().map(|alarm| lang.say(alarm)).collect::<Vec<_>>(),
    })))
}

/// Where the console is, or why there is none; null where there is to be none.
fn console(daemon: &Daemon, lang: Lang) -> Value {
    match daemon.console.get() {
        Some(Ok(Some(url))) => json!({ "url": url }),
        Some(Err(why)) => json!({ "why": lang.say(why) }),
        Some(Ok(None)) | None => Value::Null,
    }
}

/// How old the directory here is; see [`crate::freshness`].
pub(super) fn heard(driver: &DriverStatus, directory: &Directory, me: &NodeId) -> Value {
    let linked = admin_linked(driver, directory);
    let from = match age(&driver.heard, directory, me, linked) {
        Age::Own => "own",
        Age::Linked => "linked",
        Age::Since(_) => "earlier",
    };
    json!({
        "from_admin": from,
        "admin_ms": driver.heard.admin_ms,
        "anyone_ms": driver.heard.anyone_ms,
    })
}

pub(super) fn admin_linked(driver: &DriverStatus, directory: &Directory) -> bool {
    driver.engine.peers.iter().any(|p| p.live && p.peer == directory.admin())
}

fn alarms(driver: &DriverStatus, stored: &Stored, directory: &Directory) -> Vec<String> {
    let engine = &driver.engine;
    let mut alarms = driver.alarms.clone();
    alarms.extend(super::forks::alarms(driver, &stored.lost, directory));
    alarms.extend(stored.incarnation.recent().map(|(_, why)| why.describe().to_owned()));
    alarms.extend(engine.directory_stopped.clone());
    alarms.extend(engine.differences.iter().map(|d| states::describe(directory, d)));
    if engine.storage_failing {
        alarms.push("the disk refuses what peers send; see the log".into());
    }
    alarms.extend(engine.refused.iter().map(|(log, why)| format!("log {}: {why}", log.short())));
    alarms
}

fn spaces(
    directory: &Directory,
    driver: &DriverStatus,
    stored: &Stored,
    me: &NodeId,
) -> Vec<Value> {
    let mut entries: BTreeMap<SpaceId, u64> = BTreeMap::new();
    for log in &driver.engine.logs {
        *entries.entry(log.space).or_default() += log.tip.seq;
    }
    let spaces = directory.spaces().filter(|s| directory.carries(me, &s.id));
    let described = spaces.map(|space| {
        let readable = directory.may_read(me, &space.id);
        let digests = stored.digests.get(&space.id).copied().unwrap_or_default();
        json!({
            "id": space.id,
            "label": space.label,
            "readable": readable,
            "entries": entries.get(&space.id).copied().unwrap_or(0),
            "log_digest": digests.log.0.to_hash(),
            "state_digest": readable.then(|| digests.state.0.to_hash()),
        })
    });
    described.collect()
}

/// How it stands with sync, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Light {
    InSync,
    CatchingUp,
    /// Nobody is reached. Work goes on.
    Alone,
    /// A person is needed.
    Trouble,
}

/// Entries between two linked nodes that are no more than on their way: every sign-in writes one, and
/// whoever had just signed in would be told that the node is behind.
const IN_FLIGHT_MAX: u64 = 8;

pub(crate) fn light(daemon: &Daemon, driver: &DriverStatus) -> Light {
    let engine = &driver.engine;
    let trouble = engine.storage_failing
        || engine.directory_stopped.is_some()
        || !engine.differences.is_empty()
        || !driver.alarms.is_empty();
    let live = || engine.peers.iter().filter(|p| p.live);
    let lacks = |p: &PeerStatus| {
        let apart = |gap: &SpaceGap| gap.missing_here.saturating_add(gap.missing_there);
        let apart = p.spaces.iter().map(|(_, gap)| apart(gap)).fold(0, u64::saturating_add);
        apart > IN_FLIGHT_MAX || (apart > 0 && p.why.is_some())
    };
    let busy = daemon.progress.busy.load(Ordering::Acquire);
    match () {
        () if trouble => Light::Trouble,
        () if live().next().is_none() && !engine.peers.is_empty() => Light::Alone,
        () if busy || live().any(lacks) => Light::CatchingUp,
        () => Light::InSync,
    }
}

/// What a person should hear of now.
pub(crate) async fn alarms_of(
    daemon: &Arc<Daemon>,
    driver: &DriverStatus,
    lang: Lang,
) -> Result<Vec<String>, Problem> {
    let asked = daemon.clone();
    let stored = blocking(move || stored(&asked)).await??;
    let directory = daemon.records.shared.directory.now();
    Ok(alarms(driver, &stored, &directory).iter().map(|alarm| lang.say(alarm)).collect())
}

fn add(a: LinkStats, b: LinkStats) -> LinkStats {
    LinkStats {
        udp_bytes_in: a.udp_bytes_in + b.udp_bytes_in,
        udp_bytes_out: a.udp_bytes_out + b.udp_bytes_out,
        stream_bytes_in: a.stream_bytes_in + b.stream_bytes_in,
        stream_bytes_out: a.stream_bytes_out + b.stream_bytes_out,
    }
}

pub(super) async fn peers(State(daemon): Node, lang: Lang) -> Result<Json<Value>, Problem> {
    let (driver, directory) = gather(&daemon).await?;
    let peers: Vec<Value> = driver
        .engine
        .peers
        .iter()
        .map(|peer| {
            let info = directory.node(&peer.peer);
            let link = driver.links.get(&peer.peer);
            let past = driver.past.get(&peer.peer).copied().unwrap_or_default();
            let stats = link.map_or(past, |l| add(past, l.stats));
            let sum = |part: fn(&SpaceGap) -> u64| {
                peer.spaces.iter().map(|(_, gap)| part(gap)).fold(0u64, u64::saturating_add)
            };
            json!({
                "node": peer.peer,
                "name": info.map(|i| i.name.clone()),
                "unit": info.map(|i| i.unit.clone()),
                "connected": peer.live,
                "address": link.map(|l| l.remote.to_string())
                    .or_else(|| info.and_then(|i| i.addresses.first().cloned())),
                "rtt_ms": link.map(|l| l.rtt_ms),
                "last_contact_ms": peer.last_contact_ms,
                "redial_at_ms": peer.dial_at_ms,
                "agent": peer.agent,
                "behind_entries": sum(|g| g.missing_there),
                "missing_entries": sum(|g| g.missing_here),
                "bytes_sent": stats.stream_bytes_out,
                "bytes_received": stats.stream_bytes_in,
                "udp_bytes_sent": stats.udp_bytes_out,
                "udp_bytes_received": stats.udp_bytes_in,
                "refused": {
                    "violations": peer.refusals.violations,
                    "unread": peer.refusals.unread,
                    "batches": peer.refusals.batches,
                    "ranges": peer.refusals.ranges,
                },
                "held_back_ms": driver.held_back.get(&peer.peer).map_or(0, |(_, ms)| *ms),
                "why": peer.why.as_deref().map(|why| lang.say(why)),
            })
        })
        .collect();
    Ok(Json(json!({ "schema": "fenbu.peers/1", "peers": peers })))
}

pub(super) async fn sync(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let (driver, directory) = gather(&daemon).await?;
    let label = |space: &SpaceId| directory.space(space).map(|s| s.label.clone());
    let peers = driver.engine.peers.iter().map(|peer| {
        let spaces = peer.spaces.iter().map(|(space, gap)| {
            json!({
                "label": label(space),
                "have": gap.peer_entries,
                "missing_here": gap.missing_here,
                "missing_there": gap.missing_there,
                "bytes_to_go": gap.bytes_to_come,
            })
        });
        json!({
            "node": peer.peer,
            "name": directory.node(&peer.peer).map(|i| i.name.clone()),
            "connected": peer.live,
            "spaces": spaces.collect::<Vec<_>>(),
            "last_contact_ms": peer.last_contact_ms,
        })
    });
    let peers: Vec<Value> = peers.collect();
    Ok(Json(json!({
        "schema": "fenbu.sync/1",
        "peers": peers,
        "safe": safe(&directory, &driver),
    })))
}

/// For each space with entries: on how many nodes the least spread log is held in full.
fn safe(directory: &Directory, driver: &DriverStatus) -> Vec<Value> {
    let spaces = directory.spaces().filter_map(|space| {
        let logs = driver.engine.logs.iter().filter(|l| l.space == space.id && l.tip.seq > 0);
        let least = logs.min_by_key(|l| l.safe_on)?;
        let carriers = directory.nodes().filter(|n| directory.carries(&n.node, &space.id)).count();
        Some(json!({
            "space": space.id,
            "label": space.label,
            "newest_seq": least.tip.seq,
            "safe_on": least.safe_on,
            "of": carriers,
        }))
    });
    spaces.collect()
}

/// Ready once the node answers and nothing received waits to become records.
pub(super) async fn ready(State(daemon): Node) -> (StatusCode, &'static str) {
    let busy = daemon.progress.busy.load(Ordering::Acquire);
    match daemon.status().await {
        Some(status) if !status.engine.storage_failing && !busy => (StatusCode::OK, "ready\n"),
        Some(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: catching up, or the disk refuses\n")
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}
