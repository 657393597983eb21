//! Running one command: without a terminal to ask, within a time limit, with nothing left behind.
//!
//! Every command runs in a process group of its own, led by a shell that waits for its stdin to
//! close and then kills the group. We hold the other end: closing it ends a command that is over
//! its limit with all its children, and so does our own end, however it comes (Ctrl-C included).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a running command is looked at.
const POLL_MS: u64 = 50;

/// What is kept of a command's output, at most; the rest is shown and forgotten.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// A program, its arguments and the variables it needs.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

impl Invocation {
    /// From a line whose words are separated by single spaces and contain none.
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split(' ').map(str::to_owned);
        let program = words.next().unwrap_or_default();
        Self { variables: Vec::new(), program, arguments: words.collect() }
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// The line a person types to repeat it.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.variables {
            line += &format!("{name}=\"{value}\" ");
        }
        line += &self.program;
        for argument in &self.arguments {
            line += &format!(" {argument}");
        }
        line
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    /// It ended by itself with this status, as in "exit status: 1".
    Failed(String),
    /// It was killed at its limit.
    TimedOut(Duration),
    /// It could not be started.
    Absent(String),
}

/// A command's end and what it wrote to stdout (the first [`KEPT_BYTES_MAX`] bytes).
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) end: End,
    pub(crate) stdout: String,
}

/// Runs a command to its end or its limit. What it writes is shown as it comes.
pub(crate) fn run(invocation: &Invocation, limit: Duration) -> Ran {
    let absent = |what: &str, e: &io::Error| Ran {
        end: End::Absent(format!("{what} cannot be started: {e}")),
        stdout: String::new(),
    };
    let mut group = match Group::start() {
        Ok(group) => group,
        Err(e) => return absent("sh", &e),
    };
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.arguments)
        .envs(invocation.variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(group.id());
    forget_our_package(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return absent(&invocation.program, &e),
    };
    let reader = child.stdout.take().map(show_and_keep);
    let end = wait(&mut child, limit);
    // Also what the command left running goes now, which closes the pipe we read from.
    group.kill();
    let _ = child.wait();
    let stdout = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    Ran { end, stdout: String::from_utf8_lossy(&stdout).into_owned() }
}

/// Cargo names our own package in variables; a cargo below us must not take them for its own.
fn forget_our_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> End {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return End::Passed,
            Ok(Some(status)) => return End::Failed(status.to_string()),
            Ok(None) if Instant::now() >= deadline => return End::TimedOut(limit),
            Ok(None) => thread::sleep(Duration::from_millis(POLL_MS)),
            Err(e) => return End::Failed(format!("it cannot be waited for: {e}")),
        }
    }
}

/// Passes stdout on and keeps its beginning.
fn show_and_keep(stdout: ChildStdout) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut source = BufReader::new(stdout);
        let mut line = Vec::new();
        // A line longer than the bound comes in pieces.
        while matches!(
            source.by_ref().take(KEPT_BYTES_MAX as u64).read_until(b'\n', &mut line),
            Ok(1..)
        ) {
            let _ = io::stdout().write_all(&line).and_then(|()| io::stdout().flush());
            if kept.len() + line.len() <= KEPT_BYTES_MAX {
                kept.append(&mut line);
            }
            line.clear();
        }
        kept
    })
}

/// A process group whose leader kills it when we close its stdin.
#[derive(Debug)]
struct Group(Child);

impl Group {
    fn start() -> io::Result<Self> {
        Command::new("sh")
            // `read` ends with its input; 0 means the group of the caller.
            .args(["-c", "read -r line; kill -s KILL 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
    }

    fn id(&self) -> i32 {
        // INVARIANT: Linux numbers processes up to 2^22.
        self.0.id().try_into().expect("a process id fits")
    }

    fn kill(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Invocation {
        let mut invocation = Invocation::new("sh -c");
        invocation.arguments.push(script.to_owned());
        invocation
    }

    #[test]
    fn output_is_kept_and_stdin_is_closed() {
        let ran = run(&shell("cat; echo done"), LONG);
        assert_eq!(ran.end, End::Passed);
        assert_eq!(ran.stdout, "done\n");
    }

    #[test]
    fn a_failure_names_its_status() {
        let End::Failed(status) = run(&shell("exit 3"), LONG).end else { panic!("it failed") };
        assert!(status.contains('3'), "{status}");
        assert!(matches!(run(&Invocation::new("no-such-program"), LONG).end, End::Absent(_)));
    }

    #[test]
    fn a_command_over_its_limit_is_killed_with_its_children() {
        let limit = Duration::from_millis(200);
        // Both hold stdout open: `run` returns only once both are dead.
        let ran = run(&shell("sleep 600 & sleep 600"), limit);
        assert_eq!(ran.end, End::TimedOut(limit));
    }

    #[test]
    fn what_a_command_leaves_running_is_killed() {
        let ran = run(&shell("sleep 600 & echo left"), LONG);
        assert_eq!((ran.end, ran.stdout.as_str()), (End::Passed, "left\n"));
    }

    #[test]
    fn a_line_to_repeat_holds_the_variables() {
        let invocation =
            Invocation::new("cargo doc --locked").variable("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(invocation.line(), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --locked");
    }
}
