//! The node's one UDP port: dialling, accepting many handshakes at once, probing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use fenbu_protocol::id::NodeId;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, IdleTimeout, VarInt};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::accept::{self, Arrived, Counters, Limits};
use super::error::handshake_failed;
use super::tls::{self, TheNode};
use super::{
    ALPN_PROBE, ALPN_SYNC, JoinConnection, Link, TransportError, address, clean_reason, code, link,
    socket,
};
use crate::config::TransportConfig;
use fenbu_protocol::log::Lane;

/// How long [`Endpoint::close`] waits for peers to have heard of it. It is sent at once; a peer it does not
/// reach learns by silence, and one that is being dialled in vain would never answer.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);
/// The lead an address of a peer has over the next one.
const NEXT_ADDRESS: Duration = Duration::from_millis(500);
/// What a peer that dialled us may have under way before we answer it.
const STRANGER_WINDOW_BYTES: u64 = 256 << 10;
/// Accepted connections nobody has taken yet.
const UNTAKEN_MAX: usize = 16;
/// Nodes are found by key; TLS wants some name, and none is sent.
const SERVER_NAME: &str = "fenbu";

/// Somebody who dialled us and proved a key; the directory decides what comes of it.
#[derive(Debug)]
pub enum Incoming {
    Sync(Link),
    Join(JoinConnection),
}

/// What came of handshakes others began, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Completed, whatever they were for.
    pub accepted: u64,
    /// Begun and not completed: wrong protocol, no key, gave up.
    pub failed: u64,
    /// Asked to prove their address first.
    pub retried: u64,
    /// Turned away because too many were under way.
    pub refused: u64,
}

/// Who answered a [`Endpoint::probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub peer: NodeId,
    pub remote: SocketAddr,
    pub rtt: Duration,
}

/// A bound UDP port that speaks QUIC under one node's key. Clones share it; when the last is
/// dropped, every link closes.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    quinn: quinn::Endpoint,
    local: SocketAddr,
    key: SigningKey,
    transport: Arc<quinn::TransportConfig>,
    /// An admitted peer's window.
    window: VarInt,
    frame_patience: Duration,
    handshake_timeout: Duration,
    arrived: Mutex<mpsc::Receiver<Arrived>>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.quinn.close(VarInt::from_u32(code::DROPPED), b"the node let go of its port");
    }
}

/// A connection this node dialled.
pub(crate) struct Dialed {
    pub(crate) connection: Connection,
    pub(crate) peer: NodeId,
    pub(crate) remote: SocketAddr,
}

impl Endpoint {
    /// Binds `listen` and begins to answer handshakes. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The port is taken or forbidden, the address is not this machine's, or a setting cannot be
    /// used.
    pub fn bind(
        listen: SocketAddr,
        key: &SigningKey,
        settings: &TransportConfig,
    ) -> Result<Self, TransportError> {
        Self::bind_with(listen, key, settings, Limits::default())
    }

    /// Binds `listen` and answers nobody: for a node that joins and is not there yet. Whoever was told
    /// of it and dials at once is answered by its daemon, which binds the port next; a handshake
    /// half done here would only be broken off, and hold up [`Endpoint::close`].
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    pub fn bind_to_dial(
        listen: SocketAddr,
        key: &SigningKey,
        settings: &TransportConfig,
    ) -> Result<Self, TransportError> {
        Self::open(listen, key, settings, Limits::default(), None)
    }

    pub(crate) fn bind_with(
        listen: SocketAddr,
        key: &SigningKey,
        settings: &TransportConfig,
        limits: Limits,
    ) -> Result<Self, TransportError> {
        Self::open(listen, key, settings, limits, Some(server_config(key, settings)?))
    }

    fn open(
        listen: SocketAddr,
        key: &SigningKey,
        settings: &TransportConfig,
        limits: Limits,
        server: Option<quinn::ServerConfig>,
    ) -> Result<Self, TransportError> {
        let window = settings.connection_window_bytes;
        let mut config = quinn::EndpointConfig::default();
        if let Some(mtu) = settings.mtu {
            let payload = mtu.max(config.get_max_udp_payload_size() as u16);
            config
                .max_udp_payload_size(payload)
                .map_err(|_| setting("transport.mtu", mtu.into()))?;
        }
        let socket = socket::bind(listen)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let bind_error = |source| TransportError::Bind { listen, source };
        let quinn = quinn::Endpoint::new(config, server, socket, runtime).map_err(bind_error)?;
        let local = quinn.local_addr().map_err(bind_error)?;
        let (sender, arrived) = mpsc::channel(UNTAKEN_MAX);
        let counters = Arc::new(Counters::default());
        tokio::spawn(accept::run(quinn.clone(), limits, counters.clone(), sender));
        Ok(Self(Arc::new(Inner {
            quinn,
            local,
            key: key.clone(),
            transport: Arc::new(quinn_transport(settings, window)?),
            window: var("transport.connection_window_bytes", window)?,
            frame_patience: Duration::from_millis(settings.frame_patience_ms),
            handshake_timeout: limits.handshake_timeout,
            arrived: Mutex::new(arrived),
            counters,
        })))
    }

    /// The address bound, with the real port where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        NodeId(self.0.key.verifying_key().to_bytes())
    }

    pub fn stats(&self) -> EndpointStats {
        self.0.counters.stats()
    }

    /// The next connection that proved a key; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Incoming> {
        let Arrived { connection, peer, to_join } = self.0.arrived.lock().await.recv().await?;
        Some(if to_join {
            Incoming::Join(JoinConnection::new(connection, peer, self.node()))
        } else {
            Incoming::Sync(link::start(
                connection,
                peer,
                false,
                self.0.window,
                self.0.frame_patience,
            ))
        })
    }

    /// Dials `peer` at `address` (`host:port`), trying each address of a name for ten seconds.
    ///
    /// # Errors
    /// The most telling of what the addresses gave: another node answers, no node answers, …
    pub async fn connect(&self, peer: NodeId, address: &str) -> Result<Link, TransportError> {
        let dialed = self.dial(Some(peer), ALPN_SYNC, address).await?;
        // The window is full from the start: the peer is the one we meant to reach.
        let Dialed { connection, peer, .. } = dialed;
        Ok(link::start(connection, peer, true, self.0.window, self.0.frame_patience))
    }

    /// Dials `peer` at its addresses side by side, each half a second after the one before it, so
    /// that one which swallows everything keeps nobody from the next. The first link wins; the other
    /// attempts are broken off.
    ///
    /// # Errors
    /// What each address gave, in the order in which they gave up.
    pub(crate) async fn connect_any(
        &self,
        peer: NodeId,
        addresses: Vec<String>,
    ) -> Result<Link, Vec<TransportError>> {
        let mut attempts = JoinSet::new();
        for (address, turn) in addresses.into_iter().zip(0..) {
            let endpoint = self.clone();
            attempts.spawn(async move {
                tokio::time::sleep(NEXT_ADDRESS * turn).await;
                endpoint.connect(peer, &address).await
            });
        }
        let mut errors = Vec::new();
        while let Some(ended) = attempts.join_next().await {
            match ended {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => errors.push(error),
                Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                // The runtime shuts down.
                Err(_) => {}
            }
        }
        Err(errors)
    }

    /// A handshake for its own sake, for `doctor`: who answers at `address`, and how fast? With
    /// `peer`, only that node will do. A link that is up is not disturbed.
    ///
    /// # Errors
    /// [`TransportError::Unresolved`], [`TransportError::Silent`] (probably a firewall),
    /// [`TransportError::WrongNode`] and the other outcomes of a handshake.
    pub async fn probe(
        &self,
        peer: Option<NodeId>,
        address: &str,
    ) -> Result<Probe, TransportError> {
        let dialed = self.dial(peer, ALPN_PROBE, address).await?;
        let rtt = dialed.connection.rtt();
        dialed.connection.close(VarInt::from_u32(code::DONE), b"probed");
        Ok(Probe { peer: dialed.peer, remote: dialed.remote, rtt })
    }

    /// Closes every link, telling peers `code` and `reason`, and waits briefly for them to have
    /// heard.
    pub async fn close(&self, code: u32, reason: &str) {
        self.0.quinn.close(VarInt::from_u32(code), clean_reason(reason.as_bytes()).as_bytes());
        // A peer that is gone cannot acknowledge; it will time out.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.0.quinn.wait_idle()).await;
    }

    pub(crate) async fn dial(
        &self,
        expected: Option<NodeId>,
        alpn: &[u8],
        address: &str,
    ) -> Result<Dialed, TransportError> {
        let remotes = address::resolve(address, self.0.local).await?;
        let mut worst: Option<TransportError> = None;
        for remote in remotes {
            match self.dial_one(expected, alpn, address, remote).await {
                Ok(dialed) => return Ok(dialed),
                Err(error) => {
                    tracing::debug!(%address, %remote, %error, "no link");
                    if worst.as_ref().is_none_or(|w| w.weight() < error.weight()) {
                        worst = Some(error);
                    }
                }
            }
        }
        // INVARIANT: `resolve` gives at least one address.
        Err(worst.expect("an address was tried"))
    }

    async fn dial_one(
        &self,
        expected: Option<NodeId>,
        alpn: &[u8],
        address: &str,
        remote: SocketAddr,
    ) -> Result<Dialed, TransportError> {
        let verifier = TheNode::new(expected);
        let crypto = QuicClientConfig::try_from(tls::client(&self.0.key, alpn, verifier.clone())?)
            // INVARIANT: ring has TLS13_AES_128_GCM_SHA256, the one suite QUIC begins with.
            .expect("the provider has the initial suite");
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.0.transport.clone());
        let failed = |why: String| TransportError::Handshake { address: address.into(), why };
        let began = Instant::now();
        let connecting =
            self.0.quinn.connect_with(config, remote, SERVER_NAME).map_err(|e| match e {
                quinn::ConnectError::EndpointStopping => TransportError::ShuttingDown,
                other => failed(other.to_string()),
            })?;
        let outcome = tokio::time::timeout(self.0.handshake_timeout, connecting)
            .await
            .unwrap_or(Err(quinn::ConnectionError::TimedOut));
        match (outcome, expected, verifier.answered()) {
            (_, Some(expected), Some(found)) if expected != found => {
                Err(TransportError::WrongNode { address: address.into(), expected, found })
            }
            (Ok(connection), _, _) => {
                let peer = peer_of(&connection)
                    .filter(|peer| expected.is_none_or(|e| e == *peer))
                    .ok_or_else(|| failed("the peer showed no key".into()))?;
                Ok(Dialed { connection, peer, remote })
            }
            (Err(e), _, _) => Err(handshake_failed(e, address, remote, alpn, began.elapsed())),
        }
    }
}

/// The key the handshake proved.
pub(crate) fn peer_of(connection: &Connection) -> Option<NodeId> {
    let identity = connection.peer_identity()?;
    let keys = identity.downcast::<Vec<rustls::pki_types::CertificateDer<'static>>>().ok()?;
    tls::node_id(keys.first()?)
}

/// How handshakes others begin are answered.
fn server_config(
    key: &SigningKey,
    settings: &TransportConfig,
) -> Result<quinn::ServerConfig, TransportError> {
    let crypto = QuicServerConfig::try_from(tls::server(key)?)
        // INVARIANT: ring has TLS13_AES_128_GCM_SHA256, the one suite QUIC begins with.
        .expect("the provider has the initial suite");
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let window = settings.connection_window_bytes.min(STRANGER_WINDOW_BYTES);
    let mut transport = quinn_transport(settings, window)?;
    // One for joining; on a sync link, using it is a violation.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    server.transport_config(Arc::new(transport));
    accept::bound(&mut server);
    Ok(server)
}

fn setting(key: &'static str, value: u64) -> TransportError {
    TransportError::Setting { key, value }
}

fn var(key: &'static str, value: u64) -> Result<VarInt, TransportError> {
    VarInt::from_u64(value).map_err(|_| setting(key, value))
}

/// Cubic is quinn's default; what is not named here is left to it.
fn quinn_transport(
    settings: &TransportConfig,
    receive_window_bytes: u64,
) -> Result<quinn::TransportConfig, TransportError> {
    let mut config = quinn::TransportConfig::default();
    let idle = Duration::from_millis(settings.idle_timeout_ms);
    let idle = IdleTimeout::try_from(idle)
        .map_err(|_| setting("transport.idle_timeout_ms", settings.idle_timeout_ms))?;
    // A stream's share of the window: a full lane, read or written, leaves the others theirs.
    let window = settings.connection_window_bytes;
    let share = window / Lane::COUNT as u64;
    config
        .keep_alive_interval(Some(Duration::from_millis(settings.keep_alive_ms)))
        .max_idle_timeout(Some(idle))
        .max_concurrent_uni_streams(VarInt::from_u32(settings.streams_max))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .receive_window(var("transport.connection_window_bytes", receive_window_bytes)?)
        .stream_receive_window(var("transport.connection_window_bytes", share)?)
        .send_window(window)
        .enable_segmentation_offload(!settings.disable_gso);
    if let Some(mtu) = settings.mtu {
        config.initial_mtu(mtu).min_mtu(mtu).mtu_discovery_config(None);
    }
    Ok(config)
}
