//! What people write, read back, and merge.

use super::*;

#[test]
fn what_is_written_is_read_back() {
    let (record, body) = created();
    let there = with(&Record::new(post()), &[(ALICE, 1, &body)]);
    assert_eq!(there.heads(), record.heads());
    let json = there.to_json();
    assert_eq!(json, record.to_json());
    assert_eq!(json["title"], "国门先锋");
    assert_eq!(json["status"], "draft", "the default while nobody wrote it");
    assert_eq!(json["bylines"], json!(["甲", "乙"]));
    assert_eq!(json["source_url"], Value::Null);
    assert_eq!(json["conflicts"], json!({}));
    let row = there.row();
    assert_eq!(row.cells.len(), post().columns.len());
    assert_eq!(row.cells[0], Cell::Text("国门先锋".to_owned()));
    assert_eq!(row.cells[2], Cell::Null);
    assert_eq!((row.created_ms, row.updated_ms), (1_700_000_000_000, 1_700_000_000_000));
    let again = Record::load(post(), &record.save()).unwrap();
    assert_eq!(again.to_json(), json);
    let other = schema_named("member").unwrap();
    assert_eq!(Record::load(other, &record.save()).unwrap_err(), LoadError::Kind("member"));
    assert_eq!(Record::load(post(), b"nonsense").unwrap_err(), LoadError::Unreadable);
}

/// Exports name every field, also those that nobody wrote.
#[test]
fn a_record_told_all_that_it_shows_has_nothing_to_write() {
    let (record, _) = created();
    let mut record = Record::load(post(), &record.save()).unwrap();
    let mut shown = record.to_json();
    shown
        .as_object_mut()
        .unwrap()
        .retain(|name, v| !["conflicts", "courses"].contains(&&name[..]) && !v.is_null());
    assert_eq!(shown["status"], "draft");
    let same = Edits::from_json(post(), &shown).unwrap();
    let actor = log(BOB).actor();
    assert_eq!(record.edit(actor, 1_700_000_000_000, "b1", &same).unwrap(), None);
    write(&mut record, BOB, json!({"status": "submitted"}));
    write(&mut record, BOB, json!({"status": "draft"}));
    assert_eq!(record.to_json()["status"], "draft", "the default can be gone back to");
}

#[test]
fn a_record_just_created_shows_what_its_document_will() {
    let rich = json!({"kind": "general", "branch": "b1", "planned": 1_544_490_000_000u64,
        "agenda": ["一", "二"], "attendance": {"m2": "late", "m1": "present", "m3": null},
        "minutes": "讨论", "tags": {"add": ["学习"], "remove": ["无"]}, "topic": null});
    let cases = [
        (schema_named("meeting").unwrap(), rich),
        (schema_named("meeting").unwrap(), json!({"kind": "talk", "branch": "b"})),
        (post(), json!({"title": "t", "bylines": ["甲", "乙"], "tags": ["b", "a"]})),
    ];
    for (schema, json) in cases {
        let mut fresh = Record::new(schema);
        let body = write(&mut fresh, ALICE, json);
        let (row, heads) = (fresh.row(), fresh.heads());
        let entry = Incoming { log: log(ALICE), seq: 1, body: &body };
        let there = materialise(schema, None, None, &[entry]).unwrap().record;
        assert_eq!((row, heads), (there.row(), there.heads()));
        assert_eq!((fresh.to_json(), fresh.heads()), (there.to_json(), there.heads()));
        let mut again = fresh.clone();
        write(&mut again, ALICE, json!({"title": "later"}));
        assert_eq!(again.history().len(), 2);
    }
    let mut empty = Record::new(schema_named("member").unwrap());
    assert_eq!((empty.row().created_ms, empty.row().updated_ms), (0, 0));
    let edits = Edits::from_json(empty.schema(), &json!({"name": "甲"})).unwrap();
    assert!(empty.edit([9; 16], 5, "", &edits).unwrap().is_some());
    assert_eq!((empty.row().created_ms, empty.row().updated_ms), (5, 5));
}

#[test]
fn saying_the_same_again_changes_nothing() {
    let (mut record, _) = created();
    let before = record.heads();
    for same in [
        json!({}),
        json!({"title": "国门先锋", "body": "今天开会。", "tags": ["廉政"]}),
        json!({"bylines": ["甲", "乙"], "source_url": null, "tags": {"remove": ["无"]}}),
    ] {
        let edits = Edits::from_json(post(), &same).unwrap();
        assert_eq!(record.edit([1; 16], 1, "", &edits), Ok(None));
    }
    assert_eq!(record.heads(), before);
}

#[test]
fn a_new_record_needs_its_required_fields_and_keeps_them() {
    let mut record = Record::new(post());
    let edits = Edits::from_json(post(), &json!({"body": "x"})).unwrap();
    let refused = record.edit([1; 16], 1, "", &edits);
    assert_eq!(refused, Err(EditError::Required { kind: "post", field: "title" }));
    assert!(record.is_new());
}

#[test]
fn too_much_for_one_change_is_refused_and_leaves_no_trace() {
    let (mut record, _) = created();
    let (before, json) = (record.heads(), record.to_json());
    let text: String = std::iter::repeat_n("a", CHANGE_OPS_MAX as usize + 1).collect();
    let edits = Edits::from_json(post(), &json!({ "title": "t", "body": text })).unwrap();
    assert_eq!(record.edit([1; 16], 1, "", &edits), Err(EditError::TooLarge));
    let mut new = Record::new(post());
    assert_eq!(new.edit([1; 16], 1, "", &edits), Err(EditError::TooLarge));
    assert!(new.is_new());
    assert_eq!((record.heads(), record.to_json()), (before, json));
}

#[test]
fn the_largest_text_of_one_save_passes_the_gate() {
    let mut record = Record::new(post());
    let text: String = ('\u{4e00}'..).take(CHANGE_OPS_MAX as usize - 1).collect();
    let body = write(&mut record, ALICE, json!({ "title": "t", "body": text }));
    assert!(body.len() < CHANGE_BYTES_MAX);
    assert_eq!(with(&Record::new(post()), &[(ALICE, 1, &body)]).to_json(), record.to_json());
}

#[test]
fn records_created_apart_share_their_objects() {
    let (mut alice, mut bob) = (Record::new(post()), Record::new(post()));
    let a = write(&mut alice, ALICE, json!({"title": "A", "body": "甲", "tags": ["a"]}));
    let b = write(&mut bob, BOB, json!({"title": "B", "body": "乙", "tags": ["b"]}));
    let both = with(&alice, &[(BOB, 1, &b)]);
    assert_eq!(both.to_json(), with(&bob, &[(ALICE, 1, &a)]).to_json());
    let json = both.to_json();
    assert_eq!(json["tags"], json!(["a", "b"]));
    let body: BTreeSet<char> = json["body"].as_str().unwrap().chars().collect();
    assert_eq!(body, BTreeSet::from(['甲', '乙']));
}

#[test]
fn texts_merge_by_character_and_lists_by_item() {
    let (base, _) = created();
    let (mut alice, mut bob) = (base.clone(), base.clone());
    let a =
        write(&mut alice, ALICE, json!({"body": "今天上午开会。", "bylines": ["甲", "丙", "乙"]}));
    let b = write(&mut bob, BOB, json!({"body": "今天开会学习。", "bylines": ["乙"]}));
    let json = with(&base, &[(ALICE, 2, &a), (BOB, 1, &b)]).to_json();
    assert_eq!(json["body"], "今天上午开会学习。");
    assert_eq!(json["bylines"], json!(["丙", "乙"]));
}

#[test]
fn adding_to_a_set_wins_over_a_concurrent_removal() {
    let (base, _) = created();
    let (mut alice, mut bob) = (base.clone(), base.clone());
    let a = write(&mut alice, ALICE, json!({"tags": {"remove": ["廉政"]}}));
    let b1 = write(&mut bob, BOB, json!({"tags": []}));
    let b2 = write(&mut bob, BOB, json!({"tags": {"add": ["廉政", "文化"]}}));
    let json = with(&base, &[(ALICE, 2, &a), (BOB, 1, &b1), (BOB, 2, &b2)]).to_json();
    assert_eq!(json["tags"], json!(["廉政", "文化"]));
}

#[test]
fn contested_values_are_all_kept_until_a_person_settles_them() {
    let (base, _) = created();
    let (mut alice, mut bob) = (base.clone(), base.clone());
    let a = write(&mut alice, ALICE, json!({"title": "甲", "programme": "p"}));
    let b = write(&mut bob, BOB, json!({"title": "乙", "programme": "q"}));
    let mut both = with(&base, &[(ALICE, 2, &a), (BOB, 1, &b)]);
    let actor = |n: u8| hex(&[n; 16]);
    let conflicts = json!({"title": [
        {"value": "乙", "actor": actor(BOB), "account": "a1", "time_ms": 1_700_000_000_000_u64},
        {"value": "甲", "actor": actor(ALICE), "account": "a1", "time_ms": 1_700_000_000_000_u64}]});
    assert_eq!(both.to_json()["conflicts"], conflicts, "a plain register raises none");
    assert_eq!(both.to_json()["title"], "乙");
    write(&mut both, ALICE, json!({"title": "乙"}));
    assert_eq!(both.to_json()["conflicts"], json!({}), "writing the shown value settles it");
}

#[test]
fn attendance_is_contested_member_by_member() {
    let schema = schema_named("meeting").unwrap();
    let mut base = Record::new(schema);
    write(
        &mut base,
        ALICE,
        json!({"kind": "general", "branch": "b1",
        "start": "2018-12-11T09:00:00+08:00", "attendance": {"m1": "present", "m2": "late"}}),
    );
    let (mut alice, mut bob) = (base.clone(), base.clone());
    write(&mut alice, ALICE, json!({"attendance": {"m1": "leave", "m2": null}}));
    let b = write(&mut bob, BOB, json!({"attendance": {"m1": "absent", "m3": "online"}}));
    let entry = Incoming { log: log(BOB), seq: 1, body: &b };
    let both = materialise(schema, None, Some(&alice.save()), &[entry]).unwrap().record.to_json();
    assert_eq!(both["attendance"], json!({"m1": "absent", "m3": "online"}));
    assert_eq!(both["conflicts"]["attendance/m1"].as_array().unwrap().len(), 2);
    assert_eq!(both["start"], 1_544_490_000_000u64);
    assert_eq!(both["status"], "planned");
}

#[test]
fn history_tells_what_each_change_did() {
    let (base, first) = created();
    let mut record = base;
    write(
        &mut record,
        BOB,
        json!({"body": "今天上午开会", "status": "submitted", "tags": ["文化"],
        "bylines": ["甲"], "title": "改"}),
    );
    let history = record.history();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].hash, Change::try_from(&first[..]).unwrap().hash().0);
    assert_eq!((history[1].actor, history[1].seq), (log(BOB).actor(), 1));
    assert_eq!((history[1].time_ms, history[1].account.as_str()), (1_700_000_000_000, "a1"));
    let expected = json!([
        ["title", "改"],
        ["body", {"inserted": 2, "deleted": 1, "excerpt": "上午"}],
        ["status", [{"op": "submit"}]],
        ["bylines", {"inserted": 0, "deleted": 1, "excerpt": ""}],
        ["tags", {"added": ["文化"], "removed": ["廉政"]}],
    ]);
    assert_eq!(json!(history[1].changes), expected);
}

#[test]
fn fields_of_a_newer_version_are_kept_and_shown() {
    let (record, body) = created();
    let mut newer = decoded(&body);
    let mut op = newer.operations[0].clone();
    op.key = Key::Map("mood".into());
    op.pred = vec![].into();
    newer.operations.push(op);
    let newer = encoded(newer);
    let there = with(&Record::new(post()), &[(ALICE, 1, &newer)]);
    assert_eq!(there.to_json()["other"], json!({"mood": "国门先锋"}));
    assert_ne!(there.heads(), record.heads());
}
