//! Mistakes planted into the protocol: a simulator that does not find them proves nothing.

use super::{Broken, Options, run};
use fenbu_protocol::planted::{Bug, plant};

/// Within so many seeds each must be found; most take one or two, a bit that must fall on the right byte
/// over a hundred.
pub const SEEDS_MAX: u64 = 400;

/// Found within a seed or two: what a short run looks for.
pub const QUICK: &[Bug] = &[
    Bug::JoinKeepsFirstSignature,
    Bug::LogDigestKeepsOld,
    Bug::StateDigestKeepsOld,
    Bug::TakenUnchecked,
    Bug::GenesisUnchecked,
    Bug::RightUnchecked,
    Bug::RightBeforeAdmission,
    Bug::HistoryUnchecked,
    Bug::StatementAuthorUnchecked,
    Bug::StatementSignatureUnchecked,
    Bug::StatementsNotStored,
    Bug::StatementsNotRelayed,
    Bug::SealingSkipped,
    Bug::SealUnchecked,
    Bug::KeyNotRotated,
    Bug::SentBeforeStored,
    Bug::StoredTooSoon,
    Bug::TakenForLevel,
    Bug::NoNews,
    Bug::ServesOneLate,
];

/// How a mistake came to light.
#[derive(Debug, Clone)]
pub struct Found {
    /// Seeds it took.
    pub seeds: u64,
    pub broken: Broken,
}

/// Runs seeds from `first` on with a mistake planted, every other one with adversaries, until a
/// promise is broken.
pub fn find(bug: Bug, first: u64) -> Option<Found> {
    plant(Some(bug));
    let found = (1..=SEEDS_MAX).find_map(|seeds| {
        let adversaries = seeds.is_multiple_of(2).then_some(2);
        let outcome = run(first + seeds - 1, &Options { adversaries, ..Options::default() });
        outcome.broken.map(|broken| Found { seeds, broken })
    });
    plant(None);
    found
}
