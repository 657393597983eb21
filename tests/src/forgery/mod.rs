//! What must never count, class by class, and its honest twin, which must.
//!
//! A [`Class`] makes a [`Case`] from a seed: batches as they would arrive, and how many of their entries
//! are honest. The [`court`] is a node without a network: the daemon's engine decides what is stored, and
//! the daemon's judge what counts of it: rights, cuts, the gate. Forged are entries that count beyond the
//! honest ones.

pub mod bodies;
mod classes;
pub mod court;
mod cuts;
mod world;

pub use classes::Class;
use court::Court;
use fenbu_protocol::directory::Signed;
pub use world::Dice;

/// Batches to be delivered, in order, by a third peer.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the admin has said meanwhile, and the court knows.
    pub said: Vec<Signed>,
    /// Bodies of Batch messages.
    pub batches: Vec<Vec<u8>>,
    /// Entries of these that must count.
    pub honest: usize,
}

/// What came of many cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub tries: u64,
    /// Forged entries that counted.
    pub accepted: u64,
    pub controls: u64,
    /// Honest entries that did not.
    pub refused: u64,
}

impl Verdicts {
    pub fn add(&mut self, other: &Self) {
        self.tries += other.tries;
        self.accepted += other.accepted;
        self.controls += other.controls;
        self.refused += other.refused;
    }
}

/// What finds a forgery out, which says how dear it is to try one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// The directory, or the part of the gate that looks at a change by itself.
    Statically,
    BySignature,
    /// The part of the gate that looks at a change's past, and the trial.
    ByTrial,
}

impl Decided {
    /// How many tries make a long run.
    pub fn tries(self) -> u64 {
        match self {
            Self::Statically => 1_000_000,
            Self::BySignature => 100_000,
            Self::ByTrial => 10_000,
        }
    }
}

impl Class {
    /// Tries so many seeds from `seed` on, and one control.
    pub fn try_many(self, seed: u64, tries: u64) -> Verdicts {
        let mut verdicts = Verdicts { tries, controls: 1, ..Verdicts::default() };
        for n in 0..tries {
            let case = self.forged(&mut Dice::new(self as u64, seed.wrapping_add(n)));
            let counted = Court::new(&case.said).hears(&case.batches);
            // Fewer than the honest ones would mean that the forgery took an honest entry with it.
            verdicts.accepted += u64::from(counted != case.honest);
        }
        let control = self.control(&mut Dice::new(self as u64, seed));
        verdicts.refused +=
            u64::from(Court::new(&control.said).hears(&control.batches) != control.honest);
        verdicts
    }
}
