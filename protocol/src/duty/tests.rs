//! What is due, who counts, what was sealed.

use super::*;
use crate::id::{DocId, NodeId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const NOW: &str = "2018-11-24";

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn period(text: &str) -> Period {
    Period::parse(text, day(NOW)).unwrap()
}

fn now_ms() -> u64 {
    day(NOW).start_ms() as u64
}

fn id(n: u8) -> DocId {
    DocId([n; 16])
}

fn branch(code: &str) -> Branch {
    Branch {
        code: code.into(),
        name: code.to_uppercase(),
        unit: code.split('-').next().unwrap().into(),
        kind: "branch".into(),
        established: None,
        ended: None,
        dissolved: false,
        committee: true,
        groups: 2,
    }
}

fn unit(code: &str, as_of: &str) -> Unit {
    let as_of_ms = Day::parse(as_of).map(|d| d.start_ms() as u64);
    let freshness =
        Freshness { as_of_ms, stalest: Some(NodeId([1; 32])), nodes: 1, clock_ahead: false };
    Unit { code: code.into(), name: code.into(), freshness }
}

fn meeting(n: u8, branch: &str, kind: &str, on: &str) -> Meeting {
    Meeting { id: id(n), branch: branch.into(), kind: kind.into(), day: day(on) }
}

fn table(branches: &[Branch], meetings: &[Meeting], packs: &Packs, of: &str, fresh: &str) -> Table {
    matrix(branches, meetings, packs, period(of), &[unit("nt", fresh)], now_ms())
}

/// State, done and required of a cell.
fn read(table: &Table, cell: &str) -> (State, i64, i64) {
    let cell = table.cell(cell).unwrap();
    (cell.state.unwrap(), cell.done, cell.required.unwrap())
}

#[test]
fn what_was_held_is_complete_and_what_was_not_depends_on_what_is_known() {
    let branches = [branch("nt-1")];
    let held = [
        meeting(1, "nt-1", "committee", "2018-07-03"),
        meeting(2, "nt-1", "committee", "2018-09-30"),
        meeting(3, "nt-1", "committee", "2018-09-12"),
        meeting(4, "nt-1", "general", "2018-08-01"),
        meeting(5, "other", "general", "2018-08-01"),
    ];
    let standard = Packs::of([]);
    let fresh = table(&branches, &held, &standard, "2018-Q3", NOW);
    assert_eq!(read(&fresh, "nt-1/committee"), (State::Overdue, 2, 3), "two in September are one");
    assert_eq!(fresh.cell("nt-1/committee").unwrap().ids, [id(1), id(3), id(2)]);
    assert_eq!(read(&fresh, "nt-1/general"), (State::Complete, 1, 1));
    assert_eq!(read(&fresh, "nt-1/appraisal"), (State::NotApplicable, 0, 0), "asked at year's end");
    let total = fresh.cell("total/committee").unwrap();
    assert_eq!((total.done, total.required), (2, Some(3)));

    let stale = table(&branches, &held, &standard, "2018-Q3", "2018-08-31");
    assert_eq!(read(&stale, "nt-1/committee"), (State::NotSynced, 2, 3), "August is not all here");
    assert_eq!(read(&stale, "nt-1/general"), (State::Complete, 1, 1), "what is here is here");
    let partly = table(&branches, &held, &standard, "2018-Q3", "2018-09-01");
    assert_eq!(read(&partly, "nt-1/committee"), (State::Overdue, 2, 3), "August is");
    let never = table(&branches, &held, &standard, "2018-Q3", "");
    assert_eq!(read(&never, "nt-1/lecture"), (State::NotSynced, 0, 1));

    let running = table(&branches, &[], &standard, "2018-Q4", NOW);
    assert_eq!(read(&running, "nt-1/general"), (State::Due, 0, 1));
    assert_eq!(read(&running, "nt-1/committee"), (State::Overdue, 0, 3), "October is over");
}

#[test]
fn nothing_is_due_where_it_does_not_apply() {
    let small = Branch { committee: false, groups: 0, ..branch("nt-1") };
    let young = Branch { established: Some(day("2018-08-02")), ..branch("nt-2") };
    let gone = Branch { ended: Some(day("2018-08-30")), dissolved: true, ..branch("nt-3") };
    let undated = Branch { dissolved: true, ..branch("nt-4") };
    let group = Branch { kind: "group".into(), ..branch("nt-5") };
    let temporary = Branch { kind: "temporary".into(), ..branch("nt-6") };
    let branches = [small, young, gone, undated, group, temporary];
    let q3 = table(&branches, &[], &Packs::of([]), "2018-Q3", NOW);
    let required = |cell: &str| read(&q3, cell).2;
    assert_eq!((required("nt-1/committee"), required("nt-1/group")), (0, 0));
    assert_eq!(read(&q3, "nt-1/committee").0, State::NotApplicable);
    assert_eq!(required("nt-1/theme_day"), 3);
    assert_eq!((required("nt-2/theme_day"), required("nt-2/general")), (1, 0), "from September on");
    assert_eq!((required("nt-3/theme_day"), required("nt-3/general")), (1, 0), "up to July");
    assert_eq!((required("nt-4/theme_day"), required("nt-5/theme_day")), (0, 0));
    assert_eq!((required("nt-6/theme_day"), required("nt-6/group")), (3, 0));
}

#[test]
fn each_part_of_the_year_is_judged_by_the_pack_of_its_time() {
    let pack = json!({
        "title": "n", "effective": "2018-08-15",
        "duties": { "theme_day": { "times": 2, "per": "month" }, "talk": { "times": 1, "per": "half" } },
    });
    let packs = Packs::of([(id(9), pack)]);
    let q3 = table(&[branch("nt-1")], &[], &packs, "2018-Q3", NOW);
    assert_eq!(read(&q3, "nt-1/theme_day").2, 1 + 2 + 2);
    assert_eq!(read(&q3, "nt-1/talk").2, 0, "no half year ends here");
    let year = table(&[branch("nt-1")], &[], &packs, "2018", NOW);
    assert_eq!(read(&year, "nt-1/talk"), (State::Due, 0, 1), "the first half was before its time");
}

#[test]
fn what_was_not_held_meets_nothing() {
    let at = Some(day("2018-07-03").start_ms());
    assert_eq!(meets("held", at, None), Some(day("2018-07-03")));
    assert_eq!(meets("archived", None, at), Some(day("2018-07-03")));
    for status in ["planned", "postponed", "cancelled", "a newer one"] {
        assert_eq!(meets(status, at, at), None);
    }
    assert_eq!(meets("held", None, None), None);
}

fn member(n: u8, unit: &str, stage: &str, standing: &str) -> Member {
    Member {
        id: id(n),
        unit: unit.into(),
        branch: Some(format!("{unit}-1")),
        stage: stage.into(),
        standing: standing.into(),
        joined: Some(day("2010-07-01")),
        birth: None,
        gender: None,
        groups: Vec::new(),
    }
}

#[test]
fn attendance_counts_those_who_should_have_been_there() {
    let members = [
        member(1, "nt", "full", "normal"),
        member(2, "nt", "full", "normal"),
        member(3, "nt", "probationary", "on_probation_discipline"),
        member(4, "nt", "activist", "normal"),
        Member { joined: Some(day("2018-09-01")), ..member(5, "nt", "full", "normal") },
    ];
    let codes = ["present", "makeup", "absent", "present", "present", "excluded"];
    let attendance_of =
        (1..=6).zip(codes).map(|(n, code)| (id(n).to_string(), code.to_owned())).collect();
    let held = Attended {
        id: id(50),
        branch: "nt-1".into(),
        kind: "general".into(),
        day: day("2018-08-01"),
        expected: BTreeSet::new(),
        attendance: attendance_of,
    };
    let term = Term {
        id: id(60),
        member: Some(id(1).to_string()),
        person: "甲".into(),
        branch: "nt-1".into(),
        post: "secretary".into(),
        from: Some(day("2016-08-01")),
        to: None,
    };
    let listed = Attended {
        id: id(51),
        expected: [id(1).to_string(), id(7).to_string()].into(),
        ..held.clone()
    };
    let units = [("nt".to_owned(), "南通".to_owned())];
    let report = |meetings: &[Attended], by| {
        let from = Gathered {
            branches: &[branch("nt-1")],
            units: &units,
            meetings,
            members: &members,
            terms: std::slice::from_ref(&term),
            seconded: &[],
            credited: &[],
        };
        attendance(from, &Packs::of([]), period("2018"), by)
    };
    let table = report(std::slice::from_ref(&held), Grouping::Unit);
    let ratio = |table: &Table, cell: &str| {
        let cell = table.cell(cell).unwrap();
        (cell.done, cell.required.unwrap_or(0))
    };
    // Members 1 to 3, and 6 whom nobody here knows; 4 is no member, 5 was none yet.
    assert_eq!(ratio(&table, "nt/raw"), (1, 4));
    assert_eq!(ratio(&table, "nt/adjusted"), (2, 3), "one made up for it, one does not count");
    assert_eq!(ratio(&table, "nt/leaders"), (1, 1));
    assert_eq!(table.cell("nt/rate").unwrap().permille(), Some(250));
    let table = report(&[listed], Grouping::Branch);
    assert_eq!(ratio(&table, "nt-1/raw"), (1, 2), "the list was fixed: whom it names counts");
}

#[test]
fn everyone_counts_once_wherever_their_record_is() {
    let move_of = |n: u8, member: u8, from: &str, to: &str, on: &str, status: &str| Transfer {
        id: id(n),
        member: id(member).to_string(),
        from_unit: from.into(),
        to_unit: to.into(),
        to_branch: Some(format!("{to}-1")),
        issued: Some(day(on)),
        expiry: None,
        status: status.into(),
    };
    let members = [
        member(1, "nt", "full", "normal"),
        member(2, "nt", "full", "normal"),
        member(3, "nt", "full", "normal"),
        // Handed over, and the copy left behind.
        member(4, "wx", "full", "normal"),
        member(4, "nt", "full", "normal"),
        member(5, "nt", "full", "normal"),
    ];
    let transfers = [
        move_of(20, 2, "nt", "wx", "2018-05-01", "issued"),
        move_of(21, 3, "nt", "wx", "2018-05-01", "received"),
        move_of(22, 4, "nt", "wx", "2018-05-01", "received"),
        move_of(24, 5, "wx", "sz", "2018-06-01", "received"),
        move_of(23, 5, "nt", "wx", "2018-05-01", "received"),
        move_of(25, 1, "nt", "wx", "2018-05-01", "rejected"),
    ];
    let lines = ["nt", "wx", "sz"].map(|unit| (unit.to_owned(), unit.to_owned(), unit.to_owned()));
    let table = roster(&lines, false, &members, &transfers, day(NOW));
    let people = |unit: &str| table.cell(&format!("{unit}/people")).unwrap().ids.clone();
    assert_eq!(people("nt"), [id(1), id(2)], "on the way is not gone");
    assert_eq!(people("wx"), [id(3), id(4)]);
    assert_eq!(people("sz"), [id(5)], "moved on");
    assert_eq!(table.cell("nt/leaving").unwrap().ids, [id(2)]);
    assert_eq!(table.cell("total/people").unwrap().done, 5);
    assert_eq!(table.cell("total/age_5").unwrap().done, 5, "eight years");
}

#[test]
fn posts_are_counted_by_unit_month_and_author() {
    let post = |n: u8, unit: &str, column: &str, on: &str, status: &str, by: &[&str]| Post {
        id: id(n),
        unit: Some(unit.into()),
        column: Some(column.into()),
        status: status.into(),
        day: day(on),
        bylines: by.iter().map(|b| (*b).to_owned()).collect(),
    };
    let all = [
        post(1, "nt", "news", "2017-03-01", "published", &["甲"]),
        post(2, "nt", "news", "2018-03-01", "published", &["甲", "乙"]),
        post(3, "wx", "style", "2018-04-01", "draft", &["甲"]),
        post(4, "wx", "hall", "2018-06-01", "archived", &["甲", "丙"]),
    ];
    let units = ["nt", "wx"].map(|unit| (unit.to_owned(), unit.to_owned()));
    let done = |table: &Table, cell: &str| table.cell(cell).map(|cell| cell.done);
    let by_unit = posts(&units, &all, period("2018"), PostsBy::Unit);
    assert_eq!(done(&by_unit, "nt/news"), Some(1));
    assert_eq!((done(&by_unit, "nt/posts"), done(&by_unit, "nt/so_far")), (Some(1), Some(2)));
    assert_eq!(done(&by_unit, "total/hall"), Some(1), "a column of the federation's own");
    assert_eq!(done(&by_unit, "total/is_draft"), Some(1));
    assert_eq!(done(&by_unit, "wx/style"), Some(0), "only its own unit and head office read it");
    assert_eq!(done(&by_unit, "total/posts"), Some(2));
    let by_month = posts(&units, &all, period("2018-H1"), PostsBy::Month);
    let so_far = ["01", "03", "06"].map(|m| done(&by_month, &format!("2018-{m}/so_far")));
    assert_eq!(so_far, [Some(1), Some(2), Some(3)]);
    assert_eq!(done(&by_month, "total/so_far"), Some(3));
    let by_author = posts(&units, &all, period("2018"), PostsBy::Author);
    let names: Vec<_> = by_author.lines.iter().map(|l| l.key.as_str()).collect();
    assert_eq!(names, ["甲", "丙", "乙"]);
}

#[test]
fn what_is_overdue_is_told_to_whose_it_is() {
    let open =
        |n, unit: Option<&str>, matter| Open { id: id(n), unit: unit.map(str::to_owned), matter };
    let units = [("nt".to_owned(), "南通".to_owned())];
    let all = [
        open(1, Some("nt"), Matter::Minutes { held: day("2018-11-08") }),
        open(2, Some("nt"), Matter::Minutes { held: day("2018-11-09") }),
        open(3, Some("nt"), Matter::Probation { since: day("2017-11-24") }),
        open(4, None, Matter::Conflict),
        open(5, Some("nt"), Matter::Term { to: day("2019-01-22") }),
        open(6, Some("nt"), Matter::Term { to: day("2019-01-23") }),
    ];
    let table = overdue(&units, &all, day(NOW));
    assert_eq!(table.cell("nt/minutes").unwrap().ids, [id(1)], "fifteen days are not over");
    assert_eq!(table.cell("nt/probation").unwrap().ids, [id(3)]);
    assert_eq!(table.cell("nt/terms").unwrap().ids, [id(5)]);
    assert_eq!(table.cell("-/conflicts").unwrap().ids, [id(4)]);
    assert_eq!(table.cell("total/all").unwrap().done, 4);
}

#[test]
fn directives_count_who_was_told_and_how_fast() {
    let receipts = [("nt-1", "2018-03-01"), ("nt-2", "2018-03-09"), ("nt-9", "2018-03-02")];
    let receipts = receipts.map(|(code, on)| (code.to_owned(), Conveyed { on: day(on) }));
    let directive = Directive {
        id: id(1),
        title: "传达".into(),
        issued: day("2018-03-01"),
        due: Some(day("2018-03-10")),
        receipts: BTreeMap::from(receipts),
    };
    let gone = Branch { ended: Some(day("2018-02-01")), dissolved: true, ..branch("nt-4") };
    let branches = [branch("nt-1"), branch("nt-2"), branch("nt-3"), gone];
    let table = directives(&[directive], &branches, period("2018"), day(NOW));
    let key = id(1).to_string();
    let cell = |column: &str| table.cell(&format!("{key}/{column}")).unwrap();
    let conveyed = cell("conveyed");
    assert_eq!((conveyed.done, conveyed.required), (2, Some(3)), "nobody asked nt-9 or nt-4");
    assert_eq!(conveyed.state, Some(State::Overdue));
    assert_eq!((cell("same_day").done, cell("longest_days").done, cell("late").done), (1, 8, 1));
}

#[test]
fn what_is_sealed_stays_and_what_comes_later_is_told() {
    let branches = [branch("nt-1")];
    let then = table(&branches, &[], &Packs::of([]), "2018-Q3", "2018-09-01");
    let late = [meeting(1, "nt-1", "general", "2018-08-01")];
    let now = table(&branches, &late, &Packs::of([]), "2018-Q3", NOW);
    let sealed = Sealed::new("matrix", "2018-Q3", "", &then, &[unit("nt", "2018-09-01")], 7);
    let fields = sealed.to_fields();
    assert_eq!(Sealed::of_fields(sealed.id(), &fields), Ok(sealed.clone()));
    assert_eq!(sealed.figures.compare(&Figures::of(&then)), []);
    let differences = sealed.figures.compare(&Figures::of(&now));
    let general = differences.iter().find(|d| d.column == "general").unwrap();
    assert_eq!(general.then, json!([0, 1, "not_synced", null]));
    assert_eq!(general.now, json!([1, 1, "complete", null]));
    let lecture = differences.iter().find(|d| d.column == "lecture").unwrap();
    assert_eq!(lecture.now, json!([0, 1, "overdue", null]), "now it is known");
    assert!(!differences.iter().any(|d| d.column == "committee"), "July's was overdue then");
    for (field, value) in [
        ("figures", json!(sealed.figures.to_text().replace("[0,1", "[1,1"))),
        ("marks", json!("{}")),
        ("sealed", json!(8)),
        ("period", json!("2018-Q2")),
        ("digest", json!("00")),
    ] {
        let mut other = fields.clone();
        other[field] = value;
        assert_eq!(
            Sealed::of_fields(sealed.id(), &other),
            Err(SealError::Altered(sealed.id())),
            "{field}"
        );
    }
    assert_eq!(Sealed::of_fields(id(1), &fields), Err(SealError::Altered(id(1))));
    let unreadable = Sealed::of_fields(id(1), &json!({}));
    assert_eq!(unreadable, Err(SealError::Unreadable(id(1))));
}

#[test]
fn who_is_with_a_temporary_branch_is_excluded_at_home_and_credited() {
    let lent = Secondment {
        id: id(40),
        member: Some(id(2).to_string()),
        person: "P".into(),
        home_unit: "nt".into(),
        home_branch: Some("nt-1".into()),
        branch: "T1".into(),
        from: Some(day("2018-03-01")),
        to: Some(day("2018-08-20")),
        status: "confirmed".into(),
    };
    let at = |n: u8, on: &str| Attended {
        id: id(n),
        branch: "nt-1".into(),
        kind: "general".into(),
        day: day(on),
        expected: [1, 2].map(|n| id(n).to_string()).into(),
        attendance: BTreeMap::from([(id(1).to_string(), "present".to_owned())]),
    };
    let credit = |n: u8, attendance: &str| Credited {
        id: id(n),
        unit: "nt".into(),
        home_branch: Some("nt-1".into()),
        day: day("2018-03-02"),
        attendance: attendance.into(),
    };
    let credited = [credit(50, "present"), credit(51, "absent")];
    let units = [("nt".to_owned(), "NT".to_owned())];
    let meetings = [at(30, "2018-02-01"), at(31, "2018-05-01")];
    let from = Gathered {
        branches: &[branch("nt-1")],
        units: &units,
        meetings: &meetings,
        members: &[member(1, "nt", "full", "normal"), member(2, "nt", "full", "normal")],
        terms: &[],
        seconded: &[lent],
        credited: &credited,
    };
    for (by, line) in [(Grouping::Unit, "nt"), (Grouping::Branch, "nt-1")] {
        let table = attendance(from, &Packs::of([]), period("2018"), by);
        let ratio = |column: &str| {
            let cell = table.cell(&format!("{line}/{column}")).unwrap();
            (cell.done, cell.required.unwrap_or(0))
        };
        assert_eq!(ratio("adjusted"), (2, 3), "absent in February, away in May");
        assert_eq!(table.cell(&format!("{line}/excluded")).unwrap().ids, [id(31)]);
        assert_eq!(ratio("credited"), (1, 2));
    }
}

#[test]
fn the_roster_tells_ages_and_how_many_of_the_people_are_members() {
    let born = |n: u8, on: &str, stage: &str| Member {
        birth: Day::parse(on),
        ..member(n, "nt", stage, "normal")
    };
    let members = [
        born(1, "1983-11-25", "full"),
        born(2, "1983-11-24", "full"),
        born(3, "1950-01-01", "full"),
        born(4, "", "full"),
        born(5, "1999-01-01", "activist"),
    ];
    let lines = [("nt".to_owned(), "nt".to_owned(), "NT".to_owned())];
    let table = roster(&lines, false, &members, &[], day(NOW));
    let ids = |column: &str| table.cell(&format!("nt/{column}")).unwrap().ids.clone();
    assert_eq!((ids("years_0"), ids("years_35")), (vec![id(1)], vec![id(2)]), "35 today");
    assert_eq!((ids("years_45"), ids("years_60")), (vec![], vec![id(3)]));
    let coverage = table.cell("nt/coverage").unwrap();
    assert_eq!((coverage.done, coverage.required, coverage.permille()), (4, Some(5), Some(800)));
}
