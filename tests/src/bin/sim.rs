//! `cargo sim`: runs seeds of the simulator and says which broke a promise.

use clap::Parser;
use fenbu_protocol::planted::Bug;
use fenbu_tests::sim::{self, Found, Markers, Options, Outcome, SEEDS_MAX, TAIL_LINES};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Run simulated federations from seeds, and check every invariant after every step.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Nodes in each federation; drawn from the seed if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=64))]
    nodes: Option<u16>,
    /// Nodes beside these that have valid keys and mean harm; drawn from the seed if not given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=16))]
    adversaries: Option<u16>,
    /// Print every event and the hash over all of them.
    #[arg(long)]
    trace: bool,
    /// Plant mistakes into the protocol, one at a time, and count the seeds until each is found.
    #[arg(long)]
    planted: bool,
    /// With `--planted`: this one alone.
    #[arg(long, requires = "planted")]
    bug: Option<String>,
    /// With `--planted`: only those that are found at once.
    #[arg(long, requires = "planted")]
    quick: bool,
    /// Seeds run at a time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

#[derive(Debug, Default)]
struct Totals {
    steps: u64,
    broken: u64,
    markers: Markers,
    settled_ms_max: u64,
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.planted {
        return find_planted(&arguments);
    }
    let next = AtomicU64::new(0);
    let totals = Mutex::new(Totals::default());
    let threads = if arguments.trace { 1 } else { arguments.threads };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= arguments.seeds {
                        return;
                    }
                    let outcome = run(&arguments, arguments.seed.wrapping_add(n));
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    totals.steps += outcome.steps;
                    totals.broken += u64::from(outcome.broken.is_some());
                    totals.markers.add(&outcome.markers);
                    totals.settled_ms_max = totals.settled_ms_max.max(outcome.settled_ms);
                    report(&arguments, &outcome);
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{}", totals.markers);
    eprintln!("level again at most {} ms after the faults", totals.settled_ms_max);
    println!("{} seeds, {} steps, {} broken", arguments.seeds, totals.steps, totals.broken);
    if totals.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn find_planted(arguments: &Arguments) -> ExitCode {
    // Some break a node so that it panics, which is to find it.
    std::panic::set_hook(Box::new(|_| {}));
    let named = |bug: &&Bug| arguments.bug.as_ref().is_none_or(|name| *name == format!("{bug:?}"));
    let planted = if arguments.quick { sim::QUICK } else { Bug::ALL };
    let bugs: Vec<Bug> = planted.iter().filter(named).copied().collect();
    let (next, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let name = format!("{bug:?}");
                    match sim::find(*bug, arguments.seed) {
                        Some(Found { seeds, broken, .. }) => {
                            let what: String = broken.what.chars().take(100).collect();
                            println!("{name:28} {seeds:4} seeds: {} {what}", broken.invariant);
                        }
                        None => {
                            missed.fetch_add(1, Ordering::Relaxed);
                            println!("{name:28} NOT FOUND in {SEEDS_MAX} seeds");
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("{} planted, {missed} not found", bugs.len());
    if missed == 0 && !bugs.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a seed; a broken one a second time, for its trace.
fn run(arguments: &Arguments, seed: u64) -> Outcome {
    let nodes = arguments.nodes.map(usize::from);
    let adversaries = arguments.adversaries.map(usize::from);
    let options = Options { nodes, adversaries, trace: arguments.trace };
    let outcome = sim::run(seed, &options);
    if outcome.broken.is_some() && !arguments.trace {
        return sim::run(seed, &Options { trace: true, ..options });
    }
    outcome
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn report(arguments: &Arguments, outcome: &Outcome) {
    let shown = if arguments.trace { outcome.lines.len() } else { TAIL_LINES };
    if arguments.trace || outcome.broken.is_some() {
        for line in &outcome.lines[outcome.lines.len().saturating_sub(shown)..] {
            println!("{line}");
        }
    }
    if let Some(broken) = &outcome.broken {
        println!(
            "seed {} broke {} at {} ms: {}",
            outcome.seed, broken.invariant, broken.at_ms, broken.what
        );
        let flag = |name, value: Option<u16>| value.map(|n| format!(" --{name} {n}"));
        let flags = [flag("nodes", arguments.nodes), flag("adversaries", arguments.adversaries)];
        let flags: String = flags.into_iter().flatten().collect();
        println!("replay: cargo sim -- --seeds 1 --seed {}{flags} --trace", outcome.seed);
    }
    if arguments.trace {
        println!(
            "seed {}: {} nodes, {} writes, {} steps, level after {} ms, trace {}",
            outcome.seed,
            outcome.nodes,
            outcome.writes,
            outcome.steps,
            outcome.settled_ms,
            outcome.hash
        );
    }
}
