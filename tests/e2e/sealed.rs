//! Carriers keep what they cannot read, and give it back to those who can.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_node::store::{SqliteStore, Store};
use fenbu_protocol::limits::RUN_BYTES_MAX;
use fenbu_protocol::log::Encoding;
use fenbu_tests::cluster::{Patience, database};
use serde_json::json;
use std::path::Path;

const SECRET: &str = "Wang-Hai-whom-only-his-unit-knows";
const PUBLIC: &str = "A-circular-for-everybody";

/// I8: no file of a carrier's folder holds the words, nor does any byte it serves to others.
#[test]
fn a_carrier_holds_no_readable_byte() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let alice = cluster.node("alice");
        let member = alice.writes("members", json!({"name": SECRET, "job": SECRET}))?;
        alice.edits("members", &member, json!({"education": SECRET}))?;
        alice.writes("topics", json!({"title": PUBLIC}))?;
        cluster.settle()?;
        for name in ["head", "alice"] {
            let shown = cluster.node(name).shows("members", &member)?;
            assert_eq!(shown["fields"]["name"], SECRET, "{name} reads it");
        }
        for name in ["head", "alice", "bob"] {
            // What stands only in the write-ahead log goes to the database.
            ensure!(cluster.node_mut(name).stop()? == 0);
        }

        // The way of looking finds what is there: readers have the words in plain.
        for name in ["head", "alice"] {
            ensure!(
                holds(&cluster.node(name).dir, SECRET)?,
                "{name} shows it and does not hold it"
            );
        }
        let bob = &cluster.node("bob").dir;
        ensure!(holds(bob, PUBLIC)?, "what every node reads is plain");
        ensure!(!holds(bob, SECRET)?, "bob holds what he may not read");

        // A run's bytes are what travels, under the transport's own encryption.
        let (mut entries, mut served) = (0, Vec::new());
        let mut store = SqliteStore::open(database(bob), &fenbu_node::views::specs())?;
        let reader = store.reader()?;
        for log in store.load()?.logs {
            let run = reader.run(log.log, 1, RUN_BYTES_MAX)?.context("a log has entries")?;
            served.extend_from_slice(run.as_bytes());
            for entry in run.entries().filter(|e| e.header.shape.kind.0 != 15) {
                assert_eq!(entry.header.shape.encoding, Encoding::SEALED);
                entries += 1;
            }
        }
        assert_eq!(entries, 2, "he carries both changes of the member");
        ensure!(contains(&served, PUBLIC) && !contains(&served, SECRET), "bob serves the words");
        Ok(())
    });
}

/// A unit's server burns. Its next one is another node, which gets the keys from the admin and the
/// records from a neighbour that never could read them.
#[test]
fn a_burnt_unit_comes_back_from_those_who_carried_it() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let alice = cluster.node("alice");
        let member = alice.writes("members", json!({"name": SECRET}))?;
        alice.edits("members", &member, json!({"job": "科长"}))?;
        cluster.settle()?;
        cluster.node_mut("alice").kill()?;
        std::fs::remove_dir_all(&cluster.node("alice").dir)?;

        // It joins, and before it starts head office is gone: only Bob is left to ask.
        let token = cluster.invite("lianyungang")?;
        cluster.join_with("phoenix", &token, |cluster| cluster.node_mut("head").kill())?;
        ensure!(cluster.node("bob").lists("members")?.is_empty(), "bob cannot read them");
        cluster.until(Patience::SETTLE, || {
            let shown = cluster.node("phoenix").shows("members", &member)?;
            ensure!(shown["fields"]["name"] == SECRET && shown["fields"]["job"] == "科长");
            Ok(())
        })?;
        let phoenix = cluster.node("phoenix");
        ensure!(phoenix.history("members", &member)?.len() == 2, "and its history");
        phoenix.edits("members", &member, json!({"job": "处长"}))?;

        // Head office reads what the new server writes.
        cluster.node_mut("head").start()?;
        cluster.until(Patience::SETTLE, || {
            let shown = cluster.node("head").shows("members", &member)?;
            ensure!(shown["fields"]["job"] == "处长", "{shown}");
            Ok(())
        })
    });
}

fn holds(dir: &Path, words: &str) -> Result<bool> {
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        // A socket holds nothing.
        if path.is_file() && contains(&std::fs::read(&path)?, words) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|w| w == words.as_bytes())
}
