//! Mistakes told in Chinese: whatever says no, command line, daemon or another node, says it in the
//! reader's language. That every message has its translation is a test of the node's own; here, that
//! it arrives.

use super::{refused, story};
use anyhow::{Context, ensure};
use fenbu_tests::cluster::Patience;
use serde_json::json;

#[test]
fn mistakes_are_told_in_chinese_whoever_finds_them() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        let head = cluster.node("head");
        let said = |args: &[&str], code, words: &[&str]| {
            let ended = head.fenbu(&[args, &["--lang", "zh-CN"]].concat())?;
            refused(&ended, code, words).with_context(|| args.join(" "))?;
            // Each line begins with what it is; a cause comes from the daemon.
            let causes = ended.stderr.lines().filter_map(|line| line.strip_prefix("原因："));
            for cause in causes {
                ensure!(!cause.is_ascii(), "{args:?} is explained in English: {cause}");
            }
            Ok::<_, anyhow::Error>(())
        };
        let unknown = ["post", "add", "--title", "x", "--column", "sport"];
        said(&unknown, 1, &["请求无效", "字段“column”：没有代码“sport”；可用的是"])?;
        said(&["post", "edit", "00", "--title", "x"], 4, &["没有找到", "以“00”开头的稿件"])?;
        said(&["member", "show", "zz"], 4, &["以“zz”开头的党员"])?;
        said(&["invite", "--unit", "new"], 1, &["新单位需要名称"])?;
        said(&["doctor", "--net", "nobody"], 4, &["没有其他节点叫“nobody”"])?;
        said(&["export", "--kind", "song"], 4, &["没有“song”这种记录"])?;
        said(&["repair", "documents", "--space", "x"], 4, &["没有可读的数据范围“x”"])?;
        said(&["post", "list", "--unit", "mars"], 4, &["没有单位“mars”"])?;
        // What starts or founds a node speaks for itself.
        said(&["init", "--name", "again"], 1, &["里已有节点"])?;
        said(&["node", "run"], 1, &["上已有节点在运行"])?;

        let line = json!({"kind": "post", "fields": {"tilte": "x"}}).to_string();
        let bad = head.fenbu_with(&["import", "-", "--lang", "zh-CN"], line.as_bytes())?;
        refused(&bad, 1, &["-:1:", "稿件没有字段“tilte”", "什么也没有导入"])?;

        // Another node refuses, in a language it does not know to be wanted.
        let token = cluster.invite("yancheng")?;
        let first = cluster.plan("bob")?;
        let listen = first.listen.to_string();
        let join = ["join", &token, "--listen", &listen, "--advertise", &listen];
        first.fenbu(&join)?.ok()?;
        let second = cluster.plan("carol")?;
        let again = second.fenbu(&[&join[..], &["--lang", "zh-CN"]].concat())?;
        refused(&again, 5, &["签发令牌的节点拒绝：令牌已经用过"])?;
        let wrong = second.fenbu(&["join", "x", "--listen", &listen, "--lang", "zh-CN"])?;
        refused(&wrong, 2, &["令牌以“fenbu1”开头"])
    });
}

#[test]
fn why_a_peer_is_away_is_told_in_chinese() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        cluster.until(Patience::SETTLE, || {
            let shown = cluster.node("head").fenbu(&["peers", "-o", "wide", "--lang", "zh-CN"])?;
            let shown = shown.ok()?;
            ensure!(shown.contains("对方：节点正在停止") || shown.contains("没有应答"), "{shown}");
            Ok(())
        })?;
        let english = cluster.node("head").fenbu(&["peers", "-o", "wide"])?.ok()?;
        ensure!(!english.contains("对方"), "{english}");
        Ok(())
    });
}
