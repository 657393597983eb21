//! What is done to a record with a button: a step, a remark, a look at a personal value.

use super::super::Office;
use super::super::cells::{label, time};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::{look, title_of};
use super::{Refused, ToldTo, blocking, check};
use crate::api::{Problem, disclose_to, schema_of};
use axum::extract::{Form as Body, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{Merge, ValueType};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Taking {
    op: String,
    #[serde(default)]
    note: String,
    /// Where to go on; the record if not given.
    #[serde(default)]
    next: String,
}

pub(in crate::console) async fn step(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(taking): Body<Taking>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Step(schema.name, &taking.op), looked.branch.as_deref())?;
    let Some((field, _)) = schema.step(&taking.op) else {
        return Err(Problem::not_found("this version knows no such step")).told_to(&visitor);
    };
    let mut want = json!({ "op": taking.op });
    if !taking.note.trim().is_empty() {
        want["note"] = taking.note.trim().into();
    }
    let fields = json!({ field.name: want });
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = match taking.next.strip_prefix('/') {
        Some(rest) if !rest.starts_with(['/', '\\']) => taking.next.clone(),
        _ => format!("/r/{plural}/{document}?said=saved"),
    };
    blocking(move || records.edit(schema, &document, &fields, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to(&to).into_response())
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Noting {
    field: String,
    text: String,
}

pub(in crate::console) async fn note(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(noting): Body<Noting>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    let branch = looked.branch.as_deref();
    if !visitor.may_in(Action::Step(schema.name, "return"), branch) {
        check(&visitor, Action::Write(schema.name), branch)?;
    }
    let field = schema.field(&noting.field).filter(|f| f.merge == Merge::Notes);
    let Some(field) = field else {
        return Err(Problem::not_found("this page takes no such remark")).told_to(&visitor);
    };
    let mut remark = json!({ "text": noting.text.trim() });
    if let ValueType::Object(parts) = field.value {
        if parts.iter().any(|part| part.name == "by") {
            remark["by"] = visitor.account.name.as_str().into();
        }
        if parts.iter().any(|part| part.name == "on") {
            let now_ms = office.records().shared.clock.now_ms();
            remark["on"] = time(now_ms).get(..10).unwrap_or_default().into();
        }
    }
    let fields = json!({ field.name: { "add": [remark] } });
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = format!("/r/{plural}/{document}?said=saved");
    blocking(move || records.edit(schema, &document, &fields, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to(&to).into_response())
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Revealing {
    field: String,
    reason: String,
}

/// Shows one personal value. That somebody looks is on disk before.
pub(in crate::console) async fn reveal(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(asked): Body<Revealing>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Reveal(schema.name), looked.branch.as_deref())?;
    let Some(field) = schema.field(&asked.field).filter(|f| f.personal) else {
        return Err(Problem::not_found("this is no personal field")).told_to(&visitor);
    };
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = format!("/r/{plural}/{document}");
    let reason = asked.reason;
    blocking(move || disclose_to(&records, schema, &document, field.name, &reason, &account))
        .await
        .told_to(&visitor)?;
    let lang = visitor.lang;
    let told = fenbu_protocol::sheet::show(field, &looked.json[field.name], lang.into());
    let body = html! {
        dl.fields { dt { (label(field, lang)) } dd { (told) } }
        p { a.button href=(to) { (Word::GoBack.say(lang)) } }
    };
    Ok(full_page(&visitor, &title_of(schema, &looked.json, lang), body))
}
