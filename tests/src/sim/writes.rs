//! What people write, and how received entries become documents: the daemon's part between disk
//! and records, carried out on a simulated disk.

use super::disk::{Done, Job};
use super::node::Node;
use crate::model::words_field;
use fenbu_node::store::{EntryRef, Place, StoredDocument, WriteBatch};
use fenbu_node::views::update_of;
use fenbu_protocol::id::{DocId, LogId, SpaceId};
use fenbu_protocol::log::{Draft, Encoding, HEADER_VERSION, Kind, LogDigest, Shape, StateDigest};
use fenbu_protocol::record::{self, Edits, Incoming, Record};
use fenbu_protocol::sync::Item;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Midnight of the founding picture's day: what the nodes' wall clocks began from.
pub(super) const EPOCH_MS: u64 = 1_544_457_600_000;

/// Bytes of entries turned into documents in one go.
const MATERIALISE_BYTES: usize = 4 << 20;

/// Entries of one document: log, seq, body.
type Entries<'a> = Vec<(LogId, u64, Cow<'a, [u8]>)>;

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
                    let run = match &item {
                        Item::Run { run, .. } => Some(run.clone()),
                        Item::Statement { .. } => None,
                    };
                    if self.persist(&item)? {
                        done.push(Done::Persisted { ticket, run });
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
        }
        self.disk.write(&batch)
    }

    pub(super) fn note_refused(&mut self, item: &Item) {
        if let Item::Run { run, .. } = item {
            let seq = self.refused.entry(run.log()).or_default();
            *seq = run.last().max(*seq);
        }
    }

    fn declare(&mut self, act: fenbu_protocol::directory::Act) -> Result<Option<Done>, String> {
        let Some(directory) = self.engine.as_ref().map(|e| e.directory()) else { return Ok(None) };
        let signed = directory.draft(&self.key, &act, EPOCH_MS);
        let statements = vec![(directory.epoch() + 1, signed.to_wire())];
        let written = self.disk.write(&WriteBatch { statements, ..Default::default() })?;
        Ok(written.then_some(Done::Declared { act, signed }))
    }

    fn write_locally(&mut self, write: LocalWrite) -> Result<Done, String> {
        let Some(directory) = self.engine.as_ref().map(|e| e.directory()) else {
            return Ok(Done::LocalRefused);
        };
        let (epoch, prefix) = (directory.epoch(), directory.head_prefix());
        let before = self.author(write.space).clone();
        let actor = before.log().actor();
        let mut batch = WriteBatch::default();
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
            let schema = record.schema();
            self.author(write.space).append(&Draft {
                epoch,
                directory: prefix,
                now_ms: write.time_ms,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: schema.lane,
                    kind: schema.kind,
                    genesis: schema.genesis,
                    encoding: Encoding::CHANGE,
                    key_epoch: 0,
                },
                document: edit.document,
                body: &body,
            });
            let snapshot = record.save();
            batch.documents.push(update_of(write.space, edit.document, &record, snapshot));
        }
        let key = self.key.clone();
        let author = self.author(write.space);
        let run = author.close(&key).ok_or("a write has entries")?;
        let tip = author.tip();
        batch.cursors.push((run.log(), tip.seq));
        batch.runs.push((run.clone(), tip));
        if !self.disk.write(&batch)? {
            *self.author(write.space) = before;
            return Ok(Done::LocalRefused);
        }
        self.disk.spaces.insert(run.log(), write.space);
        Ok(Done::Local { write, run, tip })
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
                    documents.entry(place).or_default().push((run.log(), entry.header.seq, body));
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
        started.states = spaces
            .into_iter()
            .map(|space| {
                let sums = digests.get(&space).copied().unwrap_or_default();
                SpaceState { space, log: sums.log, state: sums.state }
            })
            .collect();
        Ok(())
    }

    /// Applies new and waiting entries to one document.
    fn apply(
        &self,
        place: Place,
        mut entries: Entries<'_>,
        batch: &mut WriteBatch,
        started: &mut Started,
    ) -> Result<(), String> {
        let schema = record::schema(place.kind).ok_or("only known kinds are written")?;
        let reader = self.disk.reader();
        let waited = reader.waiting(place).map_err(|e| e.to_string())?;
        for entry in &waited {
            let stored = reader.entry(entry.log, entry.seq).map_err(|e| e.to_string())?;
            let body = stored.and_then(|s| s.body).ok_or("a waiting entry is gone")?;
            entries.push((entry.log, entry.seq, Cow::Owned(body)));
        }
        let incoming: Vec<_> = entries
            .iter()
            .map(|(log, seq, body)| Incoming { log: *log, seq: *seq, body })
            .collect();
        let stored = self.document(place)?;
        let snapshot = stored.as_ref().map(|stored| &stored.snapshot[..]);
        let outcome =
            record::materialise(schema, snapshot, &incoming).map_err(|e| e.to_string())?;
        if let Some((log, seq, why)) = outcome.refused.first() {
            return Err(format!(
                "an honest entry is refused: log {} seq {seq}: {why}",
                log.short()
            ));
        }
        if !outcome.evicted.is_empty() {
            return Err(format!("honest changes left document {}", place.document));
        }
        let still = |log: LogId, seq: u64| outcome.waiting.contains(&(log, seq));
        let known = |log: LogId, seq: u64| waited.iter().any(|e| (e.log, e.seq) == (log, seq));
        let released = waited.iter().filter(|entry| !still(entry.log, entry.seq));
        let before = batch.no_longer_waiting.len();
        batch.no_longer_waiting.extend(released);
        started.released += (batch.no_longer_waiting.len() - before) as u64;
        let waiting = outcome.waiting.iter().filter(|(log, seq)| !known(*log, *seq));
        batch.waiting.extend(waiting.map(|(log, seq)| EntryRef { place, log: *log, seq: *seq }));
        if outcome.accepted > 0 {
            let snapshot = outcome.snapshot;
            batch.documents.push(update_of(place.space, place.document, &outcome.record, snapshot));
        }
        Ok(())
    }
}
