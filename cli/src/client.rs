//! Speaks HTTP/1.1 with JSON to the node's unix socket.
//!
//! One connection per request: the socket is local, and a command asks once or twice. What the
//! daemon refuses arrives as problem+json and leaves as an [`Error`]; what cannot be reached is told
//! apart (no folder, no node, no daemon, no permission), because each has a different remedy.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::error::{Error, Kind, Result};
use crate::lang::{Key, Lang, Text};
use crate::wiring;

/// The socket's name in the node's folder.
pub const SOCKET_FILE: &str = "node.sock";

/// What `sockaddr_un` holds, less the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Largest answer held in memory; exports are streamed and not bound by it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long the daemon may take over one small request before we say that it hangs.
const ANSWER_TIMEOUT_MS: u64 = 60_000;

/// An upload is read in pieces of this size, at most [`UPLOAD_CHUNKS_MAX`] ahead of the socket.
const UPLOAD_CHUNK_BYTES: usize = 64 << 10;
const UPLOAD_CHUNKS_MAX: usize = 4;

/// A path below `/api/v1`, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(String, bool);

impl Route {
    /// Starts a route at a fixed path such as `posts`.
    pub fn new(path: &str) -> Self {
        Self(format!("/api/v1/{path}"), false)
    }

    /// Appends a segment that a person gave.
    #[must_use]
    pub fn segment(mut self, segment: &str) -> Self {
        self.0.push('/');
        escape(&mut self.0, segment);
        self
    }

    /// Appends a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.0.push(if self.1 { '&' } else { '?' });
        self.1 = true;
        self.0.push_str(name);
        self.0.push('=');
        escape(&mut self.0, value);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// The way to one node's daemon.
#[derive(Debug, Clone)]
pub struct Client {
    dir: PathBuf,
    lang: Lang,
    answer_timeout_ms: u64,
}

impl Client {
    pub fn new(dir: &Path, lang: Lang) -> Self {
        Self { dir: dir.to_owned(), lang, answer_timeout_ms: ANSWER_TIMEOUT_MS }
    }

    /// The same way with another patience, in milliseconds.
    #[must_use]
    pub fn patience(mut self, answer_timeout_ms: u64) -> Self {
        self.answer_timeout_ms = answer_timeout_ms;
        self
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join(SOCKET_FILE)
    }

    pub async fn get(&self, route: Route) -> Result<Value> {
        self.ask(Method::GET, route, None).await
    }

    pub async fn post(&self, route: Route, body: &Value) -> Result<Value> {
        self.ask(Method::POST, route, Some(body)).await
    }

    pub async fn patch(&self, route: Route, body: &Value) -> Result<Value> {
        self.ask(Method::PATCH, route, Some(body)).await
    }

    async fn ask(&self, method: Method, route: Route, body: Option<&Value>) -> Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let patience = Duration::from_millis(self.answer_timeout_ms);
        let asked = async {
            let response =
                self.send(method, route, "application/json", Full::new(Bytes::from(body))).await?;
            let status = response.status().as_u16();
            let bytes = self.collect(response).await?;
            if !(200..300).contains(&status) {
                return Err(problem(status, &bytes));
            }
            parse(&bytes)
        };
        tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| {
            Err(Error::new(
                Kind::TimedOut,
                Key::DaemonSilent.with([("seconds", patience.as_secs().to_string())]),
            )
            .hint(Key::HintDoctor.with([("dir", self.shown_dir())])))
        })
    }

    /// Sends what `source` yields as it is read, whatever its length. A refusal that carries a list
    /// of `errors` is an answer, not a failure.
    pub async fn upload(&self, route: Route, source: Box<dyn Read + Send>) -> Result<Value> {
        let broken = Arc::new(Mutex::new(None));
        let body = Upload { chunks: read_ahead(source), broken: Arc::clone(&broken) };
        let sent = self.send(Method::POST, route, "application/x-ndjson", body).await;
        // Where our own input failed, the daemon is not to blame for the broken request.
        if let Some(why) = broken.lock().ok().and_then(|mut slot| slot.take()) {
            return Err(Error::failed(Key::InputBroken).cause(why));
        }
        let response = sent?;
        let status = response.status().as_u16();
        let bytes = self.collect(response).await?;
        let listed = serde_json::from_slice::<Value>(&bytes)
            .ok()
            .filter(|answer| answer["errors"].is_array());
        match (status, listed) {
            (200..=299, _) => parse(&bytes),
            (_, Some(answer)) => Ok(answer),
            _ => Err(problem(status, &bytes)),
        }
    }

    /// Hands the answer's bytes to `sink` as they come.
    pub async fn download(
        &self,
        route: Route,
        mut sink: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut response =
            self.send(Method::GET, route, "application/json", Full::<Bytes>::default()).await?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(problem(status, &self.collect(response).await?));
        }
        while let Some(frame) = response.frame().await {
            let frame = frame.map_err(|e| self.cut_off(&e))?;
            if let Some(data) = frame.data_ref() {
                sink(data)?;
            }
        }
        Ok(())
    }

    async fn send<B>(
        &self,
        method: Method,
        route: Route,
        content: &str,
        body: B,
    ) -> Result<Response<Incoming>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.cut_off(&e))?;
        tokio::spawn(async move {
            // The request's own future reports what went wrong.
            let _ = connection.await;
        });
        let request = Request::builder()
            .method(method)
            .uri(route.as_str())
            .header(header::HOST, "fenbu")
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::ACCEPT_LANGUAGE, self.lang.tag())
            .header(header::CONTENT_TYPE, content)
            .body(body)
            .map_err(|e| Error::usage(Key::RouteUnsendable).cause(e.to_string()))?;
        sender.send_request(request).await.map_err(|e| self.cut_off(&e))
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let collected = body.collect().await.map_err(|e| self.cut_off(&*e))?;
        Ok(collected.to_bytes())
    }

    async fn connect(&self) -> Result<UnixStream> {
        let socket = self.socket();
        let length = socket.as_os_str().len();
        if length > SOCKET_PATH_BYTES_MAX {
            return Err(Error::usage(Key::SocketPathLong.with([
                ("path", socket.display().to_string()),
                ("length", length.to_string()),
                ("max", SOCKET_PATH_BYTES_MAX.to_string()),
            ]))
            .hint(Key::HintShorterDir));
        }
        UnixStream::connect(&socket).await.map_err(|e| self.unreachable(&e))
    }

    /// Why nothing answers, and what to do about it.
    fn unreachable(&self, source: &io::Error) -> Error {
        let dir = self.shown_dir();
        let error = |key: Key| Error::new(Kind::Unreachable, key.with([("dir", dir.clone())]));
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Error::new(Kind::NotAllowed, Key::SocketDenied.with([("dir", dir.clone())]))
                .cause(source.to_string())
                .hint(Key::HintOwner);
        }
        if !self.dir.is_dir() {
            return error(Key::DirMissing)
                .hint(Key::HintDir)
                .hint(Key::HintInit.with([("dir", dir.clone())]));
        }
        if source.kind() == io::ErrorKind::NotFound && !wiring::is_node_dir(&self.dir) {
            return error(Key::DirNotNode)
                .hint(Key::HintDir)
                .hint(Key::HintInit.with([("dir", dir.clone())]));
        }
        error(Key::DaemonStopped)
            .cause(source.to_string())
            .hint(Key::HintStart.with([("dir", dir.clone())]))
            .hint(Key::HintDoctor.with([("dir", dir.clone())]))
    }

    /// The daemon was there and went away in the middle.
    fn cut_off(&self, source: &dyn std::error::Error) -> Error {
        let mut cause = source.to_string();
        let mut next = source.source();
        while let Some(inner) = next {
            cause = format!("{cause}: {inner}");
            next = inner.source();
        }
        Error::new(Kind::Unreachable, Key::DaemonGone)
            .cause(cause)
            .hint(Key::HintDoctor.with([("dir", self.shown_dir())]))
    }

    fn shown_dir(&self) -> String {
        self.dir.display().to_string()
    }
}

fn parse(bytes: &[u8]) -> Result<Value> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|e| {
        Error::failed(Key::AnswerUnreadable).cause(e.to_string()).hint(Key::HintVersions)
    })
}

/// problem+json as an error: the title says what, the detail why, the hint what to do.
fn problem(status: u16, bytes: &[u8]) -> Error {
    let body = serde_json::from_slice::<Value>(bytes).unwrap_or(Value::Null);
    let field = |name: &str| body[name].as_str().filter(|s| !s.is_empty()).map(str::to_owned);
    let plain = |text: String| Text::from(crate::output::clean(&text));
    let message = field("title")
        .map_or_else(|| Key::RefusedWithStatus.with([("status", status.to_string())]), plain);
    let mut error = Error::new(Kind::of_status(status), message);
    error.cause = field("detail").map(plain);
    error.hints.extend(field("hint").map(plain));
    let candidates: Vec<String> = body["candidates"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| c.as_str().map_or_else(|| crate::output::text(c, "id"), str::to_owned))
        .collect();
    if !candidates.is_empty() {
        error = error.hint(Key::HintCandidates.with([("ids", candidates.join(", "))]));
    }
    if error.cause.is_none() && !bytes.is_empty() && body.is_null() {
        let start: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
        error.cause = Some(plain(start));
    }
    error
}

/// A request body fed by a reading thread.
struct Upload {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// Why the source could not be read to its end.
    broken: Arc<Mutex<Option<String>>>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = std::task::ready!(self.chunks.poll_recv(cx));
        if let (Some(Err(why)), Ok(mut slot)) = (&next, self.broken.lock()) {
            *slot = Some(why.to_string());
        }
        Poll::Ready(next.map(|chunk| chunk.map(Frame::data)))
    }
}

/// Reads in a thread, because a pipe or a stick blocks for as long as it likes. The thread ends with
/// the source, or once nobody receives.
fn read_ahead(mut source: Box<dyn Read + Send>) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(UPLOAD_CHUNKS_MAX);
    std::thread::spawn(move || {
        loop {
            let mut buffer = vec![0; UPLOAD_CHUNK_BYTES];
            let next = match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => {
                    buffer.truncate(length);
                    Ok(Bytes::from(buffer))
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let failed = next.is_err();
            if sender.blocking_send(next).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests;
