//! When a session ends, and when nobody gets in.

use crate::person::{PASSWORD, Person, account};
use crate::story;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// More wrong passwords than anybody needs to be locked out.
const GUESSES_MAX: usize = 20;

#[test]
fn a_session_ends_with_signing_out_and_with_the_account() {
    story(|cluster| {
        let head = cluster.node("head");
        let person = Person::new(head, "wang", "王小明", &["author"])?;
        let cookie = session_cookie(&person)?;
        ensure!(cookie["httpOnly"] == true && cookie["secure"] == true, "{cookie}");
        ensure!(cookie["sameSite"] == "Lax" && cookie["path"] == "/", "{cookie}");
        person.presses_in("//header", "退出")?;
        person.reads("登录名")?;
        asked_to_sign_in(&person)?;
        // Whoever kept the cookie gets in no more than they do.
        let kept = json!({ "cookie": {
            "name": cookie["name"], "value": cookie["value"], "path": "/",
            "secure": true, "httpOnly": true, "sameSite": "Lax",
        } });
        person.browser.command("POST", "/cookie", Some(&kept))?;
        asked_to_sign_in(&person)?;

        person.signs_in("wang", PASSWORD)?;
        person.reads("我的待办")?;
        head.fenbu(&["account", "edit", "wang", "--state", "disabled"])?.ok()?;
        asked_to_sign_in(&person)?;
        person.signs_in("wang", PASSWORD)?;
        person.reads("登录名或口令不对")
    });
}

#[test]
fn whoever_guesses_is_locked_out() {
    story(|cluster| {
        let head = cluster.node("head");
        account(head, "admin", "管理员", &["administrator"])?;
        let person = Person::before(head)?;
        let mut tried = 0;
        while !person.text()?.contains("次数过多") {
            tried += 1;
            ensure!(tried <= GUESSES_MAX, "guessed {tried} times: {}", person.text()?);
            person.signs_in("admin", "not the password")?;
            person.until(|| {
                let said = person.text_of("[role=alert]")?;
                ensure!(!said.is_empty(), "nothing is said");
                Ok(())
            })?;
        }
        ensure!(tried > 2, "a slip of the hand locks nobody out");
        person.signs_in("admin", PASSWORD)?;
        person.reads("次数过多")?;
        asked_to_sign_in(&person)
    });
}

fn session_cookie(person: &Person) -> Result<Value> {
    let all = person.browser.command("GET", "/cookie", None)?;
    let mut all = all.as_array().into_iter().flatten();
    let ours = all.find(|c| c["name"].as_str().is_some_and(|n| n.starts_with("__Host-")));
    ours.cloned().context("no session cookie")
}

fn asked_to_sign_in(person: &Person) -> Result<()> {
    person.goes("/r/posts")?;
    let path = person.path()?;
    ensure!(path.starts_with("/sign-in"), "they are at {path}");
    Ok(())
}
