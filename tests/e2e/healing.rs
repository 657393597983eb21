//! Entries that rot on a disk: found before anybody needs them, fetched again, put in their place.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_node::store::{Inspected, SqliteStore, Store};
use fenbu_tests::cluster::{Cluster, Node, Patience, database};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::os::unix::fs::FileExt;

fn connection(node: &Node) -> Result<Connection> {
    let connection = Connection::open(database(&node.dir))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// Flips a bit in the middle of the first run of each log that holds so many entries.
fn rot(node: &Node) -> Result<usize> {
    let connection = connection(node)?;
    let mut found = connection.prepare("SELECT min(id), bytes FROM runs GROUP BY log_id")?;
    let runs = found.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let runs: Vec<(i64, Vec<u8>)> = runs.collect::<Result<_, _>>()?;
    for (id, mut bytes) in runs.iter().cloned() {
        let middle = bytes.len() - 5;
        bytes[middle] ^= 0x10;
        connection.execute("UPDATE runs SET bytes = ?1 WHERE id = ?2", (bytes, id))?;
    }
    Ok(runs.len())
}

/// What a stopped node lacks of what it claims to hold.
fn lacking(node: &Node) -> Result<Vec<(u64, u64)>> {
    let mut store = SqliteStore::open(database(&node.dir), &fenbu_node::views::specs())?;
    let (logs, reader) = (store.load()?.logs, store.reader()?);
    let mut damaged = Vec::new();
    for log in logs {
        let mut at = Inspected::default();
        while !at.done {
            at = reader.inspect(log.log, at, 1 << 10)?;
        }
        damaged.extend(at.damaged);
    }
    Ok(damaged)
}

fn check(node: &Node, args: &[&str], name: &str) -> Result<Value> {
    let answer = node.fenbu(args)?;
    let answer: Value = serde_json::from_str(&answer.stdout).context(answer.stderr)?;
    let mut checks = answer["checks"].as_array().into_iter().flatten();
    checks.find(|c| c["name"] == name).cloned().with_context(|| format!("no {name}: {answer}"))
}

/// Head office and Alice, each with posts of its own.
fn with_posts(cluster: &mut Cluster) -> Result<()> {
    cluster.join("alice", "lianyungang")?;
    for name in ["head", "alice"] {
        for n in 0..5 {
            cluster.node(name).writes("topics", json!({ "title": format!("{name} {n}") }))?;
        }
        cluster.node(name).writes("members", json!({ "name": "王海" }))?;
    }
    cluster.settle()
}

#[test]
fn rotten_entries_of_others_and_of_its_own_are_fetched_again() {
    story(|cluster| {
        with_posts(cluster)?;
        let posts = cluster.node("head").lists("topics")?.len();
        let rotten = rot(cluster.node("head"))?;
        ensure!(rotten >= 4, "{rotten}");
        // They may be back before it has answered.
        check(cluster.node("head"), &["doctor", "--deep", "--json"], "damage")?;
        let log = cluster.node("head").log_text();
        ensure!(log.matches("entries are damaged: fetching").count() == rotten, "{log}");
        cluster.until(Patience::SETTLE, || {
            let check = check(cluster.node("head"), &["doctor", "--json"], "damage")?;
            ensure!(check["ok"] == true, "{check}");
            Ok(())
        })?;
        let check = check(cluster.node("head"), &["doctor", "--deep", "--json"], "damage")?;
        ensure!(check.to_string().contains("no damage"), "{check}");
        // It writes on in its own log, and a newcomer gets all of it from here alone.
        cluster.node("head").writes("topics", json!({ "title": "after" }))?;
        let status = cluster.node("head").status()?;
        ensure!(status["incarnation"]["number"] == 0, "{status}");
        cluster.settle()?;
        cluster.cut("alice");
        cluster.join("bob", "yancheng")?;
        cluster.until(Patience::SETTLE, || {
            ensure!(cluster.node("bob").lists("topics")?.len() == posts + 1);
            Ok(())
        })?;
        cluster.node_mut("head").stop()?;
        assert_eq!(lacking(cluster.node("head"))?, []);
        Ok(())
    });
}

/// Whoever meets damage has it looked for; nobody need ask.
#[test]
fn a_peer_that_asks_for_rotten_entries_gets_them_once_they_are_whole() {
    story(|cluster| {
        with_posts(cluster)?;
        let posts = cluster.node("head").lists("topics")?.len();
        rot(cluster.node("head"))?;
        cluster.cut("alice");
        cluster.join("bob", "yancheng")?;
        // Head office has nobody to mend them from, and gives nobody what is rotten.
        cluster.until(Patience::SETTLE, || {
            let check = check(cluster.node("head"), &["doctor", "--json"], "damage")?;
            ensure!(
                check["ok"] == false && check.to_string().contains("cannot be read"),
                "{check}"
            );
            Ok(())
        })?;
        ensure!(cluster.node("bob").lists("topics")?.is_empty());
        ensure!(cluster.node("head").lists("topics")?.len() == posts, "reading goes on");
        cluster.heal();
        cluster.settle()?;
        ensure!(cluster.node("bob").lists("topics")?.len() == posts);
        for name in ["head", "bob"] {
            cluster.node_mut(name).stop()?;
            assert_eq!(lacking(cluster.node(name))?, [], "{name}");
        }
        Ok(())
    });
}

/// What no other node has is gone, and said to be; everything else goes on.
#[test]
fn entries_that_no_peer_has_are_named_and_hold_up_nothing_else() {
    story(|cluster| {
        with_posts(cluster)?;
        cluster.cut("alice");
        cluster.node("alice").writes("topics", json!({ "title": "here alone" }))?;
        // The newest run of each log, while the node is down: what its logs end in.
        cluster.node_mut("alice").stop()?;
        connection(cluster.node("alice"))?.execute(
            "UPDATE runs SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT max(id) FROM runs)",
            [],
        )?;
        cluster.node_mut("alice").start()?;
        let alice = cluster.node("alice");
        // Its place in the log may have been shown to somebody, so nothing is written there again.
        alice.writes("topics", json!({ "title": "afterwards" }))?;
        ensure!(alice.status()?["incarnation"]["number"].as_u64() > Some(0));
        ensure!(alice.lists("topics")?.len() == 12, "the record itself is whole");
        cluster.heal();
        cluster.until(Patience::SETTLE, || {
            let check = check(cluster.node("alice"), &["doctor", "--deep", "--json"], "damage")?;
            let said = check.to_string();
            ensure!(
                check["level"] == "error" && said.contains("no node that is connected"),
                "{check}"
            );
            let titles = cluster.node("head").lists("topics")?;
            ensure!(titles.iter().any(|p| p["title"] == "afterwards"), "{titles:?}");
            Ok(())
        })
    });
}

/// Overwrites pages of a database's file: every so many-th of those that hold runs and records.
fn tear(node: &Node, every: usize) -> Result<usize> {
    let path = database(&node.dir);
    let mut pages = Vec::new();
    {
        let connection = connection(node)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let mut found = connection.prepare(
            "SELECT pageno FROM dbstat WHERE name IN ('runs', 'documents')
             AND pagetype <> 'internal' ORDER BY pageno",
        )?;
        for page in found.query_map([], |row| row.get::<_, i64>(0))? {
            pages.push(page? as u64);
        }
    }
    let file = std::fs::File::options().write(true).open(&path)?;
    let torn: Vec<u64> = pages.into_iter().step_by(every).collect();
    for page in &torn {
        file.write_all_at(&[0xa5; 4096], (page - 1) * 4096)?;
    }
    file.sync_all()?;
    Ok(torn.len())
}

fn with_long_posts(cluster: &mut Cluster) -> Result<()> {
    cluster.join("alice", "lianyungang")?;
    for name in ["head", "alice"] {
        for n in 0..40 {
            let post =
                json!({ "title": format!("{name} {n}"), "brief": format!("{n} ").repeat(400) });
            cluster.node(name).writes("topics", post)?;
        }
    }
    cluster.settle()
}

/// All is there again, here and there, and it takes writes.
fn is_whole_again(cluster: &Cluster, posts: usize) -> Result<()> {
    cluster.until(Patience::SETTLE, || {
        let found = cluster.node("alice").lists("topics")?.len();
        ensure!(found == posts, "{found} of {posts}");
        let damage = check(cluster.node("alice"), &["doctor", "--deep", "--json"], "damage")?;
        ensure!(damage["ok"] == true, "{damage}");
        let store = check(cluster.node("alice"), &["doctor", "--json"], "store")?;
        ensure!(store["ok"] == true, "{store}");
        Ok(())
    })?;
    cluster.node("alice").writes("topics", json!({ "title": "afterwards" }))?;
    cluster.settle()?;
    let log = cluster.node("alice").log_text();
    ensure!(log.contains("the database was made anew"), "{}", cluster.node("alice").log_tail());
    let digest = |name: &str| {
        Ok::<_, anyhow::Error>(cluster.node(name).space("federation")?["state_digest"].clone())
    };
    assert_eq!(digest("head")?, digest("alice")?);
    let kept = std::fs::read_dir(&cluster.node("alice").dir)?;
    let kept = kept.filter(|entry| {
        entry
            .as_ref()
            .is_ok_and(|e| e.file_name().to_string_lossy().starts_with("fenbu.db.damaged-"))
    });
    ensure!(kept.count() >= 1, "the damaged file was thrown away");
    Ok(())
}

#[test]
fn pages_torn_under_a_running_daemon_are_noticed_and_the_database_made_anew() {
    story(|cluster| {
        with_long_posts(cluster)?;
        let alice = cluster.node("alice");
        ensure!(tear(alice, 3)? > 2);
        // It looks by itself, sooner or later; here somebody asks.
        let looked = alice.fenbu(&["doctor", "--deep"])?;
        ensure!(looked.code == 6, "{looked:?}");
        is_whole_again(cluster, 80)
    });
}

#[test]
fn pages_torn_while_it_was_down_are_noticed_by_itself() {
    story(|cluster| {
        with_long_posts(cluster)?;
        let alice = cluster.node_mut("alice");
        alice.stop()?;
        ensure!(tear(alice, 2)? > 2);
        alice.start()?;
        // A new post of head office, or of its own, meets them at the latest.
        cluster.node("head").writes("topics", json!({ "title": "news" }))?;
        is_whole_again(cluster, 81)
    });
}
