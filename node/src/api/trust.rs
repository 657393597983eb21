//! Ending a node.

use super::Problem;
use crate::daemon::Daemon;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::{Directory, NodeInfo};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

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
    let revoked = daemon.admission.revoke(info.node).await?;
    Ok(Json(json!({
        "schema": "fenbu.revoked/1",
        "node": info.node,
        "name": info.name,
        "unit": info.unit,
        "epoch": revoked.epoch,
        "logs_cut": revoked.logs,
    })))
}

/// The one node that is meant.
pub(super) fn find<'a>(directory: &'a Directory, wanted: &str) -> Result<&'a NodeInfo, Problem> {
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
