//! A record: an Automerge document seen through its schema.

use super::authors::Authors;
use super::create::{Created, create};
use super::edits::{EditError, Edits};
use super::gate::guarded;
use super::genesis::genesis;
use super::materialise::heads_of;
use super::reviews::Reviews;
use super::schema::Schema;
use super::snapshot::extended;
use super::writing::Writing;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_MESSAGE_BYTES_MAX, CHANGE_OPS_MAX, OP_COUNTER_MAX};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, Change, ChangeHash};
use std::sync::{Arc, OnceLock};

/// Why saved bytes are not a record of the kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the saved document cannot be read; rebuild it from the logs")]
    Unreadable,
    #[error("the saved document is not a {0}; rebuild it from the logs")]
    Kind(&'static str),
    #[error("the saved document holds changes this program would not have admitted; rebuild it")]
    Foreign,
}

/// A document and what it means.
#[derive(Debug, Clone)]
pub struct Record {
    schema: &'static Schema,
    /// Built when first looked at; until then `first` is the whole record.
    document: OnceLock<Automerge>,
    pub(super) first: Option<First>,
    pub(super) authors: Option<Arc<Authors>>,
    /// The reviews a submission written now carries.
    pub(super) asked: Option<Reviews>,
}

/// A record just created.
#[derive(Debug, Clone)]
pub(super) struct First {
    pub(super) created: Created,
    pub(super) actor: [u8; 16],
    pub(super) account: String,
    pub(super) time_ms: u64,
    /// With every step and number under its key.
    pub(super) edits: Edits,
}

impl Record {
    /// An empty record: the genesis change alone.
    pub fn new(schema: &'static Schema) -> Self {
        Self { schema, document: OnceLock::new(), first: None, authors: None, asked: None }
    }

    /// Reads what [`Self::save`] wrote. Never for bytes from elsewhere: those come through
    /// [`super::materialise`].
    ///
    /// # Errors
    /// If the bytes are damaged or of another kind; the logs still hold the record.
    pub fn load(schema: &'static Schema, bytes: &[u8]) -> Result<Self, LoadError> {
        let document = guarded(|| Automerge::load(bytes).ok()).ok_or(LoadError::Unreadable)?;
        if document.get_change_meta_by_hash(&ChangeHash(genesis(schema).hash)).is_none() {
            return Err(LoadError::Kind(schema.name));
        }
        Ok(Self::of(schema, document))
    }

    pub(super) fn of(schema: &'static Schema, document: Automerge) -> Self {
        Self { schema, document: OnceLock::from(document), first: None, authors: None, asked: None }
    }

    pub(super) fn document(&self) -> &Automerge {
        self.document.get_or_init(|| {
            let mut document = genesis(self.schema).document.clone();
            if let Some(first) = &self.first {
                // INVARIANT: we made this change ourselves, on the genesis alone.
                let change = Change::try_from(&first.created.body[..]).expect("a sound change");
                document.apply_changes([change]).expect("our own first change");
            }
            document
        })
    }

    fn document_mut(&mut self) -> &mut Automerge {
        self.document();
        self.first = None;
        // INVARIANT: the line before the last has built it.
        self.document.get_mut().expect("a document")
    }

    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// The whole document. Not deflated: for a record of a kilobyte that takes 3 µs where deflating
    /// takes 20, and saves happen at each write.
    pub fn save(&self) -> Vec<u8> {
        self.document().save_nocompress()
    }

    /// The saved form after [`Self::edit`] returned `body`, where `before` was the saved form until
    /// then. Mostly `before` with the change behind it, which costs a copy.
    pub fn saved_after(&self, before: Option<&[u8]>, body: &[u8]) -> Vec<u8> {
        extended(self.schema, before, [body]).unwrap_or_else(|| self.save())
    }

    /// Hashes of the changes nothing builds on yet, ascending.
    pub fn heads(&self) -> Vec<[u8; 32]> {
        match (self.document.get(), &self.first) {
            (Some(document), _) => heads_of(document),
            (None, Some(first)) => vec![first.created.hash],
            (None, None) => vec![genesis(self.schema).hash],
        }
    }

    /// The record as it was at a change, with all that change builds on; `None` if there is no such change.
    pub fn at(&self, change: [u8; 32]) -> Option<Self> {
        let document = self.document().fork_at(&[ChangeHash(change)]).ok()?;
        let mut at = Self::of(self.schema, document);
        at.authors.clone_from(&self.authors);
        Some(at)
    }

    /// Whether nobody has written anything yet.
    pub fn is_new(&self) -> bool {
        self.heads() == [genesis(self.schema).hash]
    }

    /// Makes one change at the current heads and returns its bytes, which are an entry's body;
    /// `None` if the record already says all this. `time_ms` is the clock in milliseconds since
    /// 1970, `account` an opaque id of at most [`CHANGE_MESSAGE_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// The record is then as it was before.
    pub fn edit(
        &mut self,
        actor: [u8; 16],
        time_ms: u64,
        account: &str,
        edits: &Edits,
    ) -> Result<Option<Vec<u8>>, EditError> {
        if account.len() > CHANGE_MESSAGE_BYTES_MAX {
            return Err(EditError::TooLarge);
        }
        self.check_required(edits)?;
        self.check_writer(actor, edits)?;
        let keyed = edits.any_to_key().then(|| self.keyed(actor, account, edits)).transpose()?;
        self.write(actor, time_ms, account, keyed.as_ref().unwrap_or(edits))
    }

    /// Makes the change of edits that were checked.
    pub(super) fn write(
        &mut self,
        actor: [u8; 16],
        time_ms: u64,
        account: &str,
        edits: &Edits,
    ) -> Result<Option<Vec<u8>>, EditError> {
        let time = i64::try_from(time_ms).unwrap_or(i64::MAX);
        if self.is_new() {
            let Some(created) = create(self.schema, actor, time, account, edits)? else {
                return Ok(None);
            };
            let body = created.body.clone();
            self.document = OnceLock::new();
            let (account, time_ms) = (account.to_owned(), time.unsigned_abs());
            self.first = Some(First { created, actor, account, time_ms, edits: edits.clone() });
            return Ok(Some(body));
        }
        let document = self.document_mut();
        document.set_actor(ActorId::from(actor));
        let before = document.get_heads();
        let mut options = CommitOptions::default();
        options.set_time(time);
        if !account.is_empty() {
            options.set_message(account);
        }
        if !self.commit(edits, options)? {
            return Ok(None);
        }
        let document = self.document_mut();
        let change = document.get_last_local_change();
        let fits =
            |c: &Change| c.raw_bytes().len() <= CHANGE_BYTES_MAX && c.max_op() <= OP_COUNTER_MAX;
        match change {
            Some(change) if fits(&change) => Ok(Some(change.raw_bytes().to_vec())),
            change => {
                let undone = document.fork_at(&before);
                *document = undone.map_err(|e| EditError::Document(e.to_string()))?;
                let full = change.is_some_and(|c| c.max_op() > OP_COUNTER_MAX);
                Err(if full { EditError::Full } else { EditError::TooLarge })
            }
        }
    }

    /// Applies edits in one transaction; false if there was nothing to do.
    fn commit(&mut self, edits: &Edits, options: CommitOptions) -> Result<bool, EditError> {
        let schema = self.schema;
        let mut writing = Writing { schema, tx: self.document_mut().transaction() };
        let written = edits.edits.iter().try_for_each(|(field, edit)| writing.apply(field, edit));
        let tx = writing.tx;
        if let Err(e) = written {
            tx.rollback();
            return Err(EditError::Document(e.to_string()));
        }
        if tx.pending_ops() as u64 > CHANGE_OPS_MAX {
            tx.rollback();
            return Err(EditError::TooLarge);
        }
        Ok(tx.commit_with(options).0.is_some())
    }

    fn check_required(&self, edits: &Edits) -> Result<(), EditError> {
        let mut required = self.schema.fields.iter().filter(|f| f.required);
        match required.find(|f| !edits.names(f.name)) {
            Some(field) if self.is_new() => {
                Err(EditError::Required { kind: self.schema.name, field: field.name })
            }
            _ => Ok(()),
        }
    }
}
