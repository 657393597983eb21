//! Second copies of a node's disk, and backups that are put back: what makes an author sign two histories,
//! and what a node does about it. The daemon's part is `fenbu_node`'s writer and `forks`.

use super::disk::Done;
use super::node::Node;
use super::world::{Event, World};
use super::writes::{EPOCH_MS, Entries};
use fenbu_node::store::{
    EntryRef, LostBranch, Pending, Place, Refusal, Switching, WriteBatch, parting,
};
use fenbu_node::views::update_of;
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::{Author, Opening, Parting, Run};
use fenbu_protocol::record::{self, Amendment, EditError, Record, change_hash};
use fenbu_protocol::sync::{Input, LinkId, Switch, Ticket};
use std::collections::{BTreeMap, BTreeSet};

/// Writes of each copy, so that they part.
const WRITES_OF_A_COPY: usize = 4;

/// A run to be held against a disk.
#[derive(Debug, Clone)]
pub(super) struct Comparing {
    pub(super) ticket: Ticket,
    pub(super) link: Option<LinkId>,
    pub(super) run: Run,
    pub(super) headers: bool,
}

impl World {
    /// A second copy of a node's disk is started beside the first.
    pub(super) fn copy_node(&mut self, node: usize) {
        // The admin's copy would fork the directory, which is another story.
        let alone = self.nodes.iter().filter(|n| n.id == self.nodes[node].id).count() == 1;
        if node == 0 || !alone || self.nodes[node].engine.is_none() {
            return;
        }
        let copy = self.nodes.len();
        self.ledger.twice.extend(self.nodes[node].current_logs());
        let copied = self.nodes[node].copied(copy);
        self.nodes.push(copied);
        self.markers.disk_copied += 1;
        self.writes_left += 2 * WRITES_OF_A_COPY;
        for _ in 0..WRITES_OF_A_COPY {
            for node in [node, copy] {
                let ms = self.rng.below(6_000) as u64;
                self.after(ms, Event::Write { node });
            }
        }
        self.restart(copy);
    }

    /// A backup is made of a node's disk, or the last one is put back: the node knows that it was and goes
    /// on in new logs. Only where its peers hold all that it wrote since: what nobody else has is gone
    /// with a disk.
    pub(super) fn put_back(&mut self, node: usize) {
        if node == 0 || self.nodes[node].engine.is_none() {
            return;
        }
        let Some(backup) = self.backups.remove(&node) else {
            let backup = self.nodes[node].disk.copy_of_synced();
            self.backups.insert(node, backup);
            return;
        };
        let id = self.nodes[node].id;
        let elsewhere = |log: &LogId, hashes: &[_]| {
            let others = self.nodes.iter().enumerate().filter(|(n, _)| *n != node);
            others
                .map(|(_, other)| &other.disk.synced)
                .any(|synced| synced.get(log).is_some_and(|held| held.starts_with(hashes)))
        };
        let written = &self.nodes[node].disk.synced;
        let own = |log: &LogId| self.authors.get(log).is_some_and(|a| self.nodes[*a].id == id);
        let safe = written
            .iter()
            .filter(|(log, _)| own(log))
            .all(|(log, hashes)| backup.synced.get(log) == Some(hashes) || elsewhere(log, hashes));
        // An open branch of a fork is another matter.
        let forked = written.keys().any(|log| self.ledger.twice.contains(log) && own(log));
        if !safe || forked {
            return;
        }
        self.crash(node, 1_000);
        self.restored.insert(node);
        self.nodes[node].disk = backup;
        self.nodes[node].begin_anew(None);
        self.markers.backup_put_back += 1;
    }

    /// Whom a dial to this key reaches.
    pub(super) fn whom(&mut self, peer: &NodeId) -> usize {
        let all: Vec<usize> =
            (0..self.nodes.len()).filter(|n| self.nodes[*n].id == *peer).collect();
        if all.len() > 1 { self.rng.pick(&all) } else { self.by_id[peer] }
    }

    pub(super) fn compare(&mut self, node: usize, asked: Box<Comparing>) {
        let life = self.nodes[node].life;
        if self.nodes[node].disk.is_syncing() {
            return self.after(1, Event::Compare { node, life, asked });
        }
        let Comparing { ticket, link, run, headers } = *asked;
        let result = if self.rng.chance(self.mix.read_failed_permille) {
            Err("bad sector".into())
        } else {
            self.nodes[node].parting(&run)
        };
        self.handle(node, Input::Compared { ticket, link, run, headers, result });
    }

    /// A node's own log has another history.
    pub(super) fn own_log_forked(&mut self, node: usize, log: LogId) {
        self.nodes[node].begin_anew(Some(log));
    }
}

impl Node {
    pub(super) fn parting(&self, run: &Run) -> Result<Parting, String> {
        parting(self.disk.reader(), run).map_err(|e| e.to_string())
    }

    /// The logs of this incarnation, begun or not.
    pub(super) fn current_logs(&self) -> Vec<LogId> {
        let spaces = self.directory().map(|d| d.spaces().map(|s| s.id).collect::<Vec<_>>());
        let spaces = spaces.unwrap_or_default().into_iter();
        spaces.map(|space| self.log_of(space)).collect()
    }

    pub(super) fn log_of(&self, space: SpaceId) -> LogId {
        let (node, incarnation) = (self.id, self.incarnation);
        Opening { space, node, incarnation, signature: [0; 64] }.log()
    }

    /// Goes on in new logs; `forked` is one of ours that has another history.
    pub(super) fn begin_anew(&mut self, forked: Option<LogId>) {
        if forked.is_some_and(|log| self.authors.values().all(|author| author.log() != log)) {
            return;
        }
        self.own_branches.extend(self.authors.values().map(Author::log));
        let random = self.chance();
        // A story names logs by their numbers.
        let random = if self.is_told {
            0
        } else {
            u32::from_be_bytes([random[0], random[1], random[2], random[3]])
        };
        self.incarnation = Opening::incarnation_after(self.incarnation, random);
        self.authors.clear();
    }

    /// Peers know more of a log of ours than we do: not one more entry goes there.
    pub(super) fn leave_if_ahead(&mut self, run: &Run) {
        let ours = |author: &Author| author.log() == run.log() && author.tip().seq < run.last();
        let unknown = self.authors.values().all(|author| author.log() != run.log())
            && self.current_logs().contains(&run.log());
        // In a story the stage does it, in words.
        let told = self.is_told;
        if !told && (unknown || self.authors.values().any(ours)) {
            self.begin_anew(None);
        }
    }

    /// Whether this disk has written a log.
    pub(super) fn was_ours(&self, log: &LogId) -> bool {
        self.own_branches.contains(log) || self.authors.values().any(|author| author.log() == *log)
    }

    /// Whether a run's places have been written since the engine accepted it.
    pub(super) fn has_written(&self, run: &Run) -> bool {
        let past = |a: &Author| a.log() == run.log() && run.last() <= a.tip().seq;
        self.authors.values().any(past)
    }

    /// Another branch of a log takes over. `false` if the disk refuses.
    pub(super) fn switch(&mut self, switch: &Switch) -> Result<bool, String> {
        let own = switch.log().is_some_and(|log| self.own_branches.contains(&log));
        let switching = Switching { switch: switch.clone(), at_ms: 0, own };
        let written = self
            .disk
            .try_write(&WriteBatch { switches: vec![switching], ..WriteBatch::default() })?;
        if written && let Some(log) = switch.log() {
            self.own_branches.remove(&log);
        }
        Ok(written)
    }

    /// Documents of lost branches are made again without them. `false` if the disk refused.
    pub(super) fn remake(&mut self) -> Result<bool, String> {
        let branches = self.disk.reader().lost().map_err(|e| e.to_string())?;
        for branch in branches.into_iter().filter(|branch| !branch.remade) {
            let mut batch = WriteBatch { remade: vec![branch.id], ..WriteBatch::default() };
            if self.readable().contains(&branch.space) {
                self.without(&branch, &mut batch)?;
            }
            let written = self.authors.get(&branch.space).is_some_and(|a| a.tip().seq > 0);
            if written && !batch.amendments.is_empty() {
                self.begin_anew(None);
            }
            if !self.disk.write(&batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn without(&mut self, branch: &LostBranch, batch: &mut WriteBatch) -> Result<(), String> {
        let mut lost: BTreeMap<Place, BTreeSet<[u8; 32]>> = BTreeMap::new();
        for run in self.disk.reader().lost_runs(branch.id).map_err(|e| e.to_string())? {
            let entries: Entries<'_> =
                run.entries().map(|e| (e.header, e.body.unwrap_or_default().into())).collect();
            for (header, body) in &entries {
                let kind = header.shape.kind;
                let place = Place { document: header.document, space: branch.space, kind };
                let change = self.plain(&branch.space, header, body).and_then(|b| change_hash(&b));
                lost.entry(place).or_default().extend(change);
            }
        }
        for (place, changes) in lost {
            self.lose(branch, place, &changes, batch)?;
        }
        Ok(())
    }

    fn lose(
        &mut self,
        branch: &LostBranch,
        place: Place,
        lost: &BTreeSet<[u8; 32]>,
        batch: &mut WriteBatch,
    ) -> Result<(), String> {
        let schema = record::schema(place.kind).ok_or("only known kinds are written")?;
        let logs = self.disk.reader().logs(place.space).map_err(|e| e.to_string())?;
        if let Some(stored) = self.document(place)? {
            let own: BTreeSet<[u8; 16]> =
                logs.iter().filter(|l| l.opening.node == self.id).map(|l| l.log.actor()).collect();
            let record = Record::load(schema, &stored.snapshot).map_err(|e| e.to_string())?;
            let ours = |actor: &[u8; 16], change: &[u8; 32]| {
                own.contains(actor) && (branch.own || !lost.contains(change))
            };
            let pending = |a: Amendment| Pending { place, change: a.change, bytes: a.to_bytes() };
            batch.amendments.extend(record.amendments(lost, ours).into_iter().map(pending));
        }
        batch.forget.push(place);
        let mut entries: Entries<'_> = Vec::new();
        for log in logs {
            let mut from = 1;
            while let Ok(Some(run)) = self.disk.reader().run(log.log, from, RUN_BYTES_MAX) {
                let of = |e: &fenbu_protocol::log::Entry<'_>| {
                    (e.header.document, e.header.shape.kind) == (place.document, place.kind)
                };
                let found = run.entries().filter(of);
                entries
                    .extend(found.map(|e| (e.header, e.body.unwrap_or_default().to_vec().into())));
                from = run.last() + 1;
            }
        }
        let judged = self.judge(place, None, &entries)?;
        batch.waiting.extend(judged.waiting.iter().map(|(log, seq)| EntryRef {
            place,
            log: *log,
            seq: *seq,
        }));
        batch.refused.extend(judged.refused.iter().map(|(log, seq, why)| Refusal {
            entry: EntryRef { place, log: *log, seq: *seq },
            code: why.code().into(),
            reason: why.to_string(),
        }));
        if let Some(outcome) = judged.outcome
            && outcome.accepted > 0
        {
            let snapshot = outcome.snapshot;
            batch.documents.push(update_of(place.space, place.document, &outcome.record, snapshot));
        }
        Ok(())
    }

    /// Writes anew what is to be and can be.
    pub(super) fn write_anew(&mut self) -> Result<Vec<Done>, String> {
        let mut done = Vec::new();
        for pending in self.disk.reader().amendments().map_err(|e| e.to_string())? {
            done.extend(self.write_one_anew(&pending)?);
        }
        Ok(done)
    }

    fn write_one_anew(&mut self, pending: &Pending) -> Result<Option<Done>, String> {
        let Pending { place, change, bytes } = pending;
        let schema = record::schema(place.kind).ok_or("only known kinds are written")?;
        let amendment = Amendment::from_bytes(bytes).ok_or("a stored amendment can be read")?;
        let mut record = match self.document(*place)? {
            Some(stored) => Record::load(schema, &stored.snapshot).map_err(|e| e.to_string())?,
            None => Record::new(schema),
        };
        let done = WriteBatch { amended: vec![(*place, *change)], ..WriteBatch::default() };
        if record.history().iter().any(|item| item.anew_of == Some(*change)) {
            self.disk.write(&done)?;
            return Ok(None);
        }
        let actor = self.author(place.space).log().actor();
        match record.amend(actor, EPOCH_MS, &amendment) {
            Ok(Some(body)) => self.append(place.space, vec![(record, place.document, body)], done),
            Ok(None) => self.disk.write(&done).map(|_| None),
            Err(EditError::Required { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn append(
        &mut self,
        space: SpaceId,
        written: Vec<(Record, fenbu_protocol::id::DocId, Vec<u8>)>,
        batch: WriteBatch,
    ) -> Result<Option<Done>, String> {
        let before: Author = self.author(space).clone();
        match self.append_entries(space, written, EPOCH_MS, batch)? {
            Some((run, tip)) => Ok(Some(Done::Anew { run, tip })),
            None => {
                *self.author(space) = before;
                Ok(None)
            }
        }
    }
}

/// What is on disk of runs that take the place of others.
pub(super) fn take_over(hashes: &mut Vec<fenbu_protocol::id::Hash>, switch: &Switch) {
    hashes.truncate(switch.base.seq as usize);
    hashes.extend(
        switch.runs.iter().flat_map(|run| run.entries().map(|e| e.hash).collect::<Vec<_>>()),
    );
}
