//! Nodes with valid keys that mean harm.
//!
//! Each runs an engine like everybody, so that what it writes spreads and it hears what there is to
//! twist. Beside that it writes entries that should not count (`entries`), and sends what no engine
//! would (`frames`).

mod entries;
mod frames;

use super::markers::Markers;
use super::world::{Event, World};
use fenbu::sample::Rng;
use fenbu_protocol::directory::{Act, Cut, DefineSpace, RevokeNode};
use fenbu_protocol::id::{LogId, NodeId, SpaceId};
use fenbu_protocol::log::{Author, Run, Tip};
use fenbu_protocol::wire::Message;
use std::collections::BTreeMap;

/// How long an adversary answers nothing it is asked for.
const SILENT_MS: u64 = 15_000;

macro_rules! malice {
    ($($(#[$doc:meta])* $name:ident => $marker:ident,)*) => {
        /// One thing an adversary may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::sim) enum Malice {
            $($(#[$doc])* $name,)*
        }

        impl Malice {
            pub(in crate::sim) const ALL: &[Self] = &[$(Self::$name),*];

            fn mark(self, markers: &mut Markers) {
                match self { $(Self::$name => markers.$marker += 1,)* }
            }
        }
    };
}

malice! {
    /// Edits a record like everybody: others build on it, and rights may be taken from under it.
    Edit => malice_edit,
    /// An edit that cites another epoch than its own last, long gone or after a right was taken.
    BackDate => malice_back_date,
    /// … an epoch before that of the entry before it.
    EpochFalls => malice_epoch_falls,
    /// … one that the directory will not reach.
    FutureEpoch => malice_future_epoch,
    /// … a head that the directory never had.
    FalseHistory => malice_false_history,
    /// … in a space it may not write.
    NoRight => malice_no_right,
    /// … with a clock ten years off.
    Clock => malice_clock,
    /// A change under the actor of another's log.
    ForeignActor => malice_foreign_actor,
    /// Two changes under one sequence number.
    SeqReused => malice_seq_reused,
    /// A change whose operations begin where they must not, refer to nothing, or rest on another kind.
    Twisted => malice_twisted,
    /// A change that is a bomb: in memory, in depth, compressed, or not as an encoder writes it.
    Bomb => malice_bomb,
    /// An entry that builds on one that is kept back, and perhaps shown later.
    Withhold => malice_withhold,
    /// Another's body, in its own log or under another document.
    ReplayBody => malice_replay_body,
    /// A body plain where it must be sealed, or sealed for another place.
    WrongSeal => malice_wrong_seal,
    /// Many logs, and many entries.
    Spam => malice_spam,
    /// An entry of a kind and version nobody knows.
    UnknownKind => malice_unknown_kind,
    /// An entry in another's log, under its own signature.
    ForgedAuthor => malice_forged_author,
    /// One bit of a run altered.
    Altered => malice_altered,
    /// Runs sent once more, or under another space or federation.
    ReplayRun => malice_replay_run,
    /// Statements in its own favour, or in the admin's name.
    SelfGrant => malice_self_grant,
    /// Says to hold what it does not hold and what there is not.
    FalseHave => malice_false_have,
    /// Asks for, declines and prunes what nobody spoke of.
    Nonsense => malice_nonsense,
    /// Bytes that are no message.
    Garbage => malice_garbage,
    /// Answers nothing for a while.
    Silence => malice_silence,
}

/// What all adversaries of a run share.
#[derive(Debug)]
pub(super) struct Evil {
    rng: Rng,
    /// Ends of their own logs.
    pens: BTreeMap<(usize, SpaceId, u32), Author>,
    /// The next incarnation nobody has used.
    incarnation: u32,
    /// Kept back so far.
    withheld: Vec<(usize, SpaceId, Run, Tip)>,
    silent_until: BTreeMap<usize, u64>,
    /// Words and documents so far.
    count: u64,
}

impl Evil {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::derive(seed, "evil", 0),
            pens: BTreeMap::new(),
            incarnation: 1,
            withheld: Vec::new(),
            silent_until: BTreeMap::new(),
            count: 0,
        }
    }
}

impl World {
    /// Puts what adversaries do, and what is done about them, on the calendar.
    pub(super) fn plan_malice(&mut self) {
        for (at, which, malice) in self.mix.malice.clone() {
            self.at(at, Event::Harm { node: self.mix.nodes + which, malice });
        }
        if self.mix.adversaries == 0 {
            return;
        }
        let node = self.nodes.last().map(|node| node.id);
        let revoke = node.map(|node| Act::RevokeNode(RevokeNode { node, cuts: Vec::new() }));
        let expel = super::founding::expelled(self.mix.units);
        let planned = [self.mix.revoke_at.zip(revoke), self.mix.expel_at.map(|at| (at, expel))];
        for (at, act) in planned.into_iter().flatten() {
            let place = self.evil.rng.below(self.acts.len() + 1);
            self.acts.insert(place, act);
            self.at(at, Event::Declare);
        }
    }

    /// Where a right is taken, up to where the admin lets its use count: where it knows the logs to
    /// end, somewhere before, or not at all.
    pub(super) fn with_cuts(&mut self, act: Act) -> Act {
        match act {
            Act::RevokeNode(RevokeNode { node, .. }) => {
                let cuts = self.cuts(|_, author| author == node);
                Act::RevokeNode(RevokeNode { node, cuts })
            }
            Act::DefineSpace(define) if define.cuts.is_some() => {
                let outsiders: Vec<NodeId> = self.adversaries().map(|n| self.nodes[n].id).collect();
                let cuts = self.cuts(|s, author| s == define.space && outsiders.contains(&author));
                Act::DefineSpace(DefineSpace { cuts: Some(cuts), ..define })
            }
            other => other,
        }
    }

    fn cuts(&mut self, concerns: impl Fn(SpaceId, NodeId) -> bool) -> Vec<Cut> {
        let disk = &self.nodes[0].disk;
        let known = |log: &LogId| disk.reader().log(*log).ok().flatten();
        let mut cuts = Vec::new();
        for (log, hashes) in &disk.synced {
            let Some(opening) = known(log).map(|stored| stored.opening) else { continue };
            if !concerns(opening.space, opening.node) || hashes.is_empty() {
                continue;
            }
            let seq = match self.evil.rng.below(3) {
                0 => hashes.len(),
                1 => self.evil.rng.between(1, hashes.len()),
                _ => continue,
            };
            cuts.push(Cut { log: *log, seq: seq as u64, hash: hashes[seq - 1] });
        }
        cuts
    }

    /// An adversary does something, if it runs.
    pub(super) fn harm(&mut self, node: usize, malice: Malice) {
        if self.nodes[node].engine.is_none() {
            return;
        }
        self.trace.note(self.now, node, "malice", [malice as u64, 0], || format!("{malice:?}"));
        let done = match malice {
            Malice::Silence => {
                self.evil.silent_until.insert(node, self.now + SILENT_MS);
                true
            }
            Malice::ForgedAuthor
            | Malice::Altered
            | Malice::ReplayRun
            | Malice::SelfGrant
            | Malice::FalseHave
            | Malice::Nonsense
            | Malice::Garbage => self.send_harm(node, malice).is_some(),
            _ => self.write_harm(node, malice).is_some(),
        };
        if done {
            malice.mark(&mut self.markers);
        }
    }

    /// Nodes that mean harm. Copies of honest ones come after them.
    pub(super) fn adversaries(&self) -> std::ops::Range<usize> {
        self.mix.nodes..self.mix.nodes + self.mix.adversaries
    }

    pub(super) fn is_adversary(&self, node: usize) -> bool {
        self.adversaries().contains(&node)
    }

    /// All others, copies among them.
    pub(super) fn honest(&self) -> impl Iterator<Item = usize> + use<> {
        let adversaries = self.adversaries();
        (0..self.nodes.len()).filter(move |n| !adversaries.contains(n))
    }

    /// Whether an adversary swallows what its engine would send.
    pub(super) fn keeps_silent(&self, node: usize, message: &Message) -> bool {
        let until = self.evil.silent_until.get(&node);
        until.is_some_and(|until| self.now < *until)
            && matches!(message, Message::Batch(_) | Message::Decline(_))
    }
}
