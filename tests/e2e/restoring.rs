//! A disk that is older than what its node said: nothing is lost, and no place in a log is used twice.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu_node::store::{SqliteStore, Store};
use fenbu_protocol::id::{LogId, NodeId};
use fenbu_tests::cluster::{Cluster, Node, Patience, database};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn writes(node: &Node, title: &str) -> Result<String> {
    node.writes("topics", json!({ "title": title, "column": "news" }))
}

fn titles(node: &Node) -> Result<Vec<String>> {
    let posts = node.lists("topics")?;
    let mut titles: Vec<String> =
        posts.iter().map(|p| p["title"].as_str().unwrap_or_default().to_owned()).collect();
    titles.sort();
    Ok(titles)
}

/// The header hash at each place of an author's logs, as a stopped node holds them.
fn history(dir: &Path, author: &NodeId) -> Result<BTreeMap<(LogId, u64), [u8; 32]>> {
    let mut store = SqliteStore::open(database(dir), &fenbu_node::views::specs())?;
    let reader = store.reader()?;
    let mut places = BTreeMap::new();
    for log in store.load()?.logs.iter().filter(|log| log.opening.node == *author) {
        let mut next = 1;
        while let Some(run) = reader.run(log.log, next, 1 << 20)? {
            for entry in run.entries() {
                places.insert((log.log, entry.header.seq), entry.header.hash().0);
            }
            next = run.last() + 1;
        }
    }
    Ok(places)
}

fn same_state(cluster: &Cluster, nodes: &[&str]) -> Result<()> {
    cluster.settle()?;
    let digest = |name: &str| {
        Ok::<_, anyhow::Error>(cluster.node(name).space("federation")?["state_digest"].clone())
    };
    for name in &nodes[1..] {
        assert_eq!(digest(name)?, digest(nodes[0])?, "{name} and {} differ", nodes[0]);
    }
    Ok(())
}

fn node_id(node: &Node) -> Result<NodeId> {
    let status = node.status()?;
    serde_json::from_value(status["node"].clone()).context("a node has an id")
}

fn is_well(node: &Node, check: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(&node.fenbu(&["doctor", "--json"])?.stdout)?;
    let mut checks = answer["checks"].as_array().into_iter().flatten();
    checks.find(|c| c["name"] == check).cloned().with_context(|| format!("no {check}: {answer}"))
}

#[test]
fn a_backup_is_restored_and_what_came_after_it_comes_back() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let me = node_id(cluster.node("alice"))?;
        let shared = writes(cluster.node("alice"), "一")?;
        cluster.settle()?;
        let file = cluster.home().join("alice.backup");
        let file = file.to_str().context("a path is text")?.to_owned();
        let said = cluster.node("alice").fenbu(&["backup", &file])?;
        ensure!(said.code == 0 && said.stderr.contains("private key"), "{said:?}");
        refused(&cluster.node("alice").fenbu(&["backup", &file])?, 1, &["exists already"])?;

        // Later writes sync away, one of them an edit of what the backup holds.
        writes(cluster.node("alice"), "二")?;
        cluster.node("alice").edits("topics", &shared, json!({ "title": "一改" }))?;
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        let before = history(&cluster.node("alice").dir, &me)?;
        refused(&cluster.node("alice").fenbu(&["restore", &file])?, 1, &["already holds a node"])?;
        std::fs::remove_dir_all(&cluster.node("alice").dir)?;
        let said = cluster.node("alice").fenbu(&["restore", &file])?;
        ensure!(said.code == 0 && said.stderr.contains("Restored"), "{said:?}");

        // Offline it can be written to at once.
        cluster.cut("alice");
        cluster.node_mut("alice").start()?;
        assert_eq!(titles(cluster.node("alice"))?, ["一"]);
        writes(cluster.node("alice"), "三")?;
        cluster.node("alice").edits("topics", &shared, json!({ "column": "culture" }))?;
        let check = is_well(cluster.node("alice"), "continuity")?;
        ensure!(
            check["level"] == "warning" && check.to_string().contains("restored backup"),
            "{check}"
        );
        let status = cluster.node("alice").status()?;
        ensure!(status["incarnation"]["number"].as_u64() > Some(0), "{status}");
        cluster.heal();
        cluster.until(Patience::SETTLE, || {
            let found = titles(cluster.node("alice"))?;
            ensure!(found == ["一改", "三", "二"], "{found:?}");
            Ok(())
        })?;
        same_state(cluster, &["head", "alice"])?;
        let post = cluster.node("head").shows("topics", &shared)?;
        assert_eq!(
            (&post["fields"]["title"], &post["fields"]["column"]),
            (&json!("一改"), &json!("culture"))
        );
        let check = is_well(cluster.node("alice"), "continuity")?;
        ensure!(check["level"] == "note", "{check}");

        // No place was used twice: what peers held before stands, and both hold the same.
        ensure!(cluster.node_mut("alice").stop()? == 0 && cluster.node_mut("head").stop()? == 0);
        let after = history(&cluster.node("alice").dir, &me)?;
        assert_eq!(after, history(&cluster.node("head").dir, &me)?);
        ensure!(before.iter().all(|(place, hash)| after.get(place) == Some(hash)));
        assert_eq!(after.len(), before.len() + 2);
        Ok(())
    });
}

#[test]
fn one_backup_restored_twice_uses_no_place_twice() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        writes(cluster.node("alice"), "一")?;
        cluster.settle()?;
        let file = cluster.home().join("alice.backup");
        let file = file.to_str().context("a path is text")?.to_owned();
        cluster.node("alice").fenbu(&["backup", &file])?.ok()?;
        for title in ["二", "三"] {
            cluster.node_mut("alice").stop()?;
            std::fs::remove_dir_all(&cluster.node("alice").dir)?;
            cluster.node("alice").fenbu(&["restore", &file])?.ok()?;
            cluster.cut("alice");
            cluster.node_mut("alice").start()?;
            writes(cluster.node("alice"), title)?;
            cluster.heal();
            cluster.settle()?;
        }
        same_state(cluster, &["head", "alice"])?;
        assert_eq!(titles(cluster.node("head"))?, ["一", "三", "二"]);
        Ok(())
    });
}

/// Without `fenbu restore`: only the database is put back, by hand.
#[test]
fn a_database_put_back_by_hand_is_noticed() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        writes(cluster.node("alice"), "一")?;
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        let (old, now) = (cluster.home().join("old.db"), database(&cluster.node("alice").dir));
        std::fs::copy(&now, &old)?;
        cluster.node_mut("alice").start()?;
        writes(cluster.node("alice"), "二")?;
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        std::fs::copy(&old, &now)?;
        cluster.node_mut("alice").start()?;
        writes(cluster.node("alice"), "三")?;
        ensure!(cluster.node("alice").log_text().contains("writes on in new logs"));
        same_state(cluster, &["head", "alice"])?;
        assert_eq!(titles(cluster.node("head"))?, ["一", "三", "二"]);
        Ok(())
    });
}

/// Puts a file of a stopped node's database back to what it was, or worse.
type Loss = fn(&Path, &Path) -> std::io::Result<()>;

/// The database finds its nonce, and has lost what came after this very start: nothing but what is noted
/// beside it tells. Offline, before any peer could.
#[test]
fn a_database_that_lost_its_end_uses_no_place_twice() {
    let losses: [(&str, Loss); 4] = [
        ("its write-ahead log is gone", |wal, _| std::fs::remove_file(wal)),
        ("the log is cut", |wal, _| {
            let file = std::fs::File::options().write(true).open(wal)?;
            file.set_len(file.metadata()?.len().min(64 << 10))
        }),
        ("the log is zeros", |wal, _| {
            let length = std::fs::metadata(wal)?.len();
            std::fs::write(wal, vec![0; length as usize])
        }),
        ("an older copy lies in its place", |wal, old| {
            std::fs::remove_file(wal)?;
            std::fs::copy(old, wal.with_file_name("fenbu.db")).map(drop)
        }),
    ];
    for (what, lose) in losses {
        story(|cluster| {
            cluster.join("alice", "lianyungang")?;
            let me = node_id(cluster.node("alice"))?;
            writes(cluster.node("alice"), "一")?;
            cluster.settle()?;
            let database = database(&cluster.node("alice").dir);
            let (wal, old) = (database.with_file_name("fenbu.db-wal"), cluster.home().join("old"));
            // What this start wrote, its nonce among it, is in the database itself.
            let connection = rusqlite::Connection::open(&database)?;
            connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))?;
            drop(connection);
            std::fs::copy(&database, &old)?;
            for n in 0..30 {
                writes(cluster.node("alice"), &format!("后 {n}"))?;
            }
            cluster.settle()?;
            let before = cluster.node("head").lists("topics")?.len();
            cluster.node_mut("alice").kill()?;
            lose(&wal, &old)?;
            cluster.cut("alice");
            cluster.node_mut("alice").start()?;
            ensure!(titles(cluster.node("alice"))?.len() < before, "{what}: nothing was lost");
            writes(cluster.node("alice"), "三")?;
            let status = cluster.node("alice").status()?;
            ensure!(status["incarnation"]["number"].as_u64() > Some(0), "{what}: {status}");
            let check = is_well(cluster.node("alice"), "continuity")?;
            ensure!(check["level"] == "warning" && check.to_string().contains("lost"), "{check}");
            cluster.heal();
            cluster.until(Patience::SETTLE, || {
                let found = titles(cluster.node("alice"))?.len();
                ensure!(found == before + 1, "{what}: {found} of {}", before + 1);
                Ok(())
            })?;
            same_state(cluster, &["head", "alice"])?;
            let head = cluster.node("head").status()?;
            ensure!(head["alarms"].as_array().is_some_and(Vec::is_empty), "{what}: {head}");
            ensure!(
                cluster.node_mut("alice").stop()? == 0 && cluster.node_mut("head").stop()? == 0
            );
            let held = history(&cluster.node("alice").dir, &me)?;
            assert_eq!(held, history(&cluster.node("head").dir, &me)?, "{what}");
            Ok(())
        });
    }
}
