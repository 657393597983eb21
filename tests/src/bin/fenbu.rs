//! The `fenbu` command once more: `cargo test` builds no other package's binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    fenbu::run(std::env::args_os())
}
