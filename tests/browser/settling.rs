//! What merging cannot settle is settled by one click.

use crate::person::Person;
use crate::story;
use anyhow::{Result, ensure};
use serde_json::json;

#[test]
fn a_conflict_is_settled_by_one_click_and_leaves_every_inbox() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let post = cluster.node("alice").writes("posts", json!({ "title": "原题" }))?;
        cluster.settle()?;
        cluster.cut("alice");
        cluster.apart("head", "alice")?;
        cluster.node("alice").edits("posts", &post, json!({ "title": "海港的夜" }))?;
        cluster.node("head").edits("posts", &post, json!({ "title": "港口之夜" }))?;
        cluster.heal();
        cluster.settle()?;

        let here = Person::new(cluster.node("alice"), "li", "李书记", &["secretary"])?;
        let there = Person::new(cluster.node("head"), "zhou", "周审稿", &["reviewer"])?;
        there.finds("/conflicts", "海港的夜")?;
        there.stays()?;
        // It waits on the first page.
        here.finds("/", "待裁定")?;
        here.goes(&format!("/r/posts/{post}"))?;
        here.reads("有待裁定的不同值")?;
        here.presses("有待裁定的不同值")?;
        here.presses("海港的夜")?;
        here.reads("没有待裁定的事")?;

        there.reads("没有待裁定的事")?;
        there.stayed()?;
        for person in [&here, &there] {
            settled(person, &post)?;
        }
        Ok(())
    });
}

fn settled(person: &Person, post: &str) -> Result<()> {
    person.finds(&format!("/r/posts/{post}"), "海港的夜")?;
    let page = person.text()?;
    ensure!(!page.contains("有待裁定的不同值"), "nothing is open: {page}");
    Ok(())
}
