//! Looking at personal data: one value at a time, with a reason, and a record of it.

use super::records::{parse, schema_of};
use super::{Caller, Problem, blocking};
use crate::daemon::Daemon;
use crate::records::{RecordError, Records};
use crate::words::Lang;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use fenbu_protocol::record::personal::{Kind, misplaced};
use fenbu_protocol::record::{Schema, schema_named};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reveal {
    field: String,
    reason: String,
}

/// Shows one personal value. The disclosure is on disk before the value is told.
pub(super) async fn reveal(
    State(daemon): State<Arc<Daemon>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Path((plural, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let schema = schema_of(&plural)?;
    let asked: Reveal = parse(&body)?;
    let personal = schema.field(&asked.field).is_some_and(|f| f.personal);
    if !personal {
        let names: Vec<&str> =
            schema.fields.iter().filter(|f| f.personal).map(|f| f.name).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let field = &asked.field;
        return Err(Problem::bad_request(format!(
            "'{field}' is no personal field of {plural}; there are: {known}"
        )));
    }
    let records = daemon.records.clone();
    let shown = blocking(move || {
        let shown = records.show(schema, &id)?;
        let what = asked.field.as_str();
        disclose(&records, schema, &shown.document.to_string(), what, &asked.reason, caller)?;
        let value = shown.record.to_json()[what].clone();
        Ok::<_, Problem>(json!({
            "schema": "fenbu.revealed/1",
            "id": shown.document,
            "kind": schema.name,
            "field": what,
            "value": value,
        }))
    })
    .await??;
    Ok(Json(shown))
}

/// Writes down that somebody looks at personal data, before they do.
pub(super) fn disclose(
    records: &Records,
    schema: &Schema,
    record: &str,
    what: &str,
    reason: &str,
    caller: Caller,
) -> Result<(), Problem> {
    disclose_to(records, schema, record, what, reason, &caller.account())
}

/// The same for an account.
pub(crate) fn disclose_to(
    records: &Records,
    schema: &Schema,
    record: &str,
    what: &str,
    reason: &str,
    account: &str,
) -> Result<(), Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::bad_request("personal data is shown with a reason: say why"));
    }
    let fields = json!({
        "what": what,
        "of": schema.name,
        "record": record,
        "reason": reason,
        "by": account,
        "at": records.shared.clock.now_ms(),
    });
    // INVARIANT: the kind is one of this program's.
    let disclosure = schema_named("disclosure").expect("a kind of disclosures");
    let made = records.create(disclosure, &fields, None, None, account);
    made.map(drop).map_err(|error: RecordError| error.into())
}

/// Warnings about numbers of people typed where everybody reads them.
pub(crate) fn warnings(schema: &'static Schema, fields: &Value, lang: Lang) -> Vec<String> {
    let warning = |(field, kind): (&str, Kind)| {
        let what = match kind {
            Kind::IdNumber => "an id number",
            Kind::Phone => "a phone number",
        };
        lang.say(&format!(
            "field '{field}' holds what looks like {what}: whoever reads the record reads it; personal data has fields of its own"
        ))
    };
    misplaced(schema, fields).into_iter().map(warning).collect()
}
