//! Records: posts, members, meetings, as typed views over Automerge documents.
//!
//! A kind of record is data, a [`Schema`]: its fields, how each merges, which codes it knows. A
//! [`Record`] is a document seen through one; [`Edits`] checks what a person changes, and
//! [`Record::edit`] turns it into exactly one change, whose bytes are an entry's body. On the way
//! in, a body passes the gate: [`inspect`] judges it by itself, [`materialise`] by its causal past,
//! and only then is it Automerge's. A [`Bench`] asks first who may write ([`crate::directory`]) and what
//! can be read ([`crate::seal`]).
//!
//! | file | noun |
//! |---|---|
//! | `schema`, `workflow` | what kinds consist of |
//! | `kind` | the kinds, a file each |
//! | [`personal`] | what is masked, and what does not belong in free text |
//! | [`search`] | what a record is found by |
//! | `authors` | the units behind actors, and whose a record is |
//! | `course`, `steps` | the state of a record, derived from the steps taken, and taking one |
//! | `reviews` | the rounds between a submission and its approval |
//! | `publication` | what everybody reads of a record whose draft stays with its unit |
//! | `conflict` | what merging cannot settle, and the ways to settle it |
//! | `genesis` | the change every document of a kind begins from |
//! | `edits`, `create`, `writing`, `doc`, `show`, `said`, `history` | writing, reading, looking back |
//! | `bounds` | what a temporary branch has not |
//! | `amend` | writing anew what no longer counts |
//! | `column`, `chunk`, `gate`, `past`, `materialise`, `assemble`, `replay`, `rescue` | what a stranger's change must survive |
//! | `judge` | which entries are offered at all: rights, keys, and who waits |
//! | `writers` | whose contents are whose, on every node |
//!
//! This module knows no network, no disk and no clock: times, accounts and the units behind actors come
//! in as arguments.

/// Names which documents the entries of a log make. Raised by every version that makes others of the
/// same entries: by a kind, an encoding or a rule of the gate more. Nodes that go by different rules
/// do not compare their documents.
pub const RULES: u16 = 3;

mod amend;
mod assemble;
mod authors;
mod bounds;
mod chunk;
mod column;
pub mod conflict;
mod course;
mod create;
mod doc;
mod edits;
mod encode;
mod gate;
mod genesis;
mod history;
mod judge;
mod kind;
mod materialise;
mod past;
pub mod personal;
mod publication;
mod replay;
mod rescue;
mod reviews;
mod said;
mod schema;
pub mod search;
mod show;
mod snapshot;
mod steps;
mod workflow;
mod writers;
mod writing;

pub use amend::{Amendment, change_hash};
pub use authors::Authors;
pub use chunk::ChunkError;
pub use course::{Course, Happened, Ignored, Rival};
pub use doc::{LoadError, Record};
pub use edits::{EDIT_BYTES_MAX, EditError, Edits};
pub(crate) use edits::{days_of, instant_ms_of};
pub use gate::{Inspected, KEY_BYTES_MAX, Refusal, inspect};
pub use history::HistoryItem;
pub use judge::{Bench, Candidate, Judgement, NoJudgement, Objection};
pub use materialise::{Incoming, Outcome, materialise};
pub use publication::Publication;
pub use rescue::rescued;
pub use reviews::{Progress, ROUNDS_MAX, Reviewer, Reviews};
pub use schema::{
    ALL, ATTENDANCE_ROWS, Code, Field, HIDDEN, Hidden, Home, Merge, Schema, ValueType, schema,
    schema_named,
};
pub use show::{Cell, Row, record_summary};
pub use steps::{NOTE_BYTES_MAX, Taken};
pub use workflow::{By, CORRECT, Part, RECORD, SETTLE, Step, Workflow};

#[cfg(test)]
mod tests;
