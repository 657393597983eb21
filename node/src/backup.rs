//! Backups: one file that holds a whole node, taken while it runs, and put back as a new incarnation.
//!
//! The file is an SQLite database: the node's own, as of one moment (`VACUUM INTO`), and one more table
//! with the small files of its folder. It is opened and examined before anybody is told that there is a
//! backup, and again before anything of it is restored. The continuity nonce is not in it, so that the
//! node it is restored to begins anew before it writes, see [`crate::continuity`].

use crate::config::{Config, ConfigError, FILE_NAME};
use crate::continuity::NONCE_SETTING;
use crate::folder::{Folder, FolderError};
use crate::setup::{clean_up, stored_directory};
use crate::store::{SqliteStore, Store, StoreError};
use ed25519_dalek::SigningKey;
use fenbu_protocol::id::{NodeId, unhex};
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files of a folder that a backup holds besides the database; only the first must be there.
const FILES: [&str; 3] = [crate::folder::NODE_KEY, crate::folder::ROOT_KEY, FILE_NAME];

/// Why there is no backup, or nothing was restored; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0} exists already; a backup overwrites nothing: choose another name")]
    Exists(PathBuf),
    #[error("there is no backup {0}; check the path")]
    NoFile(PathBuf),
    #[error("{path} is not a whole backup: {why}; take another one")]
    Unusable { path: PathBuf, why: String },
    #[error("cannot {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    pub node: NodeId,
    pub federation_name: String,
    pub entries: u64,
    pub documents: u64,
    /// Size of the file.
    pub bytes: u64,
    /// The federation's root key is in it, as it was in the folder.
    pub root_key: bool,
}

/// Writes a backup of the node in `dir` to `file`, whether its daemon runs or not, and examines it.
///
/// # Errors
/// If `file` exists. On any error no file is left.
pub fn backup(dir: &Path, file: &Path) -> Result<BackupReport, BackupError> {
    let folder = Folder::open(dir)?;
    folder.node_key()?;
    // It holds keys. The database is written into the empty file, which keeps its mode.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|source| {
        match source.kind() {
            ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => BackupError::Io { doing: "write", path: file.to_owned(), source },
        }
    })?;
    let taken = take(&folder, file);
    if taken.is_err() {
        // An empty or half-written file would only be taken for a backup.
        let _ = fs::remove_file(file);
    }
    taken
}

fn take(folder: &Folder, file: &Path) -> Result<BackupReport, BackupError> {
    let mut files = Vec::new();
    for name in FILES {
        let path = folder.path().join(name);
        match fs::read(&path) {
            Ok(bytes) => files.push((name.to_owned(), bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(BackupError::Io { doing: "read", path, source }),
        }
    }
    SqliteStore::copy(&folder.database(), file)?;
    SqliteStore::put_files(file, &files)?;
    SqliteStore::forget_setting(file, NONCE_SETTING)?;
    let synced = File::open(file).and_then(|f| f.sync_all());
    synced.map_err(|source| BackupError::Io { doing: "write", path: file.to_owned(), source })?;
    examine(file).map(|(report, _)| report)
}

/// The files of a backup by name, and their bytes.
type Files = Vec<(String, Vec<u8>)>;

/// Opens a backup, reads every page of it, and its directory and key.
fn examine(file: &Path) -> Result<(BackupReport, Files), BackupError> {
    let unusable = |why: String| BackupError::Unusable { path: file.to_owned(), why };
    let bytes = match fs::metadata(file) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(BackupError::NoFile(file.to_owned()));
        }
        Err(source) => {
            return Err(BackupError::Io { doing: "read", path: file.to_owned(), source });
        }
    };
    let examined = SqliteStore::examine_copy(file).map_err(|e| unusable(e.to_string()))?;
    let directory = stored_directory(&examined.statements).map_err(unusable)?;
    let key = examined.files.iter().find(|(name, _)| name == FILES[0]);
    let key = key.and_then(|(_, text)| std::str::from_utf8(text).ok());
    let key = key.and_then(|text| unhex::<32>(text.trim()).ok());
    let none = || unusable("it holds no node key".into());
    let key = key.ok_or_else(none)?;
    let node = NodeId(SigningKey::from_bytes(&key).verifying_key().to_bytes());
    if directory.node(&node).is_none() {
        return Err(unusable("its key is not a node of its federation".into()));
    }
    let report = BackupReport {
        node,
        federation_name: directory.name().to_owned(),
        entries: examined.entries,
        documents: examined.documents,
        bytes,
        root_key: examined.files.iter().any(|(name, _)| name == FILES[1]),
    };
    Ok((report, examined.files))
}

/// Makes a node's folder of a backup. The node begins a new incarnation when it starts, so what it
/// wrote after the backup stays as it is at its peers, and comes back from them.
///
/// # Errors
/// If `dir` is not empty, or the backup not whole. On any error the folder is left as no node's.
pub fn restore(file: &Path, dir: &Path) -> Result<BackupReport, BackupError> {
    let (report, files) = examine(file)?;
    let folder = Folder::create(dir)?;
    let restored = put_back(file, &folder, &files);
    if restored.is_err() {
        clean_up(&folder);
    }
    restored.map(|()| report)
}

fn put_back(file: &Path, folder: &Folder, files: &Files) -> Result<(), BackupError> {
    SqliteStore::copy(file, &folder.database())?;
    SqliteStore::drop_files(&folder.database())?;
    // As the daemon will: what does not open now would not open then.
    SqliteStore::open(folder.database(), &crate::views::specs())?.load()?;
    let text = |name: &str| {
        let found = files.iter().find(|(n, _)| n == name);
        found.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
    };
    if let Some(text) = text(FILE_NAME) {
        folder.write(FILE_NAME, &text)?;
        Config::load(folder.path(), |_| None)?;
    }
    let key = |name: &str| {
        text(name).and_then(|t| unhex::<32>(t.trim()).ok()).map(|k| SigningKey::from_bytes(&k))
    };
    if let Some(root) = key(FILES[1]) {
        folder.write_root_key(&root)?;
    }
    // Last: with it the folder is a node's.
    if let Some(node) = key(FILES[0]) {
        folder.write_node_key(&node)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
