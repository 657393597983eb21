//! Whoever follows a node's changes sees every record's last state, whatever is killed in between.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Rounds of writing, each with a kill of the follower or of the node it follows.
const ROUNDS: u64 = 12;
const TOPICS: u64 = 6;

/// An outside system: it keeps what it was told, and how far it has come, and nothing else.
#[derive(Default)]
struct Outside {
    cursor: Option<String>,
    records: BTreeMap<String, Value>,
}

impl Outside {
    fn follow(&self, cluster: &Cluster) -> Result<Child> {
        let mut args = vec!["changes", "--kind", "topic", "--follow"];
        if let Some(cursor) = &self.cursor {
            args.extend(["--after", cursor]);
        }
        let mut command = cluster.node("head").command(&args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    /// Takes up at most so many lines; the rest is lost with the follower.
    fn read(&mut self, follower: &mut Child, lines: usize) -> Result<()> {
        let out = follower.stdout.take().context("a follower writes")?;
        for line in BufReader::new(out).lines().take(lines) {
            // One that was cut in two by a kill is no line.
            let Ok(line) = serde_json::from_str::<Value>(&line?) else { break };
            self.take(&line);
        }
        Ok(())
    }

    fn take(&mut self, line: &Value) {
        if line["reset"] == true {
            self.records.clear();
        }
        if let Some(id) = line["id"].as_str() {
            match line["gone"] == true {
                true => self.records.remove(id),
                false => self.records.insert(id.to_owned(), line["record"].clone()),
            };
        }
        let place = line["cursor"].as_str().or(line["next"].as_str());
        self.cursor = place.map(str::to_owned).or(self.cursor.take());
    }

    /// All there is, from where it stopped.
    fn catch_up(&mut self, cluster: &Cluster) -> Result<()> {
        let mut args = vec!["changes", "--kind", "topic"];
        let cursor = self.cursor.clone();
        if let Some(cursor) = &cursor {
            args.extend(["--after", cursor]);
        }
        let told = cluster.node("head").fenbu(&args)?.ok()?;
        for line in told.lines() {
            self.take(&serde_json::from_str(line)?);
        }
        Ok(())
    }
}

/// Splitmix64: moments and places that differ from run to run and are told.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn a_follower_killed_at_random_sees_every_records_last_state() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.subsec_nanos().into());
    eprintln!("moments drawn from seed {seed}");
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let mut chance = Chance(seed);
        let mut outside = Outside::default();
        let mut topics = Vec::new();
        for i in 0..TOPICS {
            let fields = json!({ "title": format!("topic {i}"), "column": "news" });
            topics.push(cluster.node("head").writes("topics", fields)?);
        }
        cluster.settle()?;
        for round in 0..ROUNDS {
            let mut follower = outside.follow(cluster)?;
            write(cluster, &topics, round, &mut chance)?;
            if chance.below(3) == 0 {
                cluster.node_mut("head").kill()?;
                cluster.node_mut("head").start()?;
            }
            // Until what comes next is sure to have been told, or less.
            let lines = 1 + chance.below(3);
            outside.read_then_kill(&mut follower, lines as usize)?;
        }
        cluster.settle()?;
        cluster.until(Patience::SETTLE, || {
            outside.catch_up(cluster)?;
            let mut expected = BTreeMap::new();
            for record in cluster.node("head").lists("topics")? {
                expected.insert(record["id"].as_str().unwrap_or_default().to_owned(), record);
            }
            ensure!(expected.len() == topics.len() + ROUNDS as usize, "topics are missing");
            ensure!(outside.records == expected, "{:?}\n{expected:?}", outside.records);
            Ok(())
        })
    });
}

impl Outside {
    fn read_then_kill(&mut self, follower: &mut Child, lines: usize) -> Result<()> {
        // The line that ends the first look always comes, unless the node was killed under it.
        let read = self.read(follower, lines);
        follower.kill()?;
        follower.wait()?;
        read
    }
}

/// Both nodes write: a new topic here, and edits of old ones on either side.
fn write(cluster: &Cluster, topics: &[String], round: u64, chance: &mut Chance) -> Result<()> {
    for edit in 0..3 {
        let name = if chance.below(2) == 0 { "head" } else { "alice" };
        let topic = &topics[chance.below(TOPICS) as usize];
        let title = format!("round {round}, edit {edit} of {name}");
        cluster.node(name).edits("topics", topic, json!({ "title": title }))?;
    }
    let fields = json!({ "title": format!("round {round}"), "column": "news" });
    cluster.node("head").writes("topics", fields).map(drop)
}
