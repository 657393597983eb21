//! What can go wrong between nodes, in words an administrator can act on.

use std::net::SocketAddr;
use std::time::Duration;

use fenbu_protocol::id::NodeId;
use quinn::ConnectionError;

use super::clean_reason;

/// Why binding, dialling, probing or joining failed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("another program listens on UDP {0}; stop it or set `listen` in fenbu.toml")]
    PortInUse(SocketAddr),
    #[error("this user may not listen on UDP {0}; set `listen` in fenbu.toml to a port above 1023")]
    PortForbidden(SocketAddr),
    #[error(
        "this machine has no address {}; set `listen` in fenbu.toml to one it has, or to \
         \"0.0.0.0:{}\" for all",
        .0.ip(),
        .0.port()
    )]
    NoSuchAddress(SocketAddr),
    #[error("cannot listen on UDP {listen}: {source}; check `listen` in fenbu.toml")]
    Bind { listen: SocketAddr, source: std::io::Error },
    #[error("the node key cannot be used for TLS: {0}")]
    Key(#[from] rustls::Error),
    #[error("`{key}` = {value} cannot be used for QUIC; correct it in fenbu.toml")]
    Setting { key: &'static str, value: u64 },
    #[error(
        "\"{address}\" is not an address: {why}; write host:port, such as node.example.org:4433"
    )]
    Address { address: String, why: &'static str },
    #[error(
        "the name in {address} does not resolve: {why}; check the spelling and this machine's DNS"
    )]
    Unresolved { address: String, why: String },
    #[error(
        "{address} has only IPv6 addresses, but this node listens on IPv4; set \
         `listen = \"[::]:4433\"` in fenbu.toml"
    )]
    Ipv6Only { address: String },
    #[error(
        "no answer from {address} ({remote}) within {} s; check that the node runs there and that \
         UDP port {} is open: inbound at its firewall, outbound at ours",
        .waited.as_secs(),
        .remote.port()
    )]
    Silent { address: String, remote: SocketAddr, waited: Duration },
    #[error(
        "another node answers at {address}: expected {expected}, found {found}; correct the address, \
         or if that machine was set up anew, let it join as a new node"
    )]
    WrongNode { address: String, expected: NodeId, found: NodeId },
    #[error(
        "{address} answers but does not speak {protocol}; another service may use the port, or one \
         of the two nodes needs an upgrade"
    )]
    NotFenbu { address: String, protocol: String },
    #[error("{address} refuses connections for now; it may be overloaded, try again in a minute")]
    Busy { address: String },
    #[error("the handshake with {address} failed: {why}")]
    Handshake { address: String, why: String },
    #[error("{address} closed the connection: {reason} (code {code:#x})")]
    ClosedByPeer { address: String, code: u64, reason: String },
    #[error("the connection to {address} was lost: {why}; try again")]
    Lost { address: String, why: String },
    #[error("{address} took longer than {} s to answer; try again", .waited.as_secs())]
    Slow { address: String, waited: Duration },
    #[error("a message of {bytes} bytes is over the limit of {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("{peer} sent no usable request: {why}")]
    Request { peer: NodeId, why: String },
    #[error("the link is closed: {0}")]
    LinkClosed(String),
    #[error("this node is shutting down")]
    ShuttingDown,
}

impl TransportError {
    /// How much an attempt's error tells, where several addresses failed: the greatest is shown.
    pub(crate) fn weight(&self) -> u8 {
        match self {
            Self::Unresolved { .. } | Self::Ipv6Only { .. } => 0,
            Self::Silent { .. } => 1,
            Self::Handshake { .. } | Self::Lost { .. } => 2,
            Self::Busy { .. } => 3,
            Self::NotFenbu { .. } => 4,
            _ => 5,
        }
    }
}

/// TLS alert `no_application_protocol` as a QUIC error code (RFC 9001 §4.8).
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
/// QUIC's CONNECTION_REFUSED.
const CONNECTION_REFUSED: u64 = 0x2;

/// A lost connection in words fit for a log line; a peer may have put text into it.
pub(crate) fn describe(error: &ConnectionError) -> String {
    clean_reason(error.to_string().as_bytes())
}

/// What a failed handshake with `address` at `remote` means.
pub(crate) fn handshake_failed(
    error: ConnectionError,
    address: &str,
    remote: SocketAddr,
    protocol: &[u8],
    waited: Duration,
) -> TransportError {
    let address = address.to_owned();
    let not_fenbu = |address| TransportError::NotFenbu {
        address,
        protocol: String::from_utf8_lossy(protocol).into_owned(),
    };
    match error {
        ConnectionError::TimedOut => TransportError::Silent { address, remote, waited },
        ConnectionError::VersionMismatch => not_fenbu(address),
        ConnectionError::LocallyClosed => TransportError::ShuttingDown,
        ConnectionError::TransportError(e) if u64::from(e.code) == NO_APPLICATION_PROTOCOL => {
            not_fenbu(address)
        }
        ConnectionError::ConnectionClosed(close) => match u64::from(close.error_code) {
            NO_APPLICATION_PROTOCOL => not_fenbu(address),
            CONNECTION_REFUSED => TransportError::Busy { address },
            _ => TransportError::Handshake {
                address,
                why: clean_reason(close.to_string().as_bytes()),
            },
        },
        other => connection_failed(other, &address),
    }
}

/// What the loss of an established connection to `address` means.
pub(crate) fn connection_failed(error: ConnectionError, address: &str) -> TransportError {
    let address = address.to_owned();
    match error {
        ConnectionError::ApplicationClosed(close) => TransportError::ClosedByPeer {
            address,
            code: close.error_code.into_inner(),
            reason: match clean_reason(&close.reason) {
                empty if empty.is_empty() => "it gave no reason".into(),
                reason => reason,
            },
        },
        ConnectionError::LocallyClosed => TransportError::ShuttingDown,
        ConnectionError::TransportError(e) => {
            TransportError::Handshake { address, why: clean_reason(e.to_string().as_bytes()) }
        }
        other => TransportError::Lost { address, why: describe(&other) },
    }
}
