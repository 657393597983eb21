//! Who holds which key: a small federation whose admin says what is due, step by step.

use crate::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, RevokeNode, Role, Scope, Template,
    space_id,
};
use crate::id::{DocId, FederationId, Hash, HashPrefix, LogId, NodeId, SpaceId};
use crate::log::{Encoding, HEADER_VERSION, Header, Kind, Lane, Shape, body_hash};
use crate::seal::*;
use ed25519_dalek::SigningKey;
use std::borrow::Cow;

const ROOT: u8 = 1;
const HEAD: u8 = 2;
const ALICE: u8 = 3;
const ALICES_NEW: u8 = 4;
const BOB: u8 = 5;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn id(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

fn federation() -> FederationId {
    FederationId(id(ROOT).0)
}

fn space(label: &str) -> SpaceId {
    space_id(&federation(), label)
}

/// A directory, the keys of whoever signs it, and what stands in for randomness.
struct World {
    directory: Directory,
    admin: Keyring,
    draws: u8,
}

impl World {
    /// Head office, Alice's unit and Bob's, each with a node; keys are not handed out yet.
    fn new() -> Self {
        let directory = Directory::empty(federation());
        let mut world = Self { directory, admin: Keyring::default(), draws: 0 };
        let found = Found { name: "f".into(), admin: id(HEAD), head_office: "head".into() };
        world.say_as(ROOT, &Act::Found(found));
        for code in ["head", "alice", "bob"] {
            world.say(&Act::DefineUnit(DefineUnit { code: code.into(), name: code.into() }));
        }
        world.define("federation", Template::FEDERATION, None, Scope::everyone());
        for code in ["head", "alice", "bob"] {
            let readers = Scope::units(["head".to_owned(), code.to_owned()]);
            world.define(code, Template::UNIT, Some(code), readers);
        }
        for (n, unit) in [(HEAD, "head"), (ALICE, "alice"), (BOB, "bob")] {
            world.admit(n, unit);
        }
        world
    }

    fn say_as(&mut self, by: u8, act: &Act) {
        let signed = self.directory.draft(&key(by), act, 0);
        self.directory.apply(signed).unwrap();
    }

    fn say(&mut self, act: &Act) {
        self.say_as(HEAD, act);
    }

    fn define(&mut self, label: &str, template: Template, unit: Option<&str>, readers: Scope) {
        self.say(&Act::DefineSpace(DefineSpace {
            space: space(label),
            label: label.into(),
            template,
            unit: unit.map(str::to_owned),
            writers: Scope::everyone(),
            readers,
            carriers: Scope::everyone(),
            cuts: None,
        }));
    }

    fn admit(&mut self, n: u8, unit: &str) {
        self.say(&Act::AdmitNode(AdmitNode {
            node: id(n),
            unit: unit.into(),
            name: format!("node {n}"),
            role: Role::SERVER,
            addresses: vec![],
            sealing: sealing_public(&key(n)),
        }));
    }

    fn revoke(&mut self, n: u8) {
        self.say(&Act::RevokeNode(RevokeNode { node: id(n), cuts: vec![] }));
    }

    /// Says what is due, and returns how many statements that was.
    fn hand_out(&mut self) -> usize {
        let draws = &mut self.draws;
        let acts = due(&self.directory, &self.admin, &mut || {
            *draws += 1;
            [*draws; 32]
        });
        for act in &acts {
            self.say(act);
        }
        self.admin.learn(&self.directory, &id(HEAD), &sealing_secret(&key(HEAD)));
        acts.len()
    }

    fn keyring(&self, n: u8) -> Keyring {
        let mut keyring = Keyring::default();
        keyring.learn(&self.directory, &id(n), &sealing_secret(&key(n)));
        keyring
    }

    /// The key epochs of a space that a node holds.
    fn held(&self, n: u8, label: &str) -> Vec<u32> {
        let space = self.directory.space(&space(label)).unwrap();
        let keyring = self.keyring(n);
        (1..=space.key_epoch()).filter(|e| keyring.key(space, *e).is_some()).collect()
    }
}

fn header(kind: u16, encoding: Encoding, key_epoch: u32) -> Header {
    Header {
        log: LogId([1; 32]),
        seq: 1,
        previous: Hash([1; 32]),
        epoch: 1,
        directory: HashPrefix([0; 8]),
        clock: 1,
        shape: Shape {
            version: HEADER_VERSION,
            lane: Lane::RECORDS,
            kind: Kind(kind),
            genesis: 1,
            encoding,
            key_epoch,
        },
        document: DocId([1; 16]),
        body_len: 0,
        body_hash: body_hash(&[]),
    }
}

#[test]
fn every_reader_gets_the_first_key_of_its_spaces_and_nobody_else_does() {
    let mut world = World::new();
    assert_eq!(world.hand_out(), 3, "one for each unit's space, none for the federation's");
    assert_eq!(world.hand_out(), 0, "and nothing more");
    for label in ["head", "alice", "bob"] {
        assert_eq!(world.held(HEAD, label), [1], "{label}");
    }
    assert_eq!(world.held(ALICE, "alice"), [1]);
    assert_eq!((world.held(ALICE, "bob"), world.held(ALICE, "head")), (vec![], vec![]));
    assert_eq!(missing(&world.directory), []);
    let (alice, head) = (world.keyring(ALICE), world.keyring(HEAD));
    let of_alice = world.directory.space(&space("alice")).unwrap();
    assert_eq!(alice.newest(of_alice), head.newest(of_alice));
    let of_head = world.directory.space(&space("head")).unwrap();
    assert_ne!(head.newest(of_head), head.newest(of_alice), "a key for each space");
}

#[test]
fn a_new_reader_gets_the_old_keys_and_no_new_one_is_made() {
    let mut world = World::new();
    world.hand_out();
    world.revoke(BOB);
    world.hand_out();
    world.admit(ALICES_NEW, "alice");
    let lacks = Missing { space: space("alice"), key_epoch: 1, node: id(ALICES_NEW) };
    assert_eq!(missing(&world.directory), [lacks]);
    assert_eq!(world.hand_out(), 1);
    assert_eq!(world.held(ALICES_NEW, "alice"), [1]);
    assert!(world.held(ALICES_NEW, "bob").is_empty());
    world.admit(6, "bob");
    assert_eq!(world.hand_out(), 2, "both keys of Bob's space");
    assert_eq!(world.held(6, "bob"), [1, 2]);
}

#[test]
fn a_reader_that_leaves_ends_the_key() {
    let mut world = World::new();
    world.hand_out();
    world.admit(ALICES_NEW, "alice");
    world.hand_out();
    world.revoke(ALICE);
    let of_alice = world.directory.space(&space("alice")).unwrap();
    assert_eq!(
        rotation(&world.directory, &world.admin, of_alice),
        Some(Rotation::ReaderLeft(id(ALICE)))
    );
    assert_eq!(world.hand_out(), 1);
    assert_eq!(world.held(ALICES_NEW, "alice"), [1, 2]);
    assert_eq!(world.held(HEAD, "alice"), [1, 2]);
    assert_eq!(world.held(ALICE, "alice"), [1], "what it could read it still can");
    assert_eq!(world.hand_out(), 0);
}

#[test]
fn readers_made_fewer_end_the_key_and_more_readers_do_not() {
    let mut world = World::new();
    world.hand_out();
    let more = Scope::units(["head", "alice", "bob"].map(String::from));
    world.define("alice", Template::UNIT, Some("alice"), more);
    assert_eq!(world.hand_out(), 1);
    assert_eq!(world.held(BOB, "alice"), [1]);
    world.define("alice", Template::UNIT, Some("alice"), Scope::units(["alice".to_owned()]));
    assert_eq!(world.hand_out(), 1);
    assert_eq!(world.held(BOB, "alice"), [1]);
    assert_eq!(world.held(HEAD, "alice"), [1], "head office reads it no more either");
    assert_eq!(world.held(ALICE, "alice"), [1, 2]);
}

/// An admin that does not read a space can give newcomers a key to go on with, not the past.
#[test]
fn a_key_the_signer_does_not_hold_is_replaced_for_a_newcomer() {
    let mut world = World::new();
    world.hand_out();
    world.admin = Keyring::default();
    assert_eq!(world.hand_out(), 0, "every reader has every key: nothing is due");
    world.admin = Keyring::default();
    world.admit(ALICES_NEW, "alice");
    assert_eq!(world.hand_out(), 1);
    assert_eq!(world.held(ALICES_NEW, "alice"), [2]);
    assert_eq!(world.held(ALICE, "alice"), [1, 2]);
    let lacks = Missing { space: space("alice"), key_epoch: 1, node: id(ALICES_NEW) };
    assert_eq!(missing(&world.directory), [lacks]);
}

#[test]
fn writing_waits_for_the_latest_key() {
    let mut world = World::new();
    let sealing = |world: &World, n, label: &str| {
        let keyring = world.keyring(n);
        match keyring.sealing(&world.directory, &space(label)) {
            Ok(Sealing::Plain) => Ok(0),
            Ok(Sealing::Under { key_epoch, .. }) => Ok(key_epoch),
            Err(error) => Err(error.key_epoch),
        }
    };
    assert_eq!(sealing(&world, ALICE, "federation"), Ok(0), "plain");
    assert_eq!(sealing(&world, ALICE, "alice"), Err(0));
    world.hand_out();
    assert_eq!(sealing(&world, ALICE, "alice"), Ok(1));
    assert_eq!(sealing(&world, BOB, "alice"), Err(1));
    world.revoke(ALICE);
    world.hand_out();
    assert_eq!(sealing(&world, HEAD, "alice"), Ok(2));
    assert_eq!(sealing(&world, ALICE, "alice"), Err(2), "an older key will not do");
    let error = world.keyring(BOB).sealing(&world.directory, &space("bob")).map(|_| ());
    assert_eq!(error, Ok(()));
}

#[test]
fn a_body_is_read_by_the_key_it_names() {
    let mut world = World::new();
    world.hand_out();
    let (alice, bob) = (world.keyring(ALICE), world.keyring(BOB));
    let directory = &world.directory;
    let at = header(2, Encoding::SEALED, 1);
    let of_alice = directory.space(&space("alice")).unwrap();
    let place = Place::of(of_alice.id, &at);
    let sealed = seal(alice.key(of_alice, 1).unwrap(), [7; 24], &place, b"minutes");
    let plain = Reading::Plain(Cow::Borrowed(b"minutes"));
    assert_eq!(alice.read(directory, &of_alice.id, &at, &sealed), plain);
    assert_eq!(bob.read(directory, &of_alice.id, &at, &sealed), Reading::Waits, "no key");
    let later = header(2, Encoding::SEALED, 2);
    assert_eq!(alice.read(directory, &of_alice.id, &later, &sealed), Reading::Waits, "not yet");
    let elsewhere = Header { seq: 2, ..at };
    assert_eq!(
        alice.read(directory, &of_alice.id, &elsewhere, &sealed),
        Reading::Refused(BodyError::Seal(OpenError::Altered))
    );
}

#[test]
fn plain_and_sealed_bodies_do_not_stand_in_for_each_other() {
    let mut world = World::new();
    world.hand_out();
    let alice = world.keyring(ALICE);
    let read =
        |label: &str, header: &Header| alice.read(&world.directory, &space(label), header, b"x");
    let (plain, sealed) = (header(1, Encoding::CHANGE, 0), header(1, Encoding::SEALED, 1));
    assert_eq!(read("federation", &plain), Reading::Plain(Cow::Borrowed(b"x")));
    assert_eq!(read("federation", &sealed), Reading::Refused(BodyError::Sealed));
    assert_eq!(read("alice", &plain), Reading::Refused(BodyError::Unsealed));
    assert_eq!(read("alice", &header(1, Encoding(9), 0)), Reading::Waits, "a newer version's");
    assert_eq!(read("nowhere", &plain), Reading::Waits);
}

/// A recovery takes back statements, keys among them. What was sealed meanwhile stays readable.
#[test]
fn keys_made_void_are_given_again_and_ended() {
    let mut world = World::new();
    world.hand_out();
    let before = world.directory.clone();
    world.admit(ALICES_NEW, "alice");
    world.revoke(ALICE);
    world.hand_out();
    let second = {
        let of_alice = world.directory.space(&space("alice")).unwrap();
        world.admin.key(of_alice, 2).unwrap().clone()
    };
    world.directory = before;
    let of_alice = world.directory.space(&space("alice")).unwrap();
    assert_eq!(world.admin.key(of_alice, 2), None, "the directory does not name it");
    assert_eq!(rotation(&world.directory, &world.admin, of_alice), Some(Rotation::Voided));
    assert_eq!(world.hand_out(), 2);
    let of_alice = world.directory.space(&space("alice")).unwrap();
    assert_eq!(world.admin.key(of_alice, 2), Some(&second));
    assert_eq!(world.held(ALICE, "alice"), [1, 2, 3]);
    assert_eq!(world.hand_out(), 0);
}

/// Another key under a number once used replaces what was held.
#[test]
fn a_key_granted_anew_replaces_the_void_one() {
    let mut world = World::new();
    let before = world.directory.clone();
    world.hand_out();
    let mut alice = world.keyring(ALICE);
    world.directory = before;
    world.admin = Keyring::default();
    world.hand_out();
    let of_alice = world.directory.space(&space("alice")).unwrap();
    assert_eq!(alice.key(of_alice, 1), None);
    assert!(alice.learn(&world.directory, &id(ALICE), &sealing_secret(&key(ALICE))));
    assert_eq!(alice.key(of_alice, 1), world.keyring(ALICE).key(of_alice, 1));
}
