//! The order of changes, and receipts.

use crate::store::conformance::*;

fn numbers(reader: &dyn Reader, after: u64, kind: Option<Kind>) -> Vec<(u64, Place)> {
    let found = reader.changes(after, kind, 99).unwrap();
    found.into_iter().map(|change| (change.number, change.place)).collect()
}

fn post(id: u8, title: &str) -> DocumentUpdate {
    document(SPACE, id, row("draft", title, None, 5))
}

fn row_of(update: &DocumentUpdate) -> RowUpdate {
    let (place, row) = (update.place(), update.row.clone());
    RowUpdate { place, row, conflicts: update.conflicts, keys: vec![] }
}

pub(super) fn a_document_stands_where_it_last_changed(disk: &mut dyn Disk) {
    let [one, two, three] = [1, 2, 3].map(|id| post(id, "a"));
    let [first, second, third] = [&one, &two, &three].map(DocumentUpdate::place);
    commit(disk, documents(vec![one.clone(), two.clone(), three.clone()]));
    let r = reader(disk);
    assert_eq!(numbers(&*r, 0, None), [(1, first), (2, second), (3, third)]);
    assert_eq!(r.changes(1, None, 1).unwrap().len(), 1);
    assert_eq!((r.last_change(None).unwrap(), r.last_change(Some(PEOPLE)).unwrap()), (3, 0));

    // Another head is a change; the same heads are one where the row is another.
    let changed = DocumentUpdate { heads: vec![[9; 32]], ..one.clone() };
    let shown_otherwise = DocumentUpdate { row: row("draft", "b", None, 5), ..two.clone() };
    commit(disk, documents(vec![changed.clone(), shown_otherwise.clone(), three.clone()]));
    assert_eq!(numbers(&*r, 0, None), [(3, third), (4, first), (5, second)]);

    // Views that are made again tell of rows that came out otherwise.
    let other_row = RowUpdate { row: row("published", "a", None, 5), ..row_of(&three) };
    let rows = vec![row_of(&changed), other_row, row_of(&shown_otherwise)];
    commit(disk, WriteBatch { rows, ..Default::default() });
    assert_eq!(numbers(&*r, 3, None), [(4, first), (5, second), (6, third)]);

    // One that is gone keeps its place, and one that comes back gets another.
    commit(disk, WriteBatch { forget: vec![first], ..Default::default() });
    assert_eq!(numbers(&*r, 5, None), [(6, third), (7, first)]);
    let batch = WriteBatch { forget: vec![second], ..documents(vec![shown_otherwise]) };
    commit(disk, batch);
    let last = r.last_change(None).unwrap();
    assert_eq!(numbers(&*r, 7, None), [(last, second)]);

    // Of one kind, and as of a right that turned.
    let elsewhere = DocumentUpdate { kind: Kind(77), ..three.clone() };
    commit(disk, documents(vec![elsewhere.clone()]));
    commit(disk, WriteBatch { touched: vec![third], ..Default::default() });
    assert_eq!(numbers(&*r, last, Some(Kind(77))), [(last + 1, elsewhere.place())]);
    assert_eq!(numbers(&*r, last, Some(POSTS)), [(last + 2, third)]);
    assert_eq!(r.last_change(Some(Kind(77))).unwrap(), last + 1);
    assert_eq!(numbers(&*r, u64::MAX, None), []);
}

pub(super) fn numbers_never_come_twice(disk: &mut dyn Disk) {
    commit(disk, documents(vec![post(1, "a"), post(2, "b")]));
    let last = reader(disk).last_change(None).unwrap();
    // A batch that is refused takes no number with it.
    let nobody = RowUpdate {
        place: Place { document: DocId([9; 16]), ..post(1, "a").place() },
        ..row_of(&post(1, "a"))
    };
    let refused = WriteBatch { rows: vec![nobody], ..documents(vec![post(3, "c")]) };
    assert!(disk.store().commit(&refused).is_err());
    assert_eq!(reader(disk).last_change(None).unwrap(), last);
    commit(disk, WriteBatch { forget: vec![post(2, "b").place()], ..Default::default() });
    disk.reopen();
    disk.store().load().unwrap();
    commit(disk, documents(vec![post(4, "d")]));
    assert_eq!(
        numbers(&*reader(disk), last, None).iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [last + 1, last + 2]
    );
}

pub(super) fn receipts_come_with_what_they_are_for_and_go_after_a_day(disk: &mut dyn Disk) {
    let receipt =
        |key, at_ms| Receipt { key: [key; 32], request: [7; 32], at_ms, outcome: vec![key, 1, 2] };
    let first = receipt(1, 1_000);
    let batch = WriteBatch { receipts: vec![first.clone()], ..documents(vec![post(1, "a")]) };
    assert!(!batch.is_derived() && !batch.is_empty());
    commit(disk, batch);
    disk.reopen();
    assert_eq!(reader(disk).receipt(&[1; 32]).unwrap(), Some(first.clone()));
    assert_eq!(reader(disk).receipt(&[2; 32]).unwrap(), None);
    let store = |disk: &mut dyn Disk, receipt| {
        commit(disk, WriteBatch { receipts: vec![receipt], ..Default::default() });
    };
    disk.store().load().unwrap();
    store(disk, receipt(2, 1_000 + RECEIPT_KEPT_MS));
    assert_eq!(reader(disk).receipt(&[1; 32]).unwrap(), Some(first));
    store(disk, receipt(3, 1_001 + RECEIPT_KEPT_MS));
    assert_eq!(reader(disk).receipt(&[1; 32]).unwrap(), None);
    assert!(reader(disk).receipt(&[2; 32]).unwrap().is_some());
}
