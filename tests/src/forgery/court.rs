//! A node without a network or a disk: what would count of what it is sent?

use super::world::{EVE, JUDGE, directory, id};
use fenbu_protocol::directory::{Directory, Signed};
use fenbu_protocol::id::{DocId, Hash, LogId, SpaceId};
use fenbu_protocol::log::{Entry, Kind, Opening, Run};
use fenbu_protocol::record::{Bench, Candidate, schema};
use fenbu_protocol::seal::Keyring;
use fenbu_protocol::sync::{Engine, Input, Item, LinkId, Output, Settings};
use fenbu_protocol::wire::{Hello, Message, WIRE_VERSION};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The judging node: the daemon's engine, and what it had stored.
#[derive(Debug)]
pub struct Court {
    engine: Engine,
    now: u64,
    link: Option<LinkId>,
    links: u64,
    stored: Vec<(SpaceId, Run)>,
    openings: BTreeMap<LogId, Opening>,
}

impl Court {
    /// A node that knows the directory, and what was said beyond it.
    ///
    /// # Panics
    /// If that cannot be said.
    pub fn new(said: &[Signed]) -> Self {
        let mut directory = directory().clone();
        for said in said {
            directory.apply(said.clone()).expect("the admin's next statement");
        }
        let engine = Engine::new(0, 1, id(JUDGE), Settings::default(), directory, [], []);
        Self { engine, now: 0, link: None, links: 0, stored: Vec::new(), openings: BTreeMap::new() }
    }

    /// Takes batches from the third peer; how many entries count in the end.
    pub fn hears(mut self, batches: &[Vec<u8>]) -> usize {
        for batch in batches {
            let link = self.linked();
            let frame = [&[8][..], batch].concat();
            match Message::from_frame(&frame) {
                Ok(message) => self.handle(Input::Message { link, message }),
                Err(error) => self.handle(Input::Garbled { link, reason: error.to_string() }),
            }
        }
        self.counts()
    }

    /// The link to the third peer; a new one if the last was closed.
    fn linked(&mut self) -> LinkId {
        if let Some(link) = self.link {
            return link;
        }
        self.links += 1;
        let link = LinkId(self.links);
        self.link = Some(link);
        self.handle(Input::LinkUp { link, peer: id(EVE), dialed: false });
        let directory: &Directory = self.engine.directory();
        let hello = Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation: directory.federation(),
            epoch: directory.epoch(),
            directory: directory.head(),
            digest: Hash([1; 32]),
            agent: "eve".into(),
            state: None,
        };
        self.handle(Input::Message { link, message: Message::Hello(hello) });
        link
    }

    fn handle(&mut self, input: Input) {
        self.now += 1;
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist { ticket, item } => {
                    if let Item::Run { space, run, .. } = item {
                        if let Some(opening) = run.opening() {
                            self.openings.insert(run.log(), *opening);
                        }
                        self.stored.push((space, run));
                    }
                    self.engine.handle(self.now, Input::Persisted { ticket });
                }
                Output::Close { link, .. } if self.link == Some(link) => self.link = None,
                _ => {}
            }
        }
    }

    /// How many of the entries stored count, as the daemon judges.
    fn counts(&self) -> usize {
        let (directory, keyring) = (self.engine.directory(), Keyring::default());
        let mut documents: BTreeMap<(SpaceId, DocId, Kind), Vec<Entry<'_>>> = BTreeMap::new();
        let mut hashes: BTreeMap<(LogId, u64), Hash> = BTreeMap::new();
        for (space, run) in &self.stored {
            for entry in run.entries() {
                let header = &entry.header;
                hashes.insert((header.log, header.seq), entry.hash);
                let place = (*space, header.document, header.shape.kind);
                documents.entry(place).or_default().push(entry);
            }
        }
        let hash_at = |log, seq| Ok::<_, Infallible>(hashes.get(&(log, seq)).copied());
        let accepted = documents.into_iter().filter_map(|((space, _, kind), entries)| {
            let bench =
                Bench { directory, keyring: &keyring, space, schema: schema(kind)?, authors: None };
            let candidates: Vec<_> = entries.iter().filter_map(|e| self.candidate(e)).collect();
            let judged = bench
                .judge(None, &candidates, hash_at, |_| Ok(false))
                .expect("there is no snapshot");
            Some(judged.outcome?.accepted)
        });
        accepted.sum()
    }

    fn candidate<'a>(&self, entry: &'a Entry<'a>) -> Option<Candidate<'a>> {
        let author = self.openings.get(&entry.header.log)?.node;
        Some(Candidate { header: &entry.header, author, body: entry.body? })
    }
}
