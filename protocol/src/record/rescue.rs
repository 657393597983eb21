//! Work past a cut that work within its rights was built on.
//!
//! When a node is revoked its logs are cut where the admin knew their ends. What it wrote beyond that
//! counts all the same where an anchored entry builds on it: an honest colleague had it before him and
//! went on from there. The answer depends on the set of entries alone.

use super::gate::inspect;
use super::materialise::Incoming;
use super::schema::Schema;
use std::collections::{BTreeMap, BTreeSet};

/// Which of `past` (past a cut) lie in the causal past of one of `anchored`, walking through `past`
/// alone. All are entries of one document whose authors had the right. What does not pass the gate by
/// itself rescues nothing and is not rescued.
pub fn rescued(schema: &Schema, anchored: &[Incoming<'_>], past: &[Incoming<'_>]) -> Vec<bool> {
    let seen = |entry: &Incoming<'_>| {
        let inspected = inspect(schema, entry.log.actor(), entry.body).ok()?;
        Some((inspected.hash, inspected.deps))
    };
    let mut by_hash: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    let mut deps = Vec::with_capacity(past.len());
    for (at, entry) in past.iter().enumerate() {
        let (hash, builds_on) = seen(entry).unzip();
        if let Some(hash) = hash {
            by_hash.entry(hash).or_default().push(at);
        }
        deps.push(builds_on.unwrap_or_default());
    }
    let mut left: Vec<[u8; 32]> = anchored.iter().filter_map(seen).flat_map(|(_, d)| d).collect();
    if planted!(RescueAll) || planted!(RescueNone) {
        return vec![planted!(RescueAll); past.len()];
    }
    let (mut out, mut done) = (vec![false; past.len()], BTreeSet::new());
    while let Some(hash) = left.pop() {
        if !done.insert(hash) {
            continue;
        }
        for at in by_hash.get(&hash).into_iter().flatten() {
            out[*at] = true;
            left.extend(&deps[*at]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LogId;
    use crate::record::{Edits, Record, schema_named};
    use serde_json::json;

    #[test]
    fn what_an_anchored_entry_builds_on_is_rescued_and_nothing_else() {
        let schema = schema_named("post").unwrap();
        let logs = [LogId([1; 32]), LogId([2; 32])];
        let write = |record: &mut Record, author: usize, title: &str| {
            let edits = Edits::from_json(schema, &json!({ "title": title })).unwrap();
            record.edit(logs[author].actor(), 1, "", &edits).unwrap().unwrap()
        };
        let mut eve = Record::new(schema);
        let first = write(&mut eve, 0, "a");
        let second = write(&mut eve, 0, "b");
        let mut alice = eve.clone();
        let third = write(&mut eve, 0, "c");
        let hers = write(&mut alice, 1, "d");
        let entry = |author: usize, seq, body| Incoming { log: logs[author], seq, body };
        let past = [entry(0, 1, &first), entry(0, 2, &second[..]), entry(0, 3, &third[..])];
        let anchored = [entry(1, 1, &hers[..])];
        assert_eq!(rescued(schema, &anchored, &past), [true, true, false]);
        assert_eq!(rescued(schema, &[], &past), [false; 3]);
        let backwards = [past[2], past[1], past[0]];
        assert_eq!(rescued(schema, &anchored, &backwards), [false, true, true]);
        // A past entry under another's actor is nobody's.
        let forged = [entry(1, 9, &second[..])];
        assert_eq!(rescued(schema, &anchored, &forged), [false]);
    }
}
