//! A node's folder is copied whole, and both copies run.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Node, Patience};
use serde_json::{Value, json};

const NODES: [&str; 4] = ["head", "bob", "alice", "twin"];

/// Alice's folder is copied, its continuity file with it, and each copy writes where the other cannot see
/// it. All nodes end with one history of her log and the same records, what either copy wrote and what Bob
/// built on it is in them once, and everyone is told in words.
#[test]
fn two_copies_of_a_node_write_and_nothing_of_either_is_lost() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let alice = cluster.node("alice");
        let shared = alice.writes("topics", json!({"title": "Shared", "brief": "one two"}))?;
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        cluster.copy("alice", "twin")?;

        // The first is cut off, the second talks with everybody.
        cluster.cut("alice");
        cluster.node_mut("alice").start()?;
        cluster.node_mut("twin").start()?;
        let (alice, twin, bob) = (cluster.node("alice"), cluster.node("twin"), cluster.node("bob"));
        let first = alice.writes("topics", json!({"title": "By the first"}))?;
        alice.edits("topics", &shared, json!({"brief": "one two three"}))?;
        let second = twin.writes("topics", json!({"title": "By the second"}))?;
        twin.edits("topics", &shared, json!({"column": "culture"}))?;
        cluster.until(Patience::SETTLE, || {
            ensure!(bob.shows("topics", &shared)?["fields"]["column"] == "culture", "not yet");
            bob.shows("topics", &second).map(drop)
        })?;
        bob.edits("topics", &second, json!({"brief": "Bob goes on."}))?;
        bob.edits("topics", &shared, json!({"brief": "zero one two"}))?;

        cluster.heal();
        agree(cluster)?;
        for name in NODES {
            let node = cluster.node(name);
            let post =
                |id: &str| Ok::<_, anyhow::Error>(node.shows("topics", id)?["fields"].clone());
            assert_eq!(post(&first)?["title"], "By the first", "{name}");
            let of_second = post(&second)?;
            assert_eq!(of_second["title"], "By the second", "{name}");
            assert_eq!(of_second["brief"], "Bob goes on.", "{name}");
            let of_shared = post(&shared)?;
            assert_eq!(of_shared["column"], "culture", "{name}");
            assert_eq!(of_shared["brief"], "zero one two three", "{name}");
        }
        told_in_words(cluster)?;

        // Nothing is written anew a second time.
        let before =
            (changes(cluster.node("head"), &shared)?, changes(cluster.node("head"), &second)?);
        for name in NODES {
            cluster.node_mut(name).kill()?;
            cluster.node_mut(name).start()?;
        }
        cluster.node("alice").writes("topics", json!({"title": "And on"}))?;
        agree(cluster)?;
        let after =
            (changes(cluster.node("head"), &shared)?, changes(cluster.node("head"), &second)?);
        assert_eq!(before, after);
        Ok(())
    });
}

/// What `status`, `doctor` and `quarantine` say once it is settled.
fn told_in_words(cluster: &Cluster) -> Result<()> {
    let mut listed = 0;
    for name in NODES {
        let node = cluster.node(name);
        let status = node.status()?;
        let fork = &status["forks"][0];
        ensure!(fork["name"] == "alice" && fork["settled"] == true, "{name}: {status}");
        ensure!(!status["alarms"].to_string().contains("two histories"), "{name}: {status}");
        let answer: Value = serde_json::from_str(&node.fenbu(&["doctor", "--json"])?.stdout)?;
        let mut checks = answer["checks"].as_array().into_iter().flatten();
        let check = checks.find(|c| c["name"] == "forks").context("a check of forks")?;
        let said = check.to_string();
        ensure!(
            check["level"] == "note" && said.contains("'alice' signed two histories"),
            "{said}"
        );
        ensure!(said.contains("节点“alice”的日志"), "{said}");
        let own = ["alice", "twin"].contains(&name);
        let hint = if own { "a second copy of this node's folder" } else { "ask that unit" };
        ensure!(said.contains(hint), "{name}: {said}");
        let items = node.fenbu(&["quarantine", "--json"])?.ok()?;
        let items: Value = serde_json::from_str(&items)?;
        let items = items["items"].as_array().cloned().unwrap_or_default();
        listed += items.iter().filter(|i| i["why"] == "fork").count();
    }
    // Whoever held the branch that was lost keeps its two entries.
    ensure!(listed >= 2, "{listed} entries are listed");
    Ok(())
}

fn changes(node: &Node, id: &str) -> Result<usize> {
    Ok(node.history("topics", id)?.len())
}

/// Waits until all hold the same entries, have made the same documents of them, and have nothing left to do.
fn agree(cluster: &Cluster) -> Result<()> {
    let told = |name: &str| {
        let status = cluster.node(name).status()?;
        ensure!(status["materialising"] == false, "{name} still works");
        let forks = status["forks"].as_array().cloned().unwrap_or_default();
        ensure!(!forks.is_empty(), "{name} knows of no fork");
        ensure!(forks.iter().all(|f| f["settled"] == true), "{name}: {forks:?}");
        let space = cluster.node(name).space("federation")?;
        Ok::<_, anyhow::Error>(json!([space["log_digest"], space["state_digest"]]))
    };
    cluster.until(2 * Patience::SETTLE, || {
        let expected = told(NODES[0])?;
        for name in &NODES[1..] {
            let found = told(name)?;
            ensure!(found == expected, "{name}: {found}, not {expected}");
        }
        Ok(())
    })
}
