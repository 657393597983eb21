//! Real QUIC on loopback. Alice dials, Bob listens, Carol is somebody else, Eve speaks QUIC but
//! not by the rules: she writes raw streams under a proper handshake.

mod handshake;
mod join;
mod lanes;
mod violation;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::log::Lane;

use super::accept::Limits;
use super::{Endpoint, Incoming, Link, LinkEvent};
use crate::config::TransportConfig;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn id(seed: u8) -> NodeId {
    NodeId(key(seed).verifying_key().to_bytes())
}

const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;

fn endpoint(seed: u8) -> Endpoint {
    endpoint_with(seed, &TransportConfig::default(), Limits::default())
}

fn endpoint_with(seed: u8, settings: &TransportConfig, limits: Limits) -> Endpoint {
    Endpoint::bind_with(LOOPBACK, &key(seed), settings, limits).expect("loopback can be bound")
}

fn address(endpoint: &Endpoint) -> String {
    endpoint.local_addr().to_string()
}

/// Nothing here takes seconds; what hangs fails.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it hangs")
}

async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn accept_link(endpoint: &Endpoint) -> Link {
    match soon(endpoint.accept()).await {
        Some(Incoming::Sync(link)) => link,
        other => panic!("expected a link, found {other:?}"),
    }
}

/// Two endpoints and a link between them, Alice's end first. The endpoints must be kept.
struct Pair {
    alice: Link,
    bob: Link,
    _endpoints: [Endpoint; 2],
}

async fn pair() -> Pair {
    pair_with(&TransportConfig::default()).await
}

async fn pair_with(settings: &TransportConfig) -> Pair {
    let a = endpoint_with(ALICE, settings, Limits::default());
    let b = endpoint_with(BOB, settings, Limits::default());
    let there = address(&b);
    let (alice, bob) = tokio::join!(a.connect(id(BOB), &there), accept_link(&b));
    Pair { alice: alice.expect("bob answers"), bob, _endpoints: [a, b] }
}

/// The next frame, skipping `Sent`.
async fn frame(link: &mut Link) -> (Lane, Bytes) {
    loop {
        match soon(link.events.recv()).await {
            Some(LinkEvent::Frame { lane, bytes }) => return (lane, bytes),
            Some(LinkEvent::Sent { .. }) => {}
            other => panic!("expected a frame, found {other:?}"),
        }
    }
}

/// The last event, skipping everything before it.
async fn closed(link: &mut Link) -> (bool, u64, String) {
    loop {
        match soon(link.events.recv()).await {
            Some(LinkEvent::Closed { by_peer, code, reason }) => {
                assert_eq!(soon(link.events.recv()).await, None, "nothing follows");
                return (by_peer, code, reason);
            }
            Some(_) => {}
            None => panic!("ended without saying why"),
        }
    }
}

fn pattern(len: usize, salt: usize) -> Bytes {
    (0..len).map(|i| (i * 31 + i / 251 + salt) as u8).collect()
}
