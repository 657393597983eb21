//! People at the consoles of several nodes.

use super::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::{Cluster, Patience, Visitor};
use serde_json::{Value, json};
use std::io::BufRead;

const PASSWORD: &str = "a long password";

fn account(cluster: &Cluster, node: &str, login: &str, roles: &[&str]) -> Result<()> {
    let mut args = vec!["account", "add", login];
    args.extend(roles.iter().flat_map(|role| ["--role", role]));
    cluster.node(node).fenbu_with(&args, PASSWORD.as_bytes())?.ok().map(drop)
}

/// An account made on the server works on the laptop that is away, and nowhere else; what is recorded
/// there arrives on an open page when the laptop is back.
#[test]
fn a_secretary_signs_in_on_the_laptop_that_is_away() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        cluster.join("bob", "nantong")?;
        account(cluster, "alice", "shuji", &["secretary"])?;
        // The laptop comes later: the server gives it a copy of the password.
        cluster.join("laptop", "lianyungang")?;
        let mut away = Visitor::at(cluster.node("laptop"))?;
        cluster.until(Patience::SETTLE, || {
            let page = away.sign_in("shuji", PASSWORD)?;
            ensure!(page.to.as_deref() == Some("/"), "not yet: {} {}", page.status, page.text);
            Ok(())
        })?;
        for other in ["bob", "head"] {
            let mut elsewhere = Visitor::at(cluster.node(other))?;
            let page = elsewhere.sign_in("shuji", PASSWORD)?;
            assert_eq!(page.status, 401, "{other}: accounts are their own unit's");
        }
        cluster.cut("laptop");
        let mut away = Visitor::at(cluster.node("laptop"))?;
        away.sign_in("shuji", PASSWORD)?;
        let mut at_home = Visitor::at(cluster.node("alice"))?;
        at_home.sign_in("shuji", PASSWORD)?;
        let mut live = at_home.follow("meetings")?;
        let form = [
            ("branch", "lyg-1"),
            ("kind", "committee"),
            ("start", "2018-09-12T09:30"),
            ("topic", "recorded in the field"),
            ("observers", "Carol"),
            ("minutes", "What was said."),
        ];
        let saved = away.post("/meetings/record", &form)?;
        ensure!(saved.status == 303, "{} {}", saved.status, saved.text);
        cluster.heal();
        let mut line = String::new();
        while !line.starts_with("event: changed") {
            line.clear();
            ensure!(live.read_line(&mut line)? > 0, "the page at home hears of the meeting");
        }
        cluster.settle()?;
        let page = at_home.get("/r/meetings")?;
        ensure!(page.text.contains("支委会"), "{}", page.text);
        let rows = cluster.node("alice").lists("meetings")?;
        let id = rows[0]["id"].as_str().context("an id")?;
        let shown = cluster.node("alice").shows("meetings", id)?;
        assert_eq!(shown["fields"]["status"], "held");
        assert_eq!(shown["fields"]["observers"], json!(["Carol"]));
        let history = cluster.node("head").history("meetings", id)?;
        let by = history[0]["account"].as_str().unwrap_or_default();
        let who = cluster.node("alice").fenbu(&["account", "list", "--json"])?.ok()?;
        ensure!(who.contains(by) && !by.is_empty(), "it says who recorded it: {history:?}");
        Ok(())
    });
}

/// The laptop's account is disabled while it is away: it goes on until it hears, and no longer.
#[test]
fn an_account_that_ends_is_out_everywhere() {
    story(|cluster| {
        cluster.join("alice", "lianyungang")?;
        account(cluster, "alice", "guanli", &["administrator"])?;
        account(cluster, "alice", "zuozhe", &["author"])?;
        let mut author = Visitor::at(cluster.node("alice"))?;
        author.sign_in("zuozhe", PASSWORD)?;
        assert_eq!(author.get("/r/posts")?.status, 200);
        let args = ["account", "edit", "zuozhe", "--state", "left"];
        cluster.node("alice").fenbu(&args)?.ok()?;
        assert_eq!(author.get("/r/posts")?.status, 303, "asked to sign in");
        assert_eq!(author.sign_in("zuozhe", PASSWORD)?.status, 401);
        let last = ["account", "edit", "guanli", "--state", "left"];
        ensure!(cluster.node("alice").fenbu(&last)?.code != 0, "somebody must remain");
        let audit = cluster.node("alice").lists("audits")?;
        let said: Vec<&Value> = audit.iter().map(|row| &row["what"]).collect();
        ensure!(said.contains(&&json!("signed_in")) && said.contains(&&json!("account_changed")));
        Ok(())
    });
}

/// A name that is not ours, and another site's page, get nowhere.
#[test]
fn another_site_gets_nowhere() {
    story(|cluster| {
        use std::io::{Read, Write};
        let status = cluster.node("head").status()?;
        let url = status["console"]["url"].as_str().context("a console")?;
        let authority = url.trim_start_matches("http://").trim_end_matches('/');
        let asked = |request: &str| -> Result<String> {
            let mut stream = std::net::TcpStream::connect(authority)?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let rebound = asked("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")?;
        ensure!(rebound.starts_with("HTTP/1.1 421"), "{rebound}");
        let crossed = asked(&format!(
            "POST /sign-in HTTP/1.1\r\nHost: {authority}\r\nOrigin: https://evil.example\r\n\
             Connection: close\r\nContent-Length: 0\r\n\r\n"
        ))?;
        ensure!(crossed.starts_with("HTTP/1.1 403"), "{crossed}");
        Ok(())
    });
}
