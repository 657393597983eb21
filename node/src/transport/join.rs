//! One request and one answer over a connection of their own, before the directory knows the
//! caller. What they say is the join messages' business; this binds them to the handshake.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fenbu_protocol::id::NodeId;
use quinn::{Connection, ReadError, ReadToEndError, SendStream, VarInt, WriteError};
use tokio::time::timeout;

use super::error::{connection_failed, describe};
use super::{ALPN_JOIN, Endpoint, TransportError, clean_reason, code};

/// A token, a key, a name, addresses: a page would do.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A directory and wrapped space keys; data follows over a sync link.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A stranger holds a place no longer than this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An admin node may have to write to disk and sign before it answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

const EXPORTER_LABEL: &[u8] = b"fenbu/join/1";

/// A secret only the two ends of this connection know. TLS does not put the client's key under
/// the exporter, so both ids go in as context.
fn exporter(connection: &Connection, joiner: NodeId, answerer: NodeId) -> [u8; 32] {
    let mut out = [0; 32];
    let context = [joiner.0, answerer.0].concat();
    connection
        .export_keying_material(&mut out, EXPORTER_LABEL, &context)
        // INVARIANT: TLS 1.3 exports up to 255 hashes' worth.
        .expect("32 bytes can be exported");
    out
}

/// A node that wants to join, seen from the node it asks. Dropping it closes the connection.
#[derive(Debug)]
pub struct JoinConnection {
    connection: Connection,
    peer: NodeId,
    us: NodeId,
    reply: Option<SendStream>,
}

impl JoinConnection {
    pub(crate) fn new(connection: Connection, peer: NodeId, us: NodeId) -> Self {
        Self { connection, peer, us, reply: None }
    }

    /// The key the caller proved.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// The same 32 bytes as at the other end, and nowhere else.
    pub fn exporter(&self) -> [u8; 32] {
        exporter(&self.connection, self.peer, self.us)
    }

    /// The caller's one request, at most [`REQUEST_BYTES_MAX`], within ten seconds.
    ///
    /// # Errors
    /// [`TransportError::Request`] where it is too long, too slow or never whole; the connection
    /// is closed then.
    pub async fn request(&mut self) -> Result<Bytes, TransportError> {
        let read = async {
            let (reply, mut stream) =
                self.connection.accept_bi().await.map_err(|e| describe(&e))?;
            let bytes = stream.read_to_end(REQUEST_BYTES_MAX).await.map_err(|e| match e {
                ReadToEndError::TooLong => format!("it is over {REQUEST_BYTES_MAX} bytes"),
                ReadToEndError::Read(e) => clean_reason(e.to_string().as_bytes()),
            })?;
            Ok::<_, String>((reply, bytes))
        };
        let outcome = timeout(REQUEST_TIMEOUT, read)
            .await
            .unwrap_or_else(|_| Err(format!("none within {} s", REQUEST_TIMEOUT.as_secs())));
        match outcome {
            Ok((reply, bytes)) => {
                self.reply = Some(reply);
                Ok(Bytes::from(bytes))
            }
            Err(why) => {
                let reason =
                    format!("no usable join request from node {}: {why}", self.peer.short());
                self.connection.close(VarInt::from_u32(code::JOIN_REQUEST), reason.as_bytes());
                Err(TransportError::Request { peer: self.peer, why })
            }
        }
    }

    /// Sends the answer (at most [`ANSWER_BYTES_MAX`]) and waits until the caller has it.
    ///
    /// # Errors
    /// [`TransportError::TooLong`], or why the caller may not have it.
    pub async fn answer(self, bytes: Bytes) -> Result<(), TransportError> {
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(TransportError::TooLong { bytes: bytes.len(), max: ANSWER_BYTES_MAX });
        }
        let peer = self.peer;
        let Some(mut reply) = self.reply else {
            return Err(TransportError::Request { peer, why: "it was not read yet".into() });
        };
        let address = self.connection.remote_address().to_string();
        within(ANSWER_TIMEOUT, &address, async {
            reply.write_chunk(bytes).await.map_err(|e| write_failed(e, &address))?;
            // The stream is open: nothing finished or reset it.
            let _ = reply.finish();
            // The caller closes as soon as it has everything; closing first could lose the end.
            match reply.stopped().await {
                Ok(_) => Ok(()),
                Err(quinn::StoppedError::ConnectionLost(
                    quinn::ConnectionError::ApplicationClosed(close),
                )) if close.error_code == VarInt::from_u32(code::DONE) => Ok(()),
                Err(quinn::StoppedError::ConnectionLost(e)) => Err(connection_failed(e, &address)),
                Err(e) => {
                    Err(TransportError::Lost { address: address.clone(), why: e.to_string() })
                }
            }
        })
        .await
    }

    /// Closes without an answer; the caller is shown `reason`.
    pub fn refuse(self, code: u32, reason: &str) {
        let reason = clean_reason(reason.as_bytes());
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }
}

async fn within<T>(
    waited: Duration,
    address: &str,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    timeout(waited, work)
        .await
        .unwrap_or_else(|_| Err(TransportError::Slow { address: address.into(), waited }))
}

fn write_failed(error: WriteError, address: &str) -> TransportError {
    match error {
        WriteError::ConnectionLost(e) => connection_failed(e, address),
        other => TransportError::Lost { address: address.into(), why: other.to_string() },
    }
}

fn read_failed(error: ReadToEndError, address: &str) -> TransportError {
    match error {
        ReadToEndError::Read(ReadError::ConnectionLost(e)) => connection_failed(e, address),
        ReadToEndError::TooLong => {
            TransportError::TooLong { bytes: ANSWER_BYTES_MAX + 1, max: ANSWER_BYTES_MAX }
        }
        other => TransportError::Lost { address: address.into(), why: other.to_string() },
    }
}

impl Endpoint {
    /// Asks `peer` at `address` to let this node join: `make_request` is given the connection's
    /// exporter, and what it returns (at most [`REQUEST_BYTES_MAX`]) is sent. Returns the answer.
    ///
    /// # Errors
    /// As [`Endpoint::connect`]; [`TransportError::ClosedByPeer`] carries a refusal's reason.
    pub async fn join(
        &self,
        peer: NodeId,
        address: &str,
        make_request: impl FnOnce([u8; 32]) -> Vec<u8>,
    ) -> Result<Vec<u8>, TransportError> {
        let connection = self.dial(Some(peer), ALPN_JOIN, address).await?.connection;
        let request = make_request(exporter(&connection, self.node(), peer));
        if request.len() > REQUEST_BYTES_MAX {
            return Err(TransportError::TooLong { bytes: request.len(), max: REQUEST_BYTES_MAX });
        }
        let answer = within(ANSWER_TIMEOUT, address, async {
            let (mut ask, mut reply) =
                connection.open_bi().await.map_err(|e| connection_failed(e, address))?;
            ask.write_chunk(request.into()).await.map_err(|e| write_failed(e, address))?;
            // The stream is open: nothing finished or reset it.
            let _ = ask.finish();
            reply.read_to_end(ANSWER_BYTES_MAX).await.map_err(|e| read_failed(e, address))
        })
        .await?;
        connection.close(VarInt::from_u32(code::DONE), b"joined");
        Ok(answer)
    }
}
