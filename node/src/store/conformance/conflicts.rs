//! What may contradict what, and which record is the same as another.

use super::*;
use crate::store::SharedKey;
use fenbu_protocol::record::conflict::Match;
use std::collections::BTreeSet;

fn person(id: u8, same_as: Option<&str>) -> DocumentUpdate {
    let alias = same_as.map_or(Cell::Null, |id| Cell::Text(id.into()));
    let cells = vec![Cell::Text("甲".into()), alias];
    let row = Row { cells, created_ms: 1, updated_ms: 2 };
    DocumentUpdate { kind: PEOPLE, ..document(SPACE, id, row) }
}

fn keyed(id: u8, keys: &[(u8, bool)]) -> DocumentUpdate {
    let keys = keys.iter().map(|(key, anchor)| Match { key: [*key; 16], anchor: *anchor });
    DocumentUpdate { keys: keys.collect(), ..person(id, None) }
}

fn shared(disk: &mut dyn Disk) -> Vec<(u8, Vec<u8>)> {
    let told = |shared: SharedKey| {
        (shared.key[0], shared.places.iter().map(|place| place.document.0[0]).collect())
    };
    reader(disk).shared_keys(9).unwrap().into_iter().map(told).collect()
}

pub(super) fn what_is_the_same_as_another_is_counted_once(disk: &mut dyn Disk) {
    commit(disk, documents(vec![person(1, None), person(2, Some("01")), person(3, None)]));
    let r = reader(disk);
    let listed = |equals: &[(&str, &str)]| {
        let equals = equals.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let page = r.list(PEOPLE, &ListQuery { equals, ..ListQuery::default() }).unwrap();
        page.rows.iter().map(|row| row.document.0[0]).collect::<BTreeSet<_>>()
    };
    assert_eq!(listed(&[]), BTreeSet::from([1, 3]));
    assert_eq!(listed(&[("same_as", "01")]), BTreeSet::from([2]), "whoever asks sees it");
    assert_eq!(r.count(PEOPLE, None).unwrap(), 2);
    assert_eq!(r.scan(PEOPLE, &["name"], None).unwrap().len(), 2, "figures count it once");
    assert_eq!(r.count_by(PEOPLE, "name", None, None).unwrap().values().sum::<u64>(), 2);
    drop(r);
    commit(disk, documents(vec![person(2, None)]));
    assert_eq!(reader(disk).count(PEOPLE, None).unwrap(), 3, "and it comes back");
}

pub(super) fn keys_are_shared_while_two_documents_have_them(disk: &mut dyn Disk) {
    commit(disk, documents(vec![keyed(1, &[(7, true), (8, false)]), keyed(2, &[(7, true)])]));
    assert_eq!(shared(disk), [(7, vec![1, 2])]);
    commit(disk, documents(vec![keyed(3, &[(8, false)])]));
    assert_eq!(shared(disk), [(7, vec![1, 2])], "nobody asks about the other");
    commit(disk, documents(vec![keyed(2, &[(8, true)])]));
    assert_eq!(shared(disk), [(8, vec![1, 2, 3])]);
    disk.reopen();
    assert_eq!(shared(disk), [(8, vec![1, 2, 3])]);
    let forgotten = person(2, None).place();
    commit(disk, WriteBatch { forget: vec![forgotten], ..Default::default() });
    assert_eq!(shared(disk), []);
    let row = person(1, None).row;
    let update = RowUpdate {
        place: person(1, None).place(),
        row,
        conflicts: 0,
        keys: vec![Match { key: [8; 16], anchor: true }],
    };
    commit(disk, WriteBatch { rows: vec![update], views_rebuilt: true, ..Default::default() });
    assert_eq!(shared(disk), [(8, vec![1, 3])]);
}

pub(super) fn what_is_in_conflict_with_itself_is_found(disk: &mut dyn Disk) {
    let torn = |id: u8, conflicts| DocumentUpdate { conflicts, ..person(id, None) };
    commit(disk, documents(vec![torn(1, 0), torn(2, 1), torn(3, 2)]));
    let found = |disk: &mut dyn Disk, limit| {
        let places = reader(disk).in_conflict(PEOPLE, limit).unwrap();
        places.iter().map(|place| place.document.0[0]).collect::<Vec<_>>()
    };
    assert_eq!((found(disk, 9), found(disk, 1)), (vec![2, 3], vec![2]));
    commit(disk, documents(vec![torn(2, 0)]));
    assert_eq!(found(disk, 9), [3]);
}
