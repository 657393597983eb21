//! A small federation with fixed keys, and chance that repeats.

use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope, Template, space_id,
};
use fenbu_protocol::id::{DocId, FederationId, Hash, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Opening, Run, Shape, Tip};
use fenbu_protocol::record::{Schema, schema_named};
use fenbu_protocol::seal::sealing_public;
use std::sync::OnceLock;

/// Drawn from a seed, the same each time.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(stream: u64, seed: u64) -> Self {
        let hash = Hash::of("dice", &[&stream.to_be_bytes(), &seed.to_be_bytes()]);
        Self(u64::from_be_bytes(hash.0[..8].try_into().unwrap_or_default()))
    }

    pub fn roll(&mut self) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    pub fn document(&mut self) -> DocId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.roll().to_be_bytes());
        id[8..].copy_from_slice(&self.roll().to_be_bytes());
        DocId(id)
    }
}

/// The node that judges, an honest author, and one with a key of its own that forges and delivers.
pub(super) const JUDGE: u8 = 2;
pub(super) const ALICE: u8 = 3;
pub(super) const EVE: u8 = 4;

pub(super) fn key(who: u8) -> SigningKey {
    SigningKey::from_bytes(&[who; 32])
}

pub(super) fn id(who: u8) -> NodeId {
    NodeId(key(who).verifying_key().to_bytes())
}

pub(super) fn federation(root: u8) -> FederationId {
    FederationId(key(root).verifying_key().to_bytes())
}

/// The space every node writes.
pub(super) fn space() -> SpaceId {
    space_id(&federation(1), "federation")
}

/// A space every node reads and Alice's unit alone writes.
pub(super) fn alices() -> SpaceId {
    space_id(&federation(1), "alices")
}

pub(super) fn topic() -> &'static Schema {
    schema_named("topic").expect("there are topics")
}

/// The directory all of them share.
pub(super) fn directory() -> &'static Directory {
    static DIRECTORY: OnceLock<Directory> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut directory = Directory::empty(federation(1));
        let mut say = |by: u8, act: Act| {
            let signed = directory.draft(&key(by), &act, 0);
            directory.apply(signed).expect("a statement of the directory's own admin");
        };
        say(
            1,
            Act::Found(Found { name: "f".into(), admin: id(JUDGE), head_office: "head".into() }),
        );
        for unit in ["head", "alice", "eve"] {
            say(JUDGE, Act::DefineUnit(DefineUnit { code: unit.into(), name: unit.into() }));
        }
        for (label, writers) in
            [("federation", Scope::everyone()), ("alices", Scope::units(["alice".to_owned()]))]
        {
            say(
                JUDGE,
                Act::DefineSpace(DefineSpace {
                    space: space_id(&federation(1), label),
                    label: label.into(),
                    template: Template::FEDERATION,
                    unit: None,
                    readers: Scope::everyone(),
                    writers,
                    carriers: Scope::everyone(),
                    cuts: None,
                }),
            );
        }
        for (who, unit) in [(JUDGE, "head"), (ALICE, "alice"), (EVE, "eve")] {
            say(
                JUDGE,
                Act::AdmitNode(AdmitNode {
                    node: id(who),
                    unit: unit.into(),
                    name: unit.into(),
                    role: Role::SERVER,
                    addresses: vec![],
                    sealing: sealing_public(&key(who)),
                }),
            );
        }
        directory
    })
}

/// A log in the making, and the key that signs it.
#[derive(Debug, Clone)]
pub(super) struct Pen {
    pub(super) author: Author,
    pub(super) key: SigningKey,
    pub(super) epoch: u64,
    pub(super) genesis: u16,
}

impl Pen {
    pub(super) fn new(who: u8, space: SpaceId, incarnation: u32) -> Self {
        let key = key(who);
        Self::with(Opening::sign(&key, space, incarnation), key)
    }

    pub(super) fn with(opening: Opening, key: SigningKey) -> Self {
        let author = Author::new(opening, Tip::start(opening.log()), 0);
        Self { author, key, epoch: directory().epoch(), genesis: topic().genesis }
    }

    pub(super) fn actor(&self) -> [u8; 16] {
        self.author.log().actor()
    }

    pub(super) fn put(&mut self, document: DocId, body: &[u8]) -> &mut Self {
        let schema = topic();
        self.author.append(&Draft {
            epoch: self.epoch,
            directory: directory().head_prefix(),
            now_ms: 1_700_000_000_000,
            shape: Shape {
                version: HEADER_VERSION,
                lane: schema.lane,
                kind: schema.kind,
                genesis: self.genesis,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document,
            body,
        });
        self
    }

    pub(super) fn close(&mut self) -> Run {
        self.author.close(&self.key).expect("something was put")
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        self.close().as_bytes().to_vec()
    }
}
