//! The laptop of a unit, off the network: its secretary records a meeting, and head office sees it once
//! the laptop is back.

use crate::person::{Person, account};
use crate::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience};
use serde_json::{Value, json};

const BRANCH: &str = "lianyungang-1";
const MATRIX: &str = "/figures/matrix?period=2018-Q3";

#[test]
fn a_meeting_recorded_offline_completes_head_offices_figure() {
    story(|cluster| {
        cluster.join("server", "lianyungang")?;
        cluster.join("laptop", "lianyungang")?;
        prepare(cluster)?;
        cluster.settle()?;
        account(cluster.node("server"), "shuji", "李书记", &["secretary"])?;
        cluster.settle()?;
        cluster.cut("laptop");
        cluster.apart("head", "laptop")?;
        cluster.apart("server", "laptop")?;

        let head = Person::new(cluster.node("head"), "bao", "鲍统计", &["auditor"])?;
        head.goes(MATRIX)?;
        head.until(|| is_cell(&head, "2/3"))?;
        head.stays()?;

        let secretary = Person::signed_in(cluster.node("laptop"), "shuji")?;
        secretary.reads("未连接其他节点")?;
        records(&secretary)?;
        is_cell(&head, "2/3")?;

        cluster.heal();
        cluster.settle()?;
        head.until(|| is_cell(&head, "3/3"))?;
        head.stayed()?;
        meeting_arrived(cluster)
    });
}

/// A branch with a committee of two among four, and two of its three meetings of the quarter.
fn prepare(cluster: &Cluster) -> Result<()> {
    let server = cluster.node("server");
    let branch = json!({
        "code": BRANCH, "name": "第一党支部", "unit": "lianyungang", "committee": true, "groups": 0,
    });
    cluster.node("head").writes("branches", branch)?;
    cluster.settle()?;
    let mut lines = Vec::new();
    for (n, name) in ["赵委员", "孙委员", "李党员", "周党员"].into_iter().enumerate() {
        let fields = json!({ "name": name, "branch": BRANCH, "stage": "full" });
        lines.push(json!({ "kind": "member", "id": format!("{:032x}", n + 1), "fields": fields }));
    }
    for (n, name) in ["赵委员", "孙委员"].into_iter().enumerate() {
        let fields = json!({
            "person": name, "member": format!("{:032x}", n + 1), "branch": BRANCH,
            "post": if n == 0 { "secretary" } else { "organisation" }, "from": "2018-01-01",
        });
        lines.push(json!({ "kind": "term", "id": format!("{:032x}", n + 11), "fields": fields }));
    }
    for month in ["07", "08"] {
        let fields = json!({
            "kind": "committee", "branch": BRANCH, "status": "confirmed",
            "start": format!("2018-{month}-03T09:00:00+08:00"),
        });
        let id = format!("{:030x}{month}", 2);
        lines.push(json!({ "kind": "meeting", "id": id, "fields": fields }));
    }
    // Both nodes of the unit have worked before: how fresh the unit is, is what the less fresh one wrote.
    for node in [server, cluster.node("laptop")] {
        node.writes("topics", json!({ "title": "以前的专题" }))?;
        let talk =
            json!({ "kind": "talk", "branch": BRANCH, "planned": "2018-12-03T09:00:00+08:00" });
        node.writes("meetings", talk)?;
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    let file = cluster.file("records.jsonl", text.join("\n"))?;
    let file = file.to_str().context("a path is text")?;
    let said = server.fenbu(&["import", file])?.ok()?;
    let refused = said.lines().find(|line| line.starts_with("Refused"));
    ensure!(refused.is_some_and(|line| line.ends_with(" 0")), "{said}");
    Ok(())
}

/// What head office's matrix says of the branch's committee.
fn is_cell(person: &Person, wanted: &str) -> Result<()> {
    let script = "\
        const table = [...document.querySelectorAll('table')].find((t) => t.innerText.includes('第一党支部'));\
        const heads = [...table.querySelectorAll('thead th')].map((h) => h.innerText.trim());\
        const row = [...table.querySelectorAll('tbody tr')].find((r) => r.innerText.includes('第一党支部'));\
        return row.cells[heads.indexOf('支委会')].innerText.trim()";
    let cell = person.browser.run(script, &[])?;
    ensure!(cell == wanted, "the cell says {cell}, not {wanted}");
    Ok(())
}

/// Three taps, the time, one who sat in.
fn records(secretary: &Person) -> Result<()> {
    secretary.presses("记录会议")?;
    secretary.presses("支委会")?;
    secretary.reads("应到 2")?;
    let page = secretary.text()?;
    ensure!(page.contains("赵委员") && page.contains("孙委员"), "the committee is listed: {page}");
    ensure!(!page.contains("李党员") && !page.contains("周党员"), "and nobody else: {page}");
    secretary.chooses("[name=start]", "2018-09-03T09:00")?;
    secretary.fills("[name=observers]", "李党员")?;
    secretary.fills("[name=topic]", "研究发展党员工作")?;
    secretary.presses("保存会议")?;
    secretary.reads("已保存")?;
    secretary.reads("李党员")?;
    secretary.reads("赵委员 出席")
}

/// The record itself: who was expected, who was there, who sat in, and whose name it was written under.
fn meeting_arrived(cluster: &Cluster) -> Result<()> {
    cluster.until(Patience::SETTLE, || {
        let meetings = cluster.node("head").lists("meetings")?;
        let ids = meetings.iter().filter_map(|m| m["id"].as_str());
        for id in ids {
            let shown = cluster.node("head").shows("meetings", id)?;
            let fields = &shown["fields"];
            if fields["observers"] == json!(["李党员"]) {
                let expected = fields["expected"].as_array().map_or(0, Vec::len);
                ensure!(expected == 2, "{expected} are expected");
                return Ok(());
            }
        }
        anyhow::bail!("the meeting is not at head office: {meetings:?}")
    })
}
