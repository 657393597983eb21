//! Records made and changed in forms.

use super::super::Office;
use super::super::cells::{People, kind_label, prose, time};
use super::super::fields::{Form, Sent, Suggestion, Wrong, edits};
use super::super::shell::{page as full_page, trouble};
use super::super::visitor::{Visitor, encoded};
use super::super::words::Word;
use super::record::{Looked, look, status, title_of};
use super::{Refused, ToldTo, blocking, check};
use crate::api::{branch_of, schema_of, warnings};
use crate::records::Records;
use crate::store::{Cell, ListQuery};
use crate::words::Lang;
use axum::extract::{Form as Body, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{Field, Merge, Schema, schema_named};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Branches people choose among, by code.
pub(super) fn suggestions(
    records: &Records,
    schema: &Schema,
) -> BTreeMap<&'static str, Vec<Suggestion>> {
    let mut out = BTreeMap::new();
    let directory = records.shared.directory.now();
    let units: Vec<Suggestion> = directory
        .units()
        .map(|u| Suggestion { value: u.code.clone(), label: u.name.clone() })
        .collect();
    let branches = branches(records, None);
    for field in schema.fields {
        match field.name {
            "branch" | "parent" | "from_branch" | "to_branch" => {
                out.insert(field.name, branches.clone());
            }
            "unit" | "host_unit" | "from_unit" | "to_unit" | "asked" => {
                out.insert(field.name, units.clone());
            }
            _ => {}
        }
    }
    out
}

/// The branches of a unit, or of all.
pub(super) fn branches(records: &Records, unit: Option<&str>) -> Vec<Suggestion> {
    let mut out = Vec::new();
    for name in ["branch", "temporary-branch"] {
        // INVARIANT: kinds of this program.
        let schema = schema_named(name).expect("a kind of this program");
        let equals = match (unit, name) {
            (Some(unit), "branch") => vec![("unit".to_owned(), unit.to_owned())],
            (Some(unit), _) => vec![("host_unit".to_owned(), unit.to_owned())],
            (None, _) => Vec::new(),
        };
        let query = ListQuery { equals, limit: 1000, ..ListQuery::default() };
        let Ok(page) = records.list(schema, query) else { continue };
        let at = |column: &str| schema.columns.iter().position(|c| *c == column);
        for row in page.rows {
            let text = |column: &str| match at(column).map(|at| &row.row.cells[at]) {
                Some(Cell::Text(text)) => text.clone(),
                _ => String::new(),
            };
            out.push(Suggestion { value: text("code"), label: text("name") });
        }
    }
    out.retain(|branch| !branch.value.is_empty());
    out.sort_by(|a, b| a.value.cmp(&b.value));
    out
}

pub(in crate::console) async fn new_form(
    State(office): State<Office>,
    visitor: Visitor,
    Path(plural): Path<String>,
    Query(given): Query<Sent>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    check_any(&visitor, schema)?;
    // What an address gives is as if it had been typed.
    let (none, wrong) = (Map::new(), Wrong::new());
    Ok(form_page(&office, &visitor, schema, None, &none, &given, &wrong, html! {}))
}

/// Whoever may write the kind for one branch may open the form; what they save is judged by its branch.
fn check_any(visitor: &Visitor, schema: &Schema) -> Result<(), Refused> {
    let scoped = visitor.account.roles.iter().filter_map(|role| role.branch.as_deref());
    let branch = scoped.into_iter().find(|b| visitor.may_in(Action::Write(schema.name), Some(b)));
    check(visitor, Action::Write(schema.name), branch)
}

pub(in crate::console) async fn edit_form(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Write(schema.name), looked.branch.as_deref())?;
    let values = looked.json.as_object().cloned().unwrap_or_default();
    let id = looked.shown.document.to_string();
    let newest = newest(&office, &visitor, &looked).await?;
    let (none, wrong) = (Sent::new(), Wrong::new());
    Ok(form_page(&office, &visitor, schema, Some(&id), &values, &none, &wrong, newest))
}

/// Who changed a record last: live on its form, so that whoever types hears of what others save.
async fn newest(office: &Office, visitor: &Visitor, looked: &Looked) -> Result<Markup, Refused> {
    let status = status(office, visitor).await?;
    let directory = office.records().shared.directory.now();
    let mut people = People::new(&directory, &status, office.records());
    let history = looked.shown.record.history();
    let lang = visitor.lang;
    Ok(html! {
        p #newest.faint.small data-live=(looked.shown.record.schema().plural) {
            @if let Some(last) = history.last() {
                (Word::LastChange.say(lang)) (people.who(looked.shown.space, last.actor, &last.account)) " "
                (time(last.time_ms)) (Word::Merges.say(lang))
            }
        }
    })
}

#[allow(clippy::too_many_arguments, reason = "each is another thing a form shows")]
fn form_page(
    office: &Office,
    visitor: &Visitor,
    schema: &'static Schema,
    id: Option<&str>,
    values: &Map<String, Value>,
    sent: &Sent,
    wrong: &Wrong,
    said: Markup,
) -> Markup {
    let lang = visitor.lang;
    let suggestions = suggestions(office.records(), schema);
    let form = Form { lang, values, sent, wrong, suggestions: &suggestions };
    let to = match id {
        Some(id) => format!("/r/{}/{id}", schema.plural),
        None => format!("/r/{}", schema.plural),
    };
    let title = match id {
        Some(_) => format!(
            "{}{}{}",
            Word::Edit.say(lang),
            Word::Colon.say(lang),
            title_of(schema, &Value::Object(values.clone()), lang)
        ),
        None => {
            format!("{}{}{}", Word::New.say(lang), Word::Colon.say(lang), kind_label(schema, lang))
        }
    };
    let body = html! {
        (said)
        form.careful method="post" action=(to) {
            (form.inputs(schema))
            p.bar {
                button.primary type="submit" { (Word::Save.say(lang)) }
                a.button href=(to) { (Word::Cancel.say(lang)) }
            }
        }
    };
    full_page(visitor, &title, body)
}

pub(in crate::console) async fn create(
    State(office): State<Office>,
    visitor: Visitor,
    Path(plural): Path<String>,
    Body(sent): Body<Sent>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let lang = visitor.lang;
    let again = |wrong: &Wrong, said: Option<&str>| {
        let said = html! { @if let Some(said) = said { (trouble(said)) } };
        form_page(&office, &visitor, schema, None, &Map::new(), &sent, wrong, said).into_response()
    };
    let fields = match edits(schema, &sent, lang) {
        Ok(fields) => Value::Object(fields),
        Err(wrong) => return Ok(again(&wrong, None)),
    };
    check(&visitor, Action::Write(schema.name), branch_of(&fields).as_deref())?;
    let (records, account) = (office.records().clone(), visitor.id());
    let warning = warnings(schema, &fields, lang).join(" ");
    let made = blocking(move || records.create(schema, &fields, None, None, &account)).await;
    match made {
        Ok(saved) => {
            let to = format!("/r/{}/{}", schema.plural, saved.document);
            Ok(Redirect::to(&format!("{to}?said=saved&warning={}", encoded(&warning)))
                .into_response())
        }
        Err(error) => Ok(again(&Wrong::new(), Some(&lang.say(&error.to_string())))),
    }
}

pub(in crate::console) async fn save(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(sent): Body<Sent>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let lang = visitor.lang;
    let before = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Write(schema.name), before.branch.as_deref())?;
    let values = before.json.as_object().cloned().unwrap_or_default();
    let id = before.shown.document.to_string();
    let again = |wrong: &Wrong, said: Option<&str>| {
        let said = html! { @if let Some(said) = said { (trouble(said)) } };
        form_page(&office, &visitor, schema, Some(&id), &values, &sent, wrong, said).into_response()
    };
    let fields = match edits(schema, &sent, lang) {
        Ok(fields) => fields,
        Err(wrong) => return Ok(again(&wrong, None)),
    };
    let (came, over) = meanwhile(schema, &values, &sent, &fields, lang);
    let fields = Value::Object(fields);
    if let Some(branch) = fields.get("branch").and_then(Value::as_str) {
        check(&visitor, Action::Write(schema.name), Some(branch))?;
    }
    let warning = warnings(schema, &fields, lang).join(" ");
    let (records, account, document) = (office.records().clone(), visitor.id(), id.clone());
    let saved = blocking(move || records.edit(schema, &document, &fields, &account)).await;
    match saved {
        Ok(saved) => {
            let said = if saved.entry.is_some() { "saved" } else { "unchanged" };
            let to = format!(
                "/r/{}/{id}?said={said}&came={came}&over={over}&warning={}",
                schema.plural,
                encoded(&warning)
            );
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => Ok(again(&Wrong::new(), Some(&lang.say(&error.to_string())))),
    }
}

/// Fields that others changed since the form was made: those that are kept or merged, and those whose
/// value this save takes the place of.
fn meanwhile(
    schema: &'static Schema,
    now: &Map<String, Value>,
    sent: &Sent,
    fields: &Map<String, Value>,
    lang: Lang,
) -> (String, String) {
    let none = Sent::new();
    let (wrong, suggestions) = (Wrong::new(), BTreeMap::new());
    let form = Form { lang, values: now, sent: &none, wrong: &wrong, suggestions: &suggestions };
    let changed = form.changed_since(schema, sent);
    let single = |f: &&'static Field| {
        fields.contains_key(f.name) && matches!(f.merge, Merge::Register | Merge::Contested)
    };
    let names =
        |list: Vec<&'static Field>| list.iter().map(|f| f.name).collect::<Vec<_>>().join(",");
    let (over, came): (Vec<_>, Vec<_>) = changed.into_iter().partition(single);
    (names(came), names(over))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Text {
    text: String,
}

pub(in crate::console) async fn preview(_visitor: Visitor, Body(text): Body<Text>) -> Markup {
    prose(&text.text)
}
