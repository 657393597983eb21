//! A pretended node behind a real unix socket.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::error::Exit;

/// A folder with a socket that answers each connection with `status` and `body`, and hands back what
/// it was sent.
struct Pretended {
    dir: tempfile::TempDir,
    heard: mpsc::Receiver<String>,
}

impl Pretended {
    fn answering(status: u16, content: &'static str, body: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_FILE)).unwrap();
        let (sender, heard) = mpsc::channel(8);
        let body = body.to_owned();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                let _ = sender.send(request).await;
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {content}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { dir, heard }
    }

    fn client(&self) -> Client {
        Client::new(self.dir.path(), Lang::Zh)
    }
}

/// Reads head and body, whichever way the body's length is told.
async fn read_request(stream: &mut UnixStream) -> String {
    let mut request = String::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "the request ended early: {request}");
        request.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let declared = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse::<usize>().unwrap());
        let chunked = head.contains("transfer-encoding: chunked");
        if if chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= declared } {
            return request;
        }
    }
}

fn english(text: &Text) -> String {
    text.render(Lang::En)
}

#[tokio::test]
async fn json_goes_there_and_back() {
    let mut node = Pretended::answering(201, "application/json", r#"{"id":"ab","extra":1}"#);
    let body = json!({"fields": {"title": "雪夜"}});
    let answer = node.client().post(Route::new("posts"), &body).await.unwrap();
    assert_eq!(answer, json!({"id": "ab", "extra": 1}));
    let heard = node.heard.recv().await.unwrap();
    assert!(heard.starts_with("POST /api/v1/posts HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("accept-language: zh-CN"), "{heard}");
    assert!(heard.ends_with(r#"{"fields":{"title":"雪夜"}}"#), "{heard}");
}

#[tokio::test]
async fn problems_become_errors_with_exit_codes() {
    let body = json!({
        "type": "about:blank", "title": "no such post", "detail": "ab is unknown here",
        "hint": "fenbu post list", "candidates": ["ab1", "ab2"],
    })
    .to_string();
    for (status, exit) in [
        (400, Exit::Failed),
        (403, Exit::NotAllowed),
        (404, Exit::NotFound),
        (409, Exit::Failed),
        (422, Exit::Failed),
        (500, Exit::Failed),
    ] {
        let node = Pretended::answering(status, "application/problem+json", &body);
        let error = node.client().get(Route::new("posts").segment("ab")).await.unwrap_err();
        assert_eq!(error.kind.exit(), exit, "status {status}");
        assert_eq!(english(&error.message), "no such post");
        assert_eq!(error.cause.as_ref().map(english).as_deref(), Some("ab is unknown here"));
        assert_eq!(english(&error.hints[0]), "fenbu post list");
        assert!(english(&error.hints[1]).contains("ab1, ab2"));
    }
}

#[tokio::test]
async fn a_refusal_in_plain_text_is_still_told() {
    let node = Pretended::answering(502, "text/plain", "bad \u{1b}[31mgateway");
    let error = node.client().get(Route::new("status")).await.unwrap_err();
    assert!(english(&error.message).contains("502"));
    assert_eq!(error.cause.as_ref().map(english).as_deref(), Some("bad  [31mgateway"));
}

#[tokio::test]
async fn an_unreadable_answer_is_a_failure() {
    let node = Pretended::answering(200, "application/json", "<html>");
    let error = node.client().get(Route::new("status")).await.unwrap_err();
    assert_eq!((error.kind.exit(), error.message.is(Key::AnswerUnreadable)), (Exit::Failed, true));
}

#[tokio::test]
async fn uploads_stream_and_listed_errors_are_an_answer() {
    let body = r#"{"imported":0,"unchanged":0,"errors":[{"line":1,"column":2,"message":"m"}]}"#;
    let mut node = Pretended::answering(422, "application/json", body);
    let line = format!("{{\"kind\":\"post\",\"pad\":\"{}\"}}\n", "x".repeat(300));
    let text = line.repeat(700);
    assert!(text.len() > 2 * UPLOAD_CHUNK_BYTES);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let answer = node.client().upload(Route::new("import"), Box::new(file)).await.unwrap();
    assert_eq!(answer["errors"][0]["line"], 1);
    let heard = node.heard.recv().await.unwrap();
    assert_eq!(heard.matches("\"kind\"").count(), 700);
}

#[tokio::test]
async fn a_source_that_breaks_is_our_failure_not_the_daemons() {
    struct Stick(usize);
    impl Read for Stick {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 2 { Err(io::Error::other("stick pulled out")) } else { Ok(buffer.len()) }
        }
    }
    let temp = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(temp.path().join(SOCKET_FILE)).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let client = Client::new(temp.path(), Lang::En);
    let error = client.upload(Route::new("import"), Box::new(Stick(0))).await.unwrap_err();
    assert_eq!((error.kind.exit(), error.message.is(Key::InputBroken)), (Exit::Failed, true));
    assert_eq!(error.cause.as_ref().map(english).as_deref(), Some("stick pulled out"));
}

#[tokio::test]
async fn downloads_stream() {
    let node = Pretended::answering(200, "application/x-ndjson", "{\"a\":1}\n{\"b\":2}\n");
    let mut got = Vec::new();
    let sink = |bytes: &[u8]| {
        got.extend_from_slice(bytes);
        Ok(())
    };
    node.client().download(Route::new("export"), sink).await.unwrap();
    assert_eq!(got, b"{\"a\":1}\n{\"b\":2}\n");
    let refusing = Pretended::answering(403, "application/json", r#"{"title":"no"}"#);
    let refused = refusing.client().download(Route::new("export"), |_| Ok(())).await;
    assert_eq!(refused.unwrap_err().kind.exit(), Exit::NotAllowed);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_apart() {
    let temp = tempfile::tempdir().unwrap();
    let at = |dir: PathBuf| async move {
        let error = Client::new(&dir, Lang::En).get(Route::new("status")).await.unwrap_err();
        assert!(!error.hints.is_empty(), "{error:?}");
        error
    };
    let missing = at(temp.path().join("none")).await;
    assert_eq!(
        (missing.kind.exit(), missing.message.is(Key::DirMissing)),
        (Exit::Unreachable, true)
    );

    let empty = at(temp.path().to_owned()).await;
    assert_eq!((empty.kind.exit(), empty.message.is(Key::DirNotNode)), (Exit::Unreachable, true));

    std::fs::write(temp.path().join("node.key"), "k").unwrap();
    let stopped = at(temp.path().to_owned()).await;
    assert_eq!(
        (stopped.kind.exit(), stopped.message.is(Key::DaemonStopped)),
        (Exit::Unreachable, true)
    );

    drop(UnixListener::bind(temp.path().join(SOCKET_FILE)).unwrap());
    let crashed = at(temp.path().to_owned()).await;
    assert_eq!(
        (crashed.kind.exit(), crashed.message.is(Key::DaemonStopped)),
        (Exit::Unreachable, true)
    );

    let long = at(temp.path().join("x".repeat(120))).await;
    assert_eq!((long.kind.exit(), long.message.is(Key::SocketPathLong)), (Exit::Usage, true));
}

#[tokio::test]
async fn a_daemon_that_hangs_times_out_and_one_that_dies_is_unreachable() {
    let temp = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(temp.path().join(SOCKET_FILE)).unwrap();
    let client = Client::new(temp.path(), Lang::En);
    let hung = client.clone().patience(20).get(Route::new("status")).await.unwrap_err();
    assert_eq!(hung.kind.exit(), Exit::TimedOut);

    let dies = tokio::spawn(async move {
        // The first connection is the one that was given up above.
        let _ = listener.accept().await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = read_request(&mut stream).await;
    });
    let gone = client.get(Route::new("status")).await.unwrap_err();
    dies.await.unwrap();
    assert_eq!((gone.kind.exit(), gone.message.is(Key::DaemonGone)), (Exit::Unreachable, true));
}

#[test]
fn routes_escape_what_people_type() {
    let route = Route::new("posts").segment("../a b?").query("q", "雪&x=1").query("n", "2");
    assert_eq!(route.as_str(), "/api/v1/posts/..%2Fa%20b%3F?q=%E9%9B%AA%26x%3D1&n=2");
}
