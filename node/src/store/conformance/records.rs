//! Documents, their sums and their lists.

use crate::store::conformance::*;
use proptest::prelude::*;

pub(super) fn documents_and_sums_agree(disk: &mut dyn Disk) {
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
    let stored = r.document(last.place()).unwrap().unwrap();
    assert_eq!((&stored.heads, &stored.snapshot), (&last.heads, &last.snapshot));
    assert_eq!((stored.kind, stored.genesis, stored.conflicts), (POSTS, 1, 2));
    assert_eq!(r.document(Place { space: OTHER_SPACE, ..last.place() }).unwrap(), None);
    let mut sums: BTreeMap<SpaceId, StateDigest> = BTreeMap::new();
    for document in r.documents(None, usize::MAX).unwrap() {
        sums.entry(document.space).or_default().advance(document.document, &[], &document.heads);
    }
    let kept: BTreeMap<_, _> =
        r.digests().unwrap().into_iter().map(|(space, both)| (space, both.state)).collect();
    assert_eq!(kept, sums);

    let without_view = DocumentUpdate { kind: Kind(77), ..last.clone() };
    commit(disk, documents(vec![without_view.clone()]));
    assert_eq!(r.row(last.place()).unwrap().unwrap().row, last.row);
    assert_eq!(r.count(POSTS, None).unwrap(), 21);
    assert_eq!(r.counts().unwrap().documents, 22, "another kind under an id is another document");
    for place in [last.place(), without_view.place()] {
        assert_eq!(r.document(place).unwrap().unwrap().kind, place.kind);
    }
    let found = r.find_document(None, &last.document.to_string()).unwrap();
    assert_eq!(found, [last.place(), without_view.place()]);
}

pub(super) fn documents_are_forgotten_and_made_again(disk: &mut dyn Disk) {
    let mut alice = Writer::new(1, SPACE);
    let log = alice.log();
    let at = |id, kind| Place { document: DocId([id; 16]), space: SPACE, kind };
    let entry = |place, seq| EntryRef { place, log, seq };
    let refusal = |entry| Refusal { entry, code: "seq".into(), reason: "not the next".into() };
    let (one, two, twin) = (at(1, POSTS), at(2, POSTS), at(1, Kind(9)));
    let entries = [entry(one, 1), entry(two, 2), entry(twin, 3)];
    let refused = [entry(one, 4), entry(twin, 5)];
    let mut batch = with_runs([alice.run(5, 10)]);
    batch.documents = (1..4).map(|id| document(SPACE, id, row("draft", "a", None, 1))).collect();
    batch.documents.push(DocumentUpdate { kind: Kind(9), ..batch.documents[0].clone() });
    batch.waiting = entries.to_vec();
    batch.refused = refused.map(refusal).to_vec();
    commit(disk, batch.clone());
    let r = reader(disk);
    assert_eq!(r.logs(SPACE).unwrap().iter().map(|l| l.log).collect::<Vec<_>>(), [log]);
    assert_eq!(r.logs(OTHER_SPACE).unwrap(), []);
    let places = [one, twin, two, at(3, POSTS)];
    assert_eq!(r.places(Some(SPACE), None, 9).unwrap(), places);
    assert_eq!(r.places(None, Some(one), 2).unwrap(), places[1..3]);
    assert_eq!(r.places(Some(OTHER_SPACE), None, 9).unwrap(), []);

    // One is made again as something else, another is gone; its namesake of another kind stays.
    let again = DocumentUpdate { heads: vec![[7; 32]], ..batch.documents[0].clone() };
    let forget = WriteBatch {
        forget: vec![one, at(3, POSTS), at(4, POSTS)],
        documents: vec![again.clone()],
        waiting: vec![entry(one, 4)],
        ..Default::default()
    };
    commit(disk, forget);
    assert_eq!(r.document(one).unwrap().unwrap().heads, again.heads);
    assert_eq!(r.row(at(3, POSTS)).unwrap(), None);
    assert_eq!(r.count(POSTS, None).unwrap(), 2);
    assert_eq!(r.places(None, None, 9).unwrap(), places[..3]);
    assert_eq!(r.waiting(one).unwrap(), [entry(one, 4)]);
    assert_eq!(r.waiting(twin).unwrap(), [entry(twin, 3)]);
    assert_eq!(r.refused(9).unwrap(), [refusal(refused[1])]);
    let mut sum = StateDigest::default();
    for document in r.documents(None, usize::MAX).unwrap() {
        sum.advance(document.document, &[], &document.heads);
    }
    assert_eq!(r.digests().unwrap()[&SPACE].state, sum);
    commit(disk, WriteBatch { sum_anew: vec![SPACE], ..Default::default() });
    assert_eq!(r.digests().unwrap()[&SPACE].state, sum, "it was right");
}

pub(super) fn documents_are_found_by_prefix_and_walked(disk: &mut dyn Disk) {
    let updates = [0x10, 0x12, 0x20, 0xff].map(|i| document(SPACE, i, row("d", "", None, 1)));
    commit(disk, documents(updates.to_vec()));
    commit(disk, documents(vec![document(OTHER_SPACE, 0x12, row("d", "", None, 1))]));
    let r = reader(disk);
    let found = |prefix: &str| {
        let found = r.find_document(None, prefix).unwrap();
        found.iter().map(|at| (at.space.0[0], at.document.0[0])).collect::<Vec<_>>()
    };
    assert_eq!(found("1"), [(1, 0x10), (1, 0x12), (2, 0x12)]);
    assert_eq!(found("101"), [(1, 0x10)]);
    assert_eq!(found("FF"), [(1, 0xff)]);
    assert_eq!(found(&"20".repeat(16)), [(1, 0x20)]);
    assert!(found("3").is_empty());
    assert_eq!(found("").len(), 5);
    assert!(r.find_document(Some(Kind(9)), "1").unwrap().is_empty());
    assert_eq!(r.find_document(Some(POSTS), "10").unwrap().len(), 1);
    assert!(matches!(r.find_document(None, "xy"), Err(StoreError::Query(_))));

    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = r.documents(after, 250).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2, "two snapshots of 100 fit");
        after = Some(last.place());
        walked.extend(page);
    }
    assert_eq!(walked, r.documents(None, usize::MAX).unwrap());
    assert_eq!(walked.len(), 5);
}

pub(super) fn lists_filter_count_and_page(disk: &mut dyn Disk) {
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
    assert_eq!(ids(&equals("status", "none")), Vec::<u8>::new());
    let others =
        ListQuery { excludes: vec![("status".into(), "draft".into())], ..Default::default() };
    let left: Vec<u8> =
        ids(&ListQuery::default()).into_iter().filter(|id| ![5, 1, 3].contains(id)).collect();
    assert_eq!(ids(&others), left, "an empty cell is not what is left out");
    let contains = |text: &str| ListQuery {
        contains: Some((vec!["title".into(), "words".into()], text.into())),
        ..all.clone()
    };
    assert_eq!(ids(&contains("BeTa")), [3, 2]);
    assert_eq!(ids(&contains("党建")), [1]);
    assert_eq!(ids(&contains("%_\\")), [4], "nothing is a wildcard");
    assert_eq!(ids(&contains("0x")), Vec::<u8>::new());
    assert_eq!(ids(&contains("\0X")), [5]);
    assert_eq!(ids(&contains("10")), [4]);
    let in_spaces = |spaces| ListQuery { spaces: Some(spaces), ..all.clone() };
    assert_eq!(ids(&in_spaces(vec![OTHER_SPACE])), [3, 4]);
    assert_eq!(ids(&in_spaces(vec![])), Vec::<u8>::new());

    assert_eq!(r.count(POSTS, None).unwrap(), 5);
    assert_eq!(r.count(POSTS, Some(&[SPACE])).unwrap(), 3);
    let counts = |column, spaces| r.count_by(POSTS, column, None, spaces).unwrap();
    let map = |pairs: &[(&str, u64)]| pairs.iter().map(|(k, v)| ((*k).into(), *v)).collect();
    assert_eq!(counts("status", None), map(&[("draft", 3), ("published", 1), ("returned", 1)]));
    assert_eq!(counts("words", Some(&[SPACE])), map(&[("", 2), ("7", 1)]));
    let drafts = r.count_by(POSTS, "words", Some(("status", "draft")), None).unwrap();
    assert_eq!(drafts, map(&[("", 1), ("-2", 1), ("7", 1)]));

    let scan = |columns: &[&str], spaces| r.scan(POSTS, columns, spaces).unwrap();
    let titles = scan(&["words", "title"], Some(&[SPACE]));
    assert!(titles.iter().all(|row| row.space == SPACE && row.cells.len() == 2));
    let mut cells: Vec<_> = titles.into_iter().map(|row| row.cells).collect();
    let mut listed: Vec<_> = r.list(POSTS, &in_spaces(vec![SPACE])).unwrap().rows;
    cells.sort();
    listed.sort_by(|a, b| {
        (&a.row.cells[2], &a.row.cells[1]).cmp(&(&b.row.cells[2], &b.row.cells[1]))
    });
    let wanted = listed.iter().map(|row| vec![row.row.cells[2].clone(), row.row.cells[1].clone()]);
    assert_eq!(cells, wanted.collect::<Vec<_>>());
    assert_eq!(scan(&["status"], None).len(), 5, "what is covered is read too");
    assert!(matches!(r.scan(POSTS, &["nothing"], None), Err(StoreError::Query(_))));

    let place = Place { document: DocId([1; 16]), space: SPACE, kind: POSTS };
    let listed = r.row(place).unwrap().unwrap();
    assert_eq!(listed, r.list(POSTS, &all).unwrap().rows[1]);
    let update = RowUpdate { place, row: row("archived", "", None, 1), conflicts: 3, keys: vec![] };
    commit(disk, WriteBatch { rows: vec![update.clone()], ..Default::default() });
    let listed = r.row(place).unwrap().unwrap();
    assert_eq!((listed.row, listed.conflicts), (update.row, 3));
    assert_eq!(r.document(place).unwrap().unwrap().conflicts, 3);
}

pub(super) fn questions_that_make_no_sense_are_explained(disk: &mut dyn Disk) {
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
    assert!(matches!(r.count_by(POSTS, "nothing", None, None), Err(StoreError::Query(_))));
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
            published_by: None,
            equals,
            excludes: Vec::new(),
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
