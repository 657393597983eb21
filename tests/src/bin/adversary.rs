//! Every attack on a real daemon, one after the other, and what it came to. Linux only: the memory is
//! read from `/proc`.

use clap::Parser;
use fenbu_tests::adversary::{Arena, Attack, Report};
use std::process::ExitCode;
use std::time::Duration;

/// Attack a node of three with a key their directory admits.
#[derive(Debug, Parser)]
#[command(name = "adversary")]
struct Arguments {
    /// How long each attack goes on.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Only attacks of this family: frames, streams, floods, runs, changes, handshakes.
    #[arg(long)]
    family: Option<String>,
}

/// What the attacked daemon may take, in bytes.
const RESIDENT_MAX: u64 = 512 << 20;

fn main() -> ExitCode {
    // The daemons are this program too: `cargo run` builds no other.
    let is_fenbu =
        std::env::args_os().nth(1).is_some_and(|first| !first.to_string_lossy().starts_with('-'));
    if is_fenbu {
        return fenbu::run(std::env::args_os());
    }
    match attack_all(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn attack_all(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut arena = Arena::open(std::env::current_exe()?)?;
    let wanted =
        |attack: &&Attack| arguments.family.as_ref().is_none_or(|family| family == attack.family());
    let (mut attacks, mut peak) = (0_u64, 0);
    for attack in Attack::ALL.iter().filter(wanted) {
        let report = arena.under(*attack, Duration::from_secs(arguments.seconds))?;
        attacks += 1;
        peak = report.resident_peak;
        println!("{}", line(&report));
    }
    arena.levels()?;
    println!("{attacks} attacks, digests equal, nothing counts, peak {} MiB", peak >> 20);
    Ok(peak < RESIDENT_MAX)
}

fn line(report: &Report) -> String {
    let at = |percent: usize| {
        let index = (report.edits.len() * percent / 100).min(report.edits.len() - 1);
        report.edits[index].as_millis()
    };
    let closed: Vec<String> =
        report.tally.closed.iter().map(|(code, n)| format!("{code:#x} × {n}")).collect();
    format!(
        "{:45} {:>9} tries, {:>4} unreached, closed {}; {} live edits, p50 {} ms, p99 {} ms; peak {} MiB",
        report.attack.name(),
        report.tally.tries,
        report.tally.unreached,
        if closed.is_empty() { "never".to_owned() } else { closed.join(", ") },
        report.edits.len(),
        at(50),
        at(99),
        report.resident_peak >> 20,
    )
}
