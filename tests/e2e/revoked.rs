//! A node is ended while some of its work is still on its way.

use super::{refused, story};
use anyhow::{Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience};
use serde_json::{Value, json};

/// Bob holds late work of Alice's that head office had not seen when it ended her node. What he has
/// built on counts, what nobody built on is listed for a person, and both nodes say the same.
#[test]
fn late_work_counts_where_somebody_built_on_it_and_is_listed_where_nobody_did() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let early = cluster.node("alice").writes("topics", json!({"title": "Early"}))?;
        cluster.settle()?;

        cluster.cut("head");
        cluster.apart("head", "alice")?;
        cluster.apart("head", "bob")?;
        let alice = cluster.node("alice");
        let taken_up = alice.writes("topics", json!({"title": "Late, and taken up"}))?;
        let alone = alice.writes("topics", json!({"title": "Late and alone"}))?;
        alice.edits("topics", &early, json!({"title": "Early, changed late"}))?;
        let bob = cluster.node("bob");
        cluster.until(Patience::SETTLE, || {
            ensure!(title(bob, &early)? == "Early, changed late", "bob lacks Alice's work");
            Ok(())
        })?;
        bob.edits("topics", &taken_up, json!({"brief": "Bob goes on."}))?;
        cluster.node_mut("alice").stop()?;

        let head = cluster.node("head");
        refused(&cluster.node("bob").fenbu(&["revoke", "alice"])?, 5, &["admin node"])?;
        refused(&head.fenbu(&["revoke", "nobody"])?, 1, &["no node is called 'nobody'"])?;
        refused(&head.fenbu(&["revoke", "head"])?, 1, &["cannot revoke itself"])?;
        let revoked = head.fenbu(&["revoke", "alice", "--json"])?;
        refused(&revoked, 0, &["\"logs_cut\": 1"])?;
        let revoked: Value = serde_json::from_str(&revoked.stdout)?;
        let directory: Value = serde_json::from_str(&head.fenbu(&["directory", "--json"])?.ok()?)?;
        let mut nodes = directory["nodes"].as_array().into_iter().flatten();
        let hers = nodes.find(|n| n["name"] == "alice").map(|n| n["revoked"].clone());
        assert_eq!(hers, Some(revoked["epoch"].clone()), "the keys that follow are other epochs");
        cluster.heal();
        agree(cluster)?;

        for name in ["head", "bob"] {
            let node = cluster.node(name);
            let shown = node.shows("topics", &taken_up)?;
            assert_eq!(shown["fields"]["title"], "Late, and taken up", "{name}");
            assert_eq!(shown["fields"]["brief"], "Bob goes on.", "{name}");
            assert_eq!(title(node, &early)?, "Early", "{name}");
            ensure!(node.shows("topics", &alone).is_err(), "{name} shows what nobody built on");
            let mut expected = [json!(alone), json!(early)];
            expected.sort_by_key(Value::to_string);
            assert_eq!(listed(node, &[], false)?, expected, "{name}");
            assert_eq!(listed(node, &[], true)?, [json!(taken_up)], "{name}: to be reviewed");
        }

        // Whoever has looked at what counts for Bob's sake says so, at his node.
        let head = cluster.node("head");
        refused(&head.fenbu(&["quarantine"])?, 0, &["past where its author's log was cut"])?;
        refused(&head.fenbu(&["quarantine", "--reviewed", &alone])?, 4, &["Nothing found"])?;
        refused(&head.fenbu(&["quarantine", "--reviewed", &taken_up[..9]])?, 0, &["1 entries"])?;
        ensure!(listed(head, &[], true)?.is_empty(), "it is still listed");
        assert_eq!(listed(head, &["--all"], true)?, [json!(taken_up)]);
        assert_eq!(listed(cluster.node("bob"), &[], true)?, [json!(taken_up)]);

        // Her node hears that it is ended, and is not let in.
        cluster.node_mut("alice").start()?;
        cluster.until(Patience::SETTLE, || {
            let alarm = cluster.node("alice").fenbu(&["peers"])?.stdout;
            ensure!(alarm.contains("revoked"), "{alarm}");
            Ok(())
        })
    });
}

/// Records of quarantined entries that count, or do not.
fn listed(node: &fenbu_tests::cluster::Node, more: &[&str], count: bool) -> Result<Vec<Value>> {
    let listed = node.fenbu(&[&["quarantine", "--json"], more].concat())?.ok()?;
    let listed: Value = serde_json::from_str(&listed)?;
    let items = listed["items"].as_array().into_iter().flatten();
    let mut ids: Vec<_> = items.filter(|i| i["counts"] == count).map(|i| i["id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    Ok(ids)
}

fn title(node: &fenbu_tests::cluster::Node, id: &str) -> Result<String> {
    Ok(node.shows("topics", id)?["fields"]["title"].as_str().unwrap_or_default().to_owned())
}

/// Waits until head office and Bob hold the same entries and have made the same documents of them.
fn agree(cluster: &Cluster) -> Result<()> {
    let told = |name: &str| {
        let status = cluster.node(name).status()?;
        let idle = status["materialising"] == false && status["epoch"].is_u64();
        let spaces = status["spaces"].as_array().cloned().unwrap_or_default();
        let federation = spaces.into_iter().find(|s| s["label"] == "federation");
        let digests = federation.map(|s| json!([s["log_digest"], s["state_digest"]]));
        Ok::<_, anyhow::Error>((idle, digests, status["epoch"].clone()))
    };
    cluster.until(Patience::SETTLE, || {
        let (head, bob) = (told("head")?, told("bob")?);
        ensure!(head.0 && bob.0, "still at work: {head:?} {bob:?}");
        ensure!(head == bob && head.1.is_some(), "{head:?} is not {bob:?}");
        Ok(())
    })
}
