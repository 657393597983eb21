//! The federation a run begins with: its keys, units, spaces and first members.

use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, Found, Role, Scope, Signed, Template,
    space_id,
};
use fenbu_protocol::id::{FederationId, Hash, NodeId, SpaceId};
use fenbu_protocol::seal::{self, Keyring, sealing_public};

const HEAD_OFFICE: &str = "head";
/// The unit of nodes that mean harm.
pub(super) const OUTSIDERS: &str = "outsiders";
/// Their numbers, for keys, begin here.
pub(super) const OUTSIDER: usize = 1 << 16;

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

/// Admits an adversary, to a unit of such.
pub(super) fn outsider(number: usize) -> Act {
    Act::AdmitNode(AdmitNode {
        node: id(number),
        unit: OUTSIDERS.into(),
        name: format!("outsider {number}"),
        role: Role::SERVER,
        addresses: vec![format!("node{number}:1")],
        sealing: sealing_public(&key(number)),
    })
}

/// Takes the right to write the common space from the adversaries' unit; the cuts are filled in when
/// it is said.
pub(super) fn expelled(units: usize) -> Act {
    let writers = Scope::units((0..units).map(unit_code));
    let everyone = space("federation", Template::FEDERATION, None, Scope::everyone());
    Act::DefineSpace(DefineSpace { writers, cuts: Some(Vec::new()), ..everyone })
}

/// A space every node reads, writes and carries, founded while the others already talk.
pub(super) fn late_space() -> Act {
    Act::DefineSpace(space("task-force", Template::TEMPORARY, None, Scope::everyone()))
}

/// The same space, which the last unit reads no more.
pub(super) fn narrowed_space(units: usize, outsiders: bool) -> Act {
    let units = (0..units.max(2) - 1).map(unit_code);
    let readers = Scope::units(units.chain(outsiders.then(|| OUTSIDERS.to_owned())));
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
    directory_among(units, members, 0)
}

/// The same with so many adversaries, which have a unit and a space of their own.
pub(super) fn directory_among(units: usize, members: usize, outsiders: usize) -> Directory {
    let mut directory = Directory::empty(federation());
    let mut declare = |key: &SigningKey, act: Act| {
        let signed: Signed = directory.draft(key, &act, 0);
        directory.apply(signed).expect("the founding statements follow each other");
    };
    let found = Found { name: "sim".into(), admin: id(0), head_office: HEAD_OFFICE.into() };
    declare(&root(), Act::Found(found));
    let admin = key(0);
    let ours = (0..units).map(unit_code);
    let codes: Vec<String> = match outsiders {
        0 => ours.collect(),
        _ => ours.chain([OUTSIDERS.to_owned()]).collect(),
    };
    for (unit, code) in codes.iter().enumerate() {
        let name = format!("单位 {unit}");
        declare(&admin, Act::DefineUnit(DefineUnit { code: code.clone(), name }));
    }
    let everyone = space("federation", Template::FEDERATION, None, Scope::everyone());
    declare(&admin, Act::DefineSpace(everyone));
    for code in codes {
        let scope = Scope::units([HEAD_OFFICE.into(), code.clone()]);
        declare(&admin, Act::DefineSpace(space(&code, Template::UNIT, Some(code.clone()), scope)));
    }
    for node in 0..members {
        declare(&admin, admission(node, units));
    }
    for number in 0..outsiders {
        declare(&admin, outsider(OUTSIDER + number));
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
