//! A node that was away for a while, and what it costs to come back.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience};
use serde_json::json;

/// What a link to a peer with nothing new may move, both directions together.
const RECONNECT_STREAM_BYTES_MAX: u64 = 300;

#[test]
fn a_stopped_node_catches_up_and_an_idle_one_costs_next_to_nothing() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.node_mut("alice").stop()?;
        let head = cluster.node("head");
        let mut posts = Vec::new();
        for n in 0..40 {
            posts.push(head.writes("topics", json!({"title": format!("Post {n}")}))?);
        }
        cluster.node_mut("alice").start()?;
        cluster.settle()?;
        let mut there = Vec::new();
        for item in cluster.node("alice").lists("topics")? {
            there.push(item["id"].as_str().context("a listed post has an id")?.to_owned());
        }
        there.sort();
        posts.sort();
        assert_eq!(there, posts);

        reconnects_cheaply(cluster, "after a restart", |cluster| {
            cluster.node_mut("alice").stop()?;
            cluster.node_mut("alice").start()
        })?;
        reconnects_cheaply(cluster, "after a cut", |cluster| {
            cluster.cut("alice");
            cluster.apart("head", "alice")?;
            cluster.heal();
            Ok(())
        })
    });
}

/// Both may dial at the same moment; then two links greet before one is closed, and each may cost
/// what one may.
fn reconnects_cheaply(
    cluster: &mut Cluster,
    when: &str,
    away_and_back: impl FnOnce(&mut Cluster) -> Result<()>,
) -> Result<()> {
    let (before, links_before) = (wait_for_quiet(cluster)?, links(cluster));
    away_and_back(cluster)?;
    cluster.until(Patience::SETTLE, || {
        ensure!(cluster.node("head").peer("alice")?["connected"] == true, "not linked again");
        Ok(())
    })?;
    let cost = wait_for_quiet(cluster)? - before;
    let links = links(cluster) - links_before;
    ensure!(links > 0 && cost > 0, "{when}: no new link, {cost} bytes");
    let max = RECONNECT_STREAM_BYTES_MAX * links;
    ensure!(cost < max, "{when}: {cost} stream bytes over {links} links");
    Ok(())
}

/// Links of head office that came so far as a greeting.
fn links(cluster: &Cluster) -> u64 {
    cluster.node("head").log_text().matches(" linked peer=").count() as u64
}

/// Stream bytes between the two so far, once no more come for a while.
fn wait_for_quiet(cluster: &Cluster) -> Result<u64> {
    cluster.settle()?;
    let moved = || {
        let status = cluster.node("head").status()?;
        let count = |field: &str| status[field].as_u64().with_context(|| field.to_owned());
        Ok::<_, anyhow::Error>(count("bytes_sent")? + count("bytes_received")?)
    };
    let mut last = moved()?;
    let mut quiet_looks = 0;
    cluster.until(Patience::SETTLE, || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = moved()?;
        quiet_looks = if now == last { quiet_looks + 1 } else { 0 };
        last = now;
        ensure!(quiet_looks >= 10, "bytes still move");
        Ok(())
    })?;
    Ok(last)
}
