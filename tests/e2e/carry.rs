//! Two nodes that cannot reach each other, and one that reaches both.

use super::story;
use anyhow::ensure;
use serde_json::json;

#[test]
fn a_third_party_carries_what_it_cannot_read() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        cluster.settle()?;
        cluster.block("head", "alice");
        cluster.apart("head", "alice")?;

        let from_alice = cluster.node("alice").writes("members", json!({"name": "王海"}))?;
        let from_head = cluster.node("head").writes("topics", json!({"title": "Circular"}))?;
        cluster.settle()?;

        let head = cluster.node("head");
        ensure!(head.peer("alice")?["connected"] == false, "it went straight");
        assert_eq!(head.shows("members", &from_alice)?["fields"]["name"], "王海");
        ensure!(cluster.node("bob").lists("members")?.is_empty(), "bob only carries it");
        assert_eq!(
            cluster.node("alice").shows("topics", &from_head)?["fields"]["title"],
            "Circular"
        );

        // A change to what was carried finds its way too, and so it goes on after the mending.
        head.edits("members", &from_alice, json!({"job": "科长"}))?;
        cluster.settle()?;
        cluster.heal();
        cluster.until(fenbu_tests::cluster::Patience::SETTLE, || {
            ensure!(head.peer("alice")?["connected"] == true, "not linked again");
            Ok(())
        })?;
        let shown = cluster.node("alice").shows("members", &from_alice)?;
        assert_eq!(shown["fields"]["job"], "科长");
        Ok(())
    });
}
