//! subduction: a sedimentree per record with each Automerge change as a commit, redb on disk, its
//! WebSocket transport over loopback without TLS.
//!
//! subduction moves and keeps commits whose contents it does not look into. What makes them records
//! is Automerge, applied here as its own adapter would (which is published for an older Automerge):
//! a record is readable once its commits have been read back from the store and applied to an empty
//! document. Documents are open only while somebody looks: those edited, and those watched for edits.
//!
//! An empty node cannot ask for what it has not heard of: the sender's address carries the ids, and
//! the joiner asks for all of them at once, as subduction does itself for the trees it knows.

mod connection;
mod store;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use automerge::{ActorId, Automerge, Change};
use fenbu::sample::WorkRecord;
use future_form::Sendable;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use sedimentree_core::blob::Blob;
use sedimentree_core::depth::CountLeadingZeroBytes;
use sedimentree_core::id::SedimentreeId;
use sedimentree_core::loose_commit::id::CommitId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subduction_core::handler::sync::SyncHandler;
use subduction_core::peer::id::PeerId;
use subduction_core::policy::open::OpenPolicy;
use subduction_core::subduction::Subduction;
use subduction_core::subduction::builder::SubductionBuilder;
use subduction_core::timeout::call::CallTimeout;
use subduction_crypto::signer::memory::MemorySigner;
use subduction_redb_storage::RedbStorage;
use subduction_websocket::tokio::{TimeoutTokio, TokioSpawn};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::connection::{Connection, accept_all, connect};
use self::store::{Committed, Store, Watchers};
use super::pair::Traits;
use super::{Disk, Fsync};
use crate::load::{Load, Retitle, document, retitle, title};
use crate::peer::{Peer, Span};
use crate::process::now_ns;
use crate::tcp::Line;

pub const TRAITS: Traits = Traits {
    name: "subduction",
    disk: Disk {
        fsync: Fsync::Always,
        how: "redb, durability immediate: BULK a transaction per record, writes in flight share one",
    },
    bulk_durable: "everything: committed by redb with fsync",
    news_durable: "on both sides: committed by redb with fsync",
    write_durable: "committed by redb with fsync",
    bytes_are: "TCP payload",
};

/// Records made at a time while filling.
const FILL_IN_FLIGHT: usize = 256;

type Handler =
    SyncHandler<Sendable, Store, Connection, OpenPolicy, CountLeadingZeroBytes, TokioSpawn>;
type Repo = Subduction<
    'static,
    Sendable,
    Store,
    Connection,
    Handler,
    OpenPolicy,
    MemorySigner,
    TimeoutTokio,
    TokioSpawn,
>;

/// What a joiner must be told.
#[derive(Debug, Serialize, Deserialize)]
struct Address {
    address: SocketAddr,
    peer: [u8; 32],
    /// In the workload's order.
    trees: Vec<[u8; 32]>,
}

/// One side.
pub struct Node {
    repo: Arc<Repo>,
    watchers: Watchers,
    /// In the workload's order.
    trees: Vec<SedimentreeId>,
    remote: Option<(SocketAddr, PeerId)>,
    line: Line,
    armed: JoinSet<Result<u64>>,
}

pub async fn start(dir: &Path) -> Result<Node> {
    let watchers = Watchers::default();
    let store = Store { redb: RedbStorage::new(dir)?, watchers: watchers.clone() };
    let (repo, _, listener, manager) = SubductionBuilder::new()
        .signer(MemorySigner::generate())
        .storage(store, Arc::new(OpenPolicy))
        .spawner(TokioSpawn)
        .timer(TimeoutTokio)
        .build::<Sendable, Connection>();
    tokio::spawn(listener);
    tokio::spawn(manager);
    Ok(Node {
        repo,
        watchers,
        trees: Vec::new(),
        remote: None,
        line: Line::default(),
        armed: JoinSet::new(),
    })
}

impl Node {
    /// Places and trees of edited records.
    fn edited(&self, edits: Vec<Retitle>) -> Result<Vec<(SedimentreeId, Retitle)>> {
        let tree = |e: &Retitle| self.trees.get(e.record).copied().context("no such record");
        edits.into_iter().map(|e| Ok((tree(&e)?, e))).collect()
    }

    async fn connect(&self) -> Result<PeerId> {
        let (address, peer) = self.remote.context("no address to connect to")?;
        connect(&self.repo, &self.line, address, peer).await?;
        Ok(peer)
    }
}

/// The tree of a record: as automerge-repo does it, the id and then zeros.
fn tree_of(record: &WorkRecord) -> SedimentreeId {
    let mut id = [0; 32];
    id[..record.id.0.len()].copy_from_slice(&record.id.0);
    SedimentreeId::new(id)
}

/// A change as a commit: its id, those of its parents, its content.
fn commit_of(change: &Change) -> (CommitId, BTreeSet<CommitId>, Blob) {
    let parents = change.deps().iter().map(|d| CommitId::new(d.0)).collect();
    (CommitId::new(change.hash().0), parents, Blob::new(change.raw_bytes().to_vec()))
}

async fn store_change(repo: &Repo, tree: SedimentreeId, change: &Change) -> Result<()> {
    let (head, parents, blob) = commit_of(change);
    // It asks for a fragment now and then, which would save space in a long history; these are of
    // four changes.
    repo.store_commit(tree, head, parents, blob).await.map_err(|e| anyhow!("{e}"))?;
    Ok(())
}

/// A record's document from what is stored.
async fn open(repo: &Repo, tree: SedimentreeId) -> Result<Automerge> {
    let blobs = repo.get_blobs(tree).await?.context("a record has no commits")?;
    let changes: Result<Vec<Change>, _> =
        blobs.iter().map(|b| Change::from_bytes(b.as_slice().to_vec())).collect();
    let mut doc = Automerge::new();
    doc.apply_changes(changes?)?;
    Ok(doc)
}

/// Asks the peer for one record and makes it readable.
async fn take(
    repo: Arc<Repo>,
    peer: PeerId,
    tree: SedimentreeId,
    title_due: Option<String>,
) -> Result<()> {
    let asked = repo.sync_with_peer(&peer, tree, true, CallTimeout::Uncapped).await;
    let (synced, _, failures) = asked.map_err(|e| anyhow!("{e}"))?;
    ensure!(synced && failures.is_empty(), "a record was not synced");
    let doc = open(&repo, tree).await?;
    ensure!(title(&doc) == title_due, "a record arrived without its last edit");
    Ok(())
}

/// Waits until a document shows the edit; answers when it did.
async fn show(mut doc: Automerge, mut committed: Committed, due: String) -> Result<u64> {
    while title(&doc).as_deref() != Some(&due) {
        let change = committed.recv().await.context("watched by somebody else")?;
        doc.load_incremental(&change)?;
    }
    Ok(now_ns())
}

impl Peer for Node {
    async fn fill(&mut self, load: Load) -> Result<Value> {
        let repo = &self.repo;
        let made = stream::iter(load.iter()).map(|record| async move {
            let tree = tree_of(&record);
            for change in document(&record)?.get_changes(&[]) {
                store_change(repo, tree, &change).await?;
            }
            Ok::<_, anyhow::Error>(tree)
        });
        self.trees = made.buffered(FILL_IN_FLIGHT).try_collect().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(accept_all(listener, self.repo.clone()));
        let trees = self.trees.iter().map(|t| *t.as_bytes()).collect();
        let peer = *self.repo.peer_id().as_bytes();
        Ok(serde_json::to_value(Address { address, peer, trees })?)
    }

    async fn join(&mut self, address: Value, load: Load) -> Result<Span> {
        let Address { address, peer, trees } = serde_json::from_value(address)?;
        let peer = PeerId::new(peer);
        self.trees = trees.into_iter().map(SedimentreeId::new).collect();
        self.remote = Some((address, peer));
        let titles: Vec<Option<String>> =
            load.iter().map(|r| r.edits[1]["title"].as_str().map(String::from)).collect();
        let from_ns = now_ns();
        self.connect().await?;
        let mut takes = JoinSet::new();
        for (tree, title_due) in self.trees.iter().zip(titles) {
            takes.spawn(take(self.repo.clone(), peer, *tree, title_due));
        }
        while let Some(taken) = takes.join_next().await {
            taken??;
        }
        Ok(Span::since(from_ns))
    }

    async fn disconnect(&mut self) -> Result<()> {
        let (_, peer) = self.remote.context("never connected")?;
        self.repo.disconnect_from_peer(&peer).await?;
        self.line.cut();
        while !self.repo.connected_peer_ids().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The other side notices by the end of the stream.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<Span> {
        let from_ns = now_ns();
        let peer = self.connect().await?;
        let (synced, _, unanswered, failed) =
            self.repo.full_sync_with_peer(&peer, true, CallTimeout::Uncapped).await;
        let span = Span::since(from_ns);
        ensure!(synced && unanswered.is_empty(), "{} trees were not synced", unanswered.len());
        if let Some((_, error)) = failed.first() {
            bail!("{error}");
        }
        Ok(span)
    }

    async fn edit(&mut self, edits: Vec<Retitle>) -> Result<u64> {
        let mut docs = Vec::new();
        for (tree, edit) in self.edited(edits)? {
            // The actor that made the record, so that the change names no other.
            let actor = ActorId::from(&tree.as_bytes()[..16]);
            docs.push((tree, open(&self.repo, tree).await?.with_actor(actor), edit.title));
        }
        let from_ns = now_ns();
        for (tree, doc, title) in &mut docs {
            retitle(doc, title)?;
            let change = doc.get_last_local_change().context("no change")?;
            let (head, parents, blob) = commit_of(&change);
            let added = self.repo.add_commit(*tree, head, parents, blob).await;
            added.map_err(|e| anyhow!("{e}"))?;
        }
        Ok(from_ns)
    }

    async fn arm(&mut self, edits: Vec<Retitle>) -> Result<()> {
        for (tree, edit) in self.edited(edits)? {
            // Watched before it is read, so that nothing slips through between.
            let committed = self.watchers.watch(tree);
            let doc = open(&self.repo, tree).await?;
            self.armed.spawn(show(doc, committed, edit.title));
        }
        Ok(())
    }

    async fn seen(&mut self) -> Result<u64> {
        let mut last_ns = 0;
        while let Some(seen) = self.armed.join_next().await {
            last_ns = last_ns.max(seen??);
        }
        Ok(last_ns)
    }

    fn bytes(&self) -> [u64; 2] {
        self.line.bytes()
    }

    async fn write(&mut self, load: Load, in_flight: usize) -> Result<Span> {
        let mut made = Vec::with_capacity(load.records);
        for record in load.iter() {
            let mut changes = document(&record)?.get_changes(&[]);
            made.push((tree_of(&record), changes.swap_remove(0)));
        }
        let (repo, share) = (&self.repo, load.records.div_ceil(in_flight));
        let from_ns = now_ns();
        let writers = made.chunks(share).map(|mine| async move {
            for (tree, change) in mine {
                store_change(repo, *tree, change).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
        try_join_all(writers).await?;
        Ok(Span::since(from_ns))
    }
}
