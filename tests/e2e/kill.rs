//! Power cuts: what was acknowledged is there afterwards, and the node goes on by itself.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu::client::Route;
use fenbu_tests::cluster::Cluster;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CYCLES: u64 = 5;
/// A cycle is killed at latest after this long.
const LIFE_MS_MAX: u64 = 400;

#[test]
fn nothing_acknowledged_is_lost_to_kills_at_random_moments() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.subsec_nanos().into());
    eprintln!("moments drawn from seed {seed}");
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let journal = cluster.home().join("journal");
        let mut random = Random(seed | 1);
        for cycle in 0..CYCLES {
            let life = Duration::from_millis(random.next() % LIFE_MS_MAX);
            write_until_killed(cluster, &journal, cycle, life)?;
            cluster.node_mut("alice").start().with_context(|| format!("after kill {cycle}"))?;
            check_kept(cluster, "alice", &journal).with_context(|| format!("cycle {cycle}"))?;
        }
        ensure!(!acknowledged(&journal)?.is_empty(), "nothing was written before the kills");
        cluster.settle()?;
        check_kept(cluster, "head", &journal)?;
        let status = cluster.node("alice").status()?;
        ensure!(status["refused"] == 0 && status["alarms"] == json!([]), "{status}");
        Ok(())
    });
}

/// Writes posts one after the other, noting each in the journal once it is acknowledged, while
/// another hand kills the daemon.
fn write_until_killed(
    cluster: &mut Cluster,
    journal: &Path,
    cycle: u64,
    life: Duration,
) -> Result<()> {
    let client = cluster.node("alice").client();
    let mut notes = File::options().create(true).append(true).open(journal)?;
    let writer = std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for n in 0u64.. {
            let body = json!({"fields": {"title": format!("Cycle {cycle}, post {n}")}});
            // An error is the kill: this one was never acknowledged.
            let Ok(answer) = runtime.block_on(client.post(Route::new("posts"), &body)) else {
                return Ok(());
            };
            writeln!(notes, "{}", answer["id"].as_str().context("no id")?)?;
        }
        Ok(())
    });
    std::thread::sleep(life);
    cluster.node_mut("alice").kill()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
}

fn acknowledged(journal: &Path) -> Result<BTreeSet<String>> {
    Ok(std::fs::read_to_string(journal)?.lines().map(str::to_owned).collect())
}

fn check_kept(cluster: &Cluster, name: &str, journal: &Path) -> Result<()> {
    let listed = cluster.node(name).lists("posts")?;
    let kept: BTreeSet<String> =
        listed.iter().filter_map(|post| post["id"].as_str().map(str::to_owned)).collect();
    let lost: Vec<String> = acknowledged(journal)?.difference(&kept).cloned().collect();
    ensure!(lost.is_empty(), "{name} lost {} of what it acknowledged: {lost:?}", lost.len());
    Ok(())
}

/// Xorshift: the moments need no better.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
