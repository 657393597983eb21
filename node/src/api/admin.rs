//! The directory, invitations, settings, and what kinds of record there are.

use super::Problem;
use super::spaces::space_told;
use super::status::heard;
use crate::admission::{Invite, VALID_MINUTES_DEFAULT};
use crate::daemon::Daemon;
use crate::setup::answer_bytes;
use crate::words::Lang;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::Scope;
use fenbu_protocol::id::hex;
use fenbu_protocol::record::{ALL, Field, Merge, ValueType};
use fenbu_protocol::wire::join::FileRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

pub(super) async fn directory(State(daemon): Node, lang: Lang) -> Result<Json<Value>, Problem> {
    let driver = daemon.status().await.ok_or_else(Problem::stopping)?;
    let directory = daemon.records.shared.directory.now();
    let nodes = directory.nodes().map(|n| {
        json!({
            "node": n.node,
            "name": n.name,
            "unit": n.unit,
            "role": n.role.as_str(),
            "addresses": n.addresses,
            "admitted_epoch": n.admitted,
            "revoked": n.revoked.as_ref().map(|r| r.epoch),
        })
    });
    let spaces = directory.spaces().map(|s| space_told(&directory, s));
    let units = directory.units().map(|u| json!({ "code": u.code, "name": u.name }));
    Ok(Json(json!({
        "schema": "fenbu.directory/1",
        "federation": directory.federation(),
        "name": directory.name(),
        "epoch": directory.epoch(),
        "head": directory.head(),
        "heard": heard(&driver, &directory, &daemon.me()),
        "stopped": driver.engine.directory_stopped.map(|why| lang.say(&why)),
        "admin": directory.admin(),
        "head_office": directory.head_office(),
        "units": units.collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
        "spaces": spaces.collect::<Vec<_>>(),
    })))
}

pub(super) fn scope(scope: &Scope) -> Value {
    if scope.all { json!("all") } else { json!(scope.units) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteRequest {
    unit: String,
    name: Option<String>,
    role: Option<String>,
    valid_minutes: Option<u64>,
}

pub(super) async fn invite(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: InviteRequest = serde_json::from_slice(&body)
        .map_err(|e| Problem::bad_request(format!("request body: {e}")))?;
    let unit = request.unit.clone();
    let (token, expires_ms) = daemon
        .admission
        .invite(Invite {
            unit: request.unit,
            unit_name: request.name,
            role: request.role.unwrap_or_else(|| "server".into()),
            valid_minutes: request.valid_minutes.unwrap_or(VALID_MINUTES_DEFAULT),
        })
        .await?;
    Ok(Json(json!({
        "schema": "fenbu.invite/1",
        "token": token.to_text(),
        "expires_ms": expires_ms,
        "unit": unit,
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdmitRequest {
    /// What `fenbu join --request` wrote.
    request: String,
    unit: String,
    name: Option<String>,
    role: Option<String>,
}

/// Lets a node in that has asked by file. The answer is for its file.
pub(super) async fn admit(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: AdmitRequest = super::records::parse(&body)?;
    let request = FileRequest::from_text(&asked.request)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let invite = Invite {
        unit: asked.unit,
        unit_name: asked.name,
        role: asked.role.unwrap_or_else(|| "server".into()),
        valid_minutes: VALID_MINUTES_DEFAULT,
    };
    let statements = daemon.admission.admit_by_file(&request, invite).await?;
    let directory = daemon.records.shared.directory.now();
    let info = directory.node(&request.node);
    Ok(Json(json!({
        "schema": "fenbu.admitted/1",
        "node": request.node,
        "name": info.map(|n| n.name.as_str()),
        "unit": info.map(|n| n.unit.as_str()),
        "federation": directory.federation(),
        "answer": hex(&answer_bytes(statements)),
    })))
}

pub(super) async fn config(State(daemon): Node) -> Json<Value> {
    let values = daemon.config.origins().into_iter().map(
        |(key, value, origin)| json!({ "key": key, "value": value, "origin": origin.to_string() }),
    );
    Json(json!({ "schema": "fenbu.config/1", "values": values.collect::<Vec<_>>() }))
}

pub(super) async fn schema() -> Json<Value> {
    let kinds = ALL.into_iter().map(|s| {
        json!({
            "name": s.name,
            "plural": s.plural,
            "label_zh": s.label_zh,
            "label_en": s.label_en,
            "fields": s.fields.iter().map(field).collect::<Vec<_>>(),
        })
    });
    Json(json!({ "schema": "fenbu.schema/1", "kinds": kinds.collect::<Vec<_>>() }))
}

fn field(field: &Field) -> Value {
    let merge = match field.merge {
        Merge::Register => "register",
        Merge::Contested => "contested",
        Merge::Text => "text",
        Merge::Set => "set",
        Merge::List => "list",
        Merge::Map => "map",
        Merge::Tally => "tally",
        Merge::Log => "log",
        Merge::Notes => "notes",
    };
    let (value, codes) = match field.value {
        ValueType::Text => ("text", &[][..]),
        ValueType::Code(codes) => ("code", codes),
        ValueType::Date => ("date", &[][..]),
        ValueType::Instant => ("instant", &[][..]),
        ValueType::Int => ("int", &[][..]),
        ValueType::Bool => ("bool", &[][..]),
        ValueType::Id(_) => ("id", &[][..]),
        ValueType::Object(_) => ("object", &[][..]),
        ValueType::State(workflow) => ("state", workflow.states),
    };
    json!({
        "name": field.name,
        "merge": merge,
        "value": value,
        "codes": codes.iter().map(|c| json!([c.code, c.zh, c.en])).collect::<Vec<_>>(),
        "required": field.required,
        "label_zh": field.label_zh,
        "label_en": field.label_en,
    })
}
