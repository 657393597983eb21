//! What only the root key may say: drafted here, signed wherever the key is, and taken to the others.

use super::Problem;
use super::records::parse;
use super::trust::find;
use crate::admission::{AdmissionError, RootRefused};
use crate::daemon::Daemon;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::{NodeId, hex, unhex_vec};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Appoint {
    /// A node's name, or the beginning of its id.
    node: String,
    /// The admin that is replaced is revoked with it.
    #[serde(default)]
    revoke: bool,
}

pub(super) async fn appoint(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Appoint = parse(&body)?;
    let directory = daemon.records.shared.directory.now();
    let info = find(&directory, &asked.node)?.clone();
    let drafted = daemon.admission.draft_appointment(&info, asked.revoke).await?;
    Ok(Json(json!({
        "schema": "fenbu.root-draft/1",
        "statement": hex(&drafted.statement.to_wire()),
        "epoch": drafted.statement.epoch,
        "node": info.node,
        "name": info.name,
        "replaces": drafted.old,
        "replaces_name": name(&directory, &drafted.old),
        "revokes": drafted.logs_cut.is_some(),
        "logs_cut": drafted.logs_cut,
        "unread_spaces": drafted.unread,
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recover {
    /// The last epoch that stands; the last before the fork if not given.
    epoch: Option<u64>,
}

pub(super) async fn recover(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Recover = parse(&body)?;
    let drafted = daemon.admission.draft_recovery(asked.epoch)?;
    let strangers: Vec<_> = drafted.strangers.iter().map(|n| n.name.as_str()).collect();
    Ok(Json(json!({
        "schema": "fenbu.root-draft/1",
        "statement": hex(&drafted.statement.to_wire()),
        "epoch": drafted.statement.epoch,
        "stands": drafted.stands,
        "voided": drafted.voided,
        "strangers": strangers,
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    /// As it travels, in hexadecimal.
    signed: String,
}

pub(super) async fn take(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Take = parse(&body)?;
    let unreadable = |e: &dyn std::fmt::Display| {
        Problem::from(AdmissionError::from(RootRefused::Unreadable(e.to_string())))
    };
    let bytes = unhex_vec(&asked.signed).map_err(|e| unreadable(&e))?;
    let signed = Signed::from_wire(&bytes).map_err(|e| unreadable(&e))?;
    let epoch = daemon.admission.take_from_root(signed).await?;
    Ok(Json(json!({ "schema": "fenbu.root-taken/1", "epoch": epoch, "done": true })))
}

fn name(directory: &Directory, node: &NodeId) -> String {
    directory.node(node).map_or_else(|| node.short(), |n| n.name.clone())
}
