//! The root key as a file: copying it out of a node's folder, and signing with it.
//!
//! It names the federation and is needed only to appoint or replace the admin node and to bring a forked
//! directory back together. It belongs on a stick in a safe, not on a machine with a network; a daemon
//! never reads it.

use crate::folder::{Folder, FolderError, read_key, write_key};
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{Act, Signed, Statement};
use fenbu_protocol::id::{FederationId, NodeId};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why nothing was done with the root key; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("the root key is not in {0}: it was moved away. Name its file with --root-key")]
    Gone(PathBuf),
    #[error("there is no file {0}; check the path, and that the stick is mounted")]
    NoFile(PathBuf),
    #[error("{0} exists already; a key overwrites nothing: choose another name")]
    Exists(PathBuf),
    #[error("{path} holds the root key of another federation, {found}")]
    Other { path: PathBuf, found: FederationId },
    #[error(
        "{0} is inside the node's folder: keep the copy elsewhere, on a stick or another machine"
    )]
    Inside(PathBuf),
    #[error("{0} is the node's own copy, not another one")]
    Same(PathBuf),
    #[error("what was written to {0} does not read back: try another stick")]
    Unreadable(PathBuf),
    #[error("cannot {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the node's draft cannot be used: {0}")]
    Draft(&'static str),
}

/// What the root key is asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// This node becomes the admin; the old one is revoked, or not.
    Appoint { node: NodeId, revoke: bool },
    /// What was said after this epoch becomes void.
    Recover { stands: u64 },
}

/// Whose root key it is.
pub fn federation_of(key: &SigningKey) -> FederationId {
    FederationId(key.verifying_key().to_bytes())
}

/// The root key in a file, or in a node's folder where none is named.
pub fn root_key(dir: &Path, file: Option<&Path>) -> Result<SigningKey, RootError> {
    match file {
        Some(file) if !file.is_file() => Err(RootError::NoFile(file.to_owned())),
        Some(file) => Ok(read_key(file)?),
        None => own_key(&Folder::open(dir)?),
    }
}

fn own_key(folder: &Folder) -> Result<SigningKey, RootError> {
    match folder.holds_root_key() {
        true => Ok(folder.root_key()?),
        false => Err(RootError::Gone(folder.path().to_owned())),
    }
}

/// Copies the root key out of the folder, and reads the copy back. The folder keeps its own until
/// [`remove`].
pub fn export(dir: &Path, file: &Path) -> Result<FederationId, RootError> {
    let folder = Folder::open(dir)?;
    let key = own_key(&folder)?;
    if is_inside(file, &folder)? {
        return Err(RootError::Inside(file.to_owned()));
    }
    write_key(file, &key).map_err(|error| match error {
        FolderError::Taken(path) => RootError::Exists(path),
        other => other.into(),
    })?;
    sync_parent(file)?;
    match read_key(file) {
        Ok(copy) if copy.as_bytes() == key.as_bytes() => Ok(federation_of(&key)),
        _ => Err(RootError::Unreadable(file.to_owned())),
    }
}

/// Takes the root key out of the folder, once `copy` is seen to hold it too.
pub fn remove(dir: &Path, copy: &Path) -> Result<FederationId, RootError> {
    let folder = Folder::open(dir)?;
    let key = own_key(&folder)?;
    let found = root_key(dir, Some(copy))?;
    if found.as_bytes() != key.as_bytes() {
        let found = federation_of(&found);
        return Err(RootError::Other { path: copy.to_owned(), found });
    }
    let own = folder.root_key_path();
    // A link to the node's own file would be gone with it.
    if same_file(copy, &own)? {
        return Err(RootError::Same(copy.to_owned()));
    }
    if is_inside(copy, &folder)? {
        return Err(RootError::Inside(copy.to_owned()));
    }
    let io = |source| RootError::Io { doing: "remove", path: own.clone(), source };
    fs::remove_file(&own).map_err(io)?;
    sync_parent(&own)?;
    Ok(federation_of(&key))
}

/// Signs what the node drafted, if it is what was asked for.
pub fn sign(key: &SigningKey, draft: &[u8], asked: &Asked) -> Result<Signed, RootError> {
    let other = |why| Err(RootError::Draft(why));
    let statement = Statement::from_wire(draft);
    let Ok(statement) = statement else { return other("it is not a statement") };
    let federation = federation_of(key);
    if statement.federation != federation || statement.author != NodeId(federation.0) {
        return other("it is of another federation than the root key");
    }
    let meant = match (statement.act(), asked) {
        (Ok(Some(Act::AppointAdmin(act))), Asked::Appoint { node, revoke }) => {
            act.node == *node && act.cuts.is_some() == *revoke
        }
        (Ok(Some(Act::Recover(act))), Asked::Recover { stands }) => act.epoch == *stands,
        _ => false,
    };
    if !meant {
        return other("it does not say what was asked for");
    }
    Ok(Signed::sign(key, &statement))
}

fn same_file(one: &Path, other: &Path) -> Result<bool, RootError> {
    let of = |path: &Path| {
        let found = fs::metadata(path).map_err(|source| RootError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })?;
        Ok::<_, RootError>((found.dev(), found.ino()))
    };
    Ok(of(one)? == of(other)?)
}

/// Whether a file is, or would be, somewhere below the node's folder.
fn is_inside(file: &Path, folder: &Folder) -> Result<bool, RootError> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let real = |path: &Path| {
        path.canonicalize().map_err(|source| RootError::Io {
            doing: "read",
            path: path.to_owned(),
            source,
        })
    };
    Ok(real(parent)?.starts_with(real(folder.path())?))
}

fn sync_parent(file: &Path) -> Result<(), RootError> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let io = |source| RootError::Io { doing: "write", path: file.to_owned(), source };
    fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fenbu_protocol::directory::AppointAdmin;

    fn folder(root: Option<&SigningKey>) -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("node");
        let folder = Folder::create(&dir).unwrap();
        folder.write_node_key(&SigningKey::from_bytes(&[2; 32])).unwrap();
        if let Some(root) = root {
            folder.write_root_key(root).unwrap();
        }
        (temp, dir)
    }

    #[test]
    fn the_only_copy_is_never_lost() {
        let root = SigningKey::from_bytes(&[1; 32]);
        let (temp, dir) = folder(Some(&root));
        let copy = temp.path().join("root.key");
        assert!(matches!(remove(&dir, &copy), Err(RootError::NoFile(_))));
        assert!(matches!(export(&dir, &dir.join("copy")), Err(RootError::Inside(_))));
        assert_eq!(export(&dir, &copy).unwrap(), federation_of(&root));
        assert!(matches!(export(&dir, &copy), Err(RootError::Exists(_))));
        assert!(matches!(remove(&dir, &dir.join("root.key")), Err(RootError::Same(_))));
        for (name, link) in [("soft", true), ("hard", false)] {
            let link_to = temp.path().join(name);
            let own = dir.join("root.key");
            match link {
                true => std::os::unix::fs::symlink(&own, &link_to).unwrap(),
                false => fs::hard_link(&own, &link_to).unwrap(),
            }
            assert!(matches!(remove(&dir, &link_to), Err(RootError::Same(_))), "{name}");
        }
        fs::copy(&copy, dir.join("copy")).unwrap();
        assert!(matches!(remove(&dir, &dir.join("copy")), Err(RootError::Inside(_))));
        let other = temp.path().join("other.key");
        write_key(&other, &SigningKey::from_bytes(&[3; 32])).unwrap();
        assert!(matches!(remove(&dir, &other), Err(RootError::Other { .. })));
        fs::write(&other, "half a k").unwrap();
        assert!(matches!(remove(&dir, &other), Err(RootError::Folder(FolderError::Key { .. }))));
        assert!(dir.join("root.key").is_file());

        remove(&dir, &copy).unwrap();
        assert!(!dir.join("root.key").exists());
        assert!(matches!(remove(&dir, &copy), Err(RootError::Gone(_))));
        assert!(matches!(root_key(&dir, None), Err(RootError::Gone(_))));
        assert_eq!(root_key(&dir, Some(&copy)).unwrap().as_bytes(), root.as_bytes());
    }

    #[test]
    fn only_what_was_asked_for_is_signed() {
        let root = SigningKey::from_bytes(&[1; 32]);
        let federation = federation_of(&root);
        let node = NodeId([7; 32]);
        let draft = |federation: FederationId, act: &Act| {
            let directory = fenbu_protocol::directory::Directory::empty(federation);
            directory.next_statement(NodeId(federation.0), act, 0).to_wire()
        };
        let act = Act::AppointAdmin(AppointAdmin { node, cuts: None });
        let ours = draft(federation, &act);
        let asked = Asked::Appoint { node, revoke: false };
        let signed = sign(&root, &ours, &asked).unwrap();
        assert!(signed.verify(&NodeId(federation.0)) && signed.bytes == ours);
        let others = [
            Asked::Appoint { node: NodeId([8; 32]), revoke: false },
            Asked::Appoint { node, revoke: true },
            Asked::Recover { stands: 1 },
        ];
        for other in others {
            assert!(matches!(sign(&root, &ours, &other), Err(RootError::Draft(_))), "{other:?}");
        }
        let elsewhere = draft(FederationId([9; 32]), &act);
        assert!(matches!(sign(&root, &elsewhere, &asked), Err(RootError::Draft(_))));
        assert!(matches!(sign(&root, b"junk", &asked), Err(RootError::Draft(_))));
    }
}
