//! Writing and reading records here: what the API's record routes do.
//!
//! Everything in this file blocks on disk and locks; async callers hand it to a blocking thread. A
//! write holds its document's lock from reading the last version until the new one is durable.

use crate::rebuild::Rebuilder;
use crate::receipts::{Once, Pledge};
use crate::shared::{DocumentGuard, Shared};
use crate::store::{ListQuery, Page, Place, StoreError, StoredDocument};
use crate::temporary;
use crate::views::update_of;
use crate::writer::{Command, LocalWrite, WriteError, WriterHandle, Written};
use fenbu_protocol::directory::{Directory, Template};
use fenbu_protocol::duty::Day;
use fenbu_protocol::id::{DocId, Hash, SpaceId, hex};
use fenbu_protocol::record::{EditError, Edits, HistoryItem, Home, Record, Reviews, Schema};
use fenbu_protocol::seal::NoKey;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// What can go wrong with a record request; each message says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    #[error(
        "there is no {kind} with an id that begins with '{prefix}' here; list them to see what there is"
    )]
    NotFound { kind: &'static str, prefix: String },
    #[error("'{prefix}' could be any of {}: give more of the id", candidates.join(", "))]
    Ambiguous { prefix: String, candidates: Vec<String> },
    #[error("a {kind} with the id {id} exists already: edit it instead")]
    Exists { kind: &'static str, id: DocId },
    #[error(
        "{kind} {id} has changed since it was read: read it again and say what is to change now, or leave If-Match out and both changes are merged"
    )]
    Overtaken { kind: &'static str, id: DocId },
    #[error(
        "this Idempotency-Key was used for another request within the last day; use a new key for each request"
    )]
    OtherRequest,
    #[error("this request was carried out before, and what came of it cannot be read any more")]
    DoneBefore,
    #[error(
        "the draft of this {kind} is kept by unit '{unit}': it is changed there and at head office"
    )]
    KeptElsewhere { kind: &'static str, unit: String },
    #[error("there is no temporary branch '{0}'; see `fenbu temporary-branch list`")]
    NoTask(String),
    #[error("'{0}' labels the space of something else: give the temporary branch another code")]
    CodeTaken(String),
    #[error(
        "this node does not read what temporary branch '{0}' keeps; ask its host unit, or head office"
    )]
    TaskUnread(String),
    #[error(
        "this node does not read what unit '{0}' keeps for itself; ask that unit, or head office"
    )]
    UnitUnread(String),
    #[error("unit '{unit}' has lent nobody to '{code}'")]
    LentNobody { unit: String, code: String },
    #[error(
        "'{op}' is not possible yet; still open: {points}. `fenbu temporary checklist {code}` says what"
    )]
    NotYet { op: String, points: String, code: String },
    #[error("this is not an archive of what '{0}' has now: write another")]
    OldArchive(String),
    #[error("a sealed report never changes; seal another one")]
    Sealed,
    #[error(
        "there is no open conflict with an id that begins with '{prefix}'; see `fenbu conflicts list`"
    )]
    NoConflict { prefix: String },
    #[error("this conflict is settled by {units}")]
    NotSettler { units: String },
    #[error("'{way}' does not settle this conflict; one of these does: {known}")]
    NoWay { way: String, known: String },
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("this node may not write there: {0}")]
    NotAllowed(String),
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// Its stored form cannot be read: it is made again from the log, see [`Rebuilder`].
    #[error("the saved form of {} is damaged: {why}", place.document)]
    Damaged { place: Place, why: String },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A write that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    pub space: SpaceId,
    pub document: DocId,
    /// `None` if the record already said all this.
    pub entry: Option<Written>,
}

/// A record and where it lives.
#[derive(Debug)]
pub struct Shown {
    pub space: SpaceId,
    pub document: DocId,
    pub record: Record,
}

/// One record to be written by [`Records::save_all`].
#[derive(Debug, Clone)]
pub struct Save {
    pub schema: &'static Schema,
    pub space: SpaceId,
    pub document: DocId,
    pub edits: Edits,
}

/// On what terms a record is written.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Only over one of these versions, see [`version_of`].
    pub over: Option<Vec<String>>,
    /// Once, however often it is asked for.
    pub once: Option<Once>,
}

/// What names a record's version: 32 hex digits, the same for the same heads.
pub fn version_of(heads: &[[u8; 32]]) -> String {
    hex(&Hash::of("fenbu/version/1", &[heads.as_flattened()]).0[..16])
}

impl Save {
    pub(crate) fn place(&self) -> Place {
        Place { document: self.document, space: self.space, kind: self.schema.kind }
    }
}

/// What a record's line or row names so that importing it brings it back where it was: the unit whose
/// space it is, or the label of a temporary space; nothing for what the whole federation reads.
pub fn home_name(directory: &Directory, space: &SpaceId) -> Option<String> {
    let space = directory.space(space)?;
    let temporary = space.template == Template::TEMPORARY;
    if temporary { Some(space.label.clone()) } else { space.unit.clone() }
}

impl Shown {
    /// The unit it belongs to: what is published of a record names it, else it is as [`home_name`] says.
    pub fn home_name(&self, directory: &Directory) -> Option<String> {
        match self.record.is_publication() {
            true => self.record.owner(),
            false => home_name(directory, &self.space),
        }
    }
}

/// The record service of one node.
#[derive(Debug, Clone)]
pub struct Records {
    pub shared: Shared,
    pub writer: WriterHandle,
    pub rebuilder: Rebuilder,
}

impl Records {
    /// The space a new record of a kind goes to: the federation's, or a unit's own (ours unless
    /// another is named), or the temporary one of that label.
    pub fn home(&self, schema: &Schema, unit: Option<&str>) -> Result<SpaceId, RecordError> {
        let directory = self.shared.directory.now();
        let refused = |why: &str| RecordError::NotAllowed(why.into());
        let moves = schema.home == Home::Unit || temporary::may_move_in(schema);
        let labelled = unit.filter(|_| moves);
        if let Some(space) = labelled.and_then(|label| temporary::space_of(&directory, label)) {
            self.check_writer(space.id)?;
            return Ok(space.id);
        }
        let space = match schema.home {
            Home::Federation => directory.everyones(),
            Home::Unit | Home::Published => {
                let own = self.shared.unit();
                let unit = unit.unwrap_or(&own);
                if directory.unit(unit).is_none() {
                    return Err(refused(&format!(
                        "there is no unit '{unit}'; see `fenbu directory`"
                    )));
                }
                directory.unit_space(unit).map(|s| s.id)
            }
        };
        let space = space.ok_or_else(|| refused("the directory has no space for it yet"))?;
        self.check_writer(space)?;
        Ok(space)
    }

    pub(crate) fn check_writer(&self, space: SpaceId) -> Result<(), RecordError> {
        let directory = self.shared.directory.now();
        if directory.may_write(&self.shared.me, &space, directory.epoch()) {
            self.shared.keys.now().sealing(&directory, &space)?;
            return Ok(());
        }
        let label = directory.space(&space).map_or_else(|| space.short(), |s| s.label.clone());
        let why = format!("its unit is no writer of space '{label}'; see `fenbu directory`");
        Err(RecordError::NotAllowed(why))
    }

    /// A fresh document id.
    pub fn new_id() -> DocId {
        let mut bytes = [0; 16];
        // INVARIANT: without the system's randomness no key could have been made either.
        getrandom::fill(&mut bytes).expect("the system has randomness");
        DocId(bytes)
    }

    /// Makes a record. With an `id` of one's own it fails if that exists.
    pub fn create(
        &self,
        schema: &'static Schema,
        fields: &Value,
        id: Option<DocId>,
        unit: Option<&str>,
        account: &str,
    ) -> Result<Saved, RecordError> {
        self.create_on(schema, fields, id, unit, account, &Terms::default())
    }

    /// The same, on terms.
    pub fn create_on(
        &self,
        schema: &'static Schema,
        fields: &Value,
        id: Option<DocId>,
        unit: Option<&str>,
        account: &str,
        terms: &Terms,
    ) -> Result<Saved, RecordError> {
        let edits = Edits::from_json(schema, fields)?;
        if schema.name == "temporary-branch" {
            let directory = self.shared.directory.now();
            temporary::check_code(&directory, fields["code"].as_str().unwrap_or_default())?;
        }
        let made = self.once(terms.once, || {
            let directory = self.shared.directory.now();
            let named = temporary::moved_in(&directory, schema, fields);
            let space = self.home(schema, unit.or(named.as_deref()))?;
            let document = id.unwrap_or_else(Self::new_id);
            if id.is_some() && !self.find(schema, &document.to_string())?.is_empty() {
                return Err(RecordError::Exists { kind: schema.name, id: document });
            }
            let edits = edits.clone();
            self.save_on(&[Save { schema, space, document, edits }], account, terms)
        });
        made.map(|mut saved| saved.remove(0))
    }

    /// Changes fields of a record at its current heads.
    pub fn edit(
        &self,
        schema: &'static Schema,
        prefix: &str,
        fields: &Value,
        account: &str,
    ) -> Result<Saved, RecordError> {
        self.edit_on(schema, prefix, fields, account, &Terms::default())
    }

    /// The same, on terms.
    pub fn edit_on(
        &self,
        schema: &'static Schema,
        prefix: &str,
        fields: &Value,
        account: &str,
        terms: &Terms,
    ) -> Result<Saved, RecordError> {
        if schema.name == "sealed-report" {
            return Err(RecordError::Sealed);
        }
        let edits = Edits::from_json(schema, fields)?;
        let made = self.once(terms.once, || {
            let (space, document) = self.resolve(schema, prefix)?;
            self.check_writer(space)?;
            if schema.name == "temporary-branch" {
                self.check_ending(document, fields)?;
            }
            let edits = edits.clone();
            let mut saves = vec![Save { schema, space, document, edits }];
            if schema.name == "member" {
                saves.extend(self.freezing(document, fields)?);
            }
            self.save_on(&saves, account, terms)
        });
        made.map(|mut saved| saved.remove(0))
    }

    /// Writes several records in one commit, all or none; no document may occur twice.
    pub fn save_all(&self, saves: &[Save], account: &str) -> Result<Vec<Saved>, RecordError> {
        self.save_on(saves, account, &Terms::default())
    }

    fn save_on(
        &self,
        saves: &[Save],
        account: &str,
        terms: &Terms,
    ) -> Result<Vec<Saved>, RecordError> {
        self.healing(|| {
            loop {
                match self.try_save_all(saves, account, terms) {
                    Err(RecordError::Write(WriteError::LogLeft)) => {}
                    other => return other,
                }
            }
        })
    }

    /// Whether a write would say something new. It is made as if it were meant, and thrown away: what
    /// would refuse it refuses it here.
    pub fn check(&self, save: &Save, account: &str) -> Result<bool, RecordError> {
        self.check_writer(save.space)?;
        self.healing(|| {
            let guard = self.shared.documents.lock([save.place()]);
            let now_ms = self.shared.clock.now_ms();
            Ok(self.change(save, now_ms, account, &Terms::default(), &guard)?.0.is_some())
        })
    }

    /// Tries again after making documents again that turn out to be damaged. A document that is
    /// damaged a second time is beyond what a rebuild can do.
    fn healing<T>(&self, attempt: impl Fn() -> Result<T, RecordError>) -> Result<T, RecordError> {
        let mut healed = BTreeSet::new();
        loop {
            match attempt() {
                Err(RecordError::Damaged { place, why }) if healed.insert(place) => {
                    self.rebuilder.heal(place, &why)?;
                }
                other => return other,
            }
        }
    }

    /// A document as it is stored.
    pub(crate) fn document(&self, place: Place) -> Result<Option<StoredDocument>, RecordError> {
        match self.shared.readers.with(|r| r.document(place)) {
            Err(StoreError::Corrupted { what, .. }) => {
                Err(RecordError::Damaged { place, why: what })
            }
            stored => Ok(stored?),
        }
    }

    /// A stored document as a record.
    pub(crate) fn load(
        schema: &'static Schema,
        stored: &StoredDocument,
    ) -> Result<Record, RecordError> {
        Record::load(schema, &stored.snapshot)
            .map_err(|why| RecordError::Damaged { place: stored.place(), why: why.to_string() })
    }

    fn try_save_all(
        &self,
        saves: &[Save],
        account: &str,
        terms: &Terms,
    ) -> Result<Vec<Saved>, RecordError> {
        let places = saves.iter().flat_map(|save| [Some(save.place()), self.published_at(save)]);
        let guard = self.shared.documents.lock(places.flatten());
        let now_ms = self.shared.clock.now_ms();
        let mut writes = Vec::with_capacity(saves.len());
        let mut changed = Vec::with_capacity(saves.len());
        let mut publications = Vec::new();
        for save in saves {
            let (write, record) = self.change(save, now_ms, account, terms, &guard)?;
            changed.push(write.is_some());
            writes.extend(write);
            publications.extend(self.publication(save, &record, now_ms, account, &guard)?);
        }
        writes.append(&mut publications);
        let pledge = terms.once.map(|once| {
            let of =
                saves.iter().zip(&changed).map(|(save, new)| (save.space, save.document, *new));
            Pledge::new(once, now_ms, of.collect())
        });
        let mut written = self.write(writes, pledge)?.into_iter();
        drop(guard);
        let saved = saves.iter().zip(changed).map(|(save, changed)| Saved {
            space: save.space,
            document: save.document,
            entry: if changed { written.next() } else { None },
        });
        Ok(saved.collect())
    }

    fn change(
        &self,
        save: &Save,
        now_ms: u64,
        account: &str,
        terms: &Terms,
        _held: &DocumentGuard,
    ) -> Result<(Option<LocalWrite>, Record), RecordError> {
        let stored = self.document(save.place())?;
        let version = stored.as_ref().map(|stored| version_of(&stored.heads));
        if let Some(over) = &terms.over
            && version.is_none_or(|version| !over.contains(&version))
        {
            return Err(RecordError::Overtaken { kind: save.schema.name, id: save.document });
        }
        let before = stored.as_ref().map(|s| &s.snapshot[..]);
        let mut record = match &stored {
            Some(stored) => Self::load(save.schema, stored)?,
            None => Record::new(save.schema),
        };
        if stored.is_none() || Some(save.space) == self.shared.everyones() {
            self.check_kept_here(save)?;
        }
        temporary::check(&self.shared.directory.now(), save, &record)?;
        let log = self.writer.log_of(save.space);
        record = self.shared.name_for(record, save.space, log.actor())?;
        if save.edits.submits() {
            let reviews = self.reviews(&record, &save.edits, now_ms)?;
            record = record.asking(reviews);
        }
        let Some(body) = record.edit(log.actor(), now_ms, account, &save.edits)? else {
            return Ok((None, record));
        };
        let saved = record.saved_after(before, &body);
        let update = update_of(save.space, save.document, &record, saved);
        let write = LocalWrite { schema: save.schema, log, body, update, anew_of: None };
        Ok((Some(write), record))
    }

    /// The reviews that the rule pack in force asks of a record submitted now.
    fn reviews(&self, record: &Record, edits: &Edits, now_ms: u64) -> Result<Reviews, RecordError> {
        let packs = crate::reports::packs(&self.shared.readers, &self.shared.readable())?;
        let today = Day::of_ms(now_ms.try_into().unwrap_or(i64::MAX));
        Ok(packs.on(today).asked_of(record, edits))
    }

    fn write(
        &self,
        writes: Vec<LocalWrite>,
        pledge: Option<Pledge>,
    ) -> Result<Vec<Written>, WriteError> {
        if writes.is_empty() && pledge.is_none() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.writer.send(Command::Write { writes, pledge, reply })?;
        answer.blocking_recv().map_err(|_| crate::writer::Stopping)?
    }

    fn find(&self, schema: &Schema, prefix: &str) -> Result<Vec<(SpaceId, DocId)>, StoreError> {
        let found = self.shared.readers.with(|r| r.find_document(Some(schema.kind), prefix))?;
        let readable = self.shared.readable();
        let found = found.into_iter().filter(|place| readable.contains(&place.space));
        let mut found: Vec<_> = found.map(|place| (place.space, place.document)).collect();
        if schema.home == Home::Published {
            // Who reads the draft reads the record there.
            let everyones = self.shared.everyones();
            let is_draft = |space: &SpaceId| Some(*space) != everyones;
            let drafts = found.iter().filter(|(space, _)| is_draft(space));
            let drafts: BTreeSet<DocId> = drafts.map(|(_, document)| *document).collect();
            found.retain(|(space, document)| is_draft(space) || !drafts.contains(document));
        }
        Ok(found)
    }

    /// The one record whose id begins with `prefix`.
    pub fn resolve(
        &self,
        schema: &'static Schema,
        prefix: &str,
    ) -> Result<(SpaceId, DocId), RecordError> {
        let prefix = prefix.to_ascii_lowercase();
        let hex = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_hexdigit());
        let found = if hex { self.find(schema, &prefix)? } else { Vec::new() };
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(RecordError::NotFound { kind: schema.name, prefix }),
            several => {
                let candidates = several.iter().map(|(_, d)| d.to_string()).collect();
                Err(RecordError::Ambiguous { prefix, candidates })
            }
        }
    }

    pub fn show(&self, schema: &'static Schema, prefix: &str) -> Result<Shown, RecordError> {
        let (space, document) = self.resolve(schema, prefix)?;
        let place = Place { document, space, kind: schema.kind };
        self.record(schema, place)?.ok_or_else(|| RecordError::NotFound {
            kind: schema.name,
            prefix: document.to_string(),
        })
    }

    /// The record at a place, if there is one.
    pub fn record(
        &self,
        schema: &'static Schema,
        place: Place,
    ) -> Result<Option<Shown>, RecordError> {
        self.healing(|| {
            let Some(stored) = self.document(place)? else { return Ok(None) };
            let record = self.shared.name(Self::load(schema, &stored)?, place.space)?;
            Ok(Some(Shown { space: place.space, document: place.document, record }))
        })
    }

    /// Who changed what, oldest first.
    pub fn history(
        &self,
        schema: &'static Schema,
        prefix: &str,
    ) -> Result<Vec<HistoryItem>, RecordError> {
        Ok(self.show(schema, prefix)?.record.history())
    }

    /// Rows of a kind in the spaces this node may read.
    pub fn list(&self, schema: &Schema, mut query: ListQuery) -> Result<Page, RecordError> {
        let readable = self.shared.readable();
        query.spaces = Some(match query.spaces {
            Some(asked) => asked.into_iter().filter(|s| readable.contains(s)).collect(),
            None => readable,
        });
        Ok(self.shared.readers.with(|r| r.list(schema.kind, &query))?)
    }

    /// Every record of a kind, in the order of their ids, a page at a time; of those whose drafts are kept
    /// elsewhere what is out.
    pub fn each(
        &self,
        schema: &'static Schema,
        mut visit: impl FnMut(&Shown),
    ) -> Result<(), RecordError> {
        let mut error = None;
        self.each_in(schema, &self.shared.readable(), |shown| {
            let beside = || self.find(schema, &shown.document.to_string());
            let once = match shown.record.is_publication() {
                true => beside().map(|found| {
                    shown.record.is_out() && found.contains(&(shown.space, shown.document))
                }),
                false => Ok(true),
            };
            match once {
                Ok(true) => visit(shown),
                Ok(false) => {}
                Err(why) => error = Some(why),
            }
        })?;
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    pub(crate) fn each_in(
        &self,
        schema: &'static Schema,
        spaces: &[SpaceId],
        mut visit: impl FnMut(&Shown),
    ) -> Result<(), RecordError> {
        let mut after = None;
        loop {
            let page = self.shared.readers.with(|r| r.places(None, after, EXPORT_PLACES))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for place in page {
                if place.kind == schema.kind
                    && spaces.contains(&place.space)
                    && let Some(shown) = self.record(schema, place)?
                {
                    visit(&shown);
                }
            }
        }
    }
}

/// Names of documents read at a time when everything is looked through.
const EXPORT_PLACES: usize = 4096;
