//! What a kind of record consists of, as data.
//!
//! A kind is one static [`Schema`]; readers, editors, the gate, views and forms all walk it. Adding
//! a kind means one file with its schema, its genesis bytes, and a line in [`ALL`].

use super::kind;
use super::workflow::{By, Step, Workflow};
use crate::log::{Kind, Lane};

/// How concurrent edits of a field meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The last writer wins; the losing values stay in the history.
    Register,
    /// Concurrent values are all kept, and a person settles them.
    Contested,
    /// Merges character by character.
    Text,
    /// A set of texts; adding wins over a concurrent removal.
    Set,
    /// An ordered list.
    List,
    /// A contested value for each key, such as attendance by member.
    Map,
    /// Remarks, each kept for good, in the order they were made.
    Notes,
    /// A number for each log that reports one; shown is their sum. A bare counter would count a
    /// correction twice.
    Tally,
    /// Steps that were taken, each kept for good; shown is the state they lead to.
    Log,
}

impl Merge {
    /// Whether the field is an object the genesis change creates, not a scalar of the root.
    pub fn is_container(self) -> bool {
        !matches!(self, Self::Register | Self::Contested)
    }
}

/// One value of a closed list that a newer node may open: unknown codes are kept and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
}

/// What a value is, and so how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Stored as a string.
    Text,
    /// One of these codes, stored as its string.
    Code(&'static [Code]),
    /// A calendar date `YYYY-MM-DD`, stored as that string.
    Date,
    /// Milliseconds since 1970, stored and shown as an integer; edits may also say RFC 3339.
    Instant,
    /// A signed 64-bit integer.
    Int,
    Bool,
    /// The id of a record of this kind, stored as 32 hex digits.
    Id(&'static str),
    /// Several values in one, stored as a JSON object with these names in this order. Its first field
    /// may be given alone.
    Object(&'static [Field]),
    /// A state of this workflow, derived.
    State(&'static Workflow),
}

/// State that lists show in place of one that is hidden. No step leads there.
pub const HIDDEN: &str = "hidden";

/// When another workflow hides a state: whoever lists what is published must not meet what secrecy
/// says no to, whichever of the two was said first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// Field of the workflow that hides.
    pub by: &'static str,
    /// Its states that do.
    pub when: &'static [&'static str],
    /// States that are hidden.
    pub among: &'static [&'static str],
}

/// One field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name in JSON and key in the document's root.
    pub name: &'static str,
    pub merge: Merge,
    /// Of the value; of each element for sets, lists and maps.
    pub value: ValueType,
    /// A record cannot be created without it, nor can it be emptied.
    pub required: bool,
    /// Shown while nobody has written the field.
    pub default: Option<&'static str>,
    /// About a person and nobody's business: lists mask it, and looking at it is noted.
    pub personal: bool,
    /// Who may change it, where that is not whoever may change the record's other fields.
    pub written_by: Option<By>,
    /// Kept up after the record was approved: changing it revises nothing that was reviewed.
    pub aside: bool,
    /// A state that takes this one back from every list.
    pub hidden_by: Option<Hidden>,
    pub label_zh: &'static str,
    pub label_en: &'static str,
}

impl Field {
    pub(super) const fn new(
        name: &'static str,
        merge: Merge,
        value: ValueType,
        label_zh: &'static str,
        label_en: &'static str,
    ) -> Self {
        Self {
            name,
            merge,
            value,
            required: false,
            default: None,
            personal: false,
            written_by: None,
            aside: false,
            hidden_by: None,
            label_zh,
            label_en,
        }
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// A workflow's field: its state is derived from the steps taken.
    pub(super) const fn state(
        name: &'static str,
        workflow: &'static Workflow,
        label_zh: &'static str,
        label_en: &'static str,
    ) -> Self {
        Self::new(name, Merge::Log, ValueType::State(workflow), label_zh, label_en)
            .starting(workflow.initial)
    }

    pub(super) const fn written_by(mut self, by: By) -> Self {
        self.written_by = Some(by);
        self
    }

    pub(super) const fn aside(mut self) -> Self {
        self.aside = true;
        self
    }

    pub(super) const fn hidden_by(mut self, hidden: Hidden) -> Self {
        self.hidden_by = Some(hidden);
        self
    }

    pub(super) const fn personal(mut self) -> Self {
        self.personal = true;
        self
    }

    pub(super) const fn starting(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The codes a value may be; states for a workflow's field.
    pub fn codes(&self) -> &'static [Code] {
        match self.value {
            ValueType::Code(codes) => codes,
            ValueType::State(workflow) => workflow.states,
            _ => &[],
        }
    }

    /// The code's entry, if this field has codes and this version knows it.
    pub fn code(&self, code: &str) -> Option<&'static Code> {
        self.codes().iter().find(|c| c.code == code)
    }

    /// The code's entry, if a record can be said to be in that state.
    pub(crate) fn reachable(&self, code: &str) -> Option<&'static Code> {
        self.code(code).filter(|_| self.hidden_by.is_none() || code != HIDDEN)
    }

    /// The workflow whose steps the field holds.
    pub fn workflow(&self) -> Option<&'static Workflow> {
        match self.value {
            ValueType::State(workflow) => Some(workflow),
            _ => None,
        }
    }
}

/// Which space a kind's records live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// The space every node reads.
    Federation,
    /// The space of the unit that writes the record.
    Unit,
    /// The draft in the space of the unit that writes it; in the federation's, under the same id, what is
    /// published. See [`super::Record::is_publication`].
    Published,
}

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    pub kind: Kind,
    /// Singular name in commands and JSON.
    pub name: &'static str,
    /// Plural name in paths.
    pub plural: &'static str,
    pub label_zh: &'static str,
    pub label_en: &'static str,
    /// Version of the genesis change that new documents begin from.
    pub genesis: u16,
    /// The genesis change itself. Committed, never regenerated, never sent.
    pub genesis_bytes: &'static [u8],
    pub lane: Lane,
    pub home: Home,
    /// Which of those who may write the space changes the record's contents; held to on every node, see
    /// `writers`. Steps say for themselves by whom they are taken.
    pub written_by: By,
    /// Fields and states in which no list, feed or search shows a record, unless it asks for the state.
    pub hidden: &'static [(&'static str, &'static str)],
    pub fields: &'static [Field],
    /// Fields that become cells of the kind's view row, in this order.
    pub columns: &'static [&'static str],
    /// Of these, those lists filter by.
    pub filters: &'static [&'static str],
    /// Of these, those lists show, the longest text last.
    pub listed: &'static [&'static str],
    /// Of these, those only wide lists show.
    pub listed_wide: &'static [&'static str],
}

impl Schema {
    /// Whether it is a kind of record, with documents of its own, and not only a form for sheets.
    pub fn has_records(&self) -> bool {
        !self.genesis_bytes.is_empty()
    }

    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// Whether something about its records depends on who wrote what.
    pub fn looks_at_authors(&self) -> bool {
        let looks = |f: &Field| f.workflow().is_some() || f.written_by.is_some();
        self.written_by != By::Anyone || self.fields.iter().any(looks)
    }

    /// The fields that hold steps, and their workflows.
    pub fn workflows(&self) -> impl Iterator<Item = (&'static Field, &'static Workflow)> {
        self.fields.iter().filter_map(|f| Some((f, f.workflow()?)))
    }

    /// The step with this code, and the field it belongs to.
    pub fn step(&self, op: &str) -> Option<(&'static Field, &'static Step)> {
        self.workflows().find_map(|(field, workflow)| Some((field, workflow.step(op)?)))
    }
}

/// Every kind this version knows, by kind number.
pub static ALL: [&Schema; 27] = [
    &kind::post::SCHEMA,
    &kind::member::SCHEMA,
    &kind::meeting::SCHEMA,
    &kind::branch::SCHEMA,
    &kind::term::SCHEMA,
    &kind::transfer::SCHEMA,
    &kind::temporary_branch::SCHEMA,
    &kind::secondment::SCHEMA,
    &kind::adoption::SCHEMA,
    &kind::honour::SCHEMA,
    &kind::journal_issue::SCHEMA,
    &kind::activity::SCHEMA,
    &kind::care_visit::SCHEMA,
    &kind::directive::SCHEMA,
    &kind::topic::SCHEMA,
    &kind::collection::SCHEMA,
    &kind::document::SCHEMA,
    &kind::reminder::SCHEMA,
    &kind::rule_pack::SCHEMA,
    &kind::sealed_report::SCHEMA,
    &kind::mark::SCHEMA,
    &kind::disclosure::SCHEMA,
    &kind::settlement::SCHEMA,
    &kind::attendance_credit::SCHEMA,
    &kind::account::SCHEMA,
    &kind::credential::SCHEMA,
    &kind::audit::SCHEMA,
];

/// The form of attendance sheets, see there.
pub static ATTENDANCE_ROWS: &Schema = &kind::meeting::ATTENDANCE_ROWS;

/// The schema of a kind number.
pub fn schema(kind: Kind) -> Option<&'static Schema> {
    ALL.into_iter().find(|s| s.kind == kind)
}

/// The schema with this singular or plural name.
pub fn schema_named(name: &str) -> Option<&'static Schema> {
    ALL.into_iter().find(|s| s.name == name || s.plural == name)
}

/// Shorthand for the code tables of the kinds.
pub(super) const fn code(code: &'static str, zh: &'static str, en: &'static str) -> Code {
    Code { code, zh, en }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::workflow::{CORRECT, RECORD, SETTLE};
    use std::collections::BTreeSet;

    #[test]
    fn kinds_and_fields_are_named_once_and_columns_exist() {
        let mut names = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for schema in ALL {
            assert!(kinds.insert(schema.kind) && names.insert(schema.name));
            assert!(names.insert(schema.plural));
            let mut fields = BTreeSet::new();
            for field in schema.fields {
                assert!(fields.insert(field.name), "{} twice in {}", field.name, schema.name);
                assert!(!field.required || !field.merge.is_container());
                assert!(!matches!(field.name, "conflicts" | "other" | "courses"));
                assert!(field.default.is_none_or(|code| field.code(code).is_some()));
                assert_eq!(field.merge == Merge::Log, field.workflow().is_some());
                assert!(field.merge != Merge::Tally || field.value == ValueType::Int);
            }
            for column in schema.columns {
                assert!(fields.contains(column), "no field {column} in {}", schema.name);
            }
            for name in schema.filters.iter().chain(schema.listed).chain(schema.listed_wide) {
                assert!(schema.columns.contains(name), "no column {name} in {}", schema.name);
            }
            for (field, state) in schema.hidden {
                assert!(schema.field(field).and_then(|f| f.code(state)).is_some());
                assert!(schema.columns.contains(field));
            }
            check_steps(schema);
            assert_eq!(schema_named(schema.plural), Some(schema));
            assert_eq!(super::schema(schema.kind), Some(schema));
        }
    }

    /// Every state is known and can be reached, and each step is named once in its kind.
    fn check_steps(schema: &'static Schema) {
        let mut ops = BTreeSet::from(["add", "edit", "show", "list", "history"]);
        for (field, workflow) in schema.workflows() {
            let name = (schema.name, field.name);
            let mut reached = BTreeSet::from([workflow.initial]);
            for step in workflow.steps {
                assert!(ops.insert(step.op), "{name:?}: step {} twice", step.op);
                assert!(![RECORD, CORRECT, SETTLE].contains(&step.op));
                let states = step.from.iter().copied().chain(step.to);
                states.for_each(|s| assert!(workflow.knows(s), "{name:?}: no state {s}"));
                reached.extend(step.to);
                let known = |op| workflow.step(op).is_some();
                assert!(step.not_by_who.is_none_or(known), "{name:?}: {}", step.op);
                if let By::UnitIn(field) | By::UnitInOrHeadOffice(field) = step.by {
                    assert!(schema.field(field).is_some(), "{name:?}: no field {field}");
                }
            }
            if let Some(hidden) = field.hidden_by {
                reached.insert(HIDDEN);
                let other = schema.field(hidden.by).and_then(Field::workflow).unwrap();
                assert!(hidden.when.iter().all(|s| other.knows(s)), "{name:?}");
                assert!(hidden.among.iter().all(|s| workflow.knows(s)), "{name:?}");
            }
            for state in workflow.states {
                assert!(reached.contains(state.code), "{name:?}: nothing leads to {}", state.code);
            }
        }
    }
}
