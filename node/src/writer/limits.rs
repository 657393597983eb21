//! Whether what is to be written here is within what one author may have in a space.
//!
//! What is over a limit does not count anywhere, so it is refused before it is written. All logs of this
//! node in the space are added up, those of earlier incarnations too.

use super::{LocalWrite, WriteError, Writer};
use crate::ledger::{Ledger, is_well_within};
use crate::store::StoreError;
use fenbu_protocol::directory::{Directory, Excess, Quota, Space, Usage};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::limits::SEAL_BYTES;
use std::collections::{BTreeMap, BTreeSet};

/// A limit that a write here would go over. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    #[error(
        "this node has as many entries in space '{label}' as one author may have there, {limit}: ask the admin node for more (`fenbu space limits`)"
    )]
    Entries { label: String, limit: u64 },
    #[error(
        "this node's entries in space '{label}' are as large as those of one author may be there, {limit} bytes: ask the admin node for more (`fenbu space limits`)"
    )]
    Bytes { label: String, limit: u64 },
    #[error(
        "this node has written to as many records in space '{label}' as one author may there, {limit}: edit those, or ask the admin node for more (`fenbu space limits`)"
    )]
    Documents { label: String, limit: u64 },
}

/// What this node has in a space besides its present log.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    /// Entries and bytes of its other logs.
    others: (u64, u64),
    /// The documents named in all of them, once that matters; with what was written since.
    documents: Option<BTreeSet<DocId>>,
}

impl Writer {
    /// # Errors
    /// [`WriteError::Limit`] if one of the writes would be over.
    pub(super) fn check_limits(
        &mut self,
        writes: &[LocalWrite],
        directory: &Directory,
    ) -> Result<(), WriteError> {
        let mut by_space: BTreeMap<SpaceId, Vec<&LocalWrite>> = BTreeMap::new();
        for write in writes {
            by_space.entry(write.update.space).or_default().push(write);
        }
        by_space.into_iter().try_for_each(|(space, writes)| self.check(space, &writes, directory))
    }

    fn check(
        &mut self,
        space: SpaceId,
        writes: &[&LocalWrite],
        directory: &Directory,
    ) -> Result<(), WriteError> {
        let (epoch, _) = directory.cite(&self.shared.me, &space);
        let quota = directory.judging_quota(&space, epoch);
        let mut own = self.own_in(space)?;
        let tip = self.author_in(space).tip();
        let sealed = directory.space(&space).is_some_and(Space::is_sealed);
        let more = if sealed { SEAL_BYTES } else { 0 };
        let new: u64 = writes.iter().map(|w| (w.body.len() + more) as u64).sum();
        let mut usage = Usage {
            entries: own.others.0 + tip.seq + writes.len() as u64,
            bytes: own.others.1.saturating_add(tip.body_bytes).saturating_add(new),
            documents: 0,
        };
        let mut named: BTreeSet<DocId> = writes.iter().map(|w| w.update.document).collect();
        if own.documents.is_none() && !is_well_within((usage.entries, usage.bytes), &quota) {
            own.documents = Some(self.documents_in(space)?);
        }
        if let Some(documents) = &own.documents {
            named.retain(|document| !documents.contains(document));
            usage.documents = (documents.len() + named.len()) as u64;
        }
        let over = quota.exceeded_by(&usage);
        if let (Some(documents), None) = (&mut own.documents, over) {
            documents.extend(named);
        }
        self.own.insert(space, own);
        over.map_or(Ok(()), |excess| Err(reached(directory, space, excess, &quota)))
    }

    /// What is known, or else looked up.
    fn own_in(&mut self, space: SpaceId) -> Result<Own, StoreError> {
        if let Some(own) = self.own.remove(&space) {
            return Ok(own);
        }
        let (me, present) = (self.shared.me, self.author_in(space).log());
        let logs = self.shared.readers.with(|r| r.logs(space))?;
        let others = logs.iter().filter(|l| l.opening.node == me && l.log != present);
        let others = others.fold((0, 0), |(entries, bytes), log| {
            (entries + log.tip.seq, u64::saturating_add(bytes, log.tip.body_bytes))
        });
        Ok(Own { others, documents: None })
    }

    /// As stored, and of what is about to be.
    fn documents_in(&self, space: SpaceId) -> Result<BTreeSet<DocId>, StoreError> {
        let whose = (space, self.shared.me);
        let mut documents = self.shared.readers.with(|r| Ledger::documents(r, whose))?;
        documents.extend(self.unsaved.iter().filter(|(s, _)| *s == space).map(|(_, d)| *d));
        Ok(documents)
    }
}

fn reached(directory: &Directory, space: SpaceId, excess: Excess, quota: &Quota) -> WriteError {
    let label = directory.space(&space).map_or_else(|| space.short(), |s| s.label.clone());
    let limit = excess.of(quota);
    WriteError::Limit(match excess {
        Excess::Entries => LimitReached::Entries { label, limit },
        Excess::Bytes => LimitReached::Bytes { label, limit },
        Excess::Documents => LimitReached::Documents { label, limit },
    })
}
