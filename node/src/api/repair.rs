//! Making derived data again, on request: views from documents, documents from the logs.

use super::{Problem, blocking};
use crate::daemon::Daemon;
use crate::rebuild::Rebuilt;
use crate::store::StoreError;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::id::SpaceId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Label of the space; all that this node reads if absent.
    space: Option<String>,
}

pub(super) async fn views(State(daemon): Node) -> Result<Json<Value>, Problem> {
    let rebuilder = daemon.records.rebuilder.clone();
    let views = blocking(move || rebuilder.repair_views()).await??;
    Ok(Json(json!({ "schema": "fenbu.repair/1", "views": counted(&views) })))
}

pub(super) async fn documents(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Asked = super::records::parse(&body)?;
    let spaces = spaces(&daemon, asked.space.as_deref())?;
    let daemon = daemon.clone();
    let answer = blocking(move || {
        let mut done = Vec::with_capacity(spaces.len());
        for (space, label) in spaces {
            done.push(repair(&daemon, space, &label)?);
        }
        // Rows came with the documents; this takes those that belong to none.
        let views = daemon.records.rebuilder.repair_views()?;
        Ok::<_, StoreError>(json!({
            "schema": "fenbu.repair/1",
            "spaces": done,
            "views": counted(&views),
        }))
    });
    Ok(Json(answer.await??))
}

fn repair(daemon: &Daemon, space: SpaceId, label: &str) -> Result<Value, StoreError> {
    let digest = || {
        let digests = daemon.records.shared.readers.with(|r| r.digests())?;
        Ok::<_, StoreError>(digests.get(&space).copied().unwrap_or_default().state.0.to_hash())
    };
    let before = digest()?;
    let rebuilt = daemon.records.rebuilder.repair_documents(space)?;
    let mut told = counted(&rebuilt);
    told["label"] = json!(label);
    told["state_digest_before"] = json!(before);
    told["state_digest_after"] = json!(digest()?);
    Ok(told)
}

fn counted(rebuilt: &Rebuilt) -> Value {
    json!({ "count": rebuilt.count, "changed": rebuilt.changed, "damaged": rebuilt.damaged })
}

fn spaces(daemon: &Daemon, label: Option<&str>) -> Result<Vec<(SpaceId, String)>, Problem> {
    let directory = daemon.records.shared.directory.now();
    let readable = daemon.records.shared.readable();
    let named = directory.spaces().filter(|s| label.is_none_or(|label| s.label == label));
    let found: Vec<(SpaceId, String)> =
        named.filter(|s| readable.contains(&s.id)).map(|s| (s.id, s.label.clone())).collect();
    match label {
        Some(label) if found.is_empty() => Err(Problem::not_found(format!(
            "this node reads no space '{label}'; see `fenbu directory`"
        ))),
        _ => Ok(found),
    }
}
