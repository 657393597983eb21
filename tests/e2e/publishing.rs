//! Drafts stay with their unit; what is published is read everywhere, and is gone when it is withdrawn.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Node, Visitor};
use serde_json::{Value, json};

const PASSWORD: &str = "a long password";

fn takes(node: &Node, op: &str, id: &str) -> Result<()> {
    let noted = ["withdraw", "withhold", "return"].contains(&op);
    let note: &[&str] = if noted { &["--note", "reason"] } else { &[] };
    node.fenbu(&[&["post", op, id], note].concat())?.ok()?;
    Ok(())
}

fn found(node: &Node, words: &str) -> Result<String> {
    node.fenbu(&["search", words, "--json"])?.ok()
}

/// Where the words can be read at a node: in its list, by search, in its feed, on the page of an issue.
fn read_at(node: &Node, words: &str, issue: &str, id: &str) -> Result<[bool; 4]> {
    let feed = node.dir.join("feed.xml");
    let page = node.dir.join("issue.html");
    for old in [&feed, &page].into_iter().filter(|file| file.exists()) {
        std::fs::remove_file(old)?;
    }
    let (feed, page) = (feed.to_str().context("UTF-8")?, page.to_str().context("UTF-8")?);
    node.fenbu(&["feed", feed])?.ok()?;
    node.fenbu(&["page", "journal-issue", issue, page])?.ok()?;
    let titles = node.lists("posts")?.iter().map(|p| p["title"].to_string()).collect::<String>();
    Ok([
        titles.contains(words),
        found(node, words)?.contains(id),
        std::fs::read_to_string(feed)?.contains(words),
        std::fs::read_to_string(page)?.contains("dawn"),
    ])
}

fn everywhere(cluster: &Cluster, words: &str, issue: &str, id: &str, there: bool) -> Result<()> {
    for name in ["head", "alice", "bob"] {
        let read = read_at(cluster.node(name), words, issue, id)?;
        ensure!(read == [there; 4], "{name} shows '{words}' in list, search, feed, page: {read:?}");
    }
    Ok(())
}

/// A work goes through two rounds: its own unit's, done by a colleague at the console, and head office's.
fn in_rounds(cluster: &Cluster) -> Result<()> {
    let (head, alice) = (cluster.node("head"), cluster.node("alice"));
    let post = alice.writes("posts", json!({"title": "Rounds", "kind": "work"}))?;
    takes(alice, "submit", &post)?;
    cluster.settle()?;
    let early = head.fenbu(&["post", "approve", &post])?;
    refused(&early, 1, &["round 1 of 2 comes first"])?;
    let mut zhou = Visitor::at(alice)?;
    let add = ["account", "add", "zhou", "--role", "reviewer"];
    alice.fenbu_with(&add, PASSWORD.as_bytes())?.ok()?;
    zhou.sign_in("zhou", PASSWORD)?;
    let queue = zhou.get("/review")?.text;
    ensure!(queue.contains("Rounds") && queue.contains("初审：待审（所属单位）"), "{queue}");
    let passed = zhou.post(&format!("/r/posts/{post}/step"), &[("op", "pass")])?;
    ensure!(passed.status == 303, "{} {}", passed.status, passed.text);
    ensure!(!zhou.get("/review")?.text.contains("Rounds"), "it waits for head office now");
    cluster.settle()?;
    let told = head.fenbu(&["post", "show", &post])?.ok()?;
    ensure!(told.contains("First review: passed; Second review: next (head office)"), "{told}");
    takes(head, "approve", &post)?;
    cluster.settle()?;
    takes(alice, "publish", &post)?;
    cluster.settle()?;
    assert_eq!(cluster.node("bob").shows("posts", &post)?["fields"]["title"], "Rounds");
    Ok(())
}

#[test]
fn what_is_approved_is_read_everywhere_until_it_is_withdrawn() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let (head, alice, bob) = (cluster.node("head"), cluster.node("alice"), cluster.node("bob"));
        let fields = json!({"title": "Snowbound", "body": "It began at dawn.", "column": "news",
            "kind": "clipping"});
        let post = alice.writes("posts", fields)?;
        let other = alice.writes("posts", json!({"title": "Another"}))?;
        let items = json!([{"title": "First", "post": post}]);
        let issue =
            head.writes("journal-issues", json!({"number": 1, "title": "No. 1", "items": items}))?;
        takes(alice, "submit", &post)?;
        cluster.settle()?;
        ensure!(head.shows("posts", &post)?["unit"] == "lianyungang", "head office reads drafts");
        assert_eq!(bob.fenbu(&["post", "show", &post])?.code, 4, "others do not");
        ensure!(bob.lists("posts")?.is_empty() && !found(bob, "Snowbound")?.contains(&post));

        // The approved version is published, and not what the author goes on to write.
        takes(head, "approve", &post)?;
        cluster.settle()?;
        alice.edits("posts", &post, json!({"title": "Storm", "body": "Not at dawn."}))?;
        takes(head, "clear", &post)?;
        takes(head, "publish", &post)?;
        cluster.settle()?;
        let shown = bob.shows("posts", &post)?;
        assert_eq!(
            (&shown["unit"], &shown["fields"]["title"]),
            (&json!("lianyungang"), &json!("Snowbound"))
        );
        assert_eq!(shown["fields"]["body"], "It began at dawn.");
        let titles = |node: &Node| -> Result<Vec<Value>> {
            Ok(node.lists("posts")?.iter().map(|p| p["title"].clone()).collect())
        };
        assert_eq!(titles(bob)?, ["Snowbound"]);
        assert_eq!(titles(head)?.len(), 2, "draft and publication are one post");
        assert_eq!(head.status()?["posts_by_column"]["news"], 1);
        assert_eq!(bob.status()?["posts_by_column"]["news"], 1);
        let of_unit = bob.fenbu(&["post", "list", "--unit", "lianyungang"])?.ok()?;
        ensure!(of_unit.contains("Snowbound"), "{of_unit}");
        let edited = bob.fenbu(&["post", "edit", &post, "--title", "Mine"])?;
        refused(&edited, 5, &["kept by unit 'lianyungang'"])?;

        // A revision that is reviewed takes its place; one that is not never does.
        takes(head, "review", &post)?;
        cluster.settle()?;
        assert_eq!(bob.shows("posts", &post)?["fields"]["title"], "Storm");
        alice.edits("posts", &post, json!({"title": "Snowbound", "body": "It began at dawn."}))?;
        takes(head, "review", &post)?;
        cluster.settle()?;
        everywhere(cluster, "Snowbound", &issue, &post, true)?;

        // Withdrawn on one side of a cut while the other side publishes new tags, which nobody reviews.
        cluster.cut("alice");
        cluster.apart("head", "alice")?;
        cluster.apart("bob", "alice")?;
        takes(cluster.node("head"), "withdraw", &post)?;
        let alice = cluster.node("alice");
        alice.edits("posts", &post, json!({"tags": ["Snowbound"]}))?;
        takes(alice, "archive", &post)?;
        cluster.heal();
        cluster.settle()?;
        everywhere(cluster, "Snowbound", &issue, &post, false)?;
        let feed = cluster.node("bob").dir.join("feed.xml");
        ensure!(std::fs::read_to_string(feed)?.contains("deleted-entry"), "readers are told");
        assert_eq!(cluster.node("bob").fenbu(&["post", "show", &other])?.code, 4);
        in_rounds(cluster)
    });
}
