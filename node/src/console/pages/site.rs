//! What is published, by column, as readers see it; and records as pages of their own.

use super::super::Office;
use super::super::cells::{prose, time};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::title_of;
use super::{Refused, ToldTo, blocking, check};
use crate::api::Problem;
use crate::inout::page::{journal_issue, transfer_letter};
use crate::inout::published_fields;
use crate::records::{RecordError, Records};
use crate::store::{ListQuery, Order, OrderBy};
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::schema_named;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

const SHOWN: usize = 30;

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Which {
    #[serde(default)]
    column: String,
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Read("post"), None)?;
    let lang = visitor.lang;
    // INVARIANT: a kind of this program, with these fields.
    let schema = schema_named("post").expect("a kind of posts");
    let column = schema.field("column").expect("posts have a column");
    let known = column.code(&which.column).or(column.codes().first());
    let code = known.map_or("", |code| code.code);
    let query = ListQuery {
        equals: vec![("status".into(), "published".into()), ("column".into(), code.into())],
        order: Order { by: OrderBy::Updated, descending: true },
        limit: SHOWN,
        ..ListQuery::default()
    };
    let records = office.records().clone();
    let rows = blocking(move || out(&records, query)).await.told_to(&visitor)?;
    let body = html! {
        nav.bar aria-label=(super::super::cells::label(column, lang)) {
            @for one in column.codes() {
                a.button href=(format!("/site?column={}", one.code)) aria-current=[(one.code == code).then_some("page")] {
                    (match lang { crate::words::Lang::Zh => one.zh, crate::words::Lang::En => one.en })
                }
            }
        }
        div #site data-live="posts" {
            @if rows.is_empty() { p.faint { (Word::NothingHere.say(lang)) } }
            ul {
                @for (document, fields) in &rows {
                    li {
                        a href=(format!("/site/{document}")) { (title_of(schema, fields, lang)) }
                        " " span.faint.small { (fields["written"].as_str().unwrap_or_default()) }
                    }
                }
            }
        }
    };
    Ok(full_page(&visitor, Word::Site.say(lang), body))
}

/// What is out of the posts a query finds. Where the draft is read, the list gives the draft, which may say
/// something else by now.
fn out(records: &Records, query: ListQuery) -> Result<Vec<(DocId, Value)>, RecordError> {
    // INVARIANT: a kind of this program.
    let schema = schema_named("post").expect("a kind of posts");
    let mut out = Vec::new();
    for row in records.list(schema, query)?.rows {
        let shown = records.published(schema, row.document)?;
        let fields = shown.as_ref().and_then(published_fields);
        out.extend(fields.map(|(_, fields)| (row.document, fields)));
    }
    Ok(out)
}

/// A published post in its approved version; a journal issue or a transfer letter as a page for print.
pub(in crate::console) async fn post(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let lang = visitor.lang;
    let records = office.records().clone();
    for (name, whole) in [("journal-issue", true), ("transfer", true), ("post", false)] {
        // INVARIANT: kinds of this program.
        let schema = schema_named(name).expect("a kind of this program");
        let (asked, wanted) = (records.clone(), id.clone());
        let Ok(shown) = blocking(move || asked.show(schema, &wanted)).await else { continue };
        check(&visitor, Action::Read(name), None)?;
        if whole {
            let asked = records.clone();
            let made = blocking(move || match name {
                "journal-issue" => journal_issue(&asked, &shown, lang.into()),
                _ => transfer_letter(&asked, &shown, lang.into()),
            });
            return Ok(Html(made.await.told_to(&visitor)?).into_response());
        }
        let (asked, document) = (records.clone(), shown.document);
        let out = blocking(move || asked.published(schema, document)).await.told_to(&visitor)?;
        let out = out.as_ref().and_then(published_fields);
        let Some((since_ms, fields)) = out else { continue };
        let bylines = fields["bylines"].as_array().into_iter().flatten().filter_map(|b| b.as_str());
        let bylines: Vec<&str> = bylines.collect();
        let body = html! {
            p.faint { (bylines.join(Word::Comma.say(lang))) " " (time(since_ms)) }
            article.prose { (prose(fields["body"].as_str().unwrap_or_default())) }
            p.noprint { a href=(format!("/r/posts/{}", shown.document)) { (Word::History.say(lang)) } }
        };
        return Ok(full_page(&visitor, &title_of(schema, &fields, lang), body).into_response());
    }
    Err(Problem::not_found("nothing is published under this address; it may have been withdrawn"))
        .told_to(&visitor)
}
