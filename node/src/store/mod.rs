//! What a node keeps: what is durable, when, and how it is read back.
//!
//! [`Store`] is the one writer and [`Reader`] any number of readers. [`SqliteStore`] is the real one,
//! [`MemoryStore`] the one of tests and simulations, which tells written from synced; `conformance`
//! holds both to the same cases. A store refuses to know what a body means, who may write and what
//! a row shows: it takes [`Run`]s that were verified, snapshots and rows that were made from them,
//! and keeps sums over both ([`Digests`]) in the same transaction.
//!
//! Runs and statements are the record. Documents, cursors, waiting and refused entries follow from
//! them, and views follow from documents; each can be rebuilt from what it follows from.

mod batch;
mod changes;
mod error;
mod forks;
mod inspected;
mod memory;
mod query;
mod row;
mod runs;
mod sqlite;

#[cfg(test)]
mod conformance;

pub use batch::{DocumentUpdate, EntryRef, FORK_SETTING, Refusal, RowUpdate, WriteBatch};
pub use changes::{Change, RECEIPT_KEPT_MS, Receipt};
pub use error::StoreError;
pub use forks::{LostBranch, Pending, Switching, parting};
pub use inspected::Inspected;
pub use memory::MemoryStore;
pub use query::{Cursor, ListQuery, ListedRow, Order, OrderBy, PAGE_ROWS_MAX, Page, Scanned};
pub use row::{Cell, Row, ViewColumn, ViewSpec};
pub use sqlite::SqliteStore;

use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Header, Kind, LogDigest, Opening, Proof, Run, StateDigest, Tip};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most matches [`Reader::find_document`] returns: enough to show that a prefix is ambiguous.
pub const FOUND_MAX: usize = 16;

/// What names a document. Two kinds that meet under one id are two documents: an author of one kind
/// cannot take an id away from the other, whoever's entry comes first. In the order of
/// [`Reader::documents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub document: DocId,
    pub space: SpaceId,
    pub kind: Kind,
}

/// The one writer.
pub trait Store: Send {
    /// Everything the engine needs at start.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Writes all of `batch` or nothing of it; durable when it returns, except for a batch that is
    /// wholly derived ([`WriteBatch::is_derived`]): a power failure may undo it, never part of it, and
    /// never after something later has become durable.
    ///
    /// # Errors
    /// After an error nothing of the batch is visible, and the same batch may be tried again. If a
    /// disk fails while it syncs, nobody knows whether the batch will be there after a restart.
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError>;

    /// Nobody is waiting: a moment for what makes later commits cheaper. Returns whether more of it is
    /// left to do.
    fn idle(&mut self) -> bool {
        false
    }

    /// A handle for another thread, which sees every batch committed before each of its calls.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// Reads what is committed. Each call sees one moment. `bytes_max` bounds what a call returns, but
/// where there is anything it returns at least one item, however large.
pub trait Reader: Send {
    /// One more handle on the same store.
    fn another(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// A run that begins exactly at `from_seq`, joined from as many stored ones as fit; `None` past
    /// the log's end.
    fn run(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Option<Run>, StoreError>;

    /// The last seq at or before this one at which a stored run ends, and so a checkpoint is held; 0 if
    /// none does.
    fn checkpoint(&self, log: LogId, seq: u64) -> Result<u64, StoreError>;

    /// Branches that gave way to others, oldest first.
    fn lost(&self) -> Result<Vec<LostBranch>, StoreError>;

    /// What such a branch holds, in order.
    fn lost_runs(&self, id: u64) -> Result<Vec<Run>, StoreError>;

    /// What is still to be written anew, oldest first.
    fn amendments(&self) -> Result<Vec<Pending>, StoreError>;
    /// The same, if it is what its author signed: to be sent on, or built on.
    ///
    /// # Errors
    /// [`StoreError::Corrupted`] where it is not.
    fn sound_run(
        &self,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Result<Option<Run>, StoreError> {
        self.run(log, from_seq, bytes_max)
    }

    /// One entry. Costs two hashes for each entry before it in its run.
    fn entry(&self, log: LogId, seq: u64) -> Result<Option<StoredEntry>, StoreError>;

    /// Runs of these spaces that are not yet materialised, each beginning after its log's cursor,
    /// in the order of their authors' clocks, so that an entry mostly comes after those it needs.
    fn behind(&self, spaces: &[SpaceId], bytes_max: usize) -> Result<Vec<Run>, StoreError>;

    fn document(&self, place: Place) -> Result<Option<StoredDocument>, StoreError>;

    /// What is stored of each of these documents, as of one moment.
    ///
    /// # Errors
    /// As [`Reader::document`] of any of them.
    fn material(&self, places: &[Place]) -> Result<Vec<Material>, StoreError> {
        let one = |place: &Place| {
            let waiting = self.waiting(*place)?;
            Ok(Material { document: self.document(*place)?, waiting })
        };
        places.iter().map(one).collect()
    }

    /// All documents, by document id, space and kind, from the first after `after`: for rebuilding.
    fn documents(
        &self,
        after: Option<Place>,
        bytes_max: usize,
    ) -> Result<Vec<StoredDocument>, StoreError>;

    /// What names each document of a space, or of all, from the first after `after`, at most `limit`,
    /// in the order of [`Reader::documents`]. Reads no more of a row than its name, so a damaged one
    /// is among them; a row whose name is damaged names nothing and is passed over.
    fn places(
        &self,
        space: Option<SpaceId>,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError>;

    /// Documents whose id begins with these hex digits, at most [`FOUND_MAX`], in order.
    fn find_document(&self, kind: Option<Kind>, prefix: &str) -> Result<Vec<Place>, StoreError>;

    /// Entries of a document that wait for others, by log and seq.
    fn waiting(&self, place: Place) -> Result<Vec<EntryRef>, StoreError>;

    /// Waiting entries of all documents, at most `limit`, by log and seq, from the first after `after`.
    fn all_waiting(
        &self,
        after: Option<(LogId, u64)>,
        limit: usize,
    ) -> Result<Vec<EntryRef>, StoreError>;

    /// Entries that do not count, the latest refusal first.
    fn refused(&self, limit: usize) -> Result<Vec<Refusal>, StoreError>;

    fn counts(&self) -> Result<Counts, StoreError>;

    /// Looks for damage in everything stored; reads all of it.
    fn check(&self) -> Result<(), StoreError>;

    /// The same and more: that every index agrees with its table. Several times slower.
    fn check_all(&self) -> Result<(), StoreError> {
        self.check()
    }

    /// What changed after the change of this number, at most `limit`, by number; of one kind, or of all.
    fn changes(
        &self,
        after: u64,
        kind: Option<Kind>,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError>;

    /// The last number given, of one kind or of all; 0 before the first.
    fn last_change(&self, kind: Option<Kind>) -> Result<u64, StoreError>;

    /// The receipt under a key. One that is too old to count may still be there.
    fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, StoreError>;

    fn list(&self, kind: Kind, query: &ListQuery) -> Result<Page, StoreError>;

    /// These columns of every row of a view in these spaces, in no order; for figures. One that is the same as
    /// another is left out, as in lists.
    fn scan(
        &self,
        kind: Kind,
        columns: &[&str],
        spaces: Option<&[SpaceId]>,
    ) -> Result<Vec<Scanned>, StoreError>;

    /// Documents of a kind that are in conflict with themselves, by document and space, at most `limit`.
    fn in_conflict(&self, kind: Kind, limit: usize) -> Result<Vec<Place>, StoreError>;

    /// Keys that several documents share, one of them an anchor, in order, at most `limit`.
    fn shared_keys(&self, limit: usize) -> Result<Vec<SharedKey>, StoreError>;

    /// The view's row of one document.
    fn row(&self, place: Place) -> Result<Option<ListedRow>, StoreError>;

    /// Rows of a view in these spaces; in all that are stored if `None`.
    fn count(&self, kind: Kind, spaces: Option<&[SpaceId]>) -> Result<u64, StoreError>;

    /// Rows for each value of a column, of those in which another has a value if one is named; numbers in
    /// decimal, empty cells under the empty text.
    fn count_by(
        &self,
        kind: Kind,
        column: &str,
        where_is: Option<(&str, &str)>,
        spaces: Option<&[SpaceId]>,
    ) -> Result<BTreeMap<String, u64>, StoreError>;

    /// At most `max` statements of the directory's chain in order, from this epoch on.
    fn statements(&self, from_epoch: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// By node and log.
    fn acknowledgements(&self) -> Result<Vec<(NodeId, LogId, u64)>, StoreError>;

    fn digests(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError>;

    /// The sums of the spaces no entry of which is behind its log's cursor, all as of one moment.
    fn level(&self) -> Result<BTreeMap<SpaceId, Digests>, StoreError>;

    fn tips(&self) -> Result<BTreeMap<LogId, Tip>, StoreError>;

    /// Looks on along a log for runs that are missing, cannot be read or are not what their author
    /// signed, reading about `bytes_max` of it. Call again with what it returned until that is `done`.
    fn inspect(&self, log: LogId, at: Inspected, bytes_max: usize)
    -> Result<Inspected, StoreError>;

    /// A space's sum of records as it is kept, and as its records come to; as of one moment.
    fn recount(&self, space: SpaceId) -> Result<(StateDigest, StateDigest), StoreError>;

    /// All logs of a space, by log id.
    fn logs(&self, space: SpaceId) -> Result<Vec<StoredLog>, StoreError>;

    /// A log's opening, tip and cursor.
    fn log(&self, log: LogId) -> Result<Option<StoredLog>, StoreError>;
}

/// Documents that may contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    pub key: [u8; 16],
    /// In order.
    pub places: Vec<Place>,
}

/// What the engine needs at start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// By log id. An author's last clock and epoch are in its last entry: [`Reader::entry`].
    pub logs: Vec<StoredLog>,
    /// Logs whose authors are proven to have signed two histories.
    pub forks: BTreeMap<LogId, Arc<Proof>>,
    pub statements: Vec<(u64, Vec<u8>)>,
    /// By node and log.
    pub acknowledgements: Vec<(NodeId, LogId, u64)>,
    pub digests: BTreeMap<SpaceId, Digests>,
    pub settings: BTreeMap<String, Vec<u8>>,
    /// The views' columns are not those the database was written with: the views are empty until
    /// [`WriteBatch::rows`] brings every document's row and [`WriteBatch::views_rebuilt`] says so.
    pub views_stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredLog {
    pub opening: Opening,
    pub log: LogId,
    pub tip: Tip,
    /// Entries up to this seq are materialised, wait, or are refused.
    pub cursor: u64,
}

/// The sums of one space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    pub state: StateDigest,
    pub log: LogDigest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    pub header: Header,
    /// `None` once erased.
    pub body: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    pub space: SpaceId,
    pub document: DocId,
    pub kind: Kind,
    pub genesis: u16,
    pub snapshot: Arc<[u8]>,
    /// Change hashes in ascending order.
    pub heads: Vec<[u8; 32]>,
    pub conflicts: u32,
}

impl StoredDocument {
    pub fn place(&self) -> Place {
        Place { document: self.document, space: self.space, kind: self.kind }
    }
}

/// What new entries of a document are added to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    pub document: Option<StoredDocument>,
    /// By log and seq.
    pub waiting: Vec<EntryRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub logs: u64,
    pub entries: u64,
    /// Stored bodies, before any erasure.
    pub body_bytes: u64,
    /// Entries not yet materialised; those of spaces this node carries sealed stay so.
    pub behind: u64,
    pub documents: u64,
    pub waiting: u64,
    pub refused: u64,
}
