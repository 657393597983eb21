//! What every store must do, run on each. A case sees only [`Store`] and [`Reader`], and a disk that
//! can lose power.

use super::*;
use fenbu_protocol::id::HashPrefix;
use fenbu_protocol::limits::{RUN_BYTES_TARGET, RUN_ENTRIES_MAX};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Lane, Shape};
use proptest::prelude::*;

/// A store and what outlives it.
trait Disk {
    fn store(&mut self) -> &mut dyn Store;
    /// Power fails and comes back.
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
        let mut disk = Self { store: None, folder: tempfile::tempdir().unwrap() };
        disk.reopen();
        disk
    }
}

impl Disk for OnDisk {
    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        let path = self.folder.path().join("fenbu.db");
        self.store = Some(SqliteStore::open(path, &views()).unwrap());
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
    documents_are_found_by_prefix_and_walked,
    lists_filter_count_and_page,
    questions_that_make_no_sense_are_explained,
    settings_come_and_go,
    statements_stay_in_order,
    acknowledgements_keep_the_last_word,
    entries_wait_and_are_refused,
    small_runs_are_joined_and_lose_nothing,
    full_runs_stay_as_they_are,
    reopening_changes_nothing,
    readers_read_on_other_threads,
);

const POSTS: Kind = Kind(3);
const SPACE: SpaceId = SpaceId([1; 16]);
const OTHER_SPACE: SpaceId = SpaceId([2; 16]);

pub(super) fn views() -> Vec<ViewSpec> {
    let column = |name: &str, integer, indexed| ViewColumn { name: name.into(), integer, indexed };
    vec![ViewSpec {
        kind: POSTS,
        table: "posts".into(),
        columns: vec![
            column("status", false, true),
            column("title", false, false),
            column("words", true, true),
        ],
    }]
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
        let author = Author::new(opening, Tip::start(opening.log()), 0, 0);
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
                epoch: 1,
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

fn runs_come_back_cut_and_joined(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let runs: Vec<_> = (0..4).map(|_| alice.run(5, 300)).collect();
    let log = alice.log();
    let all: Vec<_> = runs.iter().flat_map(|(run, _)| entries(run)).collect();
    commit(disk, with_runs(runs));
    let r = reader(disk);
    for from in 1..=20u64 {
        let run = r.run(log, from, usize::MAX).unwrap().unwrap();
        assert_eq!(entries(&run), all[from as usize - 1..], "from {from}");
        assert_eq!(
            run.verify(
                &NodeId(alice.key.verifying_key().to_bytes()),
                &Tip { seq: from - 1, hash: run.previous(), body_bytes: 0 }
            )
            .unwrap()
            .fresh,
            21 - from
        );
        let little = r.run(log, from, 1).unwrap().unwrap();
        assert_eq!((little.first(), little.last()), (from, from.div_ceil(5) * 5));
        let entry = r.entry(log, from).unwrap().unwrap();
        assert_eq!((entry.header, entry.body.unwrap()), all[from as usize - 1]);
    }
    let two = r.run(log, 1, 4_500).unwrap().unwrap();
    assert_eq!(two.last(), 10, "as many as fit");
    for nowhere in [0, 21, u64::MAX] {
        assert_eq!(r.run(log, nowhere, usize::MAX).unwrap(), None);
        assert_eq!(r.entry(log, nowhere).unwrap(), None);
    }
    assert_eq!(r.run(LogId([9; 32]), 1, usize::MAX).unwrap(), None);
    assert_eq!(r.tips().unwrap(), BTreeMap::from([(log, alice.author.tip())]));
}

fn what_is_held_already_is_cut_off(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let one = alice.run(3, 10);
    let two = alice.run(3, 10);
    let whole = (one.0.joined(&two.0).unwrap(), two.1);
    commit(disk, with_runs([one.clone()]));
    commit(disk, with_runs([whole.clone(), one.clone(), two]));
    let r = reader(disk);
    let run = r.run(alice.log(), 1, usize::MAX).unwrap().unwrap();
    assert_eq!(entries(&run), entries(&whole.0));
    assert_eq!(r.tips().unwrap()[&alice.log()], whole.1);
    let mut sum = LogDigest::default();
    sum.advance(SPACE, alice.log(), &Tip::start(alice.log()), &whole.1);
    assert_eq!(r.digests().unwrap()[&SPACE].log, sum);
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
    let nowhere = EntryRef { space: SPACE, document: DocId([1; 16]), log, seq: 99 };
    let good_row = row("draft", "a", None, 1);
    let bad_row = Row { cells: vec![Cell::Null], ..good_row.clone() };
    let wrong_type = Row { cells: vec![Cell::Int(1), Cell::Null, Cell::Null], ..good_row.clone() };
    let orphan =
        RowUpdate { space: SPACE, document: DocId([7; 16]), row: good_row.clone(), conflicts: 0 };
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

fn behind_follows_the_cursors(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let mut bob = Writer::new(2, OTHER_SPACE);
    let runs = [alice.run(300, 200), alice.run(300, 200), bob.run(2, 10)];
    commit(disk, with_runs(runs));
    let r = reader(disk);
    let seqs = |runs: Vec<Run>| runs.iter().map(|r| (r.first(), r.last())).collect::<Vec<_>>();
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(1, 300), (301, 600)]);
    assert_eq!(seqs(r.behind(&[SPACE], 1).unwrap()), [(1, 300)], "at least one");
    assert_eq!(seqs(r.behind(&[OTHER_SPACE], usize::MAX).unwrap()), [(1, 2)]);
    assert_eq!(r.behind(&[SPACE, OTHER_SPACE], usize::MAX).unwrap().len(), 3);
    assert_eq!(r.behind(&[], usize::MAX).unwrap(), []);
    assert_eq!(r.counts().unwrap().behind, 602);

    commit(disk, WriteBatch { cursors: vec![(alice.log(), 7)], ..Default::default() });
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(8, 300), (301, 600)]);
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 300)], ..Default::default() });
    assert_eq!(seqs(r.behind(&[SPACE], usize::MAX).unwrap()), [(301, 600)]);
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 600)], ..Default::default() });
    assert_eq!(r.behind(&[SPACE], usize::MAX).unwrap(), []);
    assert_eq!(disk.store().load().unwrap().logs.iter().map(|l| l.cursor).max(), Some(600));
    commit(disk, WriteBatch { cursors: vec![(alice.log(), 0)], ..Default::default() });
    assert_eq!(r.counts().unwrap().behind, 602, "a rebuild goes back");
}

fn behind_goes_by_the_clock(disk: &mut dyn Disk) {
    let mut writers: Vec<_> = (1..=3).map(|node| Writer::new(node, SPACE)).collect();
    let mut batch = WriteBatch::default();
    for turn in [0usize, 2, 1, 0, 2, 2, 1] {
        let writer = &mut writers[turn];
        writer.now_ms = 2_000 + 10 * batch.runs.len() as u64;
        batch.runs.push(writer.run(1, 10));
    }
    let written: Vec<_> = batch.runs.iter().map(|(run, _)| (run.log(), run.first())).collect();
    commit(disk, batch);
    let read = reader(disk).behind(&[SPACE], usize::MAX).unwrap();
    assert_eq!(read.iter().map(|run| (run.log(), run.first())).collect::<Vec<_>>(), written);
}

fn documents_and_sums_agree(disk: &mut dyn Disk) {
    let mut updates: Vec<_> =
        (0..20).map(|i| document(SPACE, i, row("draft", "a", None, 5))).collect();
    updates.push(document(OTHER_SPACE, 3, row("draft", "elsewhere", None, 5)));
    commit(disk, documents(updates));
    let mut changed: Vec<_> =
        (5..9).map(|i| document(SPACE, i, row("published", "b", Some(3), 6))).collect();
    for update in &mut changed {
        update.heads = vec![[1; 32], update.heads[0]];
        update.conflicts = 2;
        update.snapshot = Arc::from(*b"changed");
    }
    // Twice in one batch: the later one stands.
    let mut first = changed[0].clone();
    first.heads = vec![[9; 32]];
    changed.insert(0, first);
    let last = changed[1].clone();
    commit(disk, documents(changed));

    let r = reader(disk);
    let stored = r.document(SPACE, last.document).unwrap().unwrap();
    assert_eq!((&stored.heads, &stored.snapshot), (&last.heads, &last.snapshot));
    assert_eq!((stored.kind, stored.genesis, stored.conflicts), (POSTS, 1, 2));
    assert_eq!(r.document(OTHER_SPACE, last.document).unwrap(), None);
    let mut sums: BTreeMap<SpaceId, StateDigest> = BTreeMap::new();
    for document in r.documents(None, usize::MAX).unwrap() {
        sums.entry(document.space).or_default().advance(document.document, &[], &document.heads);
    }
    let kept: BTreeMap<_, _> =
        r.digests().unwrap().into_iter().map(|(space, both)| (space, both.state)).collect();
    assert_eq!(kept, sums);

    let unknown = DocumentUpdate { kind: Kind(77), ..last.clone() };
    commit(disk, documents(vec![unknown]));
    assert_eq!(r.row(POSTS, SPACE, last.document).unwrap(), None, "another kind, another view");
    assert_eq!(r.count(POSTS, None).unwrap(), 20);
    assert_eq!(r.counts().unwrap().documents, 21);
}

fn documents_are_found_by_prefix_and_walked(disk: &mut dyn Disk) {
    let updates = [0x10, 0x12, 0x20, 0xff].map(|i| document(SPACE, i, row("d", "", None, 1)));
    commit(disk, documents(updates.to_vec()));
    commit(disk, documents(vec![document(OTHER_SPACE, 0x12, row("d", "", None, 1))]));
    let r = reader(disk);
    let found = |prefix: &str| {
        let found = r.find_document(None, prefix).unwrap();
        found.iter().map(|(space, document)| (space.0[0], document.0[0])).collect::<Vec<_>>()
    };
    assert_eq!(found("1"), [(1, 0x10), (1, 0x12), (2, 0x12)]);
    assert_eq!(found("101"), [(1, 0x10)]);
    assert_eq!(found("FF"), [(1, 0xff)]);
    assert_eq!(found(&"20".repeat(16)), [(1, 0x20)]);
    assert_eq!(found("3"), []);
    assert_eq!(found("").len(), 5);
    assert_eq!(r.find_document(Some(Kind(9)), "1").unwrap(), []);
    assert_eq!(r.find_document(Some(POSTS), "10").unwrap().len(), 1);
    assert!(matches!(r.find_document(None, "xy"), Err(StoreError::Query(_))));

    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = r.documents(after, 250).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2, "two snapshots of 100 fit");
        after = Some((last.space, last.document));
        walked.extend(page);
    }
    assert_eq!(walked, r.documents(None, usize::MAX).unwrap());
    assert_eq!(walked.len(), 5);
}

fn lists_filter_count_and_page(disk: &mut dyn Disk) {
    let posts = [
        (SPACE, 1, row("draft", "Alpha 党建", Some(7), 50)),
        (SPACE, 2, row("published", "beta", None, 40)),
        (OTHER_SPACE, 3, row("draft", "BETA 缉私", Some(-2), 40)),
        (OTHER_SPACE, 4, row("returned", "100%_\\", Some(10), 30)),
        (SPACE, 5, row("draft", "\0x", None, u64::MAX)),
    ];
    let updates = posts.map(|(space, id, row)| document(space, id, row));
    commit(disk, documents(updates.to_vec()));
    let r = reader(disk);
    let ids = |query: &ListQuery| -> Vec<u8> {
        r.list(POSTS, query).unwrap().rows.iter().map(|row| row.document.0[0]).collect()
    };
    let all = ListQuery::default();
    let by = |by, descending| ListQuery { order: Order { by, descending }, ..all.clone() };
    let words = || OrderBy::Column("words".into());
    assert_eq!(ids(&all), [5, 1, 3, 2, 4], "newest first, ties by id");
    assert_eq!(ids(&by(OrderBy::Updated, false)), [4, 2, 3, 1, 5]);
    assert_eq!(ids(&by(OrderBy::Created, true)), [4, 3, 2, 1, 5]);
    assert_eq!(ids(&by(words(), false)), [2, 5, 3, 1, 4], "empty first");
    assert_eq!(ids(&by(words(), true)), [4, 1, 3, 5, 2]);
    let equals = |column: &str, value: &str| ListQuery {
        equals: vec![(column.into(), value.into())],
        ..all.clone()
    };
    assert_eq!(ids(&equals("status", "draft")), [5, 1, 3]);
    assert_eq!(ids(&equals("words", "-2")), [3]);
    assert_eq!(ids(&equals("status", "none")), []);
    let contains = |text: &str| ListQuery {
        contains: Some((vec!["title".into(), "words".into()], text.into())),
        ..all.clone()
    };
    assert_eq!(ids(&contains("BeTa")), [3, 2]);
    assert_eq!(ids(&contains("党建")), [1]);
    assert_eq!(ids(&contains("%_\\")), [4], "nothing is a wildcard");
    assert_eq!(ids(&contains("0x")), []);
    assert_eq!(ids(&contains("\0X")), [5]);
    assert_eq!(ids(&contains("10")), [4]);
    let in_spaces = |spaces| ListQuery { spaces: Some(spaces), ..all.clone() };
    assert_eq!(ids(&in_spaces(vec![OTHER_SPACE])), [3, 4]);
    assert_eq!(ids(&in_spaces(vec![])), []);

    assert_eq!(r.count(POSTS, None).unwrap(), 5);
    assert_eq!(r.count(POSTS, Some(&[SPACE])).unwrap(), 3);
    let counts = |column, spaces| r.count_by(POSTS, column, spaces).unwrap();
    let map = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).into(), *v)).collect();
    assert_eq!(counts("status", None), map(&[("draft", 3), ("published", 1), ("returned", 1)]));
    assert_eq!(counts("words", Some(&[SPACE])), map(&[("", 2), ("7", 1)]));

    let listed = r.row(POSTS, SPACE, DocId([1; 16])).unwrap().unwrap();
    assert_eq!(listed, r.list(POSTS, &all).unwrap().rows[1]);
    let update = RowUpdate {
        space: SPACE,
        document: DocId([1; 16]),
        row: row("archived", "", None, 1),
        conflicts: 3,
    };
    commit(disk, WriteBatch { rows: vec![update.clone()], ..Default::default() });
    let listed = r.row(POSTS, SPACE, DocId([1; 16])).unwrap().unwrap();
    assert_eq!((listed.row, listed.conflicts), (update.row, 3));
    assert_eq!(r.document(SPACE, DocId([1; 16])).unwrap().unwrap().conflicts, 3);
}

fn questions_that_make_no_sense_are_explained(disk: &mut dyn Disk) {
    let r = reader(disk);
    let said = |query: &ListQuery| match r.list(POSTS, query) {
        Err(StoreError::Query(text)) => text,
        other => format!("{other:?}"),
    };
    let unknown = ListQuery { equals: vec![("stat".into(), "x".into())], ..Default::default() };
    assert!(said(&unknown).contains("there are: status, title, words"), "{}", said(&unknown));
    let text = ListQuery { equals: vec![("words".into(), "many".into())], ..Default::default() };
    assert!(said(&text).contains("'many' is not one"));
    let after = Cursor { key: Cell::Text("x".into()), document: DocId([0; 16]), space: SPACE };
    let elsewhere = ListQuery { after: Some(after), ..Default::default() };
    assert!(said(&elsewhere).contains("begin with the first page"));
    assert!(matches!(r.count(Kind(9), None), Err(StoreError::Query(_))));
    assert!(matches!(r.count_by(POSTS, "nothing", None), Err(StoreError::Query(_))));
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

fn entries_wait_and_are_refused(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let (document, log) = (DocId([5; 16]), alice.log());
    let entry = |seq| EntryRef { space: SPACE, document, log, seq };
    let refusal = |seq, code: &str| Refusal {
        entry: entry(seq),
        code: code.into(),
        reason: format!("because of {code}"),
    };
    let mut batch = with_runs([alice.run(9, 10)]);
    batch.waiting = vec![entry(7), entry(3), entry(4)];
    batch.refused = vec![refusal(1, "a"), refusal(2, "b")];
    commit(disk, batch);
    let change = WriteBatch {
        waiting: vec![entry(4), entry(5)],
        no_longer_waiting: vec![entry(3), entry(9)],
        refused: vec![refusal(1, "c"), refusal(6, "d")],
        no_longer_refused: vec![entry(2)],
        ..Default::default()
    };
    commit(disk, change);
    let r = reader(disk);
    assert_eq!(r.waiting(SPACE, document).unwrap(), [entry(4), entry(5), entry(7)]);
    assert_eq!(r.waiting(OTHER_SPACE, document).unwrap(), []);
    assert_eq!(r.refused(9).unwrap(), [refusal(6, "d"), refusal(1, "c")]);
    assert_eq!(r.refused(1).unwrap(), [refusal(6, "d")]);
    let counts = r.counts().unwrap();
    assert_eq!((counts.waiting, counts.refused, counts.entries), (3, 2, 9));
}

fn small_runs_are_joined_and_lose_nothing(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let mut all = Vec::new();
    for i in 0..700 {
        let run = alice.run(1, 50);
        all.extend(entries(&run.0));
        commit(disk, with_runs([run]));
        if i == 350 {
            disk.reopen();
        }
    }
    let r = reader(disk);
    let rows = r.behind(&[SPACE], usize::MAX).unwrap();
    assert!(rows.len() <= 2 + runs::SMALL_RUNS_MAX, "{} rows", rows.len());
    assert!(rows.iter().all(|run| run.count() < 2 * RUN_ENTRIES_MAX as u32));
    assert_eq!(rows.iter().flat_map(entries).collect::<Vec<_>>(), all);
    let node = NodeId(alice.key.verifying_key().to_bytes());
    let mut held = Tip::start(alice.log());
    for run in &rows {
        held = run.verify(&node, &held).unwrap().tip;
    }
    assert_eq!(held, alice.author.tip(), "each ends at a checkpoint of its author");
    let cut = r.run(alice.log(), 699, usize::MAX).unwrap().unwrap();
    assert_eq!(entries(&cut), all[698..]);
}

fn full_runs_stay_as_they_are(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let runs: Vec<_> = (0..40).map(|_| alice.run(1, RUN_BYTES_TARGET)).collect();
    commit(disk, with_runs(runs.clone()));
    let r = reader(disk);
    let stored = r.behind(&[SPACE], usize::MAX).unwrap();
    assert_eq!(stored, runs.into_iter().map(|(run, _)| run).collect::<Vec<_>>());
    let joined = r.run(alice.log(), 1, usize::MAX).unwrap().unwrap();
    assert_eq!(joined.count(), 15, "as many as a joined run may hold");
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
        let document = DocId([9; 16]);
        let entry = EntryRef { space: SPACE, document, log: alice.log(), seq: 1 };
        batch.waiting = vec![entry];
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

/// Rows drawn from few values, so that ties and matches are many.
fn any_row() -> impl Strategy<Value = Row> {
    let status = prop_oneof![Just("draft"), Just("published"), Just("已发布")];
    (status, "[aAbB党 ]{0,4}", proptest::option::of(-3i64..3), 0u64..6)
        .prop_map(|(status, title, words, at)| row(status, &title, words, at))
}

fn any_query() -> impl Strategy<Value = ListQuery> {
    let by = prop_oneof![
        Just(OrderBy::Updated),
        Just(OrderBy::Created),
        Just(OrderBy::Column("title".into())),
        Just(OrderBy::Column("words".into())),
    ];
    let spaces = proptest::option::of(prop_oneof![
        Just(vec![]),
        Just(vec![SPACE]),
        Just(vec![OTHER_SPACE, SPACE])
    ]);
    let equals = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![("status".into(), "draft".into())]),
        1 => Just(vec![("words".into(), "1".into())]),
    ];
    let contains = proptest::option::of("[ab党]{0,2}")
        .prop_map(|text| text.map(|text| (vec!["title".into(), "status".into()], text)));
    (by, any::<bool>(), spaces, equals, contains, 1usize..5).prop_map(
        |(by, descending, spaces, equals, contains, limit)| ListQuery {
            spaces,
            equals,
            contains,
            order: Order { by, descending },
            limit,
            after: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Both stores page through any list alike, and the pages are the whole list once.
    #[test]
    fn both_list_alike(
        rows in prop::collection::vec((any::<bool>(), 0u8..24, any_row()), 0..40),
        queries in prop::collection::vec(any_query(), 1..6),
    ) {
        let (mut memory, mut sqlite) = (InMemory::new(), OnDisk::new());
        let updates = rows.into_iter().map(|(here, id, row)| {
            document(if here { SPACE } else { OTHER_SPACE }, id, row)
        });
        let batch = documents(updates.collect());
        commit(&mut memory, batch.clone());
        commit(&mut sqlite, batch);
        let (memory, sqlite) = (reader(&mut memory), reader(&mut sqlite));
        for mut query in queries {
            let whole = ListQuery { limit: PAGE_ROWS_MAX, ..query.clone() };
            let whole = memory.list(POSTS, &whole).unwrap().rows;
            let mut paged = Vec::new();
            loop {
                let page = sqlite.list(POSTS, &query).unwrap();
                prop_assert_eq!(&page, &memory.list(POSTS, &query).unwrap());
                paged.extend(page.rows);
                query.after = page.next;
                if query.after.is_none() { break }
            }
            prop_assert_eq!(paged, whole);
        }
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
