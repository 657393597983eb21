//! Writing one's own log.

use crate::id::{DocId, HashPrefix, LogId};
use crate::limits::{BODY_BYTES_MAX, RUN_BYTES_TARGET, RUN_ENTRIES_MAX};
use crate::log::header::body_hash;
use crate::log::run::RunWriter;
use crate::log::{Checkpoint, Header, Opening, Run, Shape, Tip};
use ed25519_dalek::SigningKey;

/// What an author says of a new entry; place and hashes follow from the log.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub epoch: u64,
    pub directory: HashPrefix,
    /// Milliseconds since 1970; the entry's clock is this, or just after the previous entry's.
    pub now_ms: u64,
    pub shape: Shape,
    pub document: DocId,
    pub body: &'a [u8],
}

/// The writing end of a log. Entries gather in an open run until [`Author::close`] signs it; only
/// closed runs may be stored or sent. Clone it before a batch and put the clone back if the disk
/// refuses, or a sequence number would be used twice.
#[derive(Debug, Clone)]
pub struct Author {
    opening: Opening,
    log: LogId,
    tip: Tip,
    clock: u64,
    open: Option<RunWriter>,
}

impl Author {
    /// Continues the log of `opening` after `tip` ([`Tip::start`] for a new log). `clock` is the
    /// last entry's.
    pub fn new(opening: Opening, tip: Tip, clock: u64) -> Self {
        Self { log: opening.log(), opening, tip, clock, open: None }
    }

    pub fn log(&self) -> LogId {
        self.log
    }

    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Whether the next entry may cite `epoch`. If not (the directory was recovered to before what
    /// this log has cited), only a new incarnation can go on.
    pub fn may_cite(&self, epoch: u64) -> bool {
        self.tip.epoch <= epoch
    }

    /// Puts an entry at the end and returns its header.
    ///
    /// # Panics
    /// If the body is over [`BODY_BYTES_MAX`] (callers check what people give them), or if the log
    /// [may not cite](Self::may_cite) the epoch.
    pub fn append(&mut self, draft: &Draft<'_>) -> Header {
        assert!(draft.body.len() <= BODY_BYTES_MAX, "INVARIANT: bodies are checked at the door");
        assert!(self.may_cite(draft.epoch), "INVARIANT: such a log is left before it is written");
        self.clock = (draft.now_ms << 16).max(self.clock + 1);
        let header = Header {
            log: self.log,
            seq: self.tip.seq + 1,
            previous: self.tip.hash,
            epoch: draft.epoch,
            directory: draft.directory,
            clock: self.clock,
            shape: draft.shape,
            document: draft.document,
            body_len: draft.body.len() as u32,
            body_hash: body_hash(draft.body),
        };
        let opening = (header.seq == 1).then_some(self.opening);
        self.open
            .get_or_insert_with(|| RunWriter::new(self.log, header.seq, header.previous, opening))
            .push(&header, draft.body);
        self.tip.seq = header.seq;
        self.tip.hash = header.hash();
        self.tip.epoch = header.epoch;
        self.tip.body_bytes += u64::from(header.body_len);
        header
    }

    /// Whether the open run has reached a bound and must be closed before the next entry.
    pub fn is_full(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|run| run.count() >= RUN_ENTRIES_MAX || run.len() >= RUN_BYTES_TARGET)
    }

    /// Signs a checkpoint and hands out the run; `None` if nothing was appended since the last.
    pub fn close(&mut self, key: &SigningKey) -> Option<Run> {
        let run = self.open.take()?;
        let checkpoint = Checkpoint::sign(key, self.log, self.tip.seq, self.tip.hash);
        Some(run.finish(checkpoint.signature))
    }
}
