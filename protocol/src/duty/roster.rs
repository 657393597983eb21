//! The roster in figures. Everyone counts exactly once, at the unit they belong to.

use super::calendar::Day;
use super::table::{Column, Shown, Table};
use crate::id::DocId;
use crate::record::{Code, schema_named};
use std::collections::BTreeMap;

/// A person on a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: DocId,
    /// The unit whose space the record lives in.
    pub unit: String,
    pub branch: Option<String>,
    pub stage: String,
    pub standing: String,
    pub joined: Option<Day>,
    pub birth: Option<Day>,
    pub gender: Option<String>,
    pub groups: Vec<String>,
}

/// A move from one unit to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub id: DocId,
    /// Hex id of the member.
    pub member: String,
    pub from_unit: String,
    pub to_unit: String,
    pub to_branch: Option<String>,
    pub issued: Option<Day>,
    pub expiry: Option<Day>,
    pub status: String,
}

/// Where a member counts: at home, until a transfer has been received, and then where it led. `transfers` are
/// the member's.
pub fn home_of<'a>(member: &'a Member, transfers: &[&'a Transfer]) -> (&'a str, Option<&'a str>) {
    let mut received: Vec<_> = transfers.iter().filter(|t| t.status == "received").collect();
    received.sort_by_key(|t| (t.issued, t.id));
    let mut home = (member.unit.as_str(), member.branch.as_deref());
    for transfer in received {
        if transfer.from_unit == home.0 {
            home = (&transfer.to_unit, transfer.to_branch.as_deref());
        }
    }
    home
}

/// Ages in the Party, in whole years: up to, and its names.
const PARTY_AGES: [(&str, i64, &str, &str); 4] = [
    ("age_0", 5, "党龄5年以下", "Under 5 years"),
    ("age_5", 10, "党龄5-9年", "5 to 9"),
    ("age_10", 20, "党龄10-19年", "10 to 19"),
    ("age_20", i64::MAX, "党龄20年以上", "20 and more"),
];

/// Ages of people, in whole years: up to, and its names.
const AGES: [(&str, i64, &str, &str); 4] = [
    ("years_0", 35, "35岁以下", "Under 35"),
    ("years_35", 45, "35-44岁", "35 to 44"),
    ("years_45", 60, "45-59岁", "45 to 59"),
    ("years_60", i64::MAX, "60岁以上", "60 and more"),
];

fn stages() -> &'static [Code] {
    schema_named("member").and_then(|s| s.field("stage")).map_or(&[][..], |f| f.codes())
}

fn columns() -> Vec<Column> {
    let mut columns = vec![
        Column::count("people", "人数", "People"),
        Column::count("members", "党员", "Members"),
    ];
    columns.extend(stages().iter().map(|c| Column::count(c.code, c.zh, c.en)));
    columns.extend([
        Column::count("apart", "党籍异常", "Standing"),
        Column::count("female", "女", "Women"),
        Column::count("youth", "青年", "Youth"),
    ]);
    columns.extend(PARTY_AGES.iter().map(|(key, _, zh, en)| Column::count(key, zh, en)));
    columns.extend(AGES.iter().map(|(key, _, zh, en)| Column::count(key, zh, en)));
    columns.push(Column::new("coverage", "党员覆盖率", "Coverage", Shown::Percent));
    columns.push(Column::count("leaving", "转出在途", "Leaving"));
    columns
}

/// The people of each line: `lines` are units, or branches of a unit, as key, unit and name; `by_branch` says
/// which. Party age is of members with a date of joining, age of members with a date of birth, on `today`.
/// `coverage` says how many of the people on the roster are members. `leaving` counts transfers on the way,
/// whose members still count here.
pub fn roster(
    lines: &[(String, String, String)],
    by_branch: bool,
    members: &[Member],
    transfers: &[Transfer],
    today: Day,
) -> Table {
    let mut table = Table::new(columns());
    let mut places = BTreeMap::new();
    for (key, unit, name) in lines {
        places.insert(key.as_str(), table.line(key, Some(unit), name));
    }
    let mut moves: BTreeMap<&str, Vec<&Transfer>> = BTreeMap::new();
    for transfer in transfers {
        moves.entry(&transfer.member).or_default().push(transfer);
    }
    for member in once_each(members, &moves) {
        let own = moves.get(member.id.to_string().as_str()).map_or(&[][..], Vec::as_slice);
        let (unit, branch) = home_of(member, own);
        let key = if by_branch { branch.unwrap_or_default() } else { unit };
        if let Some(line) = places.get(key) {
            let leaving = own.iter().any(|t| t.status == "issued" && t.from_unit == unit);
            count(&mut table, *line, member, leaving, today);
        }
    }
    table.totalled()
}

/// One person, one record: of copies that a handing over leaves in two spaces the source's is looked at, and
/// the transfer says where it leads.
fn once_each<'a>(
    members: &'a [Member],
    moves: &BTreeMap<&str, Vec<&Transfer>>,
) -> impl Iterator<Item = &'a Member> + use<'a> {
    let mut people: BTreeMap<DocId, &Member> = BTreeMap::new();
    for member in members {
        let moves = moves.get(member.id.to_string().as_str());
        let source = |m: &Member| moves.is_some_and(|ts| ts.iter().any(|t| t.from_unit == m.unit));
        let stays = people.get(&member.id).is_some_and(|held| {
            (!source(held), held.unit.as_str()) <= (!source(member), member.unit.as_str())
        });
        if !stays {
            people.insert(member.id, member);
        }
    }
    people.into_values()
}

fn count(table: &mut Table, line: usize, member: &Member, leaving: bool, today: Day) {
    let mut add = |key: &str| table.at(line, key).add(1, member.id);
    add("people");
    if stages().iter().any(|c| c.code == member.stage) {
        add(&member.stage);
    }
    if leaving {
        add("leaving");
    }
    if member.standing != "normal" {
        add("apart");
    }
    if member.gender.as_deref() == Some("female") {
        add("female");
    }
    if member.groups.iter().any(|group| group == "youth") {
        add("youth");
    }
    let in_party = matches!(member.stage.as_str(), "probationary" | "full")
        && matches!(member.standing.as_str(), "normal" | "on_probation_discipline" | "suspended");
    table.at(line, "coverage").weigh(in_party, member.id);
    if !in_party {
        return;
    }
    let mut add = |key: &str| table.at(line, key).add(1, member.id);
    add("members");
    for (since, bands) in [(member.joined, &PARTY_AGES), (member.birth, &AGES)] {
        let years = since.map(|since| years_between(since, today));
        let band = years.and_then(|years| bands.iter().find(|(_, below, ..)| years < *below));
        if let Some((key, ..)) = band {
            add(key);
        }
    }
}

/// Whole years from one day to another.
fn years_between(from: Day, to: Day) -> i64 {
    let ((y, m, d), (year, month, day)) = (from.civil(), to.civil());
    year - y - i64::from((month, day) < (m, d))
}
