//! Three honest nodes, one of which is attacked, and what the others notice of it.

use super::{Adversary, Attack, Tally};
use crate::cluster::{Cluster, Patience, log_digests};
use anyhow::{Context, Result, bail, ensure};
use fenbu_protocol::id::{NodeId, unhex};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The honest nodes; the last is attacked.
const NODES: [&str; 3] = ["head", "bob", "alice"];
const ATTACKED: &str = "alice";
/// Patience with a slow frame, so that it runs out within a test.
const SETTINGS: [(&str, &str); 1] = [("FENBU_TRANSPORT_FRAME_PATIENCE_MS", "2000")];

/// What an attack did, and what it cost.
#[derive(Debug, Clone)]
pub struct Report {
    pub attack: Attack,
    pub tally: Tally,
    /// From an edit at one node to its showing at the attacked one, ascending.
    pub edits: Vec<Duration>,
    /// The most memory the attacked daemon has had resident so far, in bytes.
    pub resident_peak: u64,
    /// What the attacked node says it refused the adversary.
    pub refused: Value,
}

/// A federation under attack.
#[derive(Debug)]
pub struct Arena {
    cluster: Cluster,
    eve: Arc<Adversary>,
    /// The adversary's own, so that it takes nothing from those who watch.
    runtime: Runtime,
    /// The topic that is edited while the attack goes on.
    topic: String,
    topics: BTreeSet<String>,
    edits: u64,
}

impl Arena {
    /// Founds a federation with the command at `binary`, and lets the adversary join it.
    pub fn open(binary: impl AsRef<Path>) -> Result<Self> {
        let mut cluster = Cluster::found_with(binary, &SETTINGS)?;
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let topic = cluster.node("head").writes("topics", json!({ "title": "0" }))?;
        cluster.settle()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let token = cluster.invite("yancheng")?;
        let attacked = cluster.node(ATTACKED);
        let node = attacked.status()?["node"].as_str().context("a node has an id")?.to_owned();
        let node = NodeId(unhex::<32>(&node).map_err(|e| anyhow::anyhow!("{node}: {e}"))?);
        let eve = runtime.block_on(Adversary::join(&token, node, attacked.listen))?;
        let epoch = eve.directory.epoch();
        cluster.until(Patience::SETTLE, || {
            let found = cluster.node(ATTACKED).status()?["epoch"].as_u64();
            ensure!(found >= Some(epoch), "{ATTACKED} has not heard of the adversary");
            Ok(())
        })?;
        let topics = BTreeSet::from([topic.clone()]);
        Ok(Self { cluster, eve: Arc::new(eve), runtime, topic, topics, edits: 0 })
    }

    /// Attacks for so long, while the honest nodes go on with their work.
    pub fn under(&mut self, attack: Attack, time: Duration) -> Result<Report> {
        let eve = Arc::clone(&self.eve);
        let attacking = self.runtime.spawn(async move { attack.run(&eve, time).await });
        let end = Instant::now() + time;
        let mut edits = Vec::new();
        while Instant::now() < end || edits.is_empty() {
            let took = self.edit().with_context(|| format!("under attack by {}", attack.name()))?;
            edits.push(took);
        }
        let tally = self.runtime.block_on(attacking)?;
        edits.sort_unstable();
        let attacked = self.cluster.node(ATTACKED);
        Ok(Report {
            attack,
            tally,
            edits,
            resident_peak: attacked.resident_peak_bytes()?,
            refused: attacked.peer("eve")?,
        })
    }

    /// An edit at one of the others, until the attacked node shows it.
    fn edit(&mut self) -> Result<Duration> {
        self.edits += 1;
        let title = self.edits.to_string();
        let at = NODES[self.edits as usize % 2];
        let began = Instant::now();
        self.cluster.node(at).edits("topics", &self.topic, json!({ "title": title }))?;
        let took = self.shown(ATTACKED, &title, began)?;
        // Whoever writes next has seen this one: two edits side by side would be a conflict, and show
        // one of them.
        for name in NODES {
            self.shown(name, &title, began)?;
        }
        Ok(took)
    }

    /// Waits until a node shows the title; how long that is after `began`.
    fn shown(&self, name: &str, title: &str, began: Instant) -> Result<Duration> {
        loop {
            let shown = self.cluster.node(name).shows("topics", &self.topic)?;
            if shown["fields"]["title"] == title {
                return Ok(began.elapsed());
            }
            ensure!(
                began.elapsed() < Patience::SETTLE,
                "{name} does not show '{title}'\n{}",
                self.cluster.node(name).log_tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Something new at the attacked node reaches the others.
    pub fn write(&mut self) -> Result<()> {
        let fields = json!({ "title": "written under attack" });
        self.topics.insert(self.cluster.node(ATTACKED).writes("topics", fields)?);
        Ok(())
    }

    /// Waits until the honest nodes agree on everything, and checks that nothing of the adversary's
    /// counts.
    pub fn levels(&self) -> Result<()> {
        self.cluster.until(Patience::SETTLE, || {
            let mut states = BTreeMap::new();
            for name in NODES {
                let status = self.cluster.node(name).status()?;
                ensure!(status["materialising"] == false, "{name} still works entries in");
                states.insert(name, (log_digests(&status), state_digests(&status)));
            }
            let Some(first) = states.values().next() else { bail!("no node runs") };
            ensure!(states.values().all(|s| s == first), "the digests differ: {states:?}");
            Ok(())
        })?;
        for name in NODES {
            let shown = self.cluster.node(name).lists("topics")?;
            let ids = shown.iter().filter_map(|p| p["id"].as_str().map(str::to_owned));
            let ids: BTreeSet<String> = ids.collect();
            ensure!(ids == self.topics, "{name} shows {ids:?}, not {:?}", self.topics);
        }
        Ok(())
    }

    /// What the attacked node says of itself.
    pub fn doctor(&self) -> Result<Value> {
        self.cluster.node(ATTACKED).get(fenbu::client::Route::new("doctor"))
    }

    pub fn status(&self) -> Result<Value> {
        self.cluster.node(ATTACKED).status()
    }
}

/// The state digest of each space by label, of those a node reads; every node reads the federation's.
fn state_digests(status: &Value) -> BTreeMap<String, Value> {
    let spaces = status["spaces"].as_array().into_iter().flatten();
    let shared = spaces.filter(|s| s["label"] == "federation");
    shared.map(|s| (s["label"].to_string(), s["state_digest"].clone())).collect()
}
