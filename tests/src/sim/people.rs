//! What people do: edit records, and found and admit at the admin node.

use super::disk::{Done, Job};
use super::world::{Event, World};
use super::writes::{EPOCH_MS, LocalEdit, LocalWrite};
use fenbu_protocol::directory::Act;
use fenbu_protocol::id::SpaceId;
use fenbu_protocol::log::Kind;
use serde_json::{Map, Value, json};

impl World {
    pub(super) fn write(&mut self, node: usize) {
        let local = |job: &Job| matches!(job, Job::Local(_));
        let done = |done: &Done| matches!(done, Done::Local { .. } | Done::LocalRefused);
        let over = self.now > self.mix.faults_end_ms;
        let busy = self.nodes[node].disk.is_busy_with(local, done);
        let space = self.writable(node).filter(|_| !busy);
        let Some(space) = space else {
            // The person gives up in the end: a late node may never have come to life.
            if over && self.nodes[node].engine.is_none() {
                self.writes_left -= 1;
                return;
            }
            return self.after(500, Event::Write { node });
        };
        let mut edits: Vec<LocalEdit> =
            (0..self.rng.between(1, 2)).map(|_| self.edit(space)).collect();
        edits.dedup_by_key(|edit| edit.document);
        let time_ms = EPOCH_MS + self.now + node as u64 * 977;
        let write = LocalWrite { space, edits, time_ms };
        self.nodes[node].disk.queue.push_back(Job::Local(write));
        self.kick(node);
    }

    fn writable(&mut self, node: usize) -> Option<SpaceId> {
        let me = &self.nodes[node];
        let directory = me.directory()?;
        let spaces: Vec<SpaceId> = directory
            .spaces()
            .map(|s| s.id)
            .filter(|s| directory.may_write(&me.id, s, directory.epoch()))
            // One who may write and not read has nothing to seal with.
            .filter(|s| me.keyring.sealing(directory, s).is_ok())
            .collect();
        if spaces.is_empty() { None } else { Some(self.rng.pick(&spaces)) }
    }

    fn edit(&mut self, space: SpaceId) -> LocalEdit {
        self.words += 1;
        let word = format!("w{}", self.words);
        let known = self.documents.entry(space).or_default();
        let at = self.rng.below(self.mix.documents);
        if at >= known.len() {
            let kind = self.rng.pick(&[Kind(1), Kind(2), Kind(3)]);
            known.push((kind, self.rng.doc_id()));
        }
        let (kind, document) = known[at.min(known.len() - 1)];
        let mut fields = Map::new();
        let required: &[&str] = match kind {
            Kind(1) => &["title"],
            Kind(2) => &["name"],
            _ => &["kind", "branch"],
        };
        for name in required {
            let value = if *name == "kind" { "general".into() } else { format!("{name} {word}") };
            fields.insert((*name).to_owned(), Value::String(value));
        }
        if kind == Kind(1) && self.rng.chance(500) {
            let text = ["党建", "动态", "国门", "先锋", "缉私"];
            let body: String = (0..self.rng.below(8)).map(|_| self.rng.pick(&text)).collect();
            fields.insert("body".into(), json!(body));
        }
        if self.mix.write_bytes > 0 {
            let hex: String = (0..self.mix.write_bytes / 16)
                .map(|_| format!("{:016x}", self.rng.next_u64()))
                .collect();
            let field = ["title", "job", "topic"][usize::from(kind.0) - 1];
            fields.insert(field.into(), json!(hex));
        }
        LocalEdit { kind, document, word, fields }
    }

    pub(super) fn declare(&mut self) {
        let busy = self.nodes[0].disk.is_busy_with(
            |job| matches!(job, Job::Declare(_)),
            |done| matches!(done, Done::Declared { .. }),
        );
        if self.nodes[0].engine.is_none() || busy {
            return self.after(700, Event::Declare);
        }
        if let Some(act) = self.acts.front().cloned() {
            let act = self.with_cuts(act);
            self.nodes[0].disk.queue.push_back(Job::Declare(act));
            self.kick(0);
            // Until it is declared: a crash or a full disk may have swallowed it.
            self.after(3_000, Event::Declare);
        }
    }

    /// A statement is safe and known. A new node gets the directory with its admission.
    pub(super) fn declared(&mut self, act: &Act) {
        self.acts.pop_front();
        self.markers.adversary_revoked += u64::from(matches!(act, Act::RevokeNode(_)));
        self.trace.note(self.now, 0, "declared", [u64::from(act.number()), 0], || {
            format!("act {}", act.number())
        });
        if let Act::DefineSpace(define) = act {
            self.markers.adversary_expelled += u64::from(define.cuts.is_some());
        }
        if matches!(act, Act::DefineSpace(_))
            && let Some(space) =
                self.nodes[0].directory().and_then(|d| d.space_labelled("task-force"))
        {
            self.markers.key_rotated += u64::from(space.key_epoch() > 1);
        }
        if let Act::AdmitNode(admit) = act
            && let Some(directory) = self.nodes[0].directory().cloned()
        {
            let node = self.by_id[&admit.node];
            self.nodes[node].disk.fill(&directory);
            self.restart(node);
        }
    }
}
