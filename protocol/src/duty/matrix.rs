//! 三会一课: which branch has held what was due, in which period.

use super::calendar::{Day, Period};
use super::freshness::Freshness;
use super::pack::{Duty, Needs, Packs};
use super::table::{Cell, Column, Shown, State, Table, Unit, places};
use crate::id::DocId;
use crate::record::schema_named;
use std::collections::BTreeMap;

/// A Party organisation, as duties look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub code: String,
    pub name: String,
    pub unit: String,
    /// `branch` where the record does not say.
    pub kind: String,
    pub established: Option<Day>,
    /// Last day; nothing is due from a period in which it ended.
    pub ended: Option<Day>,
    /// It has ended, maybe without a date: without one, nothing is due any more or ever was.
    pub dissolved: bool,
    pub committee: bool,
    pub groups: i64,
}

/// A meeting that was held: duties ask no more of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    pub id: DocId,
    pub branch: String,
    pub kind: String,
    pub day: Day,
}

/// The day a meeting counts on, if it counts: it was held, and has a start, or was planned for a day.
pub fn meets(status: &str, start_ms: Option<i64>, planned_ms: Option<i64>) -> Option<Day> {
    let held = matches!(status, "held" | "confirmed" | "archived");
    start_ms.or(planned_ms).filter(|_| held).map(Day::of_ms)
}

/// Whether the branch owes anything of the kind in the window, by its own nature.
fn owes(branch: &Branch, duty: &Duty, window: Period) -> bool {
    let has = match duty.needs {
        Needs::Nothing => true,
        Needs::Committee => branch.committee,
        Needs::Groups => branch.groups > 0,
    };
    let there_before = branch.established.is_none_or(|day| day <= window.start());
    let there_after = match branch.ended {
        Some(day) => day >= window.end(),
        None => !branch.dissolved,
    };
    duty.times > 0 && has && duty.branches.contains(&branch.kind) && there_before && there_after
}

/// Meetings of each branch and kind, by day.
struct Calendar<'a> {
    kinds: BTreeMap<&'a str, usize>,
    branches: BTreeMap<&'a str, usize>,
    held: Vec<Vec<(Day, DocId)>>,
}

impl<'a> Calendar<'a> {
    fn of(branches: &'a [Branch], kinds: &[&'a str], meetings: &[Meeting]) -> Self {
        let kinds = places(kinds.iter().copied());
        let branches = places(branches.iter().map(|b| b.code.as_str()));
        let mut held = vec![Vec::new(); kinds.len() * branches.len()];
        for meeting in meetings {
            let place = branches.get(meeting.branch.as_str()).zip(kinds.get(meeting.kind.as_str()));
            if let Some((branch, kind)) = place {
                held[branch * kinds.len() + kind].push((meeting.day, meeting.id));
            }
        }
        held.iter_mut().for_each(|days| days.sort_unstable());
        Self { kinds, branches, held }
    }

    fn within(&self, branch: &str, kind: &str, window: Period) -> &[(Day, DocId)] {
        let Some((branch, kind)) = self.branches.get(branch).zip(self.kinds.get(kind)) else {
            return &[];
        };
        let days = &self.held[branch * self.kinds.len() + kind];
        let (from, to) = (window.start(), window.end());
        &days[days.partition_point(|(d, _)| *d < from)..days.partition_point(|(d, _)| *d < to)]
    }
}

/// One branch, one kind of meeting.
fn cell(
    branch: &Branch,
    kind: &str,
    period: Period,
    packs: &Packs,
    calendar: &Calendar<'_>,
    fresh: Option<&Freshness>,
    now_ms: u64,
) -> Cell {
    let mut cell = Cell { required: Some(0), ..Cell::default() };
    let mut worst = None;
    // Each part of the year is judged by the pack in force on its last day.
    for window in period.months() {
        let pack = packs.on(window.end().plus(-1));
        let Some(duty) = pack.duties.get(kind) else { continue };
        let Some(window) = window.ending_here(duty.per.months()) else { continue };
        if !owes(branch, duty, window) {
            continue;
        }
        let held = calendar.within(&branch.code, kind, window);
        let (done, times) = (held.len().min(duty.times as usize) as i64, i64::from(duty.times));
        cell.done += done;
        *cell.required.get_or_insert(0) += times;
        cell.ids.extend(held.iter().map(|(_, id)| *id));
        let end_ms = window.end().start_ms();
        let state = if done >= times {
            State::Complete
        } else if i128::from(now_ms) < i128::from(end_ms) {
            State::Due
        } else if fresh.is_some_and(|f| f.reaches(end_ms)) {
            State::Overdue
        } else {
            State::NotSynced
        };
        worst = worst.max(Some(rank(state)));
    }
    cell.state = Some(worst.map_or(State::NotApplicable, |(_, state)| state));
    cell
}

/// Of several windows, the worst is shown: what is known to be overdue before what is not known.
fn rank(state: State) -> (u8, State) {
    let rank = match state {
        State::Complete | State::NotApplicable => 0,
        State::Due => 1,
        State::NotSynced => 2,
        State::Overdue => 3,
    };
    (rank, state)
}

/// Every branch against every kind of meeting that is due: done of required, and how that stands. A kind none
/// of whose periods ends within `period` reads not applicable: a quarter's meeting is asked for at its end.
pub fn matrix(
    branches: &[Branch],
    meetings: &[Meeting],
    packs: &Packs,
    period: Period,
    units: &[Unit],
    now_ms: u64,
) -> Table {
    let due = packs.kinds();
    let codes =
        schema_named("meeting").and_then(|s| s.field("kind")).map_or(&[][..], |f| f.codes());
    let mut columns: Vec<Column> = Vec::new();
    for code in codes.iter().filter(|c| due.contains(c.code)) {
        columns.push(Column::new(code.code, code.zh, code.en, Shown::Ratio));
    }
    // Kinds of a newer version, or of a federation's own.
    for kind in due.iter().filter(|kind| !codes.iter().any(|c| c.code == **kind)) {
        columns.push(Column::new(kind, kind, kind, Shown::Ratio));
    }
    let kinds: Vec<String> = columns.iter().map(|c| c.key.clone()).collect();
    let names: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let calendar = Calendar::of(branches, &names, meetings);
    let fresh: BTreeMap<&str, &Freshness> =
        units.iter().map(|u| (u.code.as_str(), &u.freshness)).collect();
    let mut table = Table::new(columns);
    for branch in branches {
        let line = table.line(&branch.code, Some(&branch.unit), &branch.name);
        let fresh = fresh.get(branch.unit.as_str()).copied();
        table.lines[line].cells = names
            .iter()
            .map(|kind| cell(branch, kind, period, packs, &calendar, fresh, now_ms))
            .collect();
    }
    table.totalled()
}
