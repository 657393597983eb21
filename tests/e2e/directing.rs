//! Changing the directory: spaces and their rights, the admin node, and a directory that forked.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Node, Patience};
use serde_json::{Value, json};
use std::path::Path;

fn directory(node: &Node) -> Result<Value> {
    Ok(serde_json::from_str(&node.fenbu(&["directory", "--json"])?.ok()?)?)
}

fn space(node: &Node, label: &str) -> Result<Value> {
    Ok(serde_json::from_str(&node.fenbu(&["space", "show", label, "--json"])?.ok()?)?)
}

/// Waits until these nodes have one directory, and returns it.
fn one_directory(cluster: &Cluster, nodes: &[&str]) -> Result<Value> {
    cluster.until(Patience::SETTLE, || {
        let first = directory(cluster.node(nodes[0]))?;
        for name in &nodes[1..] {
            let other = directory(cluster.node(name))?;
            ensure!(first["head"] == other["head"], "{first} is not {other}");
        }
        Ok(())
    })?;
    directory(cluster.node(nodes[0]))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is text")
}

#[test]
fn rights_are_given_at_once_and_taken_when_that_is_confirmed() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let head = cluster.node("head");
        let made = head.fenbu(&["space", "define", "task-2018", "--unit", "yancheng"])?;
        refused(&made, 0, &["Done, at epoch"])?;
        let task = space(head, "task-2018")?;
        assert_eq!(task["readers"], json!(["yancheng", "head"]));
        assert_eq!((&task["template"], &task["key_epoch"]), (&json!("temporary"), &json!(1)));
        refused(&head.fenbu(&["space", "list"])?, 0, &["task-2018", "lianyungang"])?;

        let refusals: [(&[&str], i32, &str); 8] = [
            (&["define", "task-2018", "--unit", "head"], 1, "there is a space 'task-2018' already"),
            (&["define", "x", "--unit", "nowhere"], 1, "there is no unit 'nowhere'"),
            (&["define", "x"], 1, "give --unit"),
            (&["define", "x", "--template", "unit", "--unit", "head"], 1, "space of its own"),
            (&["set", "x", "--readers", "all"], 4, "there is no space 'x'"),
            (&["set", "task-2018", "--readers", "none"], 1, "somebody must read"),
            (&["set", "task-2018"], 2, "nothing to change"),
            (&["limits", "task-2018", "--bytes", "3 apples"], 2, "is no size"),
        ];
        for (args, code, said) in refusals {
            let ended = head.fenbu(&[&["space"], args].concat())?;
            refused(&ended, code, &[said]).with_context(|| format!("{args:?}"))?;
        }
        let at_bob = cluster.node("bob").fenbu(&["space", "define", "x", "--unit", "yancheng"])?;
        refused(&at_bob, 5, &["only the admin node 'head'"])?;

        // Giving needs no confirmation, and the new reader gets the key.
        let given = head.fenbu(&["space", "set", "task-2018", "--readers", "all"])?;
        refused(&given, 0, &["Done"])?;
        assert_eq!(space(head, "task-2018")?["key_holders"].as_array().map(Vec::len), Some(3));

        let early = cluster.node("alice").writes("members", json!({"name": "王海"}))?;
        cluster.settle()?;
        let epoch = directory(cluster.node("head"))?["epoch"].clone();
        let take = ["space", "set", "lianyungang", "--readers", "head", "--writers", "head"];
        let shown = ["Reads no more", "Writes no more", "Logs cut"];
        let head = cluster.node("head");
        refused(&head.fenbu(&take)?, 2, &[&shown[..], &["was not confirmed", "--yes"]].concat())?;
        refused(&head.fenbu(&[&take[..], &["--dry-run"]].concat())?, 0, &shown)?;
        assert_eq!(directory(head)?["epoch"], epoch, "nothing was done");
        refused(&head.fenbu(&[&take[..], &["--yes"]].concat())?, 0, &["New key", "Done"])?;
        one_directory(cluster, &["head", "alice", "bob"])?;

        // What was written counts; the right has ended, and the next key is not for her.
        let head = cluster.node("head");
        assert_eq!(head.shows("members", &early)?["fields"]["name"], "王海");
        let late = cluster.node("alice").fenbu(&["member", "add", "--name", "李雪"])?;
        refused(&late, 5, &["its unit is no writer of space 'lianyungang'"])?;
        let space = space(head, "lianyungang")?;
        assert_eq!((&space["key_epoch"], &space["key_holders"]), (&json!(2), &json!(["head"])));
        Ok(())
    });
}

#[test]
fn with_the_root_key_from_a_file_another_node_becomes_the_admin() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        cluster.node("head").writes("topics", json!({"title": "Before"}))?;
        cluster.settle()?;
        let stick = cluster.home().join("stick.key");
        let stick = text(&stick)?.to_owned();
        let head = cluster.node("head");
        refused(&head.fenbu(&["root", "export", &stick])?, 0, &["root verify", "root remove"])?;
        refused(&head.fenbu(&["root", "export", &stick])?, 1, &["exists already"])?;
        refused(&head.fenbu(&["root", "verify", &stick])?, 0, &["is the federation's root key"])?;
        let own = head.dir.join("root.key");
        refused(&head.fenbu(&["root", "remove", "--copy", text(&own)?])?, 1, &["own copy"])?;
        refused(&head.fenbu(&["root", "remove", "--copy", &stick])?, 0, &["no longer"])?;
        ensure!(!own.exists(), "it is still there");
        refused(&head.fenbu(&["root", "appoint", "alice"])?, 1, &["moved away", "--root-key"])?;

        cluster.node_mut("head").kill()?;
        let alice = cluster.node("alice");
        refused(&alice.fenbu(&["root", "verify", &stick])?, 0, &[])?;
        let other = cluster.file("other.key", format!("{}\n", "07".repeat(32)))?;
        refused(&alice.fenbu(&["root", "verify", text(&other)?])?, 1, &["another federation"])?;
        let appoint = ["root", "appoint", "alice", "--revoke", "--root-key"];
        let with = |key: &str, more: &[&str]| alice.fenbu(&[&appoint[..], &[key], more].concat());
        refused(&with(&stick, &[])?, 2, &["Replaces", "Logs cut", "Cannot read", "--yes"])?;
        refused(&with(text(&other)?, &["--yes"])?, 1, &["another federation than the root key"])?;
        refused(&with(&stick, &["--yes"])?, 0, &["Done, at epoch"])?;
        refused(&with(&stick, &["--yes"])?, 1, &["is the admin node already"])?;

        // She invites, and the newcomer meets everybody.
        let token = alice.fenbu(&["invite", "--unit", "suqian", "--name", "宿迁"])?.ok()?;
        cluster.join_with("carol", token.trim(), |_| Ok(()))?;
        let told = one_directory(cluster, &["alice", "bob", "carol"])?;
        assert_eq!(told["admin"], cluster.node("alice").status()?["node"]);
        let post = cluster.node("carol").writes("topics", json!({"title": "New here"}))?;
        let member = cluster.node("bob").writes("members", json!({"name": "李雪"}))?;
        cluster.settle()?;
        for name in ["alice", "bob", "carol"] {
            assert_eq!(cluster.node(name).lists("topics")?.len(), 2, "{name}");
            cluster.node(name).shows("topics", &post)?;
        }
        cluster.node("bob").shows("members", &member)?;

        // The old admin's node, should it come back, is told that it is ended.
        cluster.node_mut("head").start()?;
        cluster.until(Patience::SETTLE, || {
            let peers = cluster.node("head").fenbu(&["peers"])?.stdout;
            ensure!(peers.contains("revoked"), "{peers}");
            Ok(())
        })
    });
}

#[test]
fn a_forked_directory_stops_changes_and_not_writing_and_the_root_key_ends_it() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        cluster.node("alice").writes("topics", json!({"title": "Before"}))?;
        cluster.settle()?;
        for name in ["alice", "bob", "head"] {
            cluster.node_mut(name).stop()?;
        }
        let stick = cluster.home().join("stick.key");
        let stick = text(&stick)?.to_owned();
        cluster.node("head").fenbu(&["root", "export", &stick])?.ok()?;

        // Each of two copies of the admin's folder admits a node the other does not know, and another
        // member hears of it.
        let (dir, second) = (cluster.node("head").dir.clone(), cluster.home().join("second"));
        copy(&dir, &second)?;
        cluster.node_mut("alice").start()?;
        admits(cluster, "carol", "suqian")?;
        one_directory(cluster, &["head", "alice", "carol"])?;
        cluster.node_mut("head").stop()?;
        cluster.node_mut("alice").stop()?;
        cluster.cut("carol");
        std::fs::rename(&dir, cluster.home().join("first"))?;
        std::fs::rename(&second, &dir)?;
        cluster.node_mut("bob").start()?;
        admits(cluster, "dave", "huaian")?;
        one_directory(cluster, &["head", "bob", "dave"])?;
        cluster.node_mut("alice").start()?;
        cluster.heal();
        for name in ["head", "alice", "bob"] {
            cluster.until(Patience::SETTLE, || {
                let told = cluster.node(name).fenbu(&["status"])?.stderr;
                ensure!(told.contains("two signed statements claim epoch"), "{name}: {told}");
                Ok(())
            })?;
        }

        // No more changes; writing goes on.
        let invited =
            cluster.node("head").fenbu(&["invite", "--unit", "wuxi", "--name", "无锡"])?;
        refused(&invited, 1, &["until the root key recovers it"])?;
        refused(&cluster.node("alice").fenbu(&["doctor"])?, 6, &["fenbu root recover"])?;
        let during = cluster.node("alice").writes("topics", json!({"title": "During"}))?;
        cluster.until(Patience::SETTLE, || {
            cluster.node("bob").shows("topics", &during)?;
            Ok(())
        })?;

        let recover = ["root", "recover", "--root-key", &stick];
        let alice = cluster.node("alice");
        refused(&alice.fenbu(&recover)?, 2, &["Must join again", "carol", "--yes"])?;
        refused(&alice.fenbu(&[&recover[..], &["--yes"]].concat())?, 0, &["Done, at epoch"])?;
        for name in ["carol", "dave"] {
            cluster.node_mut(name).stop()?;
        }
        let told = one_directory(cluster, &["head", "alice", "bob"])?;
        assert_eq!(told["nodes"].as_array().map(Vec::len), Some(3), "{told}");
        cluster.settle()?;
        for name in ["head", "alice", "bob"] {
            let posts = cluster.node(name).lists("topics")?;
            assert_eq!(posts.len(), 2, "{name}: {posts:?}");
        }

        // Directory changes go on, and a second recovery needs a reason.
        refused(&cluster.node("bob").fenbu(&recover)?, 1, &["is not forked"])?;
        cluster.join("erin", "wuxi")?;
        cluster.node("alice").writes("topics", json!({"title": "After"}))?;
        cluster.settle()?;
        assert_eq!(cluster.node("erin").lists("topics")?.len(), 3);
        one_directory(cluster, &["head", "alice", "bob", "erin"])?;
        Ok(())
    });
}

/// Head office starts and lets a node in.
fn admits(cluster: &mut Cluster, name: &str, unit: &str) -> Result<()> {
    cluster.node_mut("head").start()?;
    cluster.join(name, unit)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?.path();
        if file.is_file() {
            std::fs::copy(&file, to.join(file.file_name().context("a file has a name")?))?;
        }
    }
    Ok(())
}
