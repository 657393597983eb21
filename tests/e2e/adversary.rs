//! A member with a valid key attacks one of three nodes; the others hardly notice.

use super::{FENBU, fail};
use anyhow::{Result, ensure};
use fenbu_tests::adversary::{Arena, Attack, Report};
use std::time::Duration;

/// Of one attack. `cargo run --release -p fenbu-tests --bin adversary` takes longer.
const TIME: Duration = Duration::from_millis(700);
/// Well under what a node promises to keep to (512 MiB).
const RESIDENT_MAX: u64 = 448 << 20;

/// Every attack of some families; then all is as it was.
fn survives(families: &[&str]) -> Vec<Report> {
    attacked(families).unwrap_or_else(|error| fail(&error))
}

fn attacked(families: &[&str]) -> Result<Vec<Report>> {
    let mut arena = Arena::open(FENBU)?;
    let mut reports = Vec::new();
    for attack in Attack::ALL.iter().filter(|a| families.contains(&a.family())) {
        // A trickle is given its time: the patience is two seconds here.
        let time = if *attack == Attack::Slow { 5 * TIME } else { TIME };
        let report = arena.under(*attack, time)?;
        arena.write()?;
        let name = attack.name();
        ensure!(report.tally.tries > 0, "{name}: it did nothing: {:?}", report.tally);
        ensure!(report.resident_peak < RESIDENT_MAX, "{name}: {} bytes", report.resident_peak);
        reports.push(report);
    }
    arena.levels()?;
    let status = arena.status()?;
    ensure!(status["peers"]["connected"].as_u64() >= Some(2), "{status}");
    Ok(reports)
}

fn closed_with(reports: &[Report], attack: Attack, code: u64) {
    let found = reports.iter().find(|r| r.attack == attack).map(|r| &r.tally);
    let times = found.and_then(|tally| tally.closed.get(&code));
    assert!(times.is_some_and(|n| *n > 0), "{attack:?} was not closed with {code:#x}: {found:?}");
}

#[test]
fn frames_and_streams_against_the_rules_close_the_link_and_nothing_else() {
    let reports = survives(&["frames", "streams"]);
    for (attack, code) in [
        (Attack::LyingLength, 0x101),
        (Attack::Oversized, 0x101),
        (Attack::Truncated, 0x102),
        (Attack::Reset, 0x103),
        (Attack::TooMany, 0x104),
        (Attack::BothWays, 0x104),
        (Attack::Slow, 0x106),
        (Attack::Bomb, 6),
        (Attack::Empty, 6),
        (Attack::Garbage, 6),
    ] {
        closed_with(&reports, attack, code);
    }
    let refused = &reports.last().expect("there are attacks").refused["refused"];
    assert!(refused["violations"].as_u64() > Some(0), "{refused}");
}

#[test]
fn floods_of_legal_messages_hold_up_their_sender() {
    let reports = survives(&["floods"]);
    closed_with(&reports, Attack::Hellos, 6);
    let last = &reports.last().expect("there are attacks").refused;
    assert!(last["refused"]["ranges"].as_u64() > Some(0), "{last}");
}

#[test]
fn runs_and_changes_that_mean_harm_do_not_count() {
    let reports = survives(&["runs", "changes"]);
    closed_with(&reports, Attack::BadSignature, 6);
    closed_with(&reports, Attack::BadHash, 6);
    let last = &reports.last().expect("there are attacks").refused;
    assert!(last["refused"]["batches"].as_u64() > Some(0), "{last}");
}

#[test]
fn strangers_noise_and_ten_thousand_initials_a_second_leave_links_alone() {
    let reports = survives(&["handshakes"]);
    closed_with(&reports, Attack::UnknownKeys, 5);
    let initials = reports.iter().find(|r| r.attack == Attack::Initials);
    assert!(initials.is_some_and(|r| r.tally.tries > 1000), "{initials:?}");
}
