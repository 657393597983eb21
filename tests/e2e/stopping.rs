//! Stopping in order, starting again, and waiting for a state.

use super::{refused, story};
use anyhow::ensure;
use serde_json::json;

#[test]
fn term_stops_cleanly_and_a_second_start_goes_on() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let post = cluster.node("alice").writes("posts", json!({"title": "Before"}))?;
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
        assert_eq!(cluster.node("alice").shows("posts", &post)?["fields"]["title"], "Before");
        cluster.node("alice").writes("posts", json!({"title": "After"}))?;
        cluster.node("alice").fenbu(&synced)?.ok()?;
        cluster.settle()?;
        assert_eq!(cluster.node("head").lists("posts")?.len(), 2);
        Ok(())
    });
}
