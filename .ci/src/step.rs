//! The checks, in the order in which they fail soonest.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::run::{self, End, Invocation};
use crate::tidy;

/// A check of the sources alone.
const QUICK_LIMIT: Duration = Duration::from_secs(5 * 60);

/// A check that may have to build everything first, on a small machine with a cold cache.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// One check.
#[derive(Debug)]
pub(crate) struct Step {
    /// What `--only` takes.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Only where `--only` names it.
    pub(crate) by_hand: bool,
    pub(crate) check: fn(&mut dyn Write) -> Outcome,
}

/// How a check ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a remark for the summary, or none.
    Passed(String),
    Skipped(String),
    Failed {
        why: String,
        /// The line a person types to see it again.
        repeat: String,
    },
}

pub(crate) const STEPS: &[Step] = &[
    step("fmt", "rustfmt leaves every file as it is", fmt),
    step("tidy", "file lengths, leftovers, machine paths, root names, protocol's wall", tidy),
    step("deny", "licences, banned crates and sources of dependencies", deny),
    step("clippy", "no warnings, in tests and binaries too", clippy),
    step("test", "every test of the workspace", test),
    step("doc", "documentation builds without warnings", doc),
    step("sim", "300 seeds hold the invariants, and planted mistakes break them", sim),
    // Builds all of the protocol's dependencies once more, with counters in them: minutes in a cold cache.
    Step { by_hand: true, ..step("fuzz", "by hand: every fuzz target finds nothing", fuzz) },
    step(
        "netns",
        "four nodes with networks of their own, cut, flapping, narrow and moved, agree",
        netns,
    ),
    step("demo", "a federation of four on this machine converges", demo),
    // Chromium itself sometimes does not answer; nothing else waits for that.
    Step {
        by_hand: true,
        ..step(
            "browser",
            "by hand: the console's stories in Chromium, before real daemons",
            browser,
        )
    },
];

const fn step(
    name: &'static str,
    about: &'static str,
    check: fn(&mut dyn Write) -> Outcome,
) -> Step {
    Step { name, about, by_hand: false, check }
}

/// The repository's root; this package lies directly below it.
pub(crate) fn root() -> PathBuf {
    // At run time, so that a cached binary serves a clone at another place.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|dir| dir.parent().map(Path::to_owned));
    root.unwrap_or_else(|| PathBuf::from("."))
}

fn fmt(out: &mut dyn Write) -> Outcome {
    command(out, &Invocation::new("cargo fmt --all --check"), QUICK_LIMIT)
}

fn tidy(out: &mut dyn Write) -> Outcome {
    let repeat = || "cargo ci --only tidy".to_owned();
    let problems = match tidy::problems() {
        Ok(problems) => problems,
        Err(why) => return Outcome::Failed { why, repeat: repeat() },
    };
    for problem in &problems {
        let _ = writeln!(out, "{problem}");
    }
    match problems.len() {
        0 => Outcome::Passed(String::new()),
        n => Outcome::Failed { why: format!("{n} problem(s)"), repeat: repeat() },
    }
}

fn deny(out: &mut dyn Write) -> Outcome {
    if !is_installed("deny") {
        return Outcome::Skipped("cargo-deny is not installed: cargo install cargo-deny".into());
    }
    let line = "cargo deny check --config .cargo/deny.toml licenses bans sources";
    command(out, &Invocation::new(line), QUICK_LIMIT)
}

fn clippy(out: &mut dyn Write) -> Outcome {
    let line = "cargo clippy --workspace --all-targets --locked -- -D warnings";
    command(out, &Invocation::new(line), BUILD_LIMIT)
}

/// In CI the README's own command; at a desk nextest where it is installed, which is quicker.
fn test(out: &mut dyn Write) -> Outcome {
    if std::env::var_os("CI").is_none() && is_installed("nextest") {
        let line = "cargo nextest run --workspace --locked";
        let outcome = command(out, &Invocation::new(line), BUILD_LIMIT);
        if !matches!(outcome, Outcome::Passed(_)) {
            return outcome;
        }
        // nextest runs no documentation tests.
        let line = "cargo test --workspace --locked --doc";
        return command(out, &Invocation::new(line), BUILD_LIMIT);
    }
    let invocation = Invocation::new("cargo test --workspace --locked");
    judged(out, &invocation, BUILD_LIMIT, |stdout| Ok(tally(stdout)))
}

/// The sum of libtest's result lines, one per binary.
fn tally(stdout: &str) -> String {
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for line in stdout.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok());
            match (number, words.next()) {
                (Some(n), Some("passed")) => passed += n,
                (Some(n), Some("failed")) => failed += n,
                (Some(n), Some("ignored")) => ignored += n,
                _ => {}
            }
        }
    }
    format!("tests: {passed} passed, {failed} failed, {ignored} ignored")
}

fn doc(out: &mut dyn Write) -> Outcome {
    let invocation = Invocation::new("cargo doc --workspace --no-deps --locked");
    command(out, &invocation.variable("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)
}

fn sim(out: &mut dyn Write) -> Outcome {
    let line =
        "cargo run --quiet --release --locked --package fenbu-tests --bin sim -- --seeds 300";
    let outcome = command(out, &Invocation::new(line), BUILD_LIMIT);
    if !matches!(outcome, Outcome::Passed(_)) {
        return outcome;
    }
    let line =
        "cargo run --quiet --release --locked --package fenbu-tests --bin sim -- --planted --quick";
    command(out, &Invocation::new(line), QUICK_LIMIT)
}

/// Built apart from the workspace, and nothing but the protocol.
fn fuzz(out: &mut dyn Write) -> Outcome {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut version = Command::new(&compiler);
    version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        let why = format!("{compiler} does not run, and libFuzzer is C++: install build-essential");
        return Outcome::Skipped(why);
    }
    let line = "cargo run --quiet --locked --package fenbu-ci --bin fuzz-all -- --seconds 5";
    command(out, &Invocation::new(line), BUILD_LIMIT)
}

fn demo(out: &mut dyn Write) -> Outcome {
    let line = "cargo run --quiet --release --locked -- demo --units 4 --json";
    judged(out, &Invocation::new(line), BUILD_LIMIT, |stdout| {
        let compact: String = stdout.split_whitespace().collect();
        if compact.contains("\"converged\":true") {
            Ok(String::new())
        } else {
            Err("the demo's answer lacks \"converged\":true".to_owned())
        }
    })
}

fn netns(out: &mut dyn Write) -> Outcome {
    let line = "cargo run --quiet --release --locked --package fenbu-tests --bin netns -- --hosts 4 --seconds 12 --where-possible";
    let last = |stdout: &str| stdout.lines().last().unwrap_or_default().to_owned();
    match judged(out, &Invocation::new(line), BUILD_LIMIT, |stdout| Ok(last(stdout))) {
        Outcome::Passed(said) => match said.strip_prefix("skipped: ") {
            Some(why) => Outcome::Skipped(why.to_owned()),
            None => Outcome::Passed(said),
        },
        other => other,
    }
}

/// What the step `browser` needs: the command that shows it is there, and Debian's package of it.
const BROWSER_NEEDS: [(&str, &str); 3] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    // Without it Chinese text is boxes.
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "fonts-noto-cjk"),
];

fn browser(out: &mut dyn Write) -> Outcome {
    let missing = browser_missing();
    if !missing.is_empty() {
        let line = format!("apt-get install -q -y --no-install-recommends {}", missing.join(" "));
        if !may_install() {
            let why = format!("missing: {}; install them, on Debian: {line}", missing.join(", "));
            return Outcome::Failed { why, repeat: "cargo ci --only browser".to_owned() };
        }
        for line in ["apt-get update -q", &line] {
            let install = Invocation::new(line).variable("DEBIAN_FRONTEND", "noninteractive");
            let outcome = command(out, &install, QUICK_LIMIT);
            if !matches!(outcome, Outcome::Passed(_)) {
                return outcome;
            }
        }
    }
    let line = "cargo clippy --locked --package fenbu-tests --features browser --test browser -- -D warnings";
    let outcome = command(out, &Invocation::new(line), BUILD_LIMIT);
    if !matches!(outcome, Outcome::Passed(_)) {
        return outcome;
    }
    // Each test has several daemons and browsers: two at a time are enough for a small machine.
    let line = "cargo test --locked --package fenbu-tests --features browser --test browser -- --test-threads=2";
    judged(out, &Invocation::new(line), BUILD_LIMIT, |stdout| Ok(tally(stdout)))
}

fn browser_missing() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| {
        Path::new(name).is_file() || std::env::split_paths(&path).any(|at| at.join(name).is_file())
    };
    BROWSER_NEEDS.iter().filter(|(name, _)| !is_there(name)).map(|(_, package)| *package).collect()
}

/// Whether packages may be installed here without asking: in CI, as root, on Debian.
fn may_install() -> bool {
    let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        line.is_some_and(|uids| uids.split_whitespace().nth(1) == Some("0"))
    });
    root && std::env::var_os("CI").is_some() && Path::new("/usr/bin/apt-get").is_file()
}

fn is_installed(subcommand: &str) -> bool {
    let mut command = Command::new("cargo");
    command.args([subcommand, "--version"]).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn command(out: &mut dyn Write, invocation: &Invocation, limit: Duration) -> Outcome {
    judged(out, invocation, limit, |_| Ok(String::new()))
}

/// Runs a command; if it passes, `judge` has the last word on what it wrote to stdout.
fn judged(
    out: &mut dyn Write,
    invocation: &Invocation,
    limit: Duration,
    judge: impl Fn(&str) -> Result<String, String>,
) -> Outcome {
    let repeat = invocation.line();
    let _ = writeln!(out, "$ {repeat}");
    let _ = out.flush();
    let ran = run::run(invocation, limit);
    let why = match ran.end {
        End::Passed => match judge(&ran.stdout) {
            Ok(note) => return Outcome::Passed(note),
            Err(why) => why,
        },
        End::Failed(status) => status,
        End::TimedOut(limit) => format!("it was killed after {} minutes", limit.as_secs() / 60),
        End::Absent(why) => why,
    };
    Outcome::Failed { why, repeat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_distinct_words() {
        for (i, step) in STEPS.iter().enumerate() {
            assert!(step.name.chars().all(|c| c.is_ascii_lowercase()), "{}", step.name);
            assert!(STEPS[..i].iter().all(|earlier| earlier.name != step.name), "{}", step.name);
        }
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let stdout = "\
running 2 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: FAILED. 40 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2s
";
        assert_eq!(tally(stdout), "tests: 42 passed, 1 failed, 1 ignored");
    }

    #[test]
    fn the_judge_hears_stdout_and_can_refuse() {
        let limit = Duration::from_secs(60);
        let echo = Invocation::new("echo converged");
        let mut out = Vec::new();
        let passed = judged(&mut out, &echo, limit, |stdout| Ok(stdout.trim().to_owned()));
        assert_eq!(passed, Outcome::Passed("converged".into()));
        let refused = judged(&mut out, &echo, limit, |_| Err("no".into()));
        assert_eq!(refused, Outcome::Failed { why: "no".into(), repeat: "echo converged".into() });
    }
}
