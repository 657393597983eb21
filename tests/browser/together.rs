//! Two people at the same post on two nodes.

use crate::person::Person;
use crate::story;
use anyhow::{Result, ensure};
use fenbu_tests::cluster::Cluster;
use serde_json::json;

const BODY: &str = "第一段：出海。\n\n第二段：归航。";

fn both(cluster: &Cluster) -> Result<(Person, Person, String, String)> {
    let fields = json!({ "title": "值班灯光", "body": BODY, "kind": "deeds" });
    let post = cluster.node("alice").writes("posts", fields)?;
    cluster.settle()?;
    let here = Person::new(cluster.node("alice"), "wang", "王小明", &["author"])?;
    let there = Person::new(cluster.node("head"), "zhou", "周编辑", &["reviewer"])?;
    let page = format!("/r/posts/{post}");
    let form = format!("{page}/edit");
    Ok((here, there, page, form))
}

#[test]
fn what_another_saves_arrives_on_an_open_page() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let (here, there, page, form) = both(cluster)?;
        here.goes(&page)?;
        here.reads("归航")?;
        here.stays()?;
        there.finds(&form, "正文")?;
        there.fills("[name=body]", "第一段：出海。\n\n第二段：平安归来。")?;
        there.presses("保存")?;
        there.reads("已保存")?;
        here.reads("平安归来")?;
        here.stayed()?;

        // On an open form as well: what is typed stays, and who saved meanwhile is said.
        here.goes(&form)?;
        here.fills("[name=title]", "值班灯光（改）")?;
        here.stays()?;
        there.finds(&form, "正文")?;
        there.chooses("[name=column]", "style")?;
        there.presses("保存")?;
        there.reads("已保存")?;
        here.until(|| {
            let said = here.text_of("#newest")?;
            ensure!(said.contains("局"), "it says '{said}'");
            Ok(())
        })?;
        here.stayed()?;
        let typed = here.browser.run("return document.querySelector('[name=title]').value", &[])?;
        ensure!(typed == "值班灯光（改）", "what was typed is {typed}");
        Ok(())
    });
}

#[test]
fn a_save_over_a_newer_version_merges_and_says_what_came_in() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let (here, there, page, form) = both(cluster)?;
        here.goes(&form)?;
        there.finds(&form, "正文")?;
        there.fills("[name=body]", "第一段：清晨出海。\n\n第二段：归航。")?;
        there.chooses("[name=kind]", "policy")?;
        there.presses("保存")?;
        there.reads("已保存")?;
        cluster.settle()?;

        // The form here still holds the old text.
        here.fills("[name=body]", "第一段：出海。\n\n第二段：深夜归航。")?;
        here.presses("保存")?;
        here.reads("保存时并入了别人刚做的改动")?;
        let said = here.text_of("main")?;
        ensure!(said.contains("正文") && said.contains("类别"), "what came in: {said}");
        for person in [&here, &there] {
            person.finds(&page, "深夜归航")?;
            person.reads("清晨出海")?;
            person.reads("政策宣讲")?;
        }
        Ok(())
    });
}
