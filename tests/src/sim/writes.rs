//! What people write, and how received entries become documents: the daemon's part between disk
//! and records, carried out on a simulated disk.

use super::disk::{Done, Job};
use super::founding;
use super::node::Node;
use crate::model::words_field;
use fenbu_node::store::{Digests, EntryRef, Place, Refusal, StoredDocument, WriteBatch};
use fenbu_node::views::update_of;
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::{DocId, Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{
    Draft, Encoding, HEADER_VERSION, Header, Kind, LogDigest, Run, Shape, StateDigest, Tip,
};
use fenbu_protocol::record::{self, Bench, Candidate, Edits, Judgement, Objection, Record};
use fenbu_protocol::seal::{self, NONCE_BYTES, Reading, Sealing, SpaceKey, seal};
use fenbu_protocol::sync::{self as engine, Item};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Midnight of the founding picture's day: what the nodes' wall clocks began from.
pub(super) const EPOCH_MS: u64 = 1_544_457_600_000;

/// Bytes of entries turned into documents in one go.
const MATERIALISE_BYTES: usize = 4 << 20;

/// Entries of one document, with their stored bodies.
pub(super) type Entries<'a> = Vec<(Header, Cow<'a, [u8]>)>;

/// One save by a person: records of one space, a word added to each.
#[derive(Debug, Clone)]
pub(super) struct LocalWrite {
    pub(super) space: SpaceId,
    pub(super) edits: Vec<LocalEdit>,
    pub(super) time_ms: u64,
}

#[derive(Debug, Clone)]
pub(super) struct LocalEdit {
    pub(super) kind: Kind,
    pub(super) document: DocId,
    pub(super) word: String,
    /// Further fields.
    pub(super) fields: Map<String, Value>,
}

/// Where one space stands at a moment when every entry has been looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpaceState {
    pub(super) space: SpaceId,
    /// Head of the directory it was judged by.
    pub(super) directory: Hash,
    pub(super) log: LogDigest,
    pub(super) state: StateDigest,
}

/// What came of starting a group of jobs.
#[derive(Debug, Default)]
pub(super) struct Started {
    /// There is something to sync.
    pub(super) wrote: bool,
    /// Readable spaces after all their entries became documents; empty if none did.
    pub(super) states: Vec<SpaceState>,
    /// Entries that had waited and now count.
    pub(super) released: u64,
    /// Entries that count since.
    pub(super) counted: Vec<(SpaceId, NodeId, Header)>,
    /// Why entries of adversaries do not.
    pub(super) objections: Vec<Objection>,
    /// Looks at entries of adversaries that wait.
    pub(super) foreign_waiting: u64,
    /// Times that everything was made again.
    pub(super) made_again: u64,
}

impl Node {
    /// Writes everything queued, up to the first persist the disk refuses.
    ///
    /// # Errors
    /// What the store or the gate should never have to say among honest nodes.
    pub(super) fn start_jobs(&mut self) -> Result<Started, String> {
        let mut started = Started::default();
        let mut done = Vec::new();
        while let Some(job) = self.disk.queue.pop_front() {
            match job {
                Job::Persist { ticket, item } => {
                    if let Item::Run { run, .. } = &item {
                        self.leave_if_ahead(run);
                    }
                    let (run, switch) = match &item {
                        Item::Run { run, .. } => (Some(run.clone()), None),
                        Item::Switch(switch) => (None, Some(switch.clone())),
                        _ => (None, None),
                    };
                    if self.persist(&item)? {
                        done.push(Done::Persisted { ticket, run, switch });
                    } else {
                        self.note_refused(&item);
                        done.push(Done::Refused { ticket });
                        break;
                    }
                }
                Job::Local(write) => done.push(self.write_locally(write)?),
                Job::Declare(act) => done.extend(self.declare(act)?),
            }
        }
        if self.disk.behind {
            self.materialise(&mut started)?;
        }
        if !self.disk.behind {
            done.extend(self.write_anew()?);
        }
        let acknowledgements = std::mem::take(&mut self.disk.acknowledgements);
        if !acknowledgements.is_empty() {
            // Kept at leisure: a refusal only costs asking the peer again.
            self.disk.write(&WriteBatch { acknowledgements, ..Default::default() })?;
        }
        started.wrote = true;
        self.disk.begin_sync(done);
        Ok(started)
    }

    fn persist(&mut self, item: &Item) -> Result<bool, String> {
        let mut batch = WriteBatch::default();
        match item {
            Item::Run { space, run, tip } => {
                self.disk.spaces.insert(run.log(), *space);
                batch.runs.push((run.clone(), *tip));
            }
            Item::Statement { epoch, statement } => {
                batch.statements.push((*epoch, statement.to_wire()));
            }
            Item::Branch { from, statements } => batch = WriteBatch::branch(*from, statements),
            Item::Fork { statement } => batch = WriteBatch::fork(statement),
            Item::Switch(switch) => return self.switch(switch),
            Item::Proof { proof } => batch.proofs.push(proof.clone()),
        }
        match item {
            Item::Run { run, .. } if self.has_written(run) => Ok(false),
            // A copy's, on its way to the disk while this node wrote in its place.
            Item::Run { run, .. } if self.was_ours(&run.log()) => self.disk.try_write(&batch),
            _ => self.disk.write(&batch),
        }
    }

    pub(super) fn note_refused(&mut self, item: &Item) {
        if let Item::Run { run, .. } = item {
            let seq = self.refused.entry(run.log()).or_default();
            *seq = run.last().max(*seq);
        }
    }

    /// Says an act, and what is due about keys because of it.
    fn declare(&mut self, act: fenbu_protocol::directory::Act) -> Result<Option<Done>, String> {
        let Some(mut directory) = self.directory().cloned() else { return Ok(None) };
        let from = directory.epoch();
        let said = directory.draft(&self.key, &act, EPOCH_MS);
        directory.apply(said).map_err(|e| e.to_string())?;
        let keyring = self.keyring.clone();
        for due in seal::due(&directory.clone(), &keyring, &mut || self.chance()) {
            let said = directory.draft(&self.key, &due, EPOCH_MS);
            directory.apply(said).map_err(|e| e.to_string())?;
        }
        let signed = directory.statements_after(from).to_vec();
        let statements = (from + 1..).zip(signed.iter().map(Signed::to_wire)).collect();
        let written = self.disk.write(&WriteBatch { statements, ..Default::default() })?;
        Ok(written.then_some(Done::Declared { act, signed }))
    }

    fn write_locally(&mut self, write: LocalWrite) -> Result<Done, String> {
        let before = self.author(write.space).clone();
        let actor = before.log().actor();
        let mut written = Vec::with_capacity(write.edits.len());
        for edit in &write.edits {
            let mut record = self.record(write.space, edit)?;
            let mut fields = edit.fields.clone();
            let word = json!({ "add": [edit.word] });
            fields.insert(words_field(edit.kind).to_owned(), word);
            let edits = Edits::from_json(record.schema(), &Value::Object(fields))
                .map_err(|e| e.to_string())?;
            let body = record
                .edit(actor, write.time_ms, "account", &edits)
                .map_err(|e| e.to_string())?
                .ok_or("a new word changes a record")?;
            written.push((record, edit.document, body));
        }
        let (space, time_ms) = (write.space, write.time_ms);
        match self.append_entries(space, written, time_ms, WriteBatch::default())? {
            Some((run, tip)) => Ok(Done::Local { write, run, tip }),
            None => {
                *self.author(space) = before;
                Ok(Done::LocalRefused)
            }
        }
    }

    /// Appends changes to our log of a space, in one commit with their records and `batch`. `None` if the
    /// disk refused or there is no key.
    pub(super) fn append_entries(
        &mut self,
        space: SpaceId,
        written: Vec<(Record, DocId, Vec<u8>)>,
        time_ms: u64,
        mut batch: WriteBatch,
    ) -> Result<Option<(Run, Tip)>, String> {
        let Some(directory) = self.engine.as_ref().map(|e| e.directory()) else { return Ok(None) };
        let (epoch, prefix) = directory.cite(&self.id, &space);
        let key = match self.keyring.sealing(directory, &space) {
            Ok(Sealing::Plain) => None,
            Ok(Sealing::Under { key_epoch, key }) => Some((key_epoch, key.clone())),
            Err(_) => return Ok(None),
        };
        for (record, document, body) in written {
            let schema = record.schema();
            let place = Place { document, space, kind: schema.kind };
            let (encoding, key_epoch, body) = self.stored_form(key.as_ref(), place, body);
            self.author(space).append(&Draft {
                epoch,
                directory: prefix,
                now_ms: time_ms,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: schema.lane,
                    kind: schema.kind,
                    genesis: schema.genesis,
                    encoding,
                    key_epoch,
                },
                document,
                body: &body,
            });
            let snapshot = record.save();
            batch.documents.push(update_of(space, document, &record, snapshot));
        }
        let key = self.key.clone();
        let author = self.author(space);
        let run = author.close(&key).ok_or("a write has entries")?;
        let tip = author.tip();
        batch.cursors.push((run.log(), tip.seq));
        batch.runs.push((run.clone(), tip));
        if !self.disk.write(&batch)? {
            return Ok(None);
        }
        self.disk.spaces.insert(run.log(), space);
        Ok(Some((run, tip)))
    }

    /// A body as it goes to the end of our log.
    pub(super) fn stored_form(
        &mut self,
        key: Option<&(u32, SpaceKey)>,
        place: Place,
        plain: Vec<u8>,
    ) -> (Encoding, u32, Vec<u8>) {
        let Some((key_epoch, key)) = key else { return (Encoding::CHANGE, 0, plain) };
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&self.chance()[..NONCE_BYTES]);
        let author = self.author(place.space);
        let place = seal::Place {
            space: place.space,
            log: author.log(),
            seq: author.tip().seq + 1,
            document: place.document,
            kind: place.kind,
            key_epoch: *key_epoch,
        };
        (Encoding::SEALED, *key_epoch, seal(key, nonce, &place, &plain))
    }

    fn record(&self, space: SpaceId, edit: &LocalEdit) -> Result<Record, String> {
        let schema = record::schema(edit.kind).ok_or("a known kind")?;
        match self.document(Place { document: edit.document, space, kind: edit.kind })? {
            Some(stored) => {
                Record::load(schema, &stored.snapshot).map_err(|e| format!("document: {e}"))
            }
            None => Ok(Record::new(schema)),
        }
    }

    pub(super) fn document(&self, place: Place) -> Result<Option<StoredDocument>, String> {
        self.disk.reader().document(place).map_err(|e| e.to_string())
    }

    /// Turns entries of readable spaces into documents until none is behind.
    fn materialise(&mut self, started: &mut Started) -> Result<(), String> {
        if !self.remake()? || !self.retry_waiting(started)? {
            return Ok(());
        }
        let spaces = self.readable();
        loop {
            let runs = self.disk.reader().behind(&spaces, MATERIALISE_BYTES);
            let runs = runs.map_err(|e| e.to_string())?;
            if runs.is_empty() {
                break;
            }
            let mut batch = WriteBatch::default();
            let mut documents: BTreeMap<_, Entries<'_>> = BTreeMap::new();
            for run in &runs {
                let space = self.disk.spaces[&run.log()];
                for entry in run.entries() {
                    let kind = entry.header.shape.kind;
                    let place = Place { document: entry.header.document, space, kind };
                    let body = Cow::Borrowed(entry.body.unwrap_or_default());
                    documents.entry(place).or_default().push((entry.header, body));
                }
                batch.cursors.push((run.log(), run.last()));
            }
            for (place, entries) in documents {
                self.apply(place, entries, &mut batch, started)?;
            }
            if !self.disk.write(&batch)? {
                // Tried again with the next group.
                return Ok(());
            }
        }
        self.disk.behind = false;
        let digests = self.disk.reader().digests().map_err(|e| e.to_string())?;
        let head = self.directory().map_or(Hash::ZERO, Directory::head);
        // What waits for a key may come to more than what is shown.
        let open = spaces.into_iter().filter(|space| !self.locked.contains(space));
        started.states = open
            .map(|space| {
                let sums = digests.get(&space).copied().unwrap_or_default();
                SpaceState { space, directory: head, log: sums.log, state: sums.state }
            })
            .collect();
        Ok(())
    }

    /// What the records come to, of the spaces of which it can be said now.
    pub(super) fn states(&self) -> Vec<engine::SpaceState> {
        let Some(directory) = self.directory().filter(|d| self.keys_epoch == d.epoch()) else {
            return Vec::new();
        };
        let head = directory.head();
        let level = self.disk.reader().level().unwrap_or_default();
        let open = self.readable().into_iter().filter(|space| !self.locked.contains(space));
        open.map(|space| {
            let Digests { log, state } = level.get(&space).copied().unwrap_or_default();
            engine::SpaceState { space, directory: head, log, state }
        })
        .collect()
    }

    /// Makes a space's records again from nothing but its entries. `false` if the disk refused.
    pub(super) fn rebuild(&mut self, space: SpaceId) -> Result<bool, String> {
        let places = self.disk.reader().places(Some(space), None, usize::MAX);
        let forget = places.map_err(|e| e.to_string())?;
        let logs: Vec<LogId> =
            self.disk.spaces.iter().filter(|(_, s)| **s == space).map(|(log, _)| *log).collect();
        let mut batch = WriteBatch { forget, ..WriteBatch::default() };
        // From the beginning, as if nothing had been looked at.
        batch.cursors = logs.into_iter().map(|log| (log, 0)).collect();
        let written = self.disk.write(&batch)?;
        self.disk.behind = true;
        Ok(written)
    }

    /// Puts a change that nobody made into a record, as a bug would.
    pub(super) fn spoil(&mut self, place: Place) -> Result<(), String> {
        let schema = record::schema(place.kind).ok_or("a known kind")?;
        let stored = self.document(place)?.ok_or("no such record")?;
        let mut record = Record::load(schema, &stored.snapshot).map_err(|e| e.to_string())?;
        let field = json!({ words_field(place.kind): { "add": ["nobody's"] } });
        let edits = Edits::from_json(schema, &field).map_err(|e| e.to_string())?;
        record.edit([0xee; 16], EPOCH_MS, "nobody", &edits).map_err(|e| e.to_string())?;
        let snapshot = record.save();
        let documents = vec![update_of(place.space, place.document, &record, snapshot)];
        self.disk.write(&WriteBatch { documents, ..Default::default() })?;
        self.disk.sync();
        Ok(())
    }

    /// Looks again at what waits, once the directory has grown. `false` if the disk refused.
    fn retry_waiting(&mut self, started: &mut Started) -> Result<bool, String> {
        let epoch = self.directory().map_or(0, Directory::epoch);
        if self.keys_epoch == epoch {
            return Ok(true);
        }
        if self.lost_right() {
            if !self.make_again()? {
                return Ok(false);
            }
            started.made_again += 1;
            self.keys_epoch = epoch;
            self.locked.clear();
            return Ok(true);
        }
        let waiting =
            self.disk.reader().all_waiting(None, usize::MAX).map_err(|e| e.to_string())?;
        self.locked.clear();
        let mut batch = WriteBatch::default();
        for place in waiting.iter().map(|e| e.place).collect::<BTreeSet<_>>() {
            self.apply(place, Vec::new(), &mut batch, started)?;
        }
        let written = self.disk.write(&batch)?;
        if written {
            self.keys_epoch = epoch;
        }
        Ok(written)
    }

    /// What becomes of a document, made before up to `snapshot`, with these entries.
    pub(super) fn judge(
        &self,
        place: Place,
        snapshot: Option<&[u8]>,
        entries: &Entries<'_>,
    ) -> Result<Judgement, String> {
        let schema = record::schema(place.kind).ok_or("an unknown kind")?;
        let directory = self.directory().ok_or("a node that runs has a directory")?;
        let candidates: Result<Vec<_>, String> = entries
            .iter()
            .map(|(header, body)| {
                Ok(Candidate { header, author: self.author_of(header.log)?, body })
            })
            .collect();
        let bench =
            Bench { directory, keyring: &self.keyring, space: place.space, schema, authors: None };
        let reader = self.disk.reader();
        let hash_at = |log, seq| reader.entry(log, seq).map(|entry| entry.map(|e| e.header.hash()));
        bench.judge(snapshot, &candidates?, hash_at, |_| Ok(false)).map_err(|e| format!("{e:?}"))
    }

    fn author_of(&self, log: LogId) -> Result<NodeId, String> {
        let stored = self.disk.reader().log(log).map_err(|e| e.to_string())?;
        Ok(stored.ok_or("an entry's log is known")?.opening.node)
    }

    /// Whether a node is one of those that keep to the rules.
    fn trusts(&self, author: &NodeId) -> bool {
        let info = self.directory().and_then(|d| d.node(author));
        info.is_none_or(|info| info.unit != founding::OUTSIDERS)
    }

    /// Applies new and waiting entries to one document.
    fn apply(
        &mut self,
        place: Place,
        mut entries: Entries<'_>,
        batch: &mut WriteBatch,
        started: &mut Started,
    ) -> Result<(), String> {
        let reader = self.disk.reader();
        let waited = reader.waiting(place).map_err(|e| e.to_string())?;
        for entry in &waited {
            let stored = reader.entry(entry.log, entry.seq).map_err(|e| e.to_string())?;
            let stored = stored.ok_or("a waiting entry is gone")?;
            let body = stored.body.ok_or("a waiting entry's body is gone")?;
            entries.push((stored.header, Cow::Owned(body)));
        }
        let stored = self.document(place)?;
        let snapshot = stored.as_ref().map(|stored| &stored.snapshot[..]);
        let judgement = match record::schema(place.kind) {
            Some(_) => self.judge(place, snapshot, &entries)?,
            // A newer version's kind: kept, and shown by that version.
            None => {
                let waiting = entries.iter().map(|(h, _)| (h.log, h.seq)).collect();
                Judgement { waiting, ..Judgement::default() }
            }
        };
        self.note_judged(place, &entries, &judgement, started)?;
        let known: BTreeSet<_> = waited.iter().map(|e| (e.log, e.seq)).collect();
        let still: BTreeSet<_> = judgement.waiting.iter().copied().collect();
        let released = waited.iter().filter(|entry| !still.contains(&(entry.log, entry.seq)));
        let before = batch.no_longer_waiting.len();
        batch.no_longer_waiting.extend(released);
        started.released += (batch.no_longer_waiting.len() - before) as u64;
        let waiting = still.difference(&known);
        batch.waiting.extend(waiting.map(|(log, seq)| EntryRef { place, log: *log, seq: *seq }));
        for (log, seq, why) in judgement.refused {
            let entry = EntryRef { place, log, seq };
            let (code, reason) = (why.code().into(), why.to_string());
            batch.refused.push(Refusal { entry, code, reason });
        }
        if let Some(outcome) = judgement.outcome
            && outcome.accepted > 0
        {
            let snapshot = outcome.snapshot;
            batch.documents.push(update_of(place.space, place.document, &outcome.record, snapshot));
        }
        Ok(())
    }

    /// What was judged, for those who look from outside.
    fn note_judged(
        &mut self,
        place: Place,
        entries: &Entries<'_>,
        judgement: &Judgement,
        started: &mut Started,
    ) -> Result<(), String> {
        if judgement.outcome.as_ref().is_some_and(|outcome| !outcome.evicted.is_empty()) {
            return Err(format!("changes left document {}", place.document));
        }
        let refused: BTreeSet<_> = judgement.refused.iter().map(|(l, s, _)| (*l, *s)).collect();
        let waiting: BTreeSet<_> = judgement.waiting.iter().copied().collect();
        for (header, body) in entries {
            let (log, seq) = (header.log, header.seq);
            let author = self.author_of(log)?;
            let trusted = self.trusts(&author);
            if refused.contains(&(log, seq)) {
                let why = judgement.refused.iter().find(|(l, s, _)| (*l, *s) == (log, seq));
                let why = why.map(|(.., why)| why.clone());
                if trusted {
                    let why = why.map_or_else(String::new, |why| why.to_string());
                    let log = log.short();
                    return Err(format!("an honest entry is refused: log {log} seq {seq}: {why}"));
                }
                started.objections.extend(why);
            } else if waiting.contains(&(log, seq)) {
                let directory = self.directory().ok_or("a node that runs has a directory")?;
                let read = self.keyring.read(directory, &place.space, header, body);
                if trusted && read == Reading::Waits {
                    self.locked.insert(place.space);
                }
                started.foreign_waiting += u64::from(!trusted);
            } else {
                started.counted.push((place.space, author, *header));
            }
        }
        Ok(())
    }

    /// A right was taken: what is shown is made again from the entries. `false` if the disk refused.
    fn make_again(&mut self) -> Result<bool, String> {
        let mut batch = WriteBatch::default();
        for space in self.readable() {
            let places = self.disk.reader().places(Some(space), None, usize::MAX);
            batch.forget.extend(places.map_err(|e| e.to_string())?);
            let logs = self.disk.reader().logs(space).map_err(|e| e.to_string())?;
            batch.cursors.extend(logs.into_iter().map(|stored| (stored.log, 0)));
        }
        // Those that were made of nothing but what waits or is refused.
        let waiting =
            self.disk.reader().all_waiting(None, usize::MAX).map_err(|e| e.to_string())?;
        batch.forget.extend(waiting.iter().map(|entry| entry.place));
        batch.forget.sort_unstable();
        batch.forget.dedup();
        self.disk.write(&batch)
    }

    /// Whether a right was taken that what is shown was not judged by.
    fn lost_right(&self) -> bool {
        let (Some(directory), since) = (self.directory(), self.keys_epoch) else { return false };
        let nodes: Vec<NodeId> = directory.nodes().map(|n| n.node).collect();
        since > 0
            && directory.spaces().any(|space| {
                nodes.iter().any(|n| directory.cuts_after(n, &space.id, since).next().is_some())
            })
    }
}
