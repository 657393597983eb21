//! One node without a network: an archive hands it runs in any order, and answers what it asks.

use super::disk::{Done, Job};
use super::founding;
use super::node::Node;
use super::writes::{EPOCH_MS, LocalEdit, LocalWrite};
use fenbu::sample::Rng;
use fenbu_protocol::directory::{Directory, space_id};
use fenbu_protocol::id::{DocId, Hash, SpaceId};
use fenbu_protocol::log::{Kind, LogDigest, Run, StateDigest};
use fenbu_protocol::sync::{Input, LinkId, Output, Settings};
use fenbu_protocol::wire::{Hello, Message, WIRE_VERSION};
use serde_json::{Map, json};
use std::collections::{BTreeSet, VecDeque};

const LINK: LinkId = LinkId(1);

/// What several authors wrote, each knowing some of what the others had written.
#[derive(Debug, Clone)]
pub struct Story {
    directory: Directory,
    archive: usize,
    reader: usize,
    /// In the order they were written.
    pub runs: Vec<Run>,
    pub entries: u64,
    /// Documents told of: an id under which two kinds are written is two.
    pub documents: u64,
}

impl Story {
    /// Draws a story of so many saves by so many authors, all in one space.
    pub fn tell(seed: u64, authors: usize, saves: usize) -> Self {
        let mut rng = Rng::derive(seed, "story", 0);
        let (archive, reader) = (authors, authors + 1);
        let directory = founding::directory(1, authors + 2);
        let mut story =
            Self { directory, archive, reader, runs: Vec::new(), entries: 0, documents: 0 };
        let mut places = BTreeSet::new();
        let space = space_id(&founding::federation(), "federation");
        let documents: Vec<DocId> = (0..3).map(|_| rng.doc_id()).collect();
        let mut replicas: Vec<Replica> =
            (0..authors).map(|author| Replica::of(&story, author)).collect();
        for save in 0..saves {
            let author = rng.below(authors);
            let known: Vec<Run> = story.runs.iter().filter(|_| rng.chance(400)).cloned().collect();
            replicas[author].receive(known.iter(), 2);
            let document = rng.pick(&documents);
            // A few authors claim one id for records of two kinds.
            let (kind, field) =
                rng.pick(&[(Kind(1), "title"), (Kind(1), "title"), (Kind(2), "name")]);
            let fields = Map::from_iter([(field.into(), json!(format!("{field} {save}")))]);
            let edit = LocalEdit { kind, document, word: format!("w{save}"), fields };
            places.insert((kind, document));
            let time_ms = EPOCH_MS + save as u64;
            let write = LocalWrite { space, edits: vec![edit], time_ms };
            story.entries += write.edits.len() as u64;
            story.runs.extend(replicas[author].write(write));
        }
        story.documents = places.len() as u64;
        story
    }
}

/// What a replica holds, in sums that ignore how it came by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    pub spaces: Vec<(SpaceId, LogDigest, StateDigest)>,
    pub entries: u64,
    pub waiting: u64,
    pub documents: u64,
}

/// A node fed by hand.
#[derive(Debug)]
pub struct Replica {
    node: Node,
    now: u64,
    /// What the archive has to answer with.
    archive: Vec<Run>,
    asked: VecDeque<Run>,
}

impl Replica {
    /// An empty one that wrote nothing itself.
    ///
    /// # Panics
    /// As all of this: when engine, disk or records break a rule.
    pub fn new(story: &Story) -> Self {
        Self::of(story, story.reader)
    }

    fn of(story: &Story, number: usize) -> Self {
        let mut node = Node::new(number);
        node.disk.fill(&story.directory);
        node.start(0, number as u64, Settings::default())
            .expect("a directory that was just filled");
        let asked = VecDeque::new();
        let mut replica = Self { node, now: 0, archive: story.runs.clone(), asked };
        let peer = founding::id(story.archive);
        replica.handle(Input::LinkUp { link: LINK, peer, dialed: false });
        let hello = Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation: story.directory.federation(),
            epoch: story.directory.epoch(),
            directory: story.directory.head(),
            digest: Hash::ZERO,
            agent: "archive".into(),
            state: None,
        };
        replica.handle(Input::Message { link: LINK, message: Message::Hello(hello) });
        replica
    }

    /// Takes runs in this order, `batch` of them to a sync, and whatever it asks for on the way.
    pub fn receive<'a>(&mut self, runs: impl Iterator<Item = &'a Run>, batch: usize) {
        let mut unsynced = 0;
        for run in runs {
            if !self.archive.contains(run) {
                self.archive.push(run.clone());
            }
            self.asked.push_back(run.clone());
            while let Some(run) = self.asked.pop_front() {
                self.handle(Input::Message { link: LINK, message: Message::Batch(run) });
                unsynced += 1;
                if unsynced >= batch {
                    unsynced = 0;
                    self.sync();
                }
            }
        }
        self.sync();
    }

    fn write(&mut self, write: LocalWrite) -> Option<Run> {
        self.node.disk.queue.push_back(Job::Local(write));
        self.sync()
    }

    /// Writes, syncs and answers everything queued. Returns the local write's run, if there was one.
    fn sync(&mut self) -> Option<Run> {
        let mut written = None;
        while !self.node.disk.queue.is_empty() || self.node.disk.behind {
            self.node.start_jobs().expect("honest entries fit an honest store");
            for done in self.node.disk.end_sync() {
                match done {
                    Done::Persisted { ticket, .. } => {
                        self.node.disk.behind = true;
                        self.handle(Input::Persisted { ticket });
                    }
                    Done::Local { run, tip, .. } => {
                        written = Some(run.clone());
                        self.handle(Input::Appended { run, tip });
                    }
                    other => panic!("nothing is refused here: {other:?}"),
                }
            }
        }
        written
    }

    fn handle(&mut self, input: Input) {
        self.now += 1;
        let Some(engine) = &mut self.node.engine else { return };
        engine.handle(self.now, input);
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Persist { ticket, item } => {
                    self.node.disk.queue.push_back(Job::Persist { ticket, item });
                }
                Output::Send { frame, .. } => {
                    if let Ok(Message::Want(want)) = Message::from_frame(&frame) {
                        for range in want.ranges {
                            let of = |r: &&Run| r.log() == range.log && r.last() >= range.from;
                            self.asked.extend(self.archive.iter().filter(of).cloned());
                        }
                    }
                }
                Output::ReadStates => {
                    let states = self.node.states();
                    self.handle(Input::States { states });
                    return;
                }
                Output::Close { reason, .. } => panic!("an honest archive was left: {reason}"),
                _ => {}
            }
        }
    }

    pub fn sums(&self) -> Sums {
        let reader = self.node.disk.reader();
        let digests = reader.digests().expect("memory can be read");
        let counts = reader.counts().expect("memory can be read");
        Sums {
            spaces: digests.into_iter().map(|(space, d)| (space, d.log, d.state)).collect(),
            entries: counts.entries,
            waiting: counts.waiting,
            documents: counts.documents,
        }
    }
}
