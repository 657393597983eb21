//! Where a story is played: nodes, network and disks, and the driver's duties done at once.

use super::super::disk::{Disk, Done, Job};
use super::super::founding;
use super::super::invariants::{Breach, Ledger};
use super::super::network::{Network, other};
use super::super::node::Node;
use super::super::writes::LocalWrite;
use super::words::Words;
use fenbu_protocol::directory::{Act, Directory};
use fenbu_protocol::id::LogId;
use fenbu_protocol::log::Run;
use fenbu_protocol::sync::{Input, LinkId, Loaded, Notice, Output, Settings, Ticket};
use fenbu_protocol::wire::Message;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Inputs one command may cause; a story in which more happens does not come to rest.
const STEPS_MAX: usize = 100_000;

/// Something on its way from one node to another.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The end it arrives at.
    link: LinkId,
    pub(super) what: What,
}

impl Flight {
    pub(super) fn name(&self) -> &'static str {
        match self.what {
            What::Up => "Up",
            What::Frame { name, .. } => name,
            What::Down { .. } => "Down",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// The handshake's end.
    Up,
    Frame {
        frame: Arc<[u8]>,
        name: &'static str,
    },
    Down {
        reason: String,
    },
}

/// Something a driver does at once.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful at a time; a box would cost more")]
enum Soon {
    Input { node: usize, input: Input },
    Disk { node: usize },
    Load { node: usize, link: LinkId, log: LogId, from: u64, bytes_max: usize },
    Compare { node: usize, ticket: Ticket, link: Option<LinkId>, run: Run, headers: bool },
}

/// The world of one story. All of it happens at the times the story gives.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) now: u64,
    pub(super) words: Words,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Network,
    pub(super) wire: VecDeque<Flight>,
    /// Dials nobody has answered: from, to.
    pub(super) dials: BTreeSet<(usize, usize)>,
    soon: VecDeque<Soon>,
    /// Reads that wait for a disk's sync.
    stuck: Vec<Soon>,
    /// Nodes whose disk does not sync by itself.
    pub(super) held: BTreeSet<usize>,
    pub(super) backups: BTreeMap<usize, Disk>,
    /// Nodes whose disk has been older than their promises.
    restored: BTreeSet<usize>,
    /// Nodes with a record that its entries do not give.
    spoiled: BTreeSet<usize>,
    ledger: Ledger,
    /// Messages and stream bytes since the last count, by name.
    pub(super) sent: BTreeMap<&'static str, (u64, u64)>,
    /// Records written so far, by writer.
    pub(super) records: BTreeMap<usize, u64>,
    pub(super) saves: u64,
    broken: Option<Breach>,
}

impl Stage {
    /// Founds the federation; the first `members` are in it.
    pub(super) fn found(&mut self, names: &[&str], members: usize) -> Directory {
        let directory = founding::directory(1, members);
        self.words.know(names);
        self.nodes = (0..names.len()).map(Node::new).collect();
        self.nodes.iter_mut().for_each(|node| node.is_told = true);
        for node in 0..members {
            self.nodes[node].disk.fill(&directory);
        }
        directory
    }

    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].engine.is_some()
    }

    /// Hands one input to an engine and does what follows until nobody has anything to do at once.
    pub(super) fn input(&mut self, node: usize, input: Input) -> Result<(), String> {
        self.soon.push_back(Soon::Input { node, input });
        self.settle()
    }

    pub(super) fn job(&mut self, node: usize, job: Job) -> Result<(), String> {
        self.nodes[node].disk.queue.push_back(job);
        self.soon.push_back(Soon::Disk { node });
        self.settle()
    }

    pub(super) fn settle(&mut self) -> Result<(), String> {
        let mut steps = 0;
        while let Some(next) = self.soon.pop_front() {
            steps += 1;
            if steps > STEPS_MAX {
                return Err("the nodes do not come to rest".into());
            }
            match next {
                Soon::Input { node, input } => self.handle(node, input),
                Soon::Disk { node } => self.work(node)?,
                Soon::Load { node, link, log, from, bytes_max } => {
                    self.load(node, link, log, from, bytes_max);
                }
                Soon::Compare { node, ticket, link, run, headers } => {
                    self.compare(node, ticket, link, run, headers);
                }
            }
        }
        match self.broken.take() {
            Some((invariant, what)) => Err(format!("{invariant} is broken: {what}")),
            None => Ok(()),
        }
    }

    fn check(&mut self, result: Result<(), Breach>) {
        if let Err(breach) = result {
            self.broken.get_or_insert(breach);
        }
    }

    fn handle(&mut self, node: usize, input: Input) {
        let now = self.now;
        let Some(engine) = &mut self.nodes[node].engine else { return };
        engine.handle(now, input);
        while let Some(output) = self.nodes[node].engine.as_mut().and_then(|e| e.poll_output()) {
            self.perform(node, output);
        }
    }

    fn perform(&mut self, node: usize, output: Output) {
        match output {
            Output::Dial { peer, .. } => {
                let Some(to) = self.words.node(&peer) else { return };
                self.note(node, &format!("dials {}", self.words.name(to)));
                if self.network.meet(node, to) {
                    self.dials.insert((node, to));
                } else {
                    let input = Input::DialFailed { peer, reason: "no answer".into() };
                    self.soon.push_back(Soon::Input { node, input });
                }
            }
            Output::Close { link, reason, .. } => {
                let Some(to) = self.network.end(other(link)).map(|end| end.node) else { return };
                self.note(node, &format!("closes its link to {}: {reason}", self.words.name(to)));
                self.network.end_gone(link);
                self.tell_down(node, to, other(link), "closed by the peer");
            }
            Output::Send { link, frame, .. } => self.send(node, link, frame),
            Output::Persist { ticket, item } => {
                self.nodes[node].disk.queue.push_back(Job::Persist { ticket, item });
                self.soon.push_back(Soon::Disk { node });
            }
            Output::Load { link, log, from, bytes_max } => {
                self.soon.push_back(Soon::Load { node, link, log, from, bytes_max });
            }
            Output::Compare { ticket, link, run, headers } => {
                self.soon.push_back(Soon::Compare { node, ticket, link, run, headers });
            }
            Output::Acknowledged { peer, log, seq } => {
                self.nodes[node].disk.acknowledgements.push((peer, log, seq));
            }
            Output::DirectoryChanged => {
                self.nodes[node].disk.behind = true;
                self.nodes[node].learn_keys();
                self.soon.push_back(Soon::Disk { node });
            }
            Output::OwnLogAhead { log, seq } => self.leave_log(node, log, seq),
            // These disks lose and refuse; they do not rot.
            Output::Mend { .. } => {}
            Output::ReadStates => {
                let states = self.nodes[node].states();
                self.soon.push_back(Soon::Input { node, input: Input::States { states } });
            }
            Output::Rebuild { space } => {
                self.spoiled.remove(&node);
                self.note(
                    node,
                    &format!("makes the records of {} again", self.words.space(&space)),
                );
                match self.nodes[node].rebuild(space) {
                    Ok(done) => {
                        self.soon.push_back(Soon::Disk { node });
                        let input = Input::Rebuilt { space, done };
                        self.soon.push_back(Soon::Input { node, input });
                    }
                    Err(what) => self.check(Err(("store", what))),
                }
            }
            Output::Notice(notice) => {
                self.notice(node, &notice);
                if let Notice::Fork { author, log, seq } = notice {
                    self.ledger.twice.insert(log);
                    if author == self.nodes[node].id {
                        self.leave_log(node, log, seq);
                    }
                }
            }
        }
    }

    fn leave_log(&mut self, node: usize, log: LogId, seq: u64) {
        let ahead = self.words.log(&log);
        if let Some(next) = self.nodes[node].leave_log(log) {
            let next = self.words.log(&next);
            self.note(node, &format!("had written {ahead} up to {seq}: goes on in {next}"));
        }
    }

    fn notice(&mut self, node: usize, notice: &Notice) {
        let name = |peer| self.words.node(peer).map_or("a stranger", |n| self.words.name(n));
        let text = match notice {
            Notice::Live { peer, .. } => format!("talks with {}", name(peer)),
            Notice::Ended { peer, reason, .. } => format!("lost {}: {reason}", name(peer)),
            Notice::Refused { log, reason, .. } => {
                format!("refuses {}: {reason}", self.words.log(log))
            }
            Notice::Fork { author, log, seq } => {
                let log = self.words.log(log);
                format!("ALARM: {} signed two histories of {log} at {seq}", name(author))
            }
            Notice::StatesDiffer { peer, space } => {
                let space = self.words.space(space);
                format!("ALARM: other records of {space} than {}", name(peer))
            }
            Notice::StatesAgree { peer } => format!("has the same records as {} again", name(peer)),
            Notice::WentOver { log, seq, .. } => {
                format!("went over to the other {}, up to {seq}", self.words.log(log))
            }
            Notice::DirectoryFork { epoch } => format!("ALARM: directory forked at {epoch}"),
            Notice::DirectoryRecovered { epoch } => {
                format!("ALARM: directory recovered to {epoch}")
            }
            Notice::DirectoryStopped { reason } => format!("ALARM: directory stopped: {reason}"),
            // Told by the disk already.
            Notice::StorageFailed { .. } => return,
        };
        self.note(node, &text);
    }

    pub(super) fn note(&mut self, node: usize, what: &str) {
        self.words.note(self.now, node, what);
    }

    fn send(&mut self, node: usize, link: LinkId, frame: Arc<[u8]>) {
        let message = match Message::from_frame(&frame) {
            Ok(message) => message,
            Err(error) => return self.check(Err(("honest", format!("sent {error}")))),
        };
        let result = self.ledger.claims(&self.nodes[node].disk, &message);
        self.check(result);
        let Some(to) = self.network.end(other(link)).map(|end| end.node) else { return };
        let text = format!("> {}: {}", self.words.name(to), self.words.message(&message));
        self.note(node, &text);
        let (count, bytes) = self.sent.entry(message.name()).or_default();
        *count += 1;
        // A frame stands behind its length on a stream.
        *bytes += frame.len() as u64 + 4;
        let bytes = frame.len();
        let what = What::Frame { frame, name: message.name() };
        self.wire.push_back(Flight { from: node, to, link: other(link), what });
        self.soon.push_back(Soon::Input { node, input: Input::Sent { link, bytes } });
    }

    fn load(&mut self, node: usize, link: LinkId, log: LogId, from: u64, bytes_max: usize) {
        if self.nodes[node].disk.is_syncing() {
            self.stuck.push(Soon::Load { node, link, log, from, bytes_max });
            return;
        }
        let result = match self.nodes[node].disk.reader().run(log, from, bytes_max) {
            Ok(run) => run.map_or(Loaded::NotHeld, Loaded::Run),
            Err(error) => Loaded::Failed(error.to_string()),
        };
        self.soon.push_back(Soon::Input { node, input: Input::Loaded { link, log, from, result } });
    }

    fn compare(
        &mut self,
        node: usize,
        ticket: Ticket,
        link: Option<LinkId>,
        run: Run,
        headers: bool,
    ) {
        if self.nodes[node].disk.is_syncing() {
            self.stuck.push(Soon::Compare { node, ticket, link, run, headers });
            return;
        }
        let result = self.nodes[node].parting(&run);
        let input = Input::Compared { ticket, link, run, headers, result };
        self.soon.push_back(Soon::Input { node, input });
    }

    /// Lets a disk write what is queued and, unless it is held, sync it.
    fn work(&mut self, node: usize) -> Result<(), String> {
        loop {
            let disk = &self.nodes[node].disk;
            let idle = disk.queue.is_empty() && !disk.behind;
            if !self.is_up(node) || disk.is_syncing() || idle {
                return Ok(());
            }
            let started = self.nodes[node].start_jobs()?;
            let wrong = self.spoiled.contains(&node);
            for state in started.states.iter().filter(|_| !wrong) {
                let result = self.ledger.state(state);
                self.check(result);
            }
            if self.held.contains(&node) {
                return Ok(());
            }
            self.synced(node);
        }
    }

    /// A held disk syncs all it was given and works by itself again.
    pub(super) fn release(&mut self, node: usize) -> Result<(), String> {
        self.held.remove(&node);
        if self.nodes[node].disk.is_syncing() {
            self.synced(node);
        }
        self.soon.push_back(Soon::Disk { node });
        self.soon.extend(std::mem::take(&mut self.stuck));
        self.settle()
    }

    fn synced(&mut self, node: usize) {
        for done in self.nodes[node].disk.end_sync() {
            match done {
                Done::Anew { run, tip } => {
                    let result = self.ledger.acknowledge(&run);
                    self.check(result);
                    let told = self.words.run(&run);
                    self.note(node, &format!("wrote anew {told}"));
                    self.handle(node, Input::Appended { run, tip });
                }
                Done::Persisted { ticket, run, switch } => {
                    self.nodes[node].disk.behind |= switch.is_some();
                    if let Some(run) = run {
                        self.nodes[node].disk.behind = true;
                        let run = self.words.run(&run);
                        self.note(node, &format!("stored {run}"));
                    }
                    self.handle(node, Input::Persisted { ticket });
                }
                Done::Refused { ticket } => self.refused(node, ticket),
                Done::Local { run, tip, .. } => {
                    // A disk that was set back and does not know it.
                    let written = self.ledger.acknowledged.get(&run.log()).map_or(0, Vec::len);
                    if self.restored.contains(&node) && run.first() <= written as u64 {
                        self.ledger.twice.insert(run.log());
                    }
                    let result = self.ledger.acknowledge(&run);
                    self.check(result);
                    let told = self.words.run(&run);
                    self.note(node, &format!("wrote {told}"));
                    self.handle(node, Input::Appended { run, tip });
                }
                Done::LocalRefused => self.note(node, "is told that nothing was written"),
                Done::Declared { act, signed } => {
                    self.note(node, "declared it");
                    for statement in signed {
                        self.handle(node, Input::Declared { statement });
                    }
                    self.admitted(&act);
                }
            }
        }
    }

    fn refused(&mut self, node: usize, ticket: Ticket) {
        self.note(node, "cannot store: its disk refuses");
        self.nodes[node].disk.drop_persists();
        let input = Input::PersistFailed { ticket, reason: "disk full".into() };
        self.handle(node, input);
    }

    /// A node that joins gets the directory with its admission, and starts.
    fn admitted(&mut self, act: &Act) {
        let Act::AdmitNode(admit) = act else { return };
        let Some(directory) = self.nodes[0].directory().cloned() else { return };
        let Some(node) = self.words.node(&admit.node).filter(|n| !self.is_up(*n)) else { return };
        self.nodes[node].disk.fill(&directory);
        self.start(node);
    }

    pub(super) fn start(&mut self, node: usize) {
        // Late, so that most stories need not tell of it.
        let settings =
            Settings { agent: "scenario".into(), state_delay_ms: 20_000, ..Settings::default() };
        match self.nodes[node].start(self.now, node as u64, settings) {
            Ok(()) => {
                self.soon.push_back(Soon::Input { node, input: Input::Tick });
                self.soon.push_back(Soon::Disk { node });
            }
            Err(what) => self.check(Err(("I1", what))),
        }
    }

    pub(super) fn crash(&mut self, node: usize) {
        let own: Vec<LogId> = self.nodes[node].authors.values().map(|a| a.log()).collect();
        self.held.remove(&node);
        self.stuck.clear();
        let lost = self.nodes[node].crash();
        self.note(node, if lost { "is down; what was not synced is lost" } else { "is down" });
        for link in self.network.of(node) {
            if let Some(to) = self.network.end(other(link)).map(|end| end.node) {
                self.network.end_gone(link);
                self.tell_down(node, to, other(link), "silent");
            }
        }
        self.dials.retain(|(from, to)| *from != node && *to != node);
        let own = if self.restored.contains(&node) { Vec::new() } else { own };
        let result = self.ledger.still_there(&mut self.nodes[node].disk, &own);
        self.check(result);
    }

    /// Puts a change nobody made into the first record of a node.
    pub(super) fn spoil(&mut self, node: usize) -> Result<(), String> {
        let places = self.nodes[node].disk.reader().places(None, None, 1);
        let place = places.ok().and_then(|places| places.first().copied());
        self.spoiled.insert(node);
        self.nodes[node].spoil(place.ok_or("it has no record")?)
    }

    /// Puts an older disk under a node that is down.
    pub(super) fn restore(&mut self, node: usize, disk: &Disk) {
        self.nodes[node].disk = disk.copy();
        self.restored.insert(node);
    }

    pub(super) fn write(&mut self, node: usize, write: LocalWrite) -> Result<(), String> {
        self.job(node, Job::Local(write))
    }

    /// The dialler's end is up; the other end learns of it as of any frame.
    pub(super) fn connect(&mut self, from: usize, to: usize) -> Result<(), String> {
        self.dials.remove(&(from, to));
        let (here, there) = self.network.connect(from, to, self.now);
        self.wire.push_back(Flight { from, to, link: there, what: What::Up });
        self.up(here)
    }

    fn up(&mut self, link: LinkId) -> Result<(), String> {
        let peer = self.network.end(other(link)).map(|end| self.nodes[end.node].id);
        let end = self.network.end_mut(link).filter(|end| !end.gone);
        let (Some(peer), Some(end)) = (peer, end) else { return Ok(()) };
        end.up = true;
        let (node, dialed) = (end.node, end.dialed);
        self.input(node, Input::LinkUp { link, peer, dialed })
    }

    /// Takes down every link between two nodes, at both ends at once.
    pub(super) fn sever(&mut self, a: usize, b: usize) -> Result<(), String> {
        for (one, two) in [(a, b), (b, a)] {
            for link in self.network.of(one) {
                if self.network.end(other(link)).is_some_and(|end| end.node == two) {
                    self.down(link, "cable pulled")?;
                }
            }
            if self.dials.remove(&(one, two)) {
                let peer = self.nodes[two].id;
                self.input(one, Input::DialFailed { peer, reason: "no answer".into() })?;
            }
        }
        Ok(())
    }

    fn tell_down(&mut self, from: usize, to: usize, link: LinkId, reason: &str) {
        let what = What::Down { reason: reason.into() };
        self.wire.push_back(Flight { from, to, link, what });
    }

    fn down(&mut self, link: LinkId, reason: &str) -> Result<(), String> {
        let Some(end) = self.network.end(link).filter(|end| !end.gone) else { return Ok(()) };
        let node = end.node;
        if self.network.end_gone(link) {
            return self.input(node, Input::LinkDown { link, reason: reason.into() });
        }
        Ok(())
    }

    /// Something arrives, or a frame is lost. Returns whether there was an end to arrive at.
    pub(super) fn arrive(&mut self, flight: Flight, lost: bool) -> Result<bool, String> {
        let Flight { link, to, .. } = flight;
        match flight.what {
            What::Up => {
                let there = self.network.end(link).is_some_and(|end| !end.gone);
                self.up(link)?;
                Ok(there)
            }
            What::Down { reason } => {
                let there = self.network.end(link).is_some_and(|end| end.up);
                self.down(link, &reason)?;
                Ok(there)
            }
            What::Frame { frame, .. } => {
                let up = self.network.end(link).is_some_and(|end| end.up);
                if !up || lost {
                    return Ok(up);
                }
                let message = Message::from_frame(&frame).map_err(|e| format!("received {e}"))?;
                self.input(to, Input::Message { link, message })?;
                Ok(true)
            }
        }
    }

    /// Lets time pass up to `end`, each node ticking when it asks to; `arrive` says whether what is
    /// sent on the way arrives.
    pub(super) fn pass(&mut self, ms: u64, arrive: bool) -> Result<(), String> {
        let end = self.now + ms;
        for _ in 0..STEPS_MAX {
            if arrive {
                self.drain()?;
            }
            let due = |n: &Node| n.engine.as_ref().and_then(|e| e.poll_timeout());
            let next = self.nodes.iter().filter_map(due).min().filter(|at| *at <= end);
            let Some(at) = next else {
                self.now = end;
                return Ok(());
            };
            self.now = self.now.max(at);
            for node in 0..self.nodes.len() {
                if due(&self.nodes[node]).is_some_and(|at| at <= self.now) {
                    self.input(node, Input::Tick)?;
                    if due(&self.nodes[node]).is_some_and(|at| at <= self.now) {
                        let name = self.words.name(node);
                        return Err(format!("{name} asks for a tick it has just had"));
                    }
                }
            }
        }
        Err("the nodes do not come to rest".into())
    }

    /// Everything under way arrives, and everything that causes.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let Some(flight) = self.wire.pop_front() else { return Ok(()) };
            self.arrive(flight, false)?;
        }
        Err("the nodes do not come to rest".into())
    }
}
