//! A Chromium without a window, driven over WebDriver (<https://www.w3.org/TR/webdriver2/>) by Debian's
//! `chromedriver`.
//!
//! The protocol is JSON over plain HTTP/1.1 on loopback, one request at a time, and a dozen commands of it
//! are used here: less than a client crate's dependencies.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long one command may take: longer than a page may take to load.
const COMMAND: Duration = Duration::from_secs(60);

/// Names under which systems have Chromium.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The key under which WebDriver gives an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser with cookies and a folder of its own. Dropping it ends its processes.
#[derive(Debug)]
pub(crate) struct Chromium {
    driver: Child,
    port: u16,
    session: String,
    folder: TempDir,
}

/// What a browser is asked to prefer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taste {
    pub(crate) language: &'static str,
}

impl Chromium {
    pub(crate) fn start(taste: Taste) -> Result<Self> {
        let missing = "install Chromium and its driver (Debian: chromium, chromium-driver)";
        let browser = BROWSERS.iter().find_map(|name| in_path(name)).context(missing)?;
        let driver = in_path("chromedriver").context(missing)?;
        let folder = tempfile::Builder::new().prefix("fenbu-browser-").tempdir()?;
        let mut driver = Command::new(driver)
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let told = port_of(&mut driver);
        let mut chromium =
            Self { driver, port: *told.as_ref().unwrap_or(&0), session: String::new(), folder };
        told?;
        let args = chromium.arguments();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
            "timeouts": { "implicit": 0, "pageLoad": 45_000, "script": 45_000 },
            // Dialogs are an error: no page of ours opens one.
            "unhandledPromptBehavior": "dismiss and notify",
            "goog:chromeOptions": {
                "binary": browser, "args": args,
                "prefs": { "intl.accept_languages": taste.language },
            },
        } } });
        let made = chromium.call("POST", "/session", Some(&wanted))?;
        chromium.session = made["sessionId"].as_str().context("no session")?.to_owned();
        Ok(chromium)
    }

    fn arguments(&self) -> Vec<String> {
        let fixed = [
            "--headless=new",
            // Containers run as root, where its sandbox does not work; all pages are our own nodes'.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1280,900",
        ];
        let profile = format!("--user-data-dir={}", self.folder.path().display());
        fixed.into_iter().map(str::to_owned).chain([profile]).collect()
    }

    /// Sends a command of this session.
    pub(crate) fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(COMMAND))?;
        let body = body.map_or_else(String::new, Value::to_string);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let (_, answer) = answer(&mut BufReader::new(stream))
            .with_context(|| format!("{method} {path}: the browser does not answer"))?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => bail!("{error}: {}", value["message"].as_str().unwrap_or_default()),
            None => Ok(value),
        }
    }

    pub(crate) fn get(&self, url: &str) -> Result<()> {
        self.command("POST", "/url", Some(&json!({ "url": url }))).map(drop)
    }

    pub(crate) fn url(&self) -> Result<String> {
        Ok(self.command("GET", "/url", None)?.as_str().unwrap_or_default().to_owned())
    }

    /// Runs a function body in the page; its arguments are `arguments`.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        let body = json!({ "script": script, "args": arguments });
        self.command("POST", "/execute/sync", Some(&body))
    }

    /// Elements a CSS selector or an XPath finds.
    pub(crate) fn find(&self, using: &str, what: &str) -> Result<Vec<String>> {
        let body = json!({ "using": using, "value": what });
        let found = self.command("POST", "/elements", Some(&body))?;
        let found = found.as_array().into_iter().flatten();
        Ok(found.filter_map(|e| e[ELEMENT].as_str().map(str::to_owned)).collect())
    }

    pub(crate) fn click(&self, element: &str) -> Result<()> {
        self.command("POST", &format!("/element/{element}/click"), Some(&json!({}))).map(drop)
    }

    pub(crate) fn type_into(&self, element: &str, text: &str) -> Result<()> {
        let body = json!({ "text": text });
        self.command("POST", &format!("/element/{element}/value"), Some(&body)).map(drop)
    }

    pub(crate) fn clear(&self, element: &str) -> Result<()> {
        self.command("POST", &format!("/element/{element}/clear"), Some(&json!({}))).map(drop)
    }

    /// Entries of a log (`browser`, `performance`) since it was last asked for.
    pub(crate) fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let entries = self.command("POST", "/se/log", Some(&json!({ "type": kind })))?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }

    /// A command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "/goog/cdp/execute", Some(&body))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The browser goes with its session; where it does not, by its pid below.
        let _ = self.command("DELETE", "", None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        for pid in running_in(self.folder.path()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Processes that were started with this folder as their profile.
fn running_in(folder: &Path) -> Vec<rustix::process::Pid> {
    let mark = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let is_ours = String::from_utf8_lossy(&line).contains(&mark);
        is_ours.then(|| rustix::process::Pid::from_raw(pid)).flatten()
    });
    ours.collect()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The driver says on its output which port it took.
fn port_of(driver: &mut Child) -> Result<u16> {
    let out = driver.stdout.take().context("its output is a pipe")?;
    let mut lines = BufReader::new(out).lines();
    let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let port = line.split_once("successfully on port ")?.1;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    found.context("chromedriver did not start")
}

/// Reads an answer of HTTP/1.1 that tells its length: its status and its body.
pub(crate) fn answer(stream: &mut impl BufRead) -> Result<(u16, Vec<u8>)> {
    let mut status = String::new();
    stream.read_line(&mut status)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| anyhow!("no status"))?;
    let mut length = None;
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "the head is cut off");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
    }
    let mut body = Vec::new();
    stream.take(length.context("no length")?).read_to_end(&mut body)?;
    Ok((status, body))
}
