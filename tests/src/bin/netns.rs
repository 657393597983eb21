//! `cargo netns`: daemons on hosts with networks of their own, and what befalls networks.
//!
//! Called by the name `fenbu` this program is that command: `cargo run` builds no second binary.

use clap::Parser;
use fenbu_tests::netns::{self, HOSTS, Outcome, Plan};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Run each node in a network namespace, cut, flap, narrow and move them, and see them agree.
///
/// Needs root and `ip` (iproute2). Ends with 0 only if every node ends up with every record.
#[derive(Debug, Parser)]
#[command(name = "netns")]
struct Arguments {
    /// Nodes, half of them on each side of the router.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(HOSTS))]
    hosts: u64,
    /// Draws who is hit, when and how. The system's scheduling is not in it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long faults go on, in all.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(8..=3600))]
    seconds: u64,
    /// Say so and end with 0 where namespaces cannot be made.
    #[arg(long)]
    where_possible: bool,
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).file_name().is_some_and(|name| name == "fenbu") {
        return fenbu::run(std::env::args_os());
    }
    let arguments = Arguments::parse();
    let (seed, time) = (arguments.seed, Duration::from_secs(arguments.seconds));
    let hosts = usize::try_from(arguments.hosts).unwrap_or(usize::MAX);
    match netns::run(&Plan { hosts, seed, time }) {
        Ok(Outcome::Agreed(report)) => println!("{report}"),
        Ok(Outcome::Impossible(why)) => {
            println!("skipped: {why}");
            if !arguments.where_possible {
                return ExitCode::FAILURE;
            }
        }
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("{}", causes.join("\n"));
            println!(
                "FAILED; again: cargo netns -- --hosts {hosts} --seed {seed} --seconds {}",
                arguments.seconds
            );
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
