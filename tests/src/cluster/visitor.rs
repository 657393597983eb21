//! Somebody with a browser, as far as HTTP goes: a cookie, forms, pages as text.

use super::Node;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a page.
const PATIENCE: Duration = Duration::from_secs(30);

/// One answer.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    /// Where it leads on, if it does.
    pub to: Option<String>,
    pub text: String,
    cookies: Vec<String>,
}

/// Somebody at one node's console.
#[derive(Debug)]
pub struct Visitor {
    authority: String,
    cookie: Option<String>,
}

impl Visitor {
    /// Goes to a node's console.
    pub fn at(node: &Node) -> Result<Self> {
        let status = node.status()?;
        let url = status["console"]["url"].as_str().context("the node has a console")?;
        let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Ok(Self { authority, cookie: None })
    }

    pub fn sign_in(&mut self, login: &str, password: &str) -> Result<Page> {
        let page = self.post("/sign-in", &[("login", login), ("password", password)])?;
        let session = page.cookies.iter().find(|c| c.starts_with("__Host-fenbu-"));
        if let Some(session) = session {
            self.cookie = session.split(';').next().map(str::to_owned);
        }
        Ok(page)
    }

    pub fn get(&self, path: &str) -> Result<Page> {
        let stream = self.ask("GET", path, "")?;
        answer(stream)
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Page> {
        let pairs = form.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v)));
        let stream = self.ask("POST", path, &pairs.collect::<Vec<_>>().join("&"))?;
        answer(stream)
    }

    /// What is live: lines as they come.
    pub fn follow(&self, kinds: &str) -> Result<impl BufRead + use<>> {
        Ok(BufReader::new(self.ask("GET", &format!("/events?kinds={kinds}"), "")?))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let cookie = self.cookie.as_ref().map_or_else(String::new, |c| format!("Cookie: {c}\r\n"));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n\
             Accept-Language: zh-CN\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n{cookie}\r\n{body}",
            self.authority,
            body.len(),
        )?;
        Ok(stream)
    }
}

fn answer(mut stream: TcpStream) -> Result<Page> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, text) = text.split_once("\r\n\r\n").context("a whole answer")?;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.with_context(|| format!("a status in '{first}'"))?;
    let headers: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let all = |wanted: &str| {
        let found = headers.iter().filter(|(name, _)| name == wanted);
        found.map(|(_, value)| (*value).to_owned()).collect::<Vec<_>>()
    };
    ensure!(!all("content-security-policy").is_empty(), "every answer says what a page may load");
    let to = all("location").pop();
    Ok(Page { status, to, text: text.to_owned(), cookies: all("set-cookie") })
}

fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
