//! Versions, requests that come again, pages and limits.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_not_changed_is_not_sent_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let path = format!("/api/v1/posts/{}", desk.write("甲").await);
    let shown = desk.get(&path, &[]).await;
    let tag = shown.header("etag").to_owned();
    let again = desk.get(&path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));

    let list = desk.get("/api/v1/posts", &[]).await;
    let listed = list.header("etag").to_owned();
    let held = [("if-none-match", listed.as_str())];
    assert_eq!(desk.get("/api/v1/posts", &held).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(desk.get("/api/v1/posts?limit=1", &held).await.status, StatusCode::OK);
    assert_eq!(desk.get("/api/v1/members", &held).await.status, StatusCode::OK);

    let title = |title: &str| json!({ "fields": { "title": title } });
    let over = [("if-match", tag.as_str())];
    assert_eq!(desk.patch(&path, &over, title("乙")).await.status, StatusCode::OK);
    let late = desk.patch(&path, &[over[0], ("accept-language", "zh")], title("丙")).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let problem = late.json();
    assert_eq!(problem["type"], "changed");
    assert!(problem["detail"].as_str().unwrap().contains("重新读取"), "{problem}");
    assert_eq!(desk.get(&path, &[("if-none-match", &tag)]).await.json()["fields"]["title"], "乙");
    assert_eq!(desk.get("/api/v1/posts", &held).await.status, StatusCode::OK);
    // Without a condition it merges as ever.
    assert_eq!(desk.patch(&path, &[], title("丙")).await.status, StatusCode::OK);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_again_is_answered_as_the_first_time_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = found(&folder);
    let desk = Desk::open(&dir);
    let body = |title: &str| json!({ "fields": { "title": title } });
    let key = [("idempotency-key", "8e03978e")];
    let first = desk.post("/api/v1/posts", &key, body("甲")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    desk.close().await;
    let desk = Desk::open(&dir);
    let again = desk.post("/api/v1/posts", &key, body("甲")).await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    let other = desk.post("/api/v1/posts", &key, body("乙")).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.json()["type"], "key-reused");
    let elsewhere = desk.post("/api/v1/members", &key, json!({ "fields": { "name": "甲" } })).await;
    assert_eq!(elsewhere.json()["type"], "key-reused");
    let no_key = desk.post("/api/v1/repair/views", &key, json!({})).await;
    assert_eq!(no_key.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(desk.get("/api/v1/posts", &[]).await.json()["items"].as_array().unwrap().len(), 1);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_linked_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let mut made = Vec::new();
    for title in ["甲", "乙", "丙", "丁", "戊"] {
        made.push(desk.write(title).await);
    }
    let mut path = "/api/v1/posts?limit=2&order=oldest".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = desk.get(&path, &[]).await;
        let items = page.json()["items"].as_array().unwrap().clone();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let link = page.header("link").to_owned();
        assert_eq!(link.is_empty(), page.json()["next"].is_null());
        let Some((next, _)) = link.strip_prefix('<').and_then(|l| l.split_once('>')) else { break };
        assert!(link.ends_with("; rel=\"next\""), "{link}");
        path = next.to_owned();
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(seen), sorted(made));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_have_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(&found(&folder));
    let zh = ("accept-language", "zh-CN");
    // The head alone: a node that refuses a body need not read it.
    let mut stream = UnixStream::connect(&desk.socket).await.unwrap();
    let head = format!(
        "POST /api/v1/posts HTTP/1.1\r\nhost: fenbu\r\naccept-language: zh\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        9 << 20
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("8 MiB"), "{answer}");
    let long = "x".repeat(40 << 10);
    let headers = desk.get("/api/v1/status", &[zh, ("x-long", &long)]).await;
    assert_eq!(headers.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    desk.close().await;
}
