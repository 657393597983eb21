//! The API as a caller meets it: a node in a folder, asked over its socket.

mod changes;
mod described;
mod versions;

use crate::api::{bind, serve};
use crate::config::Config;
use crate::daemon::Daemon;
use crate::setup::{InitOptions, init};
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A node, and whoever asks it.
struct Desk {
    daemon: Arc<Daemon>,
    socket: PathBuf,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an answer in JSON")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Founds a federation in a folder.
fn found(folder: &tempfile::TempDir) -> PathBuf {
    let dir = folder.path().join("node");
    let options = InitOptions {
        dir: dir.clone(),
        name: "测试".into(),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        advertise: vec!["127.0.0.1:9".into()],
        ..InitOptions::default()
    };
    init(&options).unwrap();
    dir
}

impl Desk {
    fn open(dir: &std::path::Path) -> Self {
        let mut config = Config::load(dir, |_| None).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        let socket = config.api.socket.clone();
        let daemon = Arc::new(Daemon::start(config).unwrap());
        let listener = bind(&socket).unwrap();
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve(listener, daemon.clone(), stopped));
        Self { daemon, socket, stop, served }
    }

    async fn close(self) {
        self.stop.send_replace(true);
        self.served.await.unwrap();
        self.daemon.stop().await;
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Response<Incoming> {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "fenbu");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let response = self.send(method, path, headers, body).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answered { status, headers, body }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answered {
        self.ask(Method::GET, path, headers, "").await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answered {
        self.ask(Method::POST, path, headers, body.to_string()).await
    }

    async fn patch(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answered {
        self.ask(Method::PATCH, path, headers, body.to_string()).await
    }

    /// Makes a post; its id.
    async fn write(&self, title: &str) -> String {
        let body = json!({ "fields": { "title": title } });
        let made = self.post("/api/v1/posts", &[], body).await;
        assert_eq!(made.status, StatusCode::CREATED);
        made.json()["id"].as_str().unwrap().to_owned()
    }
}
