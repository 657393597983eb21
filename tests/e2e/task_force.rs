//! A temporary branch through its whole life, on head office's node, the host's and that of a unit that lends
//! members.

use super::{refused, story};
use anyhow::{Context, Result, ensure};
use fenbu::client::Route;
use fenbu_tests::cluster::{Cluster, Node, Patience};
use serde_json::{Value, json};

/// The people and the branch.
struct Force {
    branch: String,
    /// Members of yancheng, lent.
    lent: Vec<String>,
    secondments: Vec<String>,
    rally: String,
}

#[test]
fn a_temporary_branch_from_its_founding_to_its_archive() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let mut force = found(cluster)?;
        lend(cluster, &mut force)?;
        live(cluster, &mut force)?;
        credited(cluster, &force)?;
        warned(cluster)?;
        end(cluster, &force)
    });
}

fn takes(node: &Node, args: &[&str]) -> Result<()> {
    node.fenbu(args)?.ok().with_context(|| format!("{args:?}"))?;
    Ok(())
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Head office founds it; its space is there by itself, read by the host and head office.
fn found(cluster: &Cluster) -> Result<Force> {
    let (head, alice) = (cluster.node("head"), cluster.node("alice"));
    let fields = json!({"code": "qiufeng", "name": "秋风行动战时党支部", "host_unit": "lianyungang",
        "alias": "秋风", "established": "2018-03-01", "planned_end": "2018-08-25",
        "secretary": "陈刚"});
    let taken = json!({"code": "yancheng", "name": "n", "host_unit": "lianyungang"});
    let taken = head.writes("temporary-branches", taken).unwrap_err().to_string();
    ensure!(taken.contains("give the temporary branch another code"), "{taken}");
    let branch = head.writes("temporary-branches", fields)?;
    let spaces = head.fenbu(&["space", "list"])?.ok()?;
    ensure!(!spaces.contains("qiufeng"), "a proposal has no space: {spaces}");
    takes(head, &["temporary-branch", "approve", &branch, "--note", "局党组〔2018〕12号"])?;
    cluster.until(Patience::SETTLE, || {
        for node in [head, alice] {
            let space = node.fenbu(&["space", "show", "qiufeng", "--json"])?.ok()?;
            let space: Value = serde_json::from_str(&space)?;
            ensure!(space["readers"] == json!(["lianyungang", "head"]), "{space}");
            ensure!(space["writers"] == space["readers"], "{space}");
            ensure!(space["key_holders"].as_array().is_some_and(|h| h.len() == 2), "{space}");
        }
        Ok(())
    })?;
    takes(alice, &["temporary-branch", "activate", &branch])?;
    Ok(Force { branch, lent: Vec::new(), secondments: Vec::new(), rally: String::new() })
}

/// Members are lent, never transferred: the home unit confirms, and its roster stays as it is.
fn lend(cluster: &Cluster, force: &mut Force) -> Result<()> {
    let (head, alice, bob) = (cluster.node("head"), cluster.node("alice"), cluster.node("bob"));
    let tree = json!({"code": "yancheng-1", "name": "第一党支部", "unit": "yancheng",
        "committee": false, "groups": 0});
    head.writes("branches", tree)?;
    for name in ["李雪", "王海"] {
        let fields = json!({"name": name, "stage": "full", "branch": "yancheng-1"});
        force.lent.push(bob.writes("members", fields)?);
    }
    for (member, name) in force.lent.iter().zip(["李雪", "王海"]) {
        let fields = json!({"person": name, "member": member, "stage": "full",
            "home_unit": "yancheng", "home_branch": "yancheng-1", "branch": "qiufeng",
            "from": "2018-03-01", "to": "2018-08-25"});
        force.secondments.push(alice.writes("secondments", fields)?);
    }
    cluster.settle()?;
    let unasked = alice.fenbu(&["secondment", "confirm", &force.secondments[0]])?;
    refused(&unasked, 1, &["only the unit it names may take it"])?;
    for id in &force.secondments {
        takes(bob, &["secondment", "confirm", id])?;
    }
    // It neither admits nor elects.
    let admits = bob.fenbu(&["member", "edit", &force.lent[0], "--branch", "qiufeng"])?;
    refused(&admits, 1, &["a temporary branch has no members of its own"])?;
    let elects = ["meeting", "add", "--kind", "election", "--branch", "qiufeng"];
    refused(&alice.fenbu(&elects)?, 1, &["a temporary branch does not elect"])?;
    let elected = ["term", "add", "--person", "陈刚", "--branch", "qiufeng", "--post", "secretary"];
    let elected = [&elected[..], &["--basis", "elected"]].concat();
    refused(&alice.fenbu(&elected)?, 1, &["its leaders are appointed"])?;
    let appointed = json!({"person": "陈刚", "branch": "qiufeng", "post": "secretary",
        "basis": "appointed", "from": "2018-03-01"});
    head.writes("terms", appointed)?;
    cluster.settle()
}

/// Squads and their flags, the rally, study, an issue of its journal. All of it is in its own space.
fn live(cluster: &Cluster, force: &mut Force) -> Result<()> {
    let (alice, bob) = (cluster.node("alice"), cluster.node("bob"));
    let squads = json!({"squads": {"a": {"name": "第一突击队", "leader": "李雪",
        "members": ["王海"], "flag": "2018-03-02"}}});
    alice.edits("temporary-branches", &force.branch, squads)?;
    let (li, wang) = (force.lent[0].as_str(), force.lent[1].as_str());
    let meeting = |kind: &str, on: &str, attendance: Value| {
        alice.writes(
            "meetings",
            json!({"kind": kind, "branch": "qiufeng", "topic": on,
            "start": format!("{on}T09:00:00+08:00"), "status": "held", "attendance": attendance,
            "minutes": "如期召开。"}),
        )
    };
    force.rally = meeting("rally", "2018-03-02", json!({li: "present", wang: "leave"}))?;
    for on in ["2018-04-03", "2018-05-03", "2018-06-03"] {
        meeting("study", on, json!({li: "present", wang: "present"}))?;
    }
    let actions = json!({"actions": {"a": {"text": "整理经验材料", "owner": "李雪"}}});
    alice.edits("meetings", &force.rally, actions)?;
    let issue = json!({"number": 1, "title": "战地快报", "branch": "qiufeng", "cover": "出发。"});
    alice.writes("journal-issues", issue)?;
    // At home the one who is away is not counted among those who should attend.
    let home = json!({"kind": "general", "branch": "yancheng-1", "status": "held",
        "start": "2018-05-10T09:00:00+08:00", "expected": [li, wang], "attendance": {wang: "present"}});
    bob.writes("meetings", home)?;
    cluster.settle()?;
    let space = cluster.node("head").space("qiufeng")?;
    ensure!(space["entries"] == 6, "four meetings, an edit and an issue: {space}");
    let there = bob.lists("meetings")?;
    ensure!(there.len() == 1 && bob.lists("journal-issues")?.is_empty(), "{there:?}");
    Ok(())
}

/// What the home unit learns is what its own members attended.
fn credited(cluster: &Cluster, force: &Force) -> Result<()> {
    let bob = cluster.node("bob");
    cluster.until(Patience::SETTLE, || {
        let credits = bob.lists("attendance-credits")?;
        ensure!(credits.len() == 8, "two members at four meetings: {credits:?}");
        Ok(())
    })?;
    cluster.settle()?;
    ensure!(cluster.node("alice").lists("attendance-credits")?.is_empty(), "the host lent nobody");
    let report = |column: &str| -> Result<(i64, i64)> {
        let route = Route::new("reports/attendance").query("period", "2018").query("by", "branch");
        let answer = bob.get(route)?;
        let lines = answer["lines"].as_array().context("lines")?;
        let line = lines.iter().find(|l| l["key"] == "yancheng-1").context("the home branch")?;
        let cell = &line["cells"][column];
        Ok((cell["done"].as_i64().unwrap_or(-1), cell["required"].as_i64().unwrap_or(-1)))
    };
    assert_eq!(report("credited")?, (7, 8), "one was on leave");
    assert_eq!(report("adjusted")?, (1, 1), "who is away is not counted at home");
    assert_eq!(report("excluded")?.0, 1);
    // A correction reaches the credit.
    let wang = force.lent[1].as_str();
    let alice = cluster.node("alice");
    alice.edits("meetings", &force.rally, json!({"attendance": {wang: "present"}}))?;
    cluster.until(Patience::SETTLE, || {
        ensure!(report("credited")? == (8, 8), "the correction is not here yet");
        Ok(())
    })
}

/// From day 150 of 180 on the host is told.
fn warned(cluster: &Cluster) -> Result<()> {
    let cell = |report: &str, period: &str, line: &str, column: &str| -> Result<Value> {
        let route = Route::new(&format!("reports/{report}")).query("period", period);
        let answer = cluster.node("head").get(route)?;
        let lines = answer["lines"].as_array().context("lines")?;
        let line = lines.iter().find(|l| l["key"] == line).context("a line")?;
        Ok(line["cells"][column].clone())
    };
    let in_june = cell("temporary", "2018-06", "qiufeng", "days")?;
    assert_eq!((&in_june["done"], text(&in_june, "/state")), (&json!(121), "complete"));
    let in_july = cell("temporary", "2018-07", "qiufeng", "days")?;
    assert_eq!((&in_july["done"], text(&in_july, "/state")), (&json!(152), "due"));
    assert_eq!(cell("temporary", "2018-07", "qiufeng", "left")?["done"], 28);
    assert_eq!(cell("overdue", "2018-06", "lianyungang", "temporary")?["done"], 0);
    assert_eq!(cell("overdue", "2018-07", "lianyungang", "temporary")?["done"], 1);
    Ok(())
}

fn checklist(node: &Node) -> Result<Vec<(String, bool)>> {
    let shown = node.fenbu(&["temporary", "checklist", "qiufeng", "--json"])?;
    let shown: Value = serde_json::from_str(&shown.stdout)?;
    let points = shown["points"].as_array().context("points")?;
    let met = |point: &Value| point["met"] == Value::Bool(true);
    Ok(points.iter().map(|p| (text(p, "/key").to_owned(), met(p))).collect())
}

fn open(node: &Node) -> Result<Vec<String>> {
    Ok(checklist(node)?.into_iter().filter(|(_, met)| !met).map(|(key, _)| key).collect())
}

fn end(cluster: &Cluster, force: &Force) -> Result<()> {
    let (head, alice) = (cluster.node("head"), cluster.node("alice"));
    takes(alice, &["temporary-branch", "wind-up", &force.branch])?;
    cluster.settle()?;
    let dissolve = ["temporary-branch", "dissolve", &force.branch, "--note", "任务完成"];
    let early = head.fenbu(&dissolve)?;
    refused(&early, 1, &["minutes, actions, honours, returned", "fenbu temporary checklist"])?;
    for meeting in alice.lists("meetings")? {
        takes(alice, &["meeting", "confirm", text(&meeting, "/id")])?;
    }
    let handed = json!({"actions": {"a": {"text": "整理经验材料", "handed": "yancheng-1"}}});
    alice.edits("meetings", &force.rally, handed)?;
    let honour = json!({"title": "集体三等功", "of": "branch", "name": "qiufeng", "year": 2018});
    alice.writes("honours", honour)?;
    for id in &force.secondments {
        takes(alice, &["secondment", "return", id])?;
    }
    cluster.settle()?;
    assert_eq!(open(head)?, ["archive", "extracts", "closed"]);
    takes(head, &dissolve)?;
    cluster.settle()?;
    archive(cluster, force)?;
    cluster.settle()?;
    assert_eq!(open(alice)?, ["closed"]);
    takes(head, &["temporary-branch", "archive", &force.branch])?;
    closed(cluster)
}

/// Two units hold the same bytes, the third what concerns its own members.
fn archive(cluster: &Cluster, force: &Force) -> Result<()> {
    let (head, alice, bob) = (cluster.node("head"), cluster.node("alice"), cluster.node("bob"));
    let early = head.fenbu(&["temporary-branch", "archive", &force.branch])?;
    refused(&early, 1, &["archive, extracts"])?;
    let path = |name: &str| cluster.home().join(name).display().to_string();
    let written = |node: &Node, name: &str| -> Result<String> {
        let file = path(name);
        takes(node, &["temporary", "archive", "qiufeng", &file])?;
        Ok(std::fs::read_to_string(file)?)
    };
    let full = written(head, "head.jsonl")?;
    cluster.settle()?;
    assert_eq!(full, written(alice, "alice.jsonl")?, "both hold the same");
    let (first, rest) = full.split_once('\n').context("lines")?;
    let first: Value = serde_json::from_str(first)?;
    assert_eq!(first["digest"], blake3::hash(rest.as_bytes()).to_hex().as_str());
    // The branch, two secondments, a term, an honour, four meetings, an issue.
    assert_eq!((&first["records"], rest.lines().count()), (&json!(10), 10));
    ensure!(rest.contains("如期召开。") && rest.contains("战地快报"), "{rest}");
    let stranger = bob.fenbu(&["temporary", "archive", "qiufeng", &path("bob.jsonl")])?;
    refused(&stranger, 5, &["does not read what temporary branch 'qiufeng' keeps"])?;

    let extracted = |node: &Node, name: &str| -> Result<String> {
        let file = path(name);
        takes(node, &["temporary", "extract", "qiufeng", "yancheng", &file])?;
        Ok(std::fs::read_to_string(file)?)
    };
    let extract = extracted(head, "yancheng.jsonl")?;
    assert_eq!(extract, extracted(bob, "own.jsonl")?, "the unit can write its own");
    // The branch, two secondments, eight credits.
    assert_eq!(extract.lines().count(), 12);
    ensure!(!extract.contains("如期召开。"), "no minutes: {extract}");
    let nobody = ["temporary", "extract", "qiufeng", "lianyungang", &path("none.jsonl")];
    refused(&head.fenbu(&nobody)?, 4, &["has lent nobody"])
}

/// Nobody writes there any more, and what was written counts.
fn closed(cluster: &Cluster) -> Result<()> {
    let alice = cluster.node("alice");
    cluster.until(Patience::SETTLE, || {
        ensure!(open(alice)?.is_empty(), "{:?}", open(alice)?);
        Ok(())
    })?;
    cluster.settle()?;
    let space = alice.fenbu(&["space", "show", "qiufeng", "--json"])?.ok()?;
    let space: Value = serde_json::from_str(&space)?;
    assert_eq!(space["writers"], json!([]));
    let late = ["meeting", "add", "--kind", "study", "--branch", "qiufeng"];
    refused(&alice.fenbu(&late)?, 5, &["its unit is no writer of space 'qiufeng'"])?;
    assert_eq!(alice.lists("meetings")?.len(), 4);
    assert_eq!(cluster.node("head").lists("meetings")?.len(), 5);
    Ok(())
}
