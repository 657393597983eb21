//! A node without a network or a disk: what would count of what it is sent?

use super::world::{EVE, JUDGE, directory, id};
use fenbu_protocol::directory::{Directory, Standing};
use fenbu_protocol::id::{DocId, LogId, NodeId, SpaceId};
use fenbu_protocol::log::{HEADER_VERSION, Header, Kind, Opening, Run};
use fenbu_protocol::record::{Incoming, materialise, schema};
use fenbu_protocol::seal::{Keyring, Reading};
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

impl Default for Court {
    fn default() -> Self {
        Self::new()
    }
}

impl Court {
    pub fn new() -> Self {
        let directory = directory().clone();
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
        let directory = directory();
        let hello = Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation: directory.federation(),
            epoch: directory.epoch(),
            directory: directory.head(),
            digest: fenbu_protocol::id::Hash([1; 32]),
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

    /// Of what was stored: rights by the directory, then the gate.
    fn counts(&self) -> usize {
        let (directory, keyring) = (directory(), Keyring::default());
        let mut documents: BTreeMap<(SpaceId, DocId, Kind), Vec<Incoming<'_>>> = BTreeMap::new();
        for (space, run) in &self.stored {
            for entry in run.entries() {
                let (header, Some(body)) = (entry.header, entry.body) else { continue };
                let known = schema(header.shape.kind)
                    .is_some_and(|schema| schema.genesis == header.shape.genesis);
                let author = self.openings.get(&header.log).map(|opening| opening.node);
                let counts = known
                    && header.shape.version == HEADER_VERSION
                    && author.is_some_and(|author| anchored(directory, &author, space, &header))
                    && matches!(keyring.read(directory, space, &header, body), Reading::Plain(_));
                if counts {
                    let place = (*space, header.document, header.shape.kind);
                    let entry = Incoming { log: header.log, seq: header.seq, body };
                    documents.entry(place).or_default().push(entry);
                }
            }
        }
        let accepted = documents.into_iter().map(|((_, _, kind), entries)| {
            let schema = schema(kind).expect("known above");
            materialise(schema, None, None, &entries).expect("there is no snapshot").accepted
        });
        accepted.sum()
    }
}

fn anchored(directory: &Directory, author: &NodeId, space: &SpaceId, header: &Header) -> bool {
    // No right has been taken in this world, so nobody asks.
    let hash_at = |_| Ok::<_, Infallible>(None);
    directory.standing(author, space, header, hash_at) == Ok(Standing::Anchored)
}
