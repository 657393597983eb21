//! A node's folder: where its key, settings and database are, and the lock that keeps it to one
//! daemon.

use ed25519_dalek::SigningKey;
use fenbu_protocol::id::unhex;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) const NODE_KEY: &str = "node.key";
pub(crate) const ROOT_KEY: &str = "root.key";
/// The key of a node that has asked by file and was not answered yet.
const JOINING_KEY: &str = "joining.key";
const DATABASE: &str = "fenbu.db";
/// See [`crate::continuity`].
const CONTINUITY: &str = "continuity";
/// See [`crate::continuity`], too.
const WRITTEN: &str = "written";
const LOCK: &str = "fenbu.lock";

/// What is wrong with a folder; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("there is no folder {0}; make a node there with `fenbu init` or `fenbu join`")]
    Missing(PathBuf),
    #[error(
        "{0} is not a node's folder (it has no {NODE_KEY}); point --dir at one, or make a node with `fenbu init` or `fenbu join`"
    )]
    NotANode(PathBuf),
    #[error(
        "the node in {0} waits to be let in: bring its request to the admin node (`fenbu admit`), then `fenbu join --answer FILE`"
    )]
    Joining(PathBuf),
    #[error("{0} already holds a node; choose another folder, or move this one away first")]
    Taken(PathBuf),
    #[error("{0} is not empty; choose a new or empty folder")]
    NotEmpty(PathBuf),
    #[error("a daemon is already running on {0}; stop it first, or use its socket")]
    Running(PathBuf),
    #[error("{path} does not hold a key: {what}; restore it from a backup")]
    Key { path: PathBuf, what: String },
    #[error("cannot {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
}

/// The folder of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// An existing node's folder.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        if !dir.is_dir() {
            return Err(FolderError::Missing(dir.to_owned()));
        }
        let folder = Self(dir.to_owned());
        if folder.0.join(JOINING_KEY).is_file() {
            return Err(FolderError::Joining(dir.to_owned()));
        }
        if !folder.0.join(NODE_KEY).is_file() {
            return Err(FolderError::NotANode(dir.to_owned()));
        }
        Ok(folder)
    }

    /// A folder for a new node: made if it is not there, refused if it holds anything.
    pub fn create(dir: &Path) -> Result<Self, FolderError> {
        let io = |doing| move |source| FolderError::Io { doing, path: dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create"))?;
        if dir.join(NODE_KEY).exists() {
            return Err(FolderError::Taken(dir.to_owned()));
        }
        if fs::read_dir(dir).map_err(io("read"))?.next().is_some() {
            return Err(FolderError::NotEmpty(dir.to_owned()));
        }
        Ok(Self(dir.to_owned()))
    }

    /// The folder of a node that waits for an answer, and its key.
    pub(crate) fn joining(dir: &Path) -> Result<(Self, SigningKey), FolderError> {
        let key = dir.join(JOINING_KEY);
        match key.is_file() {
            true => Ok((Self(dir.to_owned()), read_key(&key)?)),
            false if dir.join(NODE_KEY).is_file() => Err(FolderError::Taken(dir.to_owned())),
            false => Err(FolderError::Missing(dir.to_owned())),
        }
    }

    pub(crate) fn write_joining_key(&self, key: &SigningKey) -> Result<(), FolderError> {
        write_key(&self.0.join(JOINING_KEY), key)
    }

    /// The answer is stored: from now on the folder counts as a node's.
    pub(crate) fn has_joined(&self) -> Result<(), FolderError> {
        let path = self.0.join(NODE_KEY);
        let io = |source| FolderError::Io { doing: "write", path: path.clone(), source };
        fs::rename(self.0.join(JOINING_KEY), &path).map_err(io)?;
        File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(io)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }

    /// The file that says how far the node's own logs had come.
    pub(crate) fn written(&self) -> PathBuf {
        self.0.join(WRITTEN)
    }

    pub fn node_key(&self) -> Result<SigningKey, FolderError> {
        read_key(&self.0.join(NODE_KEY))
    }

    pub(crate) fn root_key_path(&self) -> PathBuf {
        self.0.join(ROOT_KEY)
    }

    /// Whether the federation's root key lies here, where a thief of the machine finds it.
    pub(crate) fn holds_root_key(&self) -> bool {
        self.root_key_path().is_file()
    }

    /// The federation's root key, where it has not been moved offline.
    pub fn root_key(&self) -> Result<SigningKey, FolderError> {
        read_key(&self.0.join(ROOT_KEY))
    }

    /// Written last when a node is made: with it the folder counts as a node's.
    pub fn write_node_key(&self, key: &SigningKey) -> Result<(), FolderError> {
        write_key(&self.0.join(NODE_KEY), key)
    }

    pub fn write_root_key(&self, key: &SigningKey) -> Result<(), FolderError> {
        write_key(&self.0.join(ROOT_KEY), key)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<(), FolderError> {
        let path = self.0.join(name);
        let io = |source| FolderError::Io { doing: "write", path: path.clone(), source };
        fs::write(&path, text).map_err(io)
    }

    /// The nonce beside the database; `None` if there is no file. What is not hexadecimal is no nonce,
    /// and empty.
    pub(crate) fn continuity(&self) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.0.join(CONTINUITY);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(unhex::<16>(text.trim()).map_or(Vec::new(), Vec::from))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == ErrorKind::InvalidData => Ok(Some(Vec::new())),
            Err(source) => Err(FolderError::Io { doing: "read", path, source }),
        }
    }

    /// Durable, whole or not at all.
    pub(crate) fn write_continuity(&self, nonce: &[u8]) -> Result<(), FolderError> {
        let (path, new) = (self.0.join(CONTINUITY), self.0.join("continuity.new"));
        let io = |source| FolderError::Io { doing: "write", path: path.clone(), source };
        let mut file = File::create(&new).map_err(io)?;
        writeln!(file, "{}", fenbu_protocol::id::hex(nonce)).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&new, &path).map_err(io)?;
        File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(io)
    }

    /// Keeps other daemons away until dropped, also if we are killed.
    pub fn lock(&self) -> Result<Lock, FolderError> {
        let path = self.0.join(LOCK);
        let io = |source| FolderError::Io { doing: "lock", path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(FolderError::Running(self.0.clone())),
            Err(fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

/// Held while a daemon runs; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

pub(crate) fn read_key(path: &Path) -> Result<SigningKey, FolderError> {
    let io = |source| FolderError::Io { doing: "read", path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(io)?;
    let bytes = unhex::<32>(text.trim())
        .map_err(|e| FolderError::Key { path: path.to_owned(), what: e.to_string() })?;
    Ok(SigningKey::from_bytes(&bytes))
}

pub(crate) fn write_key(path: &Path, key: &SigningKey) -> Result<(), FolderError> {
    let io = |source| FolderError::Io { doing: "write", path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(FolderError::Taken(path.to_owned()));
        }
        other => other.map_err(io)?,
    };
    writeln!(file, "{}", fenbu_protocol::id::hex(key.as_bytes())).map_err(io)?;
    file.sync_all().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_and_one_node_a_folder() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a");
        assert!(matches!(Folder::open(&dir), Err(FolderError::Missing(_))));
        let folder = Folder::create(&dir).unwrap();
        assert!(matches!(Folder::open(&dir), Err(FolderError::NotANode(_))));
        let key = SigningKey::from_bytes(&[3; 32]);
        folder.write_node_key(&key).unwrap();
        assert_eq!(Folder::open(&dir).unwrap().node_key().unwrap().as_bytes(), key.as_bytes());
        assert!(matches!(Folder::create(&dir), Err(FolderError::Taken(_))));
        let lock = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(FolderError::Running(_))));
        drop(lock);
        folder.lock().unwrap();
        folder.write(NODE_KEY, "not hex").unwrap();
        assert!(matches!(folder.node_key(), Err(FolderError::Key { .. })));
    }
}
