//! Forged entries, class by class: every one must be refused, every honest twin accepted.

use clap::Parser;
use fenbu_tests::forgery::{Class, Verdicts};
use std::process::ExitCode;

/// Try forged entries of every class on a node without a network.
#[derive(Debug, Parser)]
#[command(name = "forge")]
struct Arguments {
    /// Tries of each class; by default a million where the static part decides, 100,000 where signatures
    /// do, 10,000 where trials do.
    #[arg(long)]
    tries: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut all = Verdicts::default();
    for class in Class::ALL {
        let tries = arguments.tries.unwrap_or(class.decided().tries());
        let verdicts = class.try_many(arguments.seed, tries);
        println!(
            "{:22} {} tries, {} accepted; control {}",
            format!("{class:?}"),
            verdicts.tries,
            verdicts.accepted,
            if verdicts.refused == 0 { "accepted" } else { "REFUSED" },
        );
        all.add(&verdicts);
    }
    println!(
        "{} classes, {} tries, {} accepted; {} controls, {} refused",
        Class::ALL.len(),
        all.tries,
        all.accepted,
        all.controls,
        all.refused
    );
    if all.accepted == 0 && all.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
