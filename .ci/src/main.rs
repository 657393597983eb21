//! `cargo ci`: every check, in the order that fails soonest, on a desk and in CI alike.
//!
//! | module | owns |
//! |---|---|
//! | `step` | the list of checks: name, commands, what counts as passed |
//! | `tidy` | the checks that no tool makes for us |
//! | `run` | running one command within a time limit, with nothing left behind |
//!
//! Only the standard library: the checker must build before anything else does.

mod run;
mod step;
mod tidy;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use step::{Outcome, STEPS, Step};

const USAGE: &str = "\
Runs every check of this repository but those by hand, and stops at the first that fails.

Usage: cargo ci [--only NAME]... [--list]

  --only NAME  run this step alone; can be repeated
  --list       name the steps
";

fn main() -> ExitCode {
    let mut out = io::stdout();
    match Request::parse(std::env::args().skip(1)) {
        Ok(Request::Help) => say(&mut out, USAGE.trim_end()),
        Ok(Request::List) => {
            for step in STEPS {
                say(&mut out, &format!("{:<8}{}", step.name, step.about));
            }
        }
        Ok(Request::Run(chosen)) => return run_all(&chosen, &mut out),
        Err(why) => {
            say(&mut io::stderr(), &format!("ci: {why}\n\n{}", USAGE.trim_end()));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// What the command line asks for.
#[derive(Debug)]
enum Request {
    Help,
    List,
    Run(Vec<&'static Step>),
}

impl Request {
    /// The steps run in their own order, whatever the order of the flags.
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut only = Vec::new();
        let mut args = args;
        while let Some(arg) = args.next() {
            let name = match arg.as_str() {
                // The alias ends in `--` already; who writes it again means the same.
                "--" => continue,
                "--help" | "-h" => return Ok(Self::Help),
                "--list" => return Ok(Self::List),
                "--only" => args.next().ok_or("--only lacks the name of a step")?,
                other => match other.strip_prefix("--only=") {
                    Some(name) => name.to_owned(),
                    None => return Err(format!("there is no flag or argument {other}")),
                },
            };
            if !STEPS.iter().any(|step| step.name == name) {
                return Err(format!("there is no step {name}; --list names them"));
            }
            only.push(name);
        }
        let chosen = |step: &&Step| match only.is_empty() {
            true => !step.by_hand,
            false => only.iter().any(|name| name == step.name),
        };
        Ok(Self::Run(STEPS.iter().filter(chosen).collect()))
    }
}

fn run_all(steps: &[&Step], out: &mut impl Write) -> ExitCode {
    // Cargo and the checks of files work from the root, wherever the command was given.
    if let Err(why) = std::env::set_current_dir(step::root()) {
        say(out, &format!("ci: cannot enter {}: {why}", step::root().display()));
        return ExitCode::FAILURE;
    }
    let started = Instant::now();
    let mut lines = Vec::new();
    for step in steps {
        say(out, &format!("\n=== {}: {}", step.name, step.about));
        let begun = Instant::now();
        let outcome = (step.check)(out);
        let took = show(begun.elapsed());
        match outcome {
            Outcome::Passed(note) => {
                say(out, &format!("--- {} ok, {took}{}", step.name, in_brackets(&note)));
                lines.push(format!("  ok       {:<8}{took:>8}{}", step.name, in_brackets(&note)));
            }
            Outcome::Skipped(why) => {
                say(out, &format!("--- {} skipped: {why}", step.name));
                lines.push(format!("  skipped  {:<8}{:>8} ({why})", step.name, ""));
            }
            Outcome::Failed { why, repeat } => {
                say(out, &format!("--- {} FAILED after {took}: {why}", step.name));
                say(out, &format!("    repeat it: {repeat}"));
                say(out, &format!("\nci: FAILED at {}", step.name));
                return ExitCode::FAILURE;
            }
        }
    }
    say(out, &format!("\n{}", lines.join("\n")));
    say(out, &format!("ci: ok, {} in {}", count(&lines), show(started.elapsed())));
    ExitCode::SUCCESS
}

/// "7 steps passed, 1 skipped", so that a skipped check cannot pass for a passed one.
fn count(lines: &[String]) -> String {
    let skipped = lines.iter().filter(|line| line.starts_with("  skipped")).count();
    let passed = format!("{} steps passed", lines.len() - skipped);
    if skipped == 0 { passed } else { format!("{passed}, {skipped} skipped") }
}

fn in_brackets(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({note})") }
}

/// Output that nobody reads any more is no reason to stop checking.
fn say(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

fn show(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", span.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        _ => format!("{}m {:02}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Vec<&'static str>, String> {
        match Request::parse(args.iter().map(|arg| (*arg).to_owned()))? {
            Request::Run(steps) => Ok(steps.iter().map(|step| step.name).collect()),
            other => panic!("{other:?} is no run"),
        }
    }

    #[test]
    fn all_steps_run_unless_some_are_named() {
        assert_eq!(parse(&[]).unwrap().len(), STEPS.iter().filter(|step| !step.by_hand).count());
        assert_eq!(parse(&["--", "--only", "test", "--only=fmt"]).unwrap(), ["fmt", "test"]);
        assert!(parse(&["--only"]).is_err());
        assert!(parse(&["--only", "tset"]).unwrap_err().contains("tset"));
        assert!(parse(&["fmt"]).is_err());
    }

    #[test]
    fn a_skipped_step_is_counted_apart() {
        let lines = ["  ok       fmt", "  skipped  deny"].map(str::to_owned);
        assert_eq!(count(&lines), "1 steps passed, 1 skipped");
        assert_eq!(count(&lines[..1]), "1 steps passed");
    }

    #[test]
    fn spans_are_short() {
        assert_eq!(show(Duration::from_millis(1234)), "1.2s");
        assert_eq!(show(Duration::from_secs(59)), "59s");
        assert_eq!(show(Duration::from_secs(61)), "1m 01s");
    }
}
