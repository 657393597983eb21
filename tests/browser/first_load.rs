//! What a page costs to load, and where it comes from.

use crate::person::Person;
use crate::story;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Most bytes of a first page with its style, script and icon.
const FIRST_LOAD_BYTES_MAX: u64 = 100 << 10;

#[test]
fn pages_are_light_and_come_from_the_node_alone() {
    story(|cluster| {
        let head = cluster.node("head");
        for n in 0..60 {
            head.writes(
                "posts",
                json!({ "title": format!("稿件 {n}"), "body": "正文".repeat(500) }),
            )?;
        }
        let roles = ["secretary", "reviewer", "administrator", "auditor"];
        let person = Person::new(head, "all", "全能", &roles)?;
        let pages = [
            "/sign-in",
            "/",
            "/r/posts",
            "/r/meetings",
            "/r/posts/new",
            "/meetings/record",
            "/site",
            "/review",
            "/conflicts",
            "/figures",
            "/figures/matrix",
            "/sync",
            "/accounts",
            "/audit",
            "/search?q=稿件",
            "/password",
        ];
        for page in pages {
            person.goes("/healthz")?;
            // As for somebody who comes for the first time.
            person.browser.devtools("Network.clearBrowserCache", &json!({}))?;
            person.browser.log("performance")?;
            person.goes(page)?;
            let (bytes, addresses) = loaded(&person)?;
            let all = addresses.join(" ");
            ensure!(addresses.len() >= 3, "{page} loads {all}");
            for address in &addresses {
                let ours = address.starts_with(&person.base) || address.starts_with("data:");
                ensure!(ours, "{page} asks elsewhere: {address}");
            }
            ensure!(bytes < FIRST_LOAD_BYTES_MAX, "{page} takes {bytes} bytes: {all}");
            complains_of_nothing(&person).context(page)?;
        }
        Ok(())
    });
}

/// Bytes over the network and addresses asked for, by the browser's own log.
fn loaded(person: &Person) -> Result<(u64, Vec<String>)> {
    let (mut bytes, mut addresses) = (0, Vec::new());
    for entry in person.browser.log("performance")? {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("{}"))?;
        let (method, parameters) = (&message["message"]["method"], &message["message"]["params"]);
        if method == "Network.loadingFinished" {
            bytes += parameters["encodedDataLength"].as_f64().unwrap_or(0.0) as u64;
        } else if method == "Network.requestWillBeSent" {
            addresses.extend(parameters["request"]["url"].as_str().map(str::to_owned));
        }
    }
    Ok((bytes, addresses))
}

/// The browser found nothing wrong with the page: no script failed, no policy was broken.
fn complains_of_nothing(person: &Person) -> Result<()> {
    let log = person.browser.log("browser")?;
    let severe: Vec<&Value> = log.iter().filter(|entry| entry["level"] == "SEVERE").collect();
    ensure!(severe.is_empty(), "{severe:?}");
    Ok(())
}
