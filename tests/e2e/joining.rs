//! Founding, inviting, joining; what then appears where.

use super::story;
use anyhow::ensure;
use fenbu_node::setup::{self, JoinOptions, SetupError};
use fenbu_tests::cluster::Patience;
use serde_json::json;

#[test]
fn a_topic_travels_and_a_roster_stays_at_home_and_at_head_office() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "yancheng")?;
        let alice = cluster.node("alice");
        let topic = alice.writes("topics", json!({"title": "雪夜追缉", "column": "style"}))?;
        let member = alice.writes("members", json!({"name": "王海", "stage": "full"}))?;
        let meeting = alice.writes("meetings", json!({"kind": "lecture", "branch": "第一支部"}))?;
        cluster.settle()?;

        for name in ["head", "alice", "bob"] {
            let shown = cluster.node(name).shows("topics", &topic)?;
            assert_eq!(shown["fields"]["title"], "雪夜追缉", "{name}");
        }
        for name in ["head", "alice"] {
            let node = cluster.node(name);
            assert_eq!(node.shows("members", &member)?["fields"]["name"], "王海", "{name}");
            assert_eq!(node.shows("meetings", &meeting)?["unit"], "lianyungang", "{name}");
        }

        // Bob carries the roster and cannot read it.
        let bob = cluster.node("bob");
        let listed = bob.fenbu(&["member", "list"])?;
        ensure!(listed.code == 0 && listed.stdout.is_empty(), "{listed:?}");
        assert_eq!(bob.fenbu(&["member", "show", &member])?.code, 4);
        assert_eq!(bob.fenbu(&["meeting", "show", &meeting])?.code, 4);
        ensure!(bob.fenbu(&["export"])?.ok()?.lines().count() == 1, "only the topic");
        let (held, carried) = (alice.space("lianyungang")?, bob.space("lianyungang")?);
        assert_eq!(carried["log_digest"], held["log_digest"]);
        assert_eq!(carried["entries"], 2);
        ensure!(carried["readable"] == false && carried["state_digest"].is_null(), "{carried}");
        ensure!(held["state_digest"].is_string(), "{held}");
        let at_head = cluster.node("head").space("lianyungang")?;
        assert_eq!(at_head["state_digest"], held["state_digest"]);

        // A reader says of another's record where it is safe, although it wrote nothing itself.
        cluster.until(Patience::SETTLE, || {
            for (name, kind, id) in [("head", "members", &member), ("bob", "topics", &topic)] {
                let safe = &cluster.node(name).shows(kind, id)?["safe_on"];
                ensure!(*safe == json!({"k": 3, "n": 3}), "{name}: {safe}");
            }
            Ok(())
        })?;

        // Nor may he write there.
        let line = json!({"kind": "member", "unit": "lianyungang", "fields": {"name": "Bob"}});
        let written = bob.fenbu_with(&["import", "-"], format!("{line}\n").as_bytes())?;
        super::refused(&written, 1, &["-:1:", "may not write there"])
    });
}

/// A token that leaked: a hundred machines bring it at once.
#[test]
fn of_a_hundred_who_join_at_once_with_one_token_one_does() {
    story(|cluster| {
        let token = cluster.invite("lianyungang")?;
        let attempts: Vec<_> = (0..100)
            .map(|n| {
                let options = JoinOptions {
                    dir: cluster.home().join(format!("joiner-{n}")),
                    token: token.clone(),
                    name: Some(format!("joiner {n}")),
                    listen: Some("127.0.0.1:0".parse().expect("an address")),
                    advertise: vec!["127.0.0.1:9".into()],
                };
                std::thread::spawn(move || setup::join(&options).map_err(|e| (options.dir, e)))
            })
            .collect();
        let mut winners = Vec::new();
        for attempt in attempts {
            match attempt.join().expect("joining does not panic") {
                Ok(report) => winners.push(report.node),
                Err((dir, error)) => {
                    let said = error.to_string();
                    let told = match &error {
                        SetupError::Refused(_) => said.contains("the token was used already"),
                        // The door sees no more than so many from one address at a time, and a busy
                        // machine may be slow.
                        SetupError::Unreachable(_) => {
                            said.contains("try again") || said.contains("no answer from")
                        }
                        _ => false,
                    };
                    ensure!(told, "{said}");
                    ensure!(!dir.exists(), "it may be tried again in the same folder");
                }
            }
        }
        ensure!(winners.len() == 1, "{winners:?}");
        let directory = cluster.node("head").fenbu(&["directory", "--json"])?.ok()?;
        let directory: serde_json::Value = serde_json::from_str(&directory)?;
        let nodes = directory["nodes"].as_array().into_iter().flatten();
        let joined: Vec<_> = nodes.filter(|n| n["unit"] == "lianyungang").collect();
        assert_eq!(joined.len(), 1, "{directory}");
        assert_eq!(joined[0]["node"], json!(winners[0].to_string()));
        Ok(())
    });
}
