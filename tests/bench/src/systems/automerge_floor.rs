//! Automerge alone: the changes of each record applied to an empty document and saved, on all cores.
//!
//! No network, no disk, nothing checked and nothing kept: what any peer made of Automerge documents
//! must at least spend.

use anyhow::Result;
use automerge::{Automerge, Change};
use serde_json::json;

use crate::Options;
use crate::load::{Load, document};
use crate::peer::Span;
use crate::process::{now_ns, usage};
use crate::report::Report;

pub fn measure(options: &Options, report: &mut Report) -> Result<()> {
    let load = Load { seed: options.seed, records: options.records };
    let mut records: Vec<Vec<Change>> = Vec::with_capacity(load.records);
    for record in load.iter() {
        records.push(document(&record)?.get_changes(&[]));
    }
    let raw: usize = records.iter().flatten().map(|c| c.raw_bytes().len()).sum();
    let cores = std::thread::available_parallelism()?.get();
    let share = records.len().div_ceil(cores);
    let cpu_before = usage(std::process::id())?.cpu_s;
    let from_ns = now_ns();
    let saved: Result<Vec<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            records.chunks(share).map(|part| scope.spawn(move || apply_and_save(part))).collect();
        threads
            .into_iter()
            .map(|t| t.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            .collect()
    });
    let saved: usize = saved?.iter().sum();
    let seconds = Span::since(from_ns).seconds();
    let cpu = usage(std::process::id())?.cpu_s - cpu_before;
    let extra = json!({
        "durable": "nothing: memory only",
        "cores": cores,
        "cpu_s": cpu,
        "raw_bytes_per_record": raw / load.records,
        "saved_bytes_per_record": saved / load.records,
    });
    report.add("apply_save", seconds, "s", extra);
    Ok(())
}

fn apply_and_save(records: &[Vec<Change>]) -> Result<usize> {
    let mut saved = 0;
    for changes in records {
        let mut doc = Automerge::new();
        doc.apply_changes(changes.iter().cloned())?;
        saved += doc.save().len();
    }
    Ok(saved)
}
