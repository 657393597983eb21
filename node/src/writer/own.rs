//! Our own logs: which they are, and when they are left for those of a new incarnation.

use super::{Command, Group, LocalWrite, Writer};
use crate::clock::wall_ms;
use crate::continuity::Why;
use crate::shared::Shared;
use crate::store::{Loaded, Reader, StoreError, Switching};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Opening, Run, Tip};
use fenbu_protocol::sync::{Item, Switch};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

impl Writer {
    /// Whether a command must wait until the writes before it are durable: most of all one that brings
    /// entries of a log that they go to, which is left then.
    pub(super) fn overtakes(&self, command: &Command, group: &Group) -> bool {
        // Another branch takes the place of what is held, which must be held by then.
        if let Command::Persist { item: Item::Switch(_), .. } = command {
            return group.commands > 0;
        }
        let Command::Persist { item, .. } = command else { return false };
        // The directory's statements are written in the order they came in.
        let Item::Run { run, .. } = item else { return !group.declared.is_empty() };
        group.before.keys().any(|s| self.authors.get(s).is_some_and(|a| a.log() == run.log()))
    }

    /// Whether a run's places are those of entries this node has written since the engine accepted it.
    pub(super) fn has_written(&self, run: &Run) -> bool {
        let past = |a: &Author| a.log() == run.log() && run.last() <= a.tip().seq;
        self.authors.values().any(past)
    }

    /// Our disk is older than what we told others: never write the logs of this incarnation again.
    pub(super) fn leave_log(&mut self, log: LogId, seq: u64, group: &mut Group) {
        let ahead = self.authors.values().find(|a| a.log() == log && seq > a.tip().seq);
        let unknown = || {
            let spaces = self.shared.directory.now();
            let number = self.incarnation.number;
            spaces.spaces().any(|s| log_of(self.shared.me, s.id, number) == log)
                && self.authors.values().all(|a| a.log() != log)
        };
        if ahead.is_none() && !unknown() {
            return;
        }
        self.begin_anew(Why::PeersAhead, log, seq, group);
    }

    /// Another copy of this node writes, or wrote, the same log.
    pub(super) fn leave_forked(&mut self, log: LogId, seq: u64, group: &mut Group) {
        if self.authors.values().any(|a| a.log() == log) {
            self.begin_anew(Why::SecondCopy, log, seq, group);
        }
    }

    /// Another branch of a log takes over. If it takes the place of what this node wrote, that is known.
    pub(super) fn switch(&mut self, switch: Switch, group: &mut Group) {
        let Some(log) = switch.log() else { return };
        let own = self.own_branches.remove(&log);
        // What this node has in the space is another amount.
        self.own.remove(&switch.space);
        if own {
            group.received.settings.push(self.own_branches.setting());
        }
        group.bytes += switch.runs.iter().map(|r| r.as_bytes().len()).sum::<usize>();
        group.received.switches.push(Switching { switch, at_ms: wall_ms(), own });
    }

    /// Entries of our log in a space build on a branch that was lost.
    pub(super) fn leave_built_on_lost(&mut self, space: SpaceId, group: &mut Group) {
        if let Some(author) = self.authors.get(&space).filter(|a| a.tip().seq > 0) {
            let (log, seq) = (author.log(), author.tip().seq);
            self.begin_anew(Why::BuiltOnLost, log, seq, group);
        }
    }

    /// A log that these writes go to has cited what the directory no longer reaches: a recovery voided
    /// it, or a fork stopped the directory before it. Returns whether that is so.
    pub(super) fn leave_void(
        &mut self,
        writes: &[LocalWrite],
        directory: &Directory,
        group: &mut Group,
    ) -> bool {
        let me = self.shared.me;
        let void = writes.iter().find_map(|write| {
            let space = write.update.space;
            let author = self.authors.get(&space)?;
            let (epoch, _) = directory.cite(&me, &space);
            (!author.may_cite(epoch)).then(|| (author.log(), author.tip().seq))
        });
        if let Some((log, seq)) = void {
            self.begin_anew(Why::DirectoryBack, log, seq, group);
        }
        void.is_some()
    }

    fn begin_anew(&mut self, why: Why, log: LogId, seq: u64, group: &mut Group) {
        for author in self.authors.values_mut() {
            if let Some(run) = author.close(&self.shared.key) {
                group.own.push((run, author.tip()));
            }
        }
        let next = self.incarnation.next(0, why);
        tracing::warn!(
            log = %log.short(), seq, incarnation = next.number,
            "{}", why.describe()
        );
        // They may turn out to be forked only later.
        let left = self.authors.values().filter(|author| author.tip().seq > 0);
        self.own_branches.0.extend(left.map(|author| author.log()));
        self.authors.clear();
        self.own.clear();
        self.incarnation = next;
        self.incarnation_unsaved = true;
        self.known.store(next.number, Ordering::Release);
    }

    /// The end of our log in a space.
    pub(super) fn author_in(&mut self, space: SpaceId) -> &mut Author {
        author_in(&mut self.authors, &self.shared, self.incarnation.number, space)
    }
}

/// Logs this disk has written, up to where it left them: should what is held of one be lost, that is ours
/// to write anew.
#[derive(Debug, Default)]
pub(super) struct OwnBranches(pub(super) BTreeSet<LogId>);

const SETTING: &str = "own-branches";

impl OwnBranches {
    pub(super) fn stored(reader: &dyn Reader) -> Result<Self, StoreError> {
        let bytes = reader.setting(SETTING)?.unwrap_or_default();
        let (logs, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            let what = "the stored list of branches cannot be read".into();
            return Err(StoreError::Inconsistent(what));
        }
        Ok(Self(logs.iter().map(|log| LogId(*log)).collect()))
    }

    /// Whether a log of this incarnation is known to be forked; all of them are left then.
    pub(super) fn forked_now(&mut self, loaded: &Loaded, me: &NodeId, number: u32) -> bool {
        let current = |o: &Opening| o.node == *me && o.incarnation == number;
        let forked = loaded.forks.values().any(|proof| current(proof.opening()));
        if forked {
            let logs = loaded.logs.iter().filter(|log| current(&log.opening));
            self.0.extend(logs.map(|log| log.log));
        }
        forked
    }

    fn remove(&mut self, log: &LogId) -> bool {
        self.0.remove(log)
    }

    pub(super) fn setting(&self) -> (String, Option<Vec<u8>>) {
        let bytes: Vec<u8> = self.0.iter().flat_map(|log| log.0).collect();
        (SETTING.to_owned(), (!bytes.is_empty()).then_some(bytes))
    }
}

/// The log of an incarnation; its id does not depend on the signature.
pub(super) fn log_of(node: NodeId, space: SpaceId, incarnation: u32) -> LogId {
    Opening { space, node, incarnation, signature: [0; 64] }.log()
}

pub(super) fn author_in<'a>(
    authors: &'a mut BTreeMap<SpaceId, Author>,
    shared: &Shared,
    incarnation: u32,
    space: SpaceId,
) -> &'a mut Author {
    authors.entry(space).or_insert_with(|| {
        let opening = Opening::sign(&shared.key, space, incarnation);
        Author::new(opening, Tip::start(opening.log()), 0)
    })
}
