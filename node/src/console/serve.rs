//! The console's listener: on loopback, beside QUIC's port, unless told otherwise; beyond loopback with TLS
//! only.
//!
//! A connection that does not say what it wants, or does not finish its handshake, is closed; so many are
//! served at a time, and the others wait.

use super::{Office, Origin, router};
use crate::config::ConsoleConfig;
use crate::daemon::Daemon;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Connections served at a time: a browser keeps a few, and one for what is live.
const CONNECTIONS_MAX: usize = 512;
/// For a TLS handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

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
    #[error("the console's certificate cannot be used, {path}: {why}")]
    Certificate { path: String, why: String },
}

/// The console's listener before it serves.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) address: SocketAddr,
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Console {
    /// Where a browser finds it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }
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
    let tls = match (config.tls_certificate.as_str(), config.tls_key.as_str()) {
        ("", "") if address.ip().is_loopback() => None,
        ("", _) | (_, "") => return Err(ConsoleError::Plain { address }),
        (certificate, key) => Some(Arc::new(tls_config(certificate, key)?)),
    };
    let error = |e: std::io::Error| ConsoleError::Bind { address, why: e.to_string() };
    let listener = std::net::TcpListener::bind(address).map_err(error)?;
    listener.set_nonblocking(true).map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok(Some(Console { address, listener, tls }))
}

/// A certificate chain and its key, both PEM.
fn tls_config(certificate: &str, key: &str) -> Result<ServerConfig, ConsoleError> {
    let unusable = |path: &str, why: &dyn std::fmt::Display| ConsoleError::Certificate {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unusable(certificate, &e))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, &e))?;
    let mut config = ServerConfig::builder_with_provider(crate::transport::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|e| unusable(certificate, &e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Serves until `stop` is true; requests under way are finished.
pub(crate) async fn serve(console: Console, daemon: Arc<Daemon>, mut stop: watch::Receiver<bool>) {
    let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    hosts.push(match console.address.ip() {
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    });
    hosts.extend(daemon.config.console.hosts.iter().cloned());
    let pages = router(Office { daemon, hosts: hosts.into() });
    let listener = match TcpListener::from_std(console.listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the console cannot be served"),
    };
    let tls = console.tls.map(TlsAcceptor::from);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // INVARIANT: the semaphore is never closed.
        let permit = room.clone().acquire_owned().await.expect("room is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, from)) => {
                let (pages, tls, stop) = (pages.clone(), tls.clone(), stop.clone());
                tokio::spawn(async move {
                    connection(stream, from, tls, pages, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: others end in a moment.
                tracing::warn!(%error, "a visitor could not be let in");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Connections under way hear of the stop themselves and give their room back.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = room.acquire_many(all).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<TlsAcceptor>,
    pages: Router,
    stop: watch::Receiver<bool>,
) {
    let Some(tls) = tls else { return requests(stream, from, pages, stop).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, from, pages, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, %from, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%from, "a TLS handshake was not finished"),
    }
}

async fn requests<S>(stream: S, from: SocketAddr, pages: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(Origin(from)));
        pages.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %from, "a visitor's connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listen: &str) -> Result<Option<Console>, ConsoleError> {
        let config = ConsoleConfig { listen: listen.into(), ..ConsoleConfig::default() };
        bind(&config, "0.0.0.0:0".parse().unwrap())
    }

    #[test]
    fn it_listens_on_loopback_or_with_a_certificate() {
        assert!(at("off").unwrap().is_none());
        let console = at("auto").unwrap().unwrap();
        assert!(console.address.ip().is_loopback());
        assert!(console.url().starts_with("http://127.0.0.1:"));
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
            let refused = at(open).unwrap_err().to_string();
            assert!(refused.contains("console.tls_certificate"), "{refused}");
        }
        let taken = at(&console.address.to_string()).unwrap_err();
        assert!(taken.to_string().contains("set console.listen"), "{taken}");
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_named() {
        let config = ConsoleConfig {
            listen: "0.0.0.0:0".into(),
            tls_certificate: "/nowhere/cert.pem".into(),
            tls_key: "/nowhere/key.pem".into(),
            ..ConsoleConfig::default()
        };
        let refused = bind(&config, "0.0.0.0:0".parse().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("/nowhere/cert.pem"), "{refused}");
    }
}
