//! From the entries of a document to the document.
//!
//! Entries are offered in any order within a call; those of one log in log order over successive
//! calls, as they arrive. What counts depends on the set of entries alone: every verdict looks only
//! at the change and at its causal past, and two changes with one (actor, sequence) are told apart
//! by their place in their author's log. Automerge is handed one batch with every dependency
//! present, on a copy; the copy is saved, read back and compared before it becomes the record.

use super::assemble::{Hashed, assembled};
use super::authors::Authors;
use super::doc::{LoadError, Record};
use super::gate::{Inspected, Refusal, Trace, guarded, inspect, same, traces_of};
use super::genesis::{ACTOR, genesis};
use super::past::Past;
use super::replay::replay;
use super::schema::Schema;
use crate::id::LogId;
use automerge::{Automerge, Change, ChangeHash, ReadDoc};
use std::collections::BTreeMap;

/// One entry's plain body.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub log: LogId,
    /// Position in the log.
    pub seq: u64,
    pub body: &'a [u8],
}

/// What became of the entries offered.
#[derive(Debug)]
pub struct Outcome {
    pub record: Record,
    /// The document's saved form, for the next call.
    pub snapshot: Vec<u8>,
    /// Hashes of the changes nothing builds on yet, ascending.
    pub heads: Vec<[u8; 32]>,
    /// Changes that became part of the document in this call.
    pub accepted: usize,
    /// Entries that can never count, by (log, position).
    pub refused: Vec<(LogId, u64, Refusal)>,
    /// Entries whose dependencies are not in the document: to be offered again when more arrive, of
    /// each log the first [`crate::limits::PENDING_PER_LOG_MAX`]. What builds on a refused change waits
    /// for good.
    pub waiting: Vec<(LogId, u64)>,
    /// Changes of the given snapshot that had to leave it because a document with them and a newly
    /// arrived change could not be read back. Empty unless Automerge failed.
    pub evicted: Vec<[u8; 32]>,
}

/// Applies what can be applied of `entries` to the document. Where `authors` are given, contents are
/// held to whose they are: all authors of the document and of `entries` must be among them.
///
/// # Errors
/// Only if `snapshot`, our own cache, cannot be loaded: rebuild it from all entries.
pub fn materialise(
    schema: &'static Schema,
    authors: Option<&Authors>,
    snapshot: Option<&[u8]>,
    entries: &[Incoming<'_>],
) -> Result<Outcome, LoadError> {
    let base = snapshot.map(|bytes| Record::load(schema, bytes)).transpose()?;
    let document = base.as_ref().map(Record::document);
    let history = document.and_then(history);
    let mut sorting = Sorting::new(schema, document)?;
    sorting.authors = authors;
    sorting.history = history.as_deref().unwrap_or_default();
    sorting.sort(entries);
    let Sorting { past, accepted, refused, waiting, .. } = sorting;
    if accepted.is_empty() {
        let record = base.unwrap_or_else(|| Record::new(schema));
        let snapshot = snapshot.map_or_else(|| record.save(), <[u8]>::to_vec);
        let (heads, evicted) = (record.heads(), Vec::new());
        return Ok(Outcome { record, snapshot, heads, accepted: 0, refused, waiting, evicted });
    }
    let heads = past.heads();
    let document = document.unwrap_or(&genesis(schema).document);
    // A new document has no history; a long one is not read back.
    let assembly = (snapshot.is_none() || history.is_some())
        .then(|| assemble(schema, history.as_deref().unwrap_or_default(), &accepted, &heads));
    let tried = match assembly.flatten() {
        Some(saved) => trial_load(saved, &heads),
        None => trial(document, accepted.iter().map(|a| a.entry.body), &heads),
    };
    let mut outcome = match tried {
        Some((document, snapshot)) => {
            let record = Record::of(schema, document);
            let heads = record.heads();
            let accepted = accepted.len();
            Outcome { record, snapshot, heads, accepted, refused, waiting, evicted: Vec::new() }
        }
        None => replay(schema, document, &accepted, refused, waiting, &mut |d, c, heads| {
            trial(d, std::iter::once(c.body), heads).map(|(document, _)| document)
        }),
    };
    outcome.refused.sort_by_key(|(log, seq, _)| (*log, *seq));
    outcome.waiting.sort_unstable();
    Ok(outcome)
}

/// Changes a document may have to be put together anew. Beyond, reading them all back costs more than
/// applying what is new.
const HISTORY_MAX: u64 = 256;

/// The changes of a document, if they are few.
fn history(document: &Automerge) -> Option<Vec<Change>> {
    let few = document.stats().num_changes <= HISTORY_MAX;
    few.then(|| guarded(|| Some(document.get_changes(&[])))).flatten()
}

/// The saved form of the document with what was accepted, put together from all its changes.
fn assemble(
    schema: &'static Schema,
    history: &[Change],
    accepted: &[Accepted<'_>],
    heads: &[[u8; 32]],
) -> Option<Vec<u8>> {
    let held = history.iter().map(|c| Hashed { hash: c.hash().0, body: c.raw_bytes() });
    let fresh = accepted.iter().map(|a| Hashed { hash: a.inspected.hash, body: a.entry.body });
    let changes: Vec<_> = held.filter(|c| c.hash != genesis(schema).hash).chain(fresh).collect();
    let saved = assembled(schema, &changes, heads)?;
    #[cfg(debug_assertions)]
    if let Some(applied) = guarded(|| Some(applied(schema, &changes))) {
        assert!(saved == applied, "put together otherwise than Automerge would");
    }
    Some(saved)
}

/// What Automerge saves after applying the changes in this order.
#[cfg(debug_assertions)]
fn applied(schema: &'static Schema, changes: &[Hashed<'_>]) -> Vec<u8> {
    let mut document = genesis(schema).document.clone();
    for change in changes {
        let change = Change::try_from(change.body).expect("a change that passed the gate");
        document.apply_changes([change]).expect("a change whose past is there");
    }
    document.save_nocompress()
}

/// Loads a saved form and compares heads. What loads here is what is kept, byte for byte, so it will
/// load again.
fn trial_load(saved: Vec<u8>, heads: &[[u8; 32]]) -> Option<(Automerge, Vec<u8>)> {
    guarded(|| {
        let document = Automerge::load(&saved).ok()?;
        (heads_of(&document) == heads).then_some((document, saved))
    })
}

/// Applies changes to a copy, saves it, reads it back, and compares heads.
pub(super) fn trial<'a>(
    base: &Automerge,
    changes: impl Iterator<Item = &'a [u8]>,
    heads: &[[u8; 32]],
) -> Option<(Automerge, Vec<u8>)> {
    guarded(|| {
        let changes: Option<Vec<Change>> = changes.map(|c| Change::try_from(c).ok()).collect();
        let mut copy = base.clone();
        copy.apply_changes(changes?).ok()?;
        let snapshot = copy.save_nocompress();
        let again = Automerge::load(&snapshot).ok()?;
        (heads_of(&copy) == heads && heads_of(&again) == heads).then_some((again, snapshot))
    })
}

pub(super) fn heads_of(document: &Automerge) -> Vec<[u8; 32]> {
    let mut heads: Vec<_> = document.get_heads().into_iter().map(|h| h.0).collect();
    heads.sort_unstable();
    heads
}

/// An entry that passed.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) entry: Incoming<'a>,
    pub(super) inspected: Inspected,
}

/// Sorts entries into accepted, refused and waiting.
pub(super) struct Sorting<'a, 'd> {
    pub(super) schema: &'static Schema,
    authors: Option<&'d Authors>,
    pub(super) document: Option<&'d Automerge>,
    /// Changes already in the document, if they were read.
    history: &'d [Change],
    pub(super) past: Past,
    pub(super) accepted: Vec<Accepted<'a>>,
    /// Index into `accepted` of a change accepted in this call.
    fresh: BTreeMap<[u8; 32], usize>,
    /// What operations of changes already in the document left behind, read when first needed.
    held: BTreeMap<[u8; 32], (Vec<u8>, Vec<Trace>)>,
    refused: Vec<(LogId, u64, Refusal)>,
    waiting: Vec<(LogId, u64)>,
}

impl<'a, 'd> Sorting<'a, 'd> {
    pub(super) fn new(
        schema: &'static Schema,
        document: Option<&'d Automerge>,
    ) -> Result<Self, LoadError> {
        let mut past = Past::default();
        if document.is_none() {
            let (genesis, actor) = (genesis(schema), past.actor(ACTOR));
            past.push(genesis.hash, actor, &[], (1, genesis.max_op));
        }
        for meta in document.map(|d| d.get_changes_meta(&[])).unwrap_or_default() {
            let actor = meta.actor.to_bytes().try_into().map_err(|_| LoadError::Foreign)?;
            let deps: Option<Vec<usize>> =
                meta.deps.iter().map(|d| past.by_hash.get(&d.0).copied()).collect();
            let deps = deps.ok_or(LoadError::Foreign)?;
            let actor = past.actor(actor);
            past.push(meta.hash.0, actor, &deps, (meta.start_op, meta.max_op));
        }
        Ok(Self {
            schema,
            authors: None,
            document,
            history: &[],
            past,
            accepted: Vec::new(),
            fresh: BTreeMap::new(),
            held: BTreeMap::new(),
            refused: Vec::new(),
            waiting: Vec::new(),
        })
    }

    pub(super) fn sort(&mut self, entries: &[Incoming<'a>]) {
        let mut logs: BTreeMap<LogId, Vec<(Incoming<'a>, Inspected)>> = BTreeMap::new();
        let mut order: Vec<&Incoming<'a>> = entries.iter().collect();
        order.sort_by_key(|e| (e.log, e.seq));
        order.dedup_by_key(|e| (e.log, e.seq));
        for entry in order {
            match inspect(self.schema, entry.log.actor(), entry.body) {
                Ok(inspected) => logs.entry(entry.log).or_default().push((*entry, inspected)),
                Err(why) => self.refused.push((entry.log, entry.seq, why)),
            }
        }
        let mut queues: Vec<_> = logs.into_values().map(|log| log.into_iter().peekable()).collect();
        let mut moved = true;
        while moved {
            moved = false;
            for queue in &mut queues {
                // Later entries of a log wait behind one that waits: an honest author's build on it.
                while let Some((_, inspected)) = queue.peek() {
                    let Some(deps) = self.resolve(inspected) else { break };
                    moved = true;
                    if let Some((entry, inspected)) = queue.next() {
                        self.settle(entry, inspected, &deps);
                    }
                }
            }
        }
        if !planted!(WaitingDropped) {
            self.waiting.extend(queues.into_iter().flatten().map(|(e, _)| (e.log, e.seq)));
        }
    }

    /// The dependencies' places, if all are here.
    fn resolve(&self, inspected: &Inspected) -> Option<Vec<usize>> {
        inspected.deps.iter().map(|d| self.past.by_hash.get(d).copied()).collect()
    }

    fn settle(&mut self, entry: Incoming<'a>, inspected: Inspected, deps: &[usize]) {
        if self.past.by_hash.contains_key(&inspected.hash) {
            return;
        }
        if let Err(why) = self.judge(&entry, &inspected, deps) {
            self.refused.push((entry.log, entry.seq, why));
            return;
        }
        let actor = self.past.actor(inspected.actor);
        self.past.push(inspected.hash, actor, deps, (inspected.start_op, inspected.max_op));
        self.fresh.insert(inspected.hash, self.accepted.len());
        self.accepted.push(Accepted { entry, inspected });
    }

    /// The part of the gate that looks at the causal past.
    fn judge(
        &mut self,
        entry: &Incoming<'a>,
        inspected: &Inspected,
        deps: &[usize],
    ) -> Result<(), Refusal> {
        let (clock, max_op) = self.past.below(deps);
        let actor = self.past.actor(inspected.actor);
        let expected = clock.get(actor).copied().unwrap_or(0) + 1;
        if inspected.seq != expected && !planted!(SequenceUnchecked) {
            return Err(Refusal::Sequence { expected, found: inspected.seq });
        }
        if inspected.start_op != max_op + 1 && !planted!(StartOpUnchecked) {
            return Err(Refusal::StartOp { expected: max_op + 1, found: inspected.start_op });
        }
        let checked = if planted!(ReferencesUnchecked) { &[][..] } else { &inspected.references };
        for r in checked {
            let dangling = Refusal::Reference { index: r.index as u64 };
            let node = self.past.find(&clock, r.actor, r.counter).ok_or(dangling.clone())?;
            let (hash, start) = (self.past.nodes[node].hash, self.past.nodes[node].start_op);
            let (body, traces) = self.traces(hash).ok_or(dangling.clone())?;
            let found = usize::try_from(r.counter - start).ok().and_then(|at| traces.get(at));
            if !found.is_some_and(|found| same(found, body, &r.wanted, entry.body)) {
                return Err(dangling);
            }
        }
        let taken = self.past.by_actor[actor].len() as u64 >= inspected.seq;
        if taken && !planted!(TakenUnchecked) {
            return Err(Refusal::Taken(inspected.seq));
        }
        match self.authors {
            Some(authors) => self.check_writer(authors, entry, inspected, deps, &clock),
            None => Ok(()),
        }
    }

    /// What the operations of an accepted change left behind, and the bytes their keys lie in.
    fn traces(&mut self, hash: [u8; 32]) -> Option<(&[u8], &[Trace])> {
        if let Some(at) = self.fresh.get(&hash) {
            let accepted = &self.accepted[*at];
            return Some((accepted.entry.body, &accepted.inspected.traces));
        }
        if !self.held.contains_key(&hash) {
            let read = self.history.iter().find(|c| c.hash().0 == hash).cloned();
            let change =
                read.or_else(|| guarded(|| self.document?.get_change_by_hash(&ChangeHash(hash))))?;
            let body = change.raw_bytes().to_vec();
            let traces = traces_of(self.schema, &body)?;
            self.held.insert(hash, (body, traces));
        }
        self.held.get(&hash).map(|(body, traces)| (&body[..], &traces[..]))
    }
}
