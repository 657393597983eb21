//! A database whose structure is damaged is replaced by one made of what it still gives.
//!
//! SQLite refuses to go on in such a file, and repairing it in place invents rows. So a new database is
//! written beside it, of the runs and statements that prove themselves; documents and lists are made
//! again from them; what could not be read comes back from peers. The damaged file is kept, under
//! another name. The node begins a new incarnation: nobody knows any more which places it has used.

use crate::clock::wall_ms;
use crate::continuity::{self, Incarnation, Why};
use crate::folder::{Folder, FolderError};
use crate::store::{SqliteStore, Store, StoreError, WriteBatch};
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::NodeId;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A database that was just made anew and is damaged again lies on a disk that is failing.
const EVERY_MS: u64 = 60 * 60 * 1000;
/// What the damaged file is called, followed by when that was, in milliseconds since 1970.
const KEPT: &str = "fenbu.db.damaged-";

/// Why a damaged database was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What is left does not make a node.
    #[error("nothing is left of its directory")]
    NoDirectory,
    #[error(
        "it was made anew less than an hour ago: the disk is failing, move the folder to another"
    )]
    Again,
}

/// Replaces the database of a stopped node. Must hold the folder's lock.
pub(crate) fn salvage(folder: &Folder) -> Result<(), SalvageError> {
    let database = folder.database();
    if kept(folder).is_some_and(|at| wall_ms().saturating_sub(at) < EVERY_MS) {
        return Err(SalvageError::Again);
    }
    tracing::error!(database = %database.display(), "the database is damaged: making it anew of what can be read");
    let new = database.with_extension("db.new");
    remove(&new);
    let me = NodeId(folder.node_key()?.verifying_key().to_bytes());
    let mut directory = None;
    let follows = |bytes: &[u8]| follows(&mut directory, bytes);
    let salvaged = SqliteStore::salvage(&database, &new, &crate::views::specs(), follows)?;
    if directory.is_none_or(|directory| directory.node(&me).is_none()) {
        remove(&new);
        return Err(SalvageError::NoDirectory);
    }
    begin_anew(folder, &new, &me)?;
    put_in_place(folder, &database, &new)?;
    let (logs, runs, holes) = (salvaged.logs, salvaged.runs, salvaged.holes);
    tracing::warn!(logs, runs, holes, epoch = salvaged.statements, "the database was made anew");
    Ok(())
}

/// Whether a stored statement continues the chain.
fn follows(directory: &mut Option<Directory>, bytes: &[u8]) -> bool {
    let Ok(signed) = Signed::from_wire(bytes) else { return false };
    let Ok(statement) = signed.open() else { return false };
    let chain = directory.get_or_insert_with(|| Directory::empty(statement.federation));
    let before = chain.epoch();
    chain.apply(signed).is_ok() && chain.epoch() == before + 1
}

/// In the new database, before anybody uses it.
fn begin_anew(folder: &Folder, new: &Path, me: &NodeId) -> Result<(), SalvageError> {
    let mut store = SqliteStore::open(new, &crate::views::specs())?;
    let loaded = store.load()?;
    let named = Incarnation::stored(store.reader()?.as_ref()).unwrap_or_default();
    let (mark, noted) = continuity::Mark::open(folder)?;
    let own = loaded.logs.iter().filter(|log| log.opening.node == *me);
    let own = own.map(|log| log.opening.incarnation).max().unwrap_or(0);
    let highest = own.max(noted.map_or(0, |noted| noted.incarnation));
    let incarnation = named.next(highest, Why::Damaged);
    let settings = vec![incarnation.setting()];
    store.commit(&WriteBatch { settings, ..WriteBatch::default() })?;
    continuity::begin(folder, &mut store).map_err(|error| match error {
        continuity::ContinuityError::Folder(error) => SalvageError::Folder(error),
        continuity::ContinuityError::Store(error) => SalvageError::Store(error),
    })?;
    mark.note(continuity::Extent { incarnation: incarnation.number, entries: 0 });
    Ok(())
}

/// When a damaged database was last put aside, in milliseconds since 1970.
fn kept(folder: &Folder) -> Option<u64> {
    let names = fs::read_dir(folder.path()).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix(KEPT)?.parse().ok()).max()
}

fn put_in_place(folder: &Folder, database: &Path, new: &Path) -> Result<(), FolderError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Io { doing: "put in place", path, source }
    };
    // Closed, so it is one file; durable before the old one goes.
    File::open(new).and_then(|file| file.sync_all()).map_err(io(new))?;
    let aside = folder.path().join(format!("{KEPT}{}", wall_ms()));
    for end in ["-wal", "-shm"] {
        let _ = fs::rename(beside(database, end), beside(&aside, end));
    }
    // One rename ends the old database and one begins the new: in between there is none, and the next
    // start finds the new one.
    fs::rename(database, &aside).map_err(io(database))?;
    fs::rename(new, database).map_err(io(database))?;
    File::open(folder.path()).and_then(|dir| dir.sync_all()).map_err(io(folder.path()))
}

/// A crash between two renames left the new database under its first name.
pub(crate) fn finish(folder: &Folder) -> Result<(), FolderError> {
    let database = folder.database();
    let new = database.with_extension("db.new");
    if database.exists() || !new.exists() {
        return Ok(());
    }
    fs::rename(&new, &database).map_err(|source| FolderError::Io {
        doing: "put in place",
        path: new.clone(),
        source,
    })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What an attempt that was cut short has left.
fn remove(new: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(new, end));
    }
}
