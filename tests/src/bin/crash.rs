//! `cargo crash`: kills real daemons at random moments and counts what they lost.
//!
//! Called by the name `fenbu` this program is that command: `cargo run` builds no second binary.

use anyhow::{Context, Result};
use clap::Parser;
use fenbu_tests::crash::{self, Plan};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than anybody waits.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Kill a writing, receiving or repairing node over and over, and look for what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    #[arg(long, default_value_t = 1000)]
    cycles: u64,
    /// Draws the moments; from the clock if not given. The system's scheduling is not in it.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "fenbu") {
        return Ok(fenbu::run(std::env::args_os()));
    }
    crash(&Arguments::parse())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn crash(arguments: &Arguments) -> Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.subsec_nanos().into());
    let seed = arguments.seed.unwrap_or(now);
    eprintln!("moments drawn from seed {seed}");
    let folder = tempfile::tempdir()?;
    let binary = folder.path().join("fenbu");
    std::os::unix::fs::symlink(std::env::current_exe()?, &binary)?;
    let plan = Plan { seed, cycles: arguments.cycles, time_max: TIME_MAX };
    let totals = crash::run(&binary, &plan).context("a node did not come back as it was")?;
    println!("{} cycles, {} writes, {} lost", totals.cycles, totals.writes, totals.lost);
    Ok(if totals.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
