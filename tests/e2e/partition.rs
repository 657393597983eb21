//! Both sides of a cut go on; afterwards both are heard.

use super::story;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn edits_on_both_sides_of_a_cut_merge_and_titles_wait_for_a_person() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let body = "The rescue began at dawn.";
        let post =
            cluster.node("head").writes("topics", json!({"title": "Rescue", "brief": body}))?;
        cluster.settle()?;

        cluster.cut("alice");
        cluster.apart("head", "alice")?;
        let edit = |title: &str, body: &str| json!({"title": title, "brief": body});
        let (here, there) = (cluster.node("head"), cluster.node("alice"));
        here.edits("topics", &post, edit("Rescue at sea", "The sea rescue began at dawn."))?;
        there.edits("topics", &post, edit("Night rescue", "The rescue began at dawn, in fog."))?;
        assert_eq!(here.shows("topics", &post)?["fields"]["title"], "Rescue at sea");
        cluster.heal();
        cluster.settle()?;

        let shown = here.shows("topics", &post)?;
        assert_eq!(shown, without_safety(&there.shows("topics", &post)?, &shown));
        assert_eq!(shown["fields"]["brief"], "The sea rescue began at dawn, in fog.");
        let competing = shown["conflicts"]["title"].as_array().context("the titles compete")?;
        let told: BTreeSet<(&str, &str)> = competing
            .iter()
            .filter_map(|c| Some((c["value"].as_str()?, c["node_name"].as_str()?)))
            .collect();
        assert_eq!(told, BTreeSet::from([("Rescue at sea", "head"), ("Night rescue", "alice")]));
        let page = there.fenbu(&["topic", "show", &post])?.ok()?;
        ensure!(page.contains("Rescue at sea") && page.contains("Night rescue"), "{page}");

        who_changed_what(&there.history("topics", &post)?)?;

        // Whoever sets the field has settled the conflict, on every node.
        there.fenbu(&["topic", "edit", &post, "--title", "Night rescue at sea"])?.ok()?;
        cluster.settle()?;
        for name in ["head", "alice"] {
            let shown = cluster.node(name).shows("topics", &post)?;
            assert_eq!(shown["fields"]["title"], "Night rescue at sea");
            ensure!(shown["conflicts"]["title"].is_null(), "{shown}");
        }
        Ok(())
    });
}

/// The record with the other's count of safe copies, which each node keeps for its own log.
fn without_safety(record: &Value, other: &Value) -> Value {
    let mut record = record.clone();
    record["safe_on"] = other["safe_on"].clone();
    record
}

fn who_changed_what(history: &[Value]) -> Result<()> {
    let items: Vec<(&str, &str, BTreeSet<&str>)> = history
        .iter()
        .map(|item| {
            let fields = item["changes"].as_array().context("a change has fields")?;
            let fields = fields.iter().filter_map(|c| c["field"].as_str()).collect();
            let name = item["node_name"].as_str().context("a change has a node")?;
            Ok((name, item["unit"].as_str().unwrap_or_default(), fields))
        })
        .collect::<Result<_>>()?;
    assert_eq!(items.len(), 3, "{history:?}");
    assert_eq!(items[0].0, "head", "the oldest first");
    let both = BTreeSet::from(["title", "brief"]);
    for (node, unit) in [("head", "head"), ("alice", "lianyungang")] {
        ensure!(items[1..].contains(&(node, unit, both.clone())), "{node}: {items:?}");
    }
    Ok(())
}
