//! When the chain has two ends: telling histories apart, and which of them stands.
//!
//! Two signed statements at one epoch fork the directory. A node that has seen both takes no further
//! statement, so that nobody's rights depend on which of the two it heard first; records are written
//! on, citing the last common epoch where that gives the right. The root key ends it. A statement by
//! the root vouches for everything before it, so after the fork
//!
//! 1. a history with a [recovery](super::Recover) stands against one without; of two, the one whose
//!    first recovery goes back further; of two that go back equally far, the lower statement hash;
//! 2. else one that appoints an admin stands against one that does not, likewise.
//!
//! Each is "the first such statement after the fork", so all nodes choose alike whatever they hear
//! first: the order is total over histories that the root has spoken in.

use super::act::{Act, Recover};
use super::fold::{Directory, DirectoryError};
use super::statement::{Signed, Statement};
use crate::id::{Hash, HashPrefix, NodeId, SpaceId};
use ed25519_dalek::SigningKey;

/// Proof that two statements claim one epoch: the one in our chain, and this other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    pub epoch: u64,
    pub other: Signed,
}

/// A statement by the root key that settles what is before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Landmark {
    epoch: u64,
    hash: Hash,
    /// Of a recovery: the last epoch known to be void.
    voided: Option<u64>,
}

impl Landmark {
    pub(super) fn of(act: &Act, epoch: u64, hash: Hash) -> Option<Self> {
        match act {
            Act::Recover(recover) => Some(Self { epoch, hash, voided: Some(recover.voided) }),
            Act::AppointAdmin(_) => Some(Self { epoch, hash, voided: None }),
            _ => None,
        }
    }
}

/// What speaks for a history, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Recovered(u64, Hash),
    Appointed(u64, Hash),
    Nothing,
}

/// Another history than ours, as far as somebody has told it; every statement in it is verified.
#[derive(Debug, Clone)]
pub struct Branch {
    directory: Directory,
    after: u64,
}

impl Branch {
    /// The next statement of it, or one that parts from it in turn: what is told last is where its
    /// teller stands, unless the root key has spoken for what was told before.
    ///
    /// # Errors
    /// As [`Directory::branch`]; the branch stays as it was.
    pub fn apply(&mut self, signed: Signed) -> Result<(), DirectoryError> {
        if self.directory.apply(signed.clone()).is_ok() {
            return Ok(());
        }
        let other = self.directory.branch(signed)?;
        if other.after < self.after {
            return Err(DirectoryError::Parted(other.after + 1));
        }
        if self.directory.weigh(&other) != Weight::Ours {
            self.directory = other.directory;
        }
        Ok(())
    }

    /// The last epoch it has in common with ours.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Its statements after that.
    pub fn statements(&self) -> &[Signed] {
        self.directory.statements_after(self.after)
    }
}

/// Which of two histories stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Ours,
    Theirs,
    /// The root key has not spoken in either since they parted.
    Neither,
}

impl Directory {
    /// The history that leaves ours with `signed`.
    ///
    /// # Errors
    /// [`DirectoryError::Parted`] if it left ours earlier, [`DirectoryError::Gap`] if what it follows
    /// is missing; otherwise as [`Directory::apply`].
    pub fn branch(&self, signed: Signed) -> Result<Branch, DirectoryError> {
        let statement = self.open(&signed)?;
        let after = statement.epoch - 1;
        let gap = DirectoryError::Gap { have: self.epoch(), found: statement.epoch };
        if self.head_at(after).ok_or(gap)? != statement.previous {
            return Err(DirectoryError::Parted(after));
        }
        let mut directory = self.until(after);
        directory.apply(signed)?;
        Ok(Branch { directory, after })
    }

    pub fn weigh(&self, branch: &Branch) -> Weight {
        let ours = self.claim_after(branch.after);
        match ours.cmp(&branch.directory.claim_after(branch.after)) {
            std::cmp::Ordering::Less => Weight::Ours,
            std::cmp::Ordering::Equal => Weight::Neither,
            std::cmp::Ordering::Greater => Weight::Theirs,
        }
    }

    fn claim_after(&self, epoch: u64) -> Claim {
        let after = self.landmarks.iter().filter(|l| l.epoch > epoch);
        let claims = after.map(|l| match l.voided {
            Some(_) => Claim::Recovered(l.epoch, l.hash),
            None => Claim::Appointed(l.epoch, l.hash),
        });
        claims.min().unwrap_or(Claim::Nothing)
    }

    /// Goes over to a branch that [stands](Self::weigh). The result is that of a node that has never
    /// heard of another.
    pub fn take_over(&mut self, branch: Branch) {
        *self = branch.directory;
    }

    /// Stops at a branch of which nobody knows whether it stands; returns whether that is news. What
    /// only goes on from our head is no fork.
    pub fn stop_at(&mut self, branch: &Branch) -> bool {
        let parts = branch.after < self.epoch() && self.weigh(branch) == Weight::Neither;
        let epoch = branch.after + 1;
        if !parts || self.fork.as_ref().is_some_and(|known| known.epoch <= epoch) {
            return false;
        }
        // INVARIANT: a branch begins with the statement that parts it.
        let other = branch.statements().first().expect("a branch has a statement").clone();
        self.fork = Some(Fork { epoch, other });
        true
    }

    /// Stops again as before a restart: `other` is [`Fork::other`] as it was kept. It is of no
    /// consequence if the root key has settled it since.
    pub fn stop_again(&mut self, other: Signed) {
        if let Ok(branch) = self.branch(other) {
            self.stop_at(&branch);
        }
    }

    /// Why nothing more is taken, if that is so.
    pub fn fork(&self) -> Option<&Fork> {
        self.fork.as_ref()
    }

    /// What a new entry by `node` in `space` cites: the head; while the directory is forked the last
    /// common epoch, which everyone can judge by, if `node` had the right then.
    pub fn cite(&self, node: &NodeId, space: &SpaceId) -> (u64, HashPrefix) {
        let common = self.fork.as_ref().map(|fork| fork.epoch - 1);
        let common = common.filter(|epoch| self.may_write(node, space, *epoch));
        let epoch = common.unwrap_or(self.epoch());
        // INVARIANT: neither is past the chain.
        (epoch, self.head_at(epoch).expect("an epoch that was reached").prefix())
    }

    /// The epoch by whose rights an entry is judged that cites `epoch` under the head `prefix`; `None`
    /// if that is no history of ours, or not yet. What was void is judged where the recovery goes
    /// back to: its author could have cited that, so it gains nothing, and honest work is not lost.
    pub fn judged_at(&self, epoch: u64, prefix: HashPrefix) -> Option<u64> {
        let same = |head: Hash| head.prefix() == prefix || planted!(HistoryUnchecked);
        if self.head_at(epoch).is_some_and(same) {
            return Some(epoch);
        }
        if planted!(EpochToComeTaken) && epoch > self.epoch() {
            return Some(self.epoch());
        }
        let recovery =
            self.landmarks.iter().rev().find(|l| l.voided.is_some() && l.epoch <= epoch)?;
        let void = epoch <= self.epoch() || Some(epoch) <= recovery.voided;
        void.then_some(recovery.epoch - 1)
    }

    /// A recovery that goes back to `epoch`, for the root key to sign; `None` if our chain does not reach
    /// it. Where it has a recovery to the same epoch already, the time is moved on until the new one
    /// stands.
    pub fn recovery(&self, epoch: u64, time_ms: u64) -> Option<Statement> {
        let hash = self.head_at(epoch)?;
        let act = Act::Recover(Recover { epoch, hash, voided: self.epoch() });
        let rival = self.landmarks.iter().find(|l| l.voided.is_some() && l.epoch == epoch + 1);
        let mut statement = Statement {
            federation: self.federation(),
            epoch: epoch + 1,
            previous: hash,
            author: NodeId(self.federation().0),
            time_ms,
            act: act.number(),
            payload: act.payload(),
        };
        while rival.is_some_and(|rival| rival.hash <= statement.hash()) {
            statement.time_ms += 1;
        }
        Some(statement)
    }

    /// Signs a [recovery](Self::recovery).
    pub fn draft_recovery(&self, root: &SigningKey, epoch: u64, time_ms: u64) -> Option<Signed> {
        Some(Signed::sign(root, &self.recovery(epoch, time_ms)?))
    }
}
