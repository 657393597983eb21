//! Records from outside: what people write and merge, what a stranger's change cannot do.

use super::chunk::{Chunk, ChunkError};
use super::*;
use crate::id::{LogId, hex};
use crate::limits::{BODY_BYTES_MAX, CHANGE_OPS_MAX};
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn post() -> &'static Schema {
    schema_named("posts").unwrap()
}

fn log(author: u8) -> LogId {
    LogId([author; 32])
}

const ALICE: u8 = 1;
const BOB: u8 = 2;
const EVE: u8 = 6;

/// Writes and returns the change's bytes.
fn write(record: &mut Record, author: u8, json: Value) -> Vec<u8> {
    let edits = Edits::from_json(record.schema(), &json).unwrap();
    let actor = log(author).actor();
    record.edit(actor, 1_700_000_000_000, "a1", &edits).unwrap().expect("something changed")
}

/// Materialises bodies of (author, place in the author's log, body).
fn gather(snapshot: Option<&[u8]>, entries: &[(u8, u64, &[u8])]) -> Outcome {
    let entries: Vec<_> = entries
        .iter()
        .map(|(author, seq, body)| Incoming { log: log(*author), seq: *seq, body })
        .collect();
    materialise(post(), snapshot, &entries).unwrap()
}

/// A record as a node would have it after these changes.
fn with(base: &Record, entries: &[(u8, u64, &[u8])]) -> Record {
    let outcome = gather(Some(&base.save()), entries);
    assert_eq!((outcome.refused, outcome.waiting), (vec![], vec![]));
    outcome.record
}

fn created() -> (Record, Vec<u8>) {
    let mut record = Record::new(post());
    let json = json!({"title": "国门先锋", "body": "今天开会。", "column": "news", "tags": ["廉政"],
        "bylines": ["甲", "乙"], "written": "2018-12-11"});
    let body = write(&mut record, ALICE, json);
    (record, body)
}

mod people {
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
            let there = materialise(schema, None, &[entry]).unwrap().record;
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
        assert!(body.len() < BODY_BYTES_MAX);
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
        let a = write(
            &mut alice,
            ALICE,
            json!({"body": "今天上午开会。", "bylines": ["甲", "丙", "乙"]}),
        );
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
            {"value": "乙", "actor": actor(BOB)}, {"value": "甲", "actor": actor(ALICE)}]});
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
        let both = materialise(schema, Some(&alice.save()), &[entry]).unwrap().record.to_json();
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
            ["status", "submitted"],
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
}

fn decoded(body: &[u8]) -> ExpandedChange {
    Change::try_from(body).unwrap().decode()
}

fn encoded(change: ExpandedChange) -> Vec<u8> {
    Change::from(change).raw_bytes().to_vec()
}

fn verdict(author: u8, body: &[u8]) -> Result<(), Refusal> {
    inspect(post(), log(author).actor(), body).map(drop)
}

/// A change of two puts by Eve, its action column as given and its checksum right.
fn two_puts(action: &[u8]) -> Vec<u8> {
    let columns: [(u8, &[u8]); 6] = [
        (0x15, &[0x7e, 1, b'a', 1, b'b']),
        (0x34, &[2]),
        (0x42, action),
        (0x56, &[2, 0x16]),
        (0x57, b"xy"),
        (0x70, &[2, 0]),
    ];
    chunk(&columns)
}

fn chunk(columns: &[(u8, &[u8])]) -> Vec<u8> {
    let mut data = vec![1];
    data.extend_from_slice(&Record::new(post()).heads()[0]);
    data.push(16);
    data.extend_from_slice(&[EVE; 16]);
    data.extend_from_slice(&[1, 5, 0, 0, 0, columns.len() as u8]);
    for (spec, bytes) in columns {
        data.extend_from_slice(&[*spec, bytes.len() as u8]);
    }
    columns.iter().for_each(|(_, bytes)| data.extend_from_slice(bytes));
    let mut body = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1];
    assert!(data.len() < 128);
    body.push(data.len() as u8);
    body.extend_from_slice(&data);
    body
}

fn signed(mut body: Vec<u8>) -> Vec<u8> {
    let hash = Change::try_from(&body[..]).unwrap().hash().0;
    body[4..8].copy_from_slice(&hash[..4]);
    body
}

mod strangers {
    use super::*;

    #[test]
    fn run_length_bombs_are_never_unrolled() {
        // Ten million puts of nothing in 20 bytes of columns.
        let run = [0x80, 0xad, 0xe2, 0x04];
        let item = |value: &[u8]| [&run[..], value].concat();
        let (key, one, zero) = (item(&[1, b'a']), item(&[1]), item(&[0]));
        let columns: [(u8, &[u8]); 5] =
            [(0x15, &key), (0x34, &run), (0x42, &one), (0x56, &zero), (0x70, &zero)];
        let bomb = chunk(&columns);
        assert_eq!(verdict(EVE, &bomb), Err(Refusal::Chunk(ChunkError::Runs)));
        // A single operation that claims as many predecessors.
        let columns: [(u8, &[u8]); 7] = [
            (0x15, &[0x7f, 1, b'a']),
            (0x34, &[1]),
            (0x42, &[0x7f, 1]),
            (0x56, &[0x7f, 0]),
            (0x70, &[0x7f, 0x80, 0xad, 0xe2, 0x04]),
            (0x71, &zero),
            (0x73, &zero),
        ];
        assert_eq!(verdict(EVE, &chunk(&columns)), Err(Refusal::Chunk(ChunkError::Runs)));
    }

    #[test]
    fn one_meaning_has_one_encoding() {
        assert_eq!(verdict(EVE, &signed(two_puts(&[2, 1]))), Ok(()));
        for twisted in [&[1, 1, 1, 1][..], &[0x7e, 1, 1], &[0x7f, 1, 0x7f, 1], &[0x7f, 1, 1, 1]] {
            let body = signed(two_puts(twisted));
            assert_eq!(verdict(EVE, &body), Err(Refusal::Canonical), "{twisted:?}");
        }
        let overlong = two_puts(&[0x82, 0x00, 1]);
        assert_eq!(verdict(EVE, &overlong), Err(Refusal::Chunk(ChunkError::Number)));
    }

    #[test]
    fn nothing_deflated_unknown_or_trailing_passes() {
        let (_, body) = created();
        let deflated = {
            let mut record = Record::new(post());
            let body = write(&mut record, ALICE, json!({"title": "t", "body": "党".repeat(2000)}));
            Change::try_from(&body[..]).unwrap().bytes().to_vec()
        };
        assert_eq!(verdict(ALICE, &deflated), Err(Refusal::Chunk(ChunkError::Type(2))));
        let saved = Record::new(post()).save();
        assert_eq!(verdict(ALICE, &saved), Err(Refusal::Chunk(ChunkError::Type(0))));
        for after in [&[0][..], &body] {
            let longer = [&body[..], after].concat();
            assert_eq!(verdict(ALICE, &longer), Err(Refusal::Chunk(ChunkError::Trailing)));
        }
        let mut inside = decoded(&body);
        inside.extra_bytes = vec![1, 2, 3];
        assert_eq!(verdict(ALICE, &encoded(inside)), Err(Refusal::Chunk(ChunkError::Trailing)));
        for spec in [0x5e, 0x66, 0x94, 0xa5] {
            let column = chunk(&[(spec, &[1])]);
            let refused = Refusal::Chunk(ChunkError::Column(u32::from(spec)));
            let found = verdict(EVE, &column).unwrap_err();
            assert!(found == refused || found == Refusal::Chunk(ChunkError::Number), "{found:?}");
        }
        let mut changed = body.clone();
        changed[4] ^= 1;
        assert_eq!(verdict(ALICE, &changed), Err(Refusal::Checksum));
        assert_eq!(verdict(BOB, &body), Err(Refusal::Actor));
        assert_eq!(verdict(0, &body), Err(Refusal::Actor));
        assert_eq!(verdict(ALICE, &vec![0; BODY_BYTES_MAX + 1]).unwrap_err().code(), "size");
    }

    /// Alice's first change with something else done to it.
    fn twisted(twist: impl FnOnce(&mut ExpandedChange)) -> Vec<u8> {
        let mut change = decoded(&created().1);
        twist(&mut change);
        encoded(change)
    }

    #[test]
    fn documents_do_not_nest_and_keep_their_objects() {
        let cases: [fn(&mut Op); 8] = [
            |op| op.action = OpType::Make(ObjType::Map),
            |op| op.action = OpType::Increment(1),
            |op| op.key = Key::Map("body".into()),
            |op| op.key = Key::Map("@record".into()),
            |op| op.key = Key::Map("k".repeat(KEY_BYTES_MAX + 1).into()),
            |op| op.key = Key::head(),
            |op| op.action = OpType::Delete,
            |op| op.obj = ObjectId::Id(OpId(77, ActorId::from([0; 16]))),
        ];
        for (i, case) in cases.into_iter().enumerate() {
            let body = twisted(|c| case(&mut c.operations[0]));
            assert_eq!(verdict(ALICE, &body).unwrap_err().code(), "operation", "case {i}");
        }
        let nested = twisted(|c| {
            let start = c.start_op.get();
            for depth in 0..300u64 {
                let mut op = c.operations[0].clone();
                op.action = OpType::Make(ObjType::Map);
                if depth > 0 {
                    op.obj = ObjectId::Id(OpId(start + depth - 1, c.actor_id.clone()));
                }
                c.operations[depth as usize % 2] = op.clone();
                c.operations.insert(depth as usize, op);
            }
        });
        assert_eq!(verdict(ALICE, &nested).unwrap_err().code(), "operation");
    }

    #[test]
    fn counters_begin_where_the_past_ends() {
        let jump = twisted(|c| {
            c.operations.truncate(1);
            c.start_op = std::num::NonZeroU64::new((1 << 32) - 2).unwrap();
        });
        assert_eq!(verdict(ALICE, &jump), Err(Refusal::Counter));
        let gap = twisted(|c| {
            c.operations.truncate(1);
            c.start_op = std::num::NonZeroU64::new(1000).unwrap();
        });
        assert_eq!(verdict(ALICE, &gap), Ok(()));
        let outcome = gather(None, &[(ALICE, 1, &gap)]);
        let expected = Refusal::StartOp { expected: 5, found: 1000 };
        assert_eq!(outcome.refused, [(log(ALICE), 1, expected)]);
        assert!(outcome.record.is_new());
        assert_eq!(verdict(ALICE, &twisted(|c| c.deps.clear())), Err(Refusal::Genesis));
        assert_eq!(verdict(ALICE, &twisted(|c| c.operations.clear())), Err(Refusal::Empty));
        let long = twisted(|c| c.message = Some("m".repeat(129)));
        assert_eq!(verdict(ALICE, &long), Err(Refusal::Message(129)));
    }

    #[test]
    fn the_first_in_the_log_of_two_changes_with_one_number_stands() {
        let (mut one, mut two) = (Record::new(post()), Record::new(post()));
        let first = write(&mut one, EVE, json!({"title": "一"}));
        let second = write(&mut two, EVE, json!({"title": "二"}));
        let after = write(&mut two, EVE, json!({"status": "submitted"}));
        let entries = [(EVE, 1, &first[..]), (EVE, 2, &second[..]), (EVE, 3, &after[..])];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let outcome = gather(None, &order.map(|i| entries[i]));
            assert_eq!(outcome.heads, one.heads());
            assert_eq!(outcome.refused, [(log(EVE), 2, Refusal::Taken(1))]);
            assert_eq!(outcome.waiting, [(log(EVE), 3)], "what builds on it never counts");
        }
        let skipped = {
            let mut change = decoded(&first);
            change.seq = 2;
            encoded(change)
        };
        let outcome = gather(None, &[(EVE, 1, &skipped)]);
        assert_eq!(outcome.refused[0].2, Refusal::Sequence { expected: 1, found: 2 });
    }

    #[test]
    fn orphans_wait_outside_the_document() {
        let orphans: Vec<Vec<u8>> = (0..200u8)
            .map(|i| {
                twisted(|c| {
                    c.actor_id = ActorId::from([i; 16]);
                    c.deps.push(ChangeHash([i; 32]));
                    c.deps.sort();
                })
            })
            .collect();
        let entries: Vec<_> =
            orphans.iter().enumerate().skip(1).map(|(i, b)| (i as u8, 1, &b[..])).collect();
        let outcome = gather(None, &entries);
        assert_eq!((outcome.waiting.len(), outcome.accepted), (199, 0));
        assert_eq!(outcome.snapshot, Record::new(post()).save());
    }

    #[test]
    fn operations_may_only_refer_to_their_past() {
        let (base, _) = created();
        let (mut alice, mut bob) = (base.clone(), base.clone());
        let a = write(&mut alice, ALICE, json!({"body": "今天天开会。", "title": "甲"}));
        let b = write(&mut bob, BOB, json!({"body": "今天开会了。", "title": "乙"}));
        let concurrent = decoded(&a).start_op.get();
        let by_alice = |counter| OpId(counter, ActorId::from([ALICE; 16]));
        let insertion = decoded(&b).operations.iter().position(|o| o.insert).unwrap();
        let after = |counter| Key::Seq(ElementId::Id(by_alice(counter)));
        let case = |at: usize, twist: &dyn Fn(&mut Op)| {
            let mut change = decoded(&b);
            twist(&mut change.operations[at]);
            encoded(change)
        };
        let cases = [
            // After an element Alice inserted meanwhile: there, but not in Bob's past.
            case(insertion, &|op| op.key = after(concurrent + 1)),
            // After an operation of his past that is no element of the text.
            case(insertion, &|op| op.key = after(5)),
            // Overwriting a value under another key, and one that never was.
            case(0, &|op| op.pred = vec![by_alice(7)].into()),
            case(0, &|op| op.pred = vec![by_alice(70)].into()),
        ];
        assert_eq!(gather(Some(&alice.save()), &[(BOB, 1, &b)]).accepted, 1);
        for (i, body) in cases.iter().enumerate() {
            assert_eq!(verdict(BOB, body), Ok(()), "case {i}");
            for snapshot in [base.save(), alice.save()] {
                let outcome = gather(Some(&snapshot), &[(BOB, 1, body)]);
                assert_eq!(outcome.refused.len(), 1, "case {i}");
                assert_eq!(outcome.refused[0].2.code(), "reference", "case {i}");
            }
        }
    }

    proptest! {
        #[test]
        fn flipped_bytes_are_refused_without_a_panic(at in 0usize..400, to: u8) {
            let (_, body) = created();
            let mut bytes = body.clone();
            let at = 4 + at % (bytes.len() - 4);
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert!(verdict(ALICE, &bytes).is_err());
            // With the checksum made right again only harmless differences remain.
            if let Ok(change) = std::panic::catch_unwind(|| Change::try_from(&bytes[..])) &&
                Chunk::parse(&bytes).is_ok() && let Ok(change) = change {
                let hash = change.hash().0;
                bytes[4..8].copy_from_slice(&hash[..4]);
                let outcome = gather(None, &[(ALICE, 1, &bytes)]);
                let again = Record::load(post(), &outcome.snapshot).unwrap();
                prop_assert_eq!(again.to_json(), outcome.record.to_json());
            }
        }
    }
}

mod order {
    use super::*;

    /// What one author does in one step of a random story.
    #[derive(Debug, Clone)]
    enum Act {
        Edit(usize, u8),
        Pull(usize, usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0..3usize, any::<u8>()).prop_map(|(who, what)| Act::Edit(who, what)),
            2 => (0..3usize, 0..3usize).prop_map(|(to, from)| Act::Pull(to, from)),
        ]
    }

    fn edit(what: u8) -> Value {
        let text = "党建动态缉私风采".chars().cycle().skip(usize::from(what)).take(6);
        match what % 6 {
            0 => json!({"title": format!("t{what}")}),
            1 => json!({"title": "t", "body": text.collect::<String>()}),
            2 => json!({"title": "t", "tags": [format!("t{}", what % 4)]}),
            3 => json!({"title": "t", "bylines": [format!("b{}", what % 5), "b"]}),
            4 => json!({"title": "t", "status": if what > 99 { "draft" } else { "submitted" }}),
            _ => json!({"title": "t", "column": null, "body": ""}),
        }
    }

    /// Entries of three honest authors, and Eve's, which she makes of what she saw.
    fn story(acts: &[Act], hostile: fn(u8, &[u8]) -> Vec<u8>) -> Vec<(u8, u64, Vec<u8>)> {
        let mut replicas = vec![Record::new(post()); 3];
        let mut entries: Vec<(u8, u64, Vec<u8>)> = Vec::new();
        let mut count = [0u64; 3];
        let mut eve = 0;
        for act in acts {
            match *act {
                Act::Edit(who, what) => {
                    let edits = Edits::from_json(post(), &edit(what)).unwrap();
                    let author = who as u8 + 1;
                    let actor = log(author).actor();
                    let made = replicas[who].edit(actor, u64::from(what), "", &edits).unwrap();
                    if let Some(body) = made {
                        if what % 4 == 0 {
                            eve += 1;
                            entries.push((EVE, eve, hostile(what, &body)));
                        }
                        count[who] += 1;
                        entries.push((author, count[who], body));
                    }
                }
                Act::Pull(to, from) => {
                    let theirs: Vec<_> = entries
                        .iter()
                        .filter(|(a, _, _)| *a != EVE)
                        .map(|(a, s, b)| (*a, *s, &b[..]))
                        .filter(|(_, _, b)| {
                            let hash = Change::try_from(*b).unwrap().hash().0;
                            replicas[from].history().iter().any(|h| h.hash == hash)
                        })
                        .collect();
                    replicas[to] = with(&replicas[to], &theirs);
                }
            }
        }
        entries
    }

    /// A change of Eve's that is wrong whatever arrives when.
    fn hostile(what: u8, body: &[u8]) -> Vec<u8> {
        let mut change = decoded(body);
        change.actor_id = ActorId::from(log(EVE).actor());
        match what % 3 {
            0 => change.seq += 40,
            1 => {
                change.seq = 1;
                change.start_op = change.start_op.checked_add(3).unwrap();
            }
            _ => {
                let mut bytes = encoded(change);
                bytes[9] ^= 0x40;
                return bytes;
            }
        }
        encoded(change)
    }

    /// A change of Eve's whose fate depends on her others: one number twice, or a missing past.
    fn deceitful(what: u8, body: &[u8]) -> Vec<u8> {
        let mut change = decoded(body);
        change.actor_id = ActorId::from(log(EVE).actor());
        change.seq = 1 + u64::from(what.is_multiple_of(3));
        if what.is_multiple_of(5) {
            change.deps.push(ChangeHash([what; 32]));
        }
        encoded(change)
    }

    /// Everything that must not depend on order and batching.
    #[derive(Debug, PartialEq)]
    struct Found {
        heads: Vec<[u8; 32]>,
        json: Value,
        refused: BTreeSet<(LogId, u64, &'static str)>,
        waiting: Vec<(LogId, u64)>,
    }

    fn in_batches(entries: &[&(u8, u64, Vec<u8>)], sizes: &[usize]) -> Found {
        let mut snapshot: Option<Vec<u8>> = None;
        let mut refused = BTreeSet::new();
        let mut queue: Vec<(LogId, u64)> = Vec::new();
        let mut at = 0;
        let mut sizes = sizes.iter().cycle();
        let mut json = Value::Null;
        let mut heads = Vec::new();
        while at < entries.len() {
            let end = (at + sizes.next().unwrap()).min(entries.len());
            let mut batch: Vec<(u8, u64, &[u8])> = Vec::new();
            for (a, s, b) in entries {
                if queue.contains(&(log(*a), *s)) {
                    batch.push((*a, *s, b));
                }
            }
            batch.extend(entries[at..end].iter().map(|(a, s, b)| (*a, *s, &b[..])));
            let outcome = gather(snapshot.as_deref(), &batch);
            assert_eq!(outcome.evicted, Vec::<[u8; 32]>::new());
            refused.extend(outcome.refused.into_iter().map(|(l, s, r)| (l, s, r.code())));
            queue = outcome.waiting;
            heads = outcome.heads;
            json = outcome.record.to_json();
            snapshot = Some(outcome.snapshot);
            at = end;
        }
        Found { heads, json, refused, waiting: queue }
    }

    fn shuffled<T>(items: &mut [T], seed: u64) {
        let mut state = seed | 1;
        for i in (1..items.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            items.swap(i, (state >> 33) as usize % (i + 1));
        }
    }

    /// Mixes logs, each in its own order.
    fn interleaved<'a>(
        entries: &[&'a (u8, u64, Vec<u8>)],
        seed: u64,
    ) -> Vec<&'a (u8, u64, Vec<u8>)> {
        let mut order: Vec<u8> = entries.iter().map(|e| e.0).collect();
        shuffled(&mut order, seed);
        let mut logs: Vec<_> = entries.to_vec();
        let mut next = |author: u8| {
            let at = logs.iter().position(|e| e.0 == author).expect("as many as before");
            logs.remove(at)
        };
        order.into_iter().map(&mut next).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_order_duplication_and_batching_gives_one_document(
            acts in prop::collection::vec(act(), 1..14),
            seed: u64,
            sizes in prop::collection::vec(1usize..5, 1..4),
            repeated in 0usize..4,
        ) {
            let entries = story(&acts, hostile);
            let all: Vec<_> = entries.iter().collect();
            let mut order = all.clone();
            order.extend(all.iter().take(repeated));
            shuffled(&mut order, seed);
            prop_assert_eq!(in_batches(&order, &sizes), in_batches(&all, &[1000]));
        }

        #[test]
        fn deceit_is_told_apart_by_its_place_in_the_log(
            acts in prop::collection::vec(act(), 1..14),
            seed: u64,
            sizes in prop::collection::vec(1usize..5, 1..4),
            repeated in 0usize..4,
        ) {
            let entries = story(&acts, deceitful);
            let all: Vec<_> = entries.iter().collect();
            let mut order = interleaved(&all, seed);
            order.extend(all.iter().take(repeated));
            prop_assert_eq!(in_batches(&order, &sizes), in_batches(&all, &[1000]));
        }
    }
}

/// By hand: `cargo test --release -p fenbu-protocol -- --ignored --nocapture speed`.
#[test]
#[ignore = "prints timings"]
fn speed() {
    fn timed<T>(name: &str, mut work: impl FnMut() -> T) {
        const ROUNDS: u32 = 2000;
        (0..50).for_each(|_| drop(std::hint::black_box(work())));
        let start = std::time::Instant::now();
        (0..ROUNDS).for_each(|_| drop(std::hint::black_box(work())));
        eprintln!("{name}: {:.1} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    let text: String = "国门先锋缉私风采党建动态警营文化".chars().cycle().take(200).collect();
    let create = json!({"title": "关于开展主题党日活动的通知一二三四五六", "body": text,
        "column": "news", "kind": "work", "status": "draft", "written": "2018-12-11", "programme": "p"});
    let mut record = Record::new(post());
    let mut bodies = vec![write(&mut record, ALICE, create.clone())];
    let moved = format!("{}改一些{}", &text[..60], &text[60..]);
    for edit in [json!({"status": "submitted"}), json!({"title": "新"}), json!({"body": moved})] {
        bodies.push(write(&mut record, ALICE, edit));
    }
    timed("create, with raw bytes", || {
        let edits = Edits::from_json(post(), &create).unwrap();
        Record::new(post()).edit([1; 16], 1, "a1", &edits).unwrap()
    });
    timed("create, with raw bytes, row and saved form", || {
        let edits = Edits::from_json(post(), &create).unwrap();
        let mut record = Record::new(post());
        let body = record.edit([1; 16], 1, "a1", &edits).unwrap();
        (body, record.row(), record.save())
    });
    timed("edit a register, with raw bytes", || {
        write(&mut record.clone(), ALICE, json!({"title": "x"}))
    });
    timed("parse the chunk", || {
        let chunk = Chunk::parse(&bodies[0]).unwrap();
        let (mut ops, mut preds) = (chunk.ops(), Vec::new());
        while ops.next(&mut preds).unwrap().is_some() {}
    });
    timed("inspect the creation", || inspect(post(), [1; 16], &bodies[0]).unwrap());
    timed("raw: parse, apply, save, load", || {
        let changes: Vec<_> = bodies.iter().map(|b| Change::try_from(&b[..]).unwrap()).collect();
        let mut document = Record::new(post()).document().clone();
        document.apply_changes(changes).unwrap();
        automerge::Automerge::load(&document.save_nocompress()).unwrap()
    });
    let entries: Vec<_> =
        bodies.iter().zip(1..).map(|(body, seq)| Incoming { log: log(ALICE), seq, body }).collect();
    timed("materialise four changes", || materialise(post(), None, &entries).unwrap());
    let first = materialise(post(), None, &entries[..3]).unwrap().snapshot;
    timed("materialise a fourth", || materialise(post(), Some(&first), &entries[3..]).unwrap());
    let saved = record.save();
    timed("load", || Record::load(post(), &saved).unwrap());
    timed("save", || record.save());
    timed("row", || record.row());
    timed("to_json", || record.to_json());
    timed("history", || record.history());
}
