//! Whether an entry's author had the right to write it: a pure question to the directory.

use super::fold::Directory;
use crate::id::{LogId, NodeId, SpaceId};

/// How an entry stands, before anybody looks inside. The more the directory knows, the less can stand
/// as [`Standing::Unknown`]; from [`Standing::Anchored`] an entry can only fall past a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its author had the right at the epoch it cites, and no removal of that right since has cut the
    /// log before it.
    Anchored,
    /// Its author had the right, and a later removal cut the log before it: it counts only if an
    /// anchored entry builds on it.
    PastCut,
    /// Its author had no right to write the space at the epoch it cites.
    NoRight,
    /// It cites an epoch this directory does not reach.
    Unknown,
}

impl Directory {
    /// How entry `seq` of `log`, by `author` in `space`, citing `epoch`, stands.
    pub fn standing(
        &self,
        author: &NodeId,
        space: &SpaceId,
        (log, seq): (LogId, u64),
        epoch: u64,
    ) -> Standing {
        if epoch > self.epoch() {
            return Standing::Unknown;
        }
        if !self.may_write(author, space, epoch) {
            return Standing::NoRight;
        }
        match self.cut_after(author, space, &log, epoch) {
            Some(last) if seq > last => Standing::PastCut,
            _ => Standing::Anchored,
        }
    }

    /// The last seq of `log` that counts by every removal after `epoch` of its author's right; `None`
    /// if there was none.
    pub fn cut_after(
        &self,
        author: &NodeId,
        space: &SpaceId,
        log: &LogId,
        epoch: u64,
    ) -> Option<u64> {
        self.cuts_after(author, space, epoch)
            .map(|cuts| cuts.of(log).map_or(0, |(seq, _)| seq))
            .min()
    }
}
