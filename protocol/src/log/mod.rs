//! Logs: what an author wrote, in order, provably.
//!
//! One log per (space, node, incarnation). An entry is a [`Header`] and a body; headers are chained
//! by hash, bodies hang off them, so a body can be erased and the chain still verifies. The author
//! signs a [`Checkpoint`] at each flush. Entries travel and rest in [`Run`]s, cut only at
//! checkpoints: a backlog verifies at hashing speed with one signature per run.
//!
//! This module does not know what a body means, nor who may write: that is [`crate::record`] and
//! [`crate::directory`].

mod author;
mod checkpoint;
mod digest;
mod header;
mod opening;
mod parting;
mod position;
mod proof;
mod run;

pub use author::{Author, Draft};
pub use checkpoint::{Checkpoint, signature_of, verify};
pub use digest::{LogDigest, StateDigest, Sum};
pub use header::{Encoding, HEADER_VERSION, Header, Kind, Lane, Shape, body_hash};
pub use opening::Opening;
pub use parting::{History, Parting, part};
pub use position::{Position, Tip};
pub use proof::{Proof, ProofError};
pub use run::{Entry, Run, RunError, Verified};

#[cfg(test)]
mod tests;
