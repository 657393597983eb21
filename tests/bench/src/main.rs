//! fenbu, its peers and this machine's limits, measured side by side in one run.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/Cargo.toml -- --records 10000 --json
//! ```
//!
//! # What is measured
//!
//! The load is `fenbu::sample::workload`: a post of about 600 bytes of Chinese and three later edits.
//!
//! | group | metrics | what the clock covers |
//! |---|---|---|
//! | `bulk` | `bulk`, `bulk_bytes`, `bulk_cpu_*`, `bulk_rss_peak_*` | an empty node meets one with everything, until all is readable |
//! | `noop` | `noop`, `noop_bytes` | both are equal and meet again, until the joiner knows it |
//! | `delta` | `delta`, `delta_bytes` | 100 records were edited on one side meanwhile, until they show on the other |
//! | `live` | `live_p50`, `live_p99` | one edit, from before it is made until it shows on the other side |
//! | `write` | `write_1`, `write_64` | new records on a lone node, 1 and 64 in flight |
//! | `memory` | `rss_idle_*` | resident memory of both sides, two seconds after BULK |
//! | `floor` | `apply_save` | Automerge alone: no disk, no network |
//! | `limits` | `quinn`, `sqlite`, `fsync_*` | what this machine can do at all |
//!
//! fenbu's `bulk_stored` is when all entries were committed at the joiner but not yet all readable.
//! In BULK, NOOP and DELTA both processes run, with stores open and sockets bound, before the joiner
//! is let connect; that is where the clock starts.
//!
//! Every line says in `durable` what would have survived a power cut when the clock stopped; the
//! figures of two systems with different words there are not the same feat. `disk` says of each
//! system when it has its data written through to the disk. Bytes are both ways together; `bytes_are`
//! says at which layer they were counted, and fenbu's are given at two.
//!
//! At the end stands what fenbu aims at (`aims.rs`), each aim with what was reached in this run; an
//! aim whose figures were not asked for is not judged. With `--json` a line has either `system` and
//! `metric` or `aim`.
//!
//! # The systems
//!
//! `samod`, `subduction`, `iroh-docs` and `fenbu` are two processes each over loopback with their data
//! on disk. `automerge`, `quinn-raw`, `sqlite-raw` and `fsync` are floors and limits, one process each.
//!
//! What a record is differs. samod and fenbu move its history of four changes, and it is readable once
//! it is a document or a row; so does subduction, whose commits are applied to a document by the bench
//! as an application would; iroh-docs moves the current value. New records are one change for fenbu and
//! subduction, four for samod, a value for iroh-docs. fenbu and iroh-docs encrypt what they send.
//!
//! The text of the workload is put together from a list of clauses and compresses better than
//! people's prose: compare bytes with that in mind where one system compresses and another does not.
//!
//! Left out: automerge-repo and PouchDB need Node.js and Syncthing a Go build, none of which a Cargo
//! workspace can bring.
//!
//! A step that does not end within `--timeout-s` is reported with a null value and an `error`, and
//! what depends on it is not measured.

mod aims;
mod http;
mod load;
mod peer;
mod process;
mod report;
mod systems;
mod tcp;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use report::Report;

/// fenbu, its peers and this machine's limits, measured side by side
#[derive(Debug, Clone, Parser)]
pub struct Options {
    /// Records of workload W
    #[arg(long, default_value_t = 1000)]
    pub records: usize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which systems, in this order
    #[arg(long, value_delimiter = ',', default_values_t = systems::NAMES.map(String::from))]
    pub systems: Vec<String>,
    /// Which groups of metrics
    #[arg(long, value_delimiter = ',', default_values_t = systems::GROUPS.map(String::from))]
    pub metrics: Vec<String>,
    /// Each system is measured so often; medians are reported
    #[arg(long, default_value_t = 1)]
    pub runs: usize,
    /// fenbu: of so many records the creations come before their edits in the log; 0 for all of
    /// them, which is the hardest for a joiner
    #[arg(long, default_value_t = 0)]
    pub edits_after: usize,
    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
    /// The fenbu binary [default: built in the main workspace]
    #[arg(long)]
    pub fenbu: Option<PathBuf>,
    /// Where the systems keep their data; must be on a disk [default: target/data of the bench]
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// The longest any one step may take
    #[arg(long, default_value_t = 300)]
    pub timeout_s: u64,
    /// Leave data and logs behind
    #[arg(long)]
    pub keep: bool,
}

impl Options {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    pub fn wants(&self, group: &str) -> bool {
        self.metrics.iter().any(|m| m == group)
    }

    /// A new empty folder for one measurement.
    pub fn folder(&self, name: &str) -> anyhow::Result<tempfile::TempDir> {
        let root = self.dir.clone().unwrap_or_else(|| manifest_dir().join("target/data"));
        std::fs::create_dir_all(&root)?;
        let mut builder = tempfile::Builder::new();
        Ok(builder.prefix(name).disable_cleanup(self.keep).tempdir_in(root)?)
    }
}

/// Where the bench's own manifest is.
pub fn manifest_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn main() -> ExitCode {
    let mut args = std::env::args();
    if args.nth(1).as_deref() == Some(process::CHILD_COMMAND) {
        return ended(systems::run_child(&args.collect::<Vec<_>>()));
    }
    let options = Options::parse();
    ended(run(&options))
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    systems::check_names(options)?;
    let mut report = Report::new(options.records, options.json);
    for system in &options.systems {
        for run in 1..=options.runs.max(1) {
            eprintln!("{system}: run {run} of {}", options.runs.max(1));
            let outcome = systems::measure(system, options, &mut report);
            if let Err(error) = outcome {
                eprintln!("{system}: {error:#}");
                report.failed(&format!("{error:#}"));
                // What failed or took too long once does so again.
                break;
            }
        }
        report.finish(system, systems::disk_of(system));
    }
    report.close();
    Ok(())
}
