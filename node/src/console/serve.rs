//! The console's listener: on loopback, beside QUIC's port, unless told otherwise.

use super::{Office, Origin, router};
use crate::config::ConsoleConfig;
use crate::daemon::Daemon;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where the console listens, as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Off,
    At(SocketAddr),
}

/// Why there is no console. The node runs without one.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConsoleError {
    #[error(
        "the console cannot listen on {address}: {why}; set console.listen to an address that is free"
    )]
    Bind { address: SocketAddr, why: String },
    #[error(
        "console.listen is {address}, which other machines reach, and passwords must not travel in plain: set console.tls_certificate and console.tls_key, or put a proxy with TLS before a loopback address"
    )]
    Plain { address: SocketAddr },
}

/// The console's listener before it serves.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) address: SocketAddr,
    listener: std::net::TcpListener,
}

impl Address {
    /// `auto` is loopback, at the port QUIC has for UDP.
    pub(super) fn of(config: &ConsoleConfig, quic: SocketAddr) -> Self {
        match config.listen.as_str() {
            "off" => Self::Off,
            "auto" => Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), quic.port())),
            // Checked when the settings were read.
            text => text.parse().map_or(Self::Off, Self::At),
        }
    }
}

/// Binds the listener; `None` if there is to be no console.
pub(crate) fn bind(
    config: &ConsoleConfig,
    quic: SocketAddr,
) -> Result<Option<Console>, ConsoleError> {
    let Address::At(address) = Address::of(config, quic) else { return Ok(None) };
    if !address.ip().is_loopback() {
        return Err(ConsoleError::Plain { address });
    }
    let error = |e: std::io::Error| ConsoleError::Bind { address, why: e.to_string() };
    let listener = std::net::TcpListener::bind(address).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok(Some(Console { address, listener }))
}

/// Serves until `stop` is true; requests under way are finished.
pub(crate) async fn serve(console: Console, daemon: Arc<Daemon>, mut stop: watch::Receiver<bool>) {
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    hosts.push(match console.address.ip() {
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    });
    hosts.extend(daemon.config.console.hosts.iter().cloned());
    let office = Office { daemon, hosts: hosts.into() };
    let service = router(office).into_make_service_with_connect_info::<Origin>();
    let stopped = async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = stop.wait_for(|s| *s).await;
    };
    let listener = match TcpListener::from_std(console.listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the console cannot be served"),
    };
    if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "the console failed");
    }
}
