//! Every page for every eye and hand: light, dark and print, desk and phone, both languages, with a screen
//! reader and without a mouse.

use crate::person::Person;
use crate::story;
use anyhow::{Context, Result, ensure};
use fenbu_tests::cluster::Node;
use serde_json::{Value, json};

/// What every page must be, told by the page itself: a list of what it is not.
const CHECK: &str = include_str!("looks.js");

const WIDTHS: [u32; 2] = [1280, 390];

#[test]
fn every_page_can_be_read_and_worked_by_everybody() {
    story(|cluster| {
        let head = cluster.node("head");
        let records = records(head)?;
        let roles = ["secretary", "reviewer", "administrator", "auditor"];
        let person = Person::new(head, "all", "Quan Neng", &roles)?;
        let mut wrong = Vec::new();
        for language in ["zh-CN", "en"] {
            speaks(&person, language)?;
            for page in pages(&records) {
                person.goes(&page)?;
                for (tone, width) in
                    ["light", "dark"].into_iter().flat_map(|tone| WIDTHS.map(|w| (tone, w)))
                {
                    shown_as(&person, "screen", tone, width)?;
                    let found = person.browser.run(CHECK, &[language.into()])?;
                    let found = found.as_array().into_iter().flatten().filter_map(Value::as_str);
                    let how = format!("{page}, {language}, {tone}, {width} px");
                    wrong.extend(found.map(|what| format!("{how}: {what}")));
                }
                printed(&person).context(page)?;
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    });
}

/// Whoever uses the keyboard gets to the contents with one key, and to the search with another.
#[test]
fn the_keyboard_reaches_everything() {
    story(|cluster| {
        let person = Person::new(cluster.node("head"), "li", "李书记", &["secretary"])?;
        let focused =
            "const e = document.activeElement; return (e.innerText || e.name || e.id).trim()";
        let press = |key: &str| -> Result<()> {
            let keys = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": [
                { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
            ] }] });
            person.browser.command("POST", "/actions", Some(&keys)).map(drop)
        };
        person.goes("/r/posts")?;
        press("\u{e004}")?;
        ensure!(person.browser.run(focused, &[])? == "跳到正文", "the first stop skips the menu");
        press("\u{e007}")?;
        press("\u{e004}")?;
        let inside = "return document.querySelector('main').contains(document.activeElement)";
        ensure!(person.browser.run(inside, &[])? == true, "the next is within the contents");
        person.goes("/r/posts")?;
        press("/")?;
        ensure!(person.browser.run(focused, &[])? == "q", "/ leads to the search");
        Ok(())
    });
}

fn records(head: &Node) -> Result<Vec<String>> {
    let branch = json!({ "code": "head-1", "name": "First branch", "unit": "head", "committee": true, "groups": 1 });
    head.writes("branches", branch)?;
    let member = json!({ "name": "Zhao", "branch": "head-1", "phone": "13800000000" });
    let member = head.writes("members", member)?;
    let post = json!({ "title": "Harbour", "body": "# One\n\nTwo **three**.", "column": "news" });
    let post = head.writes("posts", post)?;
    let step = json!({ "status": { "op": "submit" } });
    head.edits("posts", &post, step)?;
    let meeting = json!({
        "kind": "general", "branch": "head-1", "title": "Meeting", "minutes": "Minutes.",
        "attendance": { &member: "present" }, "start": "2018-07-03T09:00:00+08:00",
    });
    let meeting = head.writes("meetings", meeting)?;
    Ok(vec![
        format!("/r/members/{member}"),
        format!("/r/posts/{post}"),
        format!("/r/meetings/{meeting}"),
    ])
}

fn pages(records: &[String]) -> Vec<String> {
    let fixed = [
        "/",
        "/r/posts",
        "/r/meetings",
        "/r/members",
        "/r/all",
        "/r/posts/new",
        "/r/members/new",
        "/meetings/record",
        "/meetings/record?branch=head-1&kind=general",
        "/meetings/calendar?month=2018-07",
        "/review",
        "/site",
        "/conflicts",
        "/search?q=Harbour",
        "/figures?period=2018-Q3",
        "/figures/matrix?period=2018-Q3",
        "/figures/roster",
        "/figures/posts",
        "/sync",
        "/accounts",
        "/audit",
        "/password",
        "/import",
    ];
    let fixed = fixed.into_iter().map(str::to_owned);
    let records = records
        .iter()
        .flat_map(|page| ["", "/edit", "/history"].map(|rest| format!("{page}{rest}")));
    fixed.chain(records).collect()
}

fn speaks(person: &Person, language: &str) -> Result<()> {
    let cookie = json!({ "cookie": {
        "name": "fenbu-language", "value": language, "path": "/", "secure": true, "sameSite": "Lax",
    } });
    person.browser.command("POST", "/cookie", Some(&cookie)).map(drop)
}

fn shown_as(person: &Person, media: &str, tone: &str, width: u32) -> Result<()> {
    let media = json!({
        "media": media, "features": [{ "name": "prefers-color-scheme", "value": tone }],
    });
    person.browser.devtools("Emulation.setEmulatedMedia", &media)?;
    let size = json!({
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
    });
    person.browser.devtools("Emulation.setDeviceMetricsOverride", &size).map(drop)
}

/// On paper there is what the page says, black on white, and nothing to press.
fn printed(person: &Person) -> Result<()> {
    shown_as(person, "print", "dark", 800)?;
    let script = "\
        const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';\
        return [...document.querySelectorAll('header, nav, button, .button, body')]\
          .filter((e) => e === document.body ? getComputedStyle(e).backgroundColor !== 'rgb(255, 255, 255)' : seen(e))\
          .map((e) => e.outerHTML.slice(0, 120))";
    let found = person.browser.run(script, &[])?;
    ensure!(found == Value::Array(Vec::new()), "on paper: {found:#}");
    Ok(())
}
