//! A small federation with fixed keys.

use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope, Template, space_id,
};
use fenbu_protocol::id::{FederationId, NodeId, SpaceId};
use fenbu_protocol::seal::sealing_public;
use std::sync::OnceLock;

pub(crate) const ROOT: u8 = 1;
pub(crate) const ADMIN: u8 = 2;
/// Peers of the node under attack, which is the admin's.
pub(crate) const PEERS: [u8; 3] = [3, 4, 5];

pub(crate) fn key(who: u8) -> SigningKey {
    SigningKey::from_bytes(&[who; 32])
}

pub(crate) fn id(who: u8) -> NodeId {
    NodeId(key(who).verifying_key().to_bytes())
}

pub(crate) fn space() -> SpaceId {
    space_id(&FederationId(id(ROOT).0), "federation")
}

/// Two units, a space for all and one for the second, and three nodes besides the admin's.
pub(crate) fn directory() -> &'static Directory {
    static DIRECTORY: OnceLock<Directory> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut directory = Directory::empty(FederationId(id(ROOT).0));
        let mut say = |by: u8, act: Act| {
            let signed = directory.draft(&key(by), &act, 0);
            directory.apply(signed).expect("a statement of the directory's own admin");
        };
        let found = Found { name: "f".into(), admin: id(ADMIN), head_office: "head".into() };
        say(ROOT, Act::Found(found));
        for unit in ["head", "unit"] {
            say(ADMIN, Act::DefineUnit(DefineUnit { code: unit.into(), name: unit.into() }));
        }
        for (label, template) in [("federation", Template::FEDERATION), ("unit", Template::UNIT)] {
            let define = DefineSpace {
                space: space_id(&FederationId(id(ROOT).0), label),
                label: label.into(),
                template,
                unit: (template == Template::UNIT).then(|| "unit".to_owned()),
                readers: Scope::everyone(),
                writers: Scope::everyone(),
                carriers: Scope::everyone(),
                cuts: None,
            };
            say(ADMIN, Act::DefineSpace(define));
        }
        for who in [ADMIN].into_iter().chain(PEERS) {
            let admit = AdmitNode {
                node: id(who),
                unit: if who == ADMIN { "head" } else { "unit" }.into(),
                name: format!("n{who}"),
                role: Role::SERVER,
                addresses: vec![format!("n{who}:1")],
                sealing: sealing_public(&key(who)),
            };
            say(ADMIN, Act::AdmitNode(admit));
        }
        directory
    })
}
