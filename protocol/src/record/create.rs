//! The first change of a record, written without a document.
//!
//! A transaction costs Automerge a microsecond for each character, and it keeps no bytes of the
//! change it commits. What a first change says follows from the edits alone, so its bytes are put
//! together here, in the one spelling there is (`column`); the document is built when somebody first
//! looks.

use super::chunk::{CHANGE, PUT};
use super::edits::{Edit, EditError, Edits};
use super::encode::{self, Booleans, Deltas, Runs, table, unsigned};
use super::genesis::{ACTOR, Container, Genesis, genesis};
use super::schema::Schema;
use crate::limits::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX};
use automerge::ScalarValue;

/// A first change: its bytes and its hash.
#[derive(Debug, Clone)]
pub(super) struct Created {
    pub(super) body: Vec<u8>,
    pub(super) hash: [u8; 32],
}

/// The change that makes a record of `edits`; `None` if they say nothing.
pub(super) fn create(
    schema: &'static Schema,
    actor: [u8; 16],
    time: i64,
    account: &str,
    edits: &Edits,
) -> Result<Option<Created>, EditError> {
    let genesis = genesis(schema);
    let mut writing = Writing::new(genesis);
    for (field, edit) in &edits.edits {
        writing.apply(field.name, edit);
    }
    if writing.count == 0 {
        return Ok(None);
    }
    if writing.count > CHANGE_OPS_MAX {
        return Err(EditError::TooLarge);
    }
    let mut contents = Vec::with_capacity(writing.values.len() + 512);
    unsigned(&mut contents, 1);
    contents.extend_from_slice(&genesis.hash);
    unsigned(&mut contents, actor.len() as u64);
    contents.extend_from_slice(&actor);
    unsigned(&mut contents, 1);
    unsigned(&mut contents, genesis.max_op + 1);
    encode::signed(&mut contents, time);
    unsigned(&mut contents, account.len() as u64);
    contents.extend_from_slice(account.as_bytes());
    // The genesis' actor is named by whatever acts in one of its containers.
    unsigned(&mut contents, u64::from(writing.inside));
    if writing.inside {
        unsigned(&mut contents, ACTOR.len() as u64);
        contents.extend_from_slice(&ACTOR);
    }
    let columns = writing.finish();
    table(&mut contents, &columns);
    columns.iter().for_each(|(_, data)| contents.extend_from_slice(data));
    let (body, hash) = encode::chunk(CHANGE, &contents);
    if body.len() > CHANGE_BYTES_MAX {
        return Err(EditError::TooLarge);
    }
    Ok(Some(Created { body, hash }))
}

/// An element an insertion comes after.
#[derive(Clone, Copy)]
enum After {
    Front,
    /// The one our operation with this counter inserted.
    Own(u64),
}

/// The operations, column by column.
struct Writing<'a> {
    genesis: &'static Genesis,
    count: u64,
    /// Something was written into a container.
    inside: bool,
    object_actor: Runs<u64>,
    object_counter: Runs<u64>,
    key_actor: Runs<u64>,
    key_counter: Deltas,
    key_text: Runs<&'a str>,
    insert: Booleans,
    action: Runs<u64>,
    value_meta: Runs<u64>,
    values: Vec<u8>,
    predecessors: Runs<u64>,
}

impl<'a> Writing<'a> {
    fn new(genesis: &'static Genesis) -> Self {
        Self {
            genesis,
            count: 0,
            inside: false,
            object_actor: Runs::new(),
            object_counter: Runs::new(),
            key_actor: Runs::new(),
            key_counter: Deltas::new(),
            key_text: Runs::new(),
            insert: Booleans::default(),
            action: Runs::new(),
            value_meta: Runs::new(),
            values: Vec::new(),
            predecessors: Runs::new(),
        }
    }

    fn apply(&mut self, field: &'a str, edit: &'a Edit) {
        let container = self.genesis.container(field);
        match edit {
            Edit::Register(value) => self.put(None, field, value.as_ref()),
            Edit::Text(text) => {
                let mut after = After::Front;
                let mut bytes = [0; 4];
                for c in text.chars() {
                    let text = c.encode_utf8(&mut bytes).as_bytes();
                    after = self.insert(container, after, |w| w.value(6, text));
                }
            }
            Edit::List(items) => {
                let mut after = After::Front;
                for item in items {
                    after = self.insert(container, after, |w| w.scalar(item));
                }
            }
            Edit::Members(members) | Edit::AddRemove { add: members, .. } => {
                let present = ScalarValue::Boolean(true);
                members.iter().for_each(|m| self.put(container, m, Some(&present)));
            }
            Edit::Entries(entries) => {
                entries.iter().for_each(|(key, value)| self.put(container, key, value.as_ref()));
            }
            // Entries by now, see `steps`.
            Edit::Revision { .. }
            | Edit::Want(_)
            | Edit::Tally(_)
            | Edit::Total(_)
            | Edit::Notes(_)
            | Edit::Shown(_) => {}
        }
    }

    fn put(&mut self, container: Option<&Container>, key: &'a str, value: Option<&ScalarValue>) {
        let Some(value) = value else { return };
        self.begin(container, false);
        self.key_actor.push(None);
        self.key_counter.push(None);
        self.key_text.push(Some(key));
        self.scalar(value);
    }

    /// Inserts an item, and returns where the next one goes.
    fn insert(
        &mut self,
        container: Option<&Container>,
        after: After,
        item: impl FnOnce(&mut Self),
    ) -> After {
        self.begin(container, true);
        let own = match after {
            After::Front => None,
            After::Own(counter) => Some(counter),
        };
        self.key_actor.push(own.map(|_| 0));
        self.key_counter.push(Some(own.unwrap_or(0).cast_signed()));
        self.key_text.push(None);
        item(self);
        After::Own(self.genesis.max_op + self.count)
    }

    fn begin(&mut self, container: Option<&Container>, insert: bool) {
        self.count += 1;
        self.inside |= container.is_some();
        self.object_actor.push(container.map(|_| 1));
        self.object_counter.push(container.map(|c| c.counter));
        self.insert.push(insert);
        self.action.push(Some(PUT));
        self.predecessors.push(Some(0));
    }

    fn scalar(&mut self, value: &ScalarValue) {
        let mut number = Vec::new();
        match value {
            ScalarValue::Boolean(false) => self.value(1, &[]),
            ScalarValue::Boolean(true) => self.value(2, &[]),
            ScalarValue::Uint(n) => {
                unsigned(&mut number, *n);
                self.value(3, &number);
            }
            ScalarValue::Int(n) => {
                encode::signed(&mut number, *n);
                self.value(4, &number);
            }
            ScalarValue::F64(n) => self.value(5, &n.to_le_bytes()),
            ScalarValue::Str(text) => self.value(6, text.as_bytes()),
            ScalarValue::Bytes(bytes) => self.value(7, bytes),
            ScalarValue::Timestamp(ms) => {
                encode::signed(&mut number, *ms);
                self.value(9, &number);
            }
            // Edits make no counters and keep no unknown values.
            ScalarValue::Null | ScalarValue::Counter(_) | ScalarValue::Unknown { .. } => {
                self.value(0, &[]);
            }
        }
    }

    /// A value of Automerge's type number `kind`.
    fn value(&mut self, kind: u64, bytes: &[u8]) {
        self.value_meta.push(Some((bytes.len() as u64) << 4 | kind));
        self.values.extend_from_slice(bytes);
    }

    fn finish(self) -> [(u32, Vec<u8>); 10] {
        [
            (0x01, self.object_actor.finish()),
            (0x02, self.object_counter.finish()),
            (0x11, self.key_actor.finish()),
            (0x13, self.key_counter.finish()),
            (0x15, self.key_text.finish()),
            (0x34, self.insert.finish()),
            (0x42, self.action.finish()),
            (0x56, self.value_meta.finish()),
            (0x57, self.values),
            (0x70, self.predecessors.finish()),
        ]
    }
}
