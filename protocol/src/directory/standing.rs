//! Whether an entry's author had the right to write it: a pure question to the directory and the logs.

use super::fold::Directory;
use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::log::Header;

/// How an entry stands, before anybody looks inside. The more the directory knows, the less can stand
/// as [`Standing::Unknown`]; from [`Standing::Anchored`] an entry can only fall past a cut, or, where
/// a recovery voids what it cites, to where that goes back to.
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
    /// It cites an epoch this directory does not reach, or a history that is not ours.
    Unknown,
}

impl Directory {
    /// How an entry by `author` in `space` stands. `hash_at` gives the header hashes of its log, as
    /// far as they are held; it is asked only where the log was cut.
    ///
    /// # Errors
    /// What `hash_at` fails with.
    pub fn standing<E>(
        &self,
        author: &NodeId,
        space: &SpaceId,
        header: &Header,
        hash_at: impl Fn(u64) -> Result<Option<Hash>, E>,
    ) -> Result<Standing, E> {
        let Some(epoch) = self.judged_at(header.epoch, header.directory) else {
            return Ok(Standing::Unknown);
        };
        let asked = if planted!(RightsOfToday) { self.epoch() } else { epoch };
        if !planted!(RightUnchecked) && !self.may_write(author, space, asked) {
            return Ok(Standing::NoRight);
        }
        Ok(match self.cut_after(author, space, &header.log, epoch, hash_at)? {
            Some(last) if header.seq > last && !planted!(CutIgnored) => Standing::PastCut,
            _ => Standing::Anchored,
        })
    }

    /// The last seq of `log` that counts by every removal after `epoch` of its author's right; `None`
    /// if there was none. Nothing counts of a log that has another entry where it was cut: the right
    /// was taken from another history of it.
    ///
    /// # Errors
    /// What `hash_at` fails with.
    pub fn cut_after<E>(
        &self,
        author: &NodeId,
        space: &SpaceId,
        log: &LogId,
        epoch: u64,
        hash_at: impl Fn(u64) -> Result<Option<Hash>, E>,
    ) -> Result<Option<u64>, E> {
        let mut last = None;
        for cuts in self.cuts_after(author, space, epoch) {
            let cut = match cuts.of(log) {
                Some((seq, hash)) if hash_at(seq)?.is_none_or(|held| held == hash) => seq,
                _ => 0,
            };
            last = Some(last.map_or(cut, |last: u64| last.min(cut)));
        }
        Ok(last)
    }
}
