//! Executable manual pages: what a page shows is what happens.
//!
//! A page is Markdown. Its blocks fenced with ```` ```console ```` hold commands after `$ `, with
//! further lines after `> `, and below each what the terminal shows, stdout and stderr together. A
//! shell runs the commands in order in one empty folder; variables last to the end of the page.
//!
//! - `[..]` stands for anything within a line, a line `...` for any lines.
//! - `? 2` as the first line of the output: the exit code expected instead of 0.
//! - `$ fenbu node run --dir DIR &` starts a daemon and waits until it answers.
//! - `<!-- stop DIR -->` outside a block stops it as a service manager does.
//! - An address `127.0.0.1:74xx` is a free one in fact, and reads as written in what is shown.

use super::process::{self, Ended};
use super::{Cluster, Node, Patience};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// One thing a page does.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Run { line: usize, command: String, code: i32, shown: Vec<String> },
    Start { dir: String },
    Stop { dir: String },
}

/// Runs a page with the `fenbu` command at `binary`.
///
/// # Errors
/// At the first command that behaves otherwise, with its line and a diff; or if the page cannot be
/// read.
pub fn run(binary: &Path, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let steps = parse(&text).with_context(|| path.display().to_string())?;
    ensure!(!steps.is_empty(), "{} shows no command", path.display());
    let mut stage = Stage::new(binary)?;
    for step in steps {
        stage.perform(step).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut within = false;
    for (i, line) in text.lines().enumerate() {
        let at = i + 1;
        if line.starts_with("```") {
            within = !within && line == "```console";
        } else if !within {
            if let Some(dir) = line.strip_prefix("<!-- stop ").and_then(|l| l.strip_suffix(" -->"))
            {
                steps.push(Step::Stop { dir: dir.into() });
            }
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(match daemon_dir(command) {
                Some(dir) => Step::Start { dir: dir.into() },
                None => Step::Run { line: at, command: command.into(), code: 0, shown: Vec::new() },
            });
        } else {
            let Some(Step::Run { command, code, shown, .. }) = steps.last_mut() else {
                bail!("line {at}: output without a command");
            };
            if let (Some(more), true) = (line.strip_prefix("> "), shown.is_empty()) {
                *command = format!("{command}\n{more}");
            } else if let (Some(expected), true) = (line.strip_prefix("? "), shown.is_empty()) {
                *code = expected.parse().with_context(|| format!("line {at}: no exit code"))?;
            } else {
                shown.push(line.to_owned());
            }
        }
    }
    Ok(steps)
}

/// The folder of a command that starts a daemon in the background.
fn daemon_dir(command: &str) -> Option<&str> {
    command.strip_prefix("fenbu node run --dir ")?.strip_suffix(" &")
}

/// Where a page is performed: a folder, its daemons, the shell's variables.
struct Stage {
    /// Lends its folder, its environment and its runtime; its own node is not on stage.
    cluster: Cluster,
    daemons: BTreeMap<String, Node>,
    /// Addresses as written, and in fact.
    addresses: BTreeMap<String, SocketAddr>,
}

impl Stage {
    fn new(binary: &Path) -> Result<Self> {
        let cluster = Cluster::empty(binary)?;
        let bin = cluster.home().join(".bin");
        std::fs::create_dir(&bin)?;
        std::os::unix::fs::symlink(binary, bin.join("fenbu"))?;
        cluster.file(".variables", "")?;
        Ok(Self { cluster, daemons: BTreeMap::new(), addresses: BTreeMap::new() })
    }

    fn perform(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Start { dir } => {
                let mut node = self.cluster.plan(&dir)?;
                node.start()?;
                self.daemons.insert(dir, node);
                Ok(())
            }
            Step::Stop { dir } => {
                let mut node = self.daemons.remove(&dir).with_context(|| format!("stop {dir}"))?;
                let code = node.stop()?;
                ensure!(code == 0, "{dir} stopped with code {code}");
                Ok(())
            }
            Step::Run { line, command, code, shown } => {
                let ended = self.shell(&command)?;
                let said = self.as_written(&ended.stdout);
                let said: Vec<&str> = said.lines().map(str::trim_end).collect();
                let expected: Vec<&str> = shown.iter().map(|l| l.trim_end()).collect();
                // Blank lines before the fence are layout.
                if ended.code == code && matches(&expected, &said) {
                    return Ok(());
                }
                bail!(
                    "line {line}: $ {command}\nexit code {} (expected {code})\n{}{}",
                    ended.code,
                    diff(&expected, &said),
                    self.logs()
                )
            }
        }
    }

    fn shell(&mut self, command: &str) -> Result<Ended> {
        let command = self.in_fact(command)?;
        let script = format!(
            "exec 2>&1\nset -a\n. ./.variables\n{command}\nended=$?\nexport -p > .variables\nexit $ended\n"
        );
        let mut shell = Command::new("sh");
        self.cluster.prepare(&mut shell);
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.cluster.home().join(".bin").display()));
        shell.arg("-c").arg(script);
        process::run(shell, b"", Patience::COMMAND)
    }

    /// Free addresses in the place of those that are written.
    fn in_fact(&mut self, command: &str) -> Result<String> {
        let mut out = command.to_owned();
        for (at, _) in command.match_indices("127.0.0.1:74") {
            let written =
                command[at..].get(.."127.0.0.1:7400".len()).context("an address is cut")?;
            if !self.addresses.contains_key(written) {
                self.addresses.insert(written.to_owned(), process::free_address()?);
            }
            out = out.replace(written, &self.addresses[written].to_string());
        }
        Ok(out)
    }

    fn as_written(&self, said: &str) -> String {
        self.addresses
            .iter()
            .fold(said.to_owned(), |said, (written, fact)| said.replace(&fact.to_string(), written))
    }

    fn logs(&self) -> String {
        let log = |(dir, node): (&String, &Node)| {
            format!("--- the log of {dir} ends ---\n{}\n", node.log_tail())
        };
        self.daemons.iter().map(log).collect()
    }
}

/// Whether the terminal shows what the page says.
fn matches(expected: &[&str], said: &[&str]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((&"...", rest)) => (0..=said.len()).any(|skipped| matches(rest, &said[skipped..])),
        Some((first, rest)) => {
            said.first().is_some_and(|line| line_matches(first, line)) && matches(rest, &said[1..])
        }
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once("[..]") {
        None => pattern == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(i, _)| i)
                .chain([rest.len()])
                .any(|skipped| line_matches(after, &rest[skipped..]))
        }),
    }
}

/// Lines in common, lines only the page has (`-`), lines only the terminal has (`+`).
fn diff(expected: &[&str], said: &[&str]) -> String {
    let (rows, columns) = (expected.len(), said.len());
    // The most lines that can still be matched from each place on.
    let mut common = vec![vec![0usize; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            common[i][j] = if line_matches(expected[i], said[j]) {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < rows || j < columns {
        let (mark, line) = if i < rows && j < columns && line_matches(expected[i], said[j]) {
            (i, j) = (i + 1, j + 1);
            (' ', said[j - 1])
        } else if i < rows && (j == columns || common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', expected[i - 1])
        } else {
            j += 1;
            ('+', said[j - 1])
        };
        out.push_str(&format!("{mark} {line}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_parts_and_for_lines() {
        assert!(line_matches("id [..] of [..]", "id 12 of 雪夜"));
        assert!(!line_matches("id [..] of", "id 12 of 3"));
        assert!(matches(&["a", "...", "z"], &["a", "b", "c", "z"]));
        assert!(matches(&["a", "...", "z"], &["a", "z"]));
        assert!(!matches(&["a"], &["a", "b"]));
        assert!(!matches(&["a", "b"], &["a"]));
    }

    #[test]
    fn a_page_is_commands_codes_and_output() {
        let page = "Text\n```console\n$ fenbu node run --dir head &\n$ cat > f <<EOF\n> a\n> EOF\n\
                    $ fenbu x\n? 2\nno x\n```\n<!-- stop head -->\n```toml\n$ not = 1\n```\n";
        let run = |line, command: &str, code, shown: &[&str]| Step::Run {
            line,
            command: command.into(),
            code,
            shown: shown.iter().map(|s| (*s).to_owned()).collect(),
        };
        let expected = [
            Step::Start { dir: "head".into() },
            run(4, "cat > f <<EOF\na\nEOF", 0, &[]),
            run(7, "fenbu x", 2, &["no x"]),
            Step::Stop { dir: "head".into() },
        ];
        assert_eq!(parse(page).unwrap(), expected);
        assert!(parse("```console\noutput\n```\n").is_err());
    }

    #[test]
    fn a_diff_shows_both_sides() {
        let shown = diff(&["a [..]", "b", "c"], &["a 1", "x", "c"]);
        assert_eq!(shown, "  a 1\n- b\n+ x\n  c\n");
    }
}
