//! Derived data damaged by hand in the database, and made again.

use super::*;
use crate::clock::Clock;
use crate::records::RecordError;
use crate::store::{Digests, ListQuery, ListedRow, SqliteStore, StoredDocument};
use crate::testing::Bench;
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::{ALL, Schema, schema_named};
use rusqlite::Connection;
use serde_json::json;
use std::path::PathBuf;

struct Node {
    bench: Bench,
    database: PathBuf,
    _folder: tempfile::TempDir,
}

/// What readers see of everything that is derived.
#[derive(Debug, PartialEq)]
struct Derived {
    /// Without the snapshots' bytes, which tell how a document came to be.
    documents: Vec<(Place, Vec<[u8; 32]>, u32)>,
    fields: Vec<serde_json::Value>,
    rows: Vec<ListedRow>,
    digests: BTreeMap<SpaceId, Digests>,
    refused: usize,
}

fn activity() -> &'static Schema {
    schema_named("activity").unwrap()
}

impl Node {
    /// Activities and members, written once and edited a few times, two of them under one id.
    fn with_records(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("fenbu.db");
        let store = SqliteStore::open(&database, &crate::views::specs()).unwrap();
        let bench = Bench::start(Box::new(store), Clock::start());
        let member = schema_named("member").unwrap();
        for n in 0..count {
            let id = DocId([n as u8 * 7; 16]);
            let fields = json!({ "title": format!("标题 {n}"), "programme": "culture", "summary": "正文".repeat(40) });
            bench.records.create(activity(), &fields, Some(id), None, "test").unwrap();
            if n % 3 == 0 {
                let fields = json!({ "name": format!("王海 {n}") });
                bench.records.create(member, &fields, Some(id), None, "test").unwrap();
            }
            for edit in 0..n % 4 {
                let fields = json!({ "branches": { "add": [format!("t{edit}")] } });
                bench.records.edit(activity(), &id.to_string(), &fields, "test").unwrap();
            }
        }
        Self { bench, database, _folder: folder }
    }

    fn damage(&self, sql: &str) {
        let connection = Connection::open(&self.database).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn rebuilder(&self) -> &Rebuilder {
        &self.bench.records.rebuilder
    }

    fn spaces(&self) -> Vec<SpaceId> {
        self.bench.records.shared.readable()
    }

    fn derived(&self) -> Derived {
        let readers = &self.bench.records.shared.readers;
        let stored = readers.with(|r| r.documents(None, usize::MAX)).unwrap();
        let fields = |d: &StoredDocument| {
            Record::load(schema(d.kind).unwrap(), &d.snapshot).unwrap().to_json()
        };
        let query = ListQuery { limit: 500, ..ListQuery::default() };
        let rows = ALL.iter().flat_map(|s| readers.with(|r| r.list(s.kind, &query)).unwrap().rows);
        Derived {
            fields: stored.iter().map(fields).collect(),
            rows: rows.collect(),
            documents: stored.into_iter().map(|d| (d.place(), d.heads, d.conflicts)).collect(),
            digests: readers.with(|r| r.digests()).unwrap(),
            refused: readers.with(|r| r.refused(99)).unwrap().len(),
        }
    }

    fn repair_documents(&self, rebuilder: &Rebuilder) -> Rebuilt {
        let mut rebuilt = Rebuilt::default();
        for space in self.spaces() {
            rebuilt += rebuilder.repair_documents(space).unwrap();
        }
        rebuilt
    }
}

#[test]
fn a_rebuild_of_what_is_whole_changes_nothing_whatever_its_rounds() {
    let node = Node::with_records(20);
    let before = node.derived();
    assert_eq!(before.documents.len(), 27);
    for round_bytes in [1, 3_000, ROUND_BYTES] {
        let rebuilder = node.rebuilder().clone().with_rounds_of(round_bytes);
        let rebuilt = node.repair_documents(&rebuilder);
        assert_eq!(rebuilt, Rebuilt { count: 27, changed: 0, damaged: 0 }, "{round_bytes}");
        assert_eq!(node.derived(), before, "{round_bytes}");
    }
    let rebuilt = node.rebuilder().repair_views().unwrap();
    assert_eq!(rebuilt, Rebuilt { count: 27, changed: 0, damaged: 0 });
    assert_eq!(node.derived(), before);
}

/// I10: views and documents are what the logs make of them, from nothing.
#[test]
fn everything_derived_comes_back_from_the_logs() {
    let node = Node::with_records(12);
    let before = node.derived();
    node.damage(
        "DELETE FROM documents; DELETE FROM view_activities; DELETE FROM view_members;
         UPDATE spaces SET state_sum = zeroblob(32)",
    );
    assert!(node.derived().documents.is_empty());
    let rebuilt = node.repair_documents(&node.rebuilder().clone().with_rounds_of(3_000));
    assert_eq!(rebuilt, Rebuilt { count: 16, changed: 16, damaged: 0 });
    assert_eq!(node.derived(), before);
}

/// Whatever is wrong with a row, whoever meets it finds the record as it was.
#[test]
fn a_damaged_document_is_healed_where_it_is_met() {
    let damages = [
        "snapshot = x'00'",
        "snapshot = substr(snapshot, 1, length(snapshot) - 9)",
        "snapshot = zeroblob(length(snapshot))",
        "snapshot = 'text'",
        "heads = x'0102'",
        "heads = NULL || 'text'",
        "genesis = -1",
    ];
    for damage in damages {
        let node = Node::with_records(6);
        let before = node.derived();
        let id = DocId([14; 16]).to_string();
        let hurt = || {
            // `NOT NULL` stands in nobody's way but ours.
            let damage = damage.replace("NULL || ", "");
            node.damage(&format!("UPDATE documents SET {damage} WHERE document = x'{id}'"));
        };
        hurt();
        let shown = node.bench.records.show(activity(), &id).expect(damage);
        assert_eq!(shown.record.to_json()["title"], "标题 2", "{damage}");
        assert_eq!(node.derived(), before, "{damage}");
        assert_eq!(node.bench.progress.damaged.load(Ordering::Relaxed), 1, "{damage}");

        hurt();
        let mut exported = 0;
        node.bench.records.each(activity(), |_| exported += 1).expect(damage);
        assert_eq!(exported, 6, "{damage}");
        assert_eq!(node.derived(), before, "{damage}");

        // A write needs the last version, or it would use its author's numbers twice.
        hurt();
        let fields = json!({ "title": "改过" });
        let saved = node.bench.records.edit(activity(), &id, &fields, "test").expect(damage);
        assert!(saved.entry.is_some());
        let shown = node.bench.records.show(activity(), &id).expect(damage);
        assert_eq!(shown.record.to_json()["title"], "改过", "{damage}");
        assert_eq!(shown.record.to_json()["branches"], json!(["t0", "t1"]), "{damage}");
        let rebuilt = node.repair_documents(node.rebuilder());
        assert_eq!(rebuilt.changed, 0, "{damage}: the edit builds on what was there");
    }
}

#[test]
fn rows_that_are_wrong_are_found_and_put_right() {
    let node = Node::with_records(10);
    let before = node.derived();
    node.damage(
        "UPDATE view_activities SET c_title = '别的' WHERE document = x'07070707070707070707070707070707';
         DELETE FROM view_activities WHERE document = x'0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e';
         UPDATE view_members SET document_id = 9999 WHERE document = zeroblob(16);
         UPDATE documents SET snapshot = x'00' WHERE document = x'15151515151515151515151515151515'",
    );
    let rebuilt = node.rebuilder().repair_views().unwrap();
    // Under the last id there are an activity and a member.
    assert_eq!(rebuilt, Rebuilt { count: 14, changed: 5, damaged: 2 });
    assert_eq!(node.derived(), before);
}

/// What no entry made goes, and a row that lies about its heads or names nothing is found.
#[test]
fn a_repair_finds_what_nobody_would_meet() {
    let node = Node::with_records(10);
    let before = node.derived();
    node.damage(
        "INSERT INTO documents (document, space_id, kind, genesis, conflicts, heads, snapshot)
             SELECT x'99999999999999999999999999999999', space_id, kind, genesis, conflicts, heads,
                 snapshot FROM documents WHERE kind = 12 LIMIT 1;
         UPDATE documents SET heads = zeroblob(32)
             WHERE document = x'07070707070707070707070707070707';
         UPDATE documents SET kind = 70000
             WHERE document = x'0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e'",
    );
    let missing = node.bench.records.show(activity(), &DocId([14; 16]).to_string());
    assert!(matches!(missing, Err(RecordError::NotFound { .. })));
    let rebuilt = node.repair_documents(node.rebuilder());
    assert_eq!(rebuilt, Rebuilt { count: 15, changed: 3, damaged: 1 });
    assert_eq!(node.derived(), before);
}

/// A round that was broken off leaves documents ahead of their logs' cursors, and people write on. A
/// rebuild that ended at the cursors would take from under them what they build on.
#[test]
fn a_document_ahead_of_its_logs_stays_ahead() {
    let node = Node::with_records(8);
    let before = node.derived();
    node.damage("UPDATE logs SET cursor = 2");
    let rebuilt = node.repair_documents(node.rebuilder());
    assert_eq!(rebuilt, Rebuilt { count: 11, changed: 0, damaged: 0 });
    assert_eq!(node.derived(), before);
    let id = DocId([49; 16]).to_string();
    node.damage(&format!("UPDATE documents SET snapshot = x'00' WHERE document = x'{id}'"));
    let fields = json!({ "branches": { "add": ["again"] } });
    node.bench.records.edit(activity(), &id, &fields, "test").unwrap();
    let shown = node.bench.records.show(activity(), &id).unwrap();
    assert_eq!(shown.record.to_json()["branches"], json!(["again", "t0", "t1", "t2"]));
}

#[test]
fn writers_go_on_while_everything_is_made_again() {
    let node = Node::with_records(10);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..40 {
                let id = DocId([(n % 10) * 7; 16]).to_string();
                let fields = json!({ "branches": { "add": [format!("w{n}")] } });
                node.bench.records.edit(activity(), &id, &fields, "test").unwrap();
                node.bench.topic(&format!("new {n}")).unwrap();
            }
        });
        while !writing.is_finished() {
            let rebuilt = node.repair_documents(&node.rebuilder().clone().with_rounds_of(3_000));
            assert_eq!(rebuilt.changed, 0);
            assert_eq!(node.rebuilder().repair_views().unwrap().changed, 0);
        }
    });
    let before = node.derived();
    assert_eq!(before.documents.len(), 14 + 40);
    let shown = node.bench.records.show(activity(), &DocId([7; 16]).to_string()).unwrap();
    let tags = shown.record.to_json()["branches"].as_array().unwrap().len();
    assert_eq!(tags, 1 + 4, "its own, and one in ten of forty");
    node.repair_documents(node.rebuilder());
    assert_eq!(node.derived(), before);
}

#[test]
fn a_node_that_stops_while_views_are_filled_goes_on_where_it_was() {
    let node = Node::with_records(30);
    let before = node.derived();
    let shown = || {
        let query = ListQuery { limit: 500, ..ListQuery::default() };
        node.bench
            .records
            .shared
            .readers
            .with(|r| r.list(activity().kind, &query))
            .unwrap()
            .rows
            .len()
    };
    node.damage(
        "DELETE FROM view_activities; DELETE FROM view_members; UPDATE views SET complete = 0",
    );
    node.rebuilder().stop();
    assert!(!node.rebuilder().fill_views().unwrap(), "it does not even begin");
    assert_eq!(shown(), 0);

    // As an earlier run left it: the first ten documents are done.
    let readers = &node.bench.records.shared.readers;
    let places = readers.with(|r| r.places(None, None, 10)).unwrap();
    let settings = vec![(FILLED_SETTING.to_owned(), Some(bytes_of(&places[9])))];
    let again = Rebuilder::new(
        node.bench.records.shared.clone(),
        node.bench.records.writer.clone(),
        node.bench.progress.clone(),
    );
    again.rows(&places, &mut Rebuilt::default()).unwrap();
    again.store(WriteBatch { settings, ..WriteBatch::default() }).unwrap();
    let first = shown();
    assert!(again.fill_views().unwrap());
    assert!(shown() > first);
    assert_eq!(node.derived(), before, "every row is there");
    assert_eq!(readers.with(|r| r.setting(FILLED_SETTING)).unwrap(), None);
}

#[test]
fn a_place_is_read_as_it_was_written() {
    let place = Place { document: DocId([3; 16]), space: SpaceId([4; 16]), kind: activity().kind };
    assert_eq!(place_in(&bytes_of(&place)), Some(place));
    assert_eq!(place_in(&[1; 33]), None);
    assert_eq!(place_in(&[1; 35]), None);
}
