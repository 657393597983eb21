//! The one thread that writes: group commit, and the only hand that extends our own logs.
//!
//! Everything waiting when a commit begins goes into it, so that one disk flush serves many. A local
//! write, its document and its view row are one commit; it is answered after that. Nothing is told
//! to the engine before it is durable.

use crate::continuity::{Extent, Incarnation, Mark, Why};
use crate::floor::Floor;
use crate::receipts::Pledge;
use crate::scrub::Scrub;
use crate::shared::Shared;
use crate::store::{
    DocumentUpdate, Loaded, Place as DocumentPlace, Reader, Store, StoreError, WriteBatch,
};
use fenbu_protocol::directory::Signed;
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Kind, Run, Shape, Tip};
use fenbu_protocol::record::{Schema, schema};
use fenbu_protocol::seal::{NONCE_BYTES, NoKey, Place, Sealing, seal};
use fenbu_protocol::sync::{Input, Item, Mended, Ticket};
pub use limits::LimitReached;
use own::{OwnBranches, author_in, log_of};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

/// Bytes gathered into one commit; more waits for the next, so that nobody waits long for an answer.
const COMMIT_BYTES: usize = 4 << 20;
const COMMIT_COMMANDS: usize = 4096;
/// Peers' positions are written with whatever else is, or after this long.
const LAZY: Duration = Duration::from_millis(500);

/// Nobody has asked for anything for so long: a moment for the store's upkeep.
const IDLE: Duration = Duration::from_millis(50);

/// A write to one document of ours: an entry, and the document as it is with it.
#[derive(Debug)]
pub struct LocalWrite {
    pub schema: &'static Schema,
    /// The log whose actor made the change: [`WriterHandle::log_of`] when it was made.
    pub log: LogId,
    /// One uncompressed change.
    pub body: Vec<u8>,
    pub update: DocumentUpdate,
    /// The change it is written anew for: that is done then.
    pub anew_of: Option<[u8; 32]>,
}

/// Kinds that what is done for temporary branches depends on.
fn concerns_temporary_branches(kind: Kind) -> bool {
    schema(kind).is_some_and(|s| ["temporary-branch", "secondment", "meeting"].contains(&s.name))
}

/// Where a local write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub log: LogId,
    pub seq: u64,
}

/// Why a local write did not happen. Nothing of it did.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log was left between making the change and writing it: make it again.
    #[error("this node has just begun a new log; try again")]
    LogLeft,
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error(transparent)]
    Limit(LimitReached),
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

type WriteReply = oneshot::Sender<Result<Vec<Written>, WriteError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub enum Command {
    /// From peers, verified by the engine.
    Persist {
        ticket: Ticket,
        item: Item,
    },
    /// Local writes, all or none, in order.
    Write {
        writes: Vec<LocalWrite>,
        /// The receipt that goes with them.
        pledge: Option<Pledge>,
        reply: WriteReply,
    },
    /// A run in the place of a damaged one; answered to the engine.
    Mend {
        run: Run,
    },
    /// Documents made from received entries, and everything else that is plain data.
    Store {
        batch: WriteBatch,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Statements made here, with the settings that go with them.
    Declare {
        statements: Vec<(u64, Signed)>,
        settings: Vec<(String, Option<Vec<u8>>)>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// At leisure.
    Acknowledged {
        peer: NodeId,
        log: LogId,
        seq: u64,
    },
    /// A small named value, at leisure.
    Note {
        setting: (String, Option<Vec<u8>>),
    },
    /// A peer holds more of one of our logs than we do.
    OwnLogAhead {
        log: LogId,
        seq: u64,
    },
    /// One of our logs is proven to have another history, signed with our key.
    OwnLogForked {
        log: LogId,
        seq: u64,
    },
    /// What we wrote in a space builds on a branch that was lost: go on in new logs. Answered once that
    /// is durable.
    LeaveLogs {
        space: SpaceId,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Stop,
}

/// The sending side, and what writers must know beforehand.
#[derive(Debug, Clone)]
pub struct WriterHandle {
    commands: mpsc::Sender<Command>,
    /// What all our own logs are written under, see [`crate::continuity`].
    incarnation: Arc<AtomicU32>,
    me: NodeId,
}

/// The writer has gone: the daemon is stopping.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the node is stopping; try again when it runs")]
pub struct Stopping;

impl WriterHandle {
    pub fn send(&self, command: Command) -> Result<(), Stopping> {
        self.commands.send(command).map_err(|_| Stopping)
    }

    /// The log our next entry in `space` goes to; its actor is that of the next change there.
    pub fn log_of(&self, space: SpaceId) -> LogId {
        let incarnation = self.incarnation.load(Ordering::Acquire);
        log_of(self.me, space, incarnation)
    }
}

/// The writer before its thread starts.
pub struct Writer {
    store: Box<dyn Store>,
    shared: Shared,
    commands: mpsc::Receiver<Command>,
    engine: tokio_mpsc::UnboundedSender<Input>,
    authors: BTreeMap<SpaceId, Author>,
    incarnation: Incarnation,
    /// The same, for whoever makes changes.
    known: Arc<AtomicU32>,
    /// The disk does not know our incarnation yet.
    incarnation_unsaved: bool,
    own_branches: OwnBranches,
    acknowledgements: BTreeMap<(NodeId, LogId), u64>,
    scrub: Scrub,
    /// Where it is noted how far our logs have come.
    mark: Option<Mark>,
    floor: Option<Floor>,
    /// The store has something to do once nobody waits.
    upkeep: bool,
    /// The last commit failed.
    failed: bool,
    notes: BTreeMap<String, Option<Vec<u8>>>,
    /// What this node has in the spaces it writes.
    own: BTreeMap<SpaceId, limits::Own>,
    /// Documents written to in this group.
    unsaved: Vec<(SpaceId, DocId)>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Continues our own logs where the store has them.
    pub fn new(
        store: Box<dyn Store>,
        shared: Shared,
        loaded: &Loaded,
        reader: &dyn Reader,
        engine: tokio_mpsc::UnboundedSender<Input>,
        scrub: Scrub,
    ) -> Result<(Self, WriterHandle), StoreError> {
        let mut incarnation = Incarnation::stored(reader)?;
        let mut own_branches = OwnBranches::stored(reader)?;
        // A proof may have become durable just before the last life ended.
        let forked = own_branches.forked_now(loaded, &shared.me, incarnation.number);
        if forked {
            incarnation = incarnation.next(0, Why::SecondCopy);
        }
        let mut incarnation_unsaved = forked;
        let mut authors: BTreeMap<SpaceId, Author> = BTreeMap::new();
        // Logs of other incarnations are left for good, also those that come back from peers.
        let goes_on = |l: &&crate::store::StoredLog| {
            l.opening.node == shared.me && l.opening.incarnation == incarnation.number
        };
        for log in loaded.logs.iter().filter(goes_on) {
            let last = match log.tip.seq {
                0 => None,
                seq => match reader.entry(log.log, seq) {
                    // What it ends in cannot be read: nothing is built on that.
                    Err(StoreError::Corrupted { what, .. }) => {
                        tracing::warn!(what, "{}", Why::Damaged.describe());
                        incarnation = incarnation.next(0, Why::Damaged);
                        incarnation_unsaved = true;
                        authors.clear();
                        break;
                    }
                    last => last?,
                },
            };
            let clock = last.map_or(0, |entry| entry.header.clock);
            authors.insert(log.opening.space, Author::new(log.opening, log.tip, clock));
        }
        let known = Arc::new(AtomicU32::new(incarnation.number));
        let (sender, commands) = mpsc::channel();
        let handle = WriterHandle { commands: sender, incarnation: known.clone(), me: shared.me };
        let writer = Self {
            store,
            shared,
            commands,
            engine,
            authors,
            incarnation,
            known,
            incarnation_unsaved,
            own_branches,
            acknowledgements: BTreeMap::new(),
            scrub,
            mark: None,
            floor: None,
            upkeep: true,
            failed: false,
            notes: BTreeMap::new(),
            own: BTreeMap::new(),
            unsaved: Vec::new(),
        };
        Ok((writer, handle))
    }

    /// Notes beside the database how far our logs have come.
    pub(crate) fn notes_in(&mut self, mark: Mark) {
        self.mark = Some(mark);
    }

    /// Writes nothing while less than this is free.
    pub(crate) fn keeps(&mut self, floor: Floor) {
        self.floor = Some(floor);
    }

    fn admits(&mut self) -> Result<(), StoreError> {
        self.floor.as_mut().map_or(Ok(()), Floor::admits)
    }

    /// Before anybody is told of them.
    fn note_written(&self) {
        let entries = self.authors.values().map(|author| author.tip().seq).sum();
        if let Some(mark) = &self.mark {
            mark.note(Extent { incarnation: self.incarnation.number, entries });
        }
    }

    /// Runs until told to stop or until nobody is left to tell.
    pub fn run(mut self) {
        loop {
            let nothing_lazy = self.acknowledgements.is_empty() && self.notes.is_empty();
            let first = match (self.upkeep, nothing_lazy) {
                (true, _) => self.commands.recv_timeout(IDLE),
                (false, false) => self.commands.recv_timeout(LAZY),
                (false, true) => {
                    self.commands.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
                }
            };
            if self.upkeep && matches!(first, Err(mpsc::RecvTimeoutError::Timeout)) {
                self.upkeep = self.store.idle();
            }
            let mut group = Group::default();
            let mut held = None;
            let mut stop = match first {
                Ok(command) => self.take(command, &mut group),
                Err(mpsc::RecvTimeoutError::Timeout) => false,
                Err(mpsc::RecvTimeoutError::Disconnected) => true,
            };
            while !stop && group.bytes < COMMIT_BYTES && group.commands < COMMIT_COMMANDS {
                match self.commands.try_recv() {
                    Ok(command) if self.overtakes(&command, &group) => {
                        held = Some(command);
                        break;
                    }
                    Ok(command) => stop = self.take(command, &mut group),
                    Err(_) => break,
                }
            }
            self.commit(group);
            if let Some(command) = held {
                let mut group = Group::default();
                self.take(command, &mut group);
                self.commit(group);
            }
            if stop {
                return;
            }
        }
    }

    /// Adds a command to the group; returns whether it was the last.
    fn take(&mut self, command: Command, group: &mut Group) -> bool {
        group.commands += 1;
        match command {
            Command::Persist { ticket, item } => {
                match item {
                    Item::Run { run, .. } if self.has_written(&run) => {
                        group.misplaced.push(ticket);
                        return false;
                    }
                    Item::Run { run, tip, space } => {
                        // It may be of an earlier log of ours that comes back.
                        if self.incarnation.number > 0 {
                            self.own.remove(&space);
                        }
                        // Not one more entry after what a peer knew of our log and we did not.
                        self.leave_log(run.log(), tip.seq, group);
                        group.bytes += run.as_bytes().len();
                        if group.live.len() < live::RUNS_MAX
                            && let Some(live) = live::live(&self.shared, &run)
                        {
                            group.live.push(live);
                        }
                        group.received.runs.push((run, tip));
                    }
                    Item::Statement { epoch, statement } => {
                        group.received.statements.push((epoch, statement.to_wire()));
                    }
                    Item::Branch { from, statements } => {
                        group.received.merge(WriteBatch::branch(from, &statements));
                    }
                    Item::Fork { statement } => group.received.merge(WriteBatch::fork(&statement)),
                    Item::Proof { proof } => group.received.proofs.push(proof),
                    Item::Switch(switch) => self.switch(switch, group),
                }
                group.tickets.push(ticket);
            }
            Command::Mend { run } => self.mend(run),
            Command::Write { writes, pledge, reply } => self.write(writes, pledge, reply, group),
            Command::Store { batch, reply } => {
                group.bytes += batch.documents.iter().map(|d| d.snapshot.len()).sum::<usize>();
                group.batch.merge(batch);
                group.stored.push(reply);
            }
            Command::Declare { statements, settings, reply } => {
                for (epoch, signed) in statements {
                    // A recovery made here takes the place of what it voids.
                    if signed.is_recovery() {
                        group.batch.merge(WriteBatch::branch(epoch, &[]));
                    }
                    group.batch.statements.push((epoch, signed.to_wire()));
                    group.declared.push(signed);
                }
                group.batch.settings.extend(settings);
                group.stored.push(reply);
            }
            Command::Acknowledged { peer, log, seq } => {
                self.acknowledgements.insert((peer, log), seq);
            }
            Command::Note { setting: (name, value) } => {
                self.notes.insert(name, value);
            }
            Command::OwnLogAhead { log, seq } => self.leave_log(log, seq, group),
            Command::OwnLogForked { log, seq } => self.leave_forked(log, seq, group),
            Command::LeaveLogs { space, reply } => {
                self.leave_built_on_lost(space, group);
                group.stored.push(reply);
            }
            Command::Stop => return true,
        }
        false
    }

    /// By itself: a run that does not fit must not hold up what others wait for.
    fn mend(&mut self, run: Run) {
        let (log, from) = (run.log(), run.first());
        let batch = WriteBatch { mended: vec![run], ..WriteBatch::default() };
        let outcome = match self.admits().and_then(|()| self.store.commit(&batch)) {
            Ok(()) => {
                tracing::warn!(log = %log.short(), from, "damaged entries came back");
                Mended::Done
            }
            Err(StoreError::Inconsistent(why)) => {
                tracing::warn!(why, "entries from a peer do not mend what is damaged");
                Mended::Misfit
            }
            Err(error) => {
                tracing::error!(%error, "damaged entries cannot be put in their place");
                self.scrub.blocked(&error);
                Mended::Failed
            }
        };
        // A closed channel means that the daemon is stopping.
        let _ = self.engine.send(Input::Mended { log, from, outcome });
    }

    fn write(
        &mut self,
        writes: Vec<LocalWrite>,
        pledge: Option<Pledge>,
        reply: WriteReply,
        group: &mut Group,
    ) {
        let mut left = |w: &LocalWrite| self.author_in(w.update.space).log() != w.log;
        if writes.iter().any(&mut left) {
            // Nobody waiting any more is fine.
            let _ = reply.send(Err(WriteError::LogLeft));
            return;
        }
        let directory = self.shared.directory.now();
        if self.leave_void(&writes, &directory, group) {
            let _ = reply.send(Err(WriteError::LogLeft));
            return;
        }
        let mut written = Vec::with_capacity(writes.len());
        let keyring = self.shared.keys.now();
        let sealing: Result<Vec<_>, NoKey> =
            writes.iter().map(|w| keyring.sealing(&directory, &w.update.space)).collect();
        let sealing = match sealing {
            Ok(sealing) => sealing,
            Err(error) => {
                let _ = reply.send(Err(error.into()));
                return;
            }
        };
        if let Err(error) = self.check_limits(&writes, &directory) {
            let _ = reply.send(Err(error));
            return;
        }
        let now_ms = self.shared.clock.now_ms();
        for (write, sealing) in writes.into_iter().zip(sealing) {
            let LocalWrite { schema, body, update, anew_of, .. } = write;
            group.batch.amended.extend(anew_of.map(|change| (update.place(), change)));
            let incarnation = self.incarnation.number;
            let author = author_in(&mut self.authors, &self.shared, incarnation, update.space);
            // The state to go back to, should the disk refuse.
            group.before.entry(update.space).or_insert_with(|| author.clone());
            let (encoding, key_epoch, body) = stored_form(sealing, author, schema, &update, body);
            let (epoch, prefix) = directory.cite(&self.shared.me, &update.space);
            let header = author.append(&Draft {
                epoch,
                directory: prefix,
                now_ms,
                shape: Shape {
                    version: HEADER_VERSION,
                    lane: schema.lane,
                    kind: schema.kind,
                    genesis: schema.genesis,
                    encoding,
                    key_epoch,
                },
                document: update.document,
                body: &body,
            });
            if author.is_full()
                && let Some(run) = author.close(&self.shared.key)
            {
                group.own.push((run, author.tip()));
            }
            written.push(Written { log: header.log, seq: header.seq });
            group.bytes += body.len() + update.snapshot.len();
            self.unsaved.push((update.space, update.document));
            group.batch.documents.push(update);
        }
        group.batch.receipts.extend(pledge.map(|pledge| pledge.receipt(&written)));
        group.written.push((reply, written));
    }

    fn commit(&mut self, mut group: Group) {
        for space in group.before.keys() {
            if let Some(author) = self.authors.get_mut(space)
                && let Some(run) = author.close(&self.shared.key)
            {
                group.own.push((run, author.tip()));
            }
        }
        for (run, tip) in &group.own {
            group.batch.runs.push((run.clone(), *tip));
            group.batch.cursors.push((run.log(), tip.seq));
        }
        let acknowledgements = std::mem::take(&mut self.acknowledgements);
        group
            .batch
            .acknowledgements
            .extend(acknowledgements.iter().map(|((peer, log), seq)| (*peer, *log, *seq)));
        group.batch.settings.extend(std::mem::take(&mut self.notes));
        if self.incarnation_unsaved {
            group.batch.settings.push(self.incarnation.setting());
            group.batch.settings.push(self.own_branches.setting());
        }
        self.unsaved.clear();
        if group.batch.is_empty() && group.received.is_empty() {
            group.tell(&self.engine);
            return group.answer();
        }
        match self.admits().and_then(|()| self.commit_in_parts(&mut group)) {
            Ok(()) => {
                self.incarnation_unsaved = false;
                // What the store did about the failure has left it more to do.
                self.upkeep |= std::mem::take(&mut self.failed);
                if !group.own.is_empty() {
                    self.note_written();
                }
                let changed = group.changed();
                if changed.iter().any(|place| concerns_temporary_branches(place.kind)) {
                    self.shared.tasks_changed.send_replace(());
                }
                self.shared.search.changed(changed);
                self.shared.changes.announce(group.shown_otherwise());
                group.tell(&self.engine);
                group.answer();
            }
            Err(error) => {
                tracing::error!(%error, "a commit failed; nothing of it was written");
                self.scrub.blocked(&error);
                self.failed = true;
                self.own.clear();
                self.take_back(&group);
                // The undone sequence numbers are free: nobody has seen them.
                self.authors.append(&mut group.before);
                let number = self.incarnation.number;
                self.authors.retain(|_, author| author.opening().incarnation == number);
                group.fail(&error, &self.engine);
            }
        }
    }

    /// What must be durable does not fail for what can be made again, and what is written here does not
    /// fail for what peers sent: a run of a copy of this node, on its way to the disk while this node
    /// wrote in its place, fits no longer. The engine asks again, and is shown the fork then.
    fn commit_in_parts(&mut self, group: &mut Group) -> Result<(), StoreError> {
        if !group.live.is_empty() {
            let mut batch = group.whole().into_owned();
            for live in &group.live {
                batch.merge(live.batch.clone());
            }
            match self.store.commit(&batch) {
                Err(StoreError::Inconsistent(why)) => {
                    tracing::warn!(why, "live documents are left to the materialiser");
                }
                result => return result,
            }
        }
        match self.store.commit(&group.whole()) {
            Err(error @ StoreError::Inconsistent(_)) if !group.received.is_empty() => {
                tracing::warn!(%error, "what peers sent is not written");
                self.take_back(group);
                group.batch.settings.push(self.own_branches.setting());
                group.refuse_received(&error, &self.engine);
                self.store.commit(&group.batch)
            }
            result => result,
        }
    }

    /// Branches of ours that were to give way, and have not.
    fn take_back(&mut self, group: &Group) {
        let kept = group.received.switches.iter().filter(|switching| switching.own);
        self.own_branches.0.extend(kept.filter_map(|switching| switching.switch.log()));
    }
}

/// A body as it goes to the end of `author`'s log: its encoding, its key epoch, its bytes.
fn stored_form(
    sealing: Sealing<'_>,
    author: &Author,
    schema: &Schema,
    update: &DocumentUpdate,
    plain: Vec<u8>,
) -> (Encoding, u32, Vec<u8>) {
    let Sealing::Under { key_epoch, key } = sealing else { return (Encoding::CHANGE, 0, plain) };
    let place = Place {
        space: update.space,
        log: author.log(),
        seq: author.tip().seq + 1,
        document: update.document,
        kind: schema.kind,
        key_epoch,
    };
    let mut nonce = [0; NONCE_BYTES];
    // INVARIANT: without the system's randomness no key could have been made either.
    getrandom::fill(&mut nonce).expect("the system has randomness");
    (Encoding::SEALED, key_epoch, seal(key, nonce, &place, &plain))
}

/// What one commit holds, and whom to tell.
#[derive(Default)]
struct Group {
    /// Made here.
    batch: WriteBatch,
    /// Peers' own, which `tickets` are for.
    received: WriteBatch,
    /// Documents made of what is made durable here; nobody else's until then.
    live: Vec<live::Live>,
    bytes: usize,
    commands: usize,
    /// Runs of our own, in log order.
    own: Vec<(Run, Tip)>,
    /// Authors as they were before this group.
    before: BTreeMap<SpaceId, Author>,
    tickets: Vec<Ticket>,
    /// Tickets of runs whose places are taken.
    misplaced: Vec<Ticket>,
    declared: Vec<Signed>,
    written: Vec<(WriteReply, Vec<Written>)>,
    stored: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Group {
    fn whole(&self) -> Cow<'_, WriteBatch> {
        match (self.received.is_empty(), self.batch.is_empty()) {
            (true, _) => Cow::Borrowed(&self.batch),
            (_, true) => Cow::Borrowed(&self.received),
            _ => {
                let mut whole = self.received.clone();
                whole.merge(self.batch.clone());
                Cow::Owned(whole)
            }
        }
    }

    /// Documents that are not what they were before.
    fn changed(&self) -> Vec<DocumentPlace> {
        let live = self.live.iter().map(|live| &live.batch);
        let batches = std::iter::once(&self.batch).chain(live);
        let of = |batch: &WriteBatch| -> Vec<DocumentPlace> {
            let made = batch.documents.iter().map(DocumentUpdate::place);
            made.chain(batch.forget.iter().copied()).collect()
        };
        batches.flat_map(of).collect()
    }

    /// … and those whose rows were made anew, or that are seen otherwise.
    fn shown_otherwise(&self) -> Vec<DocumentPlace> {
        let rows = self.batch.rows.iter().map(|row| row.place);
        let touched = self.batch.touched.iter().copied();
        self.changed().into_iter().chain(rows).chain(touched).collect()
    }

    fn tell(&mut self, engine: &tokio_mpsc::UnboundedSender<Input>) {
        // A closed channel means that the daemon is stopping; what is durable stays so.
        for ticket in self.tickets.drain(..) {
            let _ = engine.send(Input::Persisted { ticket });
        }
        for ticket in self.misplaced.drain(..) {
            let reason = "this node wrote in the place of what a peer sent".to_owned();
            let _ = engine.send(Input::PersistFailed { ticket, reason });
        }
        for (run, tip) in self.own.drain(..) {
            let _ = engine.send(Input::Appended { run, tip });
        }
        for statement in self.declared.drain(..) {
            let _ = engine.send(Input::Declared { statement });
        }
    }

    /// Answers those who wait; one that has gone away needs no answer.
    fn answer(self) {
        for (reply, written) in self.written {
            let _ = reply.send(Ok(written));
        }
        for reply in self.stored {
            let _ = reply.send(Ok(()));
        }
    }

    fn refuse_received(&mut self, error: &StoreError, engine: &tokio_mpsc::UnboundedSender<Input>) {
        for ticket in self.tickets.drain(..).chain(self.misplaced.drain(..)) {
            let _ = engine.send(Input::PersistFailed { ticket, reason: error.to_string() });
        }
        self.received = WriteBatch::default();
        self.live.clear();
    }

    fn fail(mut self, error: &StoreError, engine: &tokio_mpsc::UnboundedSender<Input>) {
        self.refuse_received(error, engine);
        for (reply, _) in self.written {
            let _ = reply.send(Err(error.clone().into()));
        }
        for reply in self.stored {
            let _ = reply.send(Err(error.clone()));
        }
    }
}

mod limits;
mod live;
mod own;
#[cfg(test)]
mod tests;
