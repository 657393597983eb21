use std::process::ExitCode;

fn main() -> ExitCode {
    fenbu::run(std::env::args_os())
}
