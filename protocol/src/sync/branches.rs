//! Directories that parted: where, which history stands, and going over to it.
//!
//! A statement that does not follow our head is held against the history it belongs to, which each
//! link tells from where it left ours (a `Parted` asks for what is missing in between). If the root key
//! has spoken, one of the two stands and the other side is sent it; if it has not, both are stopped by
//! the two statements that claim one epoch, and these travel to everyone.

use super::engine::Engine;
use super::input::LinkId;
use super::output::{Item, Notice, Output};
use crate::directory::{Branch, DirectoryError, Signed, Weight};
use crate::wire::{DirectoryHead, Message, Parted, Statements};

impl Engine {
    /// Asks the peer for what it has after the last epoch we have in common, since we cannot place what
    /// it says of epoch `found`; once, as long as our head is the same.
    pub(super) fn ask_parted(&mut self, link: LinkId, found: u64) {
        let (epoch, head) = (self.directory.epoch(), self.directory.head());
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.parted_at.replace((head, found)) == Some((head, found)) {
            return;
        }
        let before = (0..64).map(|n| 1u64 << n).take_while(|back| *back < epoch);
        let epochs = std::iter::once(epoch).chain(before.map(|back| epoch - back));
        let heads = epochs.filter_map(|epoch| {
            let hash = self.directory.head_at(epoch)?;
            Some(DirectoryHead { epoch, hash })
        });
        let heads = heads.collect();
        self.send(link, &Message::Parted(Parted { heads }));
    }

    pub(super) fn parted(&mut self, link: LinkId, parted: &Parted) {
        let ours = |head: &&DirectoryHead| self.directory.head_at(head.epoch) == Some(head.hash);
        let common = parted.heads.iter().filter(ours).map(|head| head.epoch).max();
        if let Some(session) = self.sessions.get_mut(&link) {
            session.epoch = common.unwrap_or(0);
        }
        self.send_statements(link);
    }

    /// A statement that does not follow our head, or not while we are stopped.
    pub(super) fn other_history(
        &mut self,
        link: LinkId,
        signed: Signed,
    ) -> Result<(), DirectoryError> {
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let known = session.branch.as_mut();
        if known.is_none_or(|branch| branch.apply(signed.clone()).is_err()) {
            session.branch = Some(self.directory.branch(signed)?);
        }
        session.weigh = true;
        Ok(())
    }

    /// Chooses between our history and the peer's, once a message of it has been heard whole.
    pub(super) fn weigh(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if !std::mem::take(&mut session.weigh) {
            return;
        }
        let Some(branch) = session.branch.take() else { return };
        match self.directory.weigh(&branch) {
            Weight::Theirs => return self.go_over(branch, false),
            Weight::Ours => self.answer(link, branch.after()),
            Weight::Neither => self.stopped_by(link, &branch),
        }
        if let Some(session) = self.sessions.get_mut(&link) {
            session.branch = Some(branch);
        }
    }

    /// Sends what stands to one who shows us something else; once, unless it changes.
    fn answer(&mut self, link: LinkId, after: u64) {
        let head = self.directory.head();
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.answered.replace(head) != Some(head) {
            session.epoch = after;
            self.send_statements(link);
        }
    }

    fn stopped_by(&mut self, link: LinkId, branch: &Branch) {
        if self.directory.stop_at(branch)
            && let Some(fork) = self.directory.fork().cloned()
        {
            self.persist_directory(Item::Fork { statement: fork.other });
            // What is written from now on cites the last common epoch.
            self.output(Output::DirectoryChanged);
            self.notice(Notice::DirectoryFork { epoch: fork.epoch });
            for link in self.live_links() {
                self.tell_fork(link);
            }
        }
        self.tell_fork(link);
    }

    /// Shows the peer both statements of the fork that stops us: it may have either, or none.
    pub(super) fn tell_fork(&mut self, link: LinkId) {
        let Some(fork) = self.directory.fork() else { return };
        let ours = &self.directory.statements_after(fork.epoch - 1)[..1];
        let statements = vec![ours[0].clone(), fork.other.clone()];
        let epoch = fork.epoch;
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.fork_told.replace(epoch) != Some(epoch) {
            self.send(link, &Message::Statements(Statements { statements }));
        }
    }

    /// Another history takes the place of ours from where they parted. `durable`: the disk has it.
    pub(super) fn go_over(&mut self, branch: Branch, durable: bool) {
        let after = branch.after();
        if !durable {
            let statements = branch.statements().to_vec();
            self.persist_directory(Item::Branch { from: after + 1, statements });
        }
        self.directory.take_over(branch);
        self.directory_stopped = None;
        for session in self.sessions.values_mut() {
            session.epoch = session.epoch.min(after);
            session.branch = None;
            session.weigh = false;
            session.fork_told = None;
        }
        self.notice(Notice::DirectoryRecovered { epoch: after });
    }
}
