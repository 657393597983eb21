//! What went wrong: a kind (which is the exit code), a cause, and hints that say what to do.
//!
//! Errors carry [`Text`], not strings, so that the code that raises one need not know which language
//! the person reads.

use std::io::{self, Write};

use crate::lang::{Key, Lang, Text};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a command ended. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    NotFound = 4,
    NotAllowed = 5,
    /// `doctor` worked and found something.
    Problems = 6,
    TimedOut = 7,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// What sort of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The daemon refused, or the machine did.
    Failed,
    /// The command line says something that cannot be meant.
    Usage,
    /// No daemon answers in that folder.
    Unreachable,
    NotFound,
    NotAllowed,
    TimedOut,
    /// Whoever read our output has gone, as `head` does: nothing is wrong and nobody to tell.
    ReaderGone,
}

impl Kind {
    pub fn exit(self) -> Exit {
        match self {
            Self::Failed => Exit::Failed,
            Self::Usage => Exit::Usage,
            Self::Unreachable => Exit::Unreachable,
            Self::NotFound => Exit::NotFound,
            Self::NotAllowed => Exit::NotAllowed,
            Self::TimedOut => Exit::TimedOut,
            Self::ReaderGone => Exit::Ok,
        }
    }

    /// The kind an HTTP status of the node stands for.
    pub fn of_status(status: u16) -> Self {
        match status {
            404 => Self::NotFound,
            401 | 403 => Self::NotAllowed,
            408 | 504 => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

/// A failure as a person will read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub message: Text,
    pub cause: Option<Text>,
    pub hints: Vec<Text>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<Text>) -> Self {
        Self { kind, message: message.into(), cause: None, hints: Vec::new() }
    }

    pub fn failed(message: impl Into<Text>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<Text>) -> Self {
        Self::new(Kind::Usage, message)
    }

    #[must_use]
    pub fn cause(mut self, cause: impl Into<Text>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<Text>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A file or folder that could not be used: which, and what the system says.
    pub fn file(path: impl std::fmt::Display, source: &io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::PermissionDenied => Kind::NotAllowed,
            _ => Kind::Failed,
        };
        Self::new(kind, Key::FileUnusable.with([("path", path.to_string())]))
            .cause(source.to_string())
    }

    /// Writes the error for a person. Failures to write are dropped: there is no better place.
    pub fn write(&self, to: &mut dyn Write, lang: Lang) {
        if self.kind == Kind::ReaderGone {
            return;
        }
        let mut lines = vec![Key::ErrorLine.with([("text", self.message.render(lang))])];
        if let Some(cause) = &self.cause {
            lines.push(Key::CauseLine.with([("text", cause.render(lang))]));
        }
        for hint in &self.hints {
            lines.push(Key::HintLine.with([("text", hint.render(lang))]));
        }
        for line in lines {
            let _ = writeln!(to, "{}", line.render(lang));
        }
    }
}

/// Failure to write our own output.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::ReaderGone, Key::OutputFailed),
            _ => Self::failed(Key::OutputFailed).cause(source.to_string()),
        }
    }
}

/// A flag's value that does not parse. clap carries it to `commands::usage`, which has the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue(pub Text);

impl std::fmt::Display for BadValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.render(Lang::En))
    }
}

impl std::error::Error for BadValue {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_lead_to_exit_codes() {
        for (status, code) in
            [(400, 1), (401, 5), (403, 5), (404, 4), (409, 1), (422, 1), (500, 1), (504, 7)]
        {
            assert_eq!(Kind::of_status(status).exit().code(), code, "status {status}");
        }
        assert_eq!(Kind::Usage.exit().code(), 2);
        assert_eq!(Kind::Unreachable.exit().code(), 3);
        assert_eq!(Exit::Problems.code(), 6);
    }

    #[test]
    fn an_error_shows_cause_and_hints_in_both_languages() {
        let error = Error::file("/x", &io::Error::from(io::ErrorKind::PermissionDenied))
            .hint(Text::from("try again"));
        assert_eq!(error.kind.exit(), Exit::NotAllowed);
        let shown = |lang| {
            let mut out = Vec::new();
            error.write(&mut out, lang);
            String::from_utf8(out).unwrap()
        };
        let en = shown(Lang::En);
        assert!(en.starts_with("Error: "), "{en}");
        assert!(en.contains("Caused by: permission denied"), "{en}");
        assert!(en.ends_with("Hint: try again\n"), "{en}");
        assert!(shown(Lang::Zh).starts_with("错误："));
    }

    #[test]
    fn a_gone_reader_is_success_and_silence() {
        let error = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let mut out = Vec::new();
        error.write(&mut out, Lang::En);
        assert_eq!((error.kind.exit(), out.len()), (Exit::Ok, 0));
    }
}
