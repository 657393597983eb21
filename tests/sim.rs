//! Random seeds against the invariants and the model. `cargo sim` runs many more of them.

use fenbu_protocol::planted::Bug;
use fenbu_tests::sim::{Markers, Options, Outcome, find, run};

/// Runs seeds and fails with what to type to see the first broken one again.
fn check(seeds: impl Iterator<Item = u64>, nodes: Option<usize>) -> Vec<Outcome> {
    let run = |seed| {
        let outcome = run(seed, &Options { nodes, ..Options::default() });
        let flag = nodes.map(|n| format!(" --nodes {n}")).unwrap_or_default();
        assert!(
            outcome.broken.is_none(),
            "{:?}\nreplay: cargo sim -- --seeds 1 --seed {seed}{flag} --trace",
            outcome.broken
        );
        outcome
    };
    seeds.map(run).collect()
}

/// Draws large saves and a disk that cannot keep up.
const OVERLOADED: u64 = 71;

/// With two adversaries each these do, between them, everything adversaries can.
const ADVERSARIAL: [u64; 7] = [6, 9, 13, 20, 26, 50, 1018];

#[test]
fn seeds_keep_every_promise_and_meet_every_trouble() {
    let mut markers = Markers::default();
    for outcome in check((1..=32).chain([OVERLOADED]), None) {
        assert!(outcome.writes > 0, "seed {} wrote nothing", outcome.seed);
        markers.add(&outcome.markers);
    }
    for seed in ADVERSARIAL {
        let outcome = run(seed, &Options { adversaries: Some(2), ..Options::default() });
        let again = format!("cargo sim -- --seeds 1 --seed {seed} --adversaries 2 --trace");
        assert!(outcome.broken.is_none(), "{:?}\nreplay: {again}", outcome.broken);
        markers.add(&outcome.markers);
    }
    let unmet: Vec<_> = markers.counts().into_iter().filter(|(_, count)| *count == 0).collect();
    assert!(unmet.is_empty(), "these seeds no longer meet {unmet:?}: choose others");
}

#[test]
fn two_nodes_are_a_federation() {
    check(1..5, Some(2));
}

/// A seed that cannot be replayed proves nothing.
#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 14] {
        let quiet = run(seed, &Options { nodes: Some(5), ..Options::default() });
        let told = run(seed, &Options { nodes: Some(5), trace: true, ..Options::default() });
        assert_eq!(quiet.hash, told.hash);
        assert_eq!((quiet.steps, quiet.markers), (told.steps, told.markers));
        assert!(!told.lines.is_empty() && quiet.lines.is_empty());
        let other = run(seed + 1, &Options { nodes: Some(5), ..Options::default() });
        assert_ne!(quiet.hash, other.hash);
    }
}

/// One of each sort; `cargo sim -- --planted` finds them all.
#[test]
fn planted_mistakes_are_found() {
    for bug in [
        Bug::LogDigestKeepsOld,
        Bug::TakenUnchecked,
        Bug::HistoryUnchecked,
        Bug::StatementSignatureUnchecked,
        Bug::SealUnchecked,
        Bug::SentBeforeStored,
    ] {
        assert!(find(bug, 1).is_some_and(|found| found.seeds <= 10), "{bug:?}");
    }
}
