//! A post from its author's first sign-in to its withdrawal, over three nodes.

use crate::person::{PASSWORD, Person, account};
use crate::story;
use anyhow::{Result, ensure};

#[test]
fn a_post_is_written_returned_mended_approved_published_and_withdrawn() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let (head, alice, bob) = (cluster.node("head"), cluster.node("alice"), cluster.node("bob"));
        account(alice, "admin", "管理员", &["administrator"])?;
        let author = first_sign_in(alice)?;
        writes(&author)?;

        let reviewer = Person::new(alice, "zhou", "周审稿", &["reviewer"])?;
        reviewer.finds("/review", "海上党课")?;
        reviewer.reads("初审")?;
        reviewer.fills("section.card input[name=note]", "请写明时间和地点")?;
        reviewer.presses("退回修改")?;
        reviewer.reads("现在没有等您处理的事")?;

        // The author's page is open all the while.
        author.reads("退回修改")?;
        author.reads("请写明时间和地点")?;
        author.stayed()?;
        mends(&author)?;

        let other = Person::new(head, "qian", "钱审稿", &["reviewer"])?;
        let reader = Person::new(bob, "reader", "孙读者", &["recorder"])?;
        reader.goes("/site?column=news")?;
        reader.reads("没有记录")?;
        reader.stays()?;
        other.finds("/review", "现在没有等您处理的事")?;
        reviewer.finds("/review", "海上党课")?;
        reviewer.presses("通过本轮")?;
        reviewer.reads("现在没有等您处理的事")?;
        other.finds("/review", "海上党课")?;
        other.presses("审核通过")?;
        other.presses("发布")?;
        reader.reads("海上党课")?;
        reader.stayed()?;
        for person in [&author, &other, &reader] {
            person.finds("/site?column=news", "海上党课")?;
            person.presses("海上党课")?;
            person.reads("十一月二十日于三号码头")?;
            person.finds("/search?q=三号码头", "海上党课")?;
        }
        withdraws(&other)?;
        for person in [&author, &other, &reader] {
            person.finds("/search?q=三号码头", "没有找到")?;
            person.finds("/site?column=news", "没有记录")?;
        }
        Ok(())
    });
}

/// The administrator makes the author's account on the page, and the author signs in with it.
fn first_sign_in(node: &fenbu_tests::cluster::Node) -> Result<Person> {
    let admin = Person::signed_in(node, "admin")?;
    admin.goes("/accounts")?;
    admin.fills("#login", "wang")?;
    admin.fills("#name", "王小明")?;
    admin.presses("撰稿人")?;
    admin.fills("#password", PASSWORD)?;
    admin.presses("保存")?;
    admin.finds("/accounts", "王小明")?;
    Person::signed_in(node, "wang")
}

fn writes(author: &Person) -> Result<()> {
    author.presses("新建：稿件")?;
    author.fills("[name=title]", "海上党课")?;
    author.fills("[name=body]", "# 一堂党课\n\n艇员围坐**甲板**。")?;
    author.chooses("[name=column]", "news")?;
    author.chooses("[name=kind]", "work")?;
    author.presses("预览")?;
    author.until(|| {
        let shown = author.browser.find("css selector", ".prose h1, .prose strong")?;
        ensure!(!shown.is_empty(), "no preview");
        Ok(())
    })?;
    author.presses("保存")?;
    author.reads("已保存")?;
    author.presses("提交")?;
    author.reads("已提交")?;
    author.stays()
}

fn mends(author: &Person) -> Result<()> {
    author.presses("编辑")?;
    author.fills("[name=body]", "十一月二十日于三号码头，艇员围坐甲板。")?;
    author.presses("保存")?;
    author.reads("已保存")?;
    author.presses("提交")?;
    author.reads("已提交")
}

fn withdraws(reviewer: &Person) -> Result<()> {
    reviewer.goes("/site?column=news")?;
    reviewer.presses("海上党课")?;
    reviewer.presses("历史")?;
    reviewer.fills("form:has(input[value=withdraw]) input[name=note]", "内容有误")?;
    reviewer.presses("撤稿")?;
    reviewer.reads("已撤稿")
}
