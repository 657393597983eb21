//! Those who do not belong: another federation, a key nobody admitted, noise on the port.

use super::{FENBU, refused, story};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use fenbu_node::config::TransportConfig;
use fenbu_node::transport::{Endpoint, LinkEvent};
use fenbu_protocol::id::{FederationId, Hash, NodeId, unhex};
use fenbu_protocol::log::Lane;
use fenbu_protocol::wire::join::Token;
use fenbu_protocol::wire::{Hello, Message, WIRE_VERSION};
use fenbu_tests::cluster::{Cluster, log_digests};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::time::Duration;

/// Longer than the node waits for a greeting.
const CLOSE_PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn strangers_are_told_why_and_change_nothing() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let post = cluster.node("head").writes("topics", json!({"title": "One"}))?;
        cluster.settle()?;
        let before = cluster.node("head").status()?;
        ensure!(before["peers"]["known"] == 1, "{before}");

        another_federation_looks_in(cluster)?;
        let silent = knock(cluster, None)?;
        ensure!(silent.contains("join it first"), "{silent}");
        let foreign = knock(cluster, Some(FederationId([7; 32])))?;
        ensure!(foreign.contains("another federation"), "{foreign}");
        noise(cluster)?;

        let head = cluster.node("head");
        let after = head.status()?;
        assert_eq!(log_digests(&before), log_digests(&after));
        assert_eq!(before["directory_head"], after["directory_head"]);
        assert_eq!(after["alarms"], json!([]));
        ensure!(head.peer("alice")?["connected"] == true, "alice was cut off");
        head.edits("topics", &post, json!({"title": "Two"}))?;
        cluster.settle()?;
        assert_eq!(cluster.node("alice").shows("topics", &post)?["fields"]["title"], "Two");
        Ok(())
    });
}

/// A node of another federation finds ours by `doctor`, and neither takes the other for a peer; a
/// token of theirs with our address is told that another node answers there.
fn another_federation_looks_in(cluster: &Cluster) -> Result<()> {
    let theirs = Cluster::found(FENBU)?;
    let address = cluster.node("head").listen.to_string();
    let ended = theirs.node("head").fenbu(&["doctor", "--net", &address])?;
    ensure!(ended.code == 0 && ended.stdout.contains("answers"), "{ended:?}");
    let status = theirs.node("head").status()?;
    ensure!(status["peers"]["known"] == 0, "{status}");
    let token = Token::from_text(&theirs.invite("yancheng")?)?;
    let token = Token { addresses: vec![address], ..token }.to_text();
    let joined = cluster.plan("astray")?.fenbu(&["join", &token, "--listen", "127.0.0.1:0"])?;
    refused(&joined, 3, &["another node answers", "correct the address"])
}

/// Links to head office with a key that nobody admitted, says Hello for a federation or nothing,
/// and returns the reason with which head office closes.
fn knock(cluster: &Cluster, federation: Option<FederationId>) -> Result<String> {
    let head = cluster.node("head");
    let node = head.status()?["node"].as_str().context("a node has an id")?.to_owned();
    let node = NodeId(unhex::<32>(&node).map_err(|e| anyhow::anyhow!("{node}: {e}"))?);
    let address = head.listen.to_string();
    cluster.block_on(async {
        let eve = SigningKey::from_bytes(&[9; 32]);
        let local = "127.0.0.1:0".parse()?;
        let endpoint = Endpoint::bind(local, &eve, &TransportConfig::default())?;
        let mut link = endpoint.connect(node, &address).await?;
        if let Some(federation) = federation {
            link.handle.send(Lane::DIRECTORY, hello(federation)).await?;
        }
        let closed = async {
            while let Some(event) = link.events.recv().await {
                if let LinkEvent::Closed { by_peer, reason, .. } = event {
                    ensure!(by_peer, "our own end closed: {reason}");
                    return Ok(reason);
                }
            }
            anyhow::bail!("the link ended without a reason")
        };
        tokio::time::timeout(CLOSE_PATIENCE, closed).await.context("it is kept open")?
    })
}

fn hello(federation: FederationId) -> Bytes {
    let hello = Hello {
        version_min: WIRE_VERSION,
        version_max: WIRE_VERSION,
        federation,
        epoch: 1,
        directory: Hash([1; 32]),
        digest: Hash([2; 32]),
        agent: "eve".into(),
        state: None,
    };
    Bytes::from_owner(Message::Hello(hello).to_frame())
}

/// Datagrams of every length, the shapes of QUIC's first bytes among them.
fn noise(cluster: &Cluster) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let to = cluster.node("head").listen;
    let mut byte = 0x9d_u8;
    for n in 0..3_000_usize {
        let datagram: Vec<u8> = (0..n % 1_400)
            .map(|i| {
                byte = byte.wrapping_mul(181).wrapping_add(i as u8 ^ 0x35);
                // An Initial of version 1 with random insides, every third time.
                match (n % 3, i) {
                    (0, 0) => 0xc3,
                    (0, 1..=3) => 0,
                    (0, 4) => 1,
                    _ => byte,
                }
            })
            .collect();
        // A full socket buffer drops some, as networks do.
        let _ = socket.send_to(&datagram, to);
    }
    let status: Value = cluster.node("head").status()?;
    ensure!(status["peers"]["connected"] == 1, "{status}");
    Ok(())
}
