//! A space as the directory has it: its rights, limits and keys, each as of the epoch that set them.

use super::act::{Cut, Scope, Template};
use super::keys::SpaceKey;
use super::quota::Quota;
use crate::id::{Hash, LogId, SpaceId};
use std::collections::BTreeMap;

/// A space, with everything said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub id: SpaceId,
    pub label: String,
    pub template: Template,
    pub unit: Option<String>,
    /// (from epoch, rights), ascending; never empty.
    pub(super) rights: Vec<(u64, Rights)>,
    /// Ascending by epoch.
    pub(super) removals: Vec<Removal>,
    /// (from epoch, quota), ascending.
    pub(super) quotas: Vec<(u64, Quota)>,
    /// The key of each key epoch: number 1 first.
    pub(super) keys: Vec<SpaceKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) readers: Scope,
    pub(super) writers: Scope,
    pub(super) carriers: Scope,
}

/// Up to where the logs of somebody who lost a right still count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cuts(BTreeMap<LogId, (u64, Hash)>);

impl Cuts {
    pub(super) fn new(cuts: Vec<Cut>) -> Self {
        Self(cuts.into_iter().map(|c| (c.log, (c.seq, c.hash))).collect())
    }

    /// The last seq of `log` that counts and the header hash there; `None` if none of it does.
    pub fn of(&self, log: &LogId) -> Option<(u64, Hash)> {
        self.0.get(log).copied()
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.keys().any(|log| other.0.contains_key(log))
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

/// Some units lost the right to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) epoch: u64,
    /// Their codes, ascending.
    pub(super) units: Vec<String>,
    pub(super) cuts: Cuts,
}

impl Space {
    pub(super) fn rights_at(&self, epoch: u64) -> Option<&Rights> {
        at(&self.rights, epoch)
    }

    fn rights_now(&self) -> &Rights {
        // INVARIANT: a space is created with its first rights.
        &self.rights.last().expect("a space has rights").1
    }

    pub fn readers(&self) -> &Scope {
        &self.rights_now().readers
    }

    pub fn writers(&self) -> &Scope {
        &self.rights_now().writers
    }

    pub fn carriers(&self) -> &Scope {
        &self.rights_now().carriers
    }
}

/// What held at `epoch`, of (from epoch, value) ascending.
fn at<T>(history: &[(u64, T)], epoch: u64) -> Option<&T> {
    let after = history.partition_point(|(from, _)| *from <= epoch);
    history.get(after.checked_sub(1)?).map(|(_, value)| value)
}
