//! What people get wrong: each mistake has its exit code, a message that says what to do, and no
//! effect. Tokens expire in the tests of the door itself, whose clock can be set.

use super::{refused, story};
use anyhow::{Context, Result, bail, ensure};
use fenbu_protocol::id::FederationId;
use fenbu_protocol::wire::join::Token;
use fenbu_tests::cluster::{Cluster, database};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

/// What must not change: every log and every document, and who is in the directory.
fn state(cluster: &Cluster) -> Result<Value> {
    let status = cluster.node("head").status()?;
    let keep = ["epoch", "directory_head", "spaces", "records", "entries", "documents"];
    Ok(keep.into_iter().map(|field| (field.to_owned(), status[field].clone())).collect())
}

/// Runs a mistake and sees to it that it changed nothing.
fn harmless(cluster: &Cluster, mistake: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = state(cluster)?;
    mistake()?;
    let after = state(cluster)?;
    ensure!(before == after, "it changed something:\n{before}\n{after}");
    Ok(())
}

#[test]
fn wrong_commands_say_what_is_meant() {
    story(|cluster| {
        let head = cluster.node("head");
        let post = head.writes("posts", json!({"title": "One"}))?;
        harmless(cluster, || {
            let said = |args: &[&str], code, words: &[&str]| {
                let ended = head.fenbu(args)?;
                refused(&ended, code, words).with_context(|| args.join(" "))
            };
            said(&["post", "add", "--tilte", "x"], 2, &["--tilte", "--title", "--help"])?;
            said(&["post", "add"], 2, &["--title"])?;
            said(&["past", "list"], 2, &["past", "post"])?;
            said(&["post", "add", "--title", "x", "--column", "sport"], 1, &["sport", "news"])?;
            said(&["post", "list", "--limit", "0"], 2, &["limit"])?;
            said(&["post", "edit", &post], 2, &["no field", "--help"])?;
            said(&["post", "edit", "00", "--title", "x"], 4, &["00", "list"])?;
            said(&["post", "show", "zz"], 4, &["zz", "list"])?;
            said(&["invite", "--unit", "new"], 1, &["--name"])?;
            said(&["invite", "--unit", "new", "--valid", "73h"], 2, &["73h", "72h"])?;
            said(&["doctor", "--net", "nobody"], 4, &["nobody", "fenbu directory"])?;
            said(&["export", "--kind", "song"], 4, &["song"])?;
            let taken = ["init", "--name", "again"];
            said(&taken, 1, &["already holds a node", "another folder"])
        })?;

        let nowhere = cluster.home().join("nowhere");
        let in_nowhere = |verb: &[&str]| {
            let dir = nowhere.to_str().context("a temporary path is UTF-8")?;
            cluster.fenbu(&[verb, &["--dir", dir]].concat())
        };
        refused(&in_nowhere(&["status"])?, 3, &["there is no folder", "--dir", "fenbu init"])?;
        refused(&in_nowhere(&["node", "run"])?, 1, &["there is no folder", "--dir"])?;
        refused(&in_nowhere(&["doctor"])?, 6, &["there is no folder", "fenbu init"])?;
        ensure!(!nowhere.exists(), "a question made a folder");
        std::fs::create_dir(&nowhere)?;
        refused(&in_nowhere(&["status"])?, 3, &["holds no node", "fenbu init"])?;
        refused(&in_nowhere(&["node", "run"])?, 1, &["holds no node", "fenbu init"])?;

        let again = head.fenbu(&["node", "run"])?;
        refused(&again, 1, &["a daemon is already running", "stop it first"])?;
        assert_eq!(head.shows("posts", &post)?["fields"]["title"], "One", "the first goes on");
        Ok(())
    });
}

#[test]
fn a_bad_import_names_line_and_column_and_is_all_or_nothing() {
    story(|cluster| {
        let head = cluster.node("head");
        let good = |n: u8| {
            let id = format!("{n:032x}");
            json!({"kind": "post", "id": id, "fields": {"title": format!("Post {n}")}})
        };
        let lines = [
            good(1).to_string(),
            r#"{"kind": "post", "fields": {"title": "x"}"#.to_owned(),
            r#"{"kind": "post", "fields": {"tilte": "x"}}"#.to_owned(),
            r#"{"kind": "song", "fields": {}}"#.to_owned(),
            good(2).to_string(),
        ];
        let path = cluster.file("posts.jsonl", lines.join("\n"))?;
        let path = path.to_str().context("a temporary path is UTF-8")?;
        let named = [
            "posts.jsonl:2:41: EOF",
            "posts.jsonl:3:29: ",
            "tilte",
            "posts.jsonl:4:10: unknown kind 'song'",
        ];
        harmless(cluster, || {
            refused(&head.fenbu(&["import", path])?, 1, &named)?;
            refused(&head.fenbu(&["import", path])?, 1, &["--partial"])?;
            refused(&head.fenbu(&["import", "--dry-run", path])?, 1, &named)?;
            let gone = head.fenbu(&["import", "gone.jsonl"])?;
            refused(&gone, 1, &["gone.jsonl", "No such file"])?;
            let latin = head.fenbu_with(&["import", "-"], b"{\"kind\": \"\xb5\xb3\"}")?;
            refused(&latin, 1, &["-:1:11: ", "UTF-8"])
        })?;
        assert_eq!(head.lists("posts")?.len(), 0);

        // The good lines alone; a second time they say nothing new.
        refused(&head.fenbu(&["import", "--partial", path])?, 1, &named)?;
        assert_eq!(head.lists("posts")?.len(), 2);
        harmless(cluster, || {
            let again = head.fenbu(&["import", "--partial", "--json", path])?;
            let report: Value = serde_json::from_str(&again.stdout).context(again.stderr)?;
            ensure!(report["unchanged"] == 2 && report["imported"] == 0, "{report}");
            Ok(())
        })
    });
}

#[test]
fn a_body_over_the_limit_is_refused_whole() {
    story(|cluster| {
        let head = cluster.node("head");
        let post = head.writes("posts", json!({"title": "One"}))?;
        let body = cluster.file("body.md", "长".repeat(200 << 10))?;
        let body = body.to_str().context("a temporary path is UTF-8")?;
        let longer = cluster.file("longer.md", vec![b'x'; 5 << 20])?;
        let longer = longer.to_str().context("a temporary path is UTF-8")?;
        let said = ["too much for one save", "save parts", "20000 characters"];
        harmless(cluster, || {
            let added = head.fenbu(&["post", "add", "--title", "Long", "--body-file", body])?;
            refused(&added, 1, &said)?;
            let edited = head.fenbu(&["post", "edit", &post, "--body-file", body])?;
            refused(&edited, 1, &said)?;
            let endless =
                head.fenbu(&["post", "add", "--title", "Longer", "--body-file", longer])?;
            refused(&endless, 1, &["longer.md is too large"])
        })
    });
}

#[test]
fn a_token_works_once_here_and_whole() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.settle()?;
        let used = cluster.invite("yancheng")?;
        join(cluster, "bob", &used)?.ok()?;
        cluster.settle()?;
        let fresh = cluster.invite("yancheng")?;

        let token = Token::from_text(&fresh)?;
        let elsewhere = Token { federation: FederationId([7; 32]), ..token.clone() };
        let guessed = Token { secret: [0; 16], ..token.clone() };
        let unheard = Token { addresses: vec!["127.0.0.1:9".into()], ..token };
        let mut damaged = fresh.clone().into_bytes();
        damaged[40] = if damaged[40] == b'a' { b'b' } else { b'a' };
        let damaged = String::from_utf8(damaged)?;
        let attempts: [(&str, &str, i32, &[&str]); 7] = [
            ("used", &used, 5, &["was used already", "fenbu invite"]),
            ("elsewhere", &elsewhere.to_text(), 5, &["for another federation"]),
            ("guessed", &guessed.to_text(), 5, &["no such token", "fenbu invite"]),
            ("damaged", &damaged, 2, &["damaged", "copy the whole line"]),
            ("cut", &fresh[..fresh.len() - 9], 2, &["damaged", "copy the whole line"]),
            ("word", "hello", 2, &["begins with 'fenbu1'", "fenbu invite"]),
            ("unheard", &unheard.to_text(), 3, &["127.0.0.1:9", "firewall"]),
        ];
        for (name, token, code, said) in attempts {
            let attempt = || {
                refused(&join(cluster, name, token)?, code, said)?;
                ensure!(!cluster.home().join(name).exists(), "half a folder is left");
                Ok(())
            };
            harmless(cluster, attempt).with_context(|| name.to_owned())?;
        }

        // Only the admin node lets nodes in; the refused attempts cost the good token nothing.
        let alice = cluster.node("alice");
        let invited = alice.fenbu(&["invite", "--unit", "yancheng"])?;
        refused(&invited, 5, &["only the admin node 'head'", "run it there"])?;
        join(cluster, "carol", &fresh)?.ok()?;
        Ok(())
    });
}

fn join(cluster: &Cluster, name: &str, token: &str) -> Result<fenbu_tests::cluster::Ended> {
    let node = cluster.plan(name)?;
    let (listen, advertised) = (node.listen.to_string(), node.advertised.to_string());
    node.fenbu(&["join", token, "--listen", &listen, "--advertise", &advertised])
}

#[test]
fn a_damaged_database_is_told_and_troubles_nobody_else() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        for n in 0..20 {
            let title = format!("Post {n}");
            cluster
                .node("alice")
                .writes("topics", json!({"title": title, "brief": "long ".repeat(200)}))?;
        }
        cluster.settle()?;
        cluster.node_mut("alice").stop()?;
        let path = database(&cluster.node("alice").dir);
        let bytes = std::fs::metadata(&path)?.len();
        let mut file = File::options().write(true).open(&path)?;
        // A few pages in the middle may go unnoticed at the start, but not by the doctor.
        file.seek(SeekFrom::Start(bytes / 2 / 4096 * 4096))?;
        file.write_all(&[0xa5; 3 * 4096])?;
        match cluster.node_mut("alice").start() {
            Err(error) => ensure!(format!("{error:#}").contains("is damaged"), "{error:#}"),
            Ok(()) => {
                // It makes the database anew by itself: see `healing`. Here it does not come to that.
                cluster.node_mut("alice").kill()?;
            }
        }

        // Everything after the first page, which keeps the look of a database.
        file.seek(SeekFrom::Start(4096))?;
        file.write_all(&vec![0xa5; usize::try_from(bytes - 4096)?])?;
        file.sync_all()?;
        drop(file);

        let alice = cluster.node("alice");
        let ended = alice.fenbu(&["node", "run"])?;
        refused(
            &ended,
            1,
            &["is damaged", "keep a copy", "put a backup of it in its place", "join again"],
        )?;
        if cluster.node_mut("alice").start().is_ok() {
            bail!("it starts the second time");
        }
        let head = cluster.node("head");
        head.writes("topics", json!({"title": "Life goes on"}))?;
        assert_eq!(head.lists("topics")?.len(), 21);
        assert_eq!(head.status()?["alarms"], json!([]));

        // As the message says: an empty folder and a new token bring everything back.
        cluster.join("alice-2", "lianyungang")?;
        cluster.until(fenbu_tests::cluster::Patience::SETTLE, || {
            ensure!(cluster.node("alice-2").lists("topics")?.len() == 21, "not all is back");
            Ok(())
        })
    });
}
