//! When a branch of a log is lost: documents are made again without it, and what this node wrote on it, or
//! on top of it, is written anew.
//!
//! Everything in between is in the store, so a crash costs nothing but doing a step again: the branch that
//! was lost (until its documents are made again), and what is to be written anew (until the commit that
//! writes it).

use crate::rebuild::Rebuilder;
use crate::shared::Shared;
use crate::store::{LostBranch, Pending, Place, StoreError, WriteBatch};
use crate::views::update_of;
use crate::writer::{Command, LocalWrite, WriteError, WriterHandle};
use fenbu_protocol::id::LogId;
use fenbu_protocol::record::{Amendment, EditError, Record, change_hash, schema};
use fenbu_protocol::seal::Reading;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// See the [module](self). Everything here blocks.
#[derive(Debug)]
pub(crate) struct Forks {
    shared: Shared,
    writer: WriterHandle,
    rebuilder: Rebuilder,
}

/// Hashes of the changes a lost branch held, by document.
type Lost = BTreeMap<Place, BTreeSet<[u8; 32]>>;

impl Forks {
    pub(crate) fn new(shared: Shared, writer: WriterHandle, rebuilder: Rebuilder) -> Self {
        Self { shared, writer, rebuilder }
    }

    /// Makes the documents of lost branches again without them; whether there were any.
    pub(crate) fn remake(&self) -> Result<bool, StoreError> {
        let mut any = false;
        let branches = self.shared.readers.with(|r| r.lost())?;
        for branch in branches.into_iter().filter(|branch| !branch.remade) {
            let lost = match self.shared.readable().contains(&branch.space) {
                true => self.lost_changes(&branch)?,
                false => Lost::new(),
            };
            self.make_again(&branch, &lost)?;
            self.store(WriteBatch { remade: vec![branch.id], ..WriteBatch::default() })?;
            any = true;
        }
        Ok(any)
    }

    fn lost_changes(&self, branch: &LostBranch) -> Result<Lost, StoreError> {
        let (directory, keyring) = (self.shared.directory.now(), self.shared.keys.now());
        let mut lost = Lost::new();
        for run in self.shared.readers.with(|r| r.lost_runs(branch.id))? {
            for entry in run.entries() {
                let place = crate::making::place_of(branch.space, &entry.header);
                let changes = lost.entry(place).or_default();
                let Some(body) = entry.body else { continue };
                if let Reading::Plain(body) =
                    keyring.read(&directory, &branch.space, &entry.header, body)
                {
                    changes.extend(change_hash(&body));
                }
            }
        }
        Ok(lost)
    }

    /// Nobody writes these documents from here on until they are as they should be: what they lose of ours
    /// is put down first, and our next entries go to new logs, since places of the old ones are taken.
    fn make_again(&self, branch: &LostBranch, lost: &Lost) -> Result<(), StoreError> {
        let places: BTreeSet<Place> = lost.keys().copied().collect();
        if places.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            log = %branch.log.short(), documents = places.len(),
            "another history of a log took over: making its documents again"
        );
        let guard = self.shared.documents.lock(places.iter().copied());
        let mut amendments = Vec::new();
        let mut doubtful = false;
        for (place, changes) in lost {
            match self.ours(branch, *place, changes)? {
                Some(found) => amendments.extend(found),
                None => doubtful = true,
            }
        }
        if doubtful || !amendments.is_empty() {
            let (reply, answer) = oneshot::channel();
            self.ask(Command::LeaveLogs { space: branch.space, reply }, answer)?;
        }
        self.store(WriteBatch { amendments, ..WriteBatch::default() })?;
        self.rebuilder.held_documents(branch.space, &places, &guard)?;
        drop(guard);
        Ok(())
    }

    /// What a document loses of ours; `None` if nobody can tell any more.
    fn ours(
        &self,
        branch: &LostBranch,
        place: Place,
        lost: &BTreeSet<[u8; 32]>,
    ) -> Result<Option<Vec<Pending>>, StoreError> {
        let Some(schema) = schema(place.kind) else { return Ok(Some(Vec::new())) };
        let stored = match self.shared.readers.with(|r| r.document(place)) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Some(Vec::new())),
            Err(StoreError::Corrupted { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(record) = Record::load(schema, &stored.snapshot) else { return Ok(None) };
        let logs = self.shared.readers.with(|r| r.logs(place.space))?;
        let me = self.shared.me;
        let own: BTreeSet<[u8; 16]> =
            logs.iter().filter(|l| l.opening.node == me).map(|l| l.log.actor()).collect();
        let ours = |actor: &[u8; 16], change: &[u8; 32]| {
            own.contains(actor) && (branch.own || !lost.contains(change))
        };
        let pending = |amendment: Amendment| Pending {
            place,
            change: amendment.change,
            bytes: amendment.to_bytes(),
        };
        Ok(Some(record.amendments(lost, ours).into_iter().map(pending).collect()))
    }

    /// Writes anew what is to be, each change once. What cannot be written yet is tried again.
    pub(crate) fn write_anew(&self) -> Result<(), StoreError> {
        for pending in self.shared.readers.with(|r| r.amendments())? {
            loop {
                match self.write_one(&pending) {
                    Ok(()) => break,
                    Err(WriteError::LogLeft) => {}
                    Err(WriteError::Store(error)) => return Err(error),
                    Err(WriteError::Stopping(_)) => return Ok(()),
                    Err(why @ (WriteError::NoKey(_) | WriteError::Limit(_))) => {
                        tracing::warn!(%why, "an entry cannot be written anew yet");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_one(&self, pending: &Pending) -> Result<(), WriteError> {
        let Pending { place, change, bytes } = pending;
        let directory = self.shared.directory.now();
        let may_write = directory.may_write(&self.shared.me, &place.space, directory.epoch());
        let (Some(schema), Some(amendment)) = (schema(place.kind), Amendment::from_bytes(bytes))
        else {
            return Ok(());
        };
        if !may_write {
            return Ok(());
        }
        let _guard = self.shared.documents.lock([*place]);
        let stored = match self.shared.readers.with(|r| r.document(*place)) {
            // Made again where somebody opens it; then this is tried again.
            Err(StoreError::Corrupted { .. }) => return Ok(()),
            stored => stored?,
        };
        let before = stored.as_ref().map(|s| &s.snapshot[..]);
        let mut record = match before {
            Some(snapshot) => match Record::load(schema, snapshot) {
                Ok(record) => record,
                Err(_) => return Ok(()),
            },
            None => Record::new(schema),
        };
        let done = WriteBatch { amended: vec![(*place, *change)], ..WriteBatch::default() };
        // Another copy of this node may have done it.
        if record.history().iter().any(|item| item.anew_of == Some(*change)) {
            return Ok(self.store(done)?);
        }
        let log: LogId = self.writer.log_of(place.space);
        record = self.shared.name_for(record, place.space, log.actor())?;
        let body = match record.amend(log.actor(), self.shared.clock.now_ms(), &amendment) {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(self.store(done)?),
            // Whoever made the record writes that anew first.
            Err(EditError::Required { .. }) => return Ok(()),
            Err(error) => {
                tracing::warn!(document = %place.document, %error, "a change cannot be written anew");
                return Ok(());
            }
        };
        let saved = record.saved_after(before, &body);
        let update = update_of(place.space, place.document, &record, saved);
        let write = LocalWrite { schema, log, body, update, anew_of: Some(*change) };
        let (reply, answer) = oneshot::channel();
        self.writer.send(Command::Write { writes: vec![write], pledge: None, reply })?;
        answer.blocking_recv().map_err(|_| crate::writer::Stopping)?.map(drop)
    }

    fn store(&self, batch: WriteBatch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Store { batch, reply }, answer)
    }

    fn ask(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        match self.writer.send(command) {
            // No answer: the writer has stopped, and so shall we.
            Ok(()) => answer.blocking_recv().unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
