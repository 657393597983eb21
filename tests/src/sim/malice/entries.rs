//! Entries of an adversary's own logs: properly signed, and wrong otherwise, or right until a right is
//! taken.

use super::Malice;
use crate::forgery::bodies;
use crate::model::words_field;
use crate::sim::founding;
use crate::sim::world::World;
use crate::sim::writes::EPOCH_MS;
use automerge::legacy::{ElementId, Key, OpId};
use automerge::{ActorId, ChangeHash};
use fenbu_node::store::{Place, WriteBatch};
use fenbu_protocol::id::{DocId, HashPrefix, LogId, SpaceId};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::{
    Author, Draft, Encoding, HEADER_VERSION, Kind, Opening, Run, Shape, Tip,
};
use fenbu_protocol::record::{self, Edits, Record, Schema, schema_named};
use fenbu_protocol::sync::Input;
use serde_json::json;

const TEN_YEARS_MS: u64 = 3_652 * 86_400_000;

/// One entry to be.
struct Deed {
    space: SpaceId,
    incarnation: u32,
    epoch: u64,
    prefix: HashPrefix,
    time_ms: u64,
    shape: Shape,
    document: DocId,
    body: Vec<u8>,
    /// Why it must never count, if so.
    never: Option<&'static str>,
}

fn post() -> &'static Schema {
    schema_named("post").expect("there are posts")
}

fn shape(schema: &Schema) -> Shape {
    Shape {
        version: HEADER_VERSION,
        lane: schema.lane,
        kind: schema.kind,
        genesis: schema.genesis,
        encoding: Encoding::CHANGE,
        key_epoch: 0,
    }
}

impl World {
    /// Writes what `malice` says; nothing if there is no occasion.
    pub(super) fn write_harm(&mut self, node: usize, malice: Malice) -> Option<()> {
        match malice {
            Malice::Edit => self.edit_harm(node, |_, _| {}),
            Malice::BackDate => self.back_date(node),
            Malice::EpochFalls => self.epoch_falls(node),
            Malice::Clock => self.edit_harm(node, |world, deed| {
                let now = deed.time_ms;
                let late = world.evil.rng.chance(500);
                deed.time_ms = if late { now + TEN_YEARS_MS } else { now - TEN_YEARS_MS };
            }),
            Malice::FutureEpoch => self.edit_harm(node, |world, deed| {
                deed.incarnation = world.fresh_incarnation();
                deed.epoch += 1_000_000;
                deed.never = Some("it cites an epoch to come");
            }),
            Malice::FalseHistory => self.edit_harm(node, |_, deed| {
                deed.prefix.0[0] ^= 1;
                deed.never = Some("it cites a head that never was");
            }),
            Malice::NoRight => self.no_right(node),
            Malice::SeqReused => self.seq_reused(node),
            Malice::Withhold => self.withhold(node),
            Malice::ReplayBody => self.replay_body(node),
            Malice::WrongSeal => self.wrong_seal(node),
            Malice::Spam => self.spam(node),
            Malice::UnknownKind => self.edit_harm(node, |world, deed| {
                match world.evil.rng.below(3) {
                    0 => deed.shape.kind = Kind(77),
                    1 => deed.shape.version = 9,
                    _ => deed.shape.genesis = 9,
                }
                deed.never = Some("nobody knows what it is");
            }),
            _ => self.bad_change(node, malice),
        }
    }

    fn fresh_incarnation(&mut self) -> u32 {
        self.evil.incarnation += 1;
        self.evil.incarnation
    }

    fn evil_count(&mut self) -> u64 {
        self.evil.count += 1;
        self.evil.count
    }

    /// Its own space, or the one everybody writes.
    fn evil_space(&mut self) -> SpaceId {
        match self.evil.rng.chance(700) {
            true => founding::common_space(),
            false => self.evil_home(),
        }
    }

    fn evil_home(&self) -> SpaceId {
        fenbu_protocol::directory::space_id(&founding::federation(), founding::OUTSIDERS)
    }

    fn evil_actor(&self, node: usize, space: SpaceId, incarnation: u32) -> [u8; 16] {
        self.evil_pen(node, space, incarnation).log().actor()
    }

    fn evil_pen(&self, node: usize, space: SpaceId, incarnation: u32) -> Author {
        let known = self.evil.pens.get(&(node, space, incarnation)).cloned();
        known.unwrap_or_else(|| {
            let opening = Opening::sign(&self.nodes[node].key, space, incarnation);
            Author::new(opening, Tip::start(opening.log()), 0)
        })
    }

    /// A deed that is right in all but what is changed later. Incarnation 0 is its engine's own.
    fn deed(
        &mut self,
        node: usize,
        space: SpaceId,
        document: DocId,
        body: Vec<u8>,
    ) -> Option<Deed> {
        let directory = self.nodes[node].directory()?;
        let (epoch, prefix) = (directory.epoch(), directory.head_prefix());
        let (time_ms, shape) = (EPOCH_MS + self.now, shape(post()));
        let incarnation = 1;
        Some(Deed {
            space,
            incarnation,
            epoch,
            prefix,
            time_ms,
            shape,
            document,
            body,
            never: None,
        })
    }

    /// Signs an entry. It is not yet anywhere.
    fn sign(&mut self, node: usize, deed: &Deed) -> Option<(Run, Tip)> {
        let mut pen = self.evil_pen(node, deed.space, deed.incarnation);
        if !pen.may_cite(deed.epoch) {
            return None;
        }
        pen.append(&Draft {
            epoch: deed.epoch,
            directory: deed.prefix,
            now_ms: deed.time_ms,
            shape: deed.shape,
            document: deed.document,
            body: &deed.body,
        });
        let run = pen.close(&self.nodes[node].key)?;
        let tip = pen.tip();
        self.oracle.signs(tip.hash, deed.never);
        self.evil.pens.insert((node, deed.space, deed.incarnation), pen);
        Some((run, tip))
    }

    /// Hands an entry to its own engine, which spreads it.
    fn show(&mut self, node: usize, space: SpaceId, run: Run, tip: Tip) -> Option<()> {
        let disk = &mut self.nodes[node].disk;
        let batch = WriteBatch { runs: vec![(run.clone(), tip)], ..WriteBatch::default() };
        disk.write(&batch).ok()?.then_some(())?;
        disk.spaces.insert(run.log(), space);
        disk.behind = true;
        self.handle(node, Input::Appended { run, tip });
        self.kick(node);
        Some(())
    }

    /// The body as the space wants it, then signed and shown.
    fn commit(&mut self, node: usize, mut deed: Deed) -> Option<()> {
        self.seal_deed(node, &mut deed);
        let (run, tip) = self.sign(node, &deed)?;
        self.show(node, deed.space, run, tip)
    }

    fn seal_deed(&mut self, node: usize, deed: &mut Deed) {
        use fenbu_protocol::seal::{NONCE_BYTES, Place, Sealing, seal};
        let pen = self.evil_pen(node, deed.space, deed.incarnation);
        let Some(directory) = self.nodes[node].directory() else { return };
        let Ok(Sealing::Under { key_epoch, key }) =
            self.nodes[node].keyring.sealing(directory, &deed.space)
        else {
            return;
        };
        deed.shape.encoding = Encoding::SEALED;
        deed.shape.key_epoch = key_epoch;
        let place = Place {
            space: deed.space,
            log: pen.log(),
            seq: pen.tip().seq + 1,
            document: deed.document,
            kind: deed.shape.kind,
            key_epoch,
        };
        self.evil.count += 1;
        let mut nonce = [0xee; NONCE_BYTES];
        nonce[..8].copy_from_slice(&self.evil.count.to_be_bytes());
        deed.body = seal(key, nonce, &place, &deed.body);
    }

    /// A word added to a record as it is known here, or to a new one.
    fn word_edit(&mut self, node: usize, space: SpaceId, actor: [u8; 16]) -> (DocId, Vec<u8>) {
        let schema = post();
        let known = self.documents.get(&space).cloned().unwrap_or_default();
        let known: Vec<DocId> =
            known.iter().filter(|(kind, _)| *kind == schema.kind).map(|(_, d)| *d).collect();
        let fresh = known.is_empty() || self.evil.rng.chance(200);
        let document = if fresh { self.evil.rng.doc_id() } else { self.evil.rng.pick(&known) };
        if fresh {
            // Others write there too.
            self.documents.entry(space).or_default().push((schema.kind, document));
        }
        let place = Place { document, space, kind: schema.kind };
        let stored = self.nodes[node].document(place).ok().flatten();
        let loaded = stored.and_then(|stored| Record::load(schema, &stored.snapshot).ok());
        let mut record = loaded.unwrap_or_else(|| Record::new(schema));
        let word = format!("evil {}", self.evil_count());
        let fields = json!({ "title": word, words_field(schema.kind): { "add": [word] } });
        let edits = Edits::from_json(schema, &fields).expect("fields of a post");
        let change = record.edit(actor, EPOCH_MS + self.now, "eve", &edits);
        (document, change.expect("it can be edited").expect("a new word changes a record"))
    }

    fn edit_harm(&mut self, node: usize, twist: impl FnOnce(&mut Self, &mut Deed)) -> Option<()> {
        let space = self.evil_space();
        let mut deed = self.deed(node, space, DocId([0; 16]), Vec::new())?;
        twist(self, &mut deed);
        let actor = self.evil_actor(node, space, deed.incarnation);
        (deed.document, deed.body) = self.word_edit(node, space, actor);
        self.commit(node, deed)
    }

    fn back_date(&mut self, node: usize) -> Option<()> {
        let old = self.evil.rng.between(1, self.oracle.epoch() as usize) as u64;
        let prefix = self.oracle.head_at(old)?.prefix();
        self.edit_harm(node, |world, deed| {
            // In a log that has cited nothing later.
            deed.incarnation = world.fresh_incarnation();
            (deed.epoch, deed.prefix) = (old, prefix);
        })
    }

    /// Its engine believes its own word; the others' do not.
    fn epoch_falls(&mut self, node: usize) -> Option<()> {
        let space = founding::common_space();
        let incarnation = self.fresh_incarnation();
        for falls in [false, true] {
            let actor = self.evil_actor(node, space, incarnation);
            let body = bodies::honest(post(), actor, self.evil_count());
            let document = self.evil.rng.doc_id();
            let mut deed = self.deed(node, space, document, body)?;
            deed.incarnation = incarnation;
            if falls {
                (deed.epoch, deed.never) = (deed.epoch - 1, Some("its epoch falls"));
                deed.prefix = self.oracle.head_at(deed.epoch)?.prefix();
                // An author that has forgotten what it cited before.
                let pen = self.evil_pen(node, space, incarnation);
                let forgetful = Author::new(*pen.opening(), Tip { epoch: 0, ..pen.tip() }, 1 << 62);
                self.evil.pens.insert((node, space, incarnation), forgetful);
            }
            self.commit(node, deed)?;
        }
        Some(())
    }

    fn no_right(&mut self, node: usize) -> Option<()> {
        let me = &self.nodes[node];
        let directory = me.directory()?;
        let spaces: Vec<SpaceId> = directory
            .spaces()
            .map(|s| s.id)
            .filter(|s| !directory.may_write(&me.id, s, directory.epoch()))
            .collect();
        let space = (!spaces.is_empty()).then(|| self.evil.rng.pick(&spaces))?;
        let actor = self.evil_actor(node, space, 1);
        let (document, body) = self.word_edit(node, space, actor);
        let mut deed = self.deed(node, space, document, body)?;
        // Its author had the right once, or never had it: the oracle knows.
        deed.shape.encoding = Encoding::CHANGE;
        self.commit(node, deed)
    }

    fn seq_reused(&mut self, node: usize) -> Option<()> {
        let (space, document) = (founding::common_space(), self.evil.rng.doc_id());
        let incarnation = self.fresh_incarnation();
        let actor = self.evil_actor(node, space, incarnation);
        for never in [None, Some("its author made another change of that number")] {
            let body = bodies::honest(post(), actor, self.evil_count());
            let mut deed = self.deed(node, space, document, body)?;
            (deed.incarnation, deed.never) = (incarnation, never);
            self.commit(node, deed)?;
        }
        Some(())
    }

    /// One entry, and one by another log that builds on it; the first is kept back.
    fn withhold(&mut self, node: usize) -> Option<()> {
        if self.evil.rng.chance(500)
            && let Some((node, space, run, tip)) = self.evil.withheld.pop()
        {
            return self.show(node, space, run, tip);
        }
        let (space, document) = (founding::common_space(), self.evil.rng.doc_id());
        let logs = [self.fresh_incarnation(), self.fresh_incarnation()];
        let mut record = Record::new(post());
        for (at, incarnation) in logs.into_iter().enumerate() {
            let actor = self.evil_actor(node, space, incarnation);
            let fields = json!({ "title": format!("withheld {}", self.evil_count()) });
            let body = bodies::edit(&mut record, actor, &fields);
            let mut deed = self.deed(node, space, document, body)?;
            deed.incarnation = incarnation;
            let (run, tip) = self.sign(node, &deed)?;
            match at {
                0 => self.evil.withheld.push((node, space, run, tip)),
                _ => self.show(node, space, run, tip)?,
            }
        }
        Some(())
    }

    /// An honest entry it holds, with its body as it is stored.
    fn honest_entry(&mut self, node: usize) -> Option<(SpaceId, DocId, Kind, Vec<u8>)> {
        let disk = &self.nodes[node].disk;
        let honest = disk.spaces.iter().filter(|(log, _)| self.authors.contains_key(log));
        let logs: Vec<(LogId, SpaceId)> = honest.map(|(log, space)| (*log, *space)).collect();
        if logs.is_empty() {
            return None;
        }
        let (log, space) = self.evil.rng.pick(&logs);
        let run = disk.reader().run(log, 1, RUN_BYTES_MAX).ok()??;
        let at = self.evil.rng.below(run.count() as usize);
        let entry = run.entries().nth(at)?;
        Some((space, entry.header.document, entry.header.shape.kind, entry.body?.to_vec()))
    }

    fn replay_body(&mut self, node: usize) -> Option<()> {
        let (space, document, kind, body) = self.honest_entry(node)?;
        let elsewhere = self.evil.rng.chance(500);
        let document = if elsewhere { self.evil.rng.doc_id() } else { document };
        let mut deed = self.deed(node, space, document, body)?;
        deed.shape = shape(record::schema(kind)?);
        if space != founding::common_space() {
            (deed.shape.encoding, deed.shape.key_epoch) = (Encoding::SEALED, 1);
        }
        deed.never = Some("its body is another's");
        let (run, tip) = self.sign(node, &deed)?;
        self.show(node, space, run, tip)
    }

    fn wrong_seal(&mut self, node: usize) -> Option<()> {
        let plain = self.evil.rng.chance(500);
        let home = self.evil_home();
        let space = if plain { home } else { founding::common_space() };
        let actor = self.evil_actor(node, space, 1);
        let (document, body) = self.word_edit(node, space, actor);
        let mut deed = self.deed(node, space, document, body)?;
        if !plain {
            (deed.shape.encoding, deed.shape.key_epoch) = (Encoding::SEALED, 1);
        }
        deed.never = Some("it is not sealed as its space demands");
        let (run, tip) = self.sign(node, &deed)?;
        self.show(node, space, run, tip)
    }

    fn spam(&mut self, node: usize) -> Option<()> {
        let space = founding::common_space();
        for _ in 0..12 {
            let incarnation = self.fresh_incarnation();
            for _ in 0..4 {
                let actor = self.evil_actor(node, space, incarnation);
                let body = bodies::honest(post(), actor, self.evil_count());
                let document = self.evil.rng.doc_id();
                let mut deed = self.deed(node, space, document, body)?;
                deed.incarnation = incarnation;
                self.commit(node, deed)?;
            }
        }
        Some(())
    }

    /// A change the gate must keep from Automerge, in a document of its own or in everybody's.
    fn bad_change(&mut self, node: usize, malice: Malice) -> Option<()> {
        let (space, incarnation) = (founding::common_space(), self.fresh_incarnation());
        let actor = self.evil_actor(node, space, incarnation);
        let known = self.documents.get(&space).cloned().unwrap_or_default();
        let known: Vec<_> = known.into_iter().filter(|(kind, _)| *kind == post().kind).collect();
        let document = match self.evil.rng.chance(500) && !known.is_empty() {
            true => self.evil.rng.pick(&known).1,
            false => self.evil.rng.doc_id(),
        };
        let n = self.evil_count();
        let body = match malice {
            Malice::ForeignActor => self.foreign_actor(actor, n)?,
            Malice::Twisted => self.twisted(actor, n),
            _ => match self.evil.rng.below(5) {
                0 => bodies::op_bomb(actor),
                1 => bodies::deflated(post(), actor),
                2 => bodies::nested(actor, n),
                3 => bodies::non_canonical(actor, n),
                _ => bodies::orphan(actor, n),
            },
        };
        let mut deed = self.deed(node, space, document, body)?;
        deed.incarnation = incarnation;
        deed.never = Some("its change is none that may count");
        self.commit(node, deed)
    }

    fn foreign_actor(&mut self, actor: [u8; 16], n: u64) -> Option<Vec<u8>> {
        let logs: Vec<LogId> = self.authors.keys().copied().collect();
        let other = (!logs.is_empty()).then(|| self.evil.rng.pick(&logs))?;
        let other = ActorId::from(other.actor());
        let body = bodies::honest(post(), actor, n);
        Some(bodies::twisted(&body, |change| change.actor_id = other))
    }

    fn twisted(&mut self, actor: [u8; 16], n: u64) -> Vec<u8> {
        let other = Record::new(schema_named("member").expect("there are members")).heads()[0];
        match self.evil.rng.below(6) {
            0 => bodies::start_op(actor, n, 1 + n % 3),
            5 => bodies::twisted(&bodies::honest(post(), actor, n), |change| {
                change.seq = change.seq.saturating_add(1 + n % 3);
            }),
            4 => bodies::twisted(&bodies::start_op(actor, n, 1), |change| change.deps.clear()),
            1 => bodies::start_op(actor, n, (1 << 31) - 2),
            2 => bodies::twisted(&bodies::honest(post(), actor, n), |change| {
                change.deps = vec![ChangeHash(other)];
            }),
            _ => {
                let mut record = Record::new(post());
                let fields = json!({ "title": "t", "body": "国门先锋" });
                let body = bodies::edit(&mut record, actor, &fields);
                bodies::twisted(&body, |change| {
                    let nowhere = OpId(1000 + n, ActorId::from(actor));
                    let inserts = change.operations.iter_mut().find(|op| op.insert);
                    inserts.expect("a text is inserted").key = Key::Seq(ElementId::Id(nowhere));
                })
            }
        }
    }
}
