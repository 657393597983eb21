//! A document from its entries: who had the right, what waits, what the gate says.

use crate::shared::{Readers, lock};
use crate::store::{
    DocumentUpdate, EntryRef, Material, Place, Reader, Refusal, StoreError, StoredDocument,
    WriteBatch,
};
use fenbu_protocol::directory::{Directory, Standing};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{HEADER_VERSION, Header, Opening};
use fenbu_protocol::record::{Incoming, Outcome, Schema, materialise, rescued, schema};
use fenbu_protocol::seal::{Keyring, Reading};
use std::borrow::Cow;
use std::sync::{Mutex, mpsc};

/// An entry to be judged, with its stored body.
pub(crate) struct Candidate {
    pub(crate) header: Header,
    pub(crate) author: NodeId,
    pub(crate) body: Vec<u8>,
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
}

/// Whether an entry is offered to the gate, and with which plain body.
enum Verdict<'a> {
    Counts(Cow<'a, [u8]>),
    /// Only if what counts builds on it.
    PastCut(Cow<'a, [u8]>),
    Waits,
    Refused(&'static str, String),
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

    fn material(&self, places: &[Place]) -> Result<Vec<Bodies>, StoreError> {
        self.readers.with(|reader| {
            reader.material(places)?.into_iter().map(|material| bodies(reader, material)).collect()
        })
    }

    fn one(
        &self,
        place: Place,
        mut candidates: Vec<Candidate>,
        (stored, waited): Bodies,
    ) -> Result<Made, Unmade> {
        let mut released = Vec::with_capacity(waited.len());
        for (entry, candidate) in waited {
            released.push(entry);
            candidates.push(candidate);
        }
        let snapshot = stored.as_ref().map(|s| &s.snapshot[..]);
        let mut made = self.judge(place, snapshot, candidates)?;
        released.retain(|entry| !made.batch.waiting.contains(entry));
        made.batch.no_longer_waiting = released;
        Ok(made)
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
                made.wait(entry_ref(place, &candidate.header));
            }
            return Ok(made);
        };
        let (mut offered, mut past) = (Vec::new(), Vec::new());
        for candidate in &candidates {
            let entry = entry_ref(place, &candidate.header);
            match self.verdict(place.space, schema, candidate) {
                Verdict::Counts(body) => offered.push((&candidate.header, body)),
                Verdict::PastCut(body) => past.push((&candidate.header, body)),
                Verdict::Waits => made.wait(entry),
                Verdict::Refused(code, reason) => {
                    made.batch.refused.push(Refusal { entry, code: code.into(), reason });
                }
            }
        }
        let mut incoming = incoming(&offered);
        if !past.is_empty() {
            let past = self::incoming(&past);
            let rescued = rescued(schema, &incoming, &past);
            for (entry, rescued) in past.into_iter().zip(rescued) {
                match rescued {
                    true => incoming.push(entry),
                    // Looked at again with whatever comes: it may be rescued yet.
                    false => made.wait(EntryRef { place, log: entry.log, seq: entry.seq }),
                }
            }
        }
        if incoming.is_empty() {
            return Ok(made);
        }
        let outcome = materialise(schema, snapshot, &incoming)
            .map_err(|why| Unmade::Damaged(place, why.to_string()))?;
        made.take(place, schema, outcome);
        Ok(made)
    }

    /// Whether the author had the right, as far as this directory tells, and what was written.
    fn verdict<'a>(
        &self,
        space: SpaceId,
        schema: &Schema,
        candidate: &'a Candidate,
    ) -> Verdict<'a> {
        let header = &candidate.header;
        let shape = &header.shape;
        if shape.version != HEADER_VERSION || schema.genesis != shape.genesis {
            return Verdict::Waits;
        }
        let at = (header.log, header.seq);
        let past = match self.directory.standing(&candidate.author, &space, at, header.epoch) {
            Standing::Anchored => false,
            Standing::PastCut => true,
            Standing::Unknown => return Verdict::Waits,
            Standing::NoRight => {
                let epoch = header.epoch;
                let reason = format!("its author had no right to write here at epoch {epoch}");
                return Verdict::Refused("no-right", reason);
            }
        };
        match self.keyring.read(self.directory, &space, header, &candidate.body) {
            Reading::Plain(body) if past => Verdict::PastCut(body),
            Reading::Plain(body) => Verdict::Counts(body),
            Reading::Waits => Verdict::Waits,
            Reading::Refused(error) => Verdict::Refused(error.code(), error.to_string()),
        }
    }
}

fn incoming<'a>(entries: &'a [(&Header, Cow<'_, [u8]>)]) -> Vec<Incoming<'a>> {
    let incoming = |(header, body): &'a (&Header, Cow<'_, [u8]>)| Incoming {
        log: header.log,
        seq: header.seq,
        body,
    };
    entries.iter().map(incoming).collect()
}

/// A document, and the entries that waited for others, with their bodies.
type Bodies = (Option<StoredDocument>, Vec<(EntryRef, Candidate)>);

fn bodies(reader: &dyn Reader, material: Material) -> Result<Bodies, StoreError> {
    let mut waited = Vec::new();
    for entry in material.waiting {
        if let Some(found) = reader.entry(entry.log, entry.seq)?
            && let Some(body) = found.body
        {
            let author = opening(reader, entry.log)?.node;
            waited.push((entry, Candidate { header: found.header, author, body }));
        }
    }
    Ok((material.document, waited))
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

    fn take(&mut self, place: Place, schema: &'static Schema, outcome: Outcome) {
        for (log, seq) in &outcome.waiting {
            self.wait(EntryRef { place, log: *log, seq: *seq });
        }
        for (log, seq, refusal) in &outcome.refused {
            self.batch.refused.push(Refusal {
                entry: EntryRef { place, log: *log, seq: *seq },
                code: refusal.code().into(),
                reason: refusal.to_string(),
            });
        }
        if outcome.accepted > 0 || !outcome.evicted.is_empty() {
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
        row: row.into(),
    }
}

fn entry_ref(place: Place, header: &Header) -> EntryRef {
    EntryRef { place, log: header.log, seq: header.seq }
}

pub(crate) fn place_of(space: SpaceId, header: &Header) -> Place {
    Place { document: header.document, space, kind: header.shape.kind }
}
