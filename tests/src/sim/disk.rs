//! A node's disk: jobs in order, written together, synced a while later, answered then.
//!
//! A crash loses what is written and not synced. Reads that peers cause wait for the sync under way,
//! as a database shows nobody what it has not committed.

use super::copies::take_over;
use super::writes::LocalWrite;
use fenbu_node::store::{Loaded, MemoryStore, Reader, Store, StoreError, WriteBatch};
use fenbu_protocol::directory::{Act, Directory, Signed};
use fenbu_protocol::id::{Hash, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Run, Tip};
use fenbu_protocol::sync::{Item, Switch, Ticket};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Something to be written.
#[derive(Debug, Clone)]
pub(super) enum Job {
    Persist { ticket: Ticket, item: Item },
    Local(LocalWrite),
    Declare(Act),
}

/// Something that was written, or refused; told once the sync is over.
#[derive(Debug)]
pub(super) enum Done {
    Persisted {
        ticket: Ticket,
        run: Option<Run>,
        /// … or another branch that took over.
        switch: Option<Switch>,
    },
    /// Nothing of this ticket nor of any later one is on disk.
    Refused {
        ticket: Ticket,
    },
    Local {
        write: LocalWrite,
        run: Run,
        tip: Tip,
    },
    LocalRefused,
    /// Something of ours was written anew.
    Anew {
        run: Run,
        tip: Tip,
    },
    Declared {
        act: Act,
        /// The act's statement, and those about keys that follow from it.
        signed: Vec<Signed>,
    },
}

pub(super) struct Disk {
    store: MemoryStore,
    reader: Box<dyn Reader>,
    pub(super) queue: VecDeque<Job>,
    /// Written and waiting for the sync.
    syncing: Option<Vec<Done>>,
    /// Positions of peers, written when something else is.
    pub(super) acknowledgements: Vec<(NodeId, LogId, u64)>,
    /// Entries may be waiting to become documents.
    pub(super) behind: bool,
    /// Header hashes of every log as far as synced: what may be told to others.
    pub(super) synced: BTreeMap<LogId, Vec<Hash>>,
    pub(super) spaces: BTreeMap<LogId, SpaceId>,
    /// The directory the store was filled with, to spare verifying its signatures again.
    filled_with: Option<Directory>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Disk {
    pub(super) fn new() -> Self {
        let store = MemoryStore::new(&fenbu_node::views::specs())
            .expect("the record kinds have distinct plain names");
        let reader = store.reader().expect("a store in memory opens");
        Self {
            store,
            reader,
            queue: VecDeque::new(),
            syncing: None,
            acknowledgements: Vec::new(),
            behind: false,
            synced: BTreeMap::new(),
            spaces: BTreeMap::new(),
            filled_with: None,
        }
    }

    /// A copy of what is written, as a backup keeps it.
    pub(super) fn copy(&self) -> Self {
        let store = self.store.clone();
        let reader = store.reader().expect("a store in memory opens");
        let (synced, spaces) = (self.synced.clone(), self.spaces.clone());
        let filled_with = self.filled_with.clone();
        Self { store, reader, synced, spaces, filled_with, ..Self::new() }
    }

    /// A copy of what is synced.
    pub(super) fn copy_of_synced(&self) -> Self {
        let mut copy = self.copy();
        copy.store.crash();
        copy
    }

    /// Puts a whole directory on the disk, as joining does.
    pub(super) fn fill(&mut self, directory: &Directory) {
        let chain = directory.statements_after(0).iter();
        let statements = chain.zip(1..).map(|(s, epoch)| (epoch, s.to_wire())).collect();
        let batch = WriteBatch { statements, ..Default::default() };
        self.store.commit(&batch).expect("an empty store takes a directory");
        self.filled_with = Some(directory.clone());
    }

    /// The folded form of a chain that was folded before.
    pub(super) fn known_directory(&self, chain: &[Signed]) -> Option<Directory> {
        self.filled_with.clone().filter(|known| known.statements_after(0) == chain)
    }

    pub(super) fn reader(&self) -> &dyn Reader {
        self.reader.as_ref()
    }

    pub(super) fn load(&mut self) -> Loaded {
        let loaded = self.store.load().expect("memory can be read");
        self.spaces = loaded.logs.iter().map(|l| (l.log, l.opening.space)).collect();
        loaded
    }

    /// Clock of an author's last entry.
    pub(super) fn last_clock(&self, log: LogId, seq: u64) -> u64 {
        let entry = self.reader.entry(log, seq).expect("memory can be read");
        entry.map_or(0, |entry| entry.header.clock)
    }

    pub(super) fn refuse_next(&mut self) {
        self.store.fail_next_commit(StoreError::Full { path: "simulated".into() });
    }

    pub(super) fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.syncing.is_none() && self.queue.is_empty()
    }

    /// Whether a job of the node's own is queued or being synced.
    pub(super) fn is_busy_with(&self, job: fn(&Job) -> bool, done: fn(&Done) -> bool) -> bool {
        self.queue.iter().any(job) || self.syncing.iter().flatten().any(done)
    }

    /// Writes without syncing. `false` if the disk refused.
    ///
    /// # Errors
    /// If the batch contradicts what is stored: then the simulator or the engine is wrong.
    pub(super) fn write(&mut self, batch: &WriteBatch) -> Result<bool, String> {
        match self.store.write(batch) {
            Ok(()) => Ok(true),
            Err(StoreError::Full { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The same for what may no longer fit what is stored by then.
    pub(super) fn try_write(&mut self, batch: &WriteBatch) -> Result<bool, String> {
        match self.store.write(batch) {
            Ok(()) => Ok(true),
            Err(StoreError::Full { .. } | StoreError::Inconsistent(_)) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What was written by hand is safe.
    pub(super) fn sync(&mut self) {
        self.store.sync();
    }

    /// From now on a crash finds these half done.
    pub(super) fn begin_sync(&mut self, done: Vec<Done>) {
        self.syncing = Some(done);
    }

    /// The sync is over: all that was written is safe.
    pub(super) fn end_sync(&mut self) -> Vec<Done> {
        self.store.sync();
        let done = self.syncing.take().unwrap_or_default();
        for done in &done {
            match done {
                Done::Persisted { switch: Some(switch), .. } => {
                    if let Some(log) = switch.log() {
                        take_over(self.synced.entry(log).or_default(), switch);
                    }
                }
                Done::Persisted { run: Some(run), .. }
                | Done::Local { run, .. }
                | Done::Anew { run, .. } => {
                    let hashes = self.synced.entry(run.log()).or_default();
                    let held = hashes.len() as u64;
                    let fresh = run.entries().filter(|entry| entry.header.seq > held);
                    hashes.extend(fresh.map(|entry| entry.hash));
                }
                _ => {}
            }
        }
        done
    }

    /// Persist jobs that are not written yet are void.
    pub(super) fn drop_persists(&mut self) -> Vec<Item> {
        let (persists, rest) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|job| matches!(job, Job::Persist { .. }));
        self.queue = rest;
        let persists: VecDeque<Job> = persists;
        persists
            .into_iter()
            .filter_map(|job| match job {
                Job::Persist { item, .. } => Some(item),
                _ => None,
            })
            .collect()
    }

    /// Local writes that are neither acknowledged nor refused.
    pub(super) fn local_writes(&self) -> usize {
        let queued = self.queue.iter().filter(|job| matches!(job, Job::Local(_))).count();
        let local = |done: &&Done| matches!(done, Done::Local { .. } | Done::LocalRefused);
        queued + self.syncing.iter().flatten().filter(local).count()
    }

    /// Returns whether something written was lost.
    pub(super) fn crash(&mut self) -> bool {
        let lost = self.syncing.take().is_some_and(|done| {
            done.iter().any(|d| {
                matches!(d, Done::Persisted { .. } | Done::Local { .. } | Done::Anew { .. })
            })
        });
        self.queue.clear();
        self.acknowledgements.clear();
        self.behind = false;
        self.store.crash();
        lost
    }
}
