//! What happened to a record, change by change.

use super::chunk::{Chunk, DELETE, Key, Op, Value as Stored};
use super::doc::Record;
use super::genesis::{Shape, genesis};
use super::schema::Merge;
use super::steps::Taken;
use crate::id::hex;
use automerge::ChangeHash;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Characters of an inserted text that its summary quotes.
const EXCERPT_CHARS_MAX: usize = 40;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryItem {
    pub hash: [u8; 32],
    pub actor: [u8; 16],
    /// Number of this change among its author's in the document.
    pub seq: u64,
    /// The author's clock in milliseconds since 1970.
    pub time_ms: u64,
    /// The opaque account id the author's node vouches for.
    pub account: String,
    /// The change this one was written anew for, as that one no longer counts.
    pub anew_of: Option<[u8; 32]>,
    /// Fields in schema order, then others by name. Registers give the new value or null; texts and
    /// lists `{"inserted": n, "deleted": n, "excerpt": ..}`; sets `{"added": [..], "removed": [..]}`;
    /// maps the changed keys with their new values; workflows the steps taken.
    pub changes: Vec<(String, Value)>,
}

impl Record {
    /// Everyone who has written to the record.
    pub fn actors(&self) -> BTreeSet<[u8; 16]> {
        let start = genesis(self.schema()).hash;
        let changes = self.document().get_changes_meta(&[]).into_iter();
        let others = changes.filter(|c| c.hash.0 != start);
        others.filter_map(|c| c.actor.to_bytes().try_into().ok()).collect()
    }

    /// All changes but the genesis, causes before effects, else by hash.
    pub fn history(&self) -> Vec<HistoryItem> {
        let start = genesis(self.schema()).hash;
        let mut left = BTreeMap::new();
        let mut children: BTreeMap<[u8; 32], Vec<[u8; 32]>> = BTreeMap::new();
        for change in self.document().get_changes(&[]) {
            let hash = change.hash().0;
            for ChangeHash(dep) in change.deps() {
                children.entry(*dep).or_default().push(hash);
            }
            left.insert(hash, (change.deps().len(), change));
        }
        let mut ready = BTreeSet::from([start]);
        let mut out = Vec::with_capacity(left.len());
        while let Some(hash) = ready.pop_first() {
            if hash != start
                && let Some((_, change)) = left.get(&hash)
            {
                out.extend(self.item(hash, change.raw_bytes()));
            }
            for child in children.remove(&hash).unwrap_or_default() {
                if let Some((missing, _)) = left.get_mut(&child) {
                    *missing -= 1;
                    if *missing == 0 {
                        ready.insert(child);
                    }
                }
            }
        }
        out
    }

    fn item(&self, hash: [u8; 32], body: &[u8]) -> Option<HistoryItem> {
        let chunk = Chunk::parse(body).ok()?;
        let genesis = genesis(self.schema());
        let mut summaries: BTreeMap<(usize, String), Summary> = BTreeMap::new();
        let (mut ops, mut preds) = (chunk.ops(), Vec::new());
        while let Ok(Some(op)) = ops.next(&mut preds) {
            let container = op
                .object
                .and_then(|id| genesis.container_at(id.counter))
                .map(|at| &genesis.containers[at]);
            let name = match (container, op.key) {
                (Some(container), _) => container.name.as_str(),
                (None, Key::Property(name)) => name,
                (None, _) => continue,
            };
            let fields = self.schema().fields;
            let rank = fields.iter().position(|f| f.name == name).unwrap_or(fields.len());
            let merge = fields.get(rank).map(|f| f.merge);
            summaries
                .entry((rank, name.to_owned()))
                .or_insert_with(|| Summary::of(container.map(|c| c.shape), merge))
                .add(&op);
        }
        let changes = summaries.into_iter().map(|((_, name), s)| (name, s.into_json())).collect();
        let (account, anew_of) = super::amend::read_message(chunk.message);
        Some(HistoryItem {
            hash,
            actor: chunk.actor,
            seq: chunk.seq,
            time_ms: chunk.time.max(0) as u64,
            account: account.to_owned(),
            anew_of,
            changes,
        })
    }
}

/// What one change did to one field.
enum Summary {
    Register(Value),
    Sequence { inserted: u64, deleted: u64, excerpt: Vec<String>, text: bool },
    Set { added: BTreeSet<String>, removed: BTreeSet<String> },
    Map(Map<String, Value>),
    Steps(Vec<Value>),
}

impl Summary {
    fn of(shape: Option<Shape>, merge: Option<Merge>) -> Self {
        match shape {
            None => Self::Register(Value::Null),
            Some(Shape::Map) if merge == Some(Merge::Log) => Self::Steps(Vec::new()),
            Some(Shape::Map) if merge == Some(Merge::Set) => {
                Self::Set { added: BTreeSet::new(), removed: BTreeSet::new() }
            }
            Some(Shape::Map) => Self::Map(Map::new()),
            Some(shape) => Self::Sequence {
                inserted: 0,
                deleted: 0,
                excerpt: Vec::new(),
                text: shape == Shape::Text,
            },
        }
    }

    fn add(&mut self, op: &Op<'_>) {
        let deleted = op.action == DELETE;
        let value = if deleted { Value::Null } else { json_of(&op.value) };
        match (self, op.key) {
            (Self::Register(shown), _) => *shown = value,
            (Self::Sequence { deleted: count, .. }, _) if deleted => *count += 1,
            (Self::Sequence { inserted, excerpt, .. }, _) => {
                *inserted += 1;
                if excerpt.len() < EXCERPT_CHARS_MAX {
                    excerpt.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                }
            }
            (Self::Set { removed, .. }, Key::Property(key)) if deleted => {
                removed.insert(key.to_owned());
            }
            (Self::Set { added, .. }, Key::Property(key)) => drop(added.insert(key.to_owned())),
            (Self::Steps(steps), _) => {
                let taken = value.as_str().and_then(Taken::read);
                steps.push(taken.map_or(value, |taken| taken.to_json()));
            }
            (Self::Map(entries), Key::Property(key)) => drop(entries.insert(key.to_owned(), value)),
            (Self::Set { .. } | Self::Map(_), _) => {}
        }
    }

    fn into_json(self) -> Value {
        match self {
            Self::Register(value) => value,
            Self::Sequence { inserted, deleted, excerpt, text } => {
                let excerpt = excerpt.join(if text { "" } else { ", " });
                json!({ "inserted": inserted, "deleted": deleted, "excerpt": excerpt })
            }
            Self::Set { added, removed } => json!({ "added": added, "removed": removed }),
            Self::Map(entries) => Value::Object(entries),
            Self::Steps(steps) => Value::Array(steps),
        }
    }
}

fn json_of(value: &Stored<'_>) -> Value {
    match *value {
        Stored::Null => Value::Null,
        Stored::Bool(flag) => json!(flag),
        Stored::Unsigned(n) => json!(n),
        Stored::Signed(n) | Stored::Timestamp(n) => json!(n),
        Stored::Float(n) => json!(n),
        Stored::Text(text) => json!(text),
        Stored::Bytes(bytes) => json!(hex(bytes)),
    }
}
