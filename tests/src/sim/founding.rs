//! The federation a run begins with: its keys, units, spaces and first members.

use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope, Signed, Template,
    space_id,
};
use fenbu_protocol::id::{FederationId, Hash, NodeId, SpaceId};
use fenbu_protocol::seal::{self, Keyring, sealing_public};

const HEAD_OFFICE: &str = "head";

pub(super) fn key(node: usize) -> SigningKey {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&(node as u64 + 1).to_be_bytes());
    SigningKey::from_bytes(&bytes)
}

pub(super) fn id(node: usize) -> NodeId {
    NodeId(key(node).verifying_key().to_bytes())
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(super) fn federation() -> FederationId {
    FederationId(root().verifying_key().to_bytes())
}

pub(super) fn unit_code(unit: usize) -> String {
    if unit == 0 { HEAD_OFFICE.into() } else { format!("unit-{unit}") }
}

/// The space every node reads.
pub(super) fn common_space() -> SpaceId {
    space_id(&federation(), "federation")
}

/// Admits a node to the unit its number gives.
pub(super) fn admission(node: usize, units: usize) -> Act {
    Act::AdmitNode(AdmitNode {
        node: id(node),
        unit: unit_code(node % units),
        name: format!("node {node}"),
        role: Role::SERVER,
        addresses: vec![format!("node{node}:1")],
        sealing: sealing_public(&key(node)),
    })
}

/// A space every node reads, writes and carries, founded while the others already talk.
pub(super) fn late_space() -> Act {
    Act::DefineSpace(space("task-force", Template::TEMPORARY, None, Scope::everyone()))
}

/// The same space, which the last unit reads no more.
pub(super) fn narrowed_space(units: usize) -> Act {
    let readers = Scope::units((0..units.max(2) - 1).map(unit_code));
    let everyone = space("task-force", Template::TEMPORARY, None, Scope::everyone());
    Act::DefineSpace(DefineSpace { readers, ..everyone })
}

/// What stands in for randomness: never the same for one node twice.
pub(super) fn chance(node: usize, draw: u64) -> [u8; 32] {
    Hash::of("simulated chance", &[&(node as u64).to_be_bytes(), &draw.to_be_bytes()]).0
}

fn space(label: &str, template: Template, unit: Option<String>, scope: Scope) -> DefineSpace {
    DefineSpace {
        space: space_id(&federation(), label),
        label: label.into(),
        template,
        unit,
        readers: scope.clone(),
        writers: scope,
        carriers: Scope::everyone(),
        cuts: None,
    }
}

/// A directory with a space for all and one for each unit; nodes `0..members` are admitted and node
/// 0 is the admin.
pub(super) fn directory(units: usize, members: usize) -> Directory {
    let mut directory = Directory::empty(federation());
    let mut declare = |key: &SigningKey, act: Act| {
        let signed: Signed = directory.draft(key, &act, 0);
        directory.apply(signed).expect("the founding statements follow each other");
    };
    let found = Found { name: "sim".into(), admin: id(0), head_office: HEAD_OFFICE.into() };
    declare(&root(), Act::Found(found));
    let admin = key(0);
    for unit in 0..units {
        let code = unit_code(unit);
        declare(&admin, Act::DefineUnit(DefineUnit { code, name: format!("单位 {unit}") }));
    }
    let everyone = space("federation", Template::FEDERATION, None, Scope::everyone());
    declare(&admin, Act::DefineSpace(everyone));
    for unit in 0..units {
        let code = unit_code(unit);
        let scope = Scope::units([HEAD_OFFICE.into(), code.clone()]);
        declare(&admin, Act::DefineSpace(space(&code, Template::UNIT, Some(code.clone()), scope)));
    }
    for node in 0..members {
        declare(&admin, admission(node, units));
    }
    let mut draws = 0;
    let keys = seal::due(&directory, &Keyring::default(), &mut || {
        draws += 1;
        // Of a node that there is not, so that the admin's own draws are others.
        chance(usize::MAX, draws)
    });
    for act in keys {
        let signed = directory.draft(&admin, &act, 0);
        directory.apply(signed).expect("the founding statements follow each other");
    }
    directory
}
