//! Whether a node's disk is the one it last ran on.
//!
//! A sequence number that is used twice is what such systems die of, and a restored backup, a copied
//! folder or a rolled-back database has forgotten which were used. So the database and a small file
//! beside it, which backups leave out, hold the same nonce, and both change at each start. A database
//! that does not find its own nonce begins a new **incarnation** before anything is written: new logs
//! in every space, whose numbers nobody has seen. Writing need not wait for any peer then; what the
//! node had written after the backup comes back from those that hold it, like anybody's entries.
//!
//! A database that has lost what it wrote last (its write-ahead log was deleted, or an older copy from the
//! same start was put in its place) holds fewer entries of this node's than are noted beside it
//! (`written`), and begins anew as well.
//!
//! What this cannot see is a folder that was copied or rolled back whole, this file included. Peers
//! see it: they hold more of this node's log than it does, or another history of it, and either begins a
//! new incarnation too.

mod written;

pub(crate) use written::{Extent, Mark};

use crate::clock::wall_ms;
use crate::folder::{Folder, FolderError};
use crate::store::{Loaded, Reader, Store, StoreError, StoredLog, WriteBatch};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::log::Opening;

/// The nonce, and the one the file may still hold if a crash came between the two writes.
pub(crate) const NONCE_SETTING: &str = "continuity";
const INCARNATION_SETTING: &str = "incarnation";
/// How long people are told that a node began anew.
const TOLD_MS: u64 = 7 * 24 * 60 * 60 * 1000;
const NONCE_LEN: usize = 16;

type Nonce = [u8; NONCE_LEN];

/// Why a node does not go on in the logs it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The nonces differ, or one is missing.
    OtherDisk,
    /// A peer holds more of one of this node's logs than it does.
    PeersAhead,
    /// A peer holds another history of one of this node's logs, under this node's signature.
    SecondCopy,
    /// What it wrote builds on entries of another node's log that gave way to another history.
    BuiltOnLost,
    /// The directory was recovered to, or stopped at, an epoch before what its logs have cited.
    DirectoryBack,
    /// It holds less than this node had written on this very disk.
    Older,
    /// The database was damaged, at or before the end of one of this node's logs.
    Damaged,
}

impl Why {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::OtherDisk => {
                "this node's database is a restored backup or a copy: it writes on in new logs, and gets back from its peers what it had written since"
            }
            Self::SecondCopy => {
                "a second copy of this node signed another history of its log: it writes on in new logs; make sure that only one copy ever runs"
            }
            Self::DirectoryBack => {
                "the directory went back to before what this node had cited: it writes on in new logs, and what it wrote before still counts"
            }
            Self::BuiltOnLost => {
                "what this node wrote built on entries that another node signed twice and that do not count: it writes on in new logs, and wrote its own anew"
            }
            Self::Older => {
                "this node's database has lost what was written last: it writes on in new logs, and gets back from its peers what they hold of it"
            }
            Self::Damaged => {
                "this node's database was damaged: it writes on in new logs, and gets back from its peers what cannot be read here"
            }
            Self::PeersAhead => {
                "this node's disk was older than what it had told its peers: it writes on in new logs, and gets back from them what it had written since"
            }
        }
    }
}

/// Which of its lives a node is in: the incarnation all its own logs are written under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Incarnation {
    pub number: u32,
    /// When and why it began, in milliseconds since 1970; `None` for the first.
    pub began: Option<(u64, Why)>,
}

impl Incarnation {
    /// When and why it began, if people should still be told: for a week.
    pub fn recent(self) -> Option<(u64, Why)> {
        self.began.filter(|(at_ms, _)| wall_ms().saturating_sub(*at_ms) < TOLD_MS)
    }

    /// A new one above this and above `highest`, from now on.
    pub(crate) fn next(self, highest: u32, why: Why) -> Self {
        let mut random = [0; 4];
        fill(&mut random);
        let highest = highest.max(self.number);
        let number = Opening::incarnation_after(highest, u32::from_be_bytes(random));
        Self { number, began: Some((wall_ms(), why)) }
    }

    /// The one the store names; the first if it names none.
    pub fn stored(reader: &dyn Reader) -> Result<Self, StoreError> {
        reader.setting(INCARNATION_SETTING)?.map_or(Ok(Self::default()), |b| Self::from_bytes(&b))
    }

    pub(crate) fn setting(self) -> (String, Option<Vec<u8>>) {
        let mut bytes = self.number.to_be_bytes().to_vec();
        if let Some((at_ms, why)) = self.began {
            bytes.push(match why {
                Why::OtherDisk => 1,
                Why::PeersAhead => 2,
                Why::SecondCopy => 3,
                Why::DirectoryBack => 4,
                Why::BuiltOnLost => 7,
                Why::Damaged => 5,
                Why::Older => 6,
            });
            bytes.extend(at_ms.to_be_bytes());
        }
        (INCARNATION_SETTING.into(), Some(bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || StoreError::Inconsistent("the stored incarnation cannot be read".into());
        let (number, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let number = u32::from_be_bytes(*number);
        let Some((why, at_ms)) = rest.split_first() else {
            return Ok(Self { number, began: None });
        };
        let why = match why {
            1 => Why::OtherDisk,
            2 => Why::PeersAhead,
            3 => Why::SecondCopy,
            4 => Why::DirectoryBack,
            7 => Why::BuiltOnLost,
            5 => Why::Damaged,
            6 => Why::Older,
            _ => return Err(damaged()),
        };
        let at_ms = u64::from_be_bytes(at_ms.try_into().map_err(|_| damaged())?);
        Ok(Self { number, began: Some((at_ms, why)) })
    }
}

/// A new node's first nonce, in its folder and its database.
pub(crate) fn begin(folder: &Folder, store: &mut dyn Store) -> Result<(), ContinuityError> {
    rotate(folder, store, [0; NONCE_LEN], Vec::new())
}

/// What keeps a node from telling whether it is the one it was; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ContinuityError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// At each start, before anything is written: goes on in the incarnation the store names, or begins a
/// new one if the folder is not the one the database was last used in. Must hold the folder's lock.
///
/// # Errors
/// If a new incarnation cannot be made durable. A node that goes on as it was starts on a disk that
/// refuses, too: its nonces still agree.
pub(crate) fn resume(
    folder: &Folder,
    store: &mut dyn Store,
    loaded: &Loaded,
    me: &NodeId,
) -> Result<(Incarnation, Mark), ContinuityError> {
    let (written, noted) = Mark::open(folder)?;
    let incarnation = incarnation(folder, store, loaded, me, noted)?;
    written.note(extent(loaded, me, incarnation.number));
    Ok((incarnation, written))
}

/// How far our logs of an incarnation have come.
fn extent(loaded: &Loaded, me: &NodeId, incarnation: u32) -> Extent {
    let ours = |log: &&StoredLog| log.opening.node == *me && log.opening.incarnation == incarnation;
    let entries = loaded.logs.iter().filter(ours).map(|log| log.tip.seq).sum();
    Extent { incarnation, entries }
}

fn incarnation(
    folder: &Folder,
    store: &mut dyn Store,
    loaded: &Loaded,
    me: &NodeId,
    noted: Option<Extent>,
) -> Result<Incarnation, ContinuityError> {
    let stored = loaded.settings.get(NONCE_SETTING);
    let beside = folder.continuity()?;
    let named = match loaded.settings.get(INCARNATION_SETTING) {
        Some(bytes) => Incarnation::from_bytes(bytes)?,
        None => Incarnation::default(),
    };
    let held = extent(loaded, me, named.number);
    let lost = noted
        .is_some_and(|noted| noted.incarnation != held.incarnation || noted.entries > held.entries);
    let nonce = same(stored.map(Vec::as_slice), beside.as_deref());
    if let Some(nonce) = nonce.filter(|_| !lost) {
        if let Err(error) = rotate(folder, store, nonce, Vec::new()) {
            tracing::warn!(%error, "this start leaves no mark beside the database");
        }
        return Ok(named);
    }
    let own = loaded.logs.iter().filter(|log| log.opening.node == *me);
    let highest = own.map(|log| log.opening.incarnation).max().unwrap_or(0);
    let why = if nonce.is_some() { Why::Older } else { Why::OtherDisk };
    let highest = highest.max(noted.map_or(0, |noted| noted.incarnation));
    let incarnation = named.next(highest, why);
    rotate(folder, store, [0; NONCE_LEN], vec![incarnation.setting()])?;
    tracing::warn!(incarnation = incarnation.number, "{}", why.describe());
    Ok(incarnation)
}

/// The nonce both hold. The file's may be the one before, if the last start was cut short between
/// writing the database and the file.
fn same(stored: Option<&[u8]>, beside: Option<&[u8]>) -> Option<Nonce> {
    let (stored, beside) = (stored?, beside?);
    let nonce: Nonce = beside.try_into().ok()?;
    let found = stored.chunks(NONCE_LEN).any(|one| one == nonce);
    (found && nonce != [0; NONCE_LEN]).then_some(nonce)
}

/// Writes a new nonce to the database and then to the file. Until the second is durable the database
/// also knows the old one, `before` (zeros: none), so that a crash between the two is no other disk.
fn rotate(
    folder: &Folder,
    store: &mut dyn Store,
    before: Nonce,
    mut settings: Vec<(String, Option<Vec<u8>>)>,
) -> Result<(), ContinuityError> {
    let mut nonce: Nonce = [0; NONCE_LEN];
    fill(&mut nonce);
    settings.push((NONCE_SETTING.into(), Some([nonce, before].concat())));
    store.commit(&WriteBatch { settings, ..WriteBatch::default() })?;
    Ok(folder.write_continuity(&nonce)?)
}

fn fill(bytes: &mut [u8]) {
    // INVARIANT: the key that names this node was made with the same randomness.
    getrandom::fill(bytes).expect("the system has randomness");
}

#[cfg(test)]
mod tests;
