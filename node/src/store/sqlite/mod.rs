//! The store on disk: one SQLite database in WAL mode, synced at each commit.
//!
//! Here: opening, and what went wrong in the words of [`StoreError`]. `migrate` brings the schema up
//! to date, `copy` makes backups, `mend` finds and replaces damaged runs, `salvage` makes a new file of a
//! damaged one, `write` and `forget` hold the one writer's state, `read` and `run_rows` the questions,
//! `views` and `keys` the derived tables, `changes` the order in which documents changed.
//!
//! A flush that fails says nothing of what is on the disk: the system may have dropped the pages it
//! could not write and call the next flush a success. What stands in the write-ahead log from before
//! it might then be torn, and a recovery would stop there and lose every later commit. So after an
//! input or output error nothing more goes behind those frames: all that was committed is written
//! once more, into the database, flushed there, and the log begun anew ([`SqliteStore::regain`]).
//! Until that has worked every commit fails, and readers go on.

mod changes;
mod copy;
mod forget;
mod forks;
mod keys;
mod mend;
mod migrate;
mod read;
mod run_rows;
mod salvage;
mod views;
mod wal;
mod write;

#[cfg(test)]
mod tests;

use super::row::check_specs;
use super::{Loaded, Reader, Store, StoreError, ViewSpec, WriteBatch};
use read::SqliteReader;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use write::{Cache, Writing};

/// How long a statement waits for another program's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of 4 KiB the write-ahead log holds before a commit copies them into the database: 16 MiB,
/// so that a bulk load copies a page it writes often once, and a node's log file stays small.
const CHECKPOINT_PAGES: u32 = 4096;
/// Page caches, in KiB. One writer and a handful of readers stay well below a node's 150 MiB.
const WRITER_CACHE_KIB: u32 = 16 << 10;
const READER_CACHE_KIB: u32 = 4 << 10;
/// Statements kept prepared for each connection; there are about forty besides the lists'.
const STATEMENTS_CACHED: usize = 96;
/// Read connections kept for the next reader once theirs is dropped.
const IDLE_READERS_MAX: usize = 4;

/// The store on disk. Holds the one connection that writes.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    cache: Cache,
    shared: Arc<Shared>,
    views_stale: bool,
    /// Whether a commit now waits until the disk has it.
    waits_for_disk: bool,
    /// The disk failed during a commit: what the log's file holds is unknown, see the module.
    suspect: bool,
    room: wal::Room,
}

/// What the writer and all readers have in common.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    views: Vec<ViewSpec>,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteStore {
    /// Opens or creates the database at `path`; its folder must exist. Views that differ from
    /// `views` are emptied, see [`Loaded::views_stale`].
    ///
    /// # Errors
    /// A file that is no store of ours, or a newer one's, is left as it is.
    pub fn open(path: impl Into<PathBuf>, views: &[ViewSpec]) -> Result<Self, StoreError> {
        check_specs(views)?;
        let path = path.into();
        let at = |fault: Fault| fault.at(&path, "opening the store");
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_CREATE).map_err(at)?;
        migrate::check(&connection).map_err(at)?;
        prepare_writer(&connection).map_err(at)?;
        migrate::run(&mut connection).map_err(at)?;
        let views_stale = views::prepare(&mut connection, views).map_err(at)?;
        let cache = Cache::load(&connection).map_err(at)?;
        let idle = Mutex::default();
        let room = wal::Room::beside(&path, u64::from(CHECKPOINT_PAGES) * 4096);
        let shared = Arc::new(Shared { path, views: views.to_vec(), idle });
        let (waits_for_disk, suspect) = (true, false);
        Ok(Self { connection, cache, shared, views_stale, waits_for_disk, suspect, room })
    }

    /// Lets SQLite look for damage in every page: minutes for a large store, for `fenbu doctor`.
    pub fn check(&self) -> Result<(), StoreError> {
        let found: Result<String, _> =
            self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0));
        match found {
            Ok(verdict) if verdict == "ok" => Ok(()),
            Ok(verdict) => Err(Fault::Damaged(verdict).at(&self.shared.path, "")),
            Err(e) => Err(Fault::Sqlite(e).at(&self.shared.path, "checking the store")),
        }
    }

    /// A write-ahead log is synced as a whole, so what is derived becomes durable with the next thing
    /// that is not.
    fn sync_for(&mut self, batch: &WriteBatch) -> Result<(), Fault> {
        let waits = !batch.is_derived();
        if waits != self.waits_for_disk {
            let level = if waits { "full" } else { "normal" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.waits_for_disk = waits;
        }
        Ok(())
    }

    /// Leaves a log that a failing disk has touched behind, if there is one.
    fn regain(&mut self) -> Result<(), Fault> {
        if !self.suspect {
            return Ok(());
        }
        // A checkpoint that fails is done again in full: SQLite counts none of it.
        let busy: bool =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            // A reader that holds on to the log: it ends, and the next commit tries again.
            return Err(StoreError::Busy { path: self.shared.path.clone() }.into());
        }
        tracing::info!("the disk takes writes again; a new write-ahead log is begun");
        self.suspect = false;
        self.room.again();
        Ok(())
    }

    fn try_commit(&mut self, batch: &WriteBatch) -> Result<Cache, Fault> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writing = Writing::new(&tx, &self.cache, &self.shared.views);
        writing.batch(batch)?;
        let touched = writing.finish()?;
        // Dropped instead on any error above, which rolls back.
        tx.commit()?;
        Ok(touched)
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let at = |fault: Fault| fault.at(&self.shared.path, "loading the store");
        self.cache = Cache::load(&self.connection).map_err(at)?;
        read::load(&self.connection, self.views_stale).map_err(at)
    }

    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let done = self
            .regain()
            .and_then(|()| self.sync_for(batch))
            .and_then(|()| self.try_commit(batch))
            .map_err(|fault| fault.at(&self.shared.path, "committing to the store"));
        let touched = done.inspect_err(|error| {
            self.suspect |= matches!(error, StoreError::Io { .. });
        })?;
        self.cache.absorb(touched);
        if batch.views_rebuilt {
            self.views_stale = false;
        }
        Ok(())
    }

    fn idle(&mut self) -> bool {
        self.room.grow()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::open(Arc::clone(&self.shared))?))
    }
}

impl Shared {
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connect = || -> Result<Connection, Fault> {
            let connection = connect(&self.path, OpenFlags::empty())?;
            connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        };
        match idle {
            Some(connection) => Ok(connection),
            None => connect().map_err(|fault| fault.at(&self.path, "opening a reader")),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS_MAX {
            idle.push(connection);
        }
    }
}

/// A connection that is used by one thread at a time, and does not map the file into memory, where
/// a failing disk would kill the process instead of returning an error.
fn connect(path: &Path, more: OpenFlags) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags | more)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // A plan does not depend on the values bound. Otherwise, with STAT4 compiled in, SQLite prepares
    // a join again each time other values are bound: a third of the time a lookup takes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

fn prepare_writer(connection: &Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", i64::from(CHECKPOINT_PAGES) * 4096)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // References are ours to keep: the writer resolves every id itself, and nothing is deleted that
    // another row names.
    connection.pragma_update(None, "foreign_keys", false)?;
    Ok(())
}

/// What went wrong, before it is known to whom and where.
#[derive(Debug)]
enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
    /// Stored bytes are not what was written.
    Damaged(String),
    NotAStore(&'static str),
    NewerSchema {
        found: u32,
        known: u32,
    },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    fn at(self, path: &Path, attempt: &'static str) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Store(error) => error,
            Self::Damaged(what) => StoreError::Corrupted { path, what },
            Self::NotAStore(what) => StoreError::NotADatabase { path, what },
            Self::NewerSchema { found, known } => StoreError::NewerSchema { path, found, known },
            Self::Sqlite(error) => of_sqlite(error, path, attempt),
        }
    }
}

fn of_sqlite(error: rusqlite::Error, path: PathBuf, attempt: &'static str) -> StoreError {
    use rusqlite::Error as E;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly { path },
        Some(ErrorCode::NotADatabase) => {
            StoreError::NotADatabase { path, what: "it is not an SQLite database" }
        }
        // Rows that break the rules of their table, like rows of the wrong type, were not written so.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation) => {
            StoreError::Corrupted { path, what: format!("{attempt}: {error}") }
        }
        Some(_) => StoreError::Io { path, attempt, source: Arc::new(error) },
        None => match error {
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::Utf8Error(..)
            | E::QueryReturnedNoRows => {
                StoreError::Corrupted { path, what: format!("{attempt}: {error}") }
            }
            _ => StoreError::Io { path, attempt, source: Arc::new(error) },
        },
    }
}
