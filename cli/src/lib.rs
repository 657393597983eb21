//! The `fenbu` command: is it clear?
//!
//! | module | owns |
//! |---|---|
//! | `commands` | one file per verb: arguments, help, function |
//! | [`client`] | HTTP with JSON over the node's unix socket |
//! | [`output`] | tables for people, JSON for scripts; the only way to stdout |
//! | [`error`] | kind, cause, hints, and the exit code they lead to |
//! | [`lang`] | every sentence in Chinese and in English |
//! | `wiring` | the few calls into the node's library: init, join, run, demo |
//!
//! The command knows neither the store nor the protocol: except for the calls in `wiring` it speaks
//! the node's API. Data goes to stdout, talk to stderr, so that a pipe never sees a remark.

pub mod client;
pub mod commands;
mod demo;
pub mod error;
pub mod lang;
pub mod output;
pub mod relay;
pub mod sample;
mod wiring;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::commands::Environment;

/// Runs the command line `args` (the program's name first) with this process's environment and
/// standard streams, and says with which code to exit.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let streams = Streams {
        out: Box::new(io::stdout()),
        err: Box::new(io::stderr()),
        terminal: io::stdout().is_terminal(),
    };
    ExitCode::from(run_with(args, &Environment::of_process(), streams))
}

/// Where a command writes.
pub struct Streams {
    /// Data, and nothing else.
    pub out: Box<dyn Write + Send>,
    /// Remarks, warnings, errors.
    pub err: Box<dyn Write + Send>,
    /// Whether `out` is a terminal that can be redrawn.
    pub terminal: bool,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

/// As [`run`], with the environment and the streams given. Returns the exit code (0-7).
pub fn run_with(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    streams: Streams,
) -> u8 {
    commands::run(args.into_iter().collect(), environment, streams).code()
}
