//! The form of a story: commands, a line of dashes, what followed, an empty line.

use std::fmt::Write;

const DASHES: &str = "----";

/// A story, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    blocks: Vec<Block>,
    /// After the last block.
    rest: String,
}

/// Commands and what followed them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// Comments and empty lines before it.
    before: String,
    /// Line number of the first command, from 1.
    line: usize,
    commands: Vec<String>,
    followed: Vec<String>,
}

/// Where a story cannot go on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    pub line: usize,
    pub what: String,
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl Script {
    /// # Errors
    /// Commands without the line of dashes after them: a story that was never told.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut blocks = Vec::new();
        let mut before = String::new();
        let mut lines = (1..).zip(text.lines()).peekable();
        while let Some((line, text)) = lines.next() {
            if text.trim().is_empty() || text.starts_with('#') {
                before.push_str(text);
                before.push('\n');
                continue;
            }
            let mut commands = vec![text.to_owned()];
            loop {
                match lines.next() {
                    Some((_, DASHES)) => break,
                    Some((_, text)) if !text.trim().is_empty() => commands.push(text.to_owned()),
                    _ => {
                        let what = format!("'{}' needs a line {DASHES} after it", commands[0]);
                        return Err(ScriptError { line, what });
                    }
                }
            }
            let mut followed = Vec::new();
            while let Some((_, text)) = lines.next_if(|(_, text)| !text.is_empty()) {
                followed.push(text.to_owned());
            }
            blocks.push(Block { before: std::mem::take(&mut before), line, commands, followed });
        }
        Ok(Self { blocks, rest: before })
    }

    /// The same commands with what `carry_out` says followed them.
    pub(super) fn replay(
        &self,
        mut carry_out: impl FnMut(&str) -> Result<Vec<String>, String>,
    ) -> Result<Self, ScriptError> {
        let mut told = self.clone();
        for block in &mut told.blocks {
            block.followed.clear();
            for (line, command) in (block.line..).zip(&block.commands) {
                let said = carry_out(command).map_err(|what| ScriptError { line, what })?;
                block.followed.extend(said);
            }
            if block.followed.is_empty() {
                block.followed.push("ok".into());
            }
        }
        Ok(told)
    }

    /// The first word of every command, in order.
    pub fn verbs(&self) -> impl Iterator<Item = &str> {
        let commands = self.blocks.iter().flat_map(|block| &block.commands);
        commands.filter_map(|command| command.split_whitespace().next())
    }

    /// The first block that differs from `told`, as it is written and as it happened.
    pub fn difference(&self, told: &Self) -> Option<String> {
        let (block, other) = self.blocks.iter().zip(&told.blocks).find(|(a, b)| a != b)?;
        let mut out = format!("line {}: {}\n", block.line, block.commands.join("; "));
        let longer = block.followed.len().max(other.followed.len());
        let at = (0..longer).find(|n| block.followed.get(*n) != other.followed.get(*n));
        let at = at.unwrap_or(longer);
        let shown = |out: &mut String, mark: char, lines: &[String]| {
            for line in lines.iter().take(SHOWN_LINES) {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "  {mark} {line}");
            }
        };
        shown(&mut out, ' ', &block.followed[at.saturating_sub(3)..at]);
        shown(&mut out, '-', &block.followed[at..]);
        shown(&mut out, '+', &other.followed[at..]);
        Some(out)
    }
}

/// Lines of each side a difference shows.
const SHOWN_LINES: usize = 12;

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for block in &self.blocks {
            f.write_str(&block.before)?;
            for line in block.commands.iter().map(String::as_str).chain([DASHES]) {
                writeln!(f, "{line}")?;
            }
            for line in &block.followed {
                writeln!(f, "{line}")?;
            }
        }
        f.write_str(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Why.\n\nlink a b\ncut a b\n----\nup\ndown\n\n# Then.\nheal a b\n----\nok\n";

    #[test]
    fn a_script_is_written_as_it_was_read() {
        let script = Script::parse(TEXT).unwrap();
        assert_eq!(script.to_string(), TEXT);
        assert_eq!(script.verbs().collect::<Vec<_>>(), ["link", "cut", "heal"]);
    }

    #[test]
    fn what_followed_is_replaced_and_compared() {
        let script = Script::parse(TEXT).unwrap();
        let same = script.replay(|c| {
            Ok(match c {
                "link a b" => vec!["up".into()],
                "cut a b" => vec!["down".into()],
                _ => vec![],
            })
        });
        assert_eq!(script.difference(&same.unwrap()), None);
        let other = script.replay(|_| Ok(vec!["up".into()])).unwrap();
        let said = script.difference(&other).unwrap();
        assert_eq!(said, "line 3: link a b; cut a b\n    up\n  - down\n  + up\n");
        assert!(other.to_string().contains("cut a b\n----\nup\nup\n\n# Then."));
        let error = script.replay(|_| Err("no such node".into())).unwrap_err();
        assert_eq!(error.to_string(), "line 3: no such node");
    }

    #[test]
    fn a_command_without_its_line_of_dashes_is_an_error() {
        let error = Script::parse("# x\nlink a b\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: 'link a b' needs a line ---- after it");
    }
}
