//! Stopping in order, starting again, and waiting for a state.

use super::{refused, story};
use anyhow::ensure;
use fenbu_tests::cluster::{Patience, database};
use serde_json::json;

#[test]
fn term_stops_cleanly_and_a_second_start_goes_on() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let post = cluster.node("alice").writes("topics", json!({"title": "Before"}))?;
        let synced = ["status", "--wait", "synced", "--timeout", "20s"];
        for name in ["alice", "head"] {
            cluster.node(name).fenbu(&synced)?.ok()?;
        }

        assert_eq!(cluster.node_mut("alice").stop()?, 0);
        let alice = cluster.node("alice");
        ensure!(!alice.dir.join("node.sock").exists(), "the socket is left behind");
        ensure!(!alice.dir.join("fenbu.db-wal").exists(), "the database was not closed");
        refused(&alice.fenbu(&["status"])?, 3, &["is not running", "fenbu node run --dir"])?;

        // Alone, head office cannot say that it is synced.
        cluster.apart("head", "alice")?;
        let alone = ["status", "--wait", "synced", "--timeout", "1s"];
        refused(
            &cluster.node("head").fenbu(&alone)?,
            7,
            &["not there after 1s", "no other node is connected", "fenbu peers"],
        )?;

        cluster.node_mut("alice").start()?;
        assert_eq!(cluster.node("alice").shows("topics", &post)?["fields"]["title"], "Before");
        cluster.node("alice").writes("topics", json!({"title": "After"}))?;
        cluster.node("alice").fenbu(&synced)?.ok()?;
        cluster.settle()?;
        assert_eq!(cluster.node("head").lists("topics")?.len(), 2);
        Ok(())
    });
}

#[test]
fn the_log_follows_the_settings_file_and_is_plain_outside_a_terminal() {
    story(|cluster| {
        cluster.node_mut("head").stop()?;
        let head = cluster.node("head");
        let said = head.log_tail();
        ensure!(said.contains("stopping") && !said.contains('\x1b'), "{said:?}");
        let path = head.dir.join("fenbu.toml");
        let settings = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("log_format = \"json\"\n{settings}"))?;
        cluster.node_mut("head").start()?;
        cluster.node_mut("head").stop()?;
        let said = cluster.node("head").log_tail();
        let last = said.lines().last().unwrap_or_default();
        ensure!(serde_json::from_str::<serde_json::Value>(last).is_ok(), "no JSON: {last}");
        Ok(())
    });
}

#[test]
fn no_figures_are_made_while_the_views_are_filled_and_a_stop_does_not_wait_for_that() {
    story(|cluster| {
        let meeting = json!({"kind": "general", "branch": "head-1", "status": "held",
            "start": "2018-08-01T14:00:00+08:00"});
        let tree = json!({"code": "head-1", "name": "第一党支部", "unit": "head"});
        cluster.node("head").writes("branches", tree)?;
        cluster.node("head").writes("meetings", meeting)?;
        let matrix = ["report", "matrix", "--period", "2018-Q3", "-o", "csv"];
        let before = cluster.node("head").fenbu(&matrix)?.ok()?;
        ensure!(before.contains("head-1,"), "{before}");

        // As after an upgrade that brings other columns; below the floor of free space nothing can be filled.
        cluster.node_mut("head").stop()?;
        let emptied = "DELETE FROM view_meetings; UPDATE views SET complete = 0";
        rusqlite::Connection::open(database(&cluster.node("head").dir))?.execute_batch(emptied)?;
        cluster.node_mut("head").set("FENBU_STORE_FREE_BYTES_MIN", &(1u64 << 40).to_string());
        cluster.node_mut("head").start()?;
        let head = cluster.node("head");
        let said = ["the lists are being filled again after an upgrade"];
        refused(&head.fenbu(&matrix)?, 1, &said)?;
        refused(&head.fenbu(&["report", "seal", "matrix", "--period", "2018-Q3"])?, 1, &said)?;
        assert_eq!(cluster.node_mut("head").stop()?, 0);

        cluster.node_mut("head").set("FENBU_STORE_FREE_BYTES_MIN", "0");
        cluster.node_mut("head").start()?;
        cluster.until(Patience::SETTLE, || {
            let now = cluster.node("head").fenbu(&matrix)?.ok()?;
            ensure!(now == before, "{now} is not {before}");
            Ok(())
        })
    });
}
