//! What people type never runs, and other sites' pages change nothing.

use crate::person::Person;
use crate::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::Cluster;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// Says that it ran, in the ways by which scripts get into pages.
const HOSTILE: &str = "\"'><script>window.ran=1</script><img src=x onerror=\"window.ran=1\">\
    <svg onload=window.ran=1></svg></textarea><iframe srcdoc=\"<script>parent.ran=1</script>\"></iframe>";
const HOSTILE_TEXT: &str = "[链接](javascript:window.ran=1) [数据](data:text/html,<script>window.ran=1</script>) \
    ![图](x\" onerror=\"window.ran=1) <a href=\"javascript:window.ran=1\">x</a> \
    <img src=x onerror=window.ran=1>";

#[test]
fn what_is_typed_never_runs() {
    story(|cluster| {
        let typed = typed(cluster)?;
        let person = Person::signed_in(cluster.node("head"), "all")?;
        for path in pages(&typed) {
            person.goes(&path)?;
            person.reads("window.ran").with_context(|| path.clone())?;
            inert(&person).with_context(|| path.clone())?;
        }
        person.goes("/r/posts/new")?;
        person.fills("[name=body]", &format!("{HOSTILE}\n\n{HOSTILE_TEXT}"))?;
        person.presses("预览")?;
        person.until(|| {
            ensure!(person.text_of("[id$=-preview]")?.contains("window.ran"), "no preview yet");
            Ok(())
        })?;
        inert(&person)?;
        // Should something of theirs get into a page after all, the browser does not run it.
        let script = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; \
            document.body.append(s); const i = document.createElement('div'); \
            i.innerHTML = '<img src=x onerror=\"window.ran=1\">'; document.body.append(i)";
        person.browser.run(script, &[])?;
        let refused = || {
            let told: Vec<Value> = person.browser.log("browser")?;
            let told = told.iter().filter_map(|entry| entry["message"].as_str());
            let refused = told.filter(|text| text.contains("Content Security Policy")).count();
            ensure!(refused > 0, "the browser refused nothing");
            Ok(())
        };
        person.until(refused)?;
        ran_nothing(&person)
    });
}

/// Hostile text wherever people type: ids by kind.
fn typed(cluster: &Cluster) -> Result<Vec<(&'static str, String)>> {
    let head = cluster.node("head");
    let roles = ["secretary", "reviewer", "administrator", "auditor"];
    crate::person::account(head, "all", HOSTILE, &roles)?;
    let post = json!({
        "title": HOSTILE, "body": format!("{HOSTILE}\n\n{HOSTILE_TEXT}"), "column": "news",
        "bylines": [HOSTILE], "tags": [HOSTILE], "source_url": "javascript:window.ran=1",
        "comments": { "add": [{ "text": HOSTILE, "by": HOSTILE }] },
        "status": { "op": "submit" },
    });
    let post = head.writes("posts", post)?;
    let branch = json!({ "code": "head-1", "name": HOSTILE, "unit": "head" });
    let branch = head.writes("branches", branch)?;
    let member = head.writes("members", json!({ "name": HOSTILE, "branch": "head-1" }))?;
    let meeting = json!({
        "kind": "general", "branch": "head-1", "title": HOSTILE, "minutes": HOSTILE_TEXT,
        "observers": [HOSTILE], "host": HOSTILE, "attendance": { &member: "present" },
        "start": "2018-07-03T09:00:00+08:00",
    });
    let meeting = head.writes("meetings", meeting)?;
    Ok(vec![("posts", post), ("branches", branch), ("members", member), ("meetings", meeting)])
}

fn pages(typed: &[(&str, String)]) -> Vec<String> {
    let mut out: Vec<String> =
        ["/", "/review", "/search?q=window", "/accounts", "/password", "/meetings/record"]
            .map(str::to_owned)
            .to_vec();
    for (plural, id) in typed {
        let rest = ["", "/edit", "/history"].map(|rest| format!("/r/{plural}/{id}{rest}"));
        out.push(format!("/r/{plural}"));
        out.extend(rest);
    }
    out
}

/// The page holds nothing that could run but our own script, and nothing ran.
fn inert(person: &Person) -> Result<()> {
    let script = "\
        const bad = [...document.querySelectorAll('script')].filter((s) => !/^\\/assets\\//.test(s.getAttribute('src') ?? ''));\
        bad.push(...document.querySelectorAll('iframe, object, embed, main svg:not([role]), base'));\
        for (const e of document.querySelectorAll('*')) for (const a of e.attributes)\
          if (/^on/i.test(a.name) || /^\\s*(javascript|data|vbscript):/i.test(a.value) && /^(href|src|action|formaction)$/i.test(a.name)) bad.push(e);\
        return bad.map((e) => e.outerHTML.slice(0, 200))";
    let found = person.browser.run(script, &[])?;
    ensure!(found == json!([]), "could run: {found}");
    ran_nothing(person)
}

fn ran_nothing(person: &Person) -> Result<()> {
    let ran = person.browser.run("return window.ran ?? null", &[])?;
    ensure!(ran.is_null(), "something ran");
    Ok(())
}

/// A page elsewhere that sends a form of ours: signed in or not, it changes nothing.
#[test]
fn another_sites_page_changes_nothing() {
    story(|cluster| {
        let head = cluster.node("head");
        let person = Person::new(head, "admin", "管理员", &["administrator"])?;
        let elsewhere = TcpListener::bind("127.0.0.1:0")?;
        let port = elsewhere.local_addr()?.port();
        let page = format!(
            "<form method=post action='{}/accounts'><input name=login value=thief>\
             <input name=name value=thief><input name='role:administrator' value=on>\
             <input name=password value='stolen goods 2018'><button>go</button></form>",
            person.base
        );
        std::thread::spawn(move || serve(&elsewhere, &page));
        // Another site by its name, and another origin of the same one.
        for host in ["localhost", "127.0.0.1"] {
            person.browser.get(&format!("http://{host}:{port}/"))?;
            person.presses_in("//form", "go")?;
            person.reads("别的网站的页面")?;
        }
        let listed = head.fenbu(&["account", "list"])?.ok()?;
        ensure!(!listed.contains("thief"), "{listed}");
        // Somebody's own page still may.
        person.finds("/accounts", "管理员")
    });
}

/// Answers everything with one page, until the test ends.
fn serve(listener: &TcpListener, page: &str) {
    for stream in listener.incoming().map_while(Result::ok) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
        let mut stream = reader.into_inner();
        // A browser that went away wants no page.
        let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    }
}
