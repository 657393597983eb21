//! What can go wrong with a store, told apart by what a person has to do about it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the store did not do what it was asked. After an error nothing of the batch is visible.
///
/// Cloneable, because a group commit answers everyone who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the store {} is damaged ({what}). Stop the node, keep a copy of its folder, then put a backup of it in its place, or join again with a new folder: peers hold what this node sent",
        path.display()
    )]
    Corrupted { path: PathBuf, what: String },
    #[error(
        "the store {} is locked by another program. Close whatever has it open (a second node, a backup tool, an SQLite shell) and try again",
        path.display()
    )]
    Busy { path: PathBuf },
    #[error(
        "the disk that holds {} is full. Free some space or move the folder to a larger disk; nothing was lost, and the node goes on by itself once there is room",
        path.display()
    )]
    Full { path: PathBuf },
    #[error(
        "the disk that holds {} has {free_mib} MiB left and {floor_mib} MiB are kept free: nothing is written, reading goes on. Free some space or move the folder to a larger disk; nothing was lost, and the node goes on by itself once there is room",
        path.display()
    )]
    Low { path: PathBuf, free_mib: u64, floor_mib: u64 },
    #[error(
        "the store {} cannot be written. Check that the folder and its files belong to the account the node runs as, and that the disk is not mounted read-only",
        path.display()
    )]
    ReadOnly { path: PathBuf },
    #[error(
        "{} is not a fenbu store ({what}). Check the data folder in the configuration; the file was left as it is",
        path.display()
    )]
    NotADatabase { path: PathBuf, what: &'static str },
    #[error(
        "the store {} was written by a newer fenbu (schema {found}, this program knows {known}). Install that version or a later one; the file was left as it is",
        path.display()
    )]
    NewerSchema { path: PathBuf, found: u32, known: u32 },
    #[error("{attempt} failed on {}: {source}. Check the disk and the system's log", path.display())]
    Io {
        path: PathBuf,
        /// What was being done, as "reading entries".
        attempt: &'static str,
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The caller asked for something that contradicts what is stored: a bug above the store.
    #[error("the batch does not fit the store: {0}. Nothing was written; please report this")]
    Inconsistent(String),
    /// A listing names something that does not exist.
    #[error("{0}")]
    Query(String),
}
