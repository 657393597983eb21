//! Who changed what of a record, on which node, when.

use super::super::Office;
use super::super::cells::{People, label, time};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::{look, status, step_name, title_of};
use super::{Refused, ToldTo};
use crate::api::schema_of;
use crate::words::Lang;
use axum::extract::{Path, State};
use fenbu_protocol::record::{Field, Merge, Schema};
use maud::{Markup, html};
use serde_json::Value;

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let lang = visitor.lang;
    let mut people = People::new(&directory, &status, office.records());
    let space = looked.shown.space;
    let items = looked.shown.record.history();
    let body = html! {
        p { a.button href=(format!("/r/{plural}/{}", looked.shown.document)) { (Word::GoBack.say(lang)) } }
        div #history data-live=(schema.plural) {
            table.stack {
                thead { tr {
                    th scope="col" { (Word::When.say(lang)) } th scope="col" { (Word::ByWhom.say(lang)) }
                    th scope="col" { (Word::What.say(lang)) }
                } }
                tbody {
                    @for item in items.iter().rev() {
                        tr {
                            td.nowrap { (time(item.time_ms)) }
                            td { (people.who(space, item.actor, &item.account)) }
                            td { @for (name, change) in &item.changes { (changed(schema, name, change, lang)) } }
                        }
                    }
                }
            }
        }
    };
    let title = format!(
        "{}{}{}",
        Word::History.say(lang),
        Word::Colon.say(lang),
        title_of(schema, &looked.json, lang)
    );
    Ok(full_page(&visitor, &title, body))
}

/// One field's change, as the history gives it.
fn changed(schema: &'static Schema, name: &str, change: &Value, lang: Lang) -> Markup {
    let Some(field) = schema.field(name) else { return html! { p { (name) } } };
    let told = match (field.merge, change) {
        (Merge::Register | Merge::Contested, value) => {
            super::super::cells::text(field, value, lang)
        }
        _ if field.personal => "***".to_owned(),
        (Merge::Text | Merge::List, parts) => {
            let excerpt = parts["excerpt"].as_str().unwrap_or_default();
            format!("+{} −{} {excerpt}", parts["inserted"], parts["deleted"])
        }
        (Merge::Set, parts) => {
            let list = |name: &str, sign: &str| -> Vec<String> {
                let items = parts[name].as_array().into_iter().flatten().filter_map(Value::as_str);
                items.map(|item| format!("{sign}{item}")).collect()
            };
            [list("added", "+"), list("removed", "−")].concat().join(" ")
        }
        (Merge::Log, steps) => steps_told(field, steps, lang),
        (_, other) => super::super::cells::text(field, other, lang),
    };
    html! { p { strong { (label(field, lang)) } (Word::Colon.say(lang)) (told) } }
}

fn steps_told(field: &Field, steps: &Value, lang: Lang) -> String {
    let Some(workflow) = field.workflow() else { return steps.to_string() };
    let list: Vec<&Value> = match steps {
        Value::Array(items) => items.iter().collect(),
        Value::Object(entries) if entries.contains_key("op") => vec![steps],
        Value::Object(entries) => entries.values().collect(),
        _ => Vec::new(),
    };
    let one = |step: &&Value| {
        let name = step_name(workflow, step["op"].as_str().unwrap_or_default(), lang);
        match step["note"].as_str() {
            Some(note) => format!("{name} — {note}"),
            None => name,
        }
    };
    list.iter().map(one).collect::<Vec<_>>().join("；")
}
