//! What travels between nodes. `protocol/WIRE.md` is normative and quotes the golden vectors.
//!
//! The transport delivers whole frames ([`frame`]); a frame holds one [`Message`]. This module knows
//! their bytes and bounds, not when they are sent: that is [`crate::sync`].

pub mod frame;
mod have;
mod hello;
pub mod join;
mod message;
mod parted;
mod state;
mod statements;
mod want;

pub use have::{Digests, Have, SpaceDigest, SpacePositions};
pub use hello::Hello;
pub use message::{DecodeError, Message};
pub use parted::{DirectoryHead, Parted};
pub use state::{SpaceSum, State, StateSum};
pub use statements::Statements;
pub use want::{Decline, DeclineReason, Prune, Range, Want};

/// The only wire version so far. Version N talks to N-1.
pub const WIRE_VERSION: u16 = 1;

#[cfg(test)]
mod tests;
