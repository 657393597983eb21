//! The change every document of a kind begins from.
//!
//! It creates the root's texts, lists and maps, so that two offices creating or editing one document
//! apart share these objects and their edits merge. Under `@record` it names kind and version, so
//! that no two kinds share a genesis. Its actor is all zeros, its time 0; its bytes are committed
//! beside this file and never change: a new shape is a new version.

use super::chunk::{Chunk, Key, MAKE_LIST, MAKE_MAP, MAKE_TEXT};
use super::schema::{ALL, Schema};
use automerge::{ActorId, Automerge, Change, ObjId, ROOT, ReadDoc};
use std::sync::OnceLock;

/// The actor of every genesis change; no log has it.
pub(super) const ACTOR: [u8; 16] = [0; 16];

/// What kind of object a container is to Automerge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Map,
    List,
    Text,
}

/// An object the genesis change created.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Counter of the operation that made it.
    pub(super) counter: u64,
    pub(super) id: ObjId,
}

/// A parsed genesis change and the document it makes.
#[derive(Debug)]
pub(super) struct Genesis {
    pub(super) document: Automerge,
    /// The saved form of an empty record.
    pub(super) saved: Vec<u8>,
    pub(super) hash: [u8; 32],
    /// Counter of its last operation.
    pub(super) max_op: u64,
    pub(super) containers: Vec<Container>,
}

impl Genesis {
    fn of(schema: &Schema) -> Self {
        // INVARIANT: the bytes are a committed constant, checked by this module's tests.
        let change = Change::try_from(schema.genesis_bytes).expect("a sound genesis change");
        let (hash, max_op) = (change.hash().0, change.max_op());
        let mut document = Automerge::new().with_actor(ActorId::from(ACTOR));
        document.apply_changes([change]).expect("a genesis change applies");
        let chunk = Chunk::parse(schema.genesis_bytes).expect("a sound genesis chunk");
        let (mut ops, mut preds, mut counter) = (chunk.ops(), Vec::new(), chunk.start_op);
        let mut containers = Vec::new();
        while let Some(op) = ops.next(&mut preds).expect("sound genesis operations") {
            let shape = match op.action {
                MAKE_MAP => Some(Shape::Map),
                MAKE_LIST => Some(Shape::List),
                MAKE_TEXT => Some(Shape::Text),
                _ => None,
            };
            if let (Some(shape), Key::Property(name)) = (shape, op.key) {
                let (_, id) = document.get(ROOT, name).ok().flatten().expect("a created object");
                containers.push(Container { name: name.to_owned(), shape, counter, id });
            }
            counter += 1;
        }
        let saved = document.save_nocompress();
        Self { document, saved, hash, max_op, containers }
    }

    pub(super) fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// Index of the container whose creating operation has this counter.
    pub(super) fn container_at(&self, counter: u64) -> Option<usize> {
        self.containers.iter().position(|c| c.counter == counter)
    }
}

/// The genesis of a schema, parsed once in a process.
pub(super) fn genesis(schema: &Schema) -> &'static Genesis {
    static PARSED: [OnceLock<Genesis>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
    // INVARIANT: schemas are statics of this crate and all of them are listed.
    let at = ALL.iter().position(|s| s.kind == schema.kind).expect("a listed schema");
    PARSED[at].get_or_init(|| Genesis::of(schema))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::hex;
    use crate::record::schema::Merge;

    #[test]
    fn the_committed_genesis_changes_never_change() {
        let hashes: Vec<_> = ALL.iter().map(|s| hex(&genesis(s).hash)).collect();
        assert_eq!(hashes, PINNED);
    }

    const PINNED: [&str; 3] = [
        "58a064878a4ce6bad13c61011e23df39cf7d442168d7d183eed42cc4e0ca32b9",
        "e42fa1ac9628e6cbee93871755efa8d3984157e01a90f0dbee8cb1db275abbcc",
        "e3fb4405c9329fd799af88446b63ddfdbce00918acacbd0f496802e67960ad9f",
    ];

    #[test]
    fn each_container_field_has_its_object_and_nothing_else_does() {
        for schema in ALL {
            let genesis = genesis(schema);
            let fields: Vec<_> = schema
                .fields
                .iter()
                .filter(|f| f.merge.is_container())
                .map(|f| {
                    let shape = match f.merge {
                        Merge::Text => Shape::Text,
                        Merge::List => Shape::List,
                        _ => Shape::Map,
                    };
                    (f.name, shape)
                })
                .collect();
            let objects: Vec<_> =
                genesis.containers.iter().map(|c| (c.name.as_str(), c.shape)).collect();
            assert_eq!(fields, objects);
            let (mark, _) = genesis.document.get(ROOT, "@record").unwrap().unwrap();
            assert_eq!(mark.as_str(), Some(format!("{}/{}", schema.name, schema.genesis).as_str()));
            assert_eq!(genesis.document.get_heads().len(), 1);
            let change = Change::try_from(schema.genesis_bytes).unwrap();
            assert_eq!(Change::from(change.decode()).raw_bytes(), schema.genesis_bytes);
            assert_eq!((change.actor_id().to_bytes(), change.timestamp()), (&ACTOR[..], 0));
        }
    }
}
