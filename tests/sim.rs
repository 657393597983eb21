//! Random seeds against the invariants and the model. `cargo sim` runs many more of them.

use fenbu_tests::sim::{Markers, Options, Outcome, run};

/// Runs seeds and fails with what to type to see the first broken one again.
fn check(seeds: impl Iterator<Item = u64>, nodes: Option<usize>) -> Vec<Outcome> {
    let run = |seed| {
        let outcome = run(seed, &Options { nodes, trace: false });
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

#[test]
fn seeds_keep_every_promise_and_meet_every_trouble() {
    let mut markers = Markers::default();
    for outcome in check((1..=32).chain([OVERLOADED]), None) {
        assert!(outcome.writes > 0, "seed {} wrote nothing", outcome.seed);
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
        let quiet = run(seed, &Options { nodes: Some(5), trace: false });
        let told = run(seed, &Options { nodes: Some(5), trace: true });
        assert_eq!(quiet.hash, told.hash);
        assert_eq!((quiet.steps, quiet.markers), (told.steps, told.markers));
        assert!(!told.lines.is_empty() && quiet.lines.is_empty());
        let other = run(seed + 1, &Options { nodes: Some(5), trace: false });
        assert_ne!(quiet.hash, other.hash);
    }
}
