//! A node's disk at work: when groups begin and end, and who is told.

use super::disk::Done;
use super::world::{Event, World};
use super::writes::Started;
use fenbu_protocol::id::LogId;
use fenbu_protocol::log::Run;
use fenbu_protocol::record::Objection;
use fenbu_protocol::sync::{Input, LinkId, Loaded, Ticket};

impl World {
    pub(super) fn loaded(
        &mut self,
        node: usize,
        link: LinkId,
        log: LogId,
        from: u64,
        bytes_max: usize,
    ) {
        let life = self.nodes[node].life;
        if self.nodes[node].disk.is_syncing() {
            return self.after(1, Event::Loaded { node, life, link, log, from, bytes_max });
        }
        let result = if self.rng.chance(self.mix.read_failed_permille) {
            Loaded::Failed("bad sector".into())
        } else {
            match self.nodes[node].disk.reader().run(log, from, bytes_max) {
                Ok(run) => run.map_or(Loaded::NotHeld, Loaded::Run),
                Err(error) => Loaded::Failed(error.to_string()),
            }
        };
        self.handle(node, Input::Loaded { link, log, from, result });
    }

    /// Starts the disk on what is queued.
    pub(super) fn kick(&mut self, node: usize) {
        let disk = &self.nodes[node].disk;
        if self.nodes[node].engine.is_none()
            || disk.is_syncing()
            || (disk.queue.is_empty() && !disk.behind)
        {
            return;
        }
        let started = match self.nodes[node].start_jobs() {
            Ok(started) => started,
            // Its own concern.
            Err(_) if self.is_adversary(node) => return,
            Err(what) => return self.breach(("store", format!("node {node}: {what}"))),
        };
        if !self.is_adversary(node) {
            self.judged(node, &started);
        }
        let (least, most) = self.mix.sync_ms;
        let slow = if self.nodes[node].slow_disk { 100 } else { 1 };
        let ms = (self.rng.between(least, most) * slow) as u64;
        let life = self.nodes[node].life;
        self.after(ms, Event::Synced { node, life });
        if ms > 0
            && let Some(down_ms) = self.crash_in_sync.take()
        {
            let within = self.rng.below(ms as usize) as u64;
            self.after(within, Event::Crash { node, down_ms });
        }
    }

    /// What an honest node makes of entries, held against the truth.
    fn judged(&mut self, node: usize, started: &Started) {
        self.markers.waiting_released += started.released;
        self.markers.rights_taken_back += started.made_again;
        self.markers.adversary_entry_waits += started.foreign_waiting;
        for objection in &started.objections {
            match objection {
                Objection::NoRight(_) => self.markers.adversary_lacked_right += 1,
                Objection::Body(_) => self.markers.adversary_body_refused += 1,
                Objection::Gate(_) => self.markers.adversary_met_gate += 1,
            }
        }
        let known = self.nodes[node].directory().map_or(0, |d| d.epoch());
        for (space, author, header) in &started.counted {
            if self.oracle.is_outsider(author) {
                self.markers.adversary_entry_counts += 1;
            }
            if let Some(why) = self.oracle.objection(author, space, header, known) {
                let (log, seq) = (header.log.short(), header.seq);
                self.breach(("I4", format!("node {node} counts seq {seq} of log {log}: {why}")));
            }
        }
        for state in &started.states {
            let result = self.ledger.state(state);
            self.check(result);
        }
    }

    pub(super) fn synced(&mut self, node: usize) {
        for done in self.nodes[node].disk.end_sync() {
            match done {
                Done::Persisted { ticket, run, switch } => {
                    if let Some(switch) = switch {
                        let bytes: usize = switch.runs.iter().map(|r| r.as_bytes().len()).sum();
                        self.nodes[node].unpersisted -= bytes;
                        self.nodes[node].disk.behind = true;
                        self.markers.branch_switched += 1;
                    }
                    self.persisted(node, ticket, run);
                }
                Done::Anew { run, tip } => {
                    self.markers.written_anew += 1;
                    self.trace.note(self.now, node, "anew", [run.last(), 0], || format!("{run:?}"));
                    self.authors.insert(run.log(), node);
                    let result = self.ledger.acknowledge(&run);
                    self.check(result);
                    self.handle(node, Input::Appended { run, tip });
                }
                Done::Refused { ticket } => self.refused(node, ticket),
                Done::Local { run, tip, .. } if self.is_adversary(node) => {
                    self.handle(node, Input::Appended { run, tip });
                }
                Done::Local { write, run, tip } => {
                    self.trace
                        .note(self.now, node, "wrote", [run.last(), 0], || format!("{run:?}"));
                    self.authors.insert(run.log(), node);
                    let result = self.ledger.acknowledge(&run);
                    self.check(result);
                    for edit in write.edits {
                        self.writes_done += 1;
                        self.ledger.model.acknowledged(write.space, edit.document, edit.word);
                    }
                    self.writes_left -= 1;
                    self.handle(node, Input::Appended { run, tip });
                }
                Done::LocalRefused => {
                    self.markers.local_write_refused += 1;
                    self.writes_left -= 1;
                }
                Done::Declared { act, signed } => {
                    for statement in signed {
                        self.oracle.hears(&statement);
                        self.handle(node, Input::Declared { statement });
                    }
                    self.declared(&act);
                }
            }
        }
        self.kick(node);
        if self.nodes[node].disk.behind {
            self.after(100, Event::Kick { node });
        }
    }

    fn persisted(&mut self, node: usize, ticket: Ticket, run: Option<Run>) {
        if let Some(run) = run {
            // Of a log with two histories only one is kept here.
            let authentic = self.ledger.twice.contains(&run.log())
                || self.oracle.is_authentic(&run, &self.ledger.acknowledged);
            if !self.is_adversary(node) && !authentic {
                let what = format!("node {node} stored {run:?}, which its author never signed");
                return self.breach(("I4", what));
            }
            let me = &mut self.nodes[node];
            me.unpersisted -= run.as_bytes().len();
            me.disk.behind = true;
            if me.refused.get(&run.log()).is_some_and(|seq| *seq <= run.last()) {
                me.refused.remove(&run.log());
                self.markers.disk_refusal_retried += 1;
            }
        }
        self.handle(node, Input::Persisted { ticket });
    }

    /// Later tickets given out so far are void with the refused one.
    fn refused(&mut self, node: usize, ticket: Ticket) {
        let me = &mut self.nodes[node];
        for item in me.disk.drop_persists() {
            me.note_refused(&item);
        }
        me.unpersisted = 0;
        self.trace.note(self.now, node, "disk full", [ticket.0, 0], String::new);
        let reason = "disk full".into();
        self.handle(node, Input::PersistFailed { ticket, reason });
    }
}
