//! Statements that are made together, and the cuts that go with a right that is taken.

use super::{Admission, AdmissionError};
use crate::shared::Shared;
use crate::store::{Reader, StoreError};
use crate::writer::Stopping;
use fenbu_protocol::directory::{
    Act, ContinueCuts, Cut, Directory, DirectoryError, RevokeNode, Signed,
};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::limits::CUTS_PER_STATEMENT_MAX;
use fenbu_protocol::log::Opening;
use fenbu_protocol::seal;

/// Statements to be declared together, and the directory as it is with them.
pub(super) struct Acts<'a> {
    shared: &'a Shared,
    pub(super) directory: Directory,
    pub(super) said: Vec<(u64, Signed)>,
}

impl<'a> Acts<'a> {
    pub(super) fn after(shared: &'a Shared, directory: &Directory) -> Self {
        Self { shared, directory: directory.clone(), said: Vec::new() }
    }

    pub(super) fn say(&mut self, act: &Act) -> Result<(), DirectoryError> {
        let now_ms = self.shared.clock.now_ms();
        let signed = self.directory.draft(&self.shared.key, act, now_ms);
        self.take(signed)
    }

    /// A statement that is signed already.
    pub(super) fn take(&mut self, signed: Signed) -> Result<(), DirectoryError> {
        self.directory.apply(signed.clone())?;
        self.said.push((self.directory.epoch(), signed));
        Ok(())
    }

    /// Says what takes a right, with as many of the cuts as fit, and the others after it.
    pub(super) fn say_with_cuts(
        &mut self,
        cuts: &[Cut],
        act: impl FnOnce(Vec<Cut>) -> Act,
    ) -> Result<(), DirectoryError> {
        let (first, rest) = cuts.split_at(cuts.len().min(CUTS_PER_STATEMENT_MAX));
        self.say(&act(first.to_vec()))?;
        self.say_more_cuts(rest)
    }

    pub(super) fn say_more_cuts(&mut self, cuts: &[Cut]) -> Result<(), DirectoryError> {
        for cuts in cuts.chunks(CUTS_PER_STATEMENT_MAX) {
            self.say(&Act::ContinueCuts(ContinueCuts { cuts: cuts.to_vec() }))?;
        }
        Ok(())
    }

    /// Keys of new spaces, old keys for new readers, and new keys where a reader has left.
    pub(super) fn say_what_is_due(&mut self) -> Result<(), DirectoryError> {
        for act in seal::due(&self.directory, &self.shared.keys.now(), &mut chance) {
            self.say(&act)?;
        }
        Ok(())
    }
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// The epoch of the revocation itself; key changes follow it.
    pub epoch: u64,
    /// How many of the node's logs were cut.
    pub logs: usize,
}

impl Admission {
    /// Ends a node: its logs count as far as this node has them.
    ///
    /// What the node wrote and this one has not seen yet stays in the logs and does not count, unless
    /// somebody within his rights has built on it.
    pub async fn revoke(&self, node: NodeId) -> Result<Revoked, AdmissionError> {
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        self.check_admin(&directory)?;
        if node == self.shared.me {
            return Err(AdmissionError::RevokesItself);
        }
        self.check_sight(&directory, &node)?;
        let cuts = self.cuts_of(move |opening| opening.node == node).await?;
        let mut acts = Acts::after(&self.shared, &directory);
        let epoch = directory.epoch() + 1;
        acts.say_with_cuts(&cuts, |cuts| Act::RevokeNode(RevokeNode { node, cuts }))?;
        acts.say_what_is_due()?;
        self.say(acts, Vec::new()).await?;
        tracing::warn!(node = %node.short(), cuts = cuts.len(), "revoked a node");
        Ok(Revoked { epoch, logs: cuts.len() })
    }

    /// A log that is not here would be cut at its beginning.
    pub(super) fn check_sight(
        &self,
        directory: &Directory,
        node: &NodeId,
    ) -> Result<(), AdmissionError> {
        let writes = |space| directory.may_write(node, space, directory.epoch());
        let blind = directory.spaces().filter(|s| !directory.carries(&self.shared.me, &s.id));
        match blind.into_iter().find(|s| writes(&s.id)) {
            None => Ok(()),
            Some(space) => Err(AdmissionError::Blind(space.label.clone())),
        }
    }

    /// The ends of the logs that are meant, ascending.
    pub(super) async fn cuts_of(
        &self,
        meant: impl Fn(&Opening) -> bool + Send + 'static,
    ) -> Result<Vec<Cut>, AdmissionError> {
        let readers = self.shared.readers.clone();
        let cuts = tokio::task::spawn_blocking(move || readers.with(|r| cuts(r, meant)));
        Ok(cuts.await.map_err(|_| Stopping)??)
    }
}

fn cuts(reader: &dyn Reader, meant: impl Fn(&Opening) -> bool) -> Result<Vec<Cut>, StoreError> {
    let mut cuts = Vec::new();
    for (log, tip) in reader.tips()? {
        if tip.seq > 0 && reader.log(log)?.is_some_and(|stored| meant(&stored.opening)) {
            cuts.push(Cut { log, seq: tip.seq, hash: tip.hash });
        }
    }
    Ok(cuts)
}

/// 32 random bytes.
pub(crate) fn chance() -> [u8; 32] {
    let mut bytes = [0; 32];
    // INVARIANT: without the system's randomness no key could have been made either.
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}
