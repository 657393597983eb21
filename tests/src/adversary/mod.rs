//! A member that means harm: a key the directory admits, a real QUIC connection, and no rules.
//!
//! | file | attacks |
//! |---|---|
//! | [`frames`] | lengths that lie, frames cut short, bombs, very many and very small frames |
//! | [`streams`] | slow, too many, reset, in both directions |
//! | [`floods`] | legal messages, again and again |
//! | [`runs`] | batches that do not prove themselves, forks, logs that have no place |
//! | [`changes`] | signed entries whose bodies mean harm |
//! | [`handshakes`] | before any key: unknown keys, garbage, ten thousand Initials a second |
//!
//! An [`Attack`] goes on until its time is up, and tells what came of it in a [`Tally`].

mod arena;
pub mod changes;
pub mod floods;
pub mod frames;
pub mod handshakes;
pub mod line;
pub mod runs;
pub mod streams;

pub use arena::{Arena, Report};

use anyhow::{Context, Result, ensure};
use ed25519_dalek::SigningKey;
use fenbu_node::config::TransportConfig;
use fenbu_node::transport::Endpoint;
use fenbu_node::transport::tls::{self, TheNode};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::NodeId;
use fenbu_protocol::seal::sealing_public;
use fenbu_protocol::wire::join::{self, JoinAnswer, JoinRequest, Token};
use line::Line;
use quinn::crypto::rustls::QuicClientConfig;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the adversary waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long beyond its time an attack may wait for the node to close the link.
const VERDICT: Duration = Duration::from_secs(4);

/// A node's key, the directory that admits it, and whom it attacks.
#[derive(Debug)]
pub struct Adversary {
    pub key: SigningKey,
    pub directory: Directory,
    target: NodeId,
    remote: SocketAddr,
    endpoint: quinn::Endpoint,
    incarnation: AtomicU32,
}

impl Adversary {
    /// Joins with a token, as `fenbu join` does, and turns on `target`, which listens at `remote`.
    ///
    /// # Errors
    /// The issuer does not let it in.
    pub async fn join(token: &str, target: NodeId, remote: SocketAddr) -> Result<Self> {
        let token = Token::from_text(token)?;
        let key = SigningKey::from_bytes(&[0xee; 32]);
        let local: SocketAddr = "127.0.0.1:0".parse()?;
        let client = Endpoint::bind_to_dial(local, &key, &TransportConfig::default())?;
        let address = token.addresses.first().context("a token has an address")?;
        let request = |exporter: [u8; 32]| {
            let request = JoinRequest {
                federation: token.federation,
                secret: token.secret,
                proof: JoinRequest::prove(&key, &exporter),
                name: "eve".into(),
                // Nobody answers there.
                addresses: vec!["127.0.0.1:9".into()],
                sealing: sealing_public(&key),
            };
            minicbor::to_vec(&request).expect("encoding to memory")
        };
        let answer = client.join(token.issuer, address, request).await?;
        client.close(0, "joined").await;
        let answer: JoinAnswer = join::decode(&answer)?;
        ensure!(answer.refusal.is_none(), "{:?}", answer.refusal);
        let directory = Directory::from_chain(token.federation, answer.statements)?;
        let endpoint = quinn::Endpoint::client(local)?;
        Ok(Self { key, directory, target, remote, endpoint, incarnation: AtomicU32::new(0) })
    }

    /// The node under attack.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub fn node(&self) -> NodeId {
        NodeId(self.key.verifying_key().to_bytes())
    }

    /// A number no log of this adversary has had.
    pub fn incarnation(&self) -> u32 {
        self.incarnation.fetch_add(1, Ordering::Relaxed)
    }

    /// Links with the key that is admitted.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn dial(&self) -> Result<Line> {
        let connecting = self.connect_as(&self.key, self.remote)?;
        let connection = tokio::time::timeout(PATIENCE, connecting).await??;
        Ok(Line::new(connection))
    }

    /// Links and greets.
    ///
    /// # Errors
    /// The handshake fails, or the link is closed at once.
    pub async fn greet(&self) -> Result<Line> {
        let mut line = self.dial().await?;
        line.hello(&self.directory, self.directory.federation()).await?;
        Ok(line)
    }

    /// Begins a handshake with some key.
    ///
    /// # Errors
    /// The endpoint is closed.
    pub fn connect_as(&self, key: &SigningKey, remote: SocketAddr) -> Result<quinn::Connecting> {
        let verifier = TheNode::new(Some(self.target));
        let crypto = tls::client(key, fenbu_node::transport::ALPN_SYNC, verifier)?;
        let crypto = QuicClientConfig::try_from(crypto)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = quinn::TransportConfig::default();
        transport.max_concurrent_uni_streams(32_u32.into());
        config.transport_config(Arc::new(transport));
        Ok(self.endpoint.connect_with(config, remote, "fenbu")?)
    }
}

/// What came of an attack.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Frames, datagrams, handshakes or streams, as the attack counts.
    pub tries: u64,
    /// How often the node closed the link, by code; see `protocol/WIRE.md`.
    pub closed: BTreeMap<u64, u64>,
    /// Links that could not be made.
    pub unreached: u64,
}

impl Tally {
    pub(crate) fn close(&mut self, code: Option<u64>) {
        if let Some(code) = code {
            *self.closed.entry(code).or_default() += 1;
        }
    }
}

macro_rules! attacks {
    ($($name:ident, $text:literal, $module:ident::$function:ident;)*) => {
        /// Every attack there is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Attack {
            $(#[doc = $text] $name,)*
        }

        impl Attack {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it is, in words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The file it stands in.
            pub fn family(self) -> &'static str {
                match self { $(Self::$name => stringify!($module),)* }
            }

            async fn once(self, eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
                match self { $(Self::$name => $module::$function(eve, end, tally).await,)* }
            }
        }
    };
}

attacks! {
    LyingLength, "a frame of 4 GiB is announced", frames::lying_length;
    Oversized, "a frame one byte too long is announced", frames::oversized;
    Truncated, "streams end within a frame", frames::truncated;
    Unfinished, "the longest frames are begun and left", frames::unfinished;
    Bomb, "zstd bombs", frames::bomb;
    Empty, "empty frames", frames::empty;
    Garbage, "frames of random bytes", frames::garbage;
    Tiny, "thousands of tiny frames", frames::tiny;
    Slow, "one byte a second on every lane", streams::slow;
    TooMany, "more streams than lanes", streams::too_many;
    BothWays, "bidirectional streams", streams::both_ways;
    Reset, "streams reset within a frame", streams::reset;
    Hellos, "greeting twice", floods::hellos;
    Haves, "vectors of unknown logs again and again", floods::haves;
    Wants, "wants for everything again and again", floods::wants;
    WantsUnread, "wants without reading the answers", floods::wants_unread;
    Digests, "digests again and again", floods::digests;
    Prunes, "prunes and declines", floods::prunes;
    Statements, "known statements again and again", floods::statements;
    BadSignature, "runs with a wrong signature", runs::bad_signature;
    BadHash, "runs whose bodies were altered", runs::bad_hash;
    Forks, "two histories of one log", runs::forks;
    ForeignSpace, "logs of spaces that do not exist", runs::foreign_space;
    Detached, "runs without their beginning", runs::detached;
    OpBombs, "changes of ten million operations", changes::op_bombs;
    Deflated, "deflated changes", changes::deflated;
    NonCanonical, "changes in another spelling", changes::non_canonical;
    Jumps, "operation counters near their end", changes::jumps;
    Nested, "three hundred nested maps", changes::nested;
    Orphans, "changes whose dependencies never come", changes::orphans;
    FutureEpochs, "entries that cite epochs to come", changes::future_epochs;
    UnknownKeys, "handshakes with keys nobody admitted", handshakes::unknown_keys;
    Noise, "garbage on the port", handshakes::noise;
    Initials, "ten thousand Initials a second", handshakes::initials;
}

impl Attack {
    /// Attacks for so long.
    pub async fn run(self, eve: &Adversary, time: Duration) -> Tally {
        let begun = Instant::now();
        let mut tally = Tally::default();
        // On a busy machine the first try may come late.
        while begun.elapsed() < time || (tally.tries == 0 && begun.elapsed() < PATIENCE) {
            let end = Instant::now().max(begun + time) + Duration::from_millis(100);
            // A verdict that is on its way is waited for.
            let left = end.saturating_duration_since(Instant::now()) + VERDICT;
            match tokio::time::timeout(left, self.once(eve, end, &mut tally)).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => {
                    tally.unreached += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        tally
    }
}
