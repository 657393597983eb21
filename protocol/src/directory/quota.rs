//! How much one author may have in a space, and where its logs go over that.
//!
//! An author's entries in a space are counted in one order: its logs by ascending incarnation, each from
//! its beginning. So beginning another log gains nothing, and what is over does not depend on what came
//! first, only on what the logs hold.

use super::fold::Directory;
use super::space::Space;
use crate::id::{DocId, SpaceId};
use crate::limits::{AUTHOR_BYTES_DEFAULT, AUTHOR_DOCUMENTS_DEFAULT, AUTHOR_ENTRIES_DEFAULT};
use crate::log::Header;
use std::collections::BTreeSet;

/// How much one author may have in a space, over all its logs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub entries: u64,
    /// Body bytes.
    pub bytes: u64,
    /// Documents its entries name.
    pub documents: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            entries: AUTHOR_ENTRIES_DEFAULT,
            bytes: AUTHOR_BYTES_DEFAULT,
            documents: AUTHOR_DOCUMENTS_DEFAULT,
        }
    }
}

impl Quota {
    /// What an author who comes to `usage` is over, if anything.
    pub fn exceeded_by(&self, usage: &Usage) -> Option<Excess> {
        if usage.entries > self.entries {
            Some(Excess::Entries)
        } else if usage.bytes > self.bytes {
            Some(Excess::Bytes)
        } else if usage.documents > self.documents {
            Some(Excess::Documents)
        } else {
            None
        }
    }

    fn or_more(self, other: &Self) -> Self {
        Self {
            entries: self.entries.max(other.entries),
            bytes: self.bytes.max(other.bytes),
            documents: self.documents.max(other.documents),
        }
    }
}

impl Space {
    /// What is said of entries that cite `epoch`.
    pub fn quota_at(&self, epoch: u64) -> Quota {
        let after = self.quotas.partition_point(|(from, _)| *from <= epoch);
        let last = after.checked_sub(1).and_then(|at| self.quotas.get(at));
        last.map(|(_, quota)| *quota).unwrap_or_default()
    }

    /// What entries are judged by, as (from which cited epoch, quota), ascending and beginning with 0:
    /// each limit as it was then, or as it was ever raised to since. None is more than the one before.
    pub fn judging_quotas(&self) -> Vec<(u64, Quota)> {
        let mut out: Vec<(u64, Quota)> = Vec::with_capacity(self.quotas.len() + 1);
        let first = [(0, Quota::default())];
        for (from, quota) in self.quotas.iter().rev().chain(&first) {
            let later = out.last().map_or(*quota, |(_, later)| quota.or_more(later));
            out.push((*from, later));
        }
        out.reverse();
        out
    }
}

impl Directory {
    /// How much one author may have in `space` by entries that cite `epoch`, as it was said then.
    pub fn quota_at(&self, space: &SpaceId, epoch: u64) -> Quota {
        self.space(space).map(|s| s.quota_at(epoch)).unwrap_or_default()
    }

    /// What entries in `space` are judged by that are judged by `epoch`; see [`Space::judging_quotas`].
    pub fn judging_quota(&self, space: &SpaceId, epoch: u64) -> Quota {
        let quotas = self.space(space).map_or_else(Vec::new, Space::judging_quotas);
        let last = quotas.iter().rev().find(|(from, _)| *from <= epoch);
        last.map(|(_, quota)| *quota).unwrap_or_default()
    }
}

/// What one author has in one space, up to and including an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub entries: u64,
    /// Body bytes, also of erased ones.
    pub bytes: u64,
    /// Documents named.
    pub documents: u64,
}

/// What of a [`Quota`] an entry is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Entries,
    Bytes,
    Documents,
}

impl Excess {
    /// The limit that is reached.
    pub fn of(self, quota: &Quota) -> u64 {
        match self {
            Self::Entries => quota.entries,
            Self::Bytes => quota.bytes,
            Self::Documents => quota.documents,
        }
    }
}

/// A place among one author's entries in one space, in the order in which they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ordinal {
    pub incarnation: u32,
    pub seq: u64,
}

/// Adds up one author's entries in one space, and remembers where they go over each of some quotas:
/// that entry and all after it are over.
#[derive(Debug, Clone)]
pub struct Account {
    quotas: Vec<Quota>,
    over: Vec<Option<(Ordinal, Excess)>>,
    usage: Usage,
    documents: BTreeSet<DocId>,
}

impl Account {
    pub fn new(quotas: Vec<Quota>) -> Self {
        let over = vec![None; quotas.len()];
        Self { quotas, over, usage: Usage::default(), documents: BTreeSet::new() }
    }

    /// The next entry, in the order of [`Ordinal`].
    pub fn count(&mut self, incarnation: u32, header: &Header) {
        self.documents.insert(header.document);
        self.usage.entries += 1;
        self.usage.bytes = self.usage.bytes.saturating_add(u64::from(header.body_len));
        self.usage.documents = self.documents.len() as u64;
        for (quota, over) in self.quotas.iter().zip(&mut self.over) {
            if over.is_none() {
                let at = Ordinal { incarnation, seq: header.seq };
                *over = quota.exceeded_by(&self.usage).map(|excess| (at, excess));
            }
        }
    }

    /// Where entries are over the quota of this number, and of what.
    pub fn over(&self, quota: usize) -> Option<(Ordinal, Excess)> {
        self.over.get(quota).copied().flatten()
    }

    /// Whether nothing that follows can change the answers.
    pub fn is_settled(&self) -> bool {
        self.over.iter().all(Option::is_some)
    }

    /// The documents named so far, ascending.
    pub fn documents(&self) -> &BTreeSet<DocId> {
        &self.documents
    }
}
