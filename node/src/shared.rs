//! What the node's threads share: who we are, the directory of the moment, and readers.

use crate::authors::KnownAuthors;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::receipts::Turns;
use crate::search::Search;
use crate::store::{Place, Reader, StoreError};
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{Hash, NodeId, SpaceId};
use fenbu_protocol::record::Record;
use fenbu_protocol::seal::{Keyring, sealing_secret};
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// What is stored is applied at once, if it is applied at all.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// A handle on the directory of the moment.
#[derive(Debug, Clone)]
pub struct DirectoryView(watch::Receiver<Arc<Directory>>);

impl DirectoryView {
    pub fn new(receiver: watch::Receiver<Arc<Directory>>) -> Self {
        Self(receiver)
    }

    pub fn now(&self) -> Arc<Directory> {
        self.0.borrow().clone()
    }

    /// Waits until the directory has had this head; `false` if it does not get there, since another
    /// statement came first.
    pub async fn settles(&mut self, epoch: u64, head: Hash) -> bool {
        let had = self.0.wait_for(|d| d.head_at(epoch) == Some(head));
        // An error means that the daemon is stopping; nobody waits for the answer then.
        tokio::time::timeout(SETTLED_WITHIN, had).await.is_ok_and(|had| had.is_ok())
    }

    /// Waits for a directory this handle has not waited for yet; `false` once the daemon is stopping.
    pub async fn changes(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// A handle on the space keys of the moment. They are in memory alone: each start unwraps them anew
/// from the directory.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<RwLock<Arc<Keyring>>>);

impl Keys {
    pub fn now(&self) -> Arc<Keyring> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[cfg(test)]
    pub(crate) fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Takes the keys a directory brings `me`. Done before the directory is shown to anybody, so that
    /// whoever sees a key's grant finds the key.
    pub fn learn(&self, directory: &Directory, me: &NodeId, key: &SigningKey) {
        let mut keyring = Keyring::clone(&self.now());
        if keyring.learn(directory, me, &sealing_secret(key)) {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
        }
    }
}

/// What every part may read.
#[derive(Debug, Clone)]
pub struct Shared {
    pub me: NodeId,
    pub key: SigningKey,
    pub clock: Clock,
    pub directory: DirectoryView,
    pub keys: Keys,
    pub readers: Arc<Readers>,
    pub documents: Arc<DocumentLocks>,
    pub(crate) authors: Arc<KnownAuthors>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) turns: Arc<Turns>,
    pub search: Search,
    /// Told of every document that changed, once that is on disk.
    pub changes: Changes,
    /// Stirs when records changed that temporary branches depend on.
    pub(crate) tasks_changed: Arc<watch::Sender<()>>,
}

impl Shared {
    /// The unit this node belongs to; empty until the directory says.
    pub fn unit(&self) -> String {
        self.directory.now().node(&self.me).map(|n| n.unit.clone()).unwrap_or_default()
    }

    /// The record with all its authors known, so that its state can be told.
    pub fn name(&self, record: Record, space: SpaceId) -> Result<Record, StoreError> {
        self.authors.name(record, space, &self.directory.now(), &self.readers, &[])
    }

    /// Likewise for a record about to be written by this node as `actor`.
    pub fn name_for(
        &self,
        record: Record,
        space: SpaceId,
        actor: [u8; 16],
    ) -> Result<Record, StoreError> {
        let also = [(actor, self.me)];
        self.authors.name(record, space, &self.directory.now(), &self.readers, &also)
    }

    /// The space that every node reads, once the directory says so.
    pub fn everyones(&self) -> Option<SpaceId> {
        self.directory.now().everyones()
    }

    /// Spaces whose documents this node makes and shows.
    pub fn readable(&self) -> Vec<SpaceId> {
        let directory = self.directory.now();
        directory.spaces().map(|s| s.id).filter(|s| directory.may_read(&self.me, s)).collect()
    }
}

/// Readers of the store, lent out one call at a time. A caller that finds none waits: that bounds
/// how many threads read at once.
#[derive(Debug)]
pub struct Readers {
    idle: Mutex<Vec<Box<dyn Reader>>>,
    returned: Condvar,
}

impl std::fmt::Debug for dyn Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Readers {
    pub fn new(first: Box<dyn Reader>, count: u32) -> Result<Self, StoreError> {
        let mut idle = Vec::new();
        for _ in 1..count {
            idle.push(first.another()?);
        }
        idle.push(first);
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Runs `work` with a reader if one is idle.
    pub fn try_with<T>(&self, work: impl FnOnce(&dyn Reader) -> T) -> Option<T> {
        let reader = Some(lock(&self.idle).pop()?);
        let back = Lent { readers: self, reader };
        back.reader.as_deref().map(work)
    }

    /// Runs `work` with a reader. Blocks; call it from a thread that may.
    pub fn with<T>(&self, work: impl FnOnce(&dyn Reader) -> T) -> T {
        let mut idle = lock(&self.idle);
        let reader = loop {
            match idle.pop() {
                Some(reader) => break reader,
                None => idle = wait(&self.returned, idle),
            }
        };
        drop(idle);
        let back = Lent { readers: self, reader: Some(reader) };
        // INVARIANT: only `drop` takes it out.
        work(back.reader.as_deref().expect("lent until dropped"))
    }
}

/// Puts a reader back, also when the work panics.
struct Lent<'a> {
    readers: &'a Readers,
    reader: Option<Box<dyn Reader>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            lock(&self.readers.idle).push(reader);
            self.readers.returned.notify_one();
        }
    }
}

/// Keeps the readings, changes and writes of one document from crossing: whoever makes its next
/// version holds its lock from reading the last one until the new one is committed.
#[derive(Debug, Default)]
pub struct DocumentLocks {
    held: Mutex<BTreeSet<Place>>,
    released: Condvar,
}

impl DocumentLocks {
    /// Blocks until the documents are free, and holds them. Several are taken in one order by
    /// everyone, so that two holders never wait for each other.
    pub fn lock(self: &Arc<Self>, documents: impl IntoIterator<Item = Place>) -> DocumentGuard {
        let wanted: BTreeSet<_> = documents.into_iter().collect();
        let mut held = lock(&self.held);
        while wanted.iter().any(|d| held.contains(d)) {
            held = wait(&self.released, held);
        }
        held.extend(wanted.iter().copied());
        DocumentGuard { locks: self.clone(), documents: wanted }
    }

    /// Holds the documents if all of them are free.
    pub fn try_lock(
        self: &Arc<Self>,
        documents: impl IntoIterator<Item = Place>,
    ) -> Option<DocumentGuard> {
        let wanted: BTreeSet<_> = documents.into_iter().collect();
        let mut held = lock(&self.held);
        if wanted.iter().any(|d| held.contains(d)) {
            return None;
        }
        held.extend(wanted.iter().copied());
        Some(DocumentGuard { locks: self.clone(), documents: wanted })
    }
}

#[derive(Debug)]
pub struct DocumentGuard {
    locks: Arc<DocumentLocks>,
    documents: BTreeSet<Place>,
}

impl Drop for DocumentGuard {
    fn drop(&mut self) {
        let mut held = lock(&self.locks.held);
        for document in &self.documents {
            held.remove(document);
        }
        self.locks.released.notify_all();
    }
}

/// Locks even after another thread panicked: what these mutexes guard is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn wait<'a, T>(
    condvar: &Condvar,
    guard: std::sync::MutexGuard<'a, T>,
) -> std::sync::MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
}
