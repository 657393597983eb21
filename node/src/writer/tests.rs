//! The writer over a disk that can refuse: what was answered is there, what failed left no trace.

use super::*;
use crate::clock::Clock;
use crate::records::{RecordError, Records, Save};
use crate::store::{ListQuery, MemoryStore};
use crate::testing;
use fenbu_protocol::directory::{Act, Directory, SetLimits};
use fenbu_protocol::log::Opening;
use fenbu_protocol::record::{Edits, schema_named};
use fenbu_protocol::seal::Reading;
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A store that the test can reach into while the writer owns it.
#[derive(Clone)]
struct SharedStore(Arc<Mutex<MemoryStore>>);

impl Store for SharedStore {
    fn load(&mut self) -> Result<crate::store::Loaded, StoreError> {
        self.0.lock().unwrap().load()
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.0.lock().unwrap().commit(batch)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.0.lock().unwrap().reader()
    }
}

struct Bench {
    node: testing::Bench,
    store: SharedStore,
}

impl std::ops::Deref for Bench {
    type Target = testing::Bench;

    fn deref(&self) -> &testing::Bench {
        &self.node
    }
}

impl Bench {
    fn start(store: MemoryStore) -> Self {
        let store = SharedStore(Arc::new(Mutex::new(store)));
        let node = testing::Bench::start(Box::new(store.clone()), Clock::start());
        Self { node, store }
    }

    fn fail_next(&self) {
        let path = "disk".into();
        self.store.0.lock().unwrap().fail_next_commit(StoreError::Full { path });
    }

    /// Stops the writer; returns the disk and the runs the engine was told of.
    fn stop(self) -> (MemoryStore, Vec<(Run, Tip)>) {
        let told = self.node.stop().into_iter().filter_map(|input| match input {
            Input::Appended { run, tip } => Some((run, tip)),
            _ => None,
        });
        let store = self.store.0.lock().unwrap().clone();
        (store, told.collect())
    }
}

fn store() -> MemoryStore {
    MemoryStore::new(&crate::views::specs()).unwrap()
}

#[test]
fn a_refused_commit_leaves_no_trace_and_its_place_is_used_again() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap().entry.unwrap();
    bench.fail_next();
    let error = bench.topic("lost").unwrap_err();
    assert!(error.to_string().contains("disk"), "{error}");
    assert_eq!(bench.titles(), 1);
    let second = bench.topic("two").unwrap().entry.unwrap();
    assert_eq!((first.seq, second.seq), (1, 2));
    assert_eq!(second.log, first.log);
    let (_, told) = bench.stop();
    let mut tip = Tip::start(first.log);
    for (run, after) in told {
        let opening_node = NodeId(testing::key().verifying_key().to_bytes());
        tip = run.verify(&opening_node, &tip).unwrap().tip;
        assert_eq!(tip, after);
    }
    assert_eq!(tip.seq, 2, "the engine heard of what is on disk, no more");
}

#[test]
fn a_writer_goes_on_where_the_disk_ends() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap().entry.unwrap();
    let (store, _) = bench.stop();
    let bench = Bench::start(store);
    let second = bench.topic("two").unwrap().entry.unwrap();
    assert_eq!((second.log, second.seq), (first.log, 2));
    assert_eq!(bench.titles(), 2);
}

#[test]
fn a_log_that_peers_hold_more_of_is_left_for_good() {
    let bench = Bench::start(store());
    let saved = bench.topic("one").unwrap();
    let first = saved.entry.unwrap();
    let ahead = Command::OwnLogAhead { log: first.log, seq: 9 };
    bench.records.writer.send(ahead).unwrap();
    // Whether it is written before or after the news, nothing is written twice or lost.
    let second = bench.topic("two").unwrap().entry.unwrap();
    let third = bench.topic("three").unwrap().entry.unwrap();
    assert_ne!(third.log, first.log);
    assert_eq!(third.seq, if second.log == third.log { 2 } else { 1 });
    // An edit of a document from the old log goes to the new one, under its own actor.
    let schema = schema_named("topic").unwrap();
    let id = saved.document.to_string();
    let edited = bench.records.edit(schema, &id, &json!({ "title": "again" }), "t").unwrap();
    assert_eq!(edited.entry.unwrap().log, third.log);
    let history = bench.records.history(schema, &id).unwrap();
    assert_eq!(history.len(), 2);
    assert_ne!(history[0].actor, history[1].actor);
    let (store, _) = bench.stop();
    let bench = Bench::start(store);
    assert_eq!(bench.topic("four").unwrap().entry.unwrap().log, third.log, "also after a restart");
}

#[test]
fn a_log_of_which_a_copy_signed_another_history_is_left_once() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap().entry.unwrap();
    // Each link that shows the other history says so again.
    for _ in 0..2 {
        let forked = Command::OwnLogForked { log: first.log, seq: 1 };
        bench.records.writer.send(forked).unwrap();
        bench.topic("two").unwrap();
    }
    let third = bench.topic("three").unwrap().entry.unwrap();
    assert_ne!(third.log, first.log);
    let (mut store, _) = bench.stop();
    let own = store.load().unwrap().logs;
    assert_eq!(own.len(), 2, "one new log, not one each time");
    let bench = Bench::start(store);
    assert_eq!(bench.topic("four").unwrap().entry.unwrap().log, third.log, "also after a restart");
}

/// Seed 61 of the simulator, when copies were first drawn there: one copy of a node wrote the first entry
/// of a log while the other copy's first run of that log was on its way to the disk.
#[test]
fn a_run_of_a_copy_that_fits_no_longer_costs_only_itself() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap().entry.unwrap();
    let (space, run, tip) = from_elsewhere(&bench, "theirs", 0);
    assert_eq!(run.log(), first.log);
    let persist = |ticket, run: &Run| {
        let item = Item::Run { space, run: run.clone(), tip };
        let command = Command::Persist { ticket: Ticket(ticket), item };
        bench.records.writer.send(command).unwrap();
    };
    let (reply, stored) = oneshot::channel();
    persist(1, &run);
    let settings = vec![("name".to_owned(), Some(b"value".to_vec()))];
    let batch = WriteBatch { settings, ..WriteBatch::default() };
    bench.records.writer.send(Command::Store { batch, reply }).unwrap();
    stored.blocking_recv().unwrap().unwrap();
    let (_, elsewhere, tip_elsewhere) = from_elsewhere(&bench, "of another log", 7);
    let item = Item::Run { space, run: elsewhere, tip: tip_elsewhere };
    bench.records.writer.send(Command::Persist { ticket: Ticket(2), item }).unwrap();
    bench.topic("two").unwrap();
    let told = bench.node.stop();
    let refused = |i: &&Input| matches!(i, Input::PersistFailed { ticket: Ticket(1), .. });
    assert_eq!(told.iter().filter(refused).count(), 1);
    assert!(told.iter().any(|i| matches!(i, Input::Persisted { ticket: Ticket(2) })));
    let held = bench.store.0.lock().unwrap().load().unwrap();
    let ours = held.logs.iter().find(|log| log.log == first.log).unwrap();
    assert_eq!(ours.tip.seq, 2, "what was acknowledged stands, and is gone on from");
}

#[test]
fn many_writers_share_commits_and_none_is_lost() {
    let bench = Bench::start(store());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for n in 0..20 {
                    bench.topic(&format!("{thread}-{n}")).unwrap();
                }
            });
        }
    });
    let schema = schema_named("topic").unwrap();
    let query = ListQuery { limit: 500, ..ListQuery::default() };
    assert_eq!(bench.records.list(schema, query).unwrap().rows.len(), 160);
    let (mut store, told) = bench.stop();
    assert_eq!(told.iter().map(|(run, _)| u64::from(run.count())).sum::<u64>(), 160);
    assert_eq!(store.load().unwrap().logs[0].tip.seq, 160);
}

#[test]
fn concurrent_edits_of_one_document_build_on_each_other() {
    let bench = Bench::start(store());
    let schema = schema_named("post").unwrap();
    let post = bench.records.create(schema, &json!({ "title": "start" }), None, None, "test");
    let id = post.unwrap().document.to_string();
    std::thread::scope(|scope| {
        for n in 0..10 {
            let (bench, id) = (&bench, &id);
            scope.spawn(move || {
                let tags = json!({ "tags": { "add": [format!("t{n}")] } });
                bench.records.edit(schema, id, &tags, "test").unwrap();
            });
        }
    });
    let shown = bench.records.show(schema, &id).unwrap();
    assert_eq!(shown.record.to_json()["tags"].as_array().unwrap().len(), 10);
    assert_eq!(shown.record.heads().len(), 1, "one line of history, no forks");
}

#[test]
fn a_sealed_space_is_not_written_without_its_key() {
    let bench = Bench::start(store());
    let with_keys = bench.directory.send_replace(Arc::new(testing::keyless_directory()));
    let error = bench.member("王海").unwrap_err();
    assert!(matches!(error, RecordError::NoKey(_)), "{error}");
    assert!(error.to_string().contains("start the admin node"), "{error}");
    bench.topic("what every node reads needs none").unwrap();

    // Past the door as well: a key may be replaced between the check and the commit.
    bench.directory.send_replace(with_keys);
    let schema = schema_named("member").unwrap();
    let space = bench.records.home(schema, None).unwrap();
    bench.records.shared.keys.forget();
    let edits = Edits::from_json(schema, &json!({ "name": "n" })).unwrap();
    let save = Save { schema, space, document: Records::new_id(), edits };
    let error = bench.records.save_all(&[save], "test").unwrap_err();
    assert!(matches!(error, RecordError::Write(WriteError::NoKey(_))), "{error}");
    let (mut store, told) = bench.stop();
    assert_eq!((store.load().unwrap().logs.len(), told.len()), (1, 1), "the post, nothing else");
}

#[test]
fn what_is_written_to_a_sealed_space_is_stored_sealed() {
    let bench = Bench::start(store());
    let name = "Wang Hai, as nobody else is called";
    let saved = bench.member(name).unwrap();
    let entry = saved.entry.unwrap();
    let shared = &bench.records.shared;
    let (directory, keyring) = (shared.directory.now(), shared.keys.now());
    let stored = shared.readers.with(|r| r.entry(entry.log, entry.seq)).unwrap().unwrap();
    let shape = stored.header.shape;
    assert_eq!((shape.encoding, shape.key_epoch), (Encoding::SEALED, 1));
    let body = stored.body.unwrap();
    assert_eq!(stored.header.body_hash, fenbu_protocol::log::body_hash(&body));
    assert!(!contains(&body, name.as_bytes()));
    let read = keyring.read(&directory, &saved.space, &stored.header, &body);
    let Reading::Plain(plain) = read else { panic!("{read:?}") };
    assert!(contains(&plain, name.as_bytes()));
    assert_eq!(body.len(), plain.len() + fenbu_protocol::limits::SEAL_BYTES);

    let schema = schema_named("member").unwrap();
    let id = saved.document.to_string();
    bench.records.edit(schema, &id, &json!({ "job": "科长" }), "test").unwrap();
    assert_eq!(bench.records.history(schema, &id).unwrap().len(), 2);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|w| w == part)
}

/// A run that this node wrote elsewhere, as a peer would bring it.
fn from_elsewhere(bench: &Bench, title: &str, incarnation: u32) -> (SpaceId, Run, Tip) {
    let schema = schema_named("topic").unwrap();
    let space = bench.records.home(schema, None).unwrap();
    let opening = Opening::sign(&testing::key(), space, incarnation);
    let mut author = Author::new(opening, Tip::start(opening.log()), 0);
    let mut record = fenbu_protocol::record::Record::new(schema);
    let edits = Edits::from_json(schema, &json!({ "title": title })).unwrap();
    let body = record.edit(opening.log().actor(), 1, "", &edits).unwrap().unwrap();
    let directory = bench.records.shared.directory.now();
    author.append(&Draft {
        epoch: directory.epoch(),
        directory: directory.head_prefix(),
        now_ms: 1,
        shape: Shape {
            version: HEADER_VERSION,
            lane: schema.lane,
            kind: schema.kind,
            genesis: schema.genesis,
            encoding: Encoding::CHANGE,
            key_epoch: 0,
        },
        document: fenbu_protocol::id::DocId([9; 16]),
        body: &body,
    });
    let run = author.close(&testing::key()).unwrap();
    (space, run, author.tip())
}

/// There is no materialiser here: what is live is readable as soon as it is durable.
#[test]
fn what_is_live_is_readable_with_the_commit_that_stores_it() {
    for held in [false, true] {
        let bench = Bench::start(store());
        let (space, run, tip) = from_elsewhere(&bench, "live", 7);
        let entry = run.entries().next().unwrap();
        let place = crate::making::place_of(space, &entry.header);
        let guard = held.then(|| bench.records.shared.documents.lock([place]));
        let item = Item::Run { space, run: run.clone(), tip };
        bench.records.writer.send(Command::Persist { ticket: Ticket(1), item }).unwrap();
        // A write of our own behind it: when it is answered, the run is durable.
        bench.topic("own").unwrap();
        drop(guard);
        assert_eq!(bench.titles(), if held { 1 } else { 2 });
        let (store, _) = bench.stop();
        let behind = store.reader().unwrap().counts().unwrap().behind;
        assert_eq!(behind, u64::from(held), "a document somebody holds is left for later");
    }
}

/// The admin, which is this node, sets how much one author may have in a space.
fn limit(bench: &Bench, label: &str, limits: impl FnOnce(&mut SetLimits)) {
    let mut directory = Directory::clone(&bench.directory.borrow());
    let space = directory.space_labelled(label).unwrap().id;
    let mut act = SetLimits { space, bytes: None, entries: None, documents: None };
    limits(&mut act);
    let signed = directory.draft(&testing::key(), &Act::SetLimits(act), 0);
    directory.apply(signed).unwrap();
    bench.directory.send_replace(Arc::new(directory));
}

fn is_limit(result: Result<crate::records::Saved, RecordError>, said: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, RecordError::Write(WriteError::Limit(_))), "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn what_would_be_over_a_limit_is_not_written() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap();
    limit(&bench, "federation", |l| l.documents = Some(2));
    bench.topic("two").unwrap();
    is_limit(
        bench.topic("three"),
        "as many records in space 'federation' as one author may there, 2",
    );
    // What it has it may go on editing, and elsewhere it may write.
    let post = schema_named("topic").unwrap();
    let edit = |title: &str| {
        let id = first.document.to_string();
        bench.records.edit(post, &id, &json!({ "title": title }), "t")
    };
    edit("one again").unwrap();
    bench.member("elsewhere").unwrap();

    // A write the disk refused takes no room.
    limit(&bench, "federation", |l| l.documents = Some(3));
    bench.fail_next();
    bench.topic("lost").unwrap_err();
    bench.topic("three").unwrap();
    is_limit(bench.topic("four"), "as many records");

    limit(&bench, "federation", |l| l.entries = Some(5));
    edit("a fifth entry").unwrap();
    is_limit(
        edit("a sixth"),
        "as many entries in space 'federation' as one author may have there, 5",
    );

    // To the byte, seal included.
    let held = |bench: &Bench| {
        let head = bench.directory.borrow().space_labelled("head").unwrap().id;
        bench.records.shared.readers.with(|r| r.logs(head)).unwrap()[0].tip.body_bytes
    };
    let before = held(&bench);
    bench.member("elsewhere").unwrap();
    let more = held(&bench) - before;
    limit(&bench, "head", |l| l.bytes = Some(before + 2 * more - 1));
    is_limit(bench.member("elsewhere"), "as large as those of one author may be there");
    limit(&bench, "head", |l| l.bytes = Some(before + 2 * more));
    bench.member("elsewhere").unwrap();
    assert_eq!(held(&bench), before + 2 * more);
    bench.stop();
}

/// Beginning a new log gains nothing.
#[test]
fn an_earlier_log_counts_too() {
    let bench = Bench::start(store());
    let first = bench.topic("one").unwrap().entry.unwrap();
    bench.records.writer.send(Command::OwnLogAhead { log: first.log, seq: 9 }).unwrap();
    limit(&bench, "federation", |l| l.entries = Some(2));
    let second = bench.topic("two").unwrap().entry.unwrap();
    assert_ne!(second.log, first.log);
    is_limit(bench.topic("three"), "as many entries");
    bench.stop();
}
