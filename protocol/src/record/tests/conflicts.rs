//! What merging cannot settle: one conflict for each case, the same whichever way records came, and none
//! where nothing contradicts.

use super::courses::{CAROL, HEAD, Office};
use super::*;
use crate::id::{DocId, SpaceId};
use crate::record::conflict::{
    Case, Conflict, Of, Subject, across, ahead, clusters, is_ahead, match_case, within,
    without_repeats,
};

const SPACE: SpaceId = SpaceId([7; 16]);

fn of(schema: &Schema, n: u8) -> Of {
    Of { document: DocId([n; 16]), space: SPACE, kind: schema.kind }
}

/// What a record leaves open, which is what its row counts.
fn open(office: &Office) -> Vec<Conflict> {
    let record = &office.record;
    let found = within(of(record.schema(), 1), record);
    assert_eq!(found.len(), record.row().conflicts as usize, "{found:#?}");
    let loaded = office.fork();
    assert_eq!(within(of(record.schema(), 1), &loaded.record), found, "from its saved form");
    found
}

/// The one conflict, after two replicas went on apart; whichever is heard first.
fn one(left: &Office, right: &Office, case: Case) -> (Office, Conflict) {
    let met = left.met(right);
    let found = open(&met);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].case, case);
    assert_eq!(open(&right.met(left)), found, "the same whichever comes first");
    let said = |side: &crate::record::conflict::Side| side.said.clone().expect("somebody said it");
    found[0].sides.iter().for_each(|side| drop(said(side)));
    (met, found[0].clone())
}

/// Takes a way out of a conflict.
fn takes_way(office: &mut Office, by: u8, conflict: &Conflict, code: &str) {
    let way = conflict.ways.iter().find(|way| way.code == code).expect("such a way");
    for change in way.noted(Some("理由")) {
        office.writes(by, change.fields).unwrap();
    }
}

fn kind(name: &str) -> &'static Schema {
    schema_named(name).unwrap()
}

fn values(conflict: &Conflict) -> Vec<Value> {
    conflict.sides.iter().map(|side| side.value.clone()).collect()
}

/// A post on its way, by Alice, that has taken these steps.
fn on_its_way(steps: &[(u8, &str)]) -> Office {
    let mut post = Office::new(kind("post"), ALICE, json!({"title": "题", "body": "正文"}));
    steps.iter().for_each(|(by, op)| post.takes(*by, op).unwrap());
    assert_eq!(open(&post), vec![], "nothing contradicts");
    post
}

#[test]
fn a_field_with_two_values_is_settled_by_picking_one() {
    let base = on_its_way(&[]);
    let (mut left, mut right) = (base.fork(), base.fork());
    left.writes(ALICE, json!({"title": "甲题"})).unwrap();
    right.writes(HEAD, json!({"title": "乙题"})).unwrap();
    let (mut met, conflict) = one(&left, &right, Case::SeveralValues);
    assert_eq!(
        (conflict.field.as_str(), values(&conflict)),
        ("title", vec![json!("乙题"), json!("甲题")])
    );
    takes_way(&mut met, BOB, &conflict, "2");
    assert_eq!((met.record.to_json()["title"].clone(), open(&met)), (json!("甲题"), vec![]));
}

#[test]
fn attendance_and_sealed_fields_are_in_conflict_by_their_key_and_masked() {
    let base = Office::new(kind("meeting"), ALICE, json!({"kind": "talk", "branch": "b"}));
    let (mut left, mut right) = (base.fork(), base.fork());
    left.writes(ALICE, json!({"attendance": {"m": "late"}})).unwrap();
    right.writes(BOB, json!({"attendance": {"m": "present"}})).unwrap();
    let (mut met, conflict) = one(&left, &right, Case::SeveralValues);
    assert_eq!((conflict.field.as_str(), conflict.ways[0].zh.as_str()), ("attendance/m", "出席"));
    takes_way(&mut met, BOB, &conflict, "1");
    assert_eq!(open(&met), vec![]);
    let base = Office::new(kind("member"), ALICE, json!({"name": "甲"}));
    let (mut left, mut right) = (base.fork(), base.fork());
    left.writes(ALICE, json!({"id_number": "110101197001011234"})).unwrap();
    right.writes(BOB, json!({"id_number": "110101197001019999"})).unwrap();
    let (mut met, conflict) = one(&left, &right, Case::SeveralValues);
    assert_eq!(values(&conflict), [json!("110101********9999"), json!("110101********1234")]);
    takes_way(&mut met, BOB, &conflict, "2");
    assert_eq!(met.record.to_json()["id_number"], "110101197001011234");
}

#[test]
fn two_reviewers_who_disagree_and_a_post_published_while_withdrawn() {
    let base = on_its_way(&[(ALICE, "submit")]);
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(BOB, "approve").unwrap();
    right.takes(HEAD, "return").unwrap();
    let (mut met, conflict) = one(&left, &right, Case::ReviewersDisagree);
    assert_eq!((met.status(), conflict.settled_by), (json!("returned"), By::HeadOffice));
    takes_way(&mut met, HEAD, &conflict, "approved");
    assert_eq!((met.status(), open(&met)), (json!("approved"), vec![]));

    let base = on_its_way(&[(ALICE, "submit"), (BOB, "approve")]);
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "publish").unwrap();
    right.takes(HEAD, "withdraw").unwrap();
    let (mut met, conflict) = one(&left, &right, Case::PublishedWithdrawn);
    assert_eq!(values(&conflict), [json!("withdrawn"), json!("published")]);
    takes_way(&mut met, HEAD, &conflict, "withdrawn");
    assert_eq!((met.status(), open(&met)), (json!("withdrawn"), vec![]));

    let base = Office::new(kind("member"), ALICE, json!({"name": "甲", "stage": "full"}));
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "suspend").unwrap();
    right.takes(BOB, "expel").unwrap();
    let (mut met, conflict) = one(&left, &right, Case::StepsApart);
    takes_way(&mut met, HEAD, &conflict, "expelled");
    assert_eq!((met.record.to_json()["standing"].clone(), open(&met)), (json!("expelled"), vec![]));
}

#[test]
fn text_beside_an_approval_is_accepted_or_put_back() {
    for (way, body) in [("accept", "正文改了"), ("decline", "正文")] {
        let base = on_its_way(&[(ALICE, "submit")]);
        let (mut left, mut right) = (base.fork(), base.fork());
        left.takes(BOB, "approve").unwrap();
        right
            .writes(ALICE, json!({"body": "正文改了", "figures": [{"what": "转发", "value": 6}]}))
            .unwrap();
        let (mut met, conflict) = one(&left, &right, Case::RevisedAfterApproval);
        assert_eq!(values(&conflict), [json!({"body": "正文"}), json!({"body": "正文改了"})]);
        takes_way(&mut met, BOB, &conflict, way);
        assert_eq!((met.status(), open(&met)), (json!("approved"), vec![]));
        assert_eq!(met.record.to_json()["body"], body);
        assert_eq!(met.record.to_json()["figures"][0]["value"], 6, "nobody reviews those");
    }
}

#[test]
fn minutes_confirmed_while_edited_are_an_amendment() {
    for (way, minutes) in [("accept", "记录，补一句"), ("decline", "记录")] {
        let fields = json!({"kind": "general", "branch": "b", "minutes": "记录", "status": "held",
            "attendance": {"m": "late"}});
        let base = Office::new(kind("meeting"), ALICE, fields);
        let (mut left, mut right) = (base.fork(), base.fork());
        left.takes(BOB, "confirm").unwrap();
        let edit = json!({"minutes": "记录，补一句", "attendance": {"m": "present", "n": "late"}});
        right.writes(ALICE, edit).unwrap();
        let (mut met, conflict) = one(&left, &right, Case::AmendedMinutes);
        takes_way(&mut met, BOB, &conflict, way);
        assert_eq!((met.status(), open(&met)), (json!("confirmed"), vec![]));
        let shown = met.record.to_json();
        assert_eq!(shown["minutes"], minutes);
        assert_eq!(shown["attendance"].get("n").is_some(), way == "accept", "{shown}");
        met.writes(ALICE, json!({"actions": {"1": {"text": "办", "done": "2018-03-05"}}})).unwrap();
        assert_eq!(open(&met), vec![], "what was decided is carried out");
    }
}

#[test]
fn a_published_post_that_secrecy_says_no_to_is_hidden_from_every_list() {
    let base = on_its_way(&[(ALICE, "submit"), (BOB, "approve")]);
    let (mut left, mut right) = (base.fork(), base.fork());
    left.takes(ALICE, "publish").unwrap();
    right.takes(HEAD, "withhold").unwrap();
    let (mut met, conflict) = one(&left, &right, Case::PublishedNotPublic);
    assert_eq!(values(&conflict), [json!("published"), json!("not_public")]);
    assert_eq!(met.record.row().cells[3], Cell::Text("hidden".into()));
    assert_eq!(met.record.to_json()["courses"]["status"]["hidden"], true);
    takes_way(&mut met, HEAD, &conflict, "reopen");
    let again = open(&met);
    assert_eq!((again.len(), again[0].id), (1, conflict.id), "still up to somebody");
    takes_way(&mut met, HEAD, &again[0], "clear");
    assert_eq!(open(&met), vec![]);
    assert_eq!(met.record.row().cells[3], Cell::Text("published".into()));
    let post = json!({"title": "t", "status": "hidden"});
    let why = Edits::from_json(kind("post"), &post).unwrap_err().to_string();
    assert!(why.contains("hidden"), "{why}");
}

/// Records of one kind under the ids 1, 2, 3.
fn subjects(offices: &[&Office]) -> Vec<Subject> {
    let subject = |(n, office): (u8, &&Office)| Subject {
        of: of(office.record.schema(), n),
        record: office.fork().record,
    };
    (1..).zip(offices).map(subject).collect()
}

/// The conflicts a node finds: by the keys records share, whichever comes first.
fn found(subjects: &[Subject]) -> Vec<Conflict> {
    let find = |subjects: &[Subject]| {
        let mut keys: BTreeMap<[u8; 16], (Vec<Of>, bool)> = BTreeMap::new();
        for subject in subjects {
            for m in subject.record.matches(subject.of.space, subject.of.document) {
                let held = keys.entry(m.key).or_default();
                held.0.push(subject.of);
                held.1 |= m.anchor;
            }
        }
        let shared = keys.into_iter().filter(|(_, (held, anchored))| held.len() > 1 && *anchored);
        let groups = shared.map(|(key, (held, _))| (match_case(&key).unwrap(), held));
        let mut out = Vec::new();
        for (case, among) in clusters(groups) {
            let of = |of: &Of| subjects.iter().find(|s| s.of == *of).unwrap().clone();
            out.extend(across(case, among.iter().map(of).collect()));
        }
        without_repeats(&mut out);
        out.sort_by_key(|conflict| conflict.id);
        out
    };
    let conflicts = find(subjects);
    let mut back = subjects.to_vec();
    back.reverse();
    assert_eq!(find(&back), conflicts, "whichever comes first");
    conflicts
}

/// Exactly one, of this case.
fn only(subjects: &[Subject], case: Case) -> Conflict {
    let found = found(subjects);
    assert_eq!(found.iter().map(|c| c.case).collect::<Vec<_>>(), [case], "{found:#?}");
    found[0].clone()
}

/// Carries out a way on the records it names.
fn settle(offices: &mut [&mut Office], by: u8, conflict: &Conflict, code: &str) {
    let way = conflict.ways.iter().find(|way| way.code == code).expect("such a way");
    for change in way.noted(Some("理由")) {
        let at = usize::from(change.document.0[0]) - 1;
        offices[at].writes(by, change.fields).unwrap();
    }
}

fn term(by: u8, person: &str, from: &str, to: &str) -> Office {
    let fields =
        json!({"person": person, "branch": "b", "post": "secretary", "from": from, "to": to});
    Office::new(kind("term"), by, fields)
}

#[test]
fn two_secretaries_at_once() {
    let (mut one, mut two) =
        (term(ALICE, "甲", "2018-01-01", ""), term(CAROL, "乙", "2018-02-01", ""));
    let proposed = only(&subjects(&[&one, &two]), Case::TwoInOffice);
    one.takes(HEAD, "approve").unwrap();
    assert_eq!(found(&subjects(&[&one, &two])), vec![], "a proposal to follow is a succession");
    two.takes(HEAD + 1, "approve").unwrap();
    let conflict = only(&subjects(&[&one, &two]), Case::TwoInOffice);
    assert_eq!((conflict.id, conflict.settled_by), (proposed.id, By::HeadOffice));
    settle(&mut [&mut one, &mut two], HEAD, &conflict, "2");
    assert_eq!((one.status(), two.status()), (json!("ended"), json!("approved")));
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
    let (mut one, mut two) = (term(ALICE, "甲", "", ""), term(CAROL, "乙", "", ""));
    let conflict = only(&subjects(&[&one, &two]), Case::TwoInOffice);
    settle(&mut [&mut one, &mut two], HEAD, &conflict, "1");
    assert_eq!((one.status(), two.status()), (json!("approved"), json!("refused")));
    let follows =
        [&term(ALICE, "甲", "2015-01-01", "2018-01-01"), &term(ALICE, "乙", "2018-01-01", "")];
    assert_eq!(found(&subjects(&follows)), vec![]);
}

fn transfer(member: &str, to: &str) -> Office {
    let fields = json!({"member": member, "from_unit": "nt", "to_unit": to});
    Office::new(kind("transfer"), ALICE, fields)
}

#[test]
fn one_member_transferred_to_two_branches() {
    let member = DocId([9; 16]).to_string();
    let (mut one, mut two) = (transfer(&member, "sz"), transfer(&member, "head"));
    assert_eq!(found(&subjects(&[&one, &transfer(&"0".repeat(32), "sz")])), vec![]);
    only(&subjects(&[&one, &two]), Case::TwoTransfers);
    one.takes(CAROL, "receive").unwrap();
    let conflict = only(&subjects(&[&one, &two]), Case::TwoTransfers);
    assert_eq!(conflict.settled_by, By::HeadOffice);
    settle(&mut [&mut one, &mut two], HEAD, &conflict, "2");
    assert_eq!((one.status(), two.status()), (json!("revoked"), json!("issued")));
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
}

#[test]
fn transfer_and_suspension_at_once() {
    let member = Office::new(kind("member"), ALICE, json!({"name": "甲", "stage": "full"}));
    let mut transfer = transfer(&DocId([1; 16]).to_string(), "sz");
    assert_eq!(found(&subjects(&[&member, &transfer])), vec![]);
    let mut suspended = member.fork();
    suspended.takes(ALICE, "suspend").unwrap();
    let conflict = only(&subjects(&[&suspended, &transfer]), Case::TransferOfSuspended);
    settle(&mut [&mut suspended, &mut transfer], HEAD, &conflict, "freeze");
    assert_eq!(transfer.status(), "frozen");
    assert_eq!(found(&subjects(&[&suspended, &transfer])), vec![]);
}

fn member(fields: Value) -> Office {
    Office::new(kind("member"), ALICE, fields)
}

#[test]
fn the_same_person_entered_twice() {
    let number = "110101197001011234";
    let mut one = member(json!({"name": "王海", "joined": "2001-07-01"}));
    let mut two = member(json!({"name": "王 海", "joined": "2001-07-01", "id_number": number}));
    let three = member(json!({"name": "王海涛", "id_number": number}));
    let conflict = only(&subjects(&[&one, &two, &three]), Case::SamePerson);
    assert_eq!(conflict.records.len(), 3, "each with another");
    assert!(!format!("{conflict:?}").contains("19700101"), "{conflict:?}");
    let other =
        member(json!({"name": "王海", "joined": "2001-07-01", "id_number": "320101197001011234"}));
    assert_eq!(found(&subjects(&[&two, &other])), vec![], "two people of one name");
    let conflict = only(&subjects(&[&one, &two]), Case::SamePerson);
    settle(&mut [&mut one, &mut two], HEAD, &conflict, "1");
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
    // Somebody else has kept the other record at the same time.
    let (first, second) = (DocId([1; 16]).to_string(), DocId([2; 16]).to_string());
    assert_eq!(two.record.to_json()["same_as"], first);
    one.writes(HEAD + 1, json!({"same_as": second})).unwrap();
    let again = only(&subjects(&[&one, &two]), Case::SamePerson);
    assert_eq!(again.id, conflict.id);
    settle(&mut [&mut one, &mut two], HEAD, &again, "2");
    assert_eq!(two.record.to_json()["same_as"], Value::Null);
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
    // It can be taken back.
    one.writes(HEAD, json!({"same_as": null})).unwrap();
    assert_eq!(only(&subjects(&[&one, &two]), Case::SamePerson).id, conflict.id);
}

#[test]
fn aliases_in_a_circle_of_three_are_one_conflict() {
    let id = |n: u8| DocId([n; 16]).to_string();
    let alias = |n: u8, of: u8| {
        let fields = json!({"name": format!("王{n}"), "same_as": id(of)});
        Office::new(kind("member"), HEAD, fields)
    };
    let (mut one, mut two, mut three) = (alias(1, 2), alias(2, 3), alias(3, 1));
    let all = subjects(&[&one, &two, &three]);
    let conflict = only(&all, Case::SamePerson);
    assert_eq!(conflict.records.len(), 3);
    assert!(
        conflict.ways.iter().all(|way| way.code != "stand"),
        "nobody would be left to be shown"
    );
    settle(&mut [&mut one, &mut two, &mut three], HEAD, &conflict, "2");
    assert_eq!(two.record.to_json()["same_as"], Value::Null);
    assert_eq!(one.record.to_json()["same_as"], id(2));
    assert_eq!(three.record.to_json()["same_as"], id(2));
    assert_eq!(found(&subjects(&[&one, &two, &three])), vec![]);
    // A chain is no circle, whatever leads into one is not part of it.
    let (one, two, three) = (alias(1, 2), alias(2, 1), alias(3, 1));
    assert_eq!(only(&subjects(&[&one, &two, &three]), Case::SamePerson).records.len(), 2);
    let (one, two, three) = (alias(1, 2), alias(2, 3), member(json!({"name": "王3"})));
    assert_eq!(found(&subjects(&[&one, &two, &three])), vec![]);
}

#[test]
fn one_person_on_two_units_rosters_is_head_offices_to_settle() {
    let apart = |offices: &[&Office]| {
        let mut subjects = subjects(offices);
        subjects[1].of.space = SpaceId([8; 16]);
        subjects
    };
    let one = member(json!({"name": "王海", "joined": "2001-07-01"}));
    let mut two = member(json!({"name": "王海", "joined": "2001-07-01"}));
    let conflict = only(&apart(&[&one, &two]), Case::SamePersonElsewhere);
    assert_eq!(conflict.settled_by, By::HeadOffice);
    assert_eq!(found(&apart(&[&one, &two])[..1]), vec![], "a unit reads its own roster alone");
    let kept = conflict.ways.iter().find(|way| way.code == "1").unwrap();
    assert_eq!(kept.changes.len(), 1);
    assert_eq!(kept.changes[0].space, SpaceId([8; 16]));
    two.writes(HEAD, kept.changes[0].fields.clone()).unwrap();
    assert_eq!(found(&apart(&[&one, &two])), vec![]);
    // It can be taken back, and a record that was handed over is one.
    two.writes(HEAD, json!({"same_as": null})).unwrap();
    assert_eq!(only(&apart(&[&one, &two]), Case::SamePersonElsewhere).id, conflict.id);
    let mut handed = apart(&[&one, &two]);
    handed[1].of.document = handed[0].of.document;
    assert_eq!(found(&handed), vec![]);
}

fn meeting(kind_of: &str, start: &str, number: &str) -> Office {
    let fields = json!({"kind": kind_of, "branch": "T1", "start": start, "number": number});
    Office::new(kind("meeting"), ALICE, fields)
}

#[test]
fn two_records_of_one_meeting_and_a_number_taken_twice() {
    let mut one = meeting("general", "2018-03-05T09:00:00+08:00", "1");
    let mut two = meeting("general", "2018-03-05T15:00:00+08:00", "1");
    let conflict = only(&subjects(&[&one, &two]), Case::SameMeeting);
    settle(&mut [&mut one, &mut two], HEAD, &conflict, "1");
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
    let (mut one, mut two) = (
        meeting("general", "2018-03-05T09:00:00+08:00", "1"),
        meeting("general", "2018-03-06T00:30:00+08:00", "1"),
    );
    let conflict = only(&subjects(&[&one, &two]), Case::SameNumber);
    assert_eq!(
        (&conflict.sides[0].value["number"], &conflict.sides[1].value["number"]),
        (&json!("1"), &json!("1-2"))
    );
    settle(&mut [&mut one, &mut two], ALICE, &conflict, "suffix");
    assert_eq!(found(&subjects(&[&one, &two])), vec![]);
    let talks = [
        &meeting("talk", "2018-03-05T09:00:00+08:00", ""),
        &meeting("talk", "2018-03-05T10:00:00+08:00", ""),
    ];
    assert_eq!(found(&subjects(&talks)), vec![], "one talks to several people in a day");
    let mut gone = meeting("general", "2018-03-05T09:00:00+08:00", "");
    gone.takes(ALICE, "cancel").unwrap();
    assert_eq!(found(&subjects(&[&gone, &one])), vec![]);
}

#[test]
fn a_temporary_branch_dissolved_while_a_meeting_is_recorded() {
    let fields = json!({"code": "T1", "name": "临时", "host_unit": "nt"});
    let mut branch = Office::new(kind("temporary-branch"), ALICE, fields);
    let before = meeting("general", "1970-01-01T08:00:00+08:00", "");
    for (by, op) in [(HEAD, "approve"), (ALICE, "activate"), (ALICE, "wind-up")] {
        branch.takes(by, op).unwrap();
    }
    // Office clocks tell who writes: Eve's is behind head office's, and that of the last is ahead.
    assert_eq!(found(&subjects(&[&branch, &before])), vec![]);
    branch.takes(HEAD, "dissolve").unwrap();
    assert_eq!(found(&subjects(&[&branch, &before])), vec![], "it was there before");
    let late = |start: &str| {
        let fields = json!({"kind": "general", "branch": "T1", "start": start});
        Office::new(kind("meeting"), HEAD + 1, fields)
    };
    let conflict =
        only(&subjects(&[&branch, &late("1970-01-01T08:00:00+08:00")]), Case::LateMeeting);
    assert!(conflict.ways[0].en.contains("before"), "{conflict:?}");
    let conflict =
        only(&subjects(&[&branch, &late("2018-03-05T08:00:00+08:00")]), Case::LateMeeting);
    assert!(conflict.ways[0].en.contains("after"), "{conflict:?}");
    let stand = conflict.ways[0].noted(Some("n"));
    assert_eq!((stand[0].schema.name, stand[0].document), ("settlement", conflict.id));
}

#[test]
fn what_may_stand_is_settled_in_one_record_by_two() {
    let (one, two) = (
        member(json!({"name": "甲", "birth": "1970-01-01"})),
        member(json!({"name": "甲", "birth": "1970-01-01"})),
    );
    let conflict = only(&subjects(&[&one, &two]), Case::SamePerson);
    let way = conflict.ways.iter().find(|way| way.code == "stand").unwrap();
    let change = way.noted(Some("同名")).remove(0);
    let settlement = Office::new(change.schema, HEAD, change.fields.clone());
    assert_eq!(settlement.status(), "stands");
    let stranger = Record::new(change.schema).by(settlement.record.authors.as_ref().unwrap());
    let edits = Edits::from_json(change.schema, &change.fields).unwrap();
    let refused = stranger.clone().edit(log(CAROL).actor(), 1, "a", &edits).unwrap_err();
    assert!(refused.to_string().contains("head office"), "{refused}");
    let met = settlement.met(&Office::new(change.schema, HEAD + 1, change.fields));
    assert_eq!((met.status(), open(&met)), (json!("stands"), vec![]), "both say the same");
}

#[test]
fn a_clock_far_ahead_is_flagged() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let post = on_its_way(&[]);
    let conflict = ahead(of(kind("post"), 1), &post.record);
    assert_eq!((conflict.case, conflict.ways.len()), (Case::ClockAhead, 1));
    assert!(is_ahead(DAY_MS + 6, 5) && !is_ahead(DAY_MS + 5, 5));
}

#[test]
fn a_cases_code_is_known_and_says_what_stands_meanwhile() {
    for (case, code) in Case::ALL.into_iter().zip(conflict::CASES) {
        assert_eq!(case.code(), *code);
        let (zh, en) = case.meanwhile();
        assert!(!zh.is_empty() && !en.is_empty());
        assert_eq!(match_case(&[case as u8; 16]), Some(case));
    }
}
