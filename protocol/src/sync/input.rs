//! Everything that can happen to the engine.

use crate::directory::Signed;
use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::log::{LogDigest, Parting, Run, StateDigest, Tip};
use crate::wire::Message;

/// One connection to a peer, numbered by the driver, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One thing to be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What came of an [`Output::Load`](super::Output::Load).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once; a box would cost more")]
pub enum Loaded {
    /// Begins exactly at the seq that was asked for.
    Run(Run),
    NotHeld,
    /// The disk refused; says why.
    Failed(String),
}

/// What came of an [`Output::Mend`](super::Output::Mend).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// It stands in the log, durably.
    Done,
    /// It does not fit what stands before or after it.
    Misfit,
    /// The disk refused.
    Failed,
}

/// What the records of a space come to, at a moment when all its entries had been made into records
/// (or wait, or do not count), under the directory that ends in `directory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceState {
    pub space: SpaceId,
    pub directory: Hash,
    /// The entries they are made of.
    pub log: LogDigest,
    pub state: StateDigest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once; a box would cost more")]
pub enum Input {
    /// A handshake finished and proved the peer's key. The directory is asked now.
    LinkUp {
        link: LinkId,
        peer: NodeId,
        /// We dialled it.
        dialed: bool,
    },
    LinkDown {
        link: LinkId,
        reason: String,
    },
    DialFailed {
        peer: NodeId,
        reason: String,
    },
    Message {
        link: LinkId,
        message: Message,
    },
    /// A frame that is no message, or a transport rule broken.
    Garbled {
        link: LinkId,
        reason: String,
    },
    /// A frame of this many bytes was taken by the transport.
    Sent {
        link: LinkId,
        bytes: usize,
    },
    Persisted {
        ticket: Ticket,
    },
    /// Nothing of the ticket, nor of any later one given out so far, is on disk.
    PersistFailed {
        ticket: Ticket,
        reason: String,
    },
    Loaded {
        link: LinkId,
        log: LogId,
        from: u64,
        result: Loaded,
    },
    /// What came of an [`Output::Compare`](super::Output::Compare), which is handed back; an error says why
    /// the disk refused.
    Compared {
        ticket: Ticket,
        link: Option<LinkId>,
        run: Run,
        headers: bool,
        result: Result<Parting, String>,
    },
    /// A local write, already durable, that moved our own log to `tip`.
    Appended {
        run: Run,
        tip: Tip,
    },
    /// A statement made here, already durable.
    Declared {
        statement: Signed,
    },
    /// The answer to [`Output::ReadStates`](super::Output::ReadStates): the spaces of which it can be
    /// said now.
    States {
        states: Vec<SpaceState>,
    },
    /// The answer to [`Output::Rebuild`](super::Output::Rebuild).
    Rebuilt {
        space: SpaceId,
        /// It was done; otherwise the disk refused.
        done: bool,
    },
    /// The ranges of a log, first and last seq, that the disk does not give back; all there are.
    Damaged {
        log: LogId,
        ranges: Vec<(u64, u64)>,
    },
    /// What became of an [`Output::Mend`](super::Output::Mend), named by its first seq.
    Mended {
        log: LogId,
        from: u64,
        outcome: Mended,
    },
    /// Time passed; see [`Engine::poll_timeout`](super::Engine::poll_timeout).
    Tick,
}
