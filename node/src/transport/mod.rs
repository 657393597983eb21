//! QUIC between nodes: who is at the other end, and frames in order per lane.
//!
//! | module | owns |
//! |---|---|
//! | [`tls`] | raw Ed25519 keys in TLS 1.3, the one crypto provider |
//! | `socket` | the UDP socket and its buffers |
//! | `endpoint` | binding, dialling, probing |
//! | `accept` | handshakes others begin: many at once, and not too many |
//! | `link` | one connection to a peer: a lane in each direction per [`Lane`], backpressure |
//! | `read` | frames out of a lane's stream, and what a peer may not do there |
//! | [`join`] | one request and one answer, before the directory knows the caller |
//! | `address` | host names, and what to tell others to dial |
//!
//! A handshake proves a key and nothing more: whether its owner may talk is the directory's
//! answer, asked by whoever receives the [`Link`]. What frames mean is `fenbu_protocol::wire`'s
//! business.
//!
//! [`Lane`]: fenbu_protocol::log::Lane

mod accept;
mod address;
mod endpoint;
mod error;
pub mod join;
mod link;
mod read;
mod socket;
pub mod tls;

#[cfg(test)]
mod tests;

pub use address::advertised;
pub use endpoint::{Endpoint, EndpointStats, Incoming, Probe};
pub use error::TransportError;
pub use join::JoinConnection;
pub use link::{Link, LinkEvent, LinkEvents, LinkHandle, LinkStats};

/// Sync links: frames of `fenbu_protocol::wire`.
pub const ALPN_SYNC: &[u8] = b"fenbu/1";
/// Joining: one request, one answer.
pub const ALPN_JOIN: &[u8] = b"fenbu-join/1";
/// A handshake for its own sake, closed by the answering side: `doctor` may ask without disturbing
/// a link that is up.
pub const ALPN_PROBE: &[u8] = b"fenbu-probe/1";

/// Close codes of this layer. Codes below 0x100 belong to the messages' own `Close`.
pub mod code {
    /// Nothing was wrong.
    pub const DONE: u32 = 0;
    /// The process let go of the link without closing it.
    pub const DROPPED: u32 = 0x100;
    /// A frame longer than `FRAME_BYTES_MAX` was announced.
    pub const FRAME_TOO_LARGE: u32 = 0x101;
    /// A lane's stream ended within a frame.
    pub const STREAM_TRUNCATED: u32 = 0x102;
    /// A lane's stream was reset, or reading from it was stopped.
    pub const STREAM_ABANDONED: u32 = 0x103;
    /// An unknown lane, a second stream for a lane, or a stream of the wrong kind.
    pub const STREAM_UNEXPECTED: u32 = 0x104;
    /// A join request that is too long, too slow, or never came.
    pub const JOIN_REQUEST: u32 = 0x105;
    /// A frame that came too slowly.
    pub const FRAME_SLOW: u32 = 0x106;
    /// What a peer breaks a rule of the transport with.
    pub const VIOLATIONS: std::ops::RangeInclusive<u32> = FRAME_TOO_LARGE..=FRAME_SLOW;
    /// Nothing was heard for `idle_timeout_ms`. Never on the wire.
    pub const SILENT: u32 = 0x180;
    /// The peer restarted or gave the link up, and knows nothing of it. Never on the wire.
    pub const FORGOTTEN: u32 = 0x181;
    /// QUIC itself failed. Never on the wire.
    pub const QUIC: u32 = 0x182;
}

/// What a peer said, fit for a log line: valid UTF-8 without control characters, cut at
/// `REASON_BYTES_MAX`.
pub(crate) fn clean_reason(bytes: &[u8]) -> String {
    let max = fenbu_protocol::limits::REASON_BYTES_MAX;
    let mut text: String = String::from_utf8_lossy(&bytes[..bytes.len().min(max)])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    while text.len() > max {
        text.pop();
    }
    text
}
