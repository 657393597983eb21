//! Forks of logs: an author that signed two histories of one, which of them stands, and going over to it.
//!
//! Of two histories that part, the one whose header has the lower hash where they part stands. So a run
//! that contradicts what is held is compared with it on disk ([`Output::Compare`]); if it is lower, it
//! takes the place of ours in one write, and if ours is, the peer is shown the two headers. Where they
//! part is searched for backwards from our tip, by ranges that double. Nothing is taken away before what
//! takes its place is here, so a crash between two steps leaves one history or the other.
//!
//! A prefix that differs proves nothing: it begins a search. Two signed headers for one place are a proof.
//! The one furthest back is kept, told with our position, and sent to whoever lacks it.

use super::engine::Engine;
use super::input::{LinkId, Ticket};
use super::logs::LogState;
use super::output::{Close, Item, Notice, Output, Switch};
use crate::id::{Hash, LogId, NodeId, SpaceId};
use crate::limits::{RUN_BYTES_MAX, WANT_ENTRIES_MAX};
use crate::log::{Parting, Position, Proof, Run, RunError, Tip};
use crate::wire::{Message, Range, Want};
use std::sync::Arc;

/// Where a peer's history of a log leaves ours: being found out.
#[derive(Debug, Clone)]
pub(super) struct Search {
    /// Asked for from here on next.
    from: u64,
    /// How far to go back if they have parted before that.
    step: u64,
    /// When the range was asked for, or last moved.
    asked_at: Option<u64>,
    /// The other branch stands: runs after one another that say what we hold, under checkpoints we may
    /// not hold, up to the one that does not. One log of a link at a time.
    gathered: Option<Vec<Run>>,
}

impl Search {
    /// Keeps a run that says what we hold: it may be what joins the other branch to a checkpoint of ours.
    fn keep(&mut self, run: Run) {
        let Some(gathered) = &mut self.gathered else { return };
        if gathered.last().is_some_and(|last| last.last() + 1 != run.first()) {
            gathered.clear();
        }
        gathered.push(run);
        // No stretch between two checkpoints is longer than this.
        while gathered.iter().map(|r| r.as_bytes().len()).sum::<usize>() > 2 * RUN_BYTES_MAX {
            gathered.remove(0);
        }
    }
}

/// A proof that is still to be held against the log on disk, and who showed it.
#[derive(Debug, Clone)]
pub(super) struct Unchecked {
    link: Option<LinkId>,
    proof: Arc<Proof>,
}

impl LogState {
    /// Nothing of it is on its way to the disk, and nothing is being compared: disk and memory agree.
    fn is_still(&self) -> bool {
        self.comparing.is_none() && self.received == self.durable
    }
}

impl Engine {
    /// A log the disk knows to be forked, at start: is the branch held the one that stands?
    pub(super) fn check_again(&mut self, log: LogId) {
        if let Some(proof) = self.logs.get(&log).and_then(|state| state.fork.clone()) {
            self.unchecked.insert(log, Unchecked { link: None, proof });
        }
    }

    /// What a peer's position says of forks.
    pub(super) fn position_of_fork(&mut self, link: LinkId, space: SpaceId, position: &Position) {
        let Some(state) = self.logs.get(&position.log) else { return };
        if state.space != space {
            return;
        }
        let (ours, losing) = (state.durable, state.losing);
        let same_seq = ours.seq == position.seq && ours.seq > 0;
        let same = same_seq && ours.hash.prefix() == position.prefix;
        if let Some(proof) = state.fork.clone()
            && position.fork.is_none_or(|seq| seq > proof.seq())
        {
            self.show(link, &proof);
        }
        if same_seq && !same {
            self.search(link, position.log, position.seq);
        }
        if let Some(seq) = losing
            && position.seq >= seq
            && !same
        {
            // It may have gone over since it was last asked.
            if let Some(session) = self.sessions.get_mut(&link) {
                session.avoid.remove(&position.log);
            }
            self.search(link, position.log, seq);
        }
    }

    /// The peer's history of `log` may not be ours: find out where they part.
    fn search(&mut self, link: LinkId, log: LogId, from: u64) {
        if self.is_asked(link, &log) {
            self.withdraw_ask(&log);
        }
        if let Some(session) = self.sessions.get_mut(&link) {
            let search = Search { from, step: 1, asked_at: None, gathered: None };
            session.parted.entry(log).or_insert(search);
        }
    }

    fn search_everywhere(&mut self, log: LogId, space: SpaceId, from: u64) {
        for link in self.live_links() {
            if self.peers[&self.sessions[&link].peer].held(&space, &log).seq >= from {
                self.search(link, log, from);
            }
        }
    }

    /// Asks for the ranges of searches that wait for one.
    pub(super) fn ask_where_parted(&mut self) {
        if self.storage_retry_at.is_some() || !self.accepts_batches() {
            return;
        }
        let (now, stall) = (self.now, self.settings.stall_ms);
        let mut stalled = Vec::new();
        let mut asks = Vec::new();
        for session in self.sessions.values_mut().filter(|s| s.is_live()) {
            let peer = &self.peers[&session.peer];
            let mut ranges = Vec::new();
            for (log, search) in &mut session.parted {
                let Some(state) = self.logs.get(log).filter(|s| s.is_still()) else { continue };
                if session.avoid.get(log).is_some_and(|until| *until > now) {
                    continue;
                }
                match search.asked_at {
                    Some(at) if at + stall <= now => stalled.push((session.link, *log)),
                    Some(_) => continue,
                    None => {}
                }
                let last = peer.held(&state.space, log).seq.max(search.from);
                let to = last.min(search.from.saturating_add(WANT_ENTRIES_MAX - 1));
                ranges.push(Range { log: *log, from: search.from, to });
                search.asked_at = Some(now);
            }
            asks.push((session.link, ranges));
        }
        for (link, log) in stalled {
            self.end_search(link, log, "was asked where two histories part and stalled");
        }
        for (link, mut ranges) in asks {
            ranges.retain(|r| self.sessions[&link].parted.contains_key(&r.log));
            for chunk in ranges.chunks(crate::limits::WANTS_MAX) {
                self.send(link, &Message::Want(Want { ranges: chunk.to_vec() }));
            }
        }
    }

    /// When a search needs looking at again without anything arriving.
    pub(super) fn next_search_at(&self) -> Option<u64> {
        if self.storage_retry_at.is_some() || !self.accepts_batches() {
            return None;
        }
        let stall = self.settings.stall_ms;
        let of = |s: &super::session::Session| {
            let due = |(log, search): (&LogId, &Search)| {
                self.logs.get(log).filter(|state| state.is_still())?;
                let avoided = s.avoid.get(log).copied().filter(|until| *until > self.now);
                avoided.or(search.asked_at.map(|at| at + stall))
            };
            s.parted.iter().filter_map(due).min()
        };
        self.sessions.values().filter(|s| s.is_live()).filter_map(of).min()
    }

    /// Gives a search up for a while.
    pub(super) fn end_search(&mut self, link: LinkId, log: LogId, why: &str) {
        let ended = self.sessions.get_mut(&link).and_then(|s| s.parted.remove(&log));
        if ended.is_some() {
            self.avoid(link, log, format!("log {}: {why}", log.short()));
        }
    }

    pub(super) fn is_searched(&self, link: LinkId, log: &LogId) -> bool {
        self.sessions.get(&link).is_some_and(|s| s.parted.contains_key(log))
    }

    /// A signed run says something else than what is held, or may: hold it against the disk.
    pub(super) fn compare(&mut self, link: LinkId, run: Run) {
        let (log, from) = (run.log(), run.first());
        self.search(link, log, from);
        let still = self.logs.get(&log).is_some_and(LogState::is_still);
        let now = self.now;
        if let Some(search) = self.sessions.get_mut(&link).and_then(|s| s.parted.get_mut(&log)) {
            // What is on its way to the disk comes first; then the range is asked for again.
            search.asked_at = still.then_some(now);
        }
        if still {
            self.output_compare(Some(link), run, false);
        }
    }

    fn output_compare(&mut self, link: Option<LinkId>, run: Run, headers: bool) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        if let Some(state) = self.logs.get_mut(&run.log()) {
            state.comparing = Some(ticket);
        }
        self.output(Output::Compare { ticket, link, run, headers });
    }

    /// Proofs that came while their logs were on their way to the disk.
    pub(super) fn check_proofs(&mut self) {
        if self.storage_retry_at.is_some() {
            return;
        }
        let still =
            |(log, _): &(&LogId, &Unchecked)| self.logs.get(log).is_some_and(LogState::is_still);
        let due: Vec<LogId> = self.unchecked.iter().filter(still).map(|(log, _)| *log).collect();
        for log in due {
            if let Some(Unchecked { link, proof }) = self.unchecked.remove(&log) {
                self.output_compare(link, proof.standing().clone(), true);
            }
        }
    }

    pub(super) fn compared(
        &mut self,
        ticket: Ticket,
        link: Option<LinkId>,
        run: Run,
        headers: bool,
        result: Result<Parting, String>,
    ) {
        let log = run.log();
        let Some(state) = self.logs.get_mut(&log).filter(|s| s.comparing == Some(ticket)) else {
            return;
        };
        state.comparing = None;
        if headers && let Ok(Parting::Nowhere | Parting::Earlier) = result {
            state.losing = None;
        }
        match result {
            Ok(Parting::At { opening, common, base, ours }) => {
                if let Some(theirs) = run.starting_at(common.seq + 1)
                    && let Some(proof) = Proof::of(opening, &theirs, &ours)
                {
                    match headers {
                        true => self.told_of(link, &theirs, &common, proof),
                        false => self.part(link, run, &theirs, (&common, &base), proof),
                    }
                }
            }
            Ok(Parting::Nowhere) if !headers => self.same_so_far(link, run),
            Ok(Parting::Earlier) if !headers => self.step_back(link, &run),
            Ok(_) => {}
            Err(reason) => {
                if headers {
                    self.check_again(log);
                } else if let Some(link) = link {
                    let search = self.sessions.get_mut(&link).and_then(|s| s.parted.get_mut(&log));
                    search.into_iter().for_each(|search| search.asked_at = None);
                }
                self.storage_retry_at = Some(self.now + self.settings.storage_retry_ms);
                self.notice(Notice::StorageFailed { reason });
            }
        }
    }

    /// The peer's run is what we hold, as far as both go.
    fn same_so_far(&mut self, link: Option<LinkId>, run: Run) {
        let (log, now) = (run.log(), self.now);
        let Some(link) = link else { return };
        let Some(state) = self.logs.get(&log) else { return };
        let (received, space) = (state.received.seq, state.space);
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let has = self.peers.get(&session.peer).map_or(0, |p| p.held(&space, &log).seq);
        match session.parted.get_mut(&log) {
            // What it is still sending goes on from there.
            Some(search) if run.last() < received.min(has) => {
                search.from = run.last() + 1;
                search.asked_at = Some(now);
                search.keep(run);
            }
            _ => self.end_search(link, log, "holds no other history"),
        }
    }

    fn step_back(&mut self, link: Option<LinkId>, run: &Run) {
        let session = link.and_then(|link| self.sessions.get_mut(&link));
        if let Some(search) = session.and_then(|s| s.parted.get_mut(&run.log())) {
            search.from = run.first().saturating_sub(search.step).max(1);
            search.step = search.step.saturating_mul(2);
            search.asked_at = None;
        }
    }

    /// A proof's branch parts from ours after `common`: `theirs` are its headers.
    fn told_of(&mut self, link: Option<LinkId>, theirs: &Run, common: &Tip, proof: Proof) {
        let (log, seq, author) = (proof.log(), proof.seq(), proof.author());
        // Nobody can hold a branch that breaks the rules, so it takes no one's place.
        if theirs.verify(&author, common).is_err() {
            return;
        }
        let stands = theirs.first_hash() == proof.standing_hash();
        let proof = Arc::new(proof);
        self.prove(&proof);
        let Some(state) = self.logs.get_mut(&log) else { return };
        state.losing = stands.then_some(seq);
        let space = state.space;
        match link {
            _ if stands => self.search_everywhere(log, space, seq),
            Some(link) => self.show(link, &proof),
            None => {}
        }
    }

    /// Two histories part after `common`; `run` holds the peer's, and `theirs` what of it comes after.
    fn part(
        &mut self,
        link: Option<LinkId>,
        run: Run,
        theirs: &Run,
        (common, base): (&Tip, &Tip),
        proof: Proof,
    ) {
        let Some(link) = link else { return };
        let (log, author) = (proof.log(), proof.author());
        if let Err(error) = theirs.verify(&author, common) {
            return self.contradicts_badly(link, log, &error);
        }
        let proof = Arc::new(proof);
        let news = self.prove(&proof);
        if theirs.first_hash() != proof.standing_hash() {
            self.end_search(link, log, "its history does not stand, and it was shown why");
            // It was shown before, and has not taken it in.
            if !news && let Some(session) = self.sessions.get_mut(&link) {
                session.shown.remove(&log);
            }
            return self.show(link, &proof);
        }
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let busy = session.parted.iter().any(|(other, s)| *other != log && s.gathered.is_some());
        let Some(search) = session.parted.get_mut(&log) else { return };
        let first = base.seq + 1;
        let mut runs = search.gathered.take().unwrap_or_default();
        if run.first() <= first {
            runs = run.starting_at(first).into_iter().collect();
        } else if runs.first().is_some_and(|r| r.first() <= first)
            && runs.last().is_some_and(|r| r.last() + 1 == run.first())
        {
            runs.push(run);
            runs.retain(|r| r.last() >= first);
            runs = runs.iter().filter_map(|r| r.starting_at(first)).collect();
        } else {
            // What is held ends at a checkpoint only: the other branch is needed from there.
            search.from = first;
            search.asked_at = None;
            if busy {
                let why = "another log of it comes first".into();
                return self.avoid(link, log, why);
            }
            search.gathered = Some(Vec::new());
            return;
        }
        self.go_over_to(link, &author, *base, proof.seq(), runs);
    }

    fn contradicts_badly(&mut self, link: LinkId, log: LogId, error: &RunError) {
        self.close(link, Close::Violation, format!("batch of log {}: {error}", log.short()));
    }

    /// What we hold after `base` gives way to `runs`, in one write.
    fn go_over_to(
        &mut self,
        link: LinkId,
        author: &NodeId,
        base: Tip,
        parted: u64,
        runs: Vec<Run>,
    ) {
        let Some(last) = runs.last().cloned() else { return };
        let log = last.log();
        let mut tip = base;
        for run in &runs {
            match run.verify(author, &tip) {
                Ok(verified) => tip = verified.tip,
                Err(error) => return self.contradicts_badly(link, log, &error),
            }
        }
        let Some(space) = self.logs.get(&log).map(|state| state.space) else { return };
        let bytes = runs.iter().map(|r| r.as_bytes().len()).sum();
        let ticket = self.carry(link, last, bytes, tip, true);
        if let Some(state) = self.logs.get_mut(&log) {
            state.comparing = Some(ticket);
        }
        let switch = Switch { space, parted, base, runs, tip };
        self.output(Output::Persist { ticket, item: Item::Switch(switch) });
    }

    /// The other branch is on disk.
    pub(super) fn went_over(&mut self, log: LogId) {
        let Some(state) = self.logs.get_mut(&log) else { return };
        state.comparing = None;
        state.losing = None;
        let (space, author, seq) = (state.space, state.author, state.durable.seq);
        for session in self.sessions.values_mut() {
            session.parted.remove(&log);
            session.pushed.remove(&log);
        }
        self.notice(Notice::WentOver { author, log, seq });
        self.tell_again(log, space);
        self.check_again(log);
        self.want_log(space, log);
    }

    /// A proof from a peer.
    pub(super) fn proof(&mut self, link: LinkId, proof: Proof) {
        let Some(state) = self.logs.get(&proof.log()) else { return };
        let (seq, hash) = (proof.seq(), proof.standing_hash());
        let known = |p: &Arc<Proof>| p.seq() == seq && p.standing_hash() == hash;
        let known = state.fork.as_ref().is_some_and(known);
        if !known && !proof.verify() {
            return self.close(link, Close::Violation, "a proof of a fork that is none".into());
        }
        let (log, proof) = (proof.log(), Arc::new(proof));
        if let Some(session) = self.sessions.get_mut(&link) {
            session.shown.insert(log, (seq, hash));
        }
        if !known {
            self.prove(&proof);
        }
        if !known || self.logs.get(&log).is_some_and(|state| state.losing.is_none()) {
            self.unchecked.insert(log, Unchecked { link: Some(link), proof });
        }
    }

    /// Keeps a proof and shows it to everyone, if it says more than the one that is held; returns whether it
    /// does.
    fn prove(&mut self, proof: &Arc<Proof>) -> bool {
        let log = proof.log();
        let Some(state) = self.logs.get_mut(&log) else { return false };
        if state.fork.as_ref().is_some_and(|held| !proof.outdoes(held)) {
            return false;
        }
        state.fork = Some(Arc::clone(proof));
        let space = state.space;
        self.notice(Notice::Fork { author: proof.author(), log, seq: proof.seq() });
        self.persist_directory(Item::Proof { proof: Arc::clone(proof) });
        for link in self.live_links() {
            let peer = self.sessions[&link].peer;
            let holds = self.peers[&peer].held(&space, &log).seq > 0;
            if holds && self.directory.carries(&peer, &space) {
                self.show(link, proof);
            }
        }
        true
    }

    /// The proof is on disk: positions and digests say so from now on.
    pub(super) fn proof_kept(&mut self, proof: &Proof) {
        let log = proof.log();
        self.logs.set_mark(log, Some(proof.seq()));
        if let Some(space) = self.logs.get(&log).map(|state| state.space) {
            self.tell_again(log, space);
        }
    }

    /// Sends a proof over a link, unless the peer sent or was sent the same, and our position after it.
    fn show(&mut self, link: LinkId, proof: &Proof) {
        let (log, at): (LogId, (u64, Hash)) = (proof.log(), (proof.seq(), proof.standing_hash()));
        let due = self.now + self.settings.announce_delay_ms;
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.shown.insert(log, at) == Some(at) {
            return;
        }
        session.told.remove(&log);
        session.tell(log, due);
        self.send(link, &Message::Proof(Box::new(proof.clone())));
    }

    fn tell_again(&mut self, log: LogId, space: SpaceId) {
        let due = self.now + self.settings.ack_delay_ms;
        for link in self.live_links() {
            if self.directory.carries(&self.sessions[&link].peer, &space)
                && let Some(session) = self.sessions.get_mut(&link)
            {
                session.told.remove(&log);
                session.tell(log, due);
            }
        }
    }

    /// Nothing that was on its way to the disk is there: whatever was being compared is asked for again.
    pub(super) fn search_again(&mut self) {
        self.logs.stop_comparing();
        for session in self.sessions.values_mut() {
            for search in session.parted.values_mut() {
                search.asked_at = None;
            }
        }
        let forked: Vec<LogId> =
            self.logs.iter().filter(|(_, s)| s.fork.is_some()).map(|(log, _)| log).collect();
        for log in forked {
            self.check_again(log);
        }
    }
}
