//! What somebody has just saved elsewhere: its documents are made in the commit that makes it durable.
//!
//! A small run that arrives while nothing of its log is behind is live. Made here it can be read a
//! commit and three changes of thread sooner than the materialiser would have it. Whatever is out of
//! the ordinary (a document somebody holds, a log that is behind, a document that is damaged) is left
//! to the materialiser, which takes up all that lies behind the logs' cursors.

use crate::ledger::Ledger;
use crate::making::{Candidate, Job, place_of};
use crate::shared::{DocumentGuard, Shared};
use crate::store::{Place, WriteBatch};
use fenbu_protocol::log::Run;
use std::collections::BTreeMap;

/// Entries of a live run; one save is one entry.
const ENTRIES_MAX: usize = 4;
const BYTES_MAX: usize = 64 << 10;
/// Live runs in one commit, so that nobody waits long for the others.
pub(super) const RUNS_MAX: usize = 8;

/// What a live run makes of its documents, which stay locked while this lives.
pub(super) struct Live {
    pub(super) batch: WriteBatch,
    _guard: DocumentGuard,
}

/// The documents of `run`, if it is live.
pub(super) fn live(shared: &Shared, run: &Run) -> Option<Live> {
    if run.entries().count() > ENTRIES_MAX || run.as_bytes().len() > BYTES_MAX {
        return None;
    }
    let stored = shared.readers.try_with(|r| r.log(run.log()))?.ok()?;
    let at_end = |cursor, tip| cursor + 1 == run.first() && tip + 1 == run.first();
    let opening = match stored {
        Some(log) if at_end(log.cursor, log.tip.seq) => log.opening,
        Some(_) => return None,
        None => *run.opening()?,
    };
    if !shared.readable().contains(&opening.space) {
        return None;
    }
    // Whoever is near a limit is counted once the run is stored; others may come before it in one commit.
    let more = ((RUNS_MAX * ENTRIES_MAX) as u64, (RUNS_MAX * BYTES_MAX) as u64);
    let whose = (opening.space, opening.node);
    let directory = shared.directory.now();
    if !shared.readers.try_with(|r| Ledger::is_clear(r, &directory, whose, more))?.ok()? {
        return None;
    }
    let mut by_document: BTreeMap<Place, Vec<Candidate>> = BTreeMap::new();
    for entry in run.entries() {
        let (header, body) = (entry.header, entry.body?.to_vec());
        let candidate = Candidate { header, author: opening.node, body };
        by_document.entry(place_of(opening.space, &candidate.header)).or_default().push(candidate);
    }
    let guard = shared.documents.try_lock(by_document.keys().copied())?;
    let keyring = shared.keys.now();
    let job = Job::new(shared, &directory, &keyring);
    let mut batch = WriteBatch::default();
    for made in job.make(by_document.into_iter().collect()) {
        batch.merge(made.ok()?.batch);
    }
    batch.cursors.push((run.log(), run.last()));
    Some(Live { batch, _guard: guard })
}
