//! When a batch does not survive its trial: the document again, one change at a time.

use super::assemble::Hashed;
use super::doc::Record;
use super::gate::Refusal;
use super::genesis::genesis;
use super::materialise::{Accepted, Outcome};
use super::schema::Schema;
use crate::id::LogId;
use automerge::Automerge;
use std::collections::{BTreeMap, BTreeSet};

/// A change that is left: what it builds on, and its bytes.
struct Left {
    deps: Vec<[u8; 32]>,
    body: Vec<u8>,
}

/// One step of a replay: the document with the change, or nothing if that fails.
pub(super) type Step<'a> =
    dyn FnMut(&Automerge, &Hashed<'_>, &[[u8; 32]]) -> Option<Automerge> + 'a;

/// Rebuilds the document from genesis, one change at a time in (topological, hash) order, leaving
/// out each change that fails and what builds on it.
pub(super) fn replay(
    schema: &'static Schema,
    base: &Automerge,
    accepted: &[Accepted<'_>],
    mut refused: Vec<(LogId, u64, Refusal)>,
    mut waiting: Vec<(LogId, u64)>,
    step: &mut Step<'_>,
) -> Outcome {
    let genesis = genesis(schema);
    let mut left: BTreeMap<[u8; 32], Left> = BTreeMap::new();
    for change in base.get_changes(&[]) {
        let deps = change.deps().iter().map(|d| d.0).collect();
        left.insert(change.hash().0, Left { deps, body: change.raw_bytes().to_vec() });
    }
    left.remove(&genesis.hash);
    let mut new = BTreeMap::new();
    for a in accepted {
        let deps = a.inspected.deps.clone();
        left.insert(a.inspected.hash, Left { deps, body: a.entry.body.to_vec() });
        new.insert(a.inspected.hash, (a.entry.log, a.entry.seq));
    }
    let mut document = genesis.document.clone();
    let mut heads = BTreeSet::from([genesis.hash]);
    let mut done = BTreeSet::from([genesis.hash]);
    let mut failed = BTreeSet::new();
    let mut taken = 0;
    let ready = |left: &BTreeMap<[u8; 32], Left>, done: &BTreeSet<[u8; 32]>| {
        left.iter().find(|(_, l)| l.deps.iter().all(|d| done.contains(d))).map(|(h, _)| *h)
    };
    while let Some(hash) = ready(&left, &done) {
        // INVARIANT: just found there.
        let Left { deps, body } = left.remove(&hash).expect("a change that is left");
        let mut with: BTreeSet<_> = heads.clone();
        with.retain(|head| !deps.contains(head));
        with.insert(hash);
        let expected: Vec<_> = with.iter().copied().collect();
        if let Some(next) = step(&document, &Hashed { hash, body: &body }, &expected) {
            (document, heads) = (next, with);
            done.insert(hash);
            taken += usize::from(new.contains_key(&hash));
        } else {
            failed.insert(hash);
        }
    }
    let mut evicted = Vec::new();
    for hash in failed.iter().chain(left.keys()) {
        match new.get(hash) {
            Some((log, seq)) if failed.contains(hash) => {
                refused.push((*log, *seq, Refusal::Trial));
            }
            Some(place) => waiting.push(*place),
            None => evicted.push(*hash),
        }
    }
    let record = Record::of(schema, document);
    let (snapshot, heads) = (record.save(), record.heads());
    Outcome { record, snapshot, heads, accepted: taken, refused, waiting, evicted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::materialise::{Incoming, Sorting, trial};
    use crate::record::{Edits, schema_named};
    use automerge::Change;
    use serde_json::json;

    #[test]
    fn a_replay_leaves_out_what_fails_and_what_builds_on_it() {
        let schema = schema_named("post").unwrap();
        let logs = [LogId([1; 32]), LogId([2; 32])];
        let write = |record: &mut Record, author: usize, title: &str| {
            let edits = Edits::from_json(schema, &json!({ "title": title })).unwrap();
            record.edit(logs[author].actor(), 1, "", &edits).unwrap().unwrap()
        };
        let mut alice = Record::new(schema);
        let first = write(&mut alice, 0, "a");
        let held = alice.save();
        let mut bob = alice.clone();
        let bodies =
            [write(&mut alice, 0, "b"), write(&mut alice, 0, "c"), write(&mut bob, 1, "d")];
        let entries: Vec<_> = [(0, 2), (0, 3), (1, 1)]
            .into_iter()
            .zip(&bodies)
            .map(|((author, seq), body)| Incoming { log: logs[author], seq, body })
            .collect();
        let base = Record::load(schema, &held).unwrap();
        let mut sorting = Sorting::new(schema, Some(base.document())).unwrap();
        sorting.sort(&entries);
        assert_eq!(sorting.accepted.len(), 3);
        let run = |fails: &[u8]| {
            let fails = Change::try_from(fails).unwrap().hash();
            replay(schema, base.document(), &sorting.accepted, vec![], vec![], &mut |d, c, h| {
                (c.hash != fails.0).then(|| trial(d, [c.body].into_iter(), h).unwrap().0)
            })
        };

        let outcome = run(&bodies[0]);
        assert_eq!(outcome.refused, [(logs[0], 2, Refusal::Trial)]);
        assert_eq!((outcome.waiting, outcome.accepted), (vec![(logs[0], 3)], 1));
        assert_eq!((outcome.heads, outcome.evicted), (bob.heads(), vec![]));
        assert_eq!(Record::load(schema, &outcome.snapshot).unwrap().to_json(), bob.to_json());

        let outcome = run(&first);
        assert_eq!(outcome.evicted, [Change::try_from(&first[..]).unwrap().hash().0]);
        assert_eq!((outcome.waiting.len(), outcome.accepted), (3, 0));
        assert!(outcome.record.is_new());
    }
}
