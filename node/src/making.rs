//! A document from its entries: who had the right, what waits, what the gate says.

use crate::authors::KnownAuthors;
use crate::ledger::Ledger;
use crate::shared::{Readers, Shared, lock};
use crate::store::{
    DocumentUpdate, EntryRef, Material, Place, Reader, Refusal, StoreError, WriteBatch,
};
use crate::views::row_of;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::limits::PENDING_PER_LOG_MAX;
use fenbu_protocol::log::{Header, Opening};
use fenbu_protocol::record::{self, Bench, Judgement, NoJudgement, Outcome, Schema, schema};
use fenbu_protocol::seal::Keyring;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, mpsc};

/// An entry to be judged, with its stored body.
pub(crate) struct Candidate {
    pub(crate) header: Header,
    pub(crate) author: NodeId,
    pub(crate) body: Vec<u8>,
}

impl Candidate {
    fn seen(&self) -> record::Candidate<'_> {
        record::Candidate { header: &self.header, author: self.author, body: &self.body }
    }
}

/// What a round makes of one document.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) batch: WriteBatch,
}

/// Why a document could not be made.
pub(crate) enum Unmade {
    /// Its stored form cannot be read, for this reason; its entries are still there.
    Damaged(Place, String),
    Store(StoreError),
}

impl From<StoreError> for Unmade {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unmade> for StoreError {
    fn from(unmade: Unmade) -> Self {
        match unmade {
            Unmade::Store(error) => error,
            Unmade::Damaged(place, why) => {
                Self::Inconsistent(format!("document {}: {why}", place.document))
            }
        }
    }
}

/// Works on all cores where there is enough to do, and takes the results here as they come.
pub(crate) fn on_all_cores<T: Send, R: Send>(
    work: Vec<T>,
    make: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    if work.len() < 2 || threads == 1 {
        return work.into_iter().map(make).for_each(take);
    }
    let work = Mutex::new(work.into_iter());
    let (done, results) = mpsc::sync_channel(2 * threads);
    std::thread::scope(|scope| {
        let (make, work) = (&make, &work);
        let worker = |done: mpsc::SyncSender<R>| {
            move || {
                while let Some(part) = { lock(work).next() } {
                    // Nobody listening: the taker has panicked.
                    let _ = done.send(make(part));
                }
            }
        };
        for _ in 0..threads {
            scope.spawn(worker(done.clone()));
        }
        drop(done);
        results.into_iter().for_each(&mut take);
    });
}

pub(crate) struct Job<'a> {
    pub(crate) readers: &'a Readers,
    pub(crate) directory: &'a Directory,
    pub(crate) keyring: &'a Keyring,
    pub(crate) authors: &'a KnownAuthors,
    ledger: &'a Ledger,
    /// Authors who are far from every limit, and who are not.
    clear: Mutex<BTreeMap<(SpaceId, NodeId), bool>>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(shared: &'a Shared, directory: &'a Directory, keyring: &'a Keyring) -> Self {
        let (readers, authors, ledger) = (&shared.readers, &shared.authors, &shared.ledger);
        Self { readers, directory, keyring, authors, ledger, clear: Mutex::default() }
    }
}

impl Job<'_> {
    /// What becomes of some documents with these new entries.
    pub(crate) fn make(&self, part: Vec<(Place, Vec<Candidate>)>) -> Vec<Result<Made, Unmade>> {
        let places: Vec<Place> = part.iter().map(|(place, _)| *place).collect();
        match self.material(&places) {
            Ok(material) => {
                let both = part.into_iter().zip(material);
                both.map(|((place, new), material)| self.one(place, new, material)).collect()
            }
            // One of them cannot be read: which?
            Err(_) => part.into_iter().map(|(place, new)| self.alone(place, new)).collect(),
        }
    }

    fn alone(&self, place: Place, new: Vec<Candidate>) -> Result<Made, Unmade> {
        match self.material(&[place]) {
            Ok(mut material) => match material.pop() {
                Some(material) => self.one(place, new, material),
                None => Ok(Made::default()),
            },
            Err(StoreError::Corrupted { what, .. }) => Err(Unmade::Damaged(place, what)),
            Err(error) => Err(error.into()),
        }
    }

    fn material(&self, places: &[Place]) -> Result<Vec<Material>, StoreError> {
        self.readers.with(|reader| reader.material(places))
    }

    /// Entries that wait are looked at a window at a time, so that a log full of entries whose
    /// dependencies never come costs each round the same; windows follow each other while entries
    /// leave them, so that what counts does not depend on the windows.
    fn one(&self, place: Place, new: Vec<Candidate>, material: Material) -> Result<Made, Unmade> {
        let Material { document, waiting: stored } = material;
        let mut snapshot = document.map(|d| d.snapshot);
        let mut new: BTreeMap<At, Candidate> =
            new.into_iter().map(|c| ((c.header.log, c.header.seq), c)).collect();
        let mut pending: Vec<At> = stored.iter().map(|e| (e.log, e.seq)).collect();
        pending.extend(new.keys());
        pending.sort_unstable();
        pending.dedup();
        let waited: BTreeSet<At> = stored.iter().map(|e| (e.log, e.seq)).collect();
        let mut made = Made::default();
        loop {
            let (offered, left) = window(&pending, &waited);
            let looked_at = offered.len();
            let candidates = self.candidates(place, &offered, &mut new)?;
            let mut round = self.judge(place, snapshot.as_deref(), candidates)?;
            let still = std::mem::take(&mut round.batch.waiting);
            let moved = still.len() < looked_at;
            if let Some(update) = round.batch.documents.last() {
                snapshot = Some(update.snapshot.clone());
                made.batch.documents = round.batch.documents;
            }
            made.batch.refused.append(&mut round.batch.refused);
            let more = !left.is_empty();
            pending = left;
            pending.extend(still.into_iter().map(|e| (e.log, e.seq)));
            pending.sort_unstable();
            if !more || !moved {
                break;
            }
        }
        let pending: BTreeSet<At> = pending.into_iter().collect();
        let gone = |e: &EntryRef| !pending.contains(&(e.log, e.seq));
        made.batch.no_longer_waiting = stored.into_iter().filter(gone).collect();
        made.batch.waiting =
            pending.into_iter().map(|(log, seq)| EntryRef { place, log, seq }).collect();
        Ok(made)
    }

    /// Entries with their bodies: those at hand, and those that waited in the store.
    fn candidates(
        &self,
        place: Place,
        offered: &[At],
        new: &mut BTreeMap<At, Candidate>,
    ) -> Result<Vec<Candidate>, Unmade> {
        let mut candidates = Vec::with_capacity(offered.len());
        let mut lacking = Vec::new();
        for entry in offered {
            match new.remove(entry) {
                Some(candidate) => candidates.push(candidate),
                None => lacking.push(*entry),
            }
        }
        if !lacking.is_empty() {
            let read = self.readers.with(|reader| bodies(reader, &lacking));
            candidates.extend(read.map_err(|error| match error {
                StoreError::Corrupted { what, .. } => Unmade::Damaged(place, what),
                error => error.into(),
            })?);
        }
        Ok(candidates)
    }

    /// What becomes of a document, made before up to `snapshot`, with these entries.
    pub(crate) fn judge(
        &self,
        place: Place,
        snapshot: Option<&[u8]>,
        candidates: Vec<Candidate>,
    ) -> Result<Made, Unmade> {
        let mut made = Made::default();
        let Some(schema) = schema(place.kind) else {
            // A newer node's kind: kept and relayed, and shown by a version that knows it.
            for candidate in &candidates {
                let header = &candidate.header;
                made.wait(EntryRef { place, log: header.log, seq: header.seq });
            }
            return Ok(made);
        };
        let (directory, keyring) = (self.directory, self.keyring);
        let offering = |c: &Candidate| (c.header.log.actor(), c.author);
        let mut also: Vec<_> = candidates.iter().map(offering).collect();
        also.sort_unstable();
        also.dedup();
        let authors = match schema.guards_contents() {
            true => Some(self.authors.of(place.space, directory, self.readers, &also)?),
            false => None,
        };
        let bench =
            Bench { directory, keyring, space: place.space, schema, authors: authors.as_deref() };
        let candidates: Vec<record::Candidate<'_>> =
            candidates.iter().map(Candidate::seen).collect();
        let hash_at = |log, seq| self.readers.with(|r| hash_at(r, log, seq));
        let is_over = |candidate: &record::Candidate<'_>| self.is_over(place.space, candidate);
        let judged = bench.judge(snapshot, &candidates, hash_at, is_over);
        let mut judgement = judged.map_err(|e| match e {
            NoJudgement::Snapshot(why) => Unmade::Damaged(place, why.to_string()),
            NoJudgement::Store(error) => error.into(),
        })?;
        if let Some(outcome) = &mut judgement.outcome {
            let record = std::mem::replace(&mut outcome.record, record::Record::new(schema));
            let named = self.authors.name(record, place.space, directory, self.readers, &also);
            outcome.record = named?;
        }
        made.take(place, schema, judgement);
        Ok(made)
    }

    /// Whether an entry whose author had the right is beyond what one author may have.
    fn is_over(
        &self,
        space: SpaceId,
        candidate: &record::Candidate<'_>,
    ) -> Result<bool, StoreError> {
        let whose = (space, candidate.author);
        let known = lock(&self.clear).get(&whose).copied();
        let clear = match known {
            Some(clear) => clear,
            None => self.readers.with(|r| Ledger::is_clear(r, self.directory, whose, (0, 0)))?,
        };
        lock(&self.clear).insert(whose, clear);
        if clear {
            return Ok(false);
        }
        let header = candidate.header;
        let judged = self.directory.judged_at(header.epoch, header.directory);
        let Some(epoch) = judged else { return Ok(false) };
        let over =
            self.readers.with(|r| self.ledger.excess(r, self.directory, whose, header, epoch))?;
        Ok(over.is_some())
    }
}

/// The header hash of an entry that is held.
pub(crate) fn hash_at(
    reader: &dyn Reader,
    log: LogId,
    seq: u64,
) -> Result<Option<Hash>, StoreError> {
    Ok(reader.entry(log, seq)?.map(|entry| entry.header.hash()))
}

/// An entry of one document.
type At = (LogId, u64);

/// What of the entries that are not part of a document yet is looked at now, and what is not. Of a log in
/// which few wait all is, new entries too; of one in which many wait, the first.
fn window(pending: &[At], waited: &BTreeSet<At>) -> (Vec<At>, Vec<At>) {
    let (mut offered, mut left) = (Vec::with_capacity(pending.len()), Vec::new());
    for log in pending.chunk_by(|a, b| a.0 == b.0) {
        let many = log.iter().filter(|e| waited.contains(e)).count() > PENDING_PER_LOG_MAX;
        let (first, rest) = log.split_at(if many { PENDING_PER_LOG_MAX } else { log.len() });
        offered.extend_from_slice(first);
        left.extend_from_slice(rest);
    }
    (offered, left)
}

/// Entries that waited, with their bodies; erased ones are left out.
fn bodies(reader: &dyn Reader, waited: &[At]) -> Result<Vec<Candidate>, StoreError> {
    let mut found = Vec::with_capacity(waited.len());
    for (log, seq) in waited {
        if let Some(entry) = reader.entry(*log, *seq)?
            && let Some(body) = entry.body
        {
            let author = opening(reader, *log)?.node;
            found.push(Candidate { header: entry.header, author, body });
        }
    }
    Ok(found)
}

/// What a log is, and whose.
pub(crate) fn opening(reader: &dyn Reader, log: LogId) -> Result<Opening, StoreError> {
    let stored = reader.log(log)?.ok_or_else(|| {
        StoreError::Inconsistent(format!("log {} has entries and no opening", log.short()))
    })?;
    Ok(stored.opening)
}

impl Made {
    fn wait(&mut self, entry: EntryRef) {
        self.batch.waiting.push(entry);
    }

    fn take(&mut self, place: Place, schema: &'static Schema, judgement: Judgement) {
        for (log, seq) in judgement.waiting {
            self.wait(EntryRef { place, log, seq });
        }
        for (log, seq, why) in judgement.refused {
            self.batch.refused.push(Refusal {
                entry: EntryRef { place, log, seq },
                code: why.code().into(),
                reason: why.to_string(),
            });
        }
        if let Some(outcome) = judgement.outcome
            && (outcome.accepted > 0 || !outcome.evicted.is_empty())
        {
            let update = document_update(place, schema, &outcome);
            self.batch.documents.push(update);
        }
    }
}

fn document_update(place: Place, schema: &'static Schema, outcome: &Outcome) -> DocumentUpdate {
    let row = outcome.record.row();
    DocumentUpdate {
        space: place.space,
        document: place.document,
        kind: place.kind,
        genesis: schema.genesis,
        snapshot: outcome.snapshot.as_slice().into(),
        heads: outcome.heads.clone(),
        conflicts: row.conflicts,
        row: row_of(schema, row),
        keys: outcome.record.matches(place.space, place.document),
    }
}

pub(crate) fn place_of(space: SpaceId, header: &Header) -> Place {
    Place { document: header.document, space, kind: header.shape.kind }
}
