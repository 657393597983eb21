//! What every store must do, run on each. A case sees only [`Store`] and [`Reader`], and files that
//! outlive the process.

mod changes;
mod conflicts;
mod forks;
mod logs;
mod records;

use super::*;
use changes::*;
use conflicts::*;
use fenbu_protocol::id::HashPrefix;
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Lane, Shape};
use forks::*;
use logs::*;
use records::*;

/// A store and what outlives it.
trait Disk {
    fn store(&mut self) -> &mut dyn Store;
    /// The process is killed and starts again.
    fn reopen(&mut self);
}

struct InMemory(MemoryStore);

impl InMemory {
    fn new() -> Self {
        Self(MemoryStore::new(&views()).unwrap())
    }
}

impl Disk for InMemory {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.0
    }

    fn reopen(&mut self) {
        self.0.crash();
    }
}

struct OnDisk {
    // Dropped before the folder is.
    store: Option<SqliteStore>,
    folder: tempfile::TempDir,
}

impl OnDisk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("fenbu.db"), &views()).unwrap();
        Self { store: Some(store), folder }
    }
}

impl Disk for OnDisk {
    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    /// Goes on from the files as a killed process leaves them: nothing was closed.
    fn reopen(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["fenbu.db", "fenbu.db-wal"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        self.store = Some(SqliteStore::open(folder.path().join("fenbu.db"), &views()).unwrap());
        self.folder = folder;
    }
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $case() { super::$case(&mut super::InMemory::new()); })*
        }
        mod sqlite {
            $(#[test] fn $case() { super::$case(&mut super::OnDisk::new()); })*
        }
    };
}

cases!(
    runs_come_back_cut_and_joined,
    what_is_held_already_is_cut_off,
    a_batch_is_written_whole_or_not_at_all,
    behind_follows_the_cursors,
    behind_goes_by_the_clock,
    documents_and_sums_agree,
    documents_are_forgotten_and_made_again,
    documents_are_found_by_prefix_and_walked,
    a_document_stands_where_it_last_changed,
    numbers_never_come_twice,
    receipts_come_with_what_they_are_for_and_go_after_a_day,
    lists_filter_count_and_page,
    what_is_the_same_as_another_is_counted_once,
    keys_are_shared_while_two_documents_have_them,
    what_is_in_conflict_with_itself_is_found,
    questions_that_make_no_sense_are_explained,
    settings_come_and_go,
    statements_stay_in_order,
    acknowledgements_keep_the_last_word,
    entries_wait_and_are_refused,
    small_runs_are_joined_and_lose_nothing,
    full_runs_stay_as_they_are,
    another_branch_takes_over_and_the_lost_one_is_kept,
    a_branch_that_does_not_fit_changes_nothing,
    proofs_count_and_amendments_wait,
    reopening_changes_nothing,
    readers_read_on_other_threads,
);

const POSTS: Kind = Kind(3);
const PEOPLE: Kind = Kind(4);
const SPACE: SpaceId = SpaceId([1; 16]);
const OTHER_SPACE: SpaceId = SpaceId([2; 16]);

pub(super) fn views() -> Vec<ViewSpec> {
    let column = |name: &str, integer, indexed| ViewColumn { name: name.into(), integer, indexed };
    let people = ViewSpec {
        kind: PEOPLE,
        table: "people".into(),
        columns: vec![column("name", false, false), column("same_as", false, true)],
        covered: vec![],
        publisher: None,
        alias: Some("same_as".into()),
    };
    let posts = ViewSpec {
        kind: POSTS,
        table: "posts".into(),
        columns: vec![
            column("status", false, true),
            column("title", false, false),
            column("words", true, true),
            column("publisher", false, true),
        ],
        publisher: Some("publisher".into()),
        alias: None,
        covered: vec!["words".into(), "status".into()],
    };
    vec![posts, people]
}

/// Somebody who writes a log.
pub(super) struct Writer {
    key: ed25519_dalek::SigningKey,
    author: Author,
    pub(super) now_ms: u64,
}

impl Writer {
    pub(super) fn new(node: u8, space: SpaceId) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&[node; 32]);
        let opening = Opening::sign(&key, space, 0);
        let author = Author::new(opening, Tip::start(opening.log()), 0);
        Self { key, author, now_ms: 1_000 }
    }

    pub(super) fn log(&self) -> LogId {
        self.author.log()
    }

    /// A run of `entries` entries of `bytes` each.
    pub(super) fn run(&mut self, entries: usize, bytes: usize) -> (Run, Tip) {
        for _ in 0..entries {
            let shape = Shape {
                version: HEADER_VERSION,
                lane: Lane::POSTS,
                kind: POSTS,
                genesis: 1,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            };
            self.author.append(&Draft {
                // Authors may cite what they like; it must come back.
                epoch: u64::MAX - 1,
                directory: HashPrefix([9; 8]),
                now_ms: self.now_ms,
                shape,
                document: DocId([self.author.tip().seq as u8; 16]),
                body: &vec![self.author.tip().seq as u8; bytes],
            });
        }
        (self.author.close(&self.key).unwrap(), self.author.tip())
    }
}

pub(super) fn with_runs(runs: impl IntoIterator<Item = (Run, Tip)>) -> WriteBatch {
    WriteBatch { runs: runs.into_iter().collect(), ..Default::default() }
}

fn row(status: &str, title: &str, words: Option<i64>, updated_ms: u64) -> Row {
    let cells = vec![
        Cell::Text(status.into()),
        Cell::Text(title.into()),
        words.map_or(Cell::Null, Cell::Int),
        Cell::Null,
    ];
    Row { cells, created_ms: 10_000 - updated_ms.min(10_000), updated_ms }
}

pub(super) fn document(space: SpaceId, id: u8, row: Row) -> DocumentUpdate {
    DocumentUpdate {
        space,
        document: DocId([id; 16]),
        kind: POSTS,
        genesis: 1,
        snapshot: vec![id; 100].into(),
        heads: vec![[id; 32]],
        row,
        conflicts: 0,
        keys: vec![],
    }
}

fn documents(updates: Vec<DocumentUpdate>) -> WriteBatch {
    WriteBatch { documents: updates, ..Default::default() }
}

fn reader(disk: &mut dyn Disk) -> Box<dyn Reader> {
    disk.store().reader().unwrap()
}

fn commit(disk: &mut dyn Disk, batch: WriteBatch) {
    disk.store().commit(&batch).unwrap();
}

/// Everything about a log's entries, however they are cut into runs.
fn entries(run: &Run) -> Vec<(Header, Vec<u8>)> {
    run.entries().map(|e| (e.header, e.body.unwrap_or_default().to_vec())).collect()
}

/// All a store answers about what the cases write, to compare before and after.
fn everything(disk: &mut dyn Disk) -> impl PartialEq + std::fmt::Debug + use<> {
    let loaded = disk.store().load().unwrap();
    let r = reader(disk);
    let runs = r.behind(&[SPACE, OTHER_SPACE], usize::MAX).unwrap();
    let entries: Vec<_> = runs.iter().map(entries).collect();
    let documents = r.documents(None, usize::MAX).unwrap();
    let page = r.list(POSTS, &ListQuery::default()).unwrap();
    (loaded, entries, documents, page, r.refused(9).unwrap(), r.counts().unwrap())
}

fn a_batch_is_written_whole_or_not_at_all(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let (one, two, three) = (alice.run(2, 10), alice.run(2, 10), alice.run(2, 10));
    let mut bob = Writer::new(2, OTHER_SPACE);
    let bobs = bob.run(1, 10);
    let first = WriteBatch { statements: vec![(1, vec![1])], ..with_runs([one]) };
    commit(disk, first);
    let before = everything(disk);

    let log = alice.log();
    let place = |id| Place { document: DocId([id; 16]), space: SPACE, kind: POSTS };
    let nowhere = EntryRef { place: place(1), log, seq: 99 };
    let good_row = row("draft", "a", None, 1);
    let bad_row = Row { cells: vec![Cell::Null], ..good_row.clone() };
    let wrong_type = Row { cells: vec![Cell::Int(1), Cell::Null, Cell::Null], ..good_row.clone() };
    let orphan = RowUpdate { place: place(7), row: good_row.clone(), conflicts: 0, keys: vec![] };
    let mut unsorted = document(SPACE, 8, good_row.clone());
    unsorted.heads = vec![[2; 32], [1; 32]];
    let wrong = [
        with_runs([three.clone()]),
        with_runs([(two.0.clone(), three.1)]),
        with_runs([(
            Writer::new(1, SPACE).run(3, 99).0.starting_at(3).unwrap(),
            Tip { seq: 3, ..three.1 },
        )]),
        WriteBatch { cursors: vec![(log, 5)], ..Default::default() },
        WriteBatch { cursors: vec![(LogId([8; 32]), 0)], ..Default::default() },
        WriteBatch { waiting: vec![nowhere], ..Default::default() },
        documents(vec![document(SPACE, 1, bad_row)]),
        documents(vec![document(SPACE, 1, wrong_type)]),
        documents(vec![unsorted]),
        WriteBatch { rows: vec![orphan], ..Default::default() },
        WriteBatch { statements: vec![(1, vec![9])], ..Default::default() },
        WriteBatch { statements: vec![(u64::MAX, vec![9])], ..Default::default() },
    ];
    for (i, wrong) in wrong.into_iter().enumerate() {
        let mut batch = with_runs([bobs.clone()]);
        batch.documents = vec![document(OTHER_SPACE, 4, good_row.clone())];
        batch.settings = vec![("name".into(), Some(vec![1]))];
        batch.merge(wrong);
        let refused = disk.store().commit(&batch);
        assert!(matches!(refused, Err(StoreError::Inconsistent(_))), "{i}: {refused:?}");
        assert_eq!(everything(disk), before, "{i}");
    }
    let mut batch = with_runs([bobs, two, three]);
    batch.cursors = vec![(log, 5)];
    commit(disk, batch);
    assert_eq!(reader(disk).counts().unwrap().entries, 7, "and the store goes on");
}

fn settings_come_and_go(disk: &mut dyn Disk) {
    let set = |name: &str, value: Option<&[u8]>| WriteBatch {
        settings: vec![(name.into(), value.map(<[u8]>::to_vec))],
        ..Default::default()
    };
    commit(disk, set("a", Some(b"one")));
    commit(disk, set("a", Some(b"two")));
    commit(disk, set("b", Some(b"")));
    commit(disk, set("c", Some(b"gone")));
    commit(disk, set("c", None));
    commit(disk, set("never", None));
    let r = reader(disk);
    assert_eq!(r.setting("a").unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(r.setting("c").unwrap(), None);
    let expected = BTreeMap::from([("a".into(), b"two".to_vec()), ("b".into(), vec![])]);
    assert_eq!(disk.store().load().unwrap().settings, expected);
}

fn statements_stay_in_order(disk: &mut dyn Disk) {
    let batch = |statements: &[(u64, u8)]| WriteBatch {
        statements: statements.iter().map(|(e, b)| (*e, vec![*b])).collect(),
        ..Default::default()
    };
    commit(disk, batch(&[(1, 1), (2, 2)]));
    commit(disk, batch(&[(2, 2), (3, 3), (4, 4)]));
    let r = reader(disk);
    let epochs = |from, max| -> Vec<(u64, u8)> {
        r.statements(from, max).unwrap().iter().map(|(e, b)| (*e, b[0])).collect()
    };
    assert_eq!(epochs(0, usize::MAX), [(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(epochs(3, 1), [(3, 3)]);
    assert_eq!(epochs(5, 9), []);
    assert!(disk.store().commit(&batch(&[(3, 9)])).is_err());
    let recovery = WriteBatch { drop_statements_from: Some(3), ..batch(&[(3, 9)]) };
    commit(disk, recovery);
    assert_eq!(epochs(0, usize::MAX), [(1, 1), (2, 2), (3, 9)]);
    assert_eq!(disk.store().load().unwrap().statements.len(), 3);
}

fn acknowledgements_keep_the_last_word(disk: &mut dyn Disk) {
    let (alice, bob) = (NodeId([1; 32]), NodeId([2; 32]));
    let (one, two) = (LogId([1; 32]), LogId([2; 32]));
    let acks = |acknowledgements| WriteBatch { acknowledgements, ..Default::default() };
    commit(disk, acks(vec![(bob, one, 5), (alice, two, 6), (alice, one, 7)]));
    commit(disk, acks(vec![(bob, one, 9), (alice, two, 2), (bob, two, u64::MAX)]));
    let expected = [(alice, one, 7), (alice, two, 2), (bob, one, 9), (bob, two, i64::MAX as u64)];
    assert_eq!(reader(disk).acknowledgements().unwrap(), expected);
    assert_eq!(disk.store().load().unwrap().acknowledgements, expected);
}

fn reopening_changes_nothing(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let mut bob = Writer::new(2, OTHER_SPACE);
    for turn in 0..3u8 {
        let mut batch = with_runs([alice.run(40, 30), bob.run(1, 30)]);
        batch.statements = vec![(u64::from(turn) + 1, vec![turn])];
        batch.documents = vec![document(SPACE, turn, row("draft", "t", None, 9))];
        batch.cursors = vec![(alice.log(), u64::from(turn) * 40)];
        batch.acknowledgements = vec![(NodeId([3; 32]), bob.log(), u64::from(turn))];
        batch.settings = vec![(format!("setting {turn}"), Some(vec![turn]))];
        let place = Place { document: DocId([9; 16]), space: SPACE, kind: POSTS };
        batch.waiting = vec![EntryRef { place, log: alice.log(), seq: 1 }];
        commit(disk, batch);
        let before = everything(disk);
        disk.reopen();
        assert_eq!(everything(disk), before);
    }
    let loaded = disk.store().load().unwrap();
    assert!(!loaded.views_stale);
    assert!(loaded.logs.is_sorted_by_key(|log| log.log));
    let of_bob = loaded.logs.iter().find(|log| log.log == bob.log()).unwrap();
    assert_eq!((of_bob.opening, of_bob.tip), (*bob.author.opening(), bob.author.tip()));
}

fn readers_read_on_other_threads(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let log = alice.log();
    let first = reader(disk);
    commit(disk, with_runs([alice.run(1, 10)]));
    let readers: Vec<_> = (0..6).map(|_| first.another().unwrap()).collect();
    let waiting: Vec<_> = readers
        .into_iter()
        .map(|reader| {
            std::thread::spawn(move || {
                // Bounded by the writer, which goes on to 50 whatever the readers do.
                let mut seen = 0;
                while seen < 50 {
                    let now = reader.tips().unwrap()[&log].seq;
                    assert!(now >= seen);
                    let run = reader.run(log, 1, usize::MAX).unwrap().unwrap();
                    assert!(run.last() >= now, "what has a tip can be read");
                    seen = now;
                }
            })
        })
        .collect();
    for _ in 1..50 {
        commit(disk, with_runs([alice.run(1, 10)]));
    }
    for thread in waiting {
        thread.join().unwrap();
    }
}

#[test]
fn power_loss_takes_what_was_not_synced() {
    let mut alice = Writer::new(1, SPACE);
    let (one, two, three) = (alice.run(1, 10), alice.run(1, 10), alice.run(1, 10));
    let mut store = MemoryStore::new(&views()).unwrap();
    let reader = store.reader().unwrap();
    let entries = || reader.counts().unwrap().entries;
    store.commit(&with_runs([one])).unwrap();
    store.write(&with_runs([two.clone()])).unwrap();
    assert_eq!(entries(), 2, "written is visible");
    let copy = store.clone();
    store.crash();
    assert_eq!(entries(), 1, "and lost");
    assert_eq!(copy.reader().unwrap().counts().unwrap().entries, 2, "a copy is another disk");
    store.write(&with_runs([two])).unwrap();
    store.sync();
    store.fail_next_commit(StoreError::Full { path: "disk".into() });
    let failed = store.commit(&with_runs([three.clone()]));
    assert!(matches!(failed, Err(StoreError::Full { .. })));
    assert_eq!(entries(), 2);
    store.commit(&with_runs([three])).unwrap();
    store.crash();
    assert_eq!(entries(), 3);
}
