//! Ending a node, and what its end leaves for a person to look at.

use super::{Problem, blocking};
use crate::daemon::Daemon;
use crate::making::hash_at;
use crate::store::{EntryRef, Reader, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::{Directory, NodeInfo, Standing};
use fenbu_protocol::id::{LogId, NodeId};
use fenbu_protocol::record::schema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

/// Entries shown; a person who has dealt with these asks again.
const SHOWN_MAX: usize = 1000;
/// Waiting entries read at a time.
const PAGE: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// A node's name, or the beginning of its id.
    node: String,
}

pub(super) async fn revoke(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: Revoke = super::records::parse(&body)?;
    let directory = daemon.records.shared.directory.now();
    let info = find(&directory, &request.node)?.clone();
    let (epoch, logs) = daemon.admission.revoke(info.node).await?;
    Ok(Json(json!({
        "schema": "fenbu.revoked/1",
        "node": info.node,
        "name": info.name,
        "unit": info.unit,
        "epoch": epoch,
        "logs_cut": logs,
    })))
}

/// The one node that is meant.
fn find<'a>(directory: &'a Directory, wanted: &str) -> Result<&'a NodeInfo, Problem> {
    let named: Vec<_> = directory.nodes().filter(|n| n.name == wanted).collect();
    let prefix = wanted.to_ascii_lowercase();
    let by_id = || directory.nodes().filter(|n| n.node.to_string().starts_with(&prefix));
    let found = if named.is_empty() && !prefix.is_empty() { by_id().collect() } else { named };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Problem::bad_request(format!(
            "no node is called '{wanted}' or has an id that begins so; see `fenbu directory`"
        ))),
        _ => Err(Problem::bad_request(format!(
            "several nodes could be '{wanted}'; give more of the id, see `fenbu directory`"
        ))),
    }
}

pub(super) async fn quarantine(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let shared = daemon.records.shared.clone();
    let items = blocking(move || {
        let directory = shared.directory.now();
        let readable = shared.readable();
        shared.readers.with(|r| {
            let mut items = past_cut(r, &directory)?;
            items.retain(|(entry, ..)| readable.contains(&entry.place.space));
            let mut told: Vec<_> = items.iter().map(|item| told(&directory, item)).collect();
            let lost = SHOWN_MAX.saturating_sub(told.len());
            told.extend(super::forks::lost_items(r, &directory, lost)?);
            Ok::<_, StoreError>(told)
        })
    });
    Ok(Json(json!({ "schema": "fenbu.quarantine/1", "items": items.await?? })))
}

/// An entry, its author, and when it was written, in milliseconds since 1970 by the author's clock.
type Item = (EntryRef, NodeId, u64);

/// Entries that wait because their log was cut before them.
fn past_cut(reader: &dyn Reader, directory: &Directory) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    let mut after: Option<(LogId, u64)> = None;
    while items.len() < SHOWN_MAX {
        let page = reader.all_waiting(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some((last.log, last.seq));
        for entry in page {
            let Some(stored) = reader.log(entry.log)? else { continue };
            let Some(found) = reader.entry(entry.log, entry.seq)? else { continue };
            let author = stored.opening.node;
            let hash_at = |seq| hash_at(reader, entry.log, seq);
            let standing =
                directory.standing(&author, &entry.place.space, &found.header, hash_at)?;
            if standing == Standing::PastCut {
                items.push((entry, author, found.header.clock >> 16));
            }
        }
    }
    items.truncate(SHOWN_MAX);
    Ok(items)
}

fn told(directory: &Directory, (entry, author, time_ms): &Item) -> Value {
    let info = directory.node(author);
    json!({
        "id": entry.place.document,
        "kind": schema(entry.place.kind).map(|s| s.name),
        "space": directory.space(&entry.place.space).map(|s| s.label.as_str()),
        "node": author,
        "name": info.map(|n| n.name.as_str()),
        "unit": info.map(|n| n.unit.as_str()),
        "reason": "revoked",
        "revoked_epoch": info.and_then(|n| n.revoked.as_ref()).map(|r| r.epoch),
        "log": entry.log,
        "seq": entry.seq,
        "time_ms": time_ms,
    })
}
