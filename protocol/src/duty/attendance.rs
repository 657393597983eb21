//! Attendance: of those who should have been there (应到), who was, who made up for it, and how the leaders
//! did (关键少数).

use super::calendar::{Day, Period};
use super::matrix::Branch;
use super::pack::{Counting, Packs};
use super::roster::Member;
use super::table::{Column, Shown, Table};
use super::temporary::Secondment;
use crate::id::DocId;
use std::collections::{BTreeMap, BTreeSet};

/// A meeting that was held, and what is said of each person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attended {
    pub id: DocId,
    pub branch: String,
    pub kind: String,
    pub day: Day,
    /// Who was expected, where that was fixed when the meeting opened.
    pub expected: BTreeSet<String>,
    /// Attendance codes by member id.
    pub attendance: BTreeMap<String, String>,
}

/// Who held which post: approved terms, or terms that have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub id: DocId,
    /// Hex id of the member, where the term names one.
    pub member: Option<String>,
    pub person: String,
    pub branch: String,
    pub post: String,
    pub from: Option<Day>,
    pub to: Option<Day>,
}

impl Term {
    /// Whether it makes its holder one of the leaders on a day.
    fn leads(&self, day: Day) -> bool {
        let leading = matches!(
            self.post.as_str(),
            "secretary" | "deputy_secretary" | "organisation" | "publicity" | "discipline"
        );
        leading && self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// What the lines of an attendance report stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    Unit,
    Branch,
}

/// What attendance is told from.
#[derive(Debug, Clone, Copy)]
pub struct Gathered<'a> {
    pub branches: &'a [Branch],
    /// Codes and names.
    pub units: &'a [(String, String)],
    pub meetings: &'a [Attended],
    pub members: &'a [Member],
    pub terms: &'a [Term],
    pub seconded: &'a [Secondment],
    pub credited: &'a [Credited],
}

/// Attendance at a temporary branch that counts at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    pub id: DocId,
    /// The unit whose space tells it.
    pub unit: String,
    pub home_branch: Option<String>,
    pub day: Day,
    /// Attendance code.
    pub attendance: String,
}

/// What everyone who looks at one person's place in a meeting needs.
struct People<'a> {
    members: BTreeMap<String, &'a Member>,
    /// Terms by member id.
    terms: BTreeMap<&'a str, Vec<&'a Term>>,
    /// Secondments by member id.
    seconded: BTreeMap<&'a str, Vec<&'a Secondment>>,
}

impl<'a> People<'a> {
    fn of(members: &'a [Member], terms: &'a [Term], seconded: &'a [Secondment]) -> Self {
        let mut away: BTreeMap<&str, Vec<&Secondment>> = BTreeMap::new();
        for one in seconded {
            if let Some(member) = &one.member {
                away.entry(member).or_default().push(one);
            }
        }
        let mut by_member: BTreeMap<&str, Vec<&Term>> = BTreeMap::new();
        for term in terms {
            if let Some(member) = &term.member {
                by_member.entry(member).or_default().push(term);
            }
        }
        let members = members.iter().map(|m| (m.id.to_string(), m)).collect();
        Self { members, terms: by_member, seconded: away }
    }

    /// Whether a person counts among those who should attend. Somebody this node knows nothing else of was
    /// put on the list by those who know them.
    fn counts(&self, person: &str, day: Day, counting: &Counting) -> bool {
        let Some(member) = self.members.get(person) else { return true };
        counting.stages.contains(&member.stage)
            && counting.standings.contains(&member.standing)
            && member.joined.is_none_or(|joined| joined <= day)
    }

    /// Whether somebody is with another branch, a temporary one, on a day.
    fn is_away(&self, person: &str, branch: &str, day: Day) -> bool {
        let seconded = self.seconded.get(person).into_iter().flatten();
        seconded.into_iter().any(|one| one.branch != branch && one.is_away(day))
    }

    fn leads(&self, person: &str, branch: &str, day: Day) -> bool {
        let terms = self.terms.get(person).into_iter().flatten();
        terms.into_iter().any(|term| term.branch == branch && term.leads(day))
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::count("meetings", "会议", "Meetings"),
        Column::new("raw", "实到/应到", "Present", Shown::Ratio),
        Column::new("rate", "到会率", "Rate", Shown::Percent),
        Column::count("made_up", "补学", "Made up"),
        Column::count("excluded", "不计应到", "Excluded"),
        Column::new("credited", "临时党支部出席", "At temporary branches", Shown::Ratio),
        Column::new("adjusted", "调整后到会率", "Adjusted", Shown::Percent),
        Column::new("leaders", "领导到会率", "Leaders", Shown::Percent),
    ]
}

/// The attendance at the period's meetings, by unit or branch. The raw rate counts everyone who should attend
/// by stage and standing; the adjusted one leaves out who was excluded or away with a temporary branch, and
/// takes in who made up for it. What those away attended there is credited to their home branch beside it.
pub fn attendance(from: Gathered<'_>, packs: &Packs, period: Period, by: Grouping) -> Table {
    let people = People::of(from.members, from.terms, from.seconded);
    let mut table = Table::new(columns());
    let mut lines = BTreeMap::new();
    match by {
        Grouping::Unit => {
            for (code, name) in from.units {
                lines.insert(code.as_str(), table.line(code, Some(code), name));
            }
        }
        Grouping::Branch => {
            for branch in from.branches {
                let line = table.line(&branch.code, Some(&branch.unit), &branch.name);
                lines.insert(branch.code.as_str(), line);
            }
        }
    }
    let units = from.branches.iter().map(|b| (b.code.as_str(), b.unit.as_str()));
    let unit_of: BTreeMap<&str, &str> = units.collect();
    for meeting in from.meetings.iter().filter(|m| period.contains(m.day)) {
        let key = match by {
            Grouping::Branch => Some(meeting.branch.as_str()),
            Grouping::Unit => unit_of.get(meeting.branch.as_str()).copied(),
        };
        if let Some(line) = key.and_then(|key| lines.get(key)) {
            count(&mut table, *line, meeting, &people, &packs.on(meeting.day).counting);
        }
    }
    for credit in from.credited.iter().filter(|c| period.contains(c.day)) {
        let key = match by {
            Grouping::Branch => credit.home_branch.as_deref(),
            Grouping::Unit => Some(credit.unit.as_str()),
        };
        if let Some(line) = key.and_then(|key| lines.get(key)) {
            let there = packs.on(credit.day).counting.attended.contains(&credit.attendance);
            table.at(*line, "credited").weigh(there, credit.id);
        }
    }
    table.totalled()
}

fn count(table: &mut Table, line: usize, meeting: &Attended, people: &People<'_>, rule: &Counting) {
    table.at(line, "meetings").add(1, meeting.id);
    let named: BTreeSet<&String> = match meeting.expected.is_empty() {
        true => meeting.attendance.keys().collect(),
        false => meeting.expected.iter().collect(),
    };
    for person in named {
        if meeting.expected.is_empty() && !people.counts(person, meeting.day, rule) {
            continue;
        }
        let code = meeting.attendance.get(person).map_or("absent", String::as_str);
        let there = rule.attended.contains(code);
        let away = !there && people.is_away(person, &meeting.branch, meeting.day);
        let made_up = rule.made_up.contains(code);
        let excluded = away && !made_up || rule.excluded.contains(code);
        table.at(line, "raw").weigh(there, meeting.id);
        table.at(line, "rate").weigh(there, meeting.id);
        if made_up {
            table.at(line, "made_up").add(1, meeting.id);
        }
        if excluded {
            table.at(line, "excluded").add(1, meeting.id);
        } else {
            table.at(line, "adjusted").weigh(there || made_up, meeting.id);
            if people.leads(person, &meeting.branch, meeting.day) {
                table.at(line, "leaders").weigh(there || made_up, meeting.id);
            }
        }
    }
}
