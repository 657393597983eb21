//! Figures from a founded node's own records.

use super::*;
use crate::clock::Clock;
use crate::store::MemoryStore;
use crate::testing::Bench;
use crate::views;
use fenbu_protocol::duty::State;
use serde_json::json;

/// 2018-11-24 12:00 in Shanghai.
const NOON_MS: u64 = 1_543_032_000_000;

fn bench() -> Bench {
    let store = MemoryStore::new(&views::specs()).unwrap();
    Bench::start(Box::new(store), Clock::starting_at(NOON_MS))
}

fn add(bench: &Bench, kind: &str, fields: serde_json::Value) -> DocId {
    let schema = schema_named(kind).unwrap();
    bench.records.create(schema, &fields, None, None, "test").unwrap().document
}

fn query(period: &str) -> ReportQuery {
    ReportQuery { period: Some(period.into()), ..ReportQuery::default() }
}

fn branch(bench: &Bench) {
    let fields =
        json!({ "code": "head-1", "name": "第一党支部", "unit": "head", "committee": true });
    add(bench, "branch", fields);
}

fn meeting(bench: &Bench, kind: &str, start: &str) -> DocId {
    let start = format!("{start}T14:00:00+08:00");
    let fields = json!({ "kind": kind, "branch": "head-1", "start": start, "status": "confirmed" });
    add(bench, "meeting", fields)
}

#[test]
fn the_matrix_counts_what_was_held_and_names_it() {
    let bench = bench();
    branch(&bench);
    let general = meeting(&bench, "general", "2018-08-01");
    meeting(&bench, "committee", "2018-09-01");
    let stray = json!({ "kind": "general", "branch": "x-1", "start": NOON_MS, "status": "held" });
    add(&bench, "meeting", stray);
    let made = bench.records.report(Report::Matrix, &query("2018-Q3")).unwrap();
    let cell = |name: &str| made.table.cell(name).unwrap();
    assert_eq!(cell("head-1/general").state, Some(State::Complete));
    let committee = cell("head-1/committee");
    assert_eq!((committee.done, committee.required), (1, Some(3)));
    assert_eq!(committee.state, Some(State::Overdue), "what this node wrote is all here");
    assert_eq!(cell("head-1/group").state, Some(State::NotApplicable));
    assert!(made.remarks.iter().any(|remark| remark.contains("'x-1'")), "{:?}", made.remarks);
    let behind = bench.records.explain(&made, "head-1/general").unwrap();
    let of_head = Behind { id: general, kind: "meeting", unit: Some("head".into()) };
    assert_eq!(behind, [of_head]);
    bench.stop();
}

#[test]
fn a_pack_changes_what_is_due() {
    let bench = bench();
    branch(&bench);
    let duties = json!({ "theme_day": { "times": 0, "per": "month" } });
    let pack = json!({ "title": "新规则", "effective": "2018-08-01", "duties": duties });
    add(&bench, "rule-pack", pack);
    add(
        &bench,
        "rule-pack",
        json!({
            "title": "坏", "effective": "2018-08-02", "reviews": { "*": { "rounds": 7 } },
        }),
    );
    let made = bench.records.report(Report::Matrix, &query("2018-Q3")).unwrap();
    assert_eq!(made.table.cell("head-1/theme_day").unwrap().required, Some(1), "July's");
    assert_eq!(made.rules.title, "新规则");
    assert!(made.remarks[0].contains("'坏'"));
    bench.stop();
}

#[test]
fn every_report_is_made_of_nothing_and_of_something() {
    let bench = bench();
    for (_, report) in Report::ALL {
        for by in report.groupings().iter().map(|by| Some((*by).to_owned())).chain([None]) {
            let query = ReportQuery { by, ..query("2018") };
            assert!(bench.records.report(report, &query).is_ok(), "{report:?} {query:?}");
        }
    }
    add(&bench, "post", json!({ "title": "有题目", "status": "published" }));
    bench.member("甲").unwrap();
    add(
        &bench,
        "activity",
        json!({
            "title": "清廉", "programme": "integrity", "date": "2018-05-01", "participants": 30,
        }),
    );
    add(
        &bench,
        "honour",
        json!({
            "title": "先进", "of": "branch", "name": "一支部", "level": "city", "year": 2018, "status": "verified",
        }),
    );
    add(
        &bench,
        "directive",
        json!({
            "title": "传达", "issued": "2018-03-01", "receipts": { "head-1": { "on": "2018-03-02" } },
        }),
    );
    branch(&bench);
    let done = |report, cell: &str| {
        let made = bench.records.report(report, &query("2018")).unwrap();
        made.table.cell(cell).map(|cell| cell.done)
    };
    assert_eq!(done(Report::Posts, "head/posts"), Some(1), "by its unit");
    assert_eq!(done(Report::Roster, "head/people"), Some(1));
    assert_eq!(done(Report::Programmes, "integrity/participants"), Some(30));
    assert_eq!(done(Report::Ledgers, "head/honour_city"), Some(1));
    let made = bench.records.report(Report::Directives, &query("2018")).unwrap();
    assert_eq!(made.table.lines[0].cells[0].done, 1);
    bench.stop();
}

#[test]
fn what_makes_no_sense_is_told() {
    let bench = bench();
    let said =
        |report, query: ReportQuery| bench.records.report(report, &query).unwrap_err().to_string();
    assert!(said(Report::Matrix, query("soon")).contains("'soon'"));
    let unit = ReportQuery { unit: Some("nowhere".into()), ..query("2018") };
    assert!(said(Report::Posts, unit).contains("'nowhere'"));
    let by = ReportQuery { by: Some("colour".into()), ..query("2018") };
    assert!(said(Report::Posts, by.clone()).contains("unit, month, author"));
    assert!(said(Report::Matrix, by).contains("none"));
    let made = bench.records.report(Report::Matrix, &query("2018")).unwrap();
    assert!(matches!(bench.records.explain(&made, "x/y"), Err(ReportError::Cell(_))));
    bench.stop();
}

#[test]
fn a_sealed_report_stays_and_is_compared_with_what_came_later() {
    let bench = bench();
    branch(&bench);
    let records = &bench.records;
    let early = records.seal(Report::Matrix, &query("2018-Q4"), "test").unwrap_err();
    assert!(matches!(early, ReportError::NotOver { .. }));
    let (sealed, saved) = records.seal(Report::Matrix, &query("2018-Q3"), "test").unwrap();
    assert_eq!(saved.document, sealed.id());
    let id = saved.document.to_string();
    assert_eq!(records.compare(&id).unwrap().differences, []);
    meeting(&bench, "general", "2018-08-01");
    let compared = records.compare(&id).unwrap();
    let columns: Vec<_> = compared.differences.iter().map(|d| d.column.as_str()).collect();
    assert_eq!(columns, ["general"]);
    let edit = records.edit(sealed_schema(), &id, &json!({ "period": "2017" }), "test");
    assert!(matches!(edit, Err(RecordError::Sealed)));
    // Around the door: another tool of another node.
    let edits = Edits::from_json(sealed_schema(), &json!({ "period": "2017" })).unwrap();
    let save =
        Save { schema: sealed_schema(), space: saved.space, document: saved.document, edits };
    records.save_all(&[save], "test").unwrap();
    let altered = records.compare(&id).unwrap_err();
    assert!(matches!(altered, ReportError::Seal(SealError::Altered(_))));
    bench.stop();
}

#[test]
fn a_node_marks_where_it_has_been_silent_for_a_day() {
    let bench = bench();
    let at = |ms| Clock::starting_at(ms);
    assert_eq!(mark_if_due(&bench.records, &at(NOON_MS)).unwrap(), 0, "it was only just made");
    bench.topic("一").unwrap();
    let tomorrow = at(NOON_MS + 12 * 3_600_000);
    assert_eq!(mark_if_due(&bench.records, &tomorrow).unwrap(), 1, "in the federation's space");
    let schema = schema_named("mark").unwrap();
    let marks = bench.records.list(schema, crate::store::ListQuery::default()).unwrap();
    assert_eq!(marks.rows.len(), 1);
    let fresh = bench.records.units().unwrap();
    assert!(fresh[0].freshness.reaches(NOON_MS as i64), "this node knows its own");
    bench.stop();
}

/// The bench's directory, and a sub-bureau whose node has not been heard of.
fn with_a_sub_bureau(bench: &Bench) {
    use ed25519_dalek::SigningKey;
    use fenbu_protocol::directory::{
        Act, AdmitNode, DefineSpace, DefineUnit, Role, Scope, Template, space_id,
    };
    use fenbu_protocol::id::NodeId;
    let mut directory = crate::testing::directory();
    let theirs = SigningKey::from_bytes(&[9; 32]);
    let acts = [
        Act::DefineUnit(DefineUnit { code: "nt".into(), name: "南通分局".into() }),
        Act::DefineSpace(DefineSpace {
            space: space_id(&directory.federation(), "nt"),
            label: "nt".into(),
            template: Template::UNIT,
            unit: Some("nt".into()),
            readers: Scope::everyone(),
            writers: Scope::everyone(),
            carriers: Scope::everyone(),
            cuts: None,
        }),
        Act::AdmitNode(AdmitNode {
            node: NodeId(theirs.verifying_key().to_bytes()),
            unit: "nt".into(),
            name: "nt".into(),
            role: Role::SERVER,
            addresses: vec![],
            sealing: fenbu_protocol::seal::sealing_public(&theirs),
        }),
    ];
    for act in &acts {
        let signed = directory.draft(&crate::testing::key(), act, 0);
        directory.apply(signed).unwrap();
    }
    bench.directory.send_replace(Arc::new(directory));
}

#[test]
fn who_has_not_been_heard_of_is_not_overdue() {
    let bench = bench();
    with_a_sub_bureau(&bench);
    branch(&bench);
    add(&bench, "branch", json!({ "code": "nt-1", "name": "第一党支部", "unit": "nt" }));
    let made = bench.records.report(Report::Matrix, &query("2018-Q3")).unwrap();
    let state = |cell: &str| made.table.cell(cell).unwrap().state;
    assert_eq!(state("head-1/general"), Some(State::Overdue));
    assert_eq!(state("nt-1/general"), Some(State::NotSynced));
    let made = bench.records.report(Report::Posts, &query("2018-Q3")).unwrap();
    assert_eq!(made.table.cell("nt/posts").unwrap().state, Some(State::NotSynced));
    assert_eq!(made.table.cell("head/posts").unwrap().state, None);
    let only = ReportQuery { unit: Some("nt".into()), ..query("2018-Q3") };
    let made = bench.records.report(Report::Matrix, &only).unwrap();
    let lines: Vec<_> = made.table.lines.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(lines, ["nt-1"]);
    bench.stop();
}

#[test]
fn a_temporary_branch_and_its_ledgers_are_in_the_figures() {
    let bench = bench();
    branch(&bench);
    let task = json!({"code": "T1", "name": "Task force", "host_unit": "head",
        "established": "2018-06-20", "planned_end": "2018-12-10", "status": "active"});
    let task = add(&bench, "temporary-branch", task);
    let lent = |status: &str, n: u8| {
        json!({"person": "P", "member": DocId([n; 16]).to_string(), "home_unit": "head",
            "home_branch": "head-1", "branch": "T1", "from": "2018-06-20", "to": "2018-12-10",
            "status": status})
    };
    let confirmed = add(&bench, "secondment", lent("confirmed", 1));
    add(&bench, "secondment", lent("proposed", 2));
    add(&bench, "secondment", lent("declined", 3));
    let rally = json!({"kind": "rally", "branch": "T1", "status": "held",
        "start": "2018-06-21T09:00:00+08:00"});
    let rally = add(&bench, "meeting", rally);
    let made = bench.records.report(Report::Temporary, &query("2018")).unwrap();
    let cell = |name: &str| made.table.cell(&format!("T1/{name}")).unwrap();
    assert_eq!(cell("status").text.as_deref(), Some("active"));
    assert_eq!((cell("days").done, cell("days").state), (157, Some(State::Due)), "from day 150 on");
    assert_eq!((cell("left").done, &cell("left").ids[..]), (23, &[task][..]));
    assert_eq!((cell("seconded").done, cell("seconded").required), (1, Some(2)));
    assert!(cell("seconded").ids.contains(&confirmed));
    assert_eq!(cell("meetings").ids, [rally]);
    let overdue = bench.records.report(Report::Overdue, &query("2018")).unwrap();
    assert_eq!(overdue.table.cell("head/temporary").unwrap().ids, [task], "the host is told");
    let summer = bench.records.report(Report::Overdue, &query("2018-08")).unwrap();
    assert_eq!(summer.table.cell("head/temporary").unwrap().done, 0);
    bench.stop();
}

#[test]
fn adoptions_and_honours_count_once_they_are_verified() {
    let bench = bench();
    branch(&bench);
    let adoption = |kind: &str, on: &str, status: &str| {
        let fields = json!({"title": "t", "outlet": "o", "level": "city", "kind": kind,
            "date": on, "status": status});
        add(&bench, "adoption", fields)
    };
    let taken = adoption("taken", "2018-03-01", "verified");
    adoption("taken", "2017-03-01", "verified");
    let waits = adoption("awarded", "2018-04-01", "proposed");
    adoption("awarded", "2018-04-02", "refused");
    let honour = json!({"title": "h", "of": "branch", "name": "head-1", "level": "province",
        "year": 2018, "status": "verified"});
    let honour = add(&bench, "honour", honour);
    let made = bench.records.report(Report::Ledgers, &query("2018")).unwrap();
    let ids = |name: &str| made.table.cell(&format!("head/{name}")).unwrap().ids.clone();
    assert_eq!((ids("taken"), ids("awarded")), (vec![taken], vec![]));
    assert_eq!((ids("waiting"), ids("honour_province")), (vec![waits], vec![honour]));
    assert_eq!(made.table.cell("total/taken").unwrap().done, 1);
    bench.stop();
}

/// By hand: `cargo figures`.
#[test]
#[ignore = "prints timings"]
fn duties_of_fifty_thousand() {
    use crate::store::SqliteStore;
    const BRANCHES: usize = 40;
    const MEETINGS: usize = 50_000;
    const AIM_MS: f64 = 300.0;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("fenbu.db"), &views::specs()).unwrap();
    let bench = Bench::start(Box::new(store), Clock::starting_at(NOON_MS));
    for n in 0..BRANCHES {
        let fields = json!({"code": format!("head-{n}"), "name": format!("第{n}支部"),
            "unit": "head", "committee": true, "groups": 2});
        add(&bench, "branch", fields);
    }
    let people: Vec<String> = (0..15).map(|n| DocId([n; 16]).to_string()).collect();
    let attendance: serde_json::Value =
        people.iter().map(|who| (who.clone(), json!("present"))).collect();
    let schema = schema_named("meeting").unwrap();
    let space = bench.records.home(schema, None).unwrap();
    let kinds = ["general", "committee", "group", "lecture", "theme_day"];
    for group in 0..MEETINGS / 250 {
        let save = |n: usize| {
            let n = group * 250 + n;
            let start = NOON_MS - (n as u64 % (4 * 365)) * 86_400_000;
            let fields = json!({"kind": kinds[n % kinds.len()], "start": start,
                "branch": format!("head-{}", n % BRANCHES), "status": "confirmed",
                "expected": people, "attendance": attendance, "minutes": "如期召开，形成决议。"});
            let edits = Edits::from_json(schema, &fields).unwrap();
            Save { schema, space, document: crate::records::Records::new_id(), edits }
        };
        bench.records.save_all(&(0..250).map(save).collect::<Vec<_>>(), "a").unwrap();
    }
    for (name, report) in [
        ("the matrix", Report::Matrix),
        ("attendance", Report::Attendance),
        ("overdue", Report::Overdue),
    ] {
        let name = format!("{name} of {BRANCHES} branches in 2018, {MEETINGS} meetings");
        crate::testing::median(&name, AIM_MS, || {
            bench.records.report(report, &query("2018")).unwrap()
        });
    }
    bench.stop();
}

#[test]
fn a_post_goes_through_the_reviews_of_the_pack_in_force_when_it_is_submitted() {
    let bench = bench();
    let post = schema_named("post").unwrap();
    let takes = |id: &DocId, who: &str, op: &str| {
        let (field, _) = post.step(op).unwrap();
        let step = json!({ field.name: { "op": op, "note": "n" } });
        bench.records.edit(post, &id.to_string(), &step, who).map(drop).map_err(|e| e.to_string())
    };
    let asked = |id: &DocId| {
        let shown = bench.records.show(post, &id.to_string()).unwrap();
        shown.record.to_json()["courses"]["status"]["reviews"].clone()
    };
    let other = add(&bench, "post", json!({ "title": "甲", "kind": "case", "column": "news" }));
    takes(&other, "a", "submit").unwrap();
    let standard = json!({ "rounds": ["own", "own", "head"], "secrecy": true, "passed": 0 });
    assert_eq!(asked(&other), standard, "without a pack, the program's own");
    for (title, effective, rounds) in [("now", "2018-11-24", 2), ("later", "2018-11-25", 1)] {
        let reviews = json!({ "news": { "rounds": rounds, "secrecy": false } });
        add(
            &bench,
            "rule-pack",
            json!({ "title": title, "effective": effective, "reviews": reviews }),
        );
    }
    assert_eq!(asked(&other), standard, "what is under way goes on as it began");
    let post = add(&bench, "post", json!({ "title": "乙", "column": "news" }));
    takes(&post, "a", "submit").unwrap();
    assert_eq!(asked(&post), json!({ "rounds": ["own", "head"], "secrecy": false, "passed": 0 }));
    assert!(takes(&post, "b", "approve").unwrap_err().contains("round 1 of 2 comes first"));
    takes(&post, "b", "pass").unwrap();
    assert!(takes(&post, "b", "approve").unwrap_err().contains("who took 'pass'"));
    takes(&post, "c", "approve").unwrap();
    takes(&post, "a", "publish").unwrap();
    let stands =
        add(&bench, "post", json!({ "title": "丙", "column": "news", "status": "submitted" }));
    assert_eq!(asked(&stands)["rounds"], json!(["own", "head"]), "also what is entered as such");
    bench.stop();
}
