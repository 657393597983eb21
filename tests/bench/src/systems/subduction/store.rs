//! subduction's own storage, with word of what it has committed to who asked for a tree.
//!
//! A peer library that moves opaque commits tells nobody of those that come unasked; its own bindings
//! for browsers learn of them where they are saved, and so does this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use future_form::{FutureForm, Sendable};
use sedimentree_core::collections::Set;
use sedimentree_core::fragment::Fragment;
use sedimentree_core::id::SedimentreeId;
use sedimentree_core::loose_commit::LooseCommit;
use sedimentree_core::loose_commit::id::CommitId;
use subduction_core::storage::traits::Storage;
use subduction_crypto::verified_meta::VerifiedMeta;
use subduction_redb_storage::{RedbStorage, RedbStorageError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Contents of commits as they are committed to disk.
pub type Committed = UnboundedReceiver<Vec<u8>>;

/// Who watches which tree.
#[derive(Debug, Clone, Default)]
pub struct Watchers(Arc<Mutex<HashMap<SedimentreeId, UnboundedSender<Vec<u8>>>>>);

impl Watchers {
    /// From now on, what is committed to this tree; whoever watched it before hears no more.
    pub fn watch(&self, tree: SedimentreeId) -> Committed {
        let (sender, committed) = unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tree, sender);
        committed
    }

    fn watcher(&self, tree: &SedimentreeId) -> Option<UnboundedSender<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tree).cloned()
    }
}

/// The storage of one node.
#[derive(Debug, Clone)]
pub struct Store {
    pub redb: RedbStorage,
    pub watchers: Watchers,
}

type Answer<'a, T> = <Sendable as FutureForm>::Future<'a, Result<T, RedbStorageError>>;
type Redb = dyn Storage<Sendable, Error = RedbStorageError> + Send + Sync;

impl Store {
    fn inner(&self) -> &Redb {
        &self.redb
    }
}

impl Storage<Sendable> for Store {
    type Error = RedbStorageError;

    fn save_loose_commit(
        &self,
        tree: SedimentreeId,
        commit: VerifiedMeta<LooseCommit>,
    ) -> Answer<'_, ()> {
        let Some(watcher) = self.watchers.watcher(&tree) else {
            return self.inner().save_loose_commit(tree, commit);
        };
        Box::pin(async move {
            let content = commit.blob().as_slice().to_vec();
            self.inner().save_loose_commit(tree, commit).await?;
            // Whoever watched may have gone.
            let _ = watcher.send(content);
            Ok(())
        })
    }

    fn save_batch(
        &self,
        tree: SedimentreeId,
        commits: Vec<VerifiedMeta<LooseCommit>>,
        fragments: Vec<VerifiedMeta<Fragment>>,
    ) -> Answer<'_, usize> {
        let Some(watcher) = self.watchers.watcher(&tree) else {
            return self.inner().save_batch(tree, commits, fragments);
        };
        Box::pin(async move {
            let contents: Vec<_> = commits.iter().map(|c| c.blob().as_slice().to_vec()).collect();
            let saved = self.inner().save_batch(tree, commits, fragments).await?;
            for content in contents {
                // Whoever watched may have gone.
                let _ = watcher.send(content);
            }
            Ok(saved)
        })
    }

    fn save_sedimentree_id(&self, tree: SedimentreeId) -> Answer<'_, ()> {
        self.inner().save_sedimentree_id(tree)
    }

    fn delete_sedimentree_id(&self, tree: SedimentreeId) -> Answer<'_, ()> {
        self.inner().delete_sedimentree_id(tree)
    }

    fn load_all_sedimentree_ids(&self) -> Answer<'_, Set<SedimentreeId>> {
        self.inner().load_all_sedimentree_ids()
    }

    fn contains_sedimentree_id(&self, tree: SedimentreeId) -> Answer<'_, bool> {
        self.inner().contains_sedimentree_id(tree)
    }

    fn list_commit_ids(&self, tree: SedimentreeId) -> Answer<'_, Set<CommitId>> {
        self.inner().list_commit_ids(tree)
    }

    fn load_loose_commits(
        &self,
        tree: SedimentreeId,
    ) -> Answer<'_, Vec<VerifiedMeta<LooseCommit>>> {
        self.inner().load_loose_commits(tree)
    }

    fn load_loose_commit_metas(&self, tree: SedimentreeId) -> Answer<'_, Vec<LooseCommit>> {
        self.inner().load_loose_commit_metas(tree)
    }

    fn load_loose_commit(
        &self,
        tree: SedimentreeId,
        commit: CommitId,
    ) -> Answer<'_, Option<VerifiedMeta<LooseCommit>>> {
        self.inner().load_loose_commit(tree, commit)
    }

    fn delete_loose_commit(&self, tree: SedimentreeId, commit: CommitId) -> Answer<'_, ()> {
        self.inner().delete_loose_commit(tree, commit)
    }

    fn delete_loose_commits(&self, tree: SedimentreeId) -> Answer<'_, ()> {
        self.inner().delete_loose_commits(tree)
    }

    fn save_fragment(
        &self,
        tree: SedimentreeId,
        fragment: VerifiedMeta<Fragment>,
    ) -> Answer<'_, ()> {
        self.inner().save_fragment(tree, fragment)
    }

    fn load_fragment(
        &self,
        tree: SedimentreeId,
        head: CommitId,
    ) -> Answer<'_, Option<VerifiedMeta<Fragment>>> {
        self.inner().load_fragment(tree, head)
    }

    fn list_fragment_ids(&self, tree: SedimentreeId) -> Answer<'_, Set<CommitId>> {
        self.inner().list_fragment_ids(tree)
    }

    fn load_fragments(&self, tree: SedimentreeId) -> Answer<'_, Vec<VerifiedMeta<Fragment>>> {
        self.inner().load_fragments(tree)
    }

    fn load_fragment_metas(&self, tree: SedimentreeId) -> Answer<'_, Vec<Fragment>> {
        self.inner().load_fragment_metas(tree)
    }

    fn delete_fragment(&self, tree: SedimentreeId, head: CommitId) -> Answer<'_, ()> {
        self.inner().delete_fragment(tree, head)
    }

    fn delete_fragments(&self, tree: SedimentreeId) -> Answer<'_, ()> {
        self.inner().delete_fragments(tree)
    }
}
