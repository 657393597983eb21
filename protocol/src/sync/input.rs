//! Everything that can happen to the engine.

use crate::directory::Signed;
use crate::id::{LogId, NodeId};
use crate::log::{Parting, Run, Tip};
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
    /// Time passed; see [`Engine::poll_timeout`](super::Engine::poll_timeout).
    Tick,
}
