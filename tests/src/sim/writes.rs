//! What people write, and how received entries become documents: the daemon's part between disk
//! and records, carried out on a simulated disk.

use super::disk::{Done, Job};
use super::node::Node;
use crate::model::words_field;
use fenbu_node::store::{
    Cell, DocumentUpdate, EntryRef, Row, StoredDocument, ViewColumn, ViewSpec, WriteBatch,
};
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::{DocId, LogId, SpaceId};
use fenbu_protocol::log::{
    Draft, Encoding, HEADER_VERSION, Header, Kind, LogDigest, Shape, StateDigest,
};
use fenbu_protocol::record::{self, Edits, Incoming, Record, Schema, ValueType};
use fenbu_protocol::seal::{self, NONCE_BYTES, Place, Reading, Sealing, seal};
use fenbu_protocol::sync::Item;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Midnight of the founding picture's day: what the nodes' wall clocks began from.
pub(super) const EPOCH_MS: u64 = 1_544_457_600_000;

/// Bytes of entries turned into documents in one go.
const MATERIALISE_BYTES: usize = 4 << 20;

/// Entries of one document, with their stored bodies.
type Entries<'a> = Vec<(Header, Cow<'a, [u8]>)>;

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
    /// Entries that came before the key that opens them.
    pub(super) locked: u64,
}

/// The views the daemon keeps, one for each kind.
pub fn views() -> Vec<ViewSpec> {
    record::ALL.iter().map(|schema| view(schema)).collect()
}

fn view(schema: &Schema) -> ViewSpec {
    let column = |name: &&str| {
        let field = schema.field(name);
        let integer = field.is_some_and(|f| {
            let number = matches!(f.value, ValueType::Int | ValueType::Instant | ValueType::Bool);
            number && !f.merge.is_container()
        });
        ViewColumn { name: (*name).to_owned(), integer, indexed: false }
    };
    ViewSpec {
        kind: schema.kind,
        table: schema.plural.to_owned(),
        columns: schema.columns.iter().map(column).collect(),
    }
}

/// A record as its document is stored.
pub(super) fn update_of(
    space: SpaceId,
    document: DocId,
    record: &Record,
    snapshot: Vec<u8>,
) -> DocumentUpdate {
    let row = record.row();
    let cell = |cell| match cell {
        record::Cell::Null => Cell::Null,
        record::Cell::Int(value) => Cell::Int(value),
        record::Cell::Text(text) => Cell::Text(text),
    };
    let conflicts = record.to_json()["conflicts"].as_object().map_or(0, Map::len);
    DocumentUpdate {
        space,
        document,
        kind: record.schema().kind,
        genesis: record.schema().genesis,
        snapshot: snapshot.into(),
        heads: record.heads(),
        row: Row {
            cells: row.cells.into_iter().map(cell).collect(),
            created_ms: row.created_ms,
            updated_ms: row.updated_ms,
        },
        conflicts: conflicts as u32,
    }
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

    /// Says an act, and what is due about keys because of it.
    fn declare(&mut self, act: fenbu_protocol::directory::Act) -> Result<Option<Done>, String> {
        let Some(mut directory) = self.engine.as_ref().map(|e| e.directory().clone()) else {
            return Ok(None);
        };
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
        let Some(directory) = self.engine.as_ref().map(|e| e.directory()) else {
            return Ok(Done::LocalRefused);
        };
        let (epoch, prefix) = (directory.epoch(), directory.head_prefix());
        let Ok(sealing) = self.keyring.sealing(directory, &write.space) else {
            return Ok(Done::LocalRefused);
        };
        let key = match sealing {
            Sealing::Plain => None,
            Sealing::Under { key_epoch, key } => Some((key_epoch, key.clone())),
        };
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
            let (encoding, key_epoch, body) = match &key {
                None => (Encoding::CHANGE, 0, body),
                Some((key_epoch, key)) => {
                    let place = Place {
                        space: write.space,
                        log: before.log(),
                        seq: self.author(write.space).tip().seq + 1,
                        document: edit.document,
                        kind: schema.kind,
                        key_epoch: *key_epoch,
                    };
                    let mut nonce = [0; NONCE_BYTES];
                    nonce.copy_from_slice(&self.chance()[..NONCE_BYTES]);
                    (Encoding::SEALED, *key_epoch, seal(key, nonce, &place, &body))
                }
            };
            self.author(write.space).append(&Draft {
                epoch,
                directory: prefix,
                now_ms: write.time_ms,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: schema.lane,
                    kind: schema.kind,
                    genesis: schema.genesis,
                    encoding,
                    key_epoch,
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
        match self.document(space, edit.document)? {
            Some(stored) => {
                Record::load(schema, &stored.snapshot).map_err(|e| format!("document: {e}"))
            }
            None => Ok(Record::new(schema)),
        }
    }

    pub(super) fn document(
        &self,
        space: SpaceId,
        document: DocId,
    ) -> Result<Option<StoredDocument>, String> {
        self.disk.reader().document(space, document).map_err(|e| e.to_string())
    }

    /// Turns entries of readable spaces into documents until none is behind.
    fn materialise(&mut self, started: &mut Started) -> Result<(), String> {
        if !self.retry_waiting(started)? {
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
                    let key = (space, entry.header.document, entry.header.shape.kind);
                    let body = Cow::Borrowed(entry.body.unwrap_or_default());
                    documents.entry(key).or_default().push((entry.header, body));
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
        // What waits for a key may come to more than what is shown.
        let open = spaces.into_iter().filter(|space| !self.locked.contains(space));
        started.states = open
            .map(|space| {
                let sums = digests.get(&space).copied().unwrap_or_default();
                SpaceState { space, log: sums.log, state: sums.state }
            })
            .collect();
        Ok(())
    }

    /// Looks again at what waits, once the directory has grown. `false` if the disk refused.
    fn retry_waiting(&mut self, started: &mut Started) -> Result<bool, String> {
        let epoch = self.directory().map_or(0, Directory::epoch);
        if self.keys_epoch == epoch {
            return Ok(true);
        }
        let waiting =
            self.disk.reader().all_waiting(None, usize::MAX).map_err(|e| e.to_string())?;
        let places: BTreeSet<_> = waiting
            .iter()
            .map(|e| Ok((e.space, e.document, self.stored(e)?.0.shape.kind)))
            .collect::<Result<_, String>>()?;
        self.locked.clear();
        let mut batch = WriteBatch::default();
        for place in places {
            self.apply(place, Vec::new(), &mut batch, started)?;
        }
        let written = self.disk.write(&batch)?;
        if written {
            self.keys_epoch = epoch;
        }
        Ok(written)
    }

    fn stored(&self, entry: &EntryRef) -> Result<(Header, Vec<u8>), String> {
        let stored = self.disk.reader().entry(entry.log, entry.seq).map_err(|e| e.to_string())?;
        let stored = stored.ok_or("a waiting entry is gone")?;
        Ok((stored.header, stored.body.ok_or("a waiting entry's body is gone")?))
    }

    /// Plain bodies, and the entries whose key is not here.
    #[expect(clippy::type_complexity, reason = "two lists, named where they are taken")]
    pub(super) fn open<'a>(
        &self,
        space: SpaceId,
        entries: &'a Entries<'_>,
    ) -> Result<(Vec<(LogId, u64, Cow<'a, [u8]>)>, Vec<(LogId, u64)>), String> {
        let (mut opened, mut locked) = (Vec::new(), Vec::new());
        let directory = self.directory().ok_or("a node that runs has a directory")?;
        for (header, body) in entries {
            let place = (header.log, header.seq);
            match self.keyring.read(directory, &space, header, body) {
                Reading::Plain(body) => opened.push((place.0, place.1, body)),
                Reading::Waits => locked.push(place),
                Reading::Refused(why) => {
                    return Err(format!("an honest body is refused: {place:?}: {why}"));
                }
            }
        }
        Ok((opened, locked))
    }

    /// Applies new and waiting entries to one document.
    fn apply(
        &mut self,
        (space, document, kind): (SpaceId, DocId, Kind),
        mut entries: Entries<'_>,
        batch: &mut WriteBatch,
        started: &mut Started,
    ) -> Result<(), String> {
        let schema = record::schema(kind).ok_or("only known kinds are written")?;
        let waited = self.disk.reader().waiting(space, document).map_err(|e| e.to_string())?;
        for entry in &waited {
            let (header, body) = self.stored(entry)?;
            entries.push((header, Cow::Owned(body)));
        }
        let (opened, locked) = self.open(space, &entries)?;
        if !locked.is_empty() {
            self.locked.insert(space);
        }
        let incoming: Vec<_> =
            opened.iter().map(|(log, seq, body)| Incoming { log: *log, seq: *seq, body }).collect();
        let stored = self.document(space, document)?;
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
            return Err(format!("honest changes left document {document}"));
        }
        let still = |log: LogId, seq: u64| {
            outcome.waiting.contains(&(log, seq)) || locked.contains(&(log, seq))
        };
        let known = |log: LogId, seq: u64| waited.iter().any(|e| (e.log, e.seq) == (log, seq));
        let released = waited.iter().filter(|entry| !still(entry.log, entry.seq));
        let before = batch.no_longer_waiting.len();
        batch.no_longer_waiting.extend(released);
        started.released += (batch.no_longer_waiting.len() - before) as u64;
        let new = |place: &&(LogId, u64)| !known(place.0, place.1);
        started.locked += locked.iter().filter(new).count() as u64;
        let waiting = outcome.waiting.iter().chain(&locked).filter(new);
        batch.waiting.extend(waiting.map(|(log, seq)| EntryRef {
            space,
            document,
            log: *log,
            seq: *seq,
        }));
        if outcome.accepted > 0 {
            let snapshot = outcome.snapshot;
            batch.documents.push(update_of(space, document, &outcome.record, snapshot));
        }
        Ok(())
    }
}
