//! A subduction connection: its own WebSocket transport and handshake over a TCP line whose bytes are
//! counted, without TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use async_tungstenite::tokio::TokioAdapter;
use async_tungstenite::{WebSocketStream, accept_async, client_async};
use future_form::Sendable;
use subduction_core::authenticated::Authenticated;
use subduction_core::handshake::audience::Audience;
use subduction_core::handshake::{initiate, respond};
use subduction_core::peer::id::PeerId;
use subduction_core::timestamp::TimestampSeconds;
use subduction_core::transport::message::MessageTransport;
use subduction_crypto::nonce::Nonce;
use subduction_websocket::handshake::WebSocketHandshake;
use subduction_websocket::websocket::WebSocket;
use tokio::net::{TcpListener, TcpStream};

use super::Repo;
use crate::tcp::{Counted, Line};

type Stream = TokioAdapter<Counted>;
type Socket = WebSocket<Stream, Sendable>;
pub type Connection = MessageTransport<Socket>;

/// How far the two clocks may be apart; here they are one.
const MAX_DRIFT: Duration = Duration::from_secs(60);

/// Connects to the peer and registers the connection; nothing is synced yet.
pub async fn connect(repo: &Repo, line: &Line, address: SocketAddr, peer: PeerId) -> Result<()> {
    let stream = TokioAdapter::new(line.connect(address).await?);
    let (stream, _) = client_async(format!("ws://{address}"), stream).await?;
    let (authenticated, ()) = initiate::<Sendable, _, _, _, _>(
        WebSocketHandshake::new(stream),
        |handshake, peer| (started(handshake.into_inner(), peer), ()),
        repo.signer(),
        Audience::known(peer),
        TimestampSeconds::now(),
        Nonce::random(),
    )
    .await
    .map_err(|e| anyhow!("{e}"))?;
    add(repo, authenticated).await
}

/// Accepts connections for as long as the process lives.
pub async fn accept_all(listener: TcpListener, repo: Arc<Repo>) {
    while let Ok((stream, _)) = listener.accept().await {
        if let Err(error) = accept(stream, &repo).await {
            eprintln!("a connection failed: {error:#}");
        }
    }
}

async fn accept(stream: TcpStream, repo: &Repo) -> Result<()> {
    let stream = Line::default().count(stream)?;
    let stream = accept_async(TokioAdapter::new(stream)).await?;
    let (authenticated, ()) = respond::<Sendable, _, _, _, _>(
        WebSocketHandshake::new(stream),
        |handshake, peer| (started(handshake.into_inner(), peer), ()),
        repo.signer(),
        repo.nonce_cache(),
        repo.peer_id(),
        None,
        TimestampSeconds::now(),
        MAX_DRIFT,
    )
    .await
    .map_err(|e| anyhow!("{e}"))?;
    add(repo, authenticated).await
}

async fn add(repo: &Repo, authenticated: Authenticated<Socket, Sendable>) -> Result<()> {
    let connection = authenticated.map(MessageTransport::new);
    repo.add_connection(connection).await.context("adding the connection")?;
    Ok(())
}

/// The transport of a WebSocket, with the two tasks that move its messages.
fn started(stream: WebSocketStream<Stream>, peer: PeerId) -> Socket {
    let (socket, sender) = WebSocket::new(stream, peer);
    let listening = socket.clone();
    // Both end with the connection, and say so to the library by closing its channels.
    tokio::spawn(sender);
    tokio::spawn(async move { listening.listen().await });
    socket
}
