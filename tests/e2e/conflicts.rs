//! What merging cannot settle: two nodes write apart, and both find the same to settle.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu::client::Route;
use fenbu_tests::cluster::{Cluster, Node};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The cases, and the way each is settled in.
const WAYS: &[(&str, &str)] = &[
    ("several_values", "1"),
    ("reviewers_disagree", "not_public"),
    ("published_withdrawn", "withdrawn"),
    ("steps_apart", "expelled"),
    ("revised_after_approval", "accept"),
    ("amended_minutes", "decline"),
    ("published_not_public", "withdraw"),
    ("two_in_office", "1"),
    ("two_transfers", "1"),
    ("transfer_of_suspended", "freeze"),
    ("same_person", "1"),
    ("same_meeting", "1"),
    ("same_number", "suffix"),
    ("late_meeting", "stand"),
];

/// Records that both nodes have before they are cut apart.
struct Before {
    posts: BTreeMap<&'static str, String>,
    minutes: String,
    members: Vec<String>,
    branch: String,
}

#[test]
fn both_sides_of_a_cut_find_the_same_to_settle_and_one_settles_it() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let before = prepare(cluster)?;
        cluster.settle()?;
        ensure!(open(cluster.node("head"))?.is_empty(), "nothing contradicts yet");

        cluster.cut("alice");
        cluster.apart("head", "alice")?;
        head_goes_on(cluster, &before)?;
        alice_goes_on(cluster.node("alice"), &before)?;
        cluster.heal();
        cluster.settle()?;

        let (here, there) = (open(cluster.node("head"))?, open(cluster.node("alice"))?);
        let cases: Vec<&str> = WAYS.iter().map(|(case, _)| *case).collect();
        let mut found: Vec<&str> = here.iter().map(|(case, _)| case.as_str()).collect();
        found.sort_by_key(|case| cases.iter().position(|c| c == case));
        assert_eq!(found, cases, "each case raises exactly one");
        assert_eq!(here, there, "under the same ids on both");
        hidden_and_listed(cluster, &before)?;
        settle_all(cluster, &here)
    });
}

/// Case and id of every open conflict, as the command lists them.
fn open(node: &Node) -> Result<Vec<(String, String)>> {
    let listed = node.fenbu(&["conflicts", "list", "--json"])?.ok()?;
    let listed: Value = serde_json::from_str(&listed)?;
    let items = listed["items"].as_array().context("a list")?;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|item| (text(item, "case"), text(item, "id"))).collect())
}

fn takes(node: &Node, kind: &str, op: &str, id: &str) -> Result<()> {
    let needs_note = ["withdraw", "withhold", "dissolve", "suspend", "expel"].contains(&op)
        || (kind, op) == ("temporary-branch", "approve");
    let note: &[&str] = if needs_note { &["--note", "reason"] } else { &[] };
    node.fenbu(&[&[kind, op, id], note].concat())?.ok()?;
    Ok(())
}

/// Writes a record into another unit's space.
fn writes_for(cluster: &Cluster, node: &str, kind: &str, fields: Value) -> Result<()> {
    let body = json!({ "fields": fields, "unit": "lianyungang" });
    let client = cluster.node(node).client();
    cluster.block_on(client.post(Route::new(kind), &body)).map_err(|e| anyhow::anyhow!("{e:?}"))?;
    Ok(())
}

fn prepare(cluster: &Cluster) -> Result<Before> {
    let (head, alice) = (cluster.node("head"), cluster.node("alice"));
    let mut posts = BTreeMap::new();
    for name in ["title", "secrecy", "torn", "revised", "hidden"] {
        let id = alice.writes(
            "posts",
            json!({"title": name, "body": "It began at dawn.", "kind": "clipping"}),
        )?;
        takes(alice, "post", "submit", &id)?;
        posts.insert(name, id);
    }
    let fields = json!({"kind": "general", "branch": "B1", "status": "held",
        "start": "2018-03-05T09:00:00+08:00", "minutes": "Agreed."});
    let minutes = alice.writes("meetings", fields)?;
    let member = |name: &str| alice.writes("members", json!({"name": name, "stage": "full"}));
    let members = vec![member("Li")?, member("Zhao")?, member("Qian")?];
    let fields = json!({"code": "T1", "name": "Task force", "host_unit": "lianyungang",
        "checklist": {"honours": {"text": "none", "done": "2018-12-01"}}});
    let branch = head.writes("temporary-branches", fields)?;
    for op in ["approve", "activate", "wind-up"] {
        takes(head, "temporary-branch", op, &branch)?;
    }
    cluster.settle()?;
    for name in ["torn", "hidden"] {
        takes(head, "post", "approve", &posts[name])?;
    }
    Ok(Before { posts, minutes, members, branch })
}

fn transfer(member: &str, to: &str) -> Value {
    json!({"member": member, "from_unit": "lianyungang", "to_unit": to})
}

fn meeting(branch: &str, start: &str, number: &str) -> Value {
    json!({"kind": "general", "branch": branch, "start": start, "number": number})
}

fn head_goes_on(cluster: &Cluster, before: &Before) -> Result<()> {
    let head = cluster.node("head");
    head.edits("posts", &before.posts["title"], json!({"title": "Head's title"}))?;
    takes(head, "post", "clear", &before.posts["secrecy"])?;
    takes(head, "post", "withdraw", &before.posts["torn"])?;
    takes(head, "post", "approve", &before.posts["revised"])?;
    takes(head, "post", "withhold", &before.posts["hidden"])?;
    takes(head, "meeting", "confirm", &before.minutes)?;
    takes(head, "member", "expel", &before.members[2])?;
    takes(head, "temporary-branch", "dissolve", &before.branch)?;
    head.writes("terms", json!({"person": "Zhou", "branch": "B1", "post": "secretary"}))?;
    head.writes("transfers", transfer(&before.members[0], "head"))?;
    head.writes("transfers", transfer(&before.members[1], "head"))?;
    let person = json!({"name": "Wang Hai", "joined": "2001-07-01"});
    writes_for(cluster, "head", "members", person)?;
    for fields in [
        meeting("B2", "2018-03-05T09:00:00+08:00", "3"),
        meeting("B3", "2018-03-05T09:00:00+08:00", "7"),
    ] {
        writes_for(cluster, "head", "meetings", fields)?;
    }
    Ok(())
}

fn alice_goes_on(alice: &Node, before: &Before) -> Result<()> {
    alice.edits("posts", &before.posts["title"], json!({"title": "Alice's title"}))?;
    takes(alice, "post", "withhold", &before.posts["secrecy"])?;
    takes(alice, "post", "publish", &before.posts["torn"])?;
    alice.edits("posts", &before.posts["revised"], json!({"body": "It began at dawn, in fog."}))?;
    takes(alice, "post", "publish", &before.posts["hidden"])?;
    alice.edits("meetings", &before.minutes, json!({"minutes": "Agreed, with one against."}))?;
    takes(alice, "member", "suspend", &before.members[2])?;
    alice.writes("terms", json!({"person": "Wu", "branch": "B1", "post": "secretary"}))?;
    alice.writes("transfers", transfer(&before.members[0], "yancheng"))?;
    takes(alice, "member", "suspend", &before.members[1])?;
    alice.writes("members", json!({"name": "Wang Hai", "joined": "2001-07-01"}))?;
    alice.writes("meetings", meeting("B2", "2018-03-05T15:00:00+08:00", "3"))?;
    alice.writes("meetings", meeting("B3", "2018-03-06T09:00:00+08:00", "7"))?;
    alice.writes("meetings", meeting("T1", "2018-03-05T09:00:00+08:00", ""))?;
    Ok(())
}

/// What stands meanwhile.
fn hidden_and_listed(cluster: &Cluster, before: &Before) -> Result<()> {
    for name in ["head", "alice"] {
        let node = cluster.node(name);
        let published = node.fenbu(&["post", "list", "--status", "published"])?.ok()?;
        ensure!(!published.contains("hidden"), "{published}");
        let hidden = node.fenbu(&["post", "list", "--status", "hidden"])?.ok()?;
        ensure!(hidden.contains("hidden"), "{hidden}");
        let torn = node.shows("posts", &before.posts["torn"])?;
        assert_eq!(torn["fields"]["status"], "withdrawn");
        assert_eq!(node.status()?["conflicts"]["open"], WAYS.len());
    }
    Ok(())
}

fn settle_all(cluster: &Cluster, conflicts: &[(String, String)]) -> Result<()> {
    let (head, alice) = (cluster.node("head"), cluster.node("alice"));
    let id = |case: &str| {
        let found = conflicts.iter().find(|(c, _)| c == case);
        found.map(|(_, id)| id.as_str()).context("an open conflict")
    };
    let stranger = alice.fenbu(&["conflicts", "settle", id("two_in_office")?, "1"])?;
    refused(&stranger, 5, &["settled by head"])?;
    let unknown = head.fenbu(&["conflicts", "settle", id("two_in_office")?, "9"])?;
    refused(&unknown, 1, &["one of these does: 1, 2, stand"])?;
    let members = head.lists("members")?.len();
    for (case, way) in WAYS {
        head.fenbu(&["conflicts", "settle", id(case)?, way, "--note", "decided"])?.ok()?;
    }
    cluster.settle()?;
    for name in ["head", "alice"] {
        assert_eq!(open(cluster.node(name))?, vec![], "{name}");
        assert_eq!(cluster.node(name).lists("members")?.len(), members - 1, "one person is one");
        assert_eq!(cluster.node(name).status()?["conflicts"]["open"], 0);
    }
    // What was left to stand can be taken up again.
    let late = id("late_meeting")?;
    alice.fenbu(&["settlement", "reopen", late, "--note", "the date was wrong"])?.ok()?;
    cluster.settle()?;
    for name in ["head", "alice"] {
        assert_eq!(open(cluster.node(name))?, [("late_meeting".to_owned(), late.to_owned())]);
    }
    Ok(())
}
