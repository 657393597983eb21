//! samod: an Automerge document per record, files on disk, TCP over loopback.
//!
//! An empty node cannot ask for what it has not heard of: the sender's address carries the ids, and
//! the joiner finds them all. Documents are resident on both sides, as samod keeps them.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use automerge::Automerge;
use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use samod::storage::TokioFilesystemStorage;
use samod::{
    AcceptorHandle, BackoffConfig, ConnectionId, DialError, Dialer, DialerHandle, DocHandle,
    DocumentId, Repo, Transport, Url,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::pair::Traits;
use super::{Disk, Fsync};
use crate::load::{Load, Retitle, document, retitle, title};
use crate::peer::{Peer, Span};
use crate::process::now_ns;
use crate::tcp::Line;

pub const TRAITS: Traits = Traits {
    name: "samod",
    disk: Disk { fsync: Fsync::Never, how: "a file per document and change, never synced" },
    bulk_durable: "nothing certain: files are written, never synced",
    news_durable: "nothing certain: files are written, never synced",
    write_durable: "nothing certain: the file is written, never synced",
    bytes_are: "TCP payload",
};

/// Documents asked for at a time.
const FINDS_IN_FLIGHT: usize = 64;

/// One side.
pub struct Node {
    repo: Repo,
    /// In the workload's order.
    documents: Vec<DocHandle>,
    dialer: Option<DialerHandle<Infallible>>,
    remote: Option<std::net::SocketAddr>,
    line: Line,
    armed: JoinSet<Result<u64>>,
}

pub async fn start(dir: &Path) -> Result<Node> {
    let storage = TokioFilesystemStorage::new(dir);
    let repo = Repo::build_tokio().with_storage(storage).load().await;
    Ok(Node {
        repo,
        documents: Vec::new(),
        dialer: None,
        remote: None,
        line: Line::default(),
        armed: JoinSet::new(),
    })
}

impl Node {
    async fn create(&self, doc: Automerge) -> Result<DocHandle> {
        self.repo.create(doc).await.map_err(|_| anyhow!("samod has stopped"))
    }

    async fn connect(&mut self) -> Result<ConnectionId> {
        let address = self.remote.context("no address to connect to")?;
        let dialer = CountingDialer { address, line: self.line.clone() };
        let backoff = BackoffConfig {
            initial_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(100),
            max_retries: None,
        };
        let dialer = self.repo.dial(backoff, Arc::new(dialer)).map_err(|_| anyhow!("stopped"))?;
        dialer.established().await.map_err(|_| anyhow!("no connection"))?;
        let id = dialer.connection_id().context("connected without a connection")?;
        self.dialer = Some(dialer);
        Ok(id)
    }
}

impl Peer for Node {
    async fn fill(&mut self, load: Load) -> Result<Value> {
        for record in load.iter() {
            self.documents.push(self.create(document(&record)?).await?);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = self.repo.make_acceptor(url_of(address)?).map_err(|_| anyhow!("stopped"))?;
        tokio::spawn(accept(listener, acceptor));
        let ids: Vec<String> = self.documents.iter().map(|d| d.document_id().to_string()).collect();
        Ok(json!({ "address": address.to_string(), "documents": ids }))
    }

    async fn join(&mut self, address: Value, load: Load) -> Result<Span> {
        let ids = address["documents"].as_array().context("no documents")?;
        let ids: Vec<DocumentId> = ids
            .iter()
            .filter_map(Value::as_str)
            .map(|id| id.parse().map_err(|_| anyhow!("bad document id")))
            .collect::<Result<_>>()?;
        self.remote = Some(address["address"].as_str().context("no address")?.parse()?);
        let last_titles: Vec<Option<String>> =
            load.iter().map(|r| r.edits[1]["title"].as_str().map(String::from)).collect();
        let from_ns = now_ns();
        self.connect().await?;
        let repo = &self.repo;
        let finds = stream::iter(ids).map(|id| async move {
            let found = repo.find(id).await.map_err(|_| anyhow!("samod has stopped"))?;
            found.context("a document was not found")
        });
        self.documents = finds.buffered(FINDS_IN_FLIGHT).try_collect().await?;
        let span = Span::since(from_ns);
        for (document, title_due) in self.documents.iter().zip(last_titles) {
            if document.with_document(|d| title(d)) != title_due {
                bail!("a document arrived without its last edit");
            }
        }
        Ok(span)
    }

    async fn disconnect(&mut self) -> Result<()> {
        // A closed dialer dials no more; its connection has to be cut.
        self.dialer.take().context("not connected")?.close();
        self.line.cut();
        while !self.repo.connected_peers().0.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The other side notices by the end of the stream.
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<Span> {
        let from_ns = now_ns();
        let connection = self.connect().await?;
        for document in &self.documents {
            document.we_have_their_changes(connection).await;
            document.they_have_our_changes(connection).await;
        }
        Ok(Span::since(from_ns))
    }

    async fn edit(&mut self, edits: Vec<Retitle>) -> Result<u64> {
        let from_ns = now_ns();
        for edit in edits {
            let document = self.documents.get(edit.record).context("no such record")?;
            document.with_document(|d| retitle(d, &edit.title))?;
        }
        Ok(from_ns)
    }

    async fn arm(&mut self, edits: Vec<Retitle>) -> Result<()> {
        for edit in edits {
            let document = self.documents.get(edit.record).context("no such record")?.clone();
            // Listens before it looks, so that nothing slips through between.
            let mut changes = Box::pin(document.changes());
            self.armed.spawn(async move {
                while document.with_document(|d| title(d)).as_deref() != Some(&edit.title) {
                    changes.next().await.context("samod has stopped")?;
                }
                Ok(now_ns())
            });
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
        let docs: Vec<Automerge> = load.iter().map(|r| document(&r)).collect::<Result<_, _>>()?;
        let (here, mut docs) = (&*self, docs.into_iter());
        let from_ns = now_ns();
        let share = load.records.div_ceil(in_flight);
        let writers = (0..in_flight).map(|_| {
            let mine: Vec<Automerge> = docs.by_ref().take(share).collect();
            async move {
                for doc in mine {
                    here.create(doc).await?;
                }
                Ok::<_, anyhow::Error>(())
            }
        });
        try_join_all(writers).await?;
        Ok(Span::since(from_ns))
    }
}

fn url_of(address: std::net::SocketAddr) -> Result<Url> {
    Ok(Url::parse(&format!("tcp://{address}"))?)
}

async fn accept(listener: TcpListener, acceptor: AcceptorHandle) {
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_err()
            || acceptor.accept(Transport::from_tokio_io(stream)).is_err()
        {
            return;
        }
    }
}

/// samod's own TCP dialer, with Nagle's algorithm off and the bytes counted.
struct CountingDialer {
    address: std::net::SocketAddr,
    line: Line,
}

impl Dialer for CountingDialer {
    type Error = Infallible;

    fn url(&self) -> Url {
        url_of(self.address).unwrap_or_else(|e| unreachable!("an address makes a URL: {e}"))
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let (address, line) = (self.address, self.line.clone());
        async move {
            let stream = line.connect(address).await.map_err(DialError::transient)?;
            Ok(Transport::from_tokio_io(stream))
        }
        .boxed()
    }
}
