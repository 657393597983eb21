//! iroh-docs: a key and a current value per record, redb on disk, QUIC over loopback, no relay.
//!
//! The peers know each other's address from the ticket; nothing looks anything up. What counts as
//! readable is an entry whose content is here, and the joiner lists all entries before its clock
//! stops, which makes iroh-docs commit them.
//!
//! To be apart the joiner's endpoint and stores end and start again from its folder, as a process
//! would; that is not in the time of NOOP and DELTA.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, EndpointAddr, RelayMode, SecretKey};
use iroh_blobs::store::fs::FsStore;
use iroh_blobs::{BlobsProtocol, Hash};
use iroh_docs::api::Doc;
use iroh_docs::api::protocol::{AddrInfoOptions, ShareMode};
use iroh_docs::engine::{LiveEvent, Origin, SyncEvent};
use iroh_docs::protocol::Docs;
use iroh_docs::store::Query;
use iroh_docs::{AuthorId, ContentStatus, DocTicket};
use iroh_gossip::net::Gossip;
use serde_json::Value;
use tokio::sync::watch;

use super::pair::Traits;
use super::{Disk, Fsync};
use crate::load::{Load, Retitle, value};
use crate::peer::{Peer, Span};
use crate::process::now_ns;

pub const TRAITS: Traits = Traits {
    name: "iroh-docs",
    disk: Disk {
        fsync: Fsync::Later,
        how: "redb commits with fsync, within 0.5 s; at the end of BULK for its entries",
    },
    bulk_durable: "entries committed by the final listing; contents within 0.5 s",
    news_durable: "not yet: commits follow within 0.5 s",
    write_durable: "not yet: commits follow within 0.5 s",
    bytes_are: "UDP payload",
};

/// Entries set at a time while filling.
const FILL_IN_FLIGHT: usize = 64;

/// One side.
pub struct Node {
    endpoint: Endpoint,
    blobs: FsStore,
    docs: Docs,
    author: AuthorId,
    router: Router,
    dir: PathBuf,
    doc: Option<Doc>,
    remote: Vec<EndpointAddr>,
    load: Option<Load>,
    news: Arc<News>,
    armed: Vec<Hash>,
    /// Of this node's earlier lives: an endpoint counts from 0.
    bytes_before: [u64; 2],
}

/// What the replica's events have told so far.
#[derive(Default)]
struct News {
    told: Mutex<Told>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Told {
    /// When an entry with this content came from the other side.
    entries: HashMap<Hash, u64>,
    /// When the content itself was here.
    contents: HashMap<Hash, u64>,
    /// Reconciliations that came to their end.
    synced: u64,
}

/// Whether a reconciliation came to its end. The side that connects reads on a stream that has ended
/// when little was exchanged, and calls that a failure to close; the other side says "finished".
fn has_reconciled(sync: &SyncEvent) -> bool {
    match &sync.result {
        Ok(_) => true,
        Err(error) => {
            matches!(sync.origin, Origin::Connect(_))
                && error.contains("Failed to close connection")
        }
    }
}

impl Told {
    /// When a remote entry with this content became readable.
    fn readable_ns(&self, hash: &Hash) -> Option<u64> {
        Some(*self.entries.get(hash)?.max(self.contents.get(hash)?))
    }
}

impl News {
    async fn follow(self: Arc<Self>, mut events: impl Stream<Item = Result<LiveEvent>> + Unpin) {
        while let Some(Ok(event)) = events.next().await {
            let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
            let now = now_ns();
            match event {
                LiveEvent::InsertRemote { entry, content_status, .. } => {
                    told.entries.insert(entry.content_hash(), now);
                    if content_status == ContentStatus::Complete {
                        told.contents.entry(entry.content_hash()).or_insert(now);
                    }
                }
                LiveEvent::ContentReady { hash } => {
                    told.contents.insert(hash, now);
                }
                LiveEvent::SyncFinished(sync) if has_reconciled(&sync) => told.synced += 1,
                _ => continue,
            }
            drop(told);
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// Waits until `answer` has one.
    async fn wait_for<T>(&self, answer: impl Fn(&Told) -> Option<T>) -> Result<T> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = answer(&self.told.lock().unwrap_or_else(|e| e.into_inner())) {
                return Ok(found);
            }
            changes.changed().await.context("no more events")?;
        }
    }
}

pub async fn start(dir: &Path) -> Result<Node> {
    start_as(dir, SecretKey::generate()).await
}

async fn start_as(dir: &Path, key: SecretKey) -> Result<Node> {
    let endpoint = Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")?
        .bind()
        .await?;
    let blobs = FsStore::load(dir.join("blobs")).await.map_err(|e| anyhow!("blob store: {e}"))?;
    let gossip = Gossip::builder().spawn(endpoint.clone());
    let docs = Docs::persistent(dir.to_owned())
        .spawn(endpoint.clone(), (*blobs).clone(), gossip.clone())
        .await?;
    let router = Router::builder(endpoint.clone())
        .accept(iroh_blobs::ALPN, BlobsProtocol::new(&blobs, None))
        .accept(iroh_gossip::ALPN, gossip)
        .accept(iroh_docs::ALPN, docs.clone())
        .spawn();
    let author = docs.author_default().await?;
    Ok(Node {
        endpoint,
        blobs,
        docs,
        author,
        router,
        dir: dir.to_owned(),
        doc: None,
        remote: Vec::new(),
        load: None,
        news: Arc::default(),
        armed: Vec::new(),
        bytes_before: [0; 2],
    })
}

impl Node {
    fn doc(&self) -> Result<&Doc> {
        self.doc.as_ref().context("no document yet")
    }

    fn address(&self) -> Result<SocketAddr> {
        let sockets = self.endpoint.bound_sockets();
        sockets.into_iter().find(SocketAddr::is_ipv4).context("not bound to loopback")
    }

    async fn open(&mut self, doc: Doc, load: Load) -> Result<()> {
        let events = doc.subscribe().await?;
        tokio::spawn(self.news.clone().follow(events));
        self.doc = Some(doc);
        self.load = Some(load);
        Ok(())
    }

    /// Keys and values of edited records.
    fn edited(&self, edits: &[Retitle]) -> Result<Vec<(String, Vec<u8>)>> {
        let load = self.load.context("no workload yet")?;
        let titles: HashMap<usize, &str> =
            edits.iter().map(|e| (e.record, e.title.as_str())).collect();
        let records = load.iter().enumerate();
        Ok(records
            .filter_map(|(i, r)| titles.get(&i).map(|t| (r.id.to_string(), value(&r, Some(t)))))
            .collect())
    }

    /// A listing of all entries, which makes the store commit them.
    async fn count(&self) -> Result<usize> {
        let mut entries = Box::pin(self.doc()?.get_many(Query::all()).await?);
        let mut count = 0;
        while let Some(entry) = entries.try_next().await? {
            // INVARIANT of iroh-docs: an entry without content is a deletion, and nobody deletes.
            count += usize::from(entry.content_len() > 0);
        }
        Ok(count)
    }

    async fn check_contents(&self, hashes: &[Hash]) -> Result<()> {
        for hash in hashes {
            let bytes = self.blobs.blobs().get_bytes(*hash).await;
            if bytes.map_err(|e| anyhow!("{e}"))?.is_empty() {
                bail!("a content is empty");
            }
        }
        Ok(())
    }
}

/// Starts a node that has just ended; its databases may need a moment to be free.
async fn start_again(dir: &Path, key: &SecretKey) -> Result<Node> {
    let mut attempts = 0;
    loop {
        match start_as(dir, key.clone()).await {
            Err(_) if attempts < 100 => attempts += 1,
            outcome => return outcome,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn set_all(
    doc: &Doc,
    author: AuthorId,
    pairs: impl Iterator<Item = (String, Vec<u8>)>,
    in_flight: usize,
) -> Result<()> {
    let sets = stream::iter(pairs).map(|(key, value)| doc.set_bytes(author, key, value));
    sets.buffer_unordered(in_flight).try_for_each(|_| async { Ok(()) }).await
}

impl Peer for Node {
    async fn fill(&mut self, load: Load) -> Result<Value> {
        let doc = self.docs.create().await?;
        let pairs = load.iter().map(|r| (r.id.to_string(), value(&r, None)));
        set_all(&doc, self.author, pairs, FILL_IN_FLIGHT).await?;
        let mut ticket = doc.share(ShareMode::Write, AddrInfoOptions::Addresses).await?;
        ticket.nodes = vec![EndpointAddr::new(self.endpoint.id()).with_ip_addr(self.address()?)];
        doc.start_sync(Vec::new()).await?;
        self.open(doc, load).await?;
        Ok(ticket.to_string().into())
    }

    async fn join(&mut self, address: Value, load: Load) -> Result<Span> {
        let ticket: DocTicket = address.as_str().context("no ticket")?.parse()?;
        let due: Vec<Hash> = load.iter().map(|r| Hash::new(value(&r, None))).collect();
        self.remote = ticket.nodes.clone();
        let from_ns = now_ns();
        let doc = self.docs.import_namespace(ticket.capability).await?;
        self.open(doc, load).await?;
        self.doc()?.start_sync(self.remote.clone()).await?;
        self.news
            .wait_for(|told| {
                // Cheap first: the full check runs once or twice.
                let enough = told.contents.len() >= due.len();
                (enough && due.iter().all(|h| told.readable_ns(h).is_some())).then_some(())
            })
            .await?;
        let count = self.count().await?;
        let span = Span::since(from_ns);
        if count != load.records {
            bail!("{count} entries instead of {}", load.records);
        }
        self.check_contents(&due).await?;
        Ok(span)
    }

    async fn disconnect(&mut self) -> Result<()> {
        let doc = self.doc.take().context("no document yet")?;
        let namespace = doc.id();
        let key = self.endpoint.secret_key().clone();
        let (remote, load, bytes) = (std::mem::take(&mut self.remote), self.load, self.bytes());
        drop(doc);
        self.router.shutdown().await?;
        // Its database is free once the store has ended, which a second call waits for.
        let _ = self.blobs.shutdown().await;
        let mut next = start_again(&self.dir, &key).await?;
        (next.remote, next.bytes_before) = (remote, bytes);
        let doc = next.docs.open(namespace).await?.context("the document is gone")?;
        next.open(doc, load.context("no workload yet")?).await?;
        *self = next;
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<Span> {
        let synced = self.news.told.lock().unwrap_or_else(|e| e.into_inner()).synced;
        let from_ns = now_ns();
        self.doc()?.start_sync(self.remote.clone()).await?;
        self.news.wait_for(|told| (told.synced > synced).then_some(())).await?;
        Ok(Span::since(from_ns))
    }

    async fn edit(&mut self, edits: Vec<Retitle>) -> Result<u64> {
        let pairs = self.edited(&edits)?;
        let from_ns = now_ns();
        set_all(self.doc()?, self.author, pairs.into_iter(), 1).await?;
        Ok(from_ns)
    }

    async fn arm(&mut self, edits: Vec<Retitle>) -> Result<()> {
        self.armed = self.edited(&edits)?.iter().map(|(_, value)| Hash::new(value)).collect();
        Ok(())
    }

    async fn seen(&mut self) -> Result<u64> {
        let armed = std::mem::take(&mut self.armed);
        self.news
            .wait_for(|told| {
                let seen: Option<Vec<u64>> = armed.iter().map(|h| told.readable_ns(h)).collect();
                seen.map(|ns| ns.into_iter().max().unwrap_or_default())
            })
            .await
    }

    fn bytes(&self) -> [u64; 2] {
        let socket = &self.endpoint.metrics().socket;
        let [sent, received] = self.bytes_before;
        [sent + socket.send_ipv4.get(), received + socket.recv_data_ipv4.get()]
    }

    async fn write(&mut self, load: Load, in_flight: usize) -> Result<Span> {
        let doc = self.docs.create().await?;
        let pairs: Vec<_> = load.iter().map(|r| (r.id.to_string(), value(&r, None))).collect();
        let from_ns = now_ns();
        set_all(&doc, self.author, pairs.into_iter(), in_flight).await?;
        Ok(Span::since(from_ns))
    }
}
