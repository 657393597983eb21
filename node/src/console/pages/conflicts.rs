//! The conflict inbox: what merging could not settle, and one click that does.

use super::super::Office;
use super::super::cells::{People, kind_label, time, unit_name};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::{status, title_of};
use super::{Refused, ToldTo, blocking, check};
use crate::conflicts::Open;
use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::record::schema;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Settle, None)?;
    let records = office.records().clone();
    let open = blocking(move || records.conflicts()).await.told_to(&visitor)?;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let unit = office.records().shared.unit();
    let lang = visitor.lang;
    let mut people = People::new(&directory, &status, office.records());
    let ours = |o: &&Open| o.settlers.is_empty() || o.settlers.contains(&unit);
    let (mine, others): (Vec<&Open>, Vec<&Open>) = open.iter().partition(ours);
    let body = html! {
        div #conflicts data-live="*" {
            @if open.is_empty() { p.faint { (Word::NoConflicts.say(lang)) } }
            @for one in mine { (shown(one, true, &directory, &mut people, lang)) }
            @for one in others { (shown(one, false, &directory, &mut people, lang)) }
        }
    };
    Ok(full_page(&visitor, Word::Conflicts.say(lang), body))
}

fn shown(
    open: &Open,
    mine: bool,
    directory: &Directory,
    people: &mut People<'_>,
    lang: crate::words::Lang,
) -> Markup {
    let zh = lang == crate::words::Lang::Zh;
    let conflict = &open.conflict;
    let case = conflict.case.code();
    let (meanwhile_zh, meanwhile_en) = conflict.case.meanwhile();
    let settlers: Vec<String> =
        open.settlers.iter().map(|code| unit_name(directory, Some(code))).collect();
    let settlers = match settlers.is_empty() {
        true => Word::Anyone.say(lang).to_owned(),
        false => settlers.join(Word::Comma.say(lang)),
    };
    html! {
        section.card id=(format!("c-{}", conflict.id)) {
            h2 { (if zh { case.zh } else { case.en }) span.faint.small { (Word::SettledBy.say(lang)) (Word::Colon.say(lang)) (settlers) } }
            p {
                @for (of, summary) in conflict.records.iter().zip(&open.summaries) {
                    @if let Some(schema) = schema(of.kind) {
                        a href=(format!("/r/{}/{}", schema.plural, of.document)) { (kind_label(schema, lang)) (Word::Colon.say(lang)) (title_of(schema, summary, lang)) } " "
                    }
                }
            }
            p.faint { (Word::Meanwhile.say(lang)) (Word::Colon.say(lang)) (if zh { meanwhile_zh } else { meanwhile_en }) }
            div.sides {
                @for side in &conflict.sides {
                    div.card {
                        p { (told(&side.value)) }
                        @if let (Some(said), Some(of)) = (&side.said, conflict.records.get(side.record)) {
                            p.faint.small { (people.who(of.space, said.actor, &said.account)) " " (time(said.time_ms)) }
                        }
                    }
                }
            }
            @if mine {
                div.bar.steps {
                    span.faint { (Word::SettleFor.say(lang)) }
                    @for way in &conflict.ways {
                        form method="post" action=(format!("/conflicts/{}", conflict.id)) {
                            input type="hidden" name="way" value=(way.code);
                            button type="submit" { (if zh { &way.zh } else { &way.en }) }
                        }
                    }
                }
            }
        }
    }
}

/// A value as a line of text.
fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(parts) => {
            parts.values().map(told).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" · ")
        }
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join("、"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Chosen {
    way: String,
}

pub(in crate::console) async fn settle(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(chosen): Form<Chosen>,
) -> Result<Redirect, Refused> {
    check(&visitor, Action::Settle, None)?;
    let (records, account) = (office.records().clone(), visitor.id());
    blocking(move || records.settle(&id, &chosen.way, None, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to("/conflicts"))
}
