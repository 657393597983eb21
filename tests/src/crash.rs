//! Power cuts at moments drawn from a seed: real daemons are killed over and over while they write,
//! receive and repair, and whatever they acknowledged must be there afterwards, as it was said.
//!
//! What counts as acknowledged stands in a [`Journal`] outside the node, flushed before the writer
//! goes on.

mod journal;

pub use journal::Journal;

use crate::cluster::{Cluster, Node, Patience};
use crate::random::Random;
use anyhow::{Context, Result, anyhow, ensure};
use fenbu::client::Route;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A node is killed at latest after this long.
const LIFE_MS_MAX: u64 = 400;
/// Writers at the node's socket at a time.
const WRITERS: u64 = 3;
/// Every so many writes of a writer is a change to its last record instead of a new one.
const EDIT_EVERY: u64 = 4;
/// Cycles one federation goes through before a new one takes its place: what is kept is looked
/// through after every cycle, so that a federation must not grow without end.
const FEDERATION_CYCLES: u64 = 25;

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub cycles: u64,
    /// No cycle begins later than this after the first.
    pub time_max: Duration,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    pub cycles: u64,
    /// Acknowledged, in all.
    pub writes: u64,
    pub lost: u64,
}

/// Who is killed while writes go on at one node and are received by the other.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Writing,
    /// Both, the one that receives first.
    Receiving,
    /// The one that writes, while it makes its documents again.
    Repairing,
}

/// Goes through the cycles with the `fenbu` command at `binary`.
///
/// # Errors
/// A daemon that does not come back, differs from its peer in the end, or raises an alarm. Lost
/// writes are counted and told on stderr.
pub fn run(binary: &Path, plan: &Plan) -> Result<Totals> {
    let (mut random, mut totals) = (Random::new(plan.seed), Totals::default());
    let end = Instant::now() + plan.time_max;
    while totals.cycles < plan.cycles && Instant::now() < end {
        let cycles = FEDERATION_CYCLES.min(plan.cycles - totals.cycles);
        federation(binary, &mut random, cycles, end, &mut totals)
            .with_context(|| format!("seed {}, cycle {}", plan.seed, totals.cycles))?;
        eprintln!(
            "{} cycles, {} writes, {} lost so far",
            totals.cycles, totals.writes, totals.lost
        );
    }
    Ok(totals)
}

fn federation(
    binary: &Path,
    random: &mut Random,
    cycles: u64,
    end: Instant,
    totals: &mut Totals,
) -> Result<()> {
    let mut cluster = Cluster::found(binary)?;
    cluster.join("alice", "lianyungang")?;
    let journal = Arc::new(Journal::create(&cluster.home().join("journal"))?);
    let done = (0..cycles).try_for_each(|cycle| {
        if Instant::now() >= end {
            return Ok(());
        }
        totals.cycles += 1;
        let victim = match cycle % 3 {
            0 => Victim::Writing,
            1 => Victim::Receiving,
            _ => Victim::Repairing,
        };
        self::cycle(&mut cluster, &journal, cycle, victim, random)?;
        totals.lost += lost(&cluster, "alice", &journal)?;
        Ok(())
    });
    let done = done.and_then(|()| finish(&cluster, &journal, totals));
    if done.is_err() {
        for name in ["alice", "head"] {
            eprintln!("--- the log of {name} ends ---\n{}", cluster.node(name).log_tail());
        }
    }
    done
}

/// Both nodes must agree in the end, and nobody may have found anything odd about the other.
fn finish(cluster: &Cluster, journal: &Journal, totals: &mut Totals) -> Result<()> {
    cluster.settle()?;
    totals.lost += lost(cluster, "head", journal)?;
    totals.writes += journal.acknowledged()?;
    for name in ["alice", "head"] {
        let status = cluster.node(name).status()?;
        ensure!(status["refused"] == 0 && status["alarms"] == json!([]), "{name}: {status}");
    }
    Ok(())
}

fn cycle(
    cluster: &mut Cluster,
    journal: &Arc<Journal>,
    cycle: u64,
    victim: Victim,
    random: &mut Random,
) -> Result<()> {
    let alice = cluster.node("alice");
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| write(alice, Arc::clone(journal), cycle, writer)).collect();
    let repair = matches!(victim, Victim::Repairing).then(|| repair(alice));
    if matches!(victim, Victim::Receiving) {
        std::thread::sleep(life(random));
        cluster.node_mut("head").kill()?;
    }
    std::thread::sleep(life(random));
    cluster.node_mut("alice").kill()?;
    for thread in writers.into_iter().chain(repair) {
        thread.join().map_err(|_| anyhow!("a writer panicked"))??;
    }
    cluster.node_mut("alice").start().context("alice after the kill")?;
    if matches!(victim, Victim::Receiving) {
        cluster.node_mut("head").start().context("head after the kill")?;
    }
    Ok(())
}

/// Writes posts, and changes to them, one after the other until the daemon is gone.
fn write(node: &Node, journal: Arc<Journal>, cycle: u64, writer: u64) -> JoinHandle<Result<()>> {
    let client = node.client();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut last: Option<String> = None;
        for n in 1u64.. {
            let title = format!("Cycle {cycle}, writer {writer}, post {n}");
            let body = json!({ "fields": { "title": title } });
            let edited = last.take().filter(|_| n.is_multiple_of(EDIT_EVERY));
            let answer = match &edited {
                Some(id) => {
                    journal.asks(id, &title)?;
                    runtime.block_on(client.patch(Route::new("topics").segment(id), &body))
                }
                None => runtime.block_on(client.post(Route::new("topics"), &body)),
            };
            // An error is the kill: this one was never acknowledged.
            let Ok(answer) = answer else { return Ok(()) };
            let id = match edited {
                Some(id) => id,
                None => answer["id"].as_str().context("no id")?.to_owned(),
            };
            journal.acknowledges(&id, &title)?;
            last = Some(id);
        }
        Ok(())
    })
}

/// Makes the documents again, over and over, until the daemon is gone.
fn repair(node: &Node) -> JoinHandle<Result<()>> {
    let client = node.client();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let repair = || runtime.block_on(client.post(Route::new("repair/documents"), &json!({})));
        // An error is the kill.
        while repair().is_ok() {}
        Ok(())
    })
}

/// How many acknowledged writes a node does not show as they were acknowledged. Readers may be a
/// moment behind a start, so a node is given that moment before anything counts as lost.
fn lost(cluster: &Cluster, name: &str, journal: &Journal) -> Result<u64> {
    let mut missing = Vec::new();
    let found = cluster.until(Patience::SETTLE, || {
        missing = journal.missing(&shown(cluster.node(name))?)?;
        ensure!(missing.is_empty(), "{name} lost {}: {:?}", missing.len(), missing.first());
        Ok(())
    });
    if let Err(error) = found {
        eprintln!("{error:#}");
        ensure!(!missing.is_empty(), "{error:#}");
    }
    Ok(missing.len() as u64)
}

/// Titles by id.
fn shown(node: &Node) -> Result<BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(node.lists("topics")?.iter().map(|p| (text(&p["id"]), text(&p["title"]))).collect())
}

/// How long a node lives before it is killed.
fn life(random: &mut Random) -> Duration {
    Duration::from_millis(random.below(LIFE_MS_MAX))
}
