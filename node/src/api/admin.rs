//! The directory, invitations, settings, and what kinds of record there are.

use super::Problem;
use crate::admission::{Invite, VALID_MINUTES_DEFAULT};
use crate::daemon::Daemon;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use fenbu_protocol::directory::Scope;
use fenbu_protocol::record::{ALL, Field, Merge, ValueType};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

pub(super) async fn directory(State(daemon): Node) -> Json<Value> {
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
    let spaces = directory.spaces().map(|s| {
        json!({
            "id": s.id,
            "label": s.label,
            "template": s.template.as_str(),
            "unit": s.unit,
            "readers": scope(s.readers()),
            "writers": scope(s.writers()),
            "carriers": scope(s.carriers()),
            "sealed": s.is_sealed(),
            "key_epoch": s.key_epoch(),
        })
    });
    let units = directory.units().map(|u| json!({ "code": u.code, "name": u.name }));
    Json(json!({
        "schema": "fenbu.directory/1",
        "federation": directory.federation(),
        "name": directory.name(),
        "epoch": directory.epoch(),
        "head": directory.head(),
        "admin": directory.admin(),
        "head_office": directory.head_office(),
        "units": units.collect::<Vec<_>>(),
        "nodes": nodes.collect::<Vec<_>>(),
        "spaces": spaces.collect::<Vec<_>>(),
    }))
}

fn scope(scope: &Scope) -> Value {
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
