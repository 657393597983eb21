//! One node: the engine while it runs, the disk that outlives it, and what it writes with.

use super::disk::Disk;
use super::founding;
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Header, Opening, Tip};
use fenbu_protocol::seal::{Keyring, Reading, sealing_secret};
use fenbu_protocol::sync::{Engine, LinkId, Settings, StoredLog};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) key: SigningKey,
    /// Counts starts; what was meant for an earlier life is void.
    pub(super) life: u32,
    /// `None` while the node is down, and before a late one joins.
    pub(super) engine: Option<Engine>,
    pub(super) disk: Disk,
    /// Our logs, resumed from the disk at each start.
    pub(super) authors: BTreeMap<SpaceId, Author>,
    /// What they are written under. The daemon keeps it on disk, with what follows.
    pub(super) incarnation: u32,
    /// A stage tells a story of it.
    pub(super) is_told: bool,
    /// Logs this disk has written, up to where it left them.
    pub(super) own_branches: BTreeSet<LogId>,
    /// Keys of the spaces it reads, as of `keys_epoch`.
    pub(super) keyring: Keyring,
    pub(super) keys_epoch: u64,
    /// Spaces with entries that wait for a key.
    pub(super) locked: BTreeSet<SpaceId>,
    /// Counts what was taken from chance.
    draws: u64,
    number: usize,
    /// When the next tick comes.
    pub(super) tick_at: Option<u64>,
    pub(super) slow_disk: bool,
    /// Bytes of received runs given to the disk and not yet answered for.
    pub(super) unpersisted: usize,
    /// Logs whose entries the disk refused, and up to where.
    pub(super) refused: BTreeMap<LogId, u64>,
    /// Whom we asked last for a log: link, first seq, when.
    pub(super) asked: BTreeMap<LogId, (LinkId, u64, u64)>,
}

impl Node {
    pub(super) fn new(number: usize) -> Self {
        Self {
            id: founding::id(number),
            key: founding::key(number),
            life: 0,
            engine: None,
            disk: Disk::new(),
            authors: BTreeMap::new(),
            incarnation: 0,
            is_told: false,
            own_branches: BTreeSet::new(),
            keyring: Keyring::default(),
            keys_epoch: 0,
            locked: BTreeSet::new(),
            draws: 0,
            number,
            tick_at: None,
            slow_disk: false,
            unpersisted: 0,
            refused: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Begins a life from what the disk holds. Says what is wrong with the disk, if anything is.
    pub(super) fn start(&mut self, now: u64, seed: u64, settings: Settings) -> Result<(), String> {
        let loaded = self.disk.load();
        let chain = loaded
            .statements
            .iter()
            .map(|(_, bytes)| Signed::from_wire(bytes).map_err(|e| e.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let directory = match self.disk.known_directory(&chain) {
            Some(directory) => directory,
            None => Directory::from_chain(founding::federation(), chain)
                .map_err(|e| format!("the stored directory does not fold: {e}"))?,
        };
        self.authors.clear();
        let own = loaded.logs.iter().filter(|log| log.opening.node == self.id);
        let newest = own.map(|log| log.opening.incarnation).max().unwrap_or(0);
        self.incarnation = self.incarnation.max(newest);
        for log in &loaded.logs {
            let opening = log.opening;
            if opening.node == self.id && opening.incarnation == self.incarnation {
                let clock = self.disk.last_clock(log.log, log.tip.seq);
                let author = Author::new(opening, log.tip, clock);
                self.authors.insert(opening.space, author);
            }
        }
        let logs = loaded.logs.iter().map(|log| StoredLog {
            log: log.log,
            space: log.opening.space,
            author: log.opening.node,
            tip: log.tip,
            fork: loaded.forks.get(&log.log).cloned(),
        });
        let acknowledged = loaded.acknowledgements.iter().copied();
        self.engine =
            Some(Engine::new(now, seed, self.id, settings, directory, logs, acknowledged));
        self.disk.behind = true;
        self.keyring = Keyring::default();
        self.keys_epoch = 0;
        self.learn_keys();
        Ok(())
    }

    /// Takes the keys that the directory of the moment brings.
    pub(super) fn learn_keys(&mut self) {
        if let Some(engine) = &self.engine {
            self.keyring.learn(engine.directory(), &self.id, &sealing_secret(&self.key));
        }
    }

    /// 32 bytes nobody foresees, for this simulation.
    pub(super) fn chance(&mut self) -> [u8; 32] {
        self.draws += 1;
        founding::chance(self.number, self.draws)
    }

    /// Power is gone. Returns whether the disk lost something it had not synced.
    pub(super) fn crash(&mut self) -> bool {
        self.engine = None;
        self.life += 1;
        self.tick_at = None;
        self.unpersisted = 0;
        self.refused.clear();
        self.asked.clear();
        self.disk.crash()
    }

    /// Our log of a space, opened if there is none.
    pub(super) fn author(&mut self, space: SpaceId) -> &mut Author {
        self.authors.entry(space).or_insert_with(|| {
            let opening = Opening::sign(&self.key, space, self.incarnation);
            Author::new(opening, Tip::start(opening.log()), 0)
        })
    }

    /// A peer holds more of a log of ours than we do: the next entry begins a new one, returned here
    /// where that log is the one we write.
    pub(super) fn leave_log(&mut self, log: LogId) -> Option<LogId> {
        let author = self.authors.values().find(|author| author.log() == log)?;
        let space = author.opening().space;
        self.incarnation += 1;
        self.own_branches.extend(self.authors.values().map(Author::log));
        self.authors.clear();
        Some(self.author(space).log())
    }

    /// A node with the same key and what is on this one's disk now.
    pub(super) fn copied(&self, number: usize) -> Self {
        let mut copy = Self::new(self.number);
        copy.disk = self.disk.copy_of_synced();
        copy.incarnation = self.incarnation;
        copy.own_branches = self.own_branches.clone();
        // Nobody draws the same twice.
        copy.number = number;
        copy
    }

    pub(super) fn directory(&self) -> Option<&Directory> {
        self.engine.as_ref().map(Engine::directory)
    }

    /// A body as its author wrote it, if this node can tell.
    pub(super) fn plain(&self, space: &SpaceId, header: &Header, body: &[u8]) -> Option<Vec<u8>> {
        match self.keyring.read(self.directory()?, space, header, body) {
            Reading::Plain(plain) => Some(plain.into_owned()),
            _ => None,
        }
    }

    /// Spaces whose records this node shows.
    pub(super) fn readable(&self) -> Vec<SpaceId> {
        let Some(directory) = self.directory() else { return Vec::new() };
        directory.spaces().map(|s| s.id).filter(|s| directory.may_read(&self.id, s)).collect()
    }
}
