//! Bytes that rot on the disk: what is derived is made again, by itself where it is met, or by
//! command.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Node, Patience, database};
use rusqlite::Connection;
use serde_json::json;

/// Changes rows by hand, under a daemon that has stopped or goes on.
fn damage(node: &Node, sql: &str) -> Result<()> {
    let connection = Connection::open(database(&node.dir))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch(sql).context("damaging the database")
}

fn titles(node: &Node) -> Result<Vec<String>> {
    let mut titles: Vec<String> = node
        .lists("topics")?
        .iter()
        .map(|post| post["title"].as_str().unwrap_or_default().to_owned())
        .collect();
    titles.sort();
    Ok(titles)
}

fn with_posts(cluster: &mut Cluster) -> Result<Vec<String>> {
    cluster.join("alice", "lianyungang")?;
    let posts = ["一", "二", "三"].map(|title| {
        cluster.node("alice").writes("topics", json!({ "title": title, "column": "news" }))
    });
    let posts: Result<Vec<String>> = posts.into_iter().collect();
    cluster.settle()?;
    posts
}

#[test]
fn a_damaged_document_is_healed_by_whoever_meets_it() {
    story(|cluster| {
        let posts = with_posts(cluster)?;
        // Head office meets the first when a change of it arrives, the second when somebody reads.
        cluster.node_mut("head").stop()?;
        cluster.node("alice").edits("topics", &posts[0], json!({ "title": "一改" }))?;
        damage(
            cluster.node("head"),
            &format!(
                "UPDATE documents SET snapshot = x'00' WHERE document = x'{}';
                 UPDATE documents SET heads = x'0102' WHERE document = x'{}'",
                posts[0], posts[1]
            ),
        )?;
        cluster.node_mut("head").start()?;
        cluster.settle()?;
        let head = cluster.node("head");
        assert_eq!(head.shows("topics", &posts[0])?["fields"]["title"], "一改");
        assert_eq!(head.shows("topics", &posts[1])?["fields"]["title"], "二");
        let digest = |name: &str| {
            Ok::<_, anyhow::Error>(cluster.node(name).space("federation")?["state_digest"].clone())
        };
        assert_eq!(digest("head")?, digest("alice")?);
        let log = head.log_text();
        ensure!(log.matches("making it again from the log").count() == 2, "{}", head.log_tail());
        // Nothing is left to be put right.
        let repaired = head.fenbu(&["repair", "documents", "--json"])?.ok()?;
        let repaired: serde_json::Value = serde_json::from_str(&repaired)?;
        ensure!(repaired["spaces"][0]["changed"] == 0, "{repaired}");
        Ok(())
    });
}

#[test]
fn a_repair_makes_lists_and_records_again_while_the_node_goes_on() {
    story(|cluster| {
        let posts = with_posts(cluster)?;
        let head = cluster.node("head");
        let before = titles(head)?;
        damage(head, "UPDATE view_topics SET c_title = '假' WHERE c_title = '二'")?;
        ensure!(titles(head)? != before, "the list shows what was put there");
        let said = head.fenbu(&["repair", "views"])?.ok()?;
        ensure!(said.lines().count() == 2 && said.contains("(lists)"), "{said}");
        assert_eq!(titles(head)?, before);

        // Gone altogether: nobody would meet it, and only the sums tell.
        damage(head, &format!("DELETE FROM documents WHERE document = x'{}'", posts[2]))?;
        assert_eq!(head.fenbu(&["topic", "show", &posts[2]])?.code, 4);
        let repaired = head.fenbu(&["repair", "documents", "--space", "federation"])?;
        let said = format!("{}{}", repaired.stdout, repaired.stderr);
        ensure!(repaired.code == 0 && said.contains("1 differed, 0 of them damaged"), "{said}");
        assert_eq!(titles(head)?, before);
        assert_eq!(head.shows("topics", &posts[2])?["fields"]["title"], "三");
        let again = head.fenbu(&["repair", "documents", "--lang", "zh-CN"])?;
        ensure!(again.stderr.contains("没有出入"), "{again:?}");

        let nowhere = head.fenbu(&["repair", "documents", "--space", "nowhere"])?;
        super::refused(&nowhere, 4, &["no space 'nowhere'", "fenbu directory"])?;
        cluster.node("alice").writes("topics", json!({ "title": "四", "column": "news" }))?;
        cluster.settle()
    });
}

/// A record as it lies in the database, and the sum over all records of its space.
struct Kept {
    heads: Vec<u8>,
    snapshot: Vec<u8>,
    sum: Vec<u8>,
}

impl Kept {
    fn of(node: &Node, post: &str) -> Result<Self> {
        let connection = Connection::open(database(&node.dir))?;
        let sql = format!(
            "SELECT d.heads, d.snapshot, s.state_sum FROM documents d JOIN spaces s
             ON s.id = d.space_id WHERE d.document = x'{post}'"
        );
        let kept = |row: &rusqlite::Row<'_>| {
            Ok(Self { heads: row.get(0)?, snapshot: row.get(1)?, sum: row.get(2)? })
        };
        Ok(connection.query_row(&sql, [], kept)?)
    }

    /// Puts it back: a record that is whole and is not what the entries give.
    fn put_back(&self, node: &Node, post: &str) -> Result<()> {
        let connection = Connection::open(database(&node.dir))?;
        connection.execute(
            &format!("UPDATE documents SET heads = ?1, snapshot = ?2 WHERE document = x'{post}'"),
            (&self.heads, &self.snapshot),
        )?;
        connection.execute(
            &format!(
                "UPDATE spaces SET state_sum = ?1 WHERE id =
                 (SELECT space_id FROM documents WHERE document = x'{post}')"
            ),
            [&self.sum],
        )?;
        Ok(())
    }
}

/// Nothing about such a record is damaged, and no vector differs: only what the records come to tells.
#[test]
fn a_record_that_its_entries_do_not_give_is_found_by_any_peer_and_made_again() {
    story(|cluster| {
        let posts = with_posts(cluster)?;
        cluster.join("bob", "yancheng")?;
        cluster.settle()?;
        let kept = Kept::of(cluster.node("head"), &posts[0])?;
        cluster.node("alice").edits("topics", &posts[0], json!({ "title": "一改" }))?;
        cluster.settle()?;
        cluster.node_mut("head").stop()?;
        kept.put_back(cluster.node("head"), &posts[0])?;
        cluster.node_mut("head").start()?;
        cluster.until(Patience::SETTLE, || {
            let post = cluster.node("head").shows("topics", &posts[0])?;
            ensure!(post["fields"]["title"] == "一改", "{post}");
            Ok(())
        })?;
        let log = cluster.node("head").log_text();
        ensure!(
            log.contains("equal entries, other records"),
            "{}",
            cluster.node("head").log_tail()
        );
        // The alarm ends with its cause, everywhere.
        for name in ["head", "alice", "bob"] {
            cluster.until(Patience::SETTLE, || {
                let node = cluster.node(name);
                let told = node.status()?["alarms"].clone();
                ensure!(told.as_array().is_some_and(Vec::is_empty), "{name}: {told}");
                node.fenbu(&["doctor"])?.ok().map(drop)
            })?;
        }
        cluster.settle()
    });
}
