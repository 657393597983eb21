//! Everything the engine may ask for.

use super::input::{LinkId, Ticket};
use crate::directory::Signed;
use crate::id::{LogId, NodeId, SpaceId};
use crate::log::{Lane, Proof, Run, Tip};
use std::sync::Arc;

/// Why we end a link, as an application close code; the wire carries the number and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Another link to the same peer is kept.
    Duplicate = 1,
    /// The directory does not know the peer.
    Unknown = 2,
    /// The directory has revoked it.
    Revoked = 3,
    /// No common wire version.
    Version = 4,
    /// Another federation.
    Federation = 5,
    /// The peer broke a rule of the wire; it is to blame.
    Violation = 6,
    /// It did not greet in time.
    Silent = 7,
    /// This node is stopping.
    Stopping = 8,
    /// It asks and does not read what it is sent.
    Unread = 9,
}

/// What is to be made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Extends its log to `tip`.
    Run {
        space: SpaceId,
        run: Run,
        tip: Tip,
    },
    /// Another branch of its log stands. All of it or nothing.
    Switch(Switch),
    /// That a log's author signed two histories of it, in place of what is known of that log.
    Proof {
        proof: Arc<Proof>,
    },
    Statement {
        epoch: u64,
        statement: Signed,
    },
    /// Another history of the directory takes over: what is held from this epoch on is dropped, and
    /// these take its place.
    Branch {
        from: u64,
        statements: Vec<Signed>,
    },
    /// The statement that forks the directory, kept for the next start in place of any other
    /// ([`Directory::stop_again`](crate::directory::Directory::stop_again)).
    Fork {
        statement: Signed,
    },
}

/// Another branch of a log in place of what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    pub space: SpaceId,
    /// What is held from here on is the branch that was lost, and is kept aside.
    pub parted: u64,
    /// What stays: the last checkpoint held before `parted`.
    pub base: Tip,
    /// What takes the place of everything after `base`, in order.
    pub runs: Vec<Run>,
    /// Where the log ends then.
    pub tip: Tip,
}

impl Switch {
    pub fn log(&self) -> Option<LogId> {
        self.runs.first().map(Run::log)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Dial {
        peer: NodeId,
        /// `host:port`, to be tried in order.
        addresses: Vec<String>,
    },
    Close {
        link: LinkId,
        code: Close,
        reason: String,
    },
    Send {
        link: LinkId,
        lane: Lane,
        /// A whole frame; one encoding is shared by all links it goes to.
        frame: Arc<[u8]>,
    },
    Persist {
        ticket: Ticket,
        item: Item,
    },
    /// Read a run beginning exactly at `from`, joined up to about `bytes_max`.
    Load {
        link: LinkId,
        log: LogId,
        from: u64,
        bytes_max: usize,
    },
    /// Hold `run` against what is on disk of its log ([`part`](crate::log::part)), and answer with
    /// [`Input::Compared`](super::Input::Compared).
    Compare {
        ticket: Ticket,
        link: Option<LinkId>,
        run: Run,
        /// It has headers alone, those of a proof.
        headers: bool,
    },
    /// A peer says it holds our copy's log up to `seq` durably; worth remembering, at leisure.
    Acknowledged {
        peer: NodeId,
        log: LogId,
        seq: u64,
    },
    /// The directory grew, or another history of it took over; ask again who may talk, read and write.
    DirectoryChanged,
    /// A peer holds more of our own log than we do: this disk is older than our promises. The next
    /// local write must begin a new incarnation.
    OwnLogAhead {
        log: LogId,
        seq: u64,
    },
    /// Read what the records of each readable space come to; answered by one
    /// [`Input::States`](super::Input::States).
    ReadStates,
    /// Make a space's records again from its logs; answered by one
    /// [`Input::Rebuilt`](super::Input::Rebuilt).
    Rebuild {
        space: SpaceId,
    },
    /// Put a run in the place of stored ones that cannot be read; answered by one
    /// [`Input::Mended`](super::Input::Mended). Its author's signature holds; that it follows and is
    /// followed by what is stored is the store's to check.
    Mend {
        run: Run,
    },
    Notice(Notice),
}

/// Worth a line in the log, or an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Greeted and level, or about to be.
    Live {
        link: LinkId,
        peer: NodeId,
    },
    Ended {
        link: LinkId,
        peer: NodeId,
        reason: String,
    },
    Refused {
        peer: NodeId,
        log: LogId,
        reason: String,
    },
    /// The author is proven to have signed two histories. If it is this node, its next local write must
    /// begin a new incarnation.
    Fork {
        author: NodeId,
        log: LogId,
        seq: u64,
    },
    /// The other of two histories stands, and took the place of the one held here.
    WentOver {
        author: NodeId,
        log: LogId,
        seq: u64,
    },
    /// Two statements claim this epoch; nothing more is taken until the root key recovers.
    DirectoryFork {
        epoch: u64,
    },
    /// Another history took over after this epoch.
    DirectoryRecovered {
        epoch: u64,
    },
    /// A statement this version cannot carry out.
    DirectoryStopped {
        reason: String,
    },
    /// The peer made other records of the same entries.
    StatesDiffer {
        peer: NodeId,
        space: SpaceId,
    },
    /// … and no longer: in all spaces.
    StatesAgree {
        peer: NodeId,
    },
    /// The disk refused what peers sent; it is asked for again later.
    StorageFailed {
        reason: String,
    },
}
