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
                    Some(Merge::Log | Merge::Notes) => Keys::Event,
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

    const PINNED: [&str; 27] = [
        "353ea2203ca63af538cb45a3ead023c57892ff9763e85321e025c5d4a18117b1",
        "1c3e6aeac78d083c841cc54fe6b48acffd6a42ee27563607e3bbb639e455b53e",
        "d3e741f683b48faedd6821182df62138195dea7fa5bc05484abf31b4f58a3b7d",
        "7290f73c31f008177fc17f8802eb329a4d473e0acd7d228ff4739ab8452caa20",
        "604e90db0158d2b3d093c1258900a7d2aeffacde01c9e9d52827ebcf46acbc7e",
        "eb7269384997d79668f7d3505502006a992e8691ab47b60637a400486193001b",
        "86451dbd273be3984796f15367c714293963f88f0adcb189200004d1f94de027",
        "87b12a03b55933623e705696355175561bb469ef0908291a1ce3ad81a763b078",
        "d723768dd67180f82dddf49f2d095d85ee13e0e6792b04bff8a51ba9aae35870",
        "685529d60aa273aacfe9ffacb33f8dfa067b1cd1d6f2d9f1678c3bffed554ead",
        "f2670fabedb4dd45d9de536905137ea9ba91ff235a69261e1a6c20a45193167f",
        "42e61a3b207a1ce284bc10d508d97e60a9fb7afa63d88fea9538f253b24cebf6",
        "4bf71d6d55eb06e913e23584b1e0a425ddea2d45823d065a1b37255924adca4d",
        "3031558b020d4ef830a62bfbfee62784cbf26ab8969e63e6d549b7767c884e1d",
        "722f03c8341069b4e9266745ab6db893120d8da3d038f0450c03be2eb9773630",
        "d401c1a4200ac71529345befc2958728d47fa866c52ffe7d1ba61857c486d690",
        "13f311ec277de400e434dc65d8cedfa57816169b7de2e0490bde18aa1a6164c8",
        "285b09664eca9195eb9afd44e5b22e5a8f7d5effc7c73d2a2dbad077fb3d2009",
        "56b0ef27b1442010b0516bc3006e167002c6f7525704c575d5b338926b60aab0",
        "1fd132682110c0245214168b37abf44e166de620f03a8bb5d486c74d060832ac",
        "c4ca89f8b3ede686ddeafda13e0c795da629578c762a30693d4159392e326afc",
        "cea734218cabae4c329d7bfd68df6187f87ccea7e8ae965180a05bf233f19c9f",
        "8011806563412fe7623e50123d091308581e24d23cdd2e7ff1ae9cec95ced09d",
        "c319084013675bc065620dd8a495cbb60c3c1e6feb30b924e5c724e9a2ae0772",
        "08b2fc2d135e02fc2ff645e7fa6551a14fb2992560592e6c299bec10fdc0ba30",
        "9053a0b2a643b29b1368b1d0d763d949876c4439ded6156cd97117453fdbb631",
        "5cb4c0f5fca49fc02437a440a0f6465dddb38e403183f969e3e40d3b0a53f7fa",
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
