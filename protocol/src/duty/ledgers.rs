//! Ledgers: programmes, directives and how fast they were conveyed, adoptions and honours.

use super::calendar::{Day, Period};
use super::matrix::Branch;
use super::table::{Cell, Column, Shown, State, Table};
use crate::id::DocId;
use crate::record::{Code, schema_named};
use std::collections::{BTreeMap, BTreeSet};

fn codes(kind: &str, field: &str) -> &'static [Code] {
    schema_named(kind).and_then(|s| s.field(field)).map_or(&[][..], |f| f.codes())
}

/// An activity, with the sums of what was reported of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub id: DocId,
    pub programme: String,
    pub day: Day,
    pub participants: i64,
    pub hours: i64,
    pub people: i64,
    pub donation_fen: i64,
}

/// What each programme came to in a period.
pub fn programmes(activities: &[Activity], period: Period) -> Table {
    let mut table = Table::new(vec![
        Column::count("activities", "活动", "Activities"),
        Column::count("participants", "参加人数", "Participants"),
        Column::count("hours", "服务时数", "Hours"),
        Column::count("people", "受益人数", "People helped"),
        Column::new("donation_fen", "捐款", "Donations", Shown::Fen),
    ]);
    let mut lines = BTreeMap::new();
    for code in codes("activity", "programme") {
        lines.insert(code.code.to_owned(), table.line(code.code, None, code.zh));
    }
    for activity in activities.iter().filter(|a| period.contains(a.day)) {
        let key = &activity.programme;
        let line = *lines.entry(key.clone()).or_insert_with(|| table.line(key, None, key));
        table.at(line, "activities").add(1, activity.id);
        for (column, amount) in [
            ("participants", activity.participants),
            ("hours", activity.hours),
            ("people", activity.people),
            ("donation_fen", activity.donation_fen),
        ] {
            if amount != 0 {
                table.at(line, column).add(amount, activity.id);
            }
        }
    }
    table.totalled()
}

/// A directive and who has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    pub id: DocId,
    pub title: String,
    pub issued: Day,
    pub due: Option<Day>,
    /// By branch code.
    pub receipts: BTreeMap<String, Conveyed>,
}

/// A branch's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conveyed {
    pub on: Day,
}

/// How many branches each directive of the period has reached, and how fast (第一时间传达): the middle and the
/// longest time in days. Branches that ended before it was issued are not asked.
pub fn directives(
    directives: &[Directive],
    branches: &[Branch],
    period: Period,
    today: Day,
) -> Table {
    let mut table = Table::new(vec![
        Column::new("conveyed", "已传达", "Conveyed", Shown::Ratio),
        Column::new("same_day", "当日传达", "Same day", Shown::Ratio),
        Column::new("median_days", "中位天数", "Median days", Shown::Days),
        Column::new("longest_days", "最长天数", "Longest", Shown::Days),
        Column::new("late", "逾期未传达", "Late", Shown::Count),
        Column::new("issued", "下发日期", "Issued", Shown::Text),
    ]);
    for directive in directives.iter().filter(|d| period.contains(d.issued)) {
        let line = table.line(&directive.id.to_string(), None, &directive.title);
        convey(&mut table, line, directive, branches, today);
    }
    table
}

fn convey(table: &mut Table, line: usize, directive: &Directive, branches: &[Branch], today: Day) {
    let asked = |b: &&Branch| match b.ended {
        Some(ended) => ended >= directive.issued,
        None => !b.dissolved,
    };
    let asked: BTreeSet<&str> = branches.iter().filter(asked).map(|b| b.code.as_str()).collect();
    let receipts = directive.receipts.iter().filter(|(code, _)| asked.contains(code.as_str()));
    let mut days: Vec<i64> =
        receipts.map(|(_, told)| (told.on.0 - directive.issued.0).max(0)).collect();
    days.sort_unstable();
    let (told, of) = (days.len() as i64, asked.len() as i64);
    let late = directive.due.is_some_and(|due| due < today);
    let state = match (told >= of, late) {
        (true, _) => State::Complete,
        (false, true) => State::Overdue,
        (false, false) => State::Due,
    };
    let cell = |done, required| Cell { done, required, ids: vec![directive.id], ..Cell::default() };
    let days_or_none = |day: Option<&i64>| day.map_or(Cell::text(""), |day| cell(*day, None));
    let same_day = days.iter().filter(|d| **d == 0).count() as i64;
    *table.at(line, "conveyed") = Cell { state: Some(state), ..cell(told, Some(of)) };
    *table.at(line, "same_day") = cell(same_day, Some(of));
    *table.at(line, "median_days") = days_or_none(days.get(days.len().saturating_sub(1) / 2));
    *table.at(line, "longest_days") = days_or_none(days.last());
    *table.at(line, "late") = cell(if late { of - told } else { 0 }, None);
    *table.at(line, "issued") = Cell::text(directive.issued.to_string());
}

/// An adoption of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    pub id: DocId,
    pub unit: Option<String>,
    pub kind: String,
    pub day: Day,
    pub status: String,
}

/// An honour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Honour {
    pub id: DocId,
    pub unit: Option<String>,
    pub level: String,
    pub year: i64,
    pub status: String,
}

/// What of each unit's was adopted, and the honours it brought, as far as head office has verified them; and
/// what waits to be. An honour belongs to the periods that meet its year.
pub fn ledgers(
    units: &[(String, String)],
    adoptions: &[Adoption],
    honours: &[Honour],
    period: Period,
) -> Table {
    let adopted = codes("adoption", "kind");
    let levels = codes("honour", "level");
    let mut columns: Vec<Column> =
        adopted.iter().map(|c| Column::count(c.code, c.zh, c.en)).collect();
    for level in levels {
        let zh = format!("{}荣誉", level.zh);
        columns.push(Column::count(&format!("honour_{}", level.code), &zh, level.en));
    }
    columns.push(Column::count("honour_other", "其他荣誉", "Other honours"));
    columns.push(Column::count("waiting", "待核实", "To be verified"));
    let mut table = Table::new(columns);
    let mut lines = BTreeMap::new();
    for (code, name) in units {
        lines.insert(code.as_str(), table.line(code, Some(code), name));
    }
    for adoption in adoptions.iter().filter(|a| period.contains(a.day)) {
        let known = adopted.iter().any(|c| c.code == adoption.kind);
        let key = known.then_some(adoption.kind.as_str());
        let line = adoption.unit.as_deref().and_then(|unit| lines.get(unit));
        enter(&mut table, line, key, &adoption.status, adoption.id);
    }
    let (first, last) = (period.start().civil().0, period.end().plus(-1).civil().0);
    for honour in honours.iter().filter(|h| (first..=last).contains(&h.year)) {
        let known = levels.iter().any(|c| c.code == honour.level);
        let key = format!("honour_{}", if known { honour.level.as_str() } else { "other" });
        let line = honour.unit.as_deref().and_then(|unit| lines.get(unit));
        enter(&mut table, line, Some(&key), &honour.status, honour.id);
    }
    table.totalled()
}

fn enter(table: &mut Table, line: Option<&usize>, key: Option<&str>, status: &str, id: DocId) {
    let Some(line) = line else { return };
    match (status, key) {
        ("verified", Some(key)) => table.at(*line, key).add(1, id),
        ("proposed", _) => table.at(*line, "waiting").add(1, id),
        _ => {}
    }
}
