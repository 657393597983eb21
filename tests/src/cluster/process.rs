//! Child processes that cannot outlive their test, and ports they can listen on.

use anyhow::{Context, Result, anyhow, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at something that is waited for.
pub(super) const STEP: Duration = Duration::from_millis(10);

/// Ports handed out lie below the range from which systems take ports by themselves, so that a port
/// found free is not taken by a stranger's socket before its daemon starts.
const PORT_FIRST: u32 = 10_000;
const PORTS: u32 = 20_000;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// -1 if a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The output, if it went well.
    ///
    /// # Errors
    /// With all that was said, if the code is not 0.
    pub fn ok(self) -> Result<String> {
        match self.code {
            0 => Ok(self.stdout),
            code => bail!("exit code {code}\n{}{}", self.stdout, self.stderr),
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it does not start, or is not done within `patience`; then it is killed.
pub fn run(mut command: Command, input: &[u8], patience: Duration) -> Result<Ended> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| shown.clone())?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // A command that wants no input may be gone already.
        let _ = stdin.write_all(input);
    }
    let status = wait(&mut child, patience).with_context(|| shown)?;
    let text = |thread: thread::JoinHandle<Vec<u8>>| {
        let bytes = thread.join().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(Ended { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) })
}

/// Waits for a child; kills one that takes too long.
///
/// # Errors
/// If it had to be killed.
pub fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            bail!("it was not done within {patience:?}");
        }
        thread::sleep(STEP);
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is shown.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// An address nobody listens on. No two callers in this process are given the same.
///
/// # Errors
/// If every port of the range is taken.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test runs side by side begin at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..PORTS {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(PORT_FIRST + offset)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(anyhow!("no UDP port from {PORT_FIRST} to {} is free", PORT_FIRST + PORTS))
}
