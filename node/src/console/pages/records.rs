//! Lists of records of a kind.

use super::super::Office;
use super::super::cells::{Names, kind_label, label, unit_name};
use super::super::shell::page as full_page;
use super::super::visitor::{Visitor, encoded};
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::api::{cells_of, list_query, schema_of};
use crate::store::{ListedRow, Order, OrderBy};
use axum::extract::{Path, Query, State};
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::record::{ALL, Field, Home, Schema, ValueType};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// What is asked of a list, as it stands in the address.
pub(in crate::console) type Asked = BTreeMap<String, String>;

/// Kinds made by nodes, whose lists have pages of their own or none.
const ELSEWHERE: [&str; 3] = ["account", "audit", "credential"];

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Path(plural): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    if plural == "all" {
        return Ok(every_kind(&visitor));
    }
    let schema = schema_of(&plural).told_to(&visitor)?;
    check(&visitor, Action::Read(schema.name), None)?;
    let directory = office.records().shared.directory.now();
    let given: Asked =
        asked.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut query = list_query(schema, &directory, given.clone()).told_to(&visitor)?;
    if schema.name == "meeting" && !given.contains_key("order") {
        // A list of meetings is read by when they were.
        query.order = Order { by: OrderBy::Column("start".into()), descending: true };
    }
    let records = office.records().clone();
    let (found, names) = blocking(move || (records.list(schema, query), Names::of(&records))).await;
    let found = found.told_to(&visitor)?;
    let lang = visitor.lang;
    let next = found.next.map(|cursor| address(schema, &given, Some(&cursor.to_string())));
    let body = html! {
        (bar(&visitor, schema, &given, &names, &directory))
        div #list data-live=(schema.plural) {
            (table(&visitor, schema, &names, &directory, &found.rows))
            p.bar {
                @if given.contains_key("after") {
                    a.button href=(address(schema, &given, None)) { (Word::FirstPage.say(lang)) }
                }
                @if let Some(next) = next { a.button href=(next) rel="next" { (Word::NextPage.say(lang)) } }
            }
        }
    };
    Ok(full_page(&visitor, kind_label(schema, lang), body))
}

fn address(schema: &Schema, asked: &Asked, after: Option<&str>) -> String {
    let mut pairs: Vec<(&str, &str)> = asked
        .iter()
        .filter(|(k, _)| *k != "after")
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    pairs.extend(after.map(|after| ("after", after)));
    let pairs: Vec<String> =
        pairs.into_iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
    match pairs.is_empty() {
        true => format!("/r/{}", schema.plural),
        false => format!("/r/{}?{}", schema.plural, pairs.join("&")),
    }
}

/// The filters a list knows, and what can be done from here.
fn bar(
    visitor: &Visitor,
    schema: &'static Schema,
    asked: &Asked,
    names: &Names,
    directory: &Directory,
) -> Markup {
    let lang = visitor.lang;
    let get = |name: &str| asked.get(name).map_or("", String::as_str);
    let filters = schema.filters.iter().filter_map(|name| schema.field(name));
    let filters = filters.filter(|f| !matches!(f.value, ValueType::Id(_)));
    let by_unit = schema.home != Home::Federation || schema.field("unit").is_some();
    html! {
        form.bar method="get" {
            @for field in filters.filter(|f| f.name != "unit") { (filter(field, get(field.name), names, lang)) }
            @if by_unit {
                div {
                    label for="unit" { (Word::Unit.say(lang)) }
                    select #unit name="unit" {
                        option value="" { (Word::All.say(lang)) }
                        @for unit in directory.units() {
                            option value=(unit.code) selected[unit.code == get("unit")] { (unit.name) }
                        }
                    }
                }
            }
            div {
                label for="q" { (Word::Search.say(lang)) }
                input #q name="q" value=(get("q")) size="12";
            }
            button type="submit" { (Word::Filter.say(lang)) }
            @if schema.name == "meeting" { a.button href="/meetings/calendar" { (Word::Calendar.say(lang)) } }
            @if visitor.may(Action::Write(schema.name)) || is_scoped_writer(visitor, schema) {
                a.button.primary.push href=(new_address(schema)) { (Word::New.say(lang)) }
            }
        }
    }
}

/// Whether they write this kind for one branch or another.
fn is_scoped_writer(visitor: &Visitor, schema: &Schema) -> bool {
    let branches = visitor.account.roles.iter().filter_map(|role| role.branch.as_deref());
    branches.into_iter().any(|branch| visitor.may_in(Action::Write(schema.name), Some(branch)))
}

/// Meetings are recorded in three taps.
fn new_address(schema: &Schema) -> String {
    match schema.name {
        "meeting" => "/meetings/record".into(),
        _ => format!("/r/{}/new", schema.plural),
    }
}

fn filter(field: &'static Field, now: &str, names: &Names, lang: crate::words::Lang) -> Markup {
    let id = format!("by-{}", field.name);
    html! {
        div {
            label for=(id) { (label(field, lang)) }
            @if field.name == "branch" {
                select id=(id) name=(field.name) {
                    option value="" { (Word::All.say(lang)) }
                    @for (code, name) in names.branches() { option value=(code) selected[code == now] { (name) } }
                }
            } @else if field.codes().is_empty() {
                input id=(id) name=(field.name) value=(now) size="10";
            } @else {
                select id=(id) name=(field.name) {
                    option value="" { (Word::All.say(lang)) }
                    @for code in field.codes() {
                        option value=(code.code) selected[code.code == now] {
                            (match lang { crate::words::Lang::Zh => code.zh, crate::words::Lang::En => code.en })
                        }
                    }
                }
            }
        }
    }
}

/// Rows as a table; a row's first cell with text leads to the record.
pub(super) fn table(
    visitor: &Visitor,
    schema: &'static Schema,
    names: &Names,
    directory: &Directory,
    rows: &[ListedRow],
) -> Markup {
    let lang = visitor.lang;
    let fields: Vec<&'static Field> =
        schema.listed.iter().filter_map(|n| schema.field(n)).collect();
    // What a record is recognised by; else the longest text, which comes last.
    let title = schema.title().and_then(|title| fields.iter().position(|f| f.name == title.name));
    let main = title.unwrap_or(fields.len().saturating_sub(1));
    if rows.is_empty() {
        return html! { p.faint { (Word::NothingHere.say(lang)) } };
    }
    let of_unit = schema.home != Home::Federation;
    html! {
        div.wide {
            table.stack {
                thead { tr {
                    @for field in &fields { th scope="col" { (label(field, lang)) } }
                    @if of_unit { th scope="col" { (Word::Unit.say(lang)) } }
                    th.nowrap scope="col" { (Word::Updated.say(lang)) }
                } }
                tbody {
                    @for row in rows {
                        @let cells = cells_of(schema, row);
                        tr {
                            @for (at, field) in fields.iter().enumerate() {
                                @let told = names.value(field, &cells[field.name], lang);
                                td.nowrap[is_short(field)] {
                                    @if at == main {
                                        a href=(format!("/r/{}/{}", schema.plural, row.document)) { (told) }
                                        @if row.conflicts > 0 {
                                            " " span.tag.warn title=(Word::OpenConflict.say(lang)) { "!" }
                                        }
                                    } @else { (told) }
                                }
                            }
                            @if of_unit {
                                @let code = directory.space(&row.space).and_then(|s| s.unit.clone());
                                td.nowrap { (unit_name(directory, code.as_deref())) }
                            }
                            td.nowrap.faint { (super::super::cells::time(row.row.updated_ms)) }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a column's values are so short that they stay on one line.
fn is_short(field: &Field) -> bool {
    !field.codes().is_empty()
        || matches!(field.value, ValueType::State(_) | ValueType::Instant | ValueType::Date)
        || field.name == "branch"
}

/// Every kind this person reads.
fn every_kind(visitor: &Visitor) -> Markup {
    let lang = visitor.lang;
    let kinds = ALL
        .into_iter()
        .filter(|s| visitor.may(Action::Read(s.name)) && !ELSEWHERE.contains(&s.name));
    let body = html! {
        ul.cards {
            @for schema in kinds {
                li.card { a href=(format!("/r/{}", schema.plural)) { (kind_label(schema, lang)) } }
            }
        }
    };
    full_page(visitor, Word::Everything.say(lang), body)
}
