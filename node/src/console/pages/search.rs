//! Search over everything this node reads and this person may see.

use super::super::Office;
use super::super::cells::kind_label;
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::{Refused, ToldTo, blocking};
use crate::api::Problem;
use crate::search::SearchQuery;
use axum::extract::{Query, State};
use fenbu_protocol::access::Action;
use fenbu_protocol::record::search::snippet;
use fenbu_protocol::record::{ALL, Schema, schema, schema_named};
use maud::{Markup, html};
use serde::Deserialize;

const SHOWN: usize = 30;

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    unit: String,
}

struct Hit {
    schema: &'static Schema,
    to: String,
    title: String,
    parts: Vec<(String, bool)>,
    unit: Option<String>,
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    let lang = visitor.lang;
    let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    let records = office.records().clone();
    let query = SearchQuery {
        text: asked.q.clone(),
        kind: schema_named(&asked.kind).map(|s| s.kind),
        unit: some(&asked.unit),
        column: None,
        from: None,
        to: None,
        spaces: records.shared.readable(),
        everyones: records.shared.everyones(),
        after: None,
        limit: SHOWN,
    };
    let who = visitor.clone();
    let words = asked.q.clone();
    let hits = blocking(move || {
        if words.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut hits = Vec::new();
        for found in records.shared.search.find(&query)? {
            let Some(schema) = schema(found.place.kind) else { continue };
            if !who.may(Action::Read(schema.name)) {
                continue;
            }
            let Some(shown) = records.record(schema, found.place)? else { continue };
            let Some(findable) = shown.record.findable() else { continue };
            hits.push(Hit {
                schema,
                to: format!("/r/{}/{}", schema.plural, found.place.document),
                title: findable.title.clone(),
                parts: parts_of(&findable.text, &words),
                unit: found.unit,
            });
        }
        Ok::<_, Problem>(hits)
    })
    .await
    .told_to(&visitor)?;
    let directory = office.records().shared.directory.now();
    let kinds =
        ALL.into_iter().filter(|s| visitor.may(Action::Read(s.name)) && s.title().is_some());
    let body = html! {
        form.bar method="get" {
            div { label for="q" { (Word::Search.say(lang)) } input #q type="search" name="q" value=(asked.q) autofocus; }
            div {
                label for="kind" { (Word::What.say(lang)) }
                select #kind name="kind" {
                    option value="" { (Word::All.say(lang)) }
                    @for schema in kinds {
                        option value=(schema.name) selected[schema.name == asked.kind] { (kind_label(schema, lang)) }
                    }
                }
            }
            div {
                label for="unit" { (Word::Unit.say(lang)) }
                select #unit name="unit" {
                    option value="" { (Word::All.say(lang)) }
                    @for unit in directory.units() {
                        option value=(unit.code) selected[unit.code == asked.unit] { (unit.name) }
                    }
                }
            }
            button type="submit" { (Word::Search.say(lang)) }
        }
        @if hits.is_empty() && !asked.q.trim().is_empty() { p.faint { (Word::SearchNothing.say(lang)) } }
        @for hit in &hits {
            section.card {
                h2 {
                    a href=(hit.to) { (if hit.title.is_empty() { kind_label(hit.schema, lang) } else { &hit.title }) }
                    span.faint.small {
                        (kind_label(hit.schema, lang)) " "
                        (super::super::cells::unit_name(&directory, hit.unit.as_deref()))
                    }
                }
                p { @for (text, found) in &hit.parts { @if *found { mark { (text) } } @else { (text) } } }
            }
        }
    };
    Ok(full_page(&visitor, Word::Search.say(lang), body))
}

/// A snippet in pieces, with those that were looked for marked.
fn parts_of(text: &str, words: &str) -> Vec<(String, bool)> {
    let Some(told) = snippet(text, words) else { return Vec::new() };
    let chars: Vec<char> = told.text.chars().collect();
    let piece = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    let mut out = Vec::new();
    let mut at = 0;
    for (from, count) in told.marks {
        out.push((piece(at, from), false));
        out.push((piece(from, from + count), true));
        at = from + count;
    }
    out.push((piece(at, chars.len()), false));
    out
}
