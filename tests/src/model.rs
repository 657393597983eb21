//! What each record should contain, told by the writes that were acknowledged.
//!
//! Every write of a simulation adds one word of its own to a set of the record it edits, and no
//! write takes one out. Adding to a set wins, so a record must show the word of every acknowledged
//! write, whatever else was written at the same time. A word that was never acknowledged may be
//! there or not.

use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::log::Kind;
use fenbu_protocol::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// The field of a kind that gathers the words.
pub fn words_field(kind: Kind) -> &'static str {
    match kind {
        Kind(2) => "groups",
        _ => "tags",
    }
}

/// Acknowledged words by space and document.
#[derive(Debug, Clone, Default)]
pub struct Model {
    words: BTreeMap<(SpaceId, DocId), BTreeSet<String>>,
}

impl Model {
    /// A write to a document was acknowledged.
    pub fn acknowledged(&mut self, space: SpaceId, document: DocId, word: String) {
        self.words.entry((space, document)).or_default().insert(word);
    }

    /// Documents of a space that must exist.
    pub fn documents(&self, space: SpaceId) -> impl Iterator<Item = DocId> + '_ {
        self.words.keys().filter(move |(s, _)| *s == space).map(|(_, document)| *document)
    }

    /// An acknowledged word the record does not show.
    pub fn missing(&self, space: SpaceId, document: DocId, record: &Record) -> Option<String> {
        let expected = self.words.get(&(space, document))?;
        let json = record.to_json();
        let shown = json[words_field(record.schema().kind)].as_array();
        let shown: BTreeSet<&str> =
            shown.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        expected.iter().find(|word| !shown.contains(word.as_str())).cloned()
    }
}
