//! What no engine would send.

use super::Malice;
use crate::forgery::bodies;
use crate::sim::founding;
use crate::sim::network::other;
use crate::sim::world::{Event, World};
use crate::sim::writes::EPOCH_MS;
use fenbu_protocol::directory::{
    Act, AppointAdmin, DefineSpace, Directory, GrantKey, Recover, RevokeNode, Scope, SetLimits,
    Signed, Statement, Template, Wrap, space_id,
};
use fenbu_protocol::id::{FederationId, Hash, HashPrefix, LogId, NodeId, SpaceId};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::{
    Author, Draft, Encoding, HEADER_VERSION, Lane, Opening, Position, Run, Shape, Tip,
};
use fenbu_protocol::record::schema_named;
use fenbu_protocol::sync::LinkId;
use fenbu_protocol::wire::{
    Decline, DeclineReason, Digests, DirectoryHead, Have, Message, Parted, Prune, Range,
    SpaceDigest, SpacePositions, Statements, Want,
};
use std::sync::Arc;

/// Where a run's head has its opening's space.
const SPACE_AT: usize = 32 + 8 + 32 + 4 + 1;

impl World {
    pub(super) fn send_harm(&mut self, node: usize, malice: Malice) -> Option<()> {
        let links: Vec<(LinkId, usize)> =
            self.network.up_of(node).filter(|(_, to)| !self.is_adversary(*to)).collect();
        let (link, to) = (!links.is_empty()).then(|| self.evil.rng.pick(&links))?;
        let (lane, frame) = match malice {
            Malice::ForgedAuthor => (Lane::POSTS, self.forged_author(node, to)?),
            Malice::Altered => (Lane::POSTS, self.altered(node, to)?),
            Malice::ReplayRun => (Lane::POSTS, self.replayed_run(node)?),
            Malice::SelfGrant => (Lane::CONTROL, self.self_grant(node)?),
            Malice::FalseHave => (Lane::CONTROL, self.false_have(node)?),
            Malice::Garbage => (Lane::CONTROL, self.garbage()),
            _ => (Lane::CONTROL, self.nonsense(node)?),
        };
        self.inject(link, lane, frame)
    }

    /// Puts a frame on the wire behind the engine's back.
    fn inject(&mut self, link: LinkId, lane: Lane, frame: Arc<[u8]>) -> Option<()> {
        let at = self.now + self.delay();
        let lane = usize::from(lane.0);
        let at = self.network.send(link, lane, frame, at)?;
        self.at(at, Event::Deliver { link: other(link), lane });
        Some(())
    }

    /// A run it holds, of a log that somebody honest writes.
    fn honest_run(&mut self, node: usize) -> Option<Run> {
        let disk = &self.nodes[node].disk;
        let honest = disk.spaces.keys().filter(|log| self.authors.contains_key(log));
        let logs: Vec<LogId> = honest.copied().collect();
        let log = (!logs.is_empty()).then(|| self.evil.rng.pick(&logs))?;
        disk.reader().run(log, 1, RUN_BYTES_MAX).ok()?
    }

    /// Goes on with another's log where the receiver's ends.
    fn forged_author(&mut self, node: usize, to: usize) -> Option<Arc<[u8]>> {
        let schema = schema_named("post")?;
        let held = self.nodes[to].disk.reader();
        let logs: Vec<LogId> =
            self.authors.iter().filter(|(_, author)| **author != to).map(|(log, _)| *log).collect();
        let log = (!logs.is_empty()).then(|| self.evil.rng.pick(&logs))?;
        let (opening, tip) = match held.log(log).ok()? {
            Some(stored) => (stored.opening, stored.tip),
            // A log that its author never began, under an opening of our own making.
            None => {
                let victim = self.nodes[*self.authors.get(&log)?].id;
                let space = founding::common_space();
                let signed = Opening::sign(&self.nodes[node].key, space, 7);
                let opening = Opening { node: victim, ..signed };
                (opening, Tip::start(opening.log()))
            }
        };
        let directory = self.nodes[node].directory()?;
        let mut pen = Author::new(opening, tip, 0);
        let n = self.evil.rng.next_u64();
        pen.append(&Draft {
            epoch: directory.epoch().max(tip.epoch),
            directory: directory.head_prefix(),
            now_ms: EPOCH_MS + self.now,
            shape: Shape {
                version: HEADER_VERSION,
                lane: schema.lane,
                kind: schema.kind,
                genesis: schema.genesis,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document: self.evil.rng.doc_id(),
            body: &bodies::honest(schema, pen.log().actor(), n),
        });
        Some(Message::Batch(pen.close(&self.nodes[node].key)?).to_frame())
    }

    /// A run the receiver lacks, if there is one: what it holds it does not take again.
    fn altered(&mut self, node: usize, to: usize) -> Option<Arc<[u8]>> {
        let (mine, theirs) = (&self.nodes[node].disk, &self.nodes[to].disk);
        let held = |log: &LogId| theirs.synced.get(log).map_or(0, Vec::len) as u64;
        let fresh = |log: &LogId| mine.reader().run(*log, held(log) + 1, RUN_BYTES_MAX).ok()?;
        let fresh: Vec<Run> = mine
            .spaces
            .keys()
            .filter(|log| self.authors.contains_key(log))
            .filter_map(fresh)
            .collect();
        let run = match fresh.is_empty() {
            true => self.honest_run(node)?,
            false => fresh[self.evil.rng.below(fresh.len())].clone(),
        };
        let mut bytes = run.as_bytes().to_vec();
        let opening = if run.first() == 1 { Opening::LEN } else { 0 };
        // Flags 1, shape 11, directory 16 and clock 8 stand before the first entry's document.
        let document = SPACE_AT + opening + 64 + 1 + 11 + 16 + 8;
        let (from, to) = match self.evil.rng.below(3) {
            0 => (0, bytes.len() - 1),
            1 => (document, document + 15),
            _ => (document + 16 + 4, bytes.len() - 1),
        };
        bytes[self.evil.rng.between(from, to)] ^= 1 << self.evil.rng.below(8);
        Some([&[8][..], &bytes].concat().into())
    }

    fn replayed_run(&mut self, node: usize) -> Option<Arc<[u8]>> {
        let run = self.honest_run(node)?;
        match self.evil.rng.below(3) {
            0 => Some(Message::Batch(run).to_frame()),
            // Under another space, with the log id that follows from it.
            1 => {
                let space = space_id(&founding::federation(), founding::OUTSIDERS);
                let opening = Opening { space, ..*run.opening()? };
                let mut bytes = run.as_bytes().to_vec();
                bytes[..32].copy_from_slice(opening.log().as_bytes());
                bytes[40..72].copy_from_slice(opening.log().as_bytes());
                bytes[SPACE_AT..SPACE_AT + 16].copy_from_slice(space.as_bytes());
                Some([&[8][..], &bytes].concat().into())
            }
            // Its own, of another federation's space.
            _ => {
                let space = space_id(&FederationId([9; 32]), "federation");
                let opening = Opening::sign(&self.nodes[node].key, space, 0);
                let mut pen = Author::new(opening, Tip::start(opening.log()), 0);
                let entry = run.entries().next()?;
                pen.append(&Draft {
                    epoch: entry.header.epoch,
                    directory: entry.header.directory,
                    now_ms: EPOCH_MS,
                    shape: entry.header.shape,
                    document: entry.header.document,
                    body: entry.body?,
                });
                Some(Message::Batch(pen.close(&self.nodes[node].key)?).to_frame())
            }
        }
    }

    /// A statement no one has the right to make.
    fn self_grant(&mut self, node: usize) -> Option<Arc<[u8]>> {
        let me = self.nodes[node].id;
        let directory = self.nodes[node].directory()?.clone();
        let (admin, n) = (directory.admin(), self.evil.rng.next_u64());
        let act = self.favour(me, &directory, n);
        let claimed = match self.evil.rng.below(3) {
            0 => admin,
            1 => NodeId(directory.federation().0),
            _ => me,
        };
        let statement = Statement {
            federation: directory.federation(),
            epoch: directory.epoch() + 1,
            previous: directory.head(),
            author: claimed,
            time_ms: 0,
            act: act.number(),
            payload: act.payload(),
        };
        let signed = Signed::sign(&self.nodes[node].key, &statement);
        Some(Message::Statements(Statements { statements: vec![signed] }).to_frame())
    }

    fn favour(&mut self, me: NodeId, directory: &Directory, n: u64) -> Act {
        let spaces: Vec<SpaceId> = directory.spaces().map(|s| s.id).collect();
        let space = self.evil.rng.pick(&spaces);
        match self.evil.rng.below(7) {
            0 => founding::outsider(founding::OUTSIDER + 900 + (n % 90) as usize),
            1 => Act::DefineSpace(DefineSpace {
                space: founding::common_space(),
                label: "federation".into(),
                template: Template::FEDERATION,
                unit: None,
                readers: Scope::everyone(),
                writers: Scope::everyone(),
                carriers: Scope::everyone(),
                cuts: None,
            }),
            2 => Act::AppointAdmin(AppointAdmin { node: me, cuts: None }),
            // Each revokes the other: the admin's word stands, in whatever order they are heard.
            3 => Act::RevokeNode(RevokeNode { node: directory.admin(), cuts: Vec::new() }),
            4 => Act::GrantKey(GrantKey {
                space,
                key_epoch: 2,
                check: Hash([1; 32]),
                wraps: vec![Wrap { node: me, bytes: vec![1; 80] }],
            }),
            5 => Act::Recover(Recover {
                epoch: directory.epoch(),
                hash: directory.head(),
                voided: directory.epoch(),
            }),
            _ => {
                Act::SetLimits(SetLimits { space, bytes: None, entries: Some(0), documents: None })
            }
        }
    }

    fn false_have(&mut self, node: usize) -> Option<Arc<[u8]>> {
        let known: Vec<LogId> = self.nodes[node].disk.spaces.keys().copied().collect();
        let mut positions = Vec::new();
        for _ in 0..self.evil.rng.between(1, 5) {
            let real = !known.is_empty() && self.evil.rng.chance(500);
            let made_up = LogId(Hash::of("made up", &[&self.evil.rng.next_u64().to_be_bytes()]).0);
            let log = if real { self.evil.rng.pick(&known) } else { made_up };
            let seq = 1_000 + self.evil.rng.below(1_000_000) as u64;
            let fork = self.evil.rng.chance(200).then_some(seq / 2);
            let prefix = HashPrefix([7; 8]);
            positions.push(Position { log, seq, prefix, body_bytes: 1 << 40, fork });
        }
        let space = founding::common_space();
        let whole = self.evil.rng.chance(300);
        let spaces = vec![SpacePositions { space, positions, whole }];
        Some(Message::Have(Have { spaces }).to_frame())
    }

    fn nonsense(&mut self, node: usize) -> Option<Arc<[u8]>> {
        let known: Vec<LogId> = self.nodes[node].disk.spaces.keys().copied().collect();
        let log = (!known.is_empty()).then(|| self.evil.rng.pick(&known))?;
        let from = 1 + self.evil.rng.below(50) as u64;
        let hash = Hash([self.evil.rng.below(256) as u8; 32]);
        let space = founding::common_space();
        let message = match self.evil.rng.below(5) {
            0 => Message::Want(Want { ranges: vec![Range { log, from, to: from + 1_000 }] }),
            1 => Message::Decline(Decline { log, from, reason: DeclineReason::NOT_HELD }),
            2 => Message::Prune(Prune { log }),
            3 => Message::Digests(Digests { spaces: vec![SpaceDigest { space, digest: hash }] }),
            _ => Message::Parted(Parted { heads: vec![DirectoryHead { epoch: from, hash }] }),
        };
        Some(message.to_frame())
    }

    fn garbage(&mut self) -> Arc<[u8]> {
        let len = self.evil.rng.between(1, 200);
        let mut bytes: Vec<u8> = (0..len).map(|_| self.evil.rng.below(256) as u8).collect();
        // A type that is known, so that it is read and not skipped.
        bytes[0] = 1 + self.evil.rng.below(9) as u8;
        bytes.into()
    }
}
