//! Records from outside: what people write and merge, what a stranger's change cannot do.

mod canonical;
mod conflicts;
mod courses;
mod kinds;
mod order;
mod people;
mod publications;
mod reviews;
mod strangers;
mod trust;
mod writers;

use super::chunk::{Chunk, ChunkError};
use super::*;
use crate::id::{LogId, hex};
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX};
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
    materialise(post(), None, snapshot, &entries).unwrap()
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
    timed("materialise four changes", || materialise(post(), None, None, &entries).unwrap());
    let first = materialise(post(), None, None, &entries[..3]).unwrap().snapshot;
    timed("materialise a fourth", || {
        materialise(post(), None, Some(&first), &entries[3..]).unwrap()
    });
    let saved = record.save();
    timed("load", || Record::load(post(), &saved).unwrap());
    timed("save", || record.save());
    timed("row", || record.row());
    timed("to_json", || record.to_json());
    timed("history", || record.history());
}
