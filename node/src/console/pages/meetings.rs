//! Meetings: recorded in three taps, and seen as a calendar.
//!
//! Which branch, what kind, who was there: the people expected are those the kind calls for, all marked
//! present, so that only exceptions are tapped. One save makes the meeting, its frozen expected list and
//! its attendance.

use super::super::Office;
use super::super::cells::{Names, label, time};
use super::super::shell::{page as full_page, trouble};
use super::super::visitor::{Visitor, encoded};
use super::super::words::Word;
use super::edit::branches;
use super::{Refused, ToldTo, blocking, check};
use crate::api::warnings;
use crate::records::{RecordError, Records};
use crate::store::{Cell, ListQuery, ListedRow, Order, OrderBy};
use crate::words::Lang;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::duty::Day;
use fenbu_protocol::record::{Schema, schema_named};
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Sent = BTreeMap<String, String>;

/// Before the names of members' fields in the form.
const MARK: &str = "at:";

fn meeting() -> &'static Schema {
    // INVARIANT: a kind of this program.
    schema_named("meeting").expect("a kind of meetings")
}

/// Somebody who may be expected at a meeting.
#[derive(Debug, Clone)]
struct Person {
    id: String,
    name: String,
}

fn cell(schema: &Schema, row: &ListedRow, column: &str) -> String {
    let at = schema.columns.iter().position(|c| *c == column);
    match at.map(|at| &row.row.cells[at]) {
        Some(Cell::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn rows(
    records: &Records,
    kind: &str,
    equals: &[(&str, &str)],
) -> Result<(&'static Schema, Vec<ListedRow>), RecordError> {
    // INVARIANT: callers name kinds of this program.
    let schema = schema_named(kind).expect("a kind of this program");
    let equals = equals.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let query = ListQuery { equals, limit: 1000, ..ListQuery::default() };
    Ok((schema, records.list(schema, query)?.rows))
}

/// Who a meeting of this kind expects: the committee's members by their current terms, else everybody on
/// the branch's roster who is a member.
fn expected(records: &Records, branch: &str, kind: &str) -> Result<Vec<Person>, RecordError> {
    let (schema, members) = rows(records, "member", &[("branch", branch)])?;
    let listed = |row: &ListedRow| {
        let stage = cell(schema, row, "stage");
        let standing = cell(schema, row, "standing");
        let gone = ["expelled", "removed", "quit", "deceased"].contains(&standing.as_str());
        matches!(stage.as_str(), "full" | "probationary")
            && !gone
            && cell(schema, row, "same_as").is_empty()
    };
    let person =
        |row: &ListedRow| Person { id: row.document.to_string(), name: cell(schema, row, "name") };
    let mut people: Vec<Person> = members.iter().filter(|r| listed(r)).map(person).collect();
    if kind == "committee" {
        let sits = committee(records, branch)?;
        let committee: Vec<Person> = people
            .iter()
            .filter(|p| sits.contains(&p.id) || sits.contains(&p.name))
            .cloned()
            .collect();
        // Without terms on record the roster is better than nothing.
        if !committee.is_empty() {
            people = committee;
        }
    }
    people.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(people)
}

/// Ids and names of whoever has a seat now.
fn committee(records: &Records, branch: &str) -> Result<BTreeSet<String>, RecordError> {
    let (schema, terms) = rows(records, "term", &[("branch", branch)])?;
    let today = Day::of_ms(records.shared.clock.now_ms().cast_signed()).to_string();
    let seat = |row: &&ListedRow| {
        let post = cell(schema, row, "post");
        !matches!(post.as_str(), "group_leader" | "reporter" | "lecturer")
            && cell(schema, row, "status") != "rejected"
    };
    let now = |row: &&ListedRow| {
        let (from, to) = (cell(schema, row, "from"), cell(schema, row, "to"));
        seat(row) && (from.is_empty() || from <= today) && (to.is_empty() || to >= today)
    };
    let mut sits: Vec<&ListedRow> = terms.iter().filter(now).collect();
    if sits.is_empty() {
        // A committee whose time is up sits until another is elected.
        let ended = |row: &&ListedRow| cell(schema, row, "to");
        let last =
            terms.iter().filter(seat).filter(|row| ended(row) < today).map(|row| ended(&row)).max();
        sits = terms.iter().filter(seat).filter(|row| Some(ended(row)) == last).collect();
    }
    Ok(sits
        .into_iter()
        .flat_map(|row| [cell(schema, row, "member"), cell(schema, row, "person")])
        .filter(|s| !s.is_empty())
        .collect())
}

pub(in crate::console) async fn choose(
    State(office): State<Office>,
    visitor: Visitor,
    Query(asked): Query<Sent>,
) -> Result<Markup, Refused> {
    let get = |name: &str| asked.get(name).map_or("", String::as_str).to_owned();
    let (branch, kind) = (get("branch"), get("kind"));
    if branch.is_empty() || kind.is_empty() {
        return Ok(first_taps(&office, &visitor, &branch));
    }
    check(&visitor, Action::Write("meeting"), Some(&branch))?;
    form_page(&office, &visitor, &branch, &kind, &asked, None).await
}

/// Which branch, and what kind.
fn first_taps(office: &Office, visitor: &Visitor, chosen: &str) -> Markup {
    let lang = visitor.lang;
    let unit = office.records().shared.unit();
    let all = branches(office.records(), Some(&unit));
    let mine: Vec<_> = all
        .into_iter()
        .filter(|b| visitor.may_in(Action::Write("meeting"), Some(&b.value)))
        .collect();
    // INVARIANT: meetings have kinds.
    let kinds = meeting().field("kind").expect("meetings have kinds").codes();
    let only = mine.len() == 1;
    let body = html! {
        @if mine.is_empty() { (trouble(Word::NoBranches.say(lang))) }
        @else {
            form method="get" action="/meetings/record" {
                fieldset {
                    legend { (Word::ChooseBranch.say(lang)) }
                    div.taps {
                        @for branch in &mine {
                            label {
                                input type="radio" name="branch" value=(branch.value) required
                                    checked[only || branch.value == chosen];
                                " " (branch.label)
                            }
                        }
                    }
                }
                fieldset {
                    legend { (Word::ChooseKind.say(lang)) }
                    div.taps {
                        @for code in kinds {
                            button type="submit" name="kind" value=(code.code) {
                                (match lang { Lang::Zh => code.zh, Lang::En => code.en })
                            }
                        }
                    }
                }
            }
        }
    };
    full_page(visitor, Word::RecordMeeting.say(lang), body)
}

async fn form_page(
    office: &Office,
    visitor: &Visitor,
    branch: &str,
    kind: &str,
    sent: &Sent,
    said: Option<&str>,
) -> Result<Markup, Refused> {
    let lang = visitor.lang;
    let (records, of, which) = (office.records().clone(), branch.to_owned(), kind.to_owned());
    let people = blocking(move || expected(&records, &of, &which)).await.told_to(visitor)?;
    let schema = meeting();
    let kind_label = super::super::cells::text(
        // INVARIANT: meetings have kinds.
        schema.field("kind").expect("meetings have kinds"),
        &kind.into(),
        lang,
    );
    let name = branches(office.records(), None).into_iter().find(|b| b.value == branch);
    let name = name.map_or_else(|| branch.to_owned(), |b| b.label);
    let get = |field: &str| sent.get(field).map_or("", String::as_str);
    let now = time(office.records().shared.clock.now_ms())
        .get(..16)
        .unwrap_or_default()
        .replacen(' ', "T", 1);
    let start = if get("start").is_empty() { now } else { get("start").to_owned() };
    let recorder = if get("recorder").is_empty() {
        visitor.account.name.clone()
    } else {
        get("recorder").to_owned()
    };
    let short = |field: &str, value: &str| -> Markup {
        let known = schema.field(field);
        html! {
            div {
                label for=(format!("m-{field}")) { (known.map_or(field, |f| label(f, lang))) }
                input id=(format!("m-{field}")) name=(field) value=(value) autocomplete="off";
            }
        }
    };
    let body = html! {
        @if let Some(said) = said { (trouble(said)) }
        form.careful method="post" action="/meetings/record" {
            input type="hidden" name="branch" value=(branch);
            input type="hidden" name="kind" value=(kind);
            fieldset {
                legend { (Word::Attendance.say(lang)) " · " (Word::Expected.say(lang)) " " (people.len()) }
                (attendance(&people, sent, lang))
            }
            div.form {
                div {
                    label for="m-start" { (Word::MeetingTime.say(lang)) }
                    input #m-start type="datetime-local" name="start" value=(start) required;
                }
                (short("topic", get("topic")))
                (short("place", get("place")))
                (short("host", get("host")))
                (short("recorder", &recorder))
                @if kind == "lecture" { (short("lecturer", get("lecturer"))) }
                div {
                    label for="m-observers" { (Word::Observers.say(lang)) }
                    textarea #m-observers name="observers" rows="2" { "\n" (get("observers")) }
                    p.hint { (Word::ObserversHint.say(lang)) }
                }
                div {
                    label for="m-minutes" { (Word::Minutes.say(lang)) }
                    textarea #m-minutes name="minutes" { "\n" (get("minutes")) }
                }
            }
            p.bar {
                button.primary type="submit" { (Word::RecordHeld.say(lang)) }
                a.button href="/meetings/record" { (Word::GoBack.say(lang)) }
            }
        }
    };
    Ok(full_page(visitor, &format!("{kind_label} · {name}"), body))
}

fn attendance(people: &[Person], sent: &Sent, lang: Lang) -> Markup {
    // INVARIANT: meetings have attendance.
    let codes = meeting().field("attendance").expect("meetings have attendance").codes();
    let named = |code: &fenbu_protocol::record::Code| match lang {
        Lang::Zh => code.zh,
        Lang::En => code.en,
    };
    html! {
        @if people.is_empty() { p.faint { (Word::NoMembersHere.say(lang)) } }
        @else {
            p.bar {
                @for code in &codes[..1] {
                    button type="button" data-mark=(code.code) { (Word::All.say(lang)) (named(code)) }
                }
            }
            div.people {
                @for person in people {
                    @let name = format!("{MARK}{}", person.id);
                    @let marked = sent.get(&name).map_or("present", String::as_str);
                    div role="radiogroup" aria-label=(person.name) {
                        span.name { (person.name) }
                        @for code in codes {
                            label.choice {
                                input type="radio" name=(name) value=(code.code) checked[code.code == marked];
                                (named(code))
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(in crate::console) async fn save(
    State(office): State<Office>,
    visitor: Visitor,
    Form(sent): Form<Sent>,
) -> Result<Response, Refused> {
    let lang = visitor.lang;
    let get = |name: &str| sent.get(name).map(|v| v.trim()).filter(|v| !v.is_empty());
    let (branch, kind) =
        (get("branch").unwrap_or_default().to_owned(), get("kind").unwrap_or_default().to_owned());
    check(&visitor, Action::Write("meeting"), Some(&branch))?;
    let fields = fields_of(&sent);
    let warning = warnings(meeting(), &fields, lang).join(" ");
    let (records, account) = (office.records().clone(), visitor.id());
    // A temporary branch's meetings are kept in its own space.
    let home = {
        let directory = records.shared.directory.now();
        let labelled = directory.space_labelled(&branch).map(|s| s.label.clone());
        labelled.filter(|_| directory.unit(&branch).is_none())
    };
    let made =
        blocking(move || records.create(meeting(), &fields, None, home.as_deref(), &account)).await;
    match made {
        Ok(saved) => {
            let to =
                format!("/r/meetings/{}?said=saved&warning={}", saved.document, encoded(&warning));
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => {
            let said = lang.say(&error.to_string());
            Ok(form_page(&office, &visitor, &branch, &kind, &sent, Some(&said))
                .await?
                .into_response())
        }
    }
}

/// The meeting as it was held: whoever had a line was expected, unless the line says otherwise.
fn fields_of(sent: &Sent) -> Value {
    let mut out = Map::new();
    for name in ["branch", "kind", "topic", "place", "host", "recorder", "lecturer"] {
        if let Some(value) = sent.get(name).map(|v| v.trim()).filter(|v| !v.is_empty()) {
            out.insert(name.into(), value.into());
        }
    }
    if let Some(start) = sent.get("start").filter(|v| !v.is_empty()) {
        // A form's local time is that of the whole country.
        out.insert("start".into(), format!("{start}:00+08:00").into());
    }
    if let Some(text) = sent.get("minutes").filter(|text| !text.trim().is_empty()) {
        out.insert("minutes".into(), text.replace("\r\n", "\n").into());
    }
    let observers = sent.get("observers").map_or("", String::as_str).lines().map(str::trim);
    let observers: Vec<&str> = observers.filter(|line| !line.is_empty()).collect();
    if !observers.is_empty() {
        out.insert("observers".into(), json!(observers));
    }
    let marks: Map<String, Value> = sent
        .iter()
        .filter_map(|(name, mark)| {
            Some((name.strip_prefix(MARK)?.to_owned(), mark.as_str().into()))
        })
        .collect();
    if !marks.is_empty() {
        let due = marks.iter().filter(|(_, mark)| *mark != "excluded");
        out.insert("expected".into(), due.map(|(id, _)| Value::from(id.as_str())).collect());
        out.insert("attendance".into(), Value::Object(marks));
    }
    out.insert("status".into(), json!({ "op": "hold" }));
    Value::Object(out)
}

#[derive(Debug, Default, serde::Deserialize)]
pub(in crate::console) struct Month {
    /// `2018-07`; this month if not given.
    #[serde(default)]
    month: String,
}

pub(in crate::console) async fn calendar(
    State(office): State<Office>,
    visitor: Visitor,
    Query(asked): Query<Month>,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Read("meeting"), None)?;
    let lang = visitor.lang;
    let records = office.records().clone();
    let today = time(records.shared.clock.now_ms());
    let month = if is_month(&asked.month) {
        asked.month.clone()
    } else {
        today.get(..7).unwrap_or_default().to_owned()
    };
    let wanted = month.clone();
    let met = blocking(move || in_month(&records, &wanted, lang)).await.told_to(&visitor)?;
    let body = html! {
        nav.bar {
            @for (to, text) in [(moved(&month, -1), "←"), (moved(&month, 1), "→")] {
                a.button href=(format!("/meetings/calendar?month={to}")) aria-label=(to) { (text) }
            }
            a.button.push href="/meetings/record" { (Word::RecordMeeting.say(lang)) }
        }
        div #calendar data-live="meetings" { (month_table(&month, &met, lang)) }
    };
    Ok(full_page(&visitor, &format!("{} {month}", Word::Calendar.say(lang)), body))
}

fn is_month(text: &str) -> bool {
    text.len() == 7 && format!("{text}-01").parse::<jiff::civil::Date>().is_ok()
}

fn first_of(month: &str) -> jiff::civil::Date {
    format!("{month}-01").parse().unwrap_or(jiff::civil::date(2018, 1, 1))
}

fn moved(month: &str, by: i32) -> String {
    let moved = first_of(month).checked_add(jiff::Span::new().months(by));
    moved.map_or_else(|_| month.to_owned(), |day| day.strftime("%Y-%m").to_string())
}

/// Meetings of a month: day, address, text.
type Met = Vec<(String, String, String)>;

fn in_month(records: &Records, month: &str, lang: Lang) -> Result<Met, RecordError> {
    let schema = meeting();
    let names = Names::of(records);
    // INVARIANT: meetings have kinds.
    let kind = schema.field("kind").expect("meetings have kinds");
    let mut out = Met::new();
    let order = Order { by: OrderBy::Column("start".into()), descending: true };
    let mut query = ListQuery { order, limit: 1000, ..ListQuery::default() };
    loop {
        let page = records.list(schema, query.clone())?;
        let mut past = false;
        for row in &page.rows {
            let at = |name: &str| {
                schema.columns.iter().position(|c| *c == name).map(|at| &row.row.cells[at])
            };
            let ms = match (at("start"), at("planned")) {
                (Some(Cell::Int(ms)), _) | (_, Some(Cell::Int(ms))) => ms.max(&0).unsigned_abs(),
                _ => continue,
            };
            let day = time(ms).get(..10).unwrap_or_default().to_owned();
            past |= day.as_str() < month && matches!(at("start"), Some(Cell::Int(_)));
            if day.starts_with(month) {
                let text = super::super::cells::text(kind, &cell(schema, row, "kind").into(), lang);
                out.push((
                    day,
                    format!("/r/meetings/{}", row.document),
                    format!("{text} {}", names.branch(&cell(schema, row, "branch"))),
                ));
            }
        }
        match page.next {
            Some(next) if !past => query.after = Some(next),
            _ => return Ok(out),
        }
    }
}

fn month_table(month: &str, met: &Met, lang: Lang) -> Markup {
    let first = first_of(month);
    let lead = i64::from(first.weekday().to_monday_zero_offset());
    let weeks = (0..6).map(|week| {
        (0..7)
            .filter_map(move |day| {
                first.checked_add(jiff::Span::new().days(week * 7 + day - lead)).ok()
            })
            .collect::<Vec<_>>()
    });
    let names = match lang {
        Lang::Zh => ["一", "二", "三", "四", "五", "六", "日"],
        Lang::En => ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    };
    html! {
        div.wide {
            table.calendar {
                thead { tr { @for name in names { th scope="col" { (name) } } } }
                tbody {
                    @for week in weeks.filter(|week| week.iter().any(|day| day.strftime("%Y-%m").to_string() == month)) {
                        tr {
                            @for day in week {
                                @let date = day.to_string();
                                td class=(if date.starts_with(month) { "" } else { "other" }) {
                                    span.faint.small { (day.day()) }
                                    @for (_, to, text) in met.iter().filter(|(on, _, _)| *on == date) {
                                        div { a.small href=(to) { (text) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
