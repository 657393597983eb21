//! Records: posts, members, meetings, as typed views over Automerge documents.
//!
//! A kind of record is data, a [`Schema`]: its fields, how each merges, which codes it knows. A
//! [`Record`] is a document seen through one; [`Edits`] checks what a person changes, and
//! [`Record::edit`] turns it into exactly one change, whose bytes are an entry's body. On the way
//! in, a body passes the gate: [`inspect`] judges it by itself, [`materialise`] by its causal past,
//! and only then is it Automerge's.
//!
//! | file | noun |
//! |---|---|
//! | `schema`, `post`, `member`, `meeting` | what a kind consists of |
//! | `genesis` | the change every document of a kind begins from |
//! | `edits`, `create`, `writing`, `doc`, `history` | writing, reading, looking back |
//! | `column`, `chunk`, `gate`, `past`, `materialise`, `assemble`, `replay`, `rescue` | what a stranger's change must survive |
//!
//! This module knows no network, no disk and no clock, and not who may write: times and accounts
//! come in as arguments, rights are [`crate::directory`]'s.

/// Names which documents the entries of a log make. Raised by every version that makes others of the
/// same entries: by a kind, an encoding or a rule of the gate more. Nodes that go by different rules
/// do not compare their documents.
pub const RULES: u16 = 1;

mod assemble;
mod chunk;
mod column;
mod create;
mod doc;
mod edits;
mod encode;
mod gate;
mod genesis;
mod history;
mod materialise;
mod meeting;
mod member;
mod past;
mod post;
mod replay;
mod rescue;
mod schema;
mod snapshot;
mod writing;

pub use chunk::ChunkError;
pub use doc::{Cell, LoadError, Record, Row};
pub use edits::{EDIT_BYTES_MAX, EditError, Edits};
pub use gate::{Inspected, KEY_BYTES_MAX, Refusal, inspect};
pub use history::HistoryItem;
pub use materialise::{Incoming, Outcome, materialise};
pub use rescue::rescued;
pub use schema::{ALL, Code, Field, Home, Merge, Schema, ValueType, schema, schema_named};

#[cfg(test)]
mod tests;
