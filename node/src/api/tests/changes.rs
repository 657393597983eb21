//! Whoever follows the changes.

use super::*;
use std::collections::BTreeMap;

/// Reads an answer that does not end.
struct Stream {
    body: Incoming,
    read: String,
}

impl Stream {
    async fn follow(desk: &Desk, path: &str, headers: &[(&str, &str)]) -> Self {
        let response = desk.send(Method::GET, path, headers, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        Self { body: response.into_body(), read: String::new() }
    }

    /// The next piece up to this end; `None` once the answer is over.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((piece, rest)) = self.read.split_once(end) {
                let (piece, rest) = (piece.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(piece);
            }
            let frame = self.body.frame().await?.ok()?;
            self.read.push_str(std::str::from_utf8(frame.data_ref()?).unwrap());
        }
    }
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["id"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_told_of_once_as_it_is_now_and_from_anywhere_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = found(&folder);
    let desk = Desk::open(&dir);
    let (one, two) = (desk.write("甲").await, desk.write("乙").await);
    let path = format!("/api/v1/posts/{one}");
    desk.patch(&path, &[], json!({ "fields": { "title": "甲二" } })).await;
    let all = desk.get("/api/v1/changes?kind=post", &[]).await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    let lines = all.lines();
    assert_eq!(ids(&lines), [two.as_str(), &one]);
    assert_eq!(lines[1]["record"]["title"], "甲二");
    assert_eq!((&lines[1]["kind"], &lines[1]["hidden"]), (&json!("post"), &json!(false)));
    let next = lines[2]["next"].as_str().unwrap().to_owned();
    let first = lines[0]["cursor"].as_str().unwrap().to_owned();

    let after = |cursor: &str| format!("/api/v1/changes?kind=post&after={cursor}");
    assert_eq!(ids(&desk.get(&after(&first), &[]).await.lines()), [one.as_str()]);
    // A browser that connects again.
    let newer = [("last-event-id", next.as_str())];
    assert_eq!(desk.get(&after(&first), &newer).await.lines().len(), 1);
    let some = desk.get("/api/v1/changes?kind=post&limit=1", &[]).await.lines();
    assert_eq!((ids(&some), &some[1]["next"]), (vec![two.as_str()], &some[0]["cursor"]));

    // Views that are made again, and a restart, tell of nothing that has not changed.
    desk.post("/api/v1/repair/views", &[], json!({})).await;
    desk.close().await;
    let desk = Desk::open(&dir);
    assert_eq!(desk.get(&after(&next), &[]).await.lines().len(), 1);
    let three = desk.write("丙").await;
    assert_eq!(ids(&desk.get(&after(&next), &[]).await.lines()), [three.as_str()]);
    // Another kind, another unit.
    assert_eq!(desk.get("/api/v1/changes?kind=member", &[]).await.lines().len(), 1);
    let nowhere = desk.get("/api/v1/changes?unit=nowhere", &[]).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_followed_another_order_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let one = desk.write("甲").await;
    let strange = "/api/v1/changes?kind=post&after=00000000deadbeef-3";
    let lines = desk.get(strange, &[]).await.lines();
    assert_eq!((&lines[0]["reset"], ids(&lines)), (&json!(true), vec![one.as_str()]));
    let next = lines.last().unwrap()["next"].as_str().unwrap();
    let (life, number) = next.split_once('-').unwrap();
    let beyond = format!("{life}-{}", number.parse::<u64>().unwrap() + 1);
    let lines = desk.get(&format!("/api/v1/changes?after={beyond}"), &[]).await.lines();
    assert_eq!(lines[0]["reset"], true);
    let bad = desk.get("/api/v1/changes?after=5", &[("accept-language", "zh")]).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.json()["detail"].as_str().unwrap().contains("next"), "{}", bad.json());
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_withdrawn_is_told_of_as_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let schema = fenbu_protocol::record::schema_named("post").unwrap();
    let (field, state) = schema.hidden[0];
    // One that was withdrawn before it was brought in.
    let body = json!({ "fields": { "title": "甲", field: state } });
    let made = desk.post("/api/v1/posts", &[], body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let lines = desk.get("/api/v1/changes?kind=post", &[]).await.lines();
    assert_eq!((&lines[0]["hidden"], &lines[0]["record"][field]), (&json!(true), &json!(state)));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_hear_of_changes_as_they_come_and_are_let_go_when_the_node_stops() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let one = desk.write("甲").await;
    let path = "/api/v1/changes?kind=post&follow=true";
    let mut lines = Stream::follow(&desk, path, &[]).await;
    let mut events = Stream::follow(&desk, path, &[("accept", "text/event-stream")]).await;
    let two = desk.write("乙").await;
    let mut seen = BTreeMap::new();
    while !seen.contains_key(two.as_str()) {
        let line: Value = serde_json::from_str(&lines.until("\n").await.unwrap()).unwrap();
        if let Some(id) = line["id"].as_str() {
            seen.insert(id.to_owned(), line["cursor"].clone());
        }
    }
    assert!(seen.contains_key(&one));
    loop {
        let event = events.until("\n\n").await.unwrap();
        let (head, data) = event.split_once("\ndata: ").unwrap();
        let (id, kind) = head.split_once("\nevent: ").unwrap();
        if data.contains(&two) {
            assert_eq!(kind, "change");
            assert_eq!(id.strip_prefix("id: "), seen[&two].as_str());
            break;
        }
    }
    desk.close().await;
    while lines.until("\n").await.is_some() {}
}
