//! The change every document of a kind begins from.
//!
//! It creates the root's texts, lists and maps, so that two offices creating or editing one document
//! apart share these objects and their edits merge. Under `@record` it names kind and version, so
//! that no two kinds share a genesis. Its actor is all zeros, its time 0; its bytes are committed
//! beside this file and never change: a new shape is a new version.

use super::chunk::{Chunk, Key, MAKE_LIST, MAKE_MAP, MAKE_TEXT};
use super::schema::{ALL, Merge, Schema};
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

/// Who may write under which keys of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Anyones,
    /// The author's actor in hex, a dot and a number; written once.
    Event,
    /// The author's actor in hex.
    Number,
}

/// An object the genesis change created.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) keys: Keys,
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
                let keys = match schema.field(name).map(|f| f.merge) {
                    Some(Merge::Log) => Keys::Event,
                    Some(Merge::Tally) => Keys::Number,
                    _ => Keys::Anyones,
                };
                containers.push(Container { name: name.to_owned(), shape, keys, counter, id });
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
    use automerge::ObjType;
    use automerge::transaction::{CommitOptions, Transactable};

    #[test]
    fn the_committed_genesis_changes_never_change() {
        let hashes: Vec<_> = ALL.iter().map(|s| hex(&genesis(s).hash)).collect();
        assert_eq!(hashes, PINNED);
    }

    const PINNED: [&str; 3] = [
        "8f59ee80b654a99efbf46b83188aebc64aad5f02cf1314a565dd70f02c249b87",
        "1c3e6aeac78d083c841cc54fe6b48acffd6a42ee27563607e3bbb639e455b53e",
        "c10e018c1c3df17a7bf7be4f5abba412cdd0973431f5d8e495d36a951830625b",
    ];

    fn shape_of(merge: Merge) -> Shape {
        match merge {
            Merge::Text => Shape::Text,
            Merge::List => Shape::List,
            _ => Shape::Map,
        }
    }

    /// Writes genesis changes that are missing: `cargo test -p fenbu-protocol -- --ignored new_genesis`. One that
    /// is there is never written again.
    #[test]
    #[ignore = "writes files of new kinds"]
    fn new_genesis() {
        for schema in ALL.into_iter().filter(|s| s.genesis_bytes.is_empty()) {
            let mut document = Automerge::new().with_actor(ActorId::from(ACTOR));
            let mut tx = document.transaction();
            let mark = format!("{}/{}", schema.name, schema.genesis);
            tx.put(ROOT, "@record", mark).unwrap();
            for field in schema.fields.iter().filter(|f| f.merge.is_container()) {
                let kind = match shape_of(field.merge) {
                    Shape::Text => ObjType::Text,
                    Shape::List => ObjType::List,
                    Shape::Map => ObjType::Map,
                };
                tx.put_object(ROOT, field.name, kind).unwrap();
            }
            tx.commit_with(CommitOptions::default().with_time(0));
            let bytes = document.get_last_local_change().unwrap().raw_bytes().to_vec();
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/record/genesis");
            let path = format!("{root}/{}.{}", schema.name, schema.genesis);
            std::fs::write(path, bytes).unwrap();
        }
    }

    #[test]
    fn each_container_field_has_its_object_and_nothing_else_does() {
        for schema in ALL {
            let genesis = genesis(schema);
            let fields: Vec<_> = schema
                .fields
                .iter()
                .filter(|f| f.merge.is_container())
                .map(|f| (f.name, shape_of(f.merge)))
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
