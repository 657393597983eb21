//! Marks: saying once a day that this node has said all it has to say, and reading how fresh others are.

use crate::clock::Clock;
use crate::records::{RecordError, Records, Save};
use crate::store::{Reader, StoreError};
use fenbu_protocol::directory::Template;
use fenbu_protocol::duty::{Freshness, NodeMark, freshness, is_mark_due, mark_id};
use fenbu_protocol::id::{NodeId, SpaceId};
use fenbu_protocol::record::{Edits, schema_named};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// Pause between two looks at whether a mark is due.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// A node that never wrote in a space marks it once it has been up for so long.
const GRACE_MS: u64 = 600_000;
/// Waiting entries looked at: where more wait than these, a mark may promise too much.
const WAITING_MAX: usize = 65_536;

/// Clock of the last entry of each author of a space: of those taken in, none before it waiting for another,
/// or of all that are stored.
fn last_ms(
    reader: &dyn Reader,
    space: SpaceId,
    taken_in: bool,
) -> Result<BTreeMap<NodeId, u64>, StoreError> {
    let mut out: BTreeMap<NodeId, u64> = BTreeMap::new();
    let waiting = if taken_in { reader.all_waiting(None, WAITING_MAX)? } else { Vec::new() };
    for log in reader.logs(space)? {
        let first = waiting.iter().filter(|w| w.log == log.log).map(|w| w.seq - 1).min();
        let taken = log.cursor.min(first.unwrap_or(u64::MAX));
        let at = if taken_in { taken } else { log.tip.seq };
        if let Some(entry) = reader.entry(log.log, at)? {
            let last = out.entry(log.opening.node).or_default();
            *last = entry.header.time_ms().max(*last);
        }
    }
    Ok(out)
}

/// How fresh the data of each unit is here. With `of_units`, that of the units' own spaces counts beside the
/// federation's; of those this node does not read nothing is known.
pub(crate) fn freshness_of_units(
    records: &Records,
    of_units: bool,
    now_ms: u64,
) -> Result<BTreeMap<String, Freshness>, StoreError> {
    let shared = &records.shared;
    let (directory, readable) = (shared.directory.now(), shared.readable());
    let federation = directory.spaces().find(|s| s.template == Template::FEDERATION).map(|s| s.id);
    let mut known: BTreeMap<SpaceId, BTreeMap<NodeId, u64>> = BTreeMap::new();
    let mut nodes = Vec::new();
    for node in directory.nodes().filter(|node| node.revoked.is_none()) {
        let own = directory.unit_space(&node.unit).filter(|_| of_units).map(|s| s.id);
        let mut marks_ms = Vec::new();
        for space in federation.into_iter().chain(own) {
            // What this node wrote is here.
            let mark = if node.node == shared.me {
                Some(now_ms)
            } else if readable.contains(&space) {
                if let std::collections::btree_map::Entry::Vacant(vacant) = known.entry(space) {
                    vacant.insert(shared.readers.with(|r| last_ms(r, space, true))?);
                }
                known[&space].get(&node.node).copied()
            } else {
                None
            };
            marks_ms.push(mark);
        }
        nodes.push(NodeMark { unit: node.unit.clone(), node: node.node, marks_ms });
    }
    Ok(freshness(&nodes, now_ms))
}

/// Writes this node's mark in the federation's space and in its unit's where it has written nothing today;
/// returns in how many.
pub fn mark_if_due(records: &Records, clock: &Clock) -> Result<usize, RecordError> {
    mark(records, clock, false)
}

/// Writes this node's mark in both: somebody says that all there is to say up to now has been said.
pub fn mark_now(records: &Records, clock: &Clock) -> Result<usize, RecordError> {
    mark(records, clock, true)
}

fn mark(records: &Records, clock: &Clock, now: bool) -> Result<usize, RecordError> {
    let shared = &records.shared;
    let directory = shared.directory.now();
    // INVARIANT: the kind is this version's own.
    let schema = schema_named("mark").expect("a kind of ours");
    let own = directory.unit_space(&shared.unit()).map(|s| s.id);
    let federation = directory.spaces().find(|s| s.template == Template::FEDERATION).map(|s| s.id);
    let (now_ms, uptime_ms) = (clock.now_ms(), clock.uptime_ms());
    let mut saves = Vec::new();
    for space in federation.into_iter().chain(own) {
        if !directory.may_write(&shared.me, &space, directory.epoch()) {
            continue;
        }
        let last = shared.readers.with(|r| last_ms(r, space, false))?.get(&shared.me).copied();
        if now || is_mark_due(now_ms, last, uptime_ms, GRACE_MS) {
            let fields = json!({
                "node": shared.me.to_string(),
                "as_of": now_ms,
                "version": env!("CARGO_PKG_VERSION"),
            });
            let edits = Edits::from_json(schema, &fields)?;
            saves.push(Save { schema, space, document: mark_id(&space, &shared.me), edits });
        }
    }
    // Nobody's account: the node speaks for itself.
    records.save_all(&saves, "").map(|saved| saved.len())
}

/// Marks once a day until the node stops. A mark that cannot be written now is tried again.
pub async fn keep_marks(records: Records, mut stopped: watch::Receiver<bool>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // An error means that the daemon is gone.
            _ = stopped.wait_for(|stop| *stop) => return,
            _ = looks.tick() => {}
        }
        let records = records.clone();
        let marked = tokio::task::spawn_blocking(move || {
            let clock = records.shared.clock;
            mark_if_due(&records, &clock)
        });
        match marked.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(spaces)) => tracing::debug!(spaces, "marked"),
            Ok(Err(error)) => tracing::debug!(%error, "not marked"),
        }
    }
}
