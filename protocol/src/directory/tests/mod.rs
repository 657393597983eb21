//! The chain: who may say what, and what is refused. `rights`: what follows from what was said.

use super::*;
use crate::id::{FederationId, Hash, NodeId, SpaceId};
use crate::seal::sealing_public;
use ed25519_dalek::SigningKey;

mod branch;
mod rights;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn node(n: u8) -> NodeId {
    NodeId(key(n).verifying_key().to_bytes())
}

const ROOT: u8 = 1;
const HEAD: u8 = 2;
const ALICE: u8 = 3;

fn say(directory: &mut Directory, by: u8, act: Act) -> Result<(), DirectoryError> {
    let signed = directory.draft(&key(by), &act, 0);
    directory.apply(signed)
}

fn unit(code: &str) -> Act {
    Act::DefineUnit(DefineUnit { code: code.into(), name: code.into() })
}

fn admit(n: u8, unit: &str) -> Act {
    Act::AdmitNode(AdmitNode {
        node: node(n),
        unit: unit.into(),
        name: "server".into(),
        role: Role::SERVER,
        addresses: vec!["127.0.0.1:4433".into()],
        sealing: sealing_public(&key(n)),
    })
}

fn space(directory: &Directory, label: &str, units: &[&str]) -> Act {
    let scope = Scope::units(units.iter().map(|u| (*u).to_owned()));
    Act::DefineSpace(DefineSpace {
        space: space_id(&directory.federation(), label),
        label: label.into(),
        template: Template::UNIT,
        unit: Some(label.to_owned()),
        readers: scope.clone(),
        writers: scope,
        carriers: Scope::everyone(),
        cuts: None,
    })
}

fn appoint(n: u8, cuts: Option<Vec<Cut>>) -> Act {
    Act::AppointAdmin(AppointAdmin { node: node(n), cuts })
}

fn revoke(n: u8, cuts: Vec<Cut>) -> Act {
    Act::RevokeNode(RevokeNode { node: node(n), cuts })
}

/// A federation with Alice's unit and its space, which she and head office write.
fn with_alice() -> (Directory, SpaceId) {
    let mut d = founded();
    say(&mut d, HEAD, unit("nantong")).unwrap();
    say(&mut d, HEAD, admit(ALICE, "nantong")).unwrap();
    let act = space(&d, "nantong", &["nantong", "head"]);
    say(&mut d, HEAD, act).unwrap();
    let id = space_id(&d.federation(), "nantong");
    (d, id)
}

fn founded() -> Directory {
    let mut d = Directory::empty(FederationId(node(ROOT).0));
    let found = Found { name: "分布".into(), admin: node(HEAD), head_office: "head".into() };
    say(&mut d, ROOT, Act::Found(found)).unwrap();
    say(&mut d, HEAD, unit("head")).unwrap();
    say(&mut d, HEAD, admit(HEAD, "head")).unwrap();
    d
}

#[test]
fn only_root_appoints_and_only_the_admin_admits() {
    let mut d = founded();
    assert_eq!(say(&mut d, ALICE, unit("nantong")), Err(DirectoryError::Author));
    assert_eq!(say(&mut d, ROOT, unit("nantong")), Err(DirectoryError::Author));
    let alice = || appoint(ALICE, None);
    assert_eq!(say(&mut d, HEAD, alice()), Err(DirectoryError::Author));
    say(&mut d, ROOT, alice()).unwrap();
    say(&mut d, ALICE, unit("nantong")).unwrap();
    assert_eq!(say(&mut d, HEAD, unit("suzhou")), Err(DirectoryError::Author));
}

#[test]
fn a_chain_folds_to_the_same_directory_and_forks_are_noticed() {
    let d = founded();
    let again = Directory::from_chain(d.federation(), d.statements_after(0).to_vec()).unwrap();
    assert_eq!(again, d);

    let mut one = d.clone();
    say(&mut one, HEAD, unit("nantong")).unwrap();
    let mut two = d.clone();
    say(&mut two, HEAD, unit("suzhou")).unwrap();
    let other = two.statements_after(d.epoch())[0].clone();
    assert_eq!(one.apply(other), Err(DirectoryError::Parted(one.epoch())));
    let mine = one.statements_after(d.epoch())[0].clone();
    assert_eq!(one.apply(mine), Ok(()), "hearing it again is fine");

    say(&mut two, HEAD, unit("wuxi")).unwrap();
    let later = two.statements_after(d.epoch() + 1)[0].clone();
    assert_eq!(one.apply(later), Err(DirectoryError::Parted(two.epoch())));
}

#[test]
fn tampered_and_foreign_statements_change_nothing() {
    let mut d = founded();
    let before = d.clone();
    let mut signed = d.draft(&key(HEAD), &unit("nantong"), 0);
    signed.signature[0] ^= 1;
    assert_eq!(d.apply(signed), Err(DirectoryError::Signature));
    let mut foreign = Directory::empty(FederationId(node(9).0));
    let found = Found { name: "x".into(), admin: node(9), head_office: "h".into() };
    say(&mut foreign, 9, Act::Found(found)).unwrap();
    let statement = foreign.statements_after(0)[0].clone();
    assert_eq!(d.apply(statement), Err(DirectoryError::OtherFederation));
    assert!(matches!(say(&mut d, HEAD, unit("No Good")), Err(DirectoryError::Senseless(_))));
    assert!(matches!(
        say(&mut d, HEAD, admit(ALICE, "nowhere")),
        Err(DirectoryError::Senseless(_))
    ));
    assert_eq!(d, before);
}

#[test]
fn old_statements_read_fields_they_do_not_know() {
    // A newer version adds field 9 to DefineUnit; this one must still read the rest.
    let mut payload = Vec::new();
    minicbor::Encoder::new(&mut payload)
        .map(3)
        .and_then(|e| e.u8(0)?.str("wuxi")?.u8(1)?.str("无锡分局")?.u8(9)?.u8(7))
        .unwrap();
    let act = Act::parse(2, &payload).unwrap().unwrap();
    assert_eq!(act, Act::DefineUnit(DefineUnit { code: "wuxi".into(), name: "无锡分局".into() }));
    assert_eq!(Act::parse(999, &[]).unwrap(), None);
}

#[test]
fn a_newer_act_is_believed_only_from_those_who_may_speak() {
    let mut d = founded();
    let newer = |d: &Directory, by: u8| {
        let statement = Statement {
            federation: d.federation(),
            epoch: d.epoch() + 1,
            previous: d.head(),
            author: node(by),
            time_ms: 0,
            act: 999,
            payload: vec![],
        };
        Signed::sign(&key(by), &statement)
    };
    let stranger = newer(&d, ALICE);
    assert_eq!(d.apply(stranger), Err(DirectoryError::Author));
    let mut forged = newer(&d, HEAD);
    forged.signature[3] ^= 1;
    assert_eq!(d.apply(forged), Err(DirectoryError::Signature));
    let admin = newer(&d, HEAD);
    assert_eq!(d.apply(admin), Err(DirectoryError::Newer(999)));
}

#[test]
fn spaces_are_named_by_their_labels_and_keep_their_nature() {
    let mut d = founded();
    say(&mut d, HEAD, unit("nantong")).unwrap();
    let Act::DefineSpace(good) = space(&d, "nantong", &["nantong"]) else { unreachable!() };
    let other_id = DefineSpace { label: "another".into(), ..good.clone() };
    let changed = DefineSpace { template: Template::TEMPORARY, ..good.clone() };
    assert!(say(&mut d, HEAD, Act::DefineSpace(other_id)).is_err());
    say(&mut d, HEAD, Act::DefineSpace(good)).unwrap();
    assert!(say(&mut d, HEAD, Act::DefineSpace(changed)).is_err());
}

#[test]
fn a_revoked_admin_is_silent_until_the_root_appoints_another() {
    let mut d = founded();
    say(&mut d, HEAD, admit(ALICE, "head")).unwrap();
    let early = appoint(ALICE, None);
    let mut empty = Directory::empty(d.federation());
    assert_eq!(say(&mut empty, ROOT, early.clone()), Err(DirectoryError::Author));
    say(&mut d, HEAD, revoke(HEAD, vec![])).unwrap();
    assert_eq!(say(&mut d, HEAD, unit("wuxi")), Err(DirectoryError::Author));
    say(&mut d, ROOT, early).unwrap();
    say(&mut d, ALICE, unit("wuxi")).unwrap();
}

#[test]
fn a_hostile_admin_is_replaced_and_revoked_at_once() {
    let (mut d, id) = with_alice();
    let itself = appoint(HEAD, Some(vec![]));
    assert!(matches!(say(&mut d, ROOT, itself), Err(DirectoryError::Senseless(_))));
    let before = d.epoch();
    say(&mut d, ROOT, appoint(ALICE, Some(vec![]))).unwrap();
    assert_eq!(say(&mut d, HEAD, unit("wuxi")), Err(DirectoryError::Author));
    assert!(!d.is_member(&node(HEAD)) && d.is_member(&node(ALICE)));
    assert_eq!(d.cuts_after(&node(HEAD), &id, before).count(), 1);
    let back = appoint(HEAD, None);
    assert!(matches!(say(&mut d, ROOT, back), Err(DirectoryError::Senseless(_))));
    say(&mut d, ALICE, unit("wuxi")).unwrap();
}

#[test]
fn a_node_nobody_could_seal_to_is_not_admitted() {
    let mut d = founded();
    let Act::AdmitNode(good) = admit(ALICE, "head") else { unreachable!() };
    let sealing = crate::id::SealingKey([0; 32]);
    let unsound = Act::AdmitNode(AdmitNode { sealing, ..good });
    assert!(matches!(say(&mut d, HEAD, unsound), Err(DirectoryError::Senseless(_))));
    say(&mut d, HEAD, admit(ALICE, "head")).unwrap();
    assert_eq!(d.node(&node(ALICE)).unwrap().sealing, sealing_public(&key(ALICE)));
}

/// A grant of a key of Nantong's space; its wraps are anything, as far as the fold can tell.
fn grant(d: &Directory, key_epoch: u32, check: u8, nodes: &[u8]) -> GrantKey {
    let mut nodes: Vec<NodeId> = nodes.iter().map(|n| node(*n)).collect();
    nodes.sort_unstable();
    let wraps = nodes.into_iter().map(|node| Wrap { node, bytes: vec![1; 80] }).collect();
    let space = space_id(&d.federation(), "nantong");
    GrantKey { space, key_epoch, check: Hash([check; 32]), wraps }
}

fn with_space() -> Directory {
    let mut d = founded();
    say(&mut d, HEAD, unit("nantong")).unwrap();
    say(&mut d, HEAD, admit(ALICE, "nantong")).unwrap();
    let act = space(&d, "nantong", &["nantong", "head"]);
    say(&mut d, HEAD, act).unwrap();
    d
}

#[test]
fn keys_are_given_to_readers_in_order() {
    let mut d = with_space();
    let id = space_id(&d.federation(), "nantong");
    let mut give = |key_epoch, check, nodes: &[u8]| {
        let act = grant(&d, key_epoch, check, nodes);
        say(&mut d, HEAD, Act::GrantKey(act)).map(|()| d.space(&id).unwrap().key_epoch())
    };
    assert_eq!(give(1, 1, &[HEAD]), Ok(1));
    assert_eq!(give(1, 1, &[ALICE]), Ok(1), "the same key for one more");
    assert_eq!(give(2, 2, &[HEAD, ALICE]), Ok(2));
    let space = d.space(&id).unwrap();
    let both = d.readers_of(&id).map(|n| &n.node).collect::<Vec<_>>();
    for key_epoch in [1, 2] {
        assert_eq!(space.wrapped_for(key_epoch).collect::<Vec<_>>(), both);
        assert_eq!(space.wrap(key_epoch, &node(ALICE)), Some(&[1; 80][..]));
        assert_eq!(space.key_check(key_epoch), Some(Hash([key_epoch as u8; 32])));
    }
    assert_eq!((space.key_check(0), space.key_check(3)), (None, None));
    assert_eq!(space.wrapped_for(3).count(), 0);
}

#[test]
fn grants_that_mislead_are_refused_and_change_nothing() {
    let mut d = with_space();
    let federation = space_id(&d.federation(), "federation");
    let everyone = Scope::everyone();
    let define = |readers: Scope| {
        Act::DefineSpace(DefineSpace {
            space: federation,
            label: "federation".into(),
            template: Template::FEDERATION,
            unit: None,
            readers,
            writers: everyone.clone(),
            carriers: everyone.clone(),
            cuts: None,
        })
    };
    let narrow = say(&mut d, HEAD, define(Scope::units(["head".to_owned()])));
    assert!(matches!(narrow, Err(DirectoryError::Senseless(_))), "every node reads it");
    say(&mut d, HEAD, define(everyone.clone())).unwrap();
    say(&mut d, HEAD, unit("suzhou")).unwrap();
    say(&mut d, HEAD, admit(9, "suzhou")).unwrap();
    let first = grant(&d, 1, 1, &[HEAD]);
    say(&mut d, HEAD, Act::GrantKey(first.clone())).unwrap();
    let before = d.clone();
    let wrap = |n: u8, len| Wrap { node: node(n), bytes: vec![1; len] };
    let mut backwards = grant(&d, 2, 2, &[HEAD, ALICE]);
    backwards.wraps.reverse();
    for (why, bent) in [
        ("a gap", grant(&d, 3, 3, &[HEAD])),
        ("no number", grant(&d, 0, 3, &[HEAD])),
        ("another key under its number", grant(&d, 1, 2, &[ALICE])),
        ("twice", first),
        ("nobody", grant(&d, 2, 2, &[])),
        ("out of order", backwards),
        ("no reader", grant(&d, 2, 2, &[9])),
        ("empty", GrantKey { wraps: vec![wrap(HEAD, 0)], ..grant(&d, 2, 2, &[]) }),
        ("too long", GrantKey { wraps: vec![wrap(HEAD, 129)], ..grant(&d, 2, 2, &[]) }),
        ("a space all read", GrantKey { space: federation, ..grant(&d, 1, 1, &[HEAD]) }),
    ] {
        let said = say(&mut d, HEAD, Act::GrantKey(bent));
        assert!(matches!(said, Err(DirectoryError::Senseless(_))), "{why}: {said:?}");
        assert_eq!(d, before, "{why}");
    }
    let foreign = grant(&d, 2, 2, &[HEAD]);
    assert_eq!(say(&mut d, ALICE, Act::GrantKey(foreign)), Err(DirectoryError::Author));
}

#[test]
fn nobody_is_admitted_to_whom_nothing_can_be_sealed() {
    let mut d = founded();
    let Act::AdmitNode(admit) = admit(ALICE, "head") else { unreachable!() };
    let unsound = AdmitNode { sealing: crate::id::SealingKey([0; 32]), ..admit };
    let said = say(&mut d, HEAD, Act::AdmitNode(unsound));
    assert!(matches!(said, Err(DirectoryError::Senseless(_))), "{said:?}");
}
