//! Temporary branches through their life: how long they may last, who is lent to them, what their meetings
//! come to for the units that lend, and what has to be done before they end.

use super::attendance::Attended;
use super::calendar::{Day, Period};
use super::matrix::Meeting;
use super::table::{Cell, Column, Shown, State, Table};
use crate::id::{DocId, Hash};
use std::collections::{BTreeMap, BTreeSet};

/// A temporary branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemporaryBranch {
    pub id: DocId,
    pub code: String,
    pub name: String,
    pub host_unit: String,
    pub established: Option<Day>,
    pub planned_end: Option<Day>,
    pub status: String,
    /// Ids of its secondments, and whether the home unit has confirmed each.
    pub seconded: Vec<(DocId, bool)>,
}

/// Days a temporary branch may last.
pub const DAYS_MAX: i64 = 180;
/// From this day on it is warned of, while there is time to end it.
pub const DAYS_WARN: i64 = 150;

/// The temporary branches that were there in a period: how long they have lasted by `today` of the 180 days
/// they may, who was lent to them, what they have met for.
pub fn temporary(
    branches: &[TemporaryBranch],
    meetings: &[Meeting],
    period: Period,
    today: Day,
) -> Table {
    let mut table = Table::new(vec![
        Column::new("status", "状态", "Status", Shown::Text),
        Column::new("days", "天数/180", "Days of 180", Shown::Ratio),
        Column::new("left", "剩余天数", "Days left", Shown::Days),
        Column::new("seconded", "抽调确认", "Seconded", Shown::Ratio),
        Column::count("meetings", "会议", "Meetings"),
        Column::new("established", "成立日期", "Established", Shown::Text),
        Column::new("planned_end", "计划结束", "Planned end", Shown::Text),
    ]);
    let there = |b: &&TemporaryBranch| b.established.is_none_or(|day| day < period.end());
    for branch in branches.iter().filter(there) {
        let over = matches!(branch.status.as_str(), "dissolved" | "archived");
        if over && branch.planned_end.is_some_and(|end| end < period.start()) {
            continue;
        }
        let line = table.line(&branch.code, Some(&branch.host_unit), &branch.name);
        let text = |day: Option<Day>| Cell::text(day.map_or(String::new(), |d| d.to_string()));
        *table.at(line, "status") = Cell::text(branch.status.clone());
        *table.at(line, "established") = text(branch.established);
        *table.at(line, "planned_end") = text(branch.planned_end);
        if let Some(established) = branch.established {
            let until = if over { branch.planned_end.unwrap_or(today) } else { today };
            let days = (until.0 - established.0).max(0);
            let state = match days {
                _ if over => State::Complete,
                days if days > DAYS_MAX => State::Overdue,
                days if days >= DAYS_WARN => State::Due,
                _ => State::Complete,
            };
            let cell = table.at(line, "days");
            (cell.state, cell.done, cell.required) = (Some(state), days, Some(DAYS_MAX));
            cell.ids.push(branch.id);
            let left = table.at(line, "left");
            (left.done, left.ids) = (if over { 0 } else { DAYS_MAX - days }, vec![branch.id]);
        }
        for (id, confirmed) in &branch.seconded {
            table.at(line, "seconded").weigh(*confirmed, *id);
        }
        let own = meetings.iter().filter(|m| m.branch == branch.code && period.contains(m.day));
        own.for_each(|meeting| table.at(line, "meetings").add(1, meeting.id));
    }
    table
}

/// A member lent to a temporary branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secondment {
    pub id: DocId,
    /// Hex id of the member, where the record names one.
    pub member: Option<String>,
    pub person: String,
    pub home_unit: String,
    pub home_branch: Option<String>,
    /// Code of the temporary branch.
    pub branch: String,
    pub from: Option<Day>,
    pub to: Option<Day>,
    pub status: String,
}

impl Secondment {
    /// Whether the home unit has agreed to it.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.status.as_str(), "confirmed" | "returned")
    }

    /// Whether the member is away on a day: meanwhile they are not counted among those who should attend at
    /// home. The first and the last day count.
    pub fn is_away(&self, day: Day) -> bool {
        self.is_confirmed()
            && self.from.is_none_or(|from| from <= day)
            && self.to.is_none_or(|to| day <= to)
    }
}

/// What a meeting of a temporary branch is to the unit that lent one who was asked to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// The unit whose space it is told in.
    pub unit: String,
    /// Hex id.
    pub member: String,
    pub person: String,
    pub home_branch: Option<String>,
    pub branch: String,
    pub meeting: DocId,
    pub kind: String,
    pub day: Day,
    /// Attendance code.
    pub attendance: String,
}

impl Credit {
    /// The place of a credit, the same whoever makes it: what is corrected later finds it there.
    pub fn id(&self) -> DocId {
        let hash = Hash::of("fenbu/credit/1", &[&self.meeting.0, self.member.as_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.0[..16]);
        DocId(id)
    }
}

/// The credits that meetings of temporary branches come to, by place: one for each member with an attendance
/// whose secondment the home unit has confirmed. `meetings` are those that were held.
pub fn credits(meetings: &[Attended], seconded: &[Secondment]) -> BTreeMap<DocId, Credit> {
    let mut lent: BTreeMap<(&str, &str), &Secondment> = BTreeMap::new();
    for one in seconded.iter().filter(|s| s.is_confirmed()) {
        if let Some(member) = &one.member {
            lent.entry((&one.branch, member)).or_insert(one);
        }
    }
    let mut out = BTreeMap::new();
    for meeting in meetings {
        for (member, attendance) in &meeting.attendance {
            let Some(one) = lent.get(&(meeting.branch.as_str(), member.as_str())) else { continue };
            let credit = Credit {
                unit: one.home_unit.clone(),
                member: member.clone(),
                person: one.person.clone(),
                home_branch: one.home_branch.clone(),
                branch: meeting.branch.clone(),
                meeting: meeting.id,
                kind: meeting.kind.clone(),
                day: meeting.day,
                attendance: attendance.clone(),
            };
            out.insert(credit.id(), credit);
        }
    }
    out
}

/// A meeting of a branch that is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: DocId,
    pub status: String,
    /// Actions that are neither done nor handed to anybody.
    pub open_actions: usize,
    pub actions: usize,
}

/// What is looked at before a temporary branch ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending<'a> {
    pub meetings: &'a [Kept],
    /// Its own.
    pub seconded: &'a [Secondment],
    pub honours: &'a [DocId],
    /// Whether somebody has looked and there is none to record.
    pub no_honours: bool,
    /// Records of its space that wait for a person to settle them.
    pub conflicts: &'a [DocId],
    /// Units that are to have a full archive, and those that hold one of what there is now.
    pub keepers: BTreeSet<&'a str>,
    pub archived: BTreeSet<&'a str>,
    /// Home units that have been handed their extract.
    pub extracted: BTreeSet<&'a str>,
    /// Whether nobody writes its space any more.
    pub closed: bool,
}

/// When a point has to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Before {
    Dissolving,
    Archiving,
    /// It follows by itself.
    After,
}

/// A point of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub key: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub before: Before,
    pub done: usize,
    pub of: usize,
    /// Records that stand in the way.
    pub open: Vec<DocId>,
    /// Units that do.
    pub lacking: Vec<String>,
}

impl Point {
    pub fn is_met(&self) -> bool {
        self.done >= self.of
    }

    fn of_records(
        key: &'static str,
        zh: &'static str,
        en: &'static str,
        of: usize,
        open: Vec<DocId>,
    ) -> Self {
        let (before, done) = (Before::Dissolving, of.saturating_sub(open.len()));
        Self { key, zh, en, before, done, of, open, lacking: Vec::new() }
    }

    fn of_units(
        key: &'static str,
        zh: &'static str,
        en: &'static str,
        all: &BTreeSet<&str>,
        have: &BTreeSet<&str>,
    ) -> Self {
        let lacking: Vec<String> = all.difference(have).map(|unit| (*unit).to_owned()).collect();
        let (of, done) = (all.len(), all.len() - lacking.len());
        Self { key, zh, en, before: Before::Archiving, done, of, open: Vec::new(), lacking }
    }
}

/// The checklist of a temporary branch that is to end (撤销清单), computed from its records.
pub fn checklist(ending: &Ending<'_>) -> Vec<Point> {
    let ids =
        |open: &dyn Fn(&&Kept) -> bool| ending.meetings.iter().filter(open).map(|m| m.id).collect();
    let settled = |m: &&Kept| matches!(m.status.as_str(), "confirmed" | "archived" | "cancelled");
    let minutes: Vec<DocId> = ids(&|m| !settled(m));
    let with_open: Vec<DocId> = ids(&|m| m.open_actions > 0);
    let actions: usize = ending.meetings.iter().map(|m| m.actions).sum();
    let open_actions: usize = ending.meetings.iter().map(|m| m.open_actions).sum();
    let lent = ending.seconded.iter().filter(|s| s.status != "declined");
    let away = lent.clone().filter(|s| s.status != "returned" || s.to.is_none()).map(|s| s.id);
    let home_units: BTreeSet<&str> =
        lent.clone().filter(|s| s.is_confirmed()).map(|s| s.home_unit.as_str()).collect();
    let honours = usize::from(!ending.honours.is_empty() || ending.no_honours);
    let point = Point::of_records;
    vec![
        point("minutes", "会议记录已确认", "Minutes confirmed", ending.meetings.len(), minutes),
        Point {
            done: actions - open_actions,
            ..point(
                "actions",
                "待办事项办结或移交",
                "Actions done or handed over",
                actions,
                with_open,
            )
        },
        Point {
            done: honours,
            ..point("honours", "荣誉已登记", "Honours recorded", 1, Vec::new())
        },
        point("returned", "抽调人员归队", "Members returned", lent.count(), away.collect()),
        Point {
            done: usize::from(ending.conflicts.is_empty()),
            ..point("conflicts", "冲突已裁定", "Conflicts settled", 1, ending.conflicts.to_vec())
        },
        Point::of_units(
            "archive",
            "全宗归档",
            "Archived in full",
            &ending.keepers,
            &ending.archived,
        ),
        Point::of_units(
            "extracts",
            "摘录送原单位",
            "Extracts sent home",
            &home_units,
            &ending.extracted,
        ),
        Point {
            before: Before::After,
            done: usize::from(ending.closed),
            ..point("closed", "写权限已收回", "Writing ended", 1, Vec::new())
        },
    ]
}

/// What stands in the way of a step: keys of the points that are not met and have to be.
pub fn in_the_way(points: &[Point], before: Before) -> Vec<&'static str> {
    points.iter().filter(|p| p.before <= before && !p.is_met()).map(|p| p.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn id(n: u8) -> DocId {
        DocId([n; 16])
    }

    fn lent(n: u8, status: &str) -> Secondment {
        Secondment {
            id: id(n),
            member: Some(id(n).to_string()),
            person: format!("P{n}"),
            home_unit: format!("u{n}"),
            home_branch: Some(format!("u{n}-1")),
            branch: "T1".into(),
            from: Some(day("2018-03-01")),
            to: Some(day("2018-08-20")),
            status: status.into(),
        }
    }

    fn branch(established: &str, status: &str) -> TemporaryBranch {
        TemporaryBranch {
            id: id(9),
            code: "T1".into(),
            name: "Task force".into(),
            host_unit: "u1".into(),
            established: Some(day(established)),
            planned_end: Some(day("2018-08-20")),
            status: status.into(),
            seconded: vec![(id(1), true), (id(2), false)],
        }
    }

    #[test]
    fn from_day_150_of_180_it_is_warned_of() {
        let period = Period::parse("2018", day("2018-12-01")).unwrap();
        let read = |today: &str, status: &str| {
            let branches = [branch("2018-03-01", status)];
            let table = temporary(&branches, &[], period, day(today));
            let days = table.cell("T1/days").unwrap();
            (days.state.unwrap(), days.done, table.cell("T1/left").unwrap().done)
        };
        assert_eq!(read("2018-07-28", "active"), (State::Complete, 149, 31));
        assert_eq!(read("2018-07-29", "active"), (State::Due, 150, 30));
        assert_eq!(read("2018-08-28", "dissolving"), (State::Due, 180, 0));
        assert_eq!(read("2018-08-29", "active"), (State::Overdue, 181, -1));
        assert_eq!(read("2018-12-01", "archived"), (State::Complete, 172, 0), "it is over");
        let seconded = temporary(&[branch("2018-03-01", "active")], &[], period, day("2018-04-01"));
        let cell = seconded.cell("T1/seconded").unwrap();
        assert_eq!((cell.done, cell.required), (1, Some(2)));
    }

    #[test]
    fn attendance_is_credited_where_the_home_unit_has_confirmed() {
        let seconded = [lent(1, "confirmed"), lent(2, "proposed"), lent(3, "returned")];
        let said = [(1, "present"), (2, "present"), (3, "leave"), (4, "present")];
        let meeting = Attended {
            id: id(20),
            branch: "T1".into(),
            kind: "rally".into(),
            day: day("2018-03-02"),
            expected: BTreeSet::new(),
            attendance: said.iter().map(|(n, how)| (id(*n).to_string(), (*how).into())).collect(),
        };
        let elsewhere = Attended { id: id(21), branch: "T2".into(), ..meeting.clone() };
        let made = credits(&[meeting, elsewhere], &seconded);
        let mut told: Vec<_> =
            made.values().map(|c| (c.unit.as_str(), c.attendance.as_str())).collect();
        told.sort_unstable();
        assert_eq!(told, [("u1", "present"), ("u3", "leave")]);
        assert!(
            made.iter().all(|(id, credit)| credit.id() == *id && credit.meeting == self::id(20))
        );
    }

    #[test]
    fn the_days_of_a_secondment_are_told_only_once_it_is_confirmed() {
        let one = lent(1, "confirmed");
        assert!(one.is_away(day("2018-03-01")) && one.is_away(day("2018-08-20")));
        assert!(!one.is_away(day("2018-02-28")) && !one.is_away(day("2018-08-21")));
        assert!(!lent(1, "proposed").is_away(day("2018-04-01")));
        assert!(Secondment { from: None, to: None, ..one }.is_away(day("1990-01-01")));
    }

    #[test]
    fn the_checklist_names_what_stands_in_the_way() {
        let kept = |n: u8, status: &str, open_actions: usize| Kept {
            id: id(n),
            status: status.into(),
            open_actions,
            actions: 2,
        };
        let meetings = [kept(1, "confirmed", 0), kept(2, "held", 1), kept(3, "cancelled", 0)];
        let seconded = [lent(1, "returned"), lent(2, "confirmed"), lent(3, "declined")];
        let mut ending = Ending {
            meetings: &meetings,
            seconded: &seconded,
            honours: &[],
            no_honours: false,
            conflicts: &[id(5)],
            keepers: BTreeSet::from(["head", "u1"]),
            archived: BTreeSet::from(["head"]),
            extracted: BTreeSet::new(),
            closed: false,
        };
        let points = checklist(&ending);
        let point = |key: &str| points.iter().find(|p| p.key == key).unwrap();
        let counts = |key: &str| (point(key).done, point(key).of);
        assert_eq!(counts("minutes"), (2, 3));
        assert_eq!(point("minutes").open, [id(2)]);
        assert_eq!((counts("actions"), &point("actions").open[..]), ((5, 6), &[id(2)][..]));
        assert_eq!((counts("honours"), counts("returned")), ((0, 1), (1, 2)));
        assert_eq!(
            (counts("archive"), &point("archive").lacking[..]),
            ((1, 2), &["u1".to_owned()][..])
        );
        assert_eq!(counts("extracts"), (0, 2), "who declined lent nobody");
        let before = |before| in_the_way(&points, before);
        assert_eq!(
            before(Before::Dissolving),
            ["minutes", "actions", "honours", "returned", "conflicts"]
        );
        assert_eq!(before(Before::Archiving).len(), 7);

        let meetings = [kept(1, "confirmed", 0)];
        let seconded = [lent(1, "returned")];
        (ending.meetings, ending.seconded, ending.conflicts) = (&meetings, &seconded, &[]);
        (ending.no_honours, ending.archived) = (true, BTreeSet::from(["head", "u1"]));
        ending.extracted = BTreeSet::from(["u1"]);
        assert_eq!(in_the_way(&checklist(&ending), Before::Archiving), Vec::<&str>::new());
        assert_eq!(in_the_way(&checklist(&ending), Before::After), ["closed"]);
    }
}
