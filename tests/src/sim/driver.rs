//! The daemon's duties towards the engine, and the troubles that strike it.

use super::copies::Comparing;
use super::disk::Job;
use super::faults::Fault;
use super::invariants::{self, Breach};
use super::network::other;
use super::world::{Event, World};
use fenbu_protocol::log::Lane;
use fenbu_protocol::sync::{Close, Input, Item, LinkId, Notice, Output};
use fenbu_protocol::wire::Message;
use std::sync::Arc;

impl World {
    /// Hands one input to an engine and carries out, in order, what it asks for.
    pub(super) fn handle(&mut self, node: usize, input: Input) {
        let now = self.now;
        let sender = match &input {
            Input::Message { link, message: Message::Batch(_) } => {
                self.network.end(other(*link)).map(|end| end.node)
            }
            _ => None,
        };
        let Some(engine) = &mut self.nodes[node].engine else { return };
        engine.handle(now, input);
        while let Some(output) = self.nodes[node].engine.as_mut().and_then(|e| e.poll_output()) {
            if !self.is_adversary(node) {
                let result = self.is_honest(node, &output);
                self.check(result);
            }
            self.perform(node, sender, output);
        }
        self.plan_tick(node);
    }

    /// What an honest node says of others is true.
    fn is_honest(&mut self, node: usize, output: &Output) -> Result<(), Breach> {
        match output {
            // Whoever means harm may be blamed for it.
            Output::Close { link, code: Close::Violation, reason }
                if self.is_to_adversary(*link) =>
            {
                self.markers.adversary_blamed += 1;
                self.markers.forged_statement_refused += u64::from(reason.starts_with("directory"));
                Ok(())
            }
            _ => {
                let mine = self.nodes[node].id;
                let changed = self.restored.contains(&node)
                    || self.nodes.iter().filter(|n| n.id == mine).count() > 1;
                invariants::honest(output, &self.ledger.twice, changed)
            }
        }
    }

    fn is_to_adversary(&self, link: LinkId) -> bool {
        self.network.end(other(link)).is_some_and(|end| self.is_adversary(end.node))
    }

    fn plan_tick(&mut self, node: usize) {
        let due = self.nodes[node].engine.as_ref().and_then(|e| e.poll_timeout());
        let Some(due) = due else { return };
        let due = due.max(self.now + 1);
        if self.nodes[node].tick_at.is_some_and(|at| at <= due) {
            return;
        }
        let late = self.rng.between(0, self.mix.timer_late_ms) as u64;
        let at = self.nodes[node].tick_at.map_or(due + late, |at| at.min(due + late));
        if self.nodes[node].tick_at != Some(at) {
            self.nodes[node].tick_at = Some(at);
            self.at(at, Event::Tick { node });
        }
    }

    fn perform(&mut self, node: usize, sender: Option<usize>, output: Output) {
        let life = self.nodes[node].life;
        match output {
            Output::Dial { peer, .. } => {
                let to = self.whom(&peer);
                let ms = 2 * self.delay();
                self.after(ms, Event::Dial { node, life, to });
            }
            Output::Close { link, code, reason } => self.close(node, link, code, &reason),
            Output::Send { link, lane, frame } => self.send(node, link, lane, frame),
            Output::Persist { ticket, item } => {
                let runs = match &item {
                    Item::Run { run, .. } => std::slice::from_ref(run),
                    Item::Switch(switch) => &switch.runs[..],
                    _ => &[],
                };
                for run in runs {
                    self.carried(node, sender, run);
                    self.nodes[node].unpersisted += run.as_bytes().len();
                    let result = invariants::unpersisted(self.nodes[node].unpersisted);
                    self.check(result);
                }
                self.nodes[node].disk.queue.push_back(Job::Persist { ticket, item });
                self.after(0, Event::Kick { node });
            }
            Output::Load { link, log, from, bytes_max } => {
                let ms = self.rng.between(0, 5) as u64;
                self.after(ms, Event::Loaded { node, life, link, log, from, bytes_max });
            }
            Output::Compare { ticket, link, run, headers } => {
                let ms = self.rng.between(0, 5) as u64;
                let asked = Box::new(Comparing { ticket, link, run, headers });
                self.after(ms, Event::Compare { node, life, asked });
            }
            Output::Acknowledged { peer, log, seq } => {
                self.nodes[node].disk.acknowledgements.push((peer, log, seq));
            }
            Output::DirectoryChanged => {
                let known = self.nodes[node].directory().map(|d| (d.epoch(), d.head()));
                if known.is_some_and(|(epoch, head)| !self.oracle.is_head(epoch, &head)) {
                    self.breach(("I4", format!("node {node} goes by statements nobody may make")));
                }
                // A space may have become readable whose entries are here already.
                self.nodes[node].disk.behind = true;
                self.nodes[node].learn_keys();
                self.after(0, Event::Kick { node });
            }
            Output::Notice(notice) => {
                self.trace.note(self.now, node, "notice", [0, 0], || format!("{notice:?}"));
                if let Notice::Fork { author, log, .. } = notice {
                    self.markers.fork_proven += 1;
                    if author == self.nodes[node].id {
                        self.own_log_forked(node, log);
                    }
                }
            }
            Output::ReadStates => self.after(0, Event::ReadStates { node, life }),
            // Honest nodes never differ, see `invariants::honest`.
            // Nor do their disks rot.
            Output::OwnLogAhead { .. } | Output::Rebuild { .. } | Output::Mend { .. } => {}
        }
    }

    fn carried(&mut self, node: usize, sender: Option<usize>, run: &fenbu_protocol::log::Run) {
        let author = self.authors.get(&run.log()).copied();
        if let (Some(author), Some(sender)) = (author, sender)
            && author != sender
            && !self.network.up_of(node).any(|(_, peer)| peer == author)
        {
            self.markers.carried_by_third += 1;
        }
    }

    fn close(&mut self, node: usize, link: LinkId, code: Close, reason: &str) {
        let there = other(link);
        let peer = self.network.end(there).map(|end| end.node);
        if code == Close::Duplicate {
            let dialed = self.network.end(link).map(|end| end.dialed);
            let crossed = self.network.up_of(node).any(|(l, p)| {
                Some(p) == peer && self.network.end(l).map(|end| end.dialed) != dialed
            });
            self.markers.simultaneous_dial += u64::from(crossed);
        }
        self.trace.note(self.now, node, "close", [link.0, code as u64], || {
            format!("link {}: {reason}", link.0)
        });
        let cut = peer.is_some_and(|peer| self.network.is_cut(node, peer));
        self.network.end_gone(link);
        let ms = if cut { self.mix.idle_timeout_ms } else { self.delay() };
        self.after(ms, Event::Down { link: there, reason: "closed by the peer" });
    }

    fn send(&mut self, node: usize, link: LinkId, lane: Lane, frame: Arc<[u8]>) {
        let known = self.last_frame.take().filter(|(n, f, _)| *n == node && Arc::ptr_eq(f, &frame));
        let message = match known {
            Some((_, _, message)) => message,
            None => match Message::from_frame(&frame) {
                Ok(message) if self.is_adversary(node) => message,
                Ok(message) => {
                    let result = self.ledger.claims(&self.nodes[node].disk, &message);
                    self.check(result);
                    message
                }
                Err(error) => return self.breach(("honest", format!("sent {error}"))),
            },
        };
        if self.is_adversary(node) && self.keeps_silent(node, &message) {
            return self.after(0, Event::Taken { link });
        }
        self.note_sent(node, link, &message, frame.len());
        let batch = matches!(message, Message::Batch(_));
        self.last_frame = Some((node, Arc::clone(&frame), message));
        let result = invariants::frame(frame.len());
        self.check(result);
        let Some(end) = self.network.end_mut(link).filter(|end| end.up) else { return };
        end.outbox.push_back((frame.len(), batch));
        if batch {
            end.outbox_batches += frame.len();
        }
        let held = end.outbox_batches;
        let result = invariants::outbox(held);
        self.check(result);
        // A megabyte a second, beside what the network takes for itself.
        let ms = self.rng.between(0, 3) as u64 + held as u64 / 1_000;
        self.after(ms, Event::Taken { link });
        let at = self.now + ms + self.delay();
        let lane = usize::from(lane.0);
        if let Some(at) = self.network.send(link, lane, frame, at) {
            self.at(at, Event::Deliver { link: other(link), lane });
        }
    }

    fn note_sent(&mut self, node: usize, link: LinkId, message: &Message, bytes: usize) {
        let now = self.now;
        self.trace.note(now, node, "send", [link.0, bytes as u64], || match message {
            Message::Batch(run) => format!("link {} Batch {run:?}", link.0),
            other => format!("link {} {} of {bytes} bytes", link.0, other.name()),
        });
        match message {
            Message::Prune(_) => self.markers.push_duplicate_pruned += 1,
            Message::Want(want) => {
                for range in &want.ranges {
                    let asked = self.nodes[node].asked.insert(range.log, (link, range.from, now));
                    let Some((before, from, at)) = asked else { continue };
                    let up = self.network.end(before).is_some_and(|end| end.up);
                    let stalled = at + self.mix.settings.stall_ms <= now;
                    if before != link && up && stalled && from == range.from {
                        self.markers.ask_moved_on_stall += 1;
                    }
                }
            }
            _ => {}
        }
    }

    /// A frame arrives at an end that is up.
    pub(super) fn frame(&mut self, node: usize, link: LinkId, frame: &[u8]) {
        let message = match Message::from_frame(frame) {
            Ok(message) => message,
            Err(error) if self.is_to_adversary(link) => {
                return self.handle(node, Input::Garbled { link, reason: error.to_string() });
            }
            Err(error) => return self.breach(("honest", format!("received {error}"))),
        };
        self.trace.note(self.now, node, "receive", [link.0, frame.len() as u64], || {
            format!("link {} {}", link.0, message.name())
        });
        let Some(there) = self.network.end(other(link)).map(|end| end.node) else { return };
        let peer = self.nodes[there].id;
        let knows = |world: &Self| {
            world.nodes[node].directory().is_some_and(|directory| directory.is_member(&peer))
        };
        let shows = matches!(message, Message::Statements(_));
        let before = knows(self);
        match &message {
            Message::Hello(_) => {
                if let Some(end) = self.network.end_mut(link) {
                    end.greeted = true;
                }
            }
            Message::Batch(_) if self.network.end(link).is_some_and(|end| !end.greeted) => {
                self.markers.batch_before_hello += 1;
            }
            _ => {}
        }
        self.handle(node, Input::Message { link, message });
        if shows && !before && knows(self) {
            self.markers.stranger_admitted += 1;
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let node = self.rng.below(self.mix.nodes);
        self.trace.note(self.now, node, "fault", [0, 0], || format!("{fault:?}"));
        match fault {
            Fault::DropLink => self.drop_link(),
            Fault::Split { for_ms } => {
                let side: Vec<bool> = self.nodes.iter().map(|_| self.rng.chance(400)).collect();
                for a in 0..side.len() {
                    for b in 0..side.len() {
                        if side[a] != side[b] {
                            self.network.cut(a, b);
                        }
                    }
                }
                self.cut_for(for_ms);
            }
            Fault::OneWay { for_ms } => {
                let to = self.rng.below(self.mix.nodes);
                self.network.cut(node, to);
                self.cut_for(for_ms);
            }
            Fault::Crash { down_ms } if self.rng.chance(500) => self.crash(node, down_ms),
            Fault::Crash { down_ms } => self.crash_in_sync = Some(down_ms),
            Fault::RefuseWrite if self.nodes[node].engine.is_some() => {
                self.nodes[node].disk.refuse_next();
            }
            Fault::RefuseWrite => {}
            Fault::CopyDisk => self.copy_node(node),
            Fault::PutBack => self.put_back(node),
        }
    }

    fn drop_link(&mut self) {
        let up = self.network.up();
        if up.is_empty() {
            return;
        }
        let link = self.rng.pick(&up);
        for end in [link, other(link)] {
            let ms = self.rng.below(self.mix.idle_timeout_ms as usize) as u64;
            let ms = if self.rng.chance(500) { ms } else { self.delay() };
            self.after(ms, Event::Down { link: end, reason: "dropped" });
        }
    }

    fn cut_for(&mut self, ms: u64) {
        for link in self.network.silent() {
            let late = self.rng.below(1_000) as u64;
            self.after(self.mix.idle_timeout_ms + late, Event::Silent { link });
        }
        self.after(ms, Event::Heal);
    }

    pub(super) fn heal(&mut self) {
        for (link, lane) in self.network.heal() {
            let ms = self.delay();
            self.after(ms, Event::Deliver { link, lane });
        }
    }

    pub(super) fn crash(&mut self, node: usize, down_ms: u64) {
        if self.nodes[node].engine.is_none() {
            return;
        }
        let writes = self.nodes[node].disk.local_writes();
        let lost = self.nodes[node].crash();
        self.markers.crash_lost_unsynced += u64::from(lost);
        self.markers.crash_lost_unacknowledged += writes as u64;
        self.writes_lost(writes);
        for link in self.network.of(node) {
            self.network.end_gone(link);
            let ms = self.rng.between(1, self.mix.idle_timeout_ms as usize) as u64;
            self.after(ms, Event::Down { link: other(link), reason: "silent" });
        }
        let restored = self.restored.contains(&node);
        let own = self.authors.iter().filter(|(log, author)| {
            **author == node && !restored && !self.ledger.twice.contains(*log)
        });
        let own: Vec<_> = own.map(|(log, _)| *log).collect();
        let result = self.ledger.still_there(&mut self.nodes[node].disk, &own);
        self.check(result);
        self.after(down_ms, Event::Restart { node });
    }

    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].engine.is_some() {
            return;
        }
        self.trace.note(self.now, node, "start", [0, 0], String::new);
        let seed = self.rng.next_u64();
        let (now, settings) = (self.now, self.mix.settings.clone());
        if let Err(what) = self.nodes[node].start(now, seed, settings) {
            return self.breach(("I1", format!("node {node} cannot start: {what}")));
        }
        self.plan_tick(node);
        self.handle(node, Input::Tick);
        self.after(0, Event::Kick { node });
    }
}
