//! Which troubles a seed draws, how bad they are, and when they strike.
//!
//! Swarm testing (Groce et al. 2012): each run draws its own subset of troubles, since troubles that
//! always come together hide each other.

use super::malice::Malice;
use fenbu::sample::Rng;
use fenbu_protocol::sync::{CONTENDED_MS, Settings};

/// Everything about a run that is drawn before it begins. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(super) struct Mix {
    pub(super) nodes: usize,
    pub(super) units: usize,
    /// The last so many nodes are admitted while the others already talk.
    pub(super) late: usize,
    pub(super) late_space: bool,
    pub(super) settings: Settings,
    /// One way, least and most.
    pub(super) delay_ms: (usize, usize),
    /// A lost frame holds up its lane for a second or so.
    pub(super) loss_permille: u16,
    /// A dial that brings up a second link.
    pub(super) double_dial_permille: u16,
    pub(super) idle_timeout_ms: u64,
    pub(super) sync_ms: (usize, usize),
    /// Nodes whose disk takes a hundred times as long.
    pub(super) slow_disks: usize,
    pub(super) read_failed_permille: u16,
    /// Ticks come late by at most this.
    pub(super) timer_late_ms: usize,
    pub(super) writes: usize,
    pub(super) write_bytes: usize,
    /// Writes go to as few records as this, so that they meet.
    pub(super) documents: usize,
    /// Faults and writes end here.
    pub(super) faults_end_ms: u64,
    /// By time.
    pub(super) faults: Vec<(u64, Fault)>,
    /// Nodes beyond `nodes` with valid keys that mean harm.
    pub(super) adversaries: usize,
    /// What they do, by time, and which of them.
    pub(super) malice: Vec<(u64, usize, Malice)>,
    /// An adversary is revoked at this time.
    pub(super) revoke_at: Option<u64>,
    /// Their unit loses the right to write what all write.
    pub(super) expel_at: Option<u64>,
}

/// One trouble.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// A link between two nodes goes down, noticed at once or by silence.
    DropLink,
    /// Some nodes are cut off from the rest, both ways.
    Split { for_ms: u64 },
    /// One node's words no longer reach another; the other direction works.
    OneWay { for_ms: u64 },
    /// A node stops in the middle of whatever it does.
    Crash { down_ms: u64 },
    /// A node's disk refuses its next write.
    RefuseWrite,
    /// A node's disk and key are copied, and the copy runs beside it.
    CopyDisk,
    /// A backup is made of a node's disk, or put back if there is one.
    PutBack,
}

impl Mix {
    pub(super) fn draw(seed: u64, nodes: Option<usize>, adversaries: Option<usize>) -> Self {
        let mut rng = Rng::derive(seed, "mix", 0);
        let fewer = rng.between(5, 16).min(rng.between(5, 16)).min(rng.between(5, 16));
        let nodes = nodes.unwrap_or(fewer).max(2);
        let faults_end_ms = rng.between(15_000, 60_000) as u64;
        let heavy = rng.chance(6);
        let mut mix = Self {
            nodes,
            units: rng.between(2, 4).min(nodes),
            late: if rng.chance(400) { rng.between(1, 2).min(nodes / 2) } else { 0 },
            late_space: rng.chance(300),
            settings: settings(&mut rng),
            delay_ms: rng.pick(&[(1, 3), (5, 40), (20, 200), (200, 900), (5, 2_000)]),
            loss_permille: rng.pick(&[0, 0, 10, 50, 150]),
            double_dial_permille: rng.pick(&[0, 0, 100]),
            idle_timeout_ms: rng.pick(&[5_000, 15_000, 45_000]),
            sync_ms: rng.pick(&[(0, 2), (1, 10), (5, 60)]),
            slow_disks: if rng.chance(300) { rng.between(1, 2) } else { 0 },
            read_failed_permille: rng.pick(&[0, 0, 0, 50]),
            timer_late_ms: rng.pick(&[0, 5, 300]),
            writes: rng.between(8, 20),
            write_bytes: 0,
            documents: rng.pick(&[1, 3, 10]),
            faults_end_ms,
            faults: Vec::new(),
            adversaries: 0,
            malice: Vec::new(),
            revoke_at: None,
            expel_at: None,
        };
        if heavy {
            mix.overload();
        }
        mix.faults = mix.draw_faults(&mut rng);
        mix.draw_malice(&mut Rng::derive(seed, "malice", 0), adversaries);
        if !heavy {
            mix.draw_copies(&mut Rng::derive(seed, "copies", 0));
        }
        mix
    }

    /// Two seeds in five have adversaries, and those a subset of all they might do.
    fn draw_malice(&mut self, rng: &mut Rng, adversaries: Option<usize>) {
        let drawn = if rng.chance(400) && self.nodes >= 4 { rng.between(1, 2) } else { 0 };
        self.adversaries = adversaries.unwrap_or(drawn);
        let kinds: Vec<Malice> = Malice::ALL.iter().copied().filter(|_| rng.chance(350)).collect();
        if self.adversaries == 0 || kinds.is_empty() {
            return;
        }
        for _ in 0..rng.between(5, 30) {
            let at = rng.between(1_000, self.faults_end_ms as usize) as u64;
            self.malice.push((at, rng.below(self.adversaries), rng.pick(&kinds)));
        }
        let mut at = |permille: u16| {
            rng.chance(permille).then(|| rng.below(self.faults_end_ms as usize) as u64)
        };
        (self.revoke_at, self.expel_at) = (at(500), at(300));
    }

    /// Large saves and a disk that cannot keep up: more on its way to it than there is room for.
    fn overload(&mut self) {
        self.nodes = self.nodes.min(5);
        self.units = self.units.min(self.nodes);
        self.late = 0;
        self.slow_disks = 1;
        self.sync_ms = (60, 120);
        self.writes = 48;
        self.write_bytes = 480_000;
        self.documents = 60;
        self.faults_end_ms = 15_000;
    }

    fn draw_faults(&self, rng: &mut Rng) -> Vec<(u64, Fault)> {
        let mut faults = Vec::new();
        let most = [8, 3, 3, 4, 6];
        for (kind, most) in most.into_iter().enumerate() {
            if !rng.chance(500) {
                continue;
            }
            for _ in 0..rng.between(1, most) {
                let at = rng.below(self.faults_end_ms as usize) as u64;
                let for_ms = rng.between(500, 20_000) as u64;
                let fault = match kind {
                    0 => Fault::DropLink,
                    1 => Fault::Split { for_ms },
                    2 => Fault::OneWay { for_ms },
                    3 => Fault::Crash { down_ms: for_ms / 2 },
                    _ => Fault::RefuseWrite,
                };
                faults.push((at, fault));
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        faults
    }

    /// Drawn apart from the other troubles: which of those a seed meets does not depend on it.
    fn draw_copies(&mut self, rng: &mut Rng) {
        let end = self.faults_end_ms as usize;
        let copies = if rng.chance(300) { rng.between(1, 3) } else { 0 };
        let backups = if rng.chance(300) { rng.between(8, 20) } else { 0 };
        let mut drawn = vec![Fault::CopyDisk; copies];
        drawn.resize(copies + backups, Fault::PutBack);
        self.faults.extend(drawn.into_iter().map(|fault| (rng.below(end) as u64, fault)));
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// How long after the faults all nodes may take to come level: links that died in silence are
    /// noticed, dialled again at the slowest, greeted; a range stalls at two peers; a disk refused
    /// last of all; and what then arrives crosses the slowest network once for each hop.
    pub(super) fn settle_ms(&self) -> u64 {
        let s = &self.settings;
        // Copies of one node take turns at their peers.
        let copies =
            self.faults.iter().filter(|(_, f)| matches!(f, Fault::CopyDisk)).count() as u64;
        let hop = 20 * self.delay_ms.1 as u64 + 3_000;
        self.idle_timeout_ms
            + 2 * s.redial_max_ms
            + s.greeting_ms
            + 4 * s.stall_ms
            + s.storage_retry_ms
            + 4 * hop
            + 100 * self.sync_ms.1 as u64 * 10
            + 60_000
            + copies * CONTENDED_MS
    }
}

fn settings(rng: &mut Rng) -> Settings {
    let mut settings = Settings { agent: "sim".into(), ..Settings::default() };
    if rng.chance(500) {
        settings.redial_max_ms = 5_000;
    }
    if rng.chance(500) {
        settings.stall_ms = 2_000;
    }
    settings
}
