//! The directory as it spreads from peer to peer.

use super::engine::Engine;
use super::input::{LinkId, Ticket};
use super::output::{Close, Item, Notice, Output};
use super::session::Phase;
use crate::directory::{DirectoryError, Signed, Weight};
use crate::limits::STATEMENTS_PER_MESSAGE_MAX;
use crate::wire::{Hello, Message, Statements};

impl Engine {
    /// Sends what the peer's chain lacks; where the chains have parted, asks where. A stranger is
    /// believed nothing and shown nothing: names and addresses are the federation's own.
    pub(super) fn compare_directories(&mut self, link: LinkId, hello: &Hello) {
        let Some(peer) = self.sessions.get(&link).map(|s| s.peer) else { return };
        if !self.directory.is_member(&peer) {
            return;
        }
        if let Some(head) = self.directory.head_at(hello.epoch)
            && head != hello.directory
        {
            self.ask_parted(link, hello.epoch);
        } else {
            self.send_statements(link);
        }
        self.tell_fork(link);
    }

    pub(super) fn send_statements(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let chunks = chunks(self.directory.statements_after(session.epoch));
        session.epoch = session.epoch.max(self.directory.epoch());
        for statements in chunks {
            self.send(link, &Message::Statements(Statements { statements }));
        }
    }

    pub(super) fn statements(&mut self, link: LinkId, statements: Statements) {
        let before = self.directory.head();
        for signed in statements.statements {
            if let Err(error) = self.statement(link, signed) {
                self.directory_refused(link, error);
                break;
            }
        }
        self.weigh(link);
        if let Some(session) = self.sessions.get_mut(&link) {
            session.epoch = session.epoch.max(self.directory.epoch());
        }
        if self.directory.head() != before {
            self.directory_changed();
        }
    }

    fn statement(&mut self, link: LinkId, signed: Signed) -> Result<(), DirectoryError> {
        let held = self.directory.epoch();
        match self.directory.apply(signed.clone()) {
            // One we had.
            Ok(()) if self.directory.epoch() == held => Ok(()),
            Ok(()) => {
                let epoch = self.directory.epoch();
                self.persist_directory(Item::Statement { epoch, statement: signed });
                Ok(())
            }
            // A gap may be none in what the peer has told of another history.
            Err(
                DirectoryError::Parted(_) | DirectoryError::Forked(_) | DirectoryError::Gap { .. },
            ) => self.other_history(link, signed),
            Err(error) => Err(error),
        }
    }

    pub(super) fn persist_directory(&mut self, item: Item) {
        if planted!(StatementsNotStored) {
            return;
        }
        self.directory_waiting.push(item);
        if self.storage_retry_at.is_none() {
            self.persist_waiting();
        }
    }

    /// A chain has no gaps: what the disk refused is on its way before anything that follows it.
    pub(super) fn persist_waiting(&mut self) {
        for item in std::mem::take(&mut self.directory_waiting) {
            let ticket = Ticket(self.next_ticket);
            self.next_ticket += 1;
            self.directory_in_flight.insert(ticket, item.clone());
            self.output(Output::Persist { ticket, item });
        }
    }

    fn directory_refused(&mut self, link: LinkId, error: DirectoryError) {
        match error {
            DirectoryError::Parted(epoch) => self.ask_parted(link, epoch),
            // Not the peer's fault: our own software is too old to follow.
            DirectoryError::Newer(_) => {
                let reason = error.to_string();
                self.directory_stopped = Some(reason.clone());
                self.notice(Notice::DirectoryStopped { reason });
            }
            // While we are stopped the peer's history may have gone on, and a recovery may follow it.
            DirectoryError::Gap { found, .. } if self.directory.fork().is_some() => {
                self.ask_parted(link, found);
            }
            // Statements may overtake each other over two links; the missing ones are coming.
            DirectoryError::Gap { .. } => {}
            other => self.close(link, Close::Violation, format!("directory: {other}")),
        }
    }

    /// A statement made on this node.
    pub(super) fn declared(&mut self, statement: Signed) {
        let epoch = statement.open().map_or(u64::MAX, |s| s.epoch);
        let declared = match self.directory.apply(statement.clone()) {
            Err(DirectoryError::Parted(_)) => match self.directory.branch(statement) {
                Ok(branch) if self.directory.weigh(&branch) == Weight::Theirs => {
                    self.go_over(branch, true);
                    Ok(())
                }
                Ok(branch) => Err(DirectoryError::Parted(branch.after() + 1)),
                Err(error) => Err(error),
            },
            applied => applied,
        };
        match declared {
            Ok(()) => self.directory_changed(),
            // The directory was stopped, or another history took over, while it was being stored.
            Err(error) => {
                if epoch > self.directory.epoch() {
                    let (from, statements) = (self.directory.epoch() + 1, Vec::new());
                    self.persist_directory(Item::Branch { from, statements });
                }
                self.notice(Notice::DirectoryStopped { reason: error.to_string() });
            }
        }
    }

    /// Rights may have changed: links, wants and refusals are looked at again, and peers told.
    fn directory_changed(&mut self) {
        self.output(Output::DirectoryChanged);
        self.states_changed();
        if !planted!(RefusedForGood) {
            self.refused.clear();
        }
        self.place_early();
        self.want_everything();
        let links: Vec<LinkId> = self.sessions.keys().copied().collect();
        for link in links {
            let (peer, phase, greeted) = {
                let session = &self.sessions[&link];
                (session.peer, session.phase.clone(), session.greeted)
            };
            if self.directory.node(&peer).is_some_and(|n| n.revoked.is_some()) {
                self.close(link, Close::Revoked, "this node was revoked".into());
                continue;
            }
            match phase {
                // What admitted it is void.
                Phase::Live | Phase::Greeting { .. } if !self.directory.is_member(&peer) => {
                    let reason = "the statement that admitted this node is void: join again";
                    self.close(link, Close::Unknown, reason.into());
                }
                Phase::Live => {
                    if !planted!(StatementsNotRelayed) {
                        self.send_statements(link);
                    }
                    self.tell_all(link);
                }
                // Another link brought the statements that admit it; its Hello is still to come.
                Phase::Stranger if self.directory.is_member(&peer) && !greeted => {
                    let phase = self.greeting_phase(&peer);
                    if let Some(session) = self.sessions.get_mut(&link) {
                        session.phase = phase;
                    }
                }
                Phase::Stranger if self.directory.is_member(&peer) => {
                    self.send_statements(link);
                    self.go_live(link);
                    self.send_digests(link);
                    self.tell_all(link);
                }
                Phase::Stranger | Phase::Greeting { .. } => {}
            }
        }
        self.plan_dials();
    }
}

/// Statements by the message: bounded in number, and in bytes well under a frame.
fn chunks(statements: &[Signed]) -> Vec<Vec<Signed>> {
    let mut out: Vec<Vec<Signed>> = Vec::new();
    let mut bytes = 0;
    for statement in statements {
        bytes += statement.bytes.len();
        match out.last_mut() {
            Some(chunk)
                if chunk.len() < STATEMENTS_PER_MESSAGE_MAX && bytes <= MESSAGE_BYTES_TARGET =>
            {
                chunk.push(statement.clone());
            }
            _ => {
                bytes = statement.bytes.len();
                out.push(vec![statement.clone()]);
            }
        }
    }
    out
}

/// One largest statement more still fits a frame many times over.
const MESSAGE_BYTES_TARGET: usize = 256 << 10;
