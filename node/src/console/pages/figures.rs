//! Figures: the reports as tables and drawings, each number with the records behind it and how fresh the
//! data is.

use super::super::Office;
use super::super::cells::{time, unit_name};
use super::super::charts;
use super::super::shell::page as full_page;
use super::super::visitor::{Visitor, encoded};
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::api::{Problem, file};
use crate::inout::{Format, plain_sheet};
use crate::reports::{Behind, Made, Report, ReportError, ReportQuery};
use crate::words::Lang;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{Redirect, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::duty::{Cell, Column, Line, Shown, State as How, Table};
use fenbu_protocol::record::schema_named;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::Ordering;

#[derive(Debug, Default, Clone, Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    period: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    explain: String,
}

/// Figures change with any record, and with time: they are made anew when one does, and now and then.
const LIVE: &str = "* node";

/// Fewer people than this in a cell name somebody.
const SMALL: i64 = 3;

fn name_of(report: Report, lang: Lang) -> &'static str {
    let (zh, en) = match report {
        Report::Matrix => ("三会一课", "Meetings due and held"),
        Report::Posts => ("稿件", "Posts"),
        Report::Attendance => ("出席", "Attendance"),
        Report::Roster => ("党员", "Roster"),
        Report::Overdue => ("逾期", "Overdue"),
        Report::Temporary => ("临时党支部", "Temporary branches"),
        Report::Programmes => ("党建+", "Programmes"),
        Report::Directives => ("传达", "Directives"),
        Report::Ledgers => ("采用与荣誉", "Adoptions and honours"),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// Periods by name; others are `2018`, `2018-Q3`, `2018-07`.
const PERIODS: [(&str, &str, &str); 6] = [
    ("this-month", "本月", "This month"),
    ("last-month", "上月", "Last month"),
    ("this-quarter", "本季度", "This quarter"),
    ("last-quarter", "上季度", "Last quarter"),
    ("this-year", "本年", "This year"),
    ("last-year", "上年", "Last year"),
];

fn grouping_name(by: &'static str, lang: Lang) -> &'static str {
    let (zh, en) = match by {
        "unit" => ("按单位", "By unit"),
        "month" => ("按月", "By month"),
        "author" => ("按作者", "By author"),
        "branch" => ("按党组织", "By branch"),
        other => (other, other),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

fn check_ready(office: &Office, visitor: &Visitor) -> Result<(), Refused> {
    let stale = office.daemon.progress.views_stale.load(Ordering::Acquire);
    let why = "the lists are being filled again after an upgrade; figures can be made once that is done: try again in a few minutes";
    (!stale).then_some(()).ok_or_else(|| Problem::unavailable(why)).told_to(visitor)
}

/// The page a quarter ends on: matrix, posts, overdue.
pub(in crate::console) async fn overview(
    State(office): State<Office>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Reports, None)?;
    check_ready(&office, &visitor)?;
    let lang = visitor.lang;
    let records = office.records().clone();
    let period =
        if asked.period.is_empty() { "this-quarter".to_owned() } else { asked.period.clone() };
    let wanted = period.clone();
    let made = blocking(move || {
        [Report::Matrix, Report::Posts, Report::Overdue].map(|report| {
            let period = (report != Report::Overdue).then(|| wanted.clone());
            let query = ReportQuery { period, ..ReportQuery::default() };
            records.report(report, &query)
        })
    });
    let [matrix_made, posts, overdue] = made.await;
    let (matrix_made, posts, overdue) =
        (matrix_made.told_to(&visitor)?, posts.told_to(&visitor)?, overdue.told_to(&visitor)?);
    let body = html! {
        (tabs(None, lang))
        (period_bar(&asked, &period, &[], &office, lang))
        div #figures data-live=(LIVE) {
        section {
            h2 { a href=(format!("/figures/matrix?period={period}")) { (name_of(Report::Matrix, lang)) } }
            (charts::stacked(&counted(&matrix_made.table), lang))
            (matrix(&matrix_made.table, "matrix", &period, lang))
        }
        section {
            h2 { a href=(format!("/figures/posts?period={period}")) { (name_of(Report::Posts, lang)) } }
            (charts::bars(&posts.table, lang))
        }
        section {
            h2 { a href="/figures/overdue" { (name_of(Report::Overdue, lang)) } }
            (late(&overdue.table, lang))
        }
        }
        (fresh(&matrix_made, lang))
    };
    Ok(full_page(&visitor, Word::Figures.say(lang), body))
}

/// What is overdue, kind by kind over all units.
fn late(table: &Table, lang: Lang) -> Markup {
    let sum = |at: usize| table.lines.iter().map(|line| line.cells[at].done).sum::<i64>();
    let columns = table.columns.iter().enumerate().filter(|(_, column)| column.key != "all");
    let late: Vec<_> =
        columns.map(|(at, column)| (column, sum(at))).filter(|(_, count)| *count > 0).collect();
    html! {
        @if late.is_empty() { p.faint { (Word::NothingHere.say(lang)) } }
        p.bar {
            @for (column, count) in late {
                a.button href="/figures/overdue" { (column_label(column, lang)) " " span.count { (count) } }
            }
        }
    }
}

fn tabs(here: Option<Report>, lang: Lang) -> Markup {
    html! {
        nav.bar aria-label=(Word::Figures.say(lang)) {
            a.button href="/figures" aria-current=[here.is_none().then_some("page")] { (Word::All.say(lang)) }
            @for (name, report) in Report::ALL {
                a.button href=(format!("/figures/{name}")) aria-current=[(here == Some(report)).then_some("page")] {
                    (name_of(report, lang))
                }
            }
        }
    }
}

fn period_bar(
    asked: &Asked,
    period: &str,
    groupings: &[&'static str],
    office: &Office,
    lang: Lang,
) -> Markup {
    let directory = office.records().shared.directory.now();
    html! {
        form.bar method="get" {
            div {
                label for="period" { (Word::Period.say(lang)) }
                input #period name="period" value=(period) list="periods" size="14" placeholder="2018-Q3";
                datalist id="periods" {
                    @for (known, zh, en) in PERIODS { option value=(known) { (match lang { Lang::Zh => zh, Lang::En => en }) } }
                }
            }
            div {
                label for="unit" { (Word::Unit.say(lang)) }
                select #unit name="unit" {
                    option value="" { (Word::All.say(lang)) }
                    @for unit in directory.units() { option value=(unit.code) selected[unit.code == asked.unit] { (unit.name) } }
                }
            }
            @if groupings.len() > 1 {
                div {
                    label for="by" { (Word::Show.say(lang)) }
                    select #by name="by" {
                        @for by in groupings { option value=(by) selected[*by == asked.by] { (grouping_name(by, lang)) } }
                    }
                }
            }
            button type="submit" { (Word::Show.say(lang)) }
        }
    }
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Reports, None)?;
    check_ready(&office, &visitor)?;
    let lang = visitor.lang;
    let known = || Report::ALL.map(|(name, _)| name).join(", ");
    let report = Report::named(&name)
        .ok_or_else(|| ReportError::Unknown(name.clone(), known()))
        .told_to(&visitor)?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let query = ReportQuery {
        period: some(&asked.period),
        unit: some(&asked.unit),
        by: some(&asked.by),
        explain: None,
    };
    let records = office.records().clone();
    let cell = some(&asked.explain);
    let (made, behind) = blocking(move || {
        let made = records.report(report, &query)?;
        let behind = cell.map(|cell| records.explain(&made, &cell)).transpose()?;
        Ok::<_, ReportError>((made, behind))
    })
    .await
    .told_to(&visitor)?;
    let directory = office.records().shared.directory.now();
    let head = directory.head_office() == office.records().shared.unit();
    let period = made.period.to_string();
    let hides = !head && matches!(report, Report::Roster | Report::Attendance);
    let body = html! {
        (tabs(Some(report), lang))
        (period_bar(&asked, &period, report.groupings(), &office, lang))
        (actions(&visitor, &name, &asked, &period, head))
        @if let Some(behind) = &behind { (behind_shown(&asked.explain, behind, &directory, lang)) }
        @if head && report == Report::Matrix && !asked.explain.is_empty() { (remind_form(&visitor, &made, &asked.explain)) }
        div #figures data-live=(LIVE) {
            @match report {
                Report::Matrix => { (charts::stacked(&counted(&made.table), lang)) (matrix(&made.table, &name, &period, lang)) }
                _ => { (charts::bars(&made.table, lang)) (table(&made.table, &name, &asked, hides, lang)) }
            }
            @if hides { p.faint.small { (Word::SmallCells.say(lang)) } }
            @for remark in &made.remarks { p.faint { (lang.say(remark)) } }
        }
        (fresh(&made, lang))
    };
    Ok(full_page(&visitor, name_of(report, lang), body))
}

/// Downloads, and for head office sealing.
fn actions(visitor: &Visitor, name: &str, asked: &Asked, period: &str, head: bool) -> Markup {
    let lang = visitor.lang;
    let pairs = [("period", period), ("unit", asked.unit.as_str()), ("by", asked.by.as_str())];
    let query: Vec<String> = pairs
        .iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={}", encoded(v)))
        .collect();
    let query = query.join("&");
    html! {
        div.bar {
            @for format in ["xlsx", "csv"] {
                a.button href=(format!("/figures/{name}/sheet?format={format}&{query}")) { (Word::Download.say(lang)) " " (format.to_uppercase()) }
            }
            @if head && visitor.may(Action::Seal) {
                form.inline method="post" action=(format!("/figures/{name}/seal")) {
                    input type="hidden" name="period" value=(period);
                    input type="hidden" name="unit" value=(asked.unit);
                    button type="submit" { (Word::SealReport.say(lang)) }
                }
                a.button href="/r/sealed-reports" { (Word::SealedReports.say(lang)) }
            }
        }
    }
}

/// A reminder to the branch of a cell.
fn remind_form(visitor: &Visitor, made: &Made, cell: &str) -> Markup {
    let lang = visitor.lang;
    let (line, column) = cell.split_once('/').unwrap_or((cell, ""));
    let found = made.table.lines.iter().find(|l| l.key == line);
    let kind = made.table.columns.iter().find(|c| c.key == column);
    html! {
        @if let (Some(line), Some(column), true) = (found, kind, visitor.may(Action::Write("reminder"))) {
            form.bar.noprint method="post" action="/figures/remind" {
                input type="hidden" name="unit" value=(line.unit.as_deref().unwrap_or_default());
                input type="hidden" name="branch" value=(line.key);
                div {
                    label for="what" { (Word::RemindWhat.say(lang)) }
                    input #what name="what" required size="40" value=(format!("{} {} {}", line.label, made.period, column_label(column, lang)));
                }
                div { label for="due" { (Word::DueDate.say(lang)) } input #due type="date" name="due"; }
                button type="submit" { (Word::Remind.say(lang)) }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Reminding {
    unit: String,
    branch: String,
    what: String,
    #[serde(default)]
    due: String,
}

pub(in crate::console) async fn remind(
    State(office): State<Office>,
    visitor: Visitor,
    Form(given): Form<Reminding>,
) -> Result<Redirect, Refused> {
    check(&visitor, Action::Write("reminder"), None)?;
    let mut fields = json!({ "unit": given.unit, "branch": given.branch, "what": given.what });
    if !given.due.is_empty() {
        fields["due"] = given.due.into();
    }
    // INVARIANT: a kind of this program.
    let schema = schema_named("reminder").expect("a kind of reminders");
    let (records, account) = (office.records().clone(), visitor.id());
    let saved = blocking(move || records.create(schema, &fields, None, None, &account))
        .await
        .told_to(&visitor)?;
    Ok(Redirect::to(&format!("/r/reminders/{}?said=saved", saved.document)))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Sealing {
    period: String,
    #[serde(default)]
    unit: String,
}

pub(in crate::console) async fn seal(
    State(office): State<Office>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(given): Form<Sealing>,
) -> Result<Redirect, Refused> {
    check(&visitor, Action::Seal, None)?;
    check_ready(&office, &visitor)?;
    let report = named(&name).told_to(&visitor)?;
    let unit = (!given.unit.is_empty()).then_some(given.unit);
    let query = ReportQuery { period: Some(given.period), unit, ..ReportQuery::default() };
    let (records, account) = (office.records().clone(), visitor.id());
    let (_, saved) =
        blocking(move || records.seal(report, &query, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to(&format!("/sealed/{}", saved.document)))
}

/// A sealed report beside what the same question gives now.
pub(in crate::console) async fn compared(
    State(office): State<Office>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Reports, None)?;
    check_ready(&office, &visitor)?;
    let lang = visitor.lang;
    let records = office.records().clone();
    let compared = blocking(move || records.compare(&id)).await.told_to(&visitor)?;
    let (sealed, now) = (&compared.sealed, &compared.now);
    let column = |key: &str| {
        let found = now.table.columns.iter().find(|c| c.key == key);
        found.map_or_else(|| key.to_owned(), |c| column_label(c, lang).to_owned())
    };
    let told = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "—".to_owned(),
        serde_json::Value::Object(cell) => match (
            cell.get("text").and_then(|t| t.as_str()),
            cell.get("done"),
            cell.get("required"),
        ) {
            (Some(text), ..) => text.to_owned(),
            (None, Some(done), Some(required)) => format!("{done}/{required}"),
            (None, Some(done), None) => done.to_string(),
            _ => String::new(),
        },
        other => other.to_string(),
    };
    let body = html! {
        p { (Word::SealedAsOf.say(lang)) " " (time(sealed.sealed_ms.max(0).unsigned_abs())) " · " (sealed.period) }
        h2 { (Word::Later.say(lang)) }
        @if compared.differences.is_empty() { p.faint { (Word::NothingLater.say(lang)) } }
        @else {
            table {
                thead { tr { th scope="col" {} th scope="col" {} th scope="col" { (Word::Before.say(lang)) } th scope="col" { (Word::After.say(lang)) } } }
                tbody {
                    @for one in &compared.differences {
                        tr {
                            th scope="row" { (one.label) } td { (column(&one.column)) }
                            td { (told(&serde_json::json!(one.then))) } td { (told(&serde_json::json!(one.now))) }
                        }
                    }
                }
            }
        }
        p { a.button href=(format!("/figures/{}?period={}", sealed.report, encoded(&sealed.period))) { (Word::Show.say(lang)) } }
    };
    let name =
        named(&sealed.report).map_or(Word::SealedReports.say(lang), |report| name_of(report, lang));
    Ok(full_page(&visitor, name, body))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct AsSheet {
    format: Format,
    #[serde(default)]
    period: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    by: String,
}

/// A report as a sheet.
pub(in crate::console) async fn sheet(
    State(office): State<Office>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(wanted): Query<AsSheet>,
) -> Result<Response, Refused> {
    check(&visitor, Action::Reports, None)?;
    check_ready(&office, &visitor)?;
    let report = named(&name).told_to(&visitor)?;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let query = ReportQuery {
        period: some(&wanted.period),
        unit: some(&wanted.unit),
        by: some(&wanted.by),
        explain: None,
    };
    let directory = office.records().shared.directory.now();
    let head = directory.head_office() == office.records().shared.unit();
    let hides = !head && matches!(report, Report::Roster | Report::Attendance);
    let (records, lang, format) = (office.records().clone(), visitor.lang, wanted.format);
    let bytes = blocking(move || {
        let made = records.report(report, &query)?;
        let table = &made.table;
        let small = |column: &Column, cell: &Cell| is_small(hides, column, cell);
        let mut rows = vec![
            std::iter::once(String::new())
                .chain(table.columns.iter().map(|c| column_label(c, lang).to_owned()))
                .collect::<Vec<_>>(),
        ];
        let line = |label: &str, cells: &[Cell]| -> Vec<String> {
            let cells =
                table.columns.iter().zip(cells).map(|(column, cell)| match small(column, cell) {
                    true => format!("<{SMALL}"),
                    false => told(cell, column, lang),
                });
            std::iter::once(label.to_owned()).chain(cells).collect()
        };
        rows.extend(table.lines.iter().map(|l| line(&l.label, &l.cells)));
        rows.extend(table.total.iter().map(|cells| line(Word::Total.say(lang), cells)));
        Ok::<_, Problem>(plain_sheet(format, name_of(report, lang), &rows)?)
    })
    .await
    .told_to(&visitor)?;
    let mut response = file(format.media_type(), bytes);
    let ending = match format {
        Format::Csv => "csv",
        Format::Xlsx => "xlsx",
    };
    if let Ok(value) =
        HeaderValue::from_str(&format!("attachment; filename=\"{}.{ending}\"", report.name()))
    {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn named(name: &str) -> Result<Report, ReportError> {
    let known = || Report::ALL.map(|(name, _)| name).join(", ");
    Report::named(name).ok_or_else(|| ReportError::Unknown(name.to_owned(), known()))
}

/// Few enough people to be known by the number.
fn is_small(hides: bool, column: &Column, cell: &Cell) -> bool {
    hides && column.shown == Shown::Count && cell.text.is_none() && (1..SMALL).contains(&cell.done)
}

fn column_label(column: &Column, lang: Lang) -> &str {
    match lang {
        Lang::Zh => &column.zh,
        Lang::En => &column.en,
    }
}

fn class(state: Option<How>) -> &'static str {
    match state {
        Some(How::Complete) => "good",
        Some(How::Due) => "warn",
        Some(How::Overdue) => "bad",
        Some(How::NotSynced) => "unknown",
        Some(How::NotApplicable) => "faint",
        None => "",
    }
}

fn state_label(state: How, lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => state.label_zh(),
        Lang::En => state.label_en(),
    }
}

/// A figure as text.
pub(in crate::console) fn told(cell: &Cell, column: &Column, lang: Lang) -> String {
    if cell.state == Some(How::NotSynced) {
        return Word::NotSynced.say(lang).to_owned();
    }
    if cell.state == Some(How::NotApplicable) {
        return "—".to_owned();
    }
    if let Some(text) = &cell.text {
        return text.clone();
    }
    match (column.shown, cell.required) {
        (Shown::Ratio, Some(required)) => format!("{}/{required}", cell.done),
        (Shown::Percent, _) => {
            cell.permille().map_or_else(|| "—".to_owned(), |p| format!("{}.{}%", p / 10, p % 10))
        }
        (Shown::Fen, _) => format!("{}.{:02}", cell.done / 100, cell.done % 100),
        _ => cell.done.to_string(),
    }
}

/// Branches by meeting kinds: done of required, coloured by how it stands and said in words.
pub(in crate::console) fn matrix(table: &Table, name: &str, period: &str, lang: Lang) -> Markup {
    html! {
        div.wide {
            table.matrix {
                thead { tr {
                    th scope="col" {}
                    @for column in &table.columns { th scope="col" { (column_label(column, lang)) } }
                } }
                tbody {
                    @for line in &table.lines {
                        tr {
                            th scope="row" { (line.label) }
                            @for (column, cell) in table.columns.iter().zip(&line.cells) {
                                td class=(class(cell.state)) title=[cell.state.map(|s| state_label(s, lang))] {
                                    (linked(line, column, cell, name, period, "", lang))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn linked(
    line: &Line,
    column: &Column,
    cell: &Cell,
    name: &str,
    period: &str,
    more: &str,
    lang: Lang,
) -> Markup {
    let text = told(cell, column, lang);
    // What is wanting has nothing behind it and may be asked for.
    if cell.ids.is_empty() && !matches!(cell.state, Some(How::Due | How::Overdue)) {
        return html! { (text) };
    }
    let to = format!(
        "/figures/{name}?period={}&explain={}/{}{more}",
        encoded(period),
        encoded(&line.key),
        encoded(&column.key)
    );
    html! { a href=(to) { (text) } }
}

fn table(table: &Table, name: &str, asked: &Asked, hides: bool, lang: Lang) -> Markup {
    let more = [("unit", &asked.unit), ("by", &asked.by)];
    let more: String = more
        .iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("&{k}={}", encoded(v)))
        .collect();
    let small = |column: &Column, cell: &Cell| {
        hides
            && column.shown == Shown::Count
            && cell.text.is_none()
            && (1..SMALL).contains(&cell.done)
    };
    html! {
        div.wide {
            table {
                thead { tr {
                    th scope="col" {}
                    @for column in &table.columns { th.number scope="col" { (column_label(column, lang)) } }
                } }
                tbody {
                    @for line in &table.lines {
                        tr {
                            th scope="row" { (line.label) }
                            @for (column, cell) in table.columns.iter().zip(&line.cells) {
                                td class=(format!("number {}", class(cell.state))) {
                                    @if small(column, cell) { "<" (SMALL) }
                                    @else { (linked(line, column, cell, name, &asked.period, &more, lang)) }
                                }
                            }
                        }
                    }
                }
                @if let Some(total) = &table.total {
                    tfoot { tr {
                        th scope="row" { (Word::Total.say(lang)) }
                        @for (column, cell) in table.columns.iter().zip(total) {
                            td.number { strong { @if small(column, cell) { "<" (SMALL) } @else { (told(cell, column, lang)) } } }
                        }
                    } }
                }
            }
        }
    }
}

/// How many cells of each meeting kind stand how.
fn counted(table: &Table) -> Vec<charts::Stack> {
    let of =
        |at: usize, how: How| table.lines.iter().filter(|l| l.cells[at].state == Some(how)).count();
    table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| charts::Stack {
            zh: column.zh.clone(),
            en: column.en.clone(),
            parts: [How::Complete, How::Due, How::Overdue, How::NotSynced]
                .map(|how| (how, of(at, how))),
        })
        .collect()
}

fn behind_shown(
    cell: &str,
    behind: &[Behind],
    directory: &fenbu_protocol::directory::Directory,
    lang: Lang,
) -> Markup {
    html! {
        section.card {
            h2 { (Word::RecordsBehind.say(lang)) " " (cell) span.count { (behind.len()) } }
            ul {
                @for one in behind.iter().take(200) {
                    @if let Some(schema) = schema_named(one.kind) {
                        li {
                            a href=(format!("/r/{}/{}", schema.plural, one.id)) {
                                (super::super::cells::kind_label(schema, lang)) " " (one.id.to_string().get(..8).unwrap_or_default())
                            }
                            " " span.faint { (unit_name(directory, one.unit.as_deref())) }
                        }
                    }
                }
            }
        }
    }
}

/// How fresh each unit's data is that the figures rest on.
fn fresh(made: &Made, lang: Lang) -> Markup {
    html! {
        details.small {
            summary { (Word::Fresh.say(lang)) }
            ul {
                @for unit in &made.units {
                    li {
                        (unit.name) (Word::Colon.say(lang))
                        @match unit.freshness.as_of_ms {
                            Some(ms) => (time(ms)),
                            None => span.tag.unknown { (Word::NotSynced.say(lang)) },
                        }
                    }
                }
            }
        }
    }
}
