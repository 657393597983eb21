use super::*;
use crate::clock::Clock;
use crate::records::Terms;
use crate::store::{MemoryStore, SqliteStore};
use crate::testing::Bench;
use crate::views::specs;
use fenbu_protocol::record::schema_named;
use serde_json::json;

fn bench() -> Bench {
    Bench::start(Box::new(MemoryStore::new(&specs()).unwrap()), Clock::start())
}

fn once(key: &str, request: &str) -> Terms {
    Terms { once: Some(Once::new("uid-1", key, &[request.as_bytes()])), ..Terms::default() }
}

#[test]
fn what_comes_again_is_written_once_and_answered_the_same() {
    let bench = bench();
    let topic = schema_named("topic").unwrap();
    let fields = json!({ "title": "一次" });
    let create = |terms: &Terms| bench.records.create_on(topic, &fields, None, None, "a", terms);
    let first = create(&once("k1", "body")).unwrap();
    assert!(first.entry.is_some());
    assert_eq!(create(&once("k1", "body")).unwrap(), first);
    assert!(matches!(create(&once("k1", "other")), Err(RecordError::OtherRequest)));
    assert_ne!(create(&once("k2", "body")).unwrap().document, first.document);
    let others = Terms { once: Some(Once::new("uid-2", "k1", &[b"body"])), ..Terms::default() };
    assert_ne!(create(&others).unwrap().document, first.document, "another caller's key");
}

#[test]
fn a_record_made_under_an_id_of_its_own_does_not_exist_already_the_second_time() {
    let bench = bench();
    let topic = schema_named("topic").unwrap();
    let (fields, id) = (json!({ "title": "一次" }), Some(Records::new_id()));
    let create = |terms: &Terms| bench.records.create_on(topic, &fields, id, None, "a", terms);
    let first = create(&once("k", "b")).unwrap();
    assert_eq!(create(&once("k", "b")).unwrap(), first);
    assert!(matches!(create(&Terms::default()), Err(RecordError::Exists { .. })));
}

#[test]
fn an_edit_that_changed_nothing_changes_nothing_later() {
    let bench = bench();
    let topic = schema_named("topic").unwrap();
    let id = bench.topic("甲").unwrap().document.to_string();
    let edit = |title: &str, terms: &Terms| {
        bench.records.edit_on(topic, &id, &json!({ "title": title }), "a", terms).unwrap()
    };
    let first = edit("甲", &once("k", "甲"));
    assert_eq!(first.entry, None);
    edit("乙", &Terms::default());
    assert_eq!(edit("甲", &once("k", "甲")), first);
    let shown = bench.records.show(topic, &id).unwrap();
    assert_eq!(shown.record.to_json()["title"], "乙");
}

#[test]
fn many_at_once_are_one() {
    let bench = bench();
    let topic = schema_named("topic").unwrap();
    let fields = json!({ "title": "一次" });
    let made: BTreeSet<DocId> = std::thread::scope(|scope| {
        let create =
            || bench.records.create_on(topic, &fields, None, None, "a", &once("k", "b")).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().document).collect()
    });
    assert_eq!(made.len(), 1);
}

#[test]
fn an_edit_over_another_version_is_refused() {
    let bench = bench();
    let topic = schema_named("topic").unwrap();
    let id = bench.topic("甲").unwrap().document.to_string();
    let version = || {
        let record = bench.records.show(topic, &id).unwrap().record;
        crate::records::version_of(&record.heads())
    };
    let seen = version();
    let over = |versions: Vec<String>| Terms { over: Some(versions), ..Terms::default() };
    let edit = |title: &str, terms: &Terms| {
        bench.records.edit_on(topic, &id, &json!({ "title": title }), "a", terms)
    };
    edit("乙", &over(vec!["x".into(), seen.clone()])).unwrap();
    assert_ne!(version(), seen);
    assert!(matches!(edit("丙", &over(vec![seen])), Err(RecordError::Overtaken { .. })));
    assert_eq!(bench.records.show(topic, &id).unwrap().record.to_json()["title"], "乙");
    edit("丙", &Terms::default()).unwrap();
}

/// Whoever asks again after the node was killed before it could answer.
#[test]
fn what_was_done_before_a_crash_is_not_done_again_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fenbu.db");
    let begin =
        || Bench::start(Box::new(SqliteStore::open(&path, &specs()).unwrap()), Clock::start());
    let topic = schema_named("topic").unwrap();
    let fields = json!({ "title": "一次" });
    let create = |bench: &Bench| {
        bench.records.create_on(topic, &fields, None, None, "a", &once("k", "b")).unwrap()
    };
    let bench = begin();
    let first = create(&bench);
    bench.stop();
    let bench = begin();
    assert_eq!(create(&bench), first);
    assert_eq!(bench.titles(), 1);
    bench.stop();
}
