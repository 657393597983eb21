//! Handshakes others begin: many at once, so that a slow one holds up nobody, and not too many.
//!
//! Who is answered, who must first show that it receives at its address, and who is turned away is
//! decided by [`Door`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fenbu_protocol::id::NodeId;
use fenbu_protocol::sync::{Door, DoorLimits, Source, Welcome};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, VarInt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::endpoint::peer_of;
use super::error::describe;
use super::{ALPN_JOIN, ALPN_PROBE, EndpointStats, code};

/// How many handshakes may be under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) door: DoorLimits,
    /// What one handshake may take, dialled or accepted.
    pub(crate) handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { door: DoorLimits::default(), handshake_timeout: Duration::from_secs(10) }
    }
}

/// A finished handshake. Nothing is read from it before somebody takes it, so that a stranger
/// fills no more than QUIC's small first window.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) connection: Connection,
    pub(crate) peer: NodeId,
    pub(crate) to_join: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self) -> EndpointStats {
        EndpointStats {
            accepted: self.accepted.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Callers quinn keeps until [`run`] looks at them; it drops what comes above, and they try again.
const UNSEEN_MAX: usize = 256;

/// Bounds what quinn keeps of callers [`run`] has not looked at yet. Without 0-RTT a caller has
/// little to send before it is answered.
pub(crate) fn bound(server: &mut quinn::ServerConfig) {
    server
        .max_incoming(UNSEEN_MAX)
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(1 << 20);
}

/// A caller's place at the door, given back when dropped.
struct Entered {
    door: Arc<Mutex<Door>>,
    source: Source,
    validated: bool,
}

impl Entered {
    /// The handshake is done, and with it the address is validated: its place among those who might
    /// be forged is free again.
    fn prove(&mut self) {
        if !std::mem::replace(&mut self.validated, true) {
            let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
            door.proved(self.source);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        door.left(self.source, self.validated);
    }
}

/// Answers handshakes until the endpoint closes.
pub(crate) async fn run(
    endpoint: quinn::Endpoint,
    limits: Limits,
    counters: Arc<Counters>,
    sender: mpsc::Sender<Arrived>,
) {
    let since = Instant::now();
    let door = Arc::new(Mutex::new(Door::new(0, limits.door)));
    while let Some(caller) = endpoint.accept().await {
        let source = Source::from(caller.remote_address().ip());
        let validated = caller.remote_address_validated();
        let now_ms = since.elapsed().as_millis() as u64;
        let welcome = {
            let mut door = door.lock().unwrap_or_else(PoisonError::into_inner);
            door.knock(now_ms, source, validated)
        };
        match welcome {
            Welcome::Answer => {
                let entered = Entered { door: door.clone(), source, validated };
                let (counters, sender) = (counters.clone(), sender.clone());
                tokio::spawn(answer(caller, entered, limits.handshake_timeout, counters, sender));
            }
            Welcome::Retry => {
                count(&counters.retried);
                // INVARIANT: an address not validated may be retried; a refusal would do too.
                let _ = caller.retry();
            }
            Welcome::Refuse => {
                count(&counters.refused);
                caller.refuse();
            }
        }
    }
}

async fn answer(
    caller: quinn::Incoming,
    mut entered: Entered,
    limit: Duration,
    counters: Arc<Counters>,
    sender: mpsc::Sender<Arrived>,
) {
    let remote = caller.remote_address();
    let connection = match shake(caller, limit).await {
        Ok(connection) => connection,
        Err(why) => {
            count(&counters.failed);
            tracing::debug!(%remote, %why, "handshake failed");
            return;
        }
    };
    entered.prove();
    count(&counters.accepted);
    if let Some(arrived) = sort(connection) {
        // The place is kept until somebody takes the connection, which bounds the queue.
        // A closed queue means that the endpoint is being dropped.
        let _ = sender.send(arrived).await;
    }
    drop(entered);
}

async fn shake(caller: quinn::Incoming, limit: Duration) -> Result<Connection, String> {
    let connecting = caller.accept().map_err(|e| describe(&e))?;
    timeout(limit, connecting)
        .await
        .map_err(|_| "it took too long".to_owned())?
        .map_err(|e| describe(&e))
}

/// What the connection is for, by its protocol; probes end here.
fn sort(connection: Connection) -> Option<Arrived> {
    // INVARIANT: the verifier accepts only a key that `peer_of` can read, and TLS agreed on one of
    // the three protocols.
    let peer = peer_of(&connection)?;
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    let to_join = match data.protocol.as_deref()? {
        ALPN_PROBE => {
            connection.close(VarInt::from_u32(code::DONE), b"probed");
            return None;
        }
        protocol => protocol == ALPN_JOIN,
    };
    Some(Arrived { connection, peer, to_join })
}
