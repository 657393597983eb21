//! The whole engine, told what to hear by a script of bytes.

use crate::world::{self, ADMIN, PEERS};
use ed25519_dalek::SigningKey;
use fenbu_protocol::id::{DocId, Hash, LogId};
use fenbu_protocol::limits::{
    FRAME_BYTES_MAX, LINK_OUTBOX_BYTES_MAX, RUN_BYTES_MAX, UNPERSISTED_BYTES_MAX,
};
use fenbu_protocol::log::{
    Author, Draft, Encoding, HEADER_VERSION, Kind, Lane, Opening, Run, Shape, Tip,
};
use fenbu_protocol::sync::{Engine, Input, Item, LinkId, Loaded, Output, Settings, Ticket};
use fenbu_protocol::wire::{Hello, Message, WIRE_VERSION};
use std::collections::{BTreeMap, VecDeque};

/// Steps of one script.
const STEPS_MAX: usize = 64;

/// Bytes read as small choices.
pub(crate) struct Script<'a>(pub(crate) &'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many bytes as the next two say, or what there is.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let Some((len, rest)) = self.0.split_first_chunk::<2>() else { return &[] };
        let (bytes, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        self.0 = rest;
        bytes
    }
}

/// A node, its links, and a disk that answers when the script says so.
struct Attacked {
    engine: Engine,
    now: u64,
    links: Vec<LinkId>,
    next_link: u64,
    tickets: VecDeque<Ticket>,
    loads: VecDeque<(LinkId, LogId, u64)>,
    unsent: BTreeMap<LinkId, VecDeque<usize>>,
    unpersisted: usize,
    stored: BTreeMap<LogId, Vec<Run>>,
    pens: Vec<(SigningKey, Author)>,
}

/// Plays a script. Nothing a peer says may make the engine panic, or hold more than its bounds.
pub fn session(data: &[u8]) {
    let mut attacked = Attacked::new();
    let mut script = Script(data);
    for _ in 0..STEPS_MAX {
        let Some(step) = script.byte() else { return };
        attacked.step(step, &mut script);
        attacked.holds();
    }
}

impl Attacked {
    fn new() -> Self {
        let directory = world::directory().clone();
        let settings = Settings::default();
        let engine = Engine::new(0, 1, world::id(ADMIN), settings, directory, [], []);
        let pens = PEERS.into_iter().map(|who| {
            let key = world::key(who);
            let opening = Opening::sign(&key, world::space(), 0);
            (key, Author::new(opening, Tip::start(opening.log()), 0))
        });
        Self {
            engine,
            now: 0,
            links: Vec::new(),
            next_link: 0,
            tickets: VecDeque::new(),
            loads: VecDeque::new(),
            unsent: BTreeMap::new(),
            unpersisted: 0,
            stored: BTreeMap::new(),
            pens: pens.collect(),
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let link = self.links.get(usize::from(step >> 4) % self.links.len().max(1)).copied();
        match (step & 15, link) {
            (0, _) => self.link_up(step >> 4),
            (1, Some(link)) => {
                self.links.retain(|known| *known != link);
                self.unsent.remove(&link);
                self.handle(Input::LinkDown { link, reason: "gone".into() });
            }
            (2, Some(link)) => self.hello(link, script.byte().unwrap_or(0)),
            // A message as it comes.
            (3..=6, Some(link)) => {
                let frame = script.bytes();
                match Message::from_frame(frame) {
                    Ok(message) => self.handle(Input::Message { link, message }),
                    Err(e) => self.handle(Input::Garbled { link, reason: e.to_string() }),
                }
            }
            (7 | 8, Some(link)) => self.batch(link, script.byte().unwrap_or(0)),
            (9, _) => {
                if let Some(ticket) = self.tickets.pop_front() {
                    self.handle(Input::Persisted { ticket });
                }
                self.unpersisted = if self.tickets.is_empty() { 0 } else { self.unpersisted };
            }
            (10, _) => {
                if let Some(ticket) = self.tickets.pop_front() {
                    self.tickets.clear();
                    self.unpersisted = 0;
                    self.handle(Input::PersistFailed { ticket, reason: "full".into() });
                }
            }
            (11, _) => self.load(),
            (12, Some(link)) => {
                if let Some(bytes) = self.unsent.get_mut(&link).and_then(VecDeque::pop_front) {
                    self.handle(Input::Sent { link, bytes });
                }
            }
            _ => {
                self.now += u64::from(script.byte().unwrap_or(0)) * 500;
                self.handle(Input::Tick);
            }
        }
    }

    fn link_up(&mut self, which: u8) {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.push(link);
        // The last of them is nobody's.
        let who = [PEERS[0], PEERS[1], PEERS[2], 99][usize::from(which & 3)];
        let (peer, dialed) = (world::id(who), which & 4 != 0);
        self.handle(Input::LinkUp { link, peer, dialed });
    }

    fn hello(&mut self, link: LinkId, digest: u8) {
        let directory = world::directory();
        let hello = Hello {
            version_min: WIRE_VERSION,
            version_max: WIRE_VERSION,
            federation: directory.federation(),
            epoch: directory.epoch(),
            directory: directory.head(),
            digest: Hash([digest; 32]),
            agent: "fuzz".into(),
            state: None,
        };
        self.handle(Input::Message { link, message: Message::Hello(hello) });
    }

    /// A properly signed run of one of the peers, or one that is out of order.
    fn batch(&mut self, link: LinkId, choice: u8) {
        let at = usize::from(choice) % self.pens.len();
        let (key, pen) = &mut self.pens[at];
        let before = pen.clone();
        let directory = world::directory();
        pen.append(&Draft {
            epoch: directory.epoch(),
            directory: directory.head_prefix(),
            now_ms: 1,
            shape: Shape {
                version: HEADER_VERSION,
                lane: Lane::POSTS,
                kind: Kind(1),
                genesis: 1,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document: DocId([choice; 16]),
            body: &[choice; 8],
        });
        let run = pen.close(key).expect("something was written");
        if choice & 0x80 != 0 {
            // Its author forgets it, and will sign another in its place.
            *pen = before;
        }
        if choice & 0x40 == 0 {
            self.handle(Input::Message { link, message: Message::Batch(run) });
        }
    }

    fn load(&mut self) {
        let Some((link, log, from)) = self.loads.pop_front() else { return };
        let runs = self.stored.get(&log).into_iter().flatten();
        let run = runs.filter_map(|run| run.starting_at(from)).find(|run| run.first() == from);
        let result = run.map_or(Loaded::NotHeld, Loaded::Run);
        self.handle(Input::Loaded { link, log, from, result });
    }

    fn handle(&mut self, input: Input) {
        self.now += 1;
        self.engine.handle(self.now, input);
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist { ticket, item } => {
                    if let Item::Run { run, .. } = item {
                        self.unpersisted += run.as_bytes().len();
                        self.stored.entry(run.log()).or_default().push(run);
                    }
                    self.tickets.push_back(ticket);
                }
                Output::Load { link, log, from, .. } => self.loads.push_back((link, log, from)),
                Output::Send { link, frame, .. } => {
                    assert!(frame.len() <= FRAME_BYTES_MAX, "a frame is over its bound");
                    self.unsent.entry(link).or_default().push_back(frame.len());
                }
                Output::Close { link, .. } => {
                    self.links.retain(|known| *known != link);
                    self.unsent.remove(&link);
                }
                _ => {}
            }
        }
    }

    fn holds(&self) {
        assert!(self.unpersisted <= UNPERSISTED_BYTES_MAX + RUN_BYTES_MAX, "too much on its way");
        for unsent in self.unsent.values() {
            let bytes: usize = unsent.iter().sum();
            assert!(bytes <= LINK_OUTBOX_BYTES_MAX + FRAME_BYTES_MAX, "an outbox holds {bytes}");
        }
    }
}
