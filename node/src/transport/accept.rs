//! Handshakes others begin: many at once, so that a slow one holds up nobody, and not too many.
//!
//! A first packet's sender may be forged. While few handshakes are under way each is answered at
//! once; above `unvalidated_max` a caller must first show, by a Retry, that it receives at its
//! address, which costs this node no memory. Callers who did so have places of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fenbu_protocol::id::NodeId;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, VarInt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::endpoint::peer_of;
use super::error::describe;
use super::{ALPN_JOIN, ALPN_PROBE, EndpointStats, code};

/// How many handshakes may be under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) handshakes_max: usize,
    /// Of these, from addresses not validated.
    pub(crate) unvalidated_max: usize,
    /// What one handshake may take, dialled or accepted.
    pub(crate) handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes_max: 256,
            unvalidated_max: 100,
            handshake_timeout: Duration::from_secs(10),
        }
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

/// Answers handshakes until the endpoint closes.
pub(crate) async fn run(
    endpoint: quinn::Endpoint,
    limits: Limits,
    counters: Arc<Counters>,
    sender: mpsc::Sender<Arrived>,
) {
    let places = Arc::new(Semaphore::new(limits.handshakes_max));
    let unvalidated = Arc::new(Semaphore::new(limits.unvalidated_max));
    while let Some(caller) = endpoint.accept().await {
        let remote = caller.remote_address();
        let doubtful = if caller.remote_address_validated() {
            None
        } else {
            match unvalidated.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    count(&counters.retried);
                    // INVARIANT: an address not validated may be retried; a refusal would do too.
                    let _ = caller.retry();
                    continue;
                }
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            count(&counters.refused);
            caller.refuse();
            continue;
        };
        let (counters, sender) = (counters.clone(), sender.clone());
        tokio::spawn(async move {
            let connection = match shake(caller, limits.handshake_timeout).await {
                Ok(connection) => connection,
                Err(why) => {
                    count(&counters.failed);
                    tracing::debug!(%remote, %why, "handshake failed");
                    return;
                }
            };
            drop(doubtful);
            count(&counters.accepted);
            if let Some(arrived) = sort(connection) {
                // The place is kept until somebody takes the connection, which bounds the queue.
                // A closed queue means that the endpoint is being dropped.
                let _ = sender.send(arrived).await;
            }
            drop(place);
        });
    }
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
