//! My day 我的待办: what waits for this person, what their unit owes, and whether it is in sync.

use super::super::Office;
use super::super::cells::{Names, title_cell};
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::status;
use super::{Refused, ToldTo, blocking};
use crate::api::light;
use crate::records::Records;
use crate::reports::{Report, ReportQuery};
use crate::store::{Cell, ListQuery, ListedRow, Order, OrderBy};
use axum::extract::State;
use fenbu_protocol::access::Action;
use fenbu_protocol::duty;
use fenbu_protocol::record::{Schema, schema_named};
use maud::{Markup, html};

/// Lines of a card; there is a list behind each.
const LINES_MAX: usize = 6;

/// A card: what waits, its lines, and the list of all of it.
struct Card {
    word: Word,
    schema: &'static Schema,
    rows: Vec<ListedRow>,
    more: bool,
    to: String,
}

/// A question a card answers.
struct Wanted {
    word: Word,
    kind: &'static str,
    /// Column and value.
    equals: Vec<(&'static str, String)>,
    /// Whether it is this person's to do.
    mine: bool,
    /// Only records of this unit's own space.
    own: bool,
}

fn wanted(visitor: &Visitor, unit: &str, head: bool) -> Vec<Wanted> {
    let step = |kind, op| visitor.may(Action::Step(kind, op));
    let writes = |kind| {
        let scoped = visitor.account.roles.iter().map(|role| role.branch.as_deref());
        scoped.into_iter().any(|branch| visitor.may_in(Action::Write(kind), branch))
    };
    let one = |word, kind, state: &str, mine, own| Wanted {
        word,
        kind,
        equals: vec![("status", state.to_owned())],
        mine,
        own,
    };
    let mut out = vec![
        one(Word::PostsReturned, "post", "returned", writes("post") && !head, true),
        one(Word::PostsToReview, "post", "submitted", step("post", "approve"), !head),
        one(Word::PostsApproved, "post", "approved", step("post", "publish"), !head),
        one(Word::DraftsOfYours, "post", "draft", writes("post"), true),
        one(Word::MeetingsPlanned, "meeting", "planned", writes("meeting"), true),
        one(Word::MeetingsToConfirm, "meeting", "held", writes("meeting"), true),
    ];
    out.push(Wanted {
        word: Word::Reminders,
        kind: "reminder",
        equals: vec![("status", "open".into()), ("unit", unit.to_owned())],
        mine: writes("reminder"),
        own: false,
    });
    out.push(Wanted {
        word: Word::Transfers,
        kind: "transfer",
        equals: vec![("status", "issued".into()), ("to_unit", unit.to_owned())],
        mine: writes("transfer"),
        own: false,
    });
    out.push(one(Word::DirectivesToConvey, "directive", "open", writes("directive"), false));
    out
}

fn card(records: &Records, wanted: Wanted, unit: &str) -> Option<Card> {
    let schema = schema_named(wanted.kind)?;
    let known = |name: &str| schema.columns.contains(&name);
    if !wanted.mine || !wanted.equals.iter().all(|(name, _)| known(name)) {
        return None;
    }
    let directory = records.shared.directory.now();
    let equals: Vec<(String, String)> =
        wanted.equals.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let own_space = directory.unit_space(unit).map(|space| vec![space.id]);
    let spaces = if wanted.own && schema.home != fenbu_protocol::record::Home::Federation {
        own_space
    } else {
        None
    };
    let order = Order { by: OrderBy::Updated, descending: true };
    let query = ListQuery {
        equals: equals.clone(),
        spaces,
        order,
        limit: LINES_MAX + 1,
        ..ListQuery::default()
    };
    let mut rows = records.list(schema, query).ok()?.rows;
    let more = rows.len() > LINES_MAX;
    rows.truncate(LINES_MAX);
    let pairs: Vec<String> = equals.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let to = format!("/r/{}?{}", schema.plural, pairs.join("&"));
    (!rows.is_empty()).then_some(Card { word: wanted.word, schema, rows, more, to })
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    let lang = visitor.lang;
    let directory = office.records().shared.directory.now();
    let unit = office.records().shared.unit();
    let head = directory.head_office() == unit;
    let records = office.records().clone();
    let asked = wanted(&visitor, &unit, head);
    let (of, settles) = (unit.clone(), visitor.may(Action::Settle));
    let (cards, conflicts, owed, names) = blocking(move || {
        let cards: Vec<Card> = asked.into_iter().filter_map(|w| card(&records, w, &of)).collect();
        let open = if settles { records.conflicts()? } else { Vec::new() };
        let mine =
            open.iter().filter(|o| o.settlers.is_empty() || o.settlers.contains(&of)).count();
        Ok::<_, crate::records::RecordError>((
            cards,
            mine,
            owed(&records, &of),
            Names::of(&records),
        ))
    })
    .await
    .told_to(&visitor)?;
    let status = status(&office, &visitor).await?;
    let body = html! {
        p #light data-live="node" { (light_of(&office, &status, lang)) }
        @if visitor.may(Action::Write("meeting")) || visitor.account.roles.iter().any(|r| r.branch.is_some()) {
            p.bar {
                a.button.primary href="/meetings/record" { (Word::RecordMeeting.say(lang)) }
                @if visitor.may(Action::Write("post")) {
                    a.button href="/r/posts/new" { (Word::New.say(lang)) (Word::Colon.say(lang)) (Word::Posts.say(lang)) }
                }
            }
        } @else if visitor.may(Action::Write("post")) {
            p.bar { a.button.primary href="/r/posts/new" { (Word::New.say(lang)) (Word::Colon.say(lang)) (Word::Posts.say(lang)) } }
        }
        h2 { (Word::WaitsForYou.say(lang)) }
        div #waits data-live="posts meetings reminders transfers directives settlements" {
            @if cards.is_empty() && conflicts == 0 { p.faint { (Word::NothingWaits.say(lang)) } }
            div.cards {
                @if conflicts > 0 {
                    section.card {
                        h2 { a href="/conflicts" { (Word::Conflicts.say(lang)) } span.count { (conflicts) } }
                    }
                }
                @for card in &cards { (card_shown(card, &names, lang)) }
            }
        }
        @if let Some(owed) = owed { (owed_shown(&owed, lang)) }
    };
    Ok(full_page(&visitor, Word::MyDay.say(lang), body))
}

fn card_shown(card: &Card, names: &Names, lang: crate::words::Lang) -> Markup {
    let count =
        if card.more { format!("{}+", card.rows.len()) } else { card.rows.len().to_string() };
    html! {
        section.card {
            h2 { a href=(card.to) { (card.word.say(lang)) } span.count { (count) } }
            ul {
                @for row in &card.rows {
                    li {
                        a href=(format!("/r/{}/{}", card.schema.plural, row.document)) {
                            (title_cell(card.schema, row, lang))
                        }
                        " " span.faint.small { (detail(card.schema, row, names, lang)) }
                    }
                }
            }
        }
    }
}

/// What else a line says: the day, the branch.
fn detail(
    schema: &'static Schema,
    row: &ListedRow,
    names: &Names,
    lang: crate::words::Lang,
) -> String {
    let at = |name: &&str| schema.columns.iter().position(|c| c == name);
    let told = |name: &&str| {
        let (cell, field) = (&row.row.cells[at(name)?], schema.field(name)?);
        let told = (*cell != Cell::Null).then(|| names.cell_text(field, cell, lang))?;
        (!told.is_empty()).then_some(told)
    };
    let day = ["due", "start", "planned"].iter().find_map(told);
    let rest = ["branch", "column"].iter().filter_map(told);
    day.into_iter().chain(rest).collect::<Vec<_>>().join(" · ")
}

/// What the unit has not done: this month's and quarter's meetings, and what is overdue.
struct Owed {
    matrix: duty::Table,
    overdue: duty::Table,
}

fn owed(records: &Records, unit: &str) -> Option<Owed> {
    let query = |period: Option<&str>| ReportQuery {
        period: period.map(str::to_owned),
        unit: Some(unit.to_owned()),
        by: None,
        explain: None,
    };
    let matrix = records.report(Report::Matrix, &query(Some("this-quarter"))).ok()?.table;
    let overdue = records.report(Report::Overdue, &query(None)).ok()?.table;
    Some(Owed { matrix, overdue })
}

fn owed_shown(owed: &Owed, lang: crate::words::Lang) -> Markup {
    let late = owed.overdue.lines.iter().flat_map(|line| {
        let cells = owed.overdue.columns.iter().zip(&line.cells);
        cells
            .filter(|(column, cell)| column.key != "all" && cell.done > 0)
            .map(|(column, cell)| (line.key.as_str(), column, cell.done))
    });
    let late: Vec<_> = late.collect();
    html! {
        h2 { (Word::DueThisPeriod.say(lang)) }
        div #owed data-live="meetings branches" {
            (super::figures::matrix(&owed.matrix, "matrix", "this-quarter", lang))
            @if !late.is_empty() {
                h2 { (Word::OverdueMatters.say(lang)) }
                p.bar {
                    @for (line, column, count) in late {
                        a.button href=(format!("/figures/overdue?explain={line}/{}", column.key)) {
                            (column.label(lang.into())) " " span.count { (count) }
                        }
                    }
                }
            }
        }
    }
}

/// Green, amber or red, in words.
fn light_of(
    office: &Office,
    status: &crate::driver::DriverStatus,
    lang: crate::words::Lang,
) -> Markup {
    let (colour, word) = match light(&office.daemon, status) {
        crate::api::Light::InSync => ("good", Word::InSync),
        crate::api::Light::CatchingUp => ("warn", Word::CatchingUp),
        crate::api::Light::Alone => ("warn", Word::Alone),
        crate::api::Light::Trouble => ("bad", Word::Trouble),
    };
    let connected = status.engine.peers.iter().filter(|p| p.live).count();
    html! {
        span class=(format!("light {colour}")) { (word.say(lang)) }
        " " span.faint.small {
            (Word::ConnectedTo.say(lang)) " " (connected) "/" (status.engine.peers.len()) " " (Word::Nodes.say(lang))
        }
    }
}
