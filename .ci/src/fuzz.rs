//! `cargo fuzz-all`: builds the fuzz targets of `protocol/fuzz` and runs each for a while.
//!
//! libFuzzer on the stable compiler: LLVM's own coverage pass, no sanitizer. What a run finds out about
//! the code stays in that workspace's target folder; the committed corpus is only read.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What counts which edges an input takes, and what it compares.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Name, and the longest input in bytes.
const TARGETS: [(&str, u32); 6] = [
    ("frame", 4096),
    ("message", 4096),
    ("run", 4096),
    ("statement", 4096),
    ("gate", 2048),
    ("session", 8192),
];

/// More memory than any input may need.
const MEMORY_MB: u32 = 1024;
/// Longer than any input may take.
const HANG_S: u32 = 20;

const USAGE: &str = "\
Builds the fuzz targets and runs each; stops at the first crash, hang, or input that takes too much memory.

Usage: cargo fuzz-all -- [--seconds N] [--runs N] [--only TARGET]

  --seconds N    each target runs so long (60 unless --runs is given)
  --runs N       each target tries so many inputs
  --only TARGET  frame, message, run, statement, gate or session
";

#[derive(Debug, Default)]
struct Request {
    seconds: Option<u32>,
    runs: Option<u64>,
    only: Option<String>,
}

impl Request {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} lacks its value"));
            let number = |text: String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
            match arg.as_str() {
                "--" => {}
                "--seconds" => {
                    let seconds = u32::try_from(number(value()?)?);
                    request.seconds = Some(seconds.map_err(|e| e.to_string())?);
                }
                "--runs" => request.runs = Some(number(value()?)?),
                "--only" => {
                    let name = value()?;
                    if !TARGETS.iter().any(|(target, _)| *target == name) {
                        return Err(format!("there is no target {name}"));
                    }
                    request.only = Some(name);
                }
                other => return Err(format!("there is no flag or argument {other}")),
            }
        }
        Ok(request)
    }
}

fn main() -> ExitCode {
    let request = match Request::parse(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(why) => {
            eprintln!("fuzz-all: {why}\n\n{}", USAGE.trim_end());
            return ExitCode::from(2);
        }
    };
    match run(&request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fuzz-all: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(request: &Request) -> Result<(), String> {
    let folder = root().join("protocol/fuzz");
    let host = host()?;
    // With `--target` the flags are for the targets alone, not for build scripts.
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--bins", "--target", &host]);
    build.current_dir(&folder).env("RUSTFLAGS", COVERAGE).env_remove("CARGO_TARGET_DIR");
    succeed(build, "building the targets")?;
    for (target, bytes_max) in TARGETS {
        if request.only.as_ref().is_some_and(|only| only != target) {
            continue;
        }
        let found = folder.join("target/corpus").join(target);
        std::fs::create_dir_all(&found).map_err(|e| format!("{}: {e}", found.display()))?;
        let mut fuzz = Command::new(folder.join("target").join(&host).join("release").join(target));
        fuzz.arg(&found).arg(folder.join("corpus").join(target));
        fuzz.arg(format!("-max_len={bytes_max}"));
        fuzz.arg(format!("-rss_limit_mb={MEMORY_MB}"));
        fuzz.arg(format!("-timeout={HANG_S}"));
        fuzz.arg(format!("-artifact_prefix={}/found-", folder.join("target").display()));
        fuzz.args(["-print_final_stats=1", "-verbosity=0"]);
        if let Some(runs) = request.runs {
            fuzz.arg(format!("-runs={runs}"));
        }
        if let Some(seconds) = request.seconds.or(request.runs.is_none().then_some(60)) {
            fuzz.arg(format!("-max_total_time={seconds}"));
        }
        eprintln!("fuzz-all: {target}");
        succeed(fuzz, target)?;
    }
    Ok(())
}

fn succeed(mut command: Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{what} cannot be started: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what}: {status}")) }
}

/// The triple of this machine, as the compiler names it.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output();
    let output = output.map_err(|e| format!("rustc cannot be started: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or("rustc does not say what it compiles for".into())
}

/// The repository's root; this package lies directly below it.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.and_then(|dir| dir.parent().map(Path::to_owned));
    root.unwrap_or_else(|| PathBuf::from("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_understood() {
        let parse = |line: &str| Request::parse(line.split_whitespace().map(str::to_owned));
        assert_eq!(parse("-- --seconds 5").unwrap().seconds, Some(5));
        assert_eq!(parse("--runs 7 --only gate").unwrap().only.as_deref(), Some("gate"));
        assert!(parse("--only door").is_err() && parse("--seconds").is_err());
    }
}
