//! `fenbu completions`: completion script of a shell.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use super::{Session, command};
use crate::error::{Exit, Result};

/// Print a shell's completion script
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell: bash, zsh or fish
    #[arg(value_enum, hide_possible_values = true)]
    shell: Known,
}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "输出命令行补全脚本"), ("shell", "命令解释器：bash、zsh 或 fish")];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(args: &CompletionsArgs, session: &mut Session) -> Result<Exit> {
    let shell = match args.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(session.output.lang()), "fenbu", &mut script);
    session.output.raw(&script)?;
    Ok(Exit::Ok)
}
