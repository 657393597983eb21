//! Temporary branches: the checklist before one ends, its archive, extracts for the units that lent members.

use super::records::parse;
use super::{Caller, Problem, blocking};
use crate::daemon::Daemon;
use crate::records::RecordError;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fenbu_protocol::duty::{Before, Point};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

pub(super) async fn checklist(
    State(daemon): Node,
    Path(code): Path<String>,
) -> Result<Json<Value>, Problem> {
    let records = daemon.records.clone();
    let (task, points) = blocking(move || {
        let task = records.task(&code)?;
        let points = records.checklist(&task)?;
        Ok::<_, RecordError>((task, points))
    })
    .await??;
    Ok(Json(json!({
        "schema": "fenbu.temporary-checklist/1",
        "id": task.id,
        "code": task.code,
        "status": task.status,
        "points": points.iter().map(point_json).collect::<Vec<_>>(),
    })))
}

fn point_json(point: &Point) -> Value {
    let before = match point.before {
        Before::Dissolving => "dissolve",
        Before::Archiving => "archive",
        Before::After => "after",
    };
    json!({
        "key": point.key,
        "zh": point.zh,
        "en": point.en,
        "before": before,
        "met": point.is_met(),
        "done": point.done,
        "of": point.of,
        "open": point.open,
        "lacking": point.lacking,
    })
}

fn file(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], bytes).into_response()
}

/// All there is of it.
pub(super) async fn archive(
    State(daemon): Node,
    Path(code): Path<String>,
) -> Result<Response, Problem> {
    let records = daemon.records.clone();
    let archive = blocking(move || records.archive(&records.task(&code)?)).await??;
    Ok(file(archive.bytes))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archived {
    /// As the archive's first line says it.
    digest: String,
}

/// Whoever asked for it has it on disk.
pub(super) async fn archived(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(code): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let said: Archived = parse(&body)?;
    let (records, account) = (daemon.records.clone(), caller.account());
    let digest = said.digest.clone();
    blocking(move || records.note_archived(&records.task(&code)?, &digest, &account)).await??;
    Ok(Json(json!({ "schema": "fenbu.archived/1", "digest": said.digest })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    unit: String,
}

/// What concerns the members that a unit lent.
pub(super) async fn extract(
    State(daemon): Node,
    Path(code): Path<String>,
    Query(whose): Query<Whose>,
) -> Result<Response, Problem> {
    let records = daemon.records.clone();
    let extract = blocking(move || records.extract(&records.task(&code)?, &whose.unit)).await??;
    Ok(file(extract.bytes))
}

/// The unit has it.
pub(super) async fn extracted(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path(code): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let whose: Whose = parse(&body)?;
    let (records, account) = (daemon.records.clone(), caller.account());
    let unit = whose.unit.clone();
    let note = move || records.note_extracted(&records.task(&code)?, &unit, &account);
    let noted = blocking(note).await??;
    Ok(Json(json!({ "schema": "fenbu.extracted/1", "unit": whose.unit, "noted": noted })))
}
