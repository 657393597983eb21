//! Real daemons over loopback QUIC: what only whole processes can show.

mod adversary;
mod away;
mod carry;
mod conflicts;
mod consoles;
mod damage;
mod directing;
mod faults;
mod following;
mod forked;
mod healing;
mod joining;
mod kill;
mod languages;
mod mistakes;
mod once;
mod pages;
mod partition;
mod publishing;
mod restoring;
mod revoked;
mod sealed;
mod stopping;
mod strangers;
mod task_force;

use anyhow::{Result, ensure};
use fenbu_tests::cluster::{Cluster, Ended};

/// The `fenbu` command, built with this package.
const FENBU: &str = env!("CARGO_BIN_EXE_fenbu-under-test");

/// Tells a story with a new federation. If it goes wrong, the daemons' logs are printed.
fn story(tell: impl FnOnce(&mut Cluster) -> Result<()>) {
    let mut cluster = Cluster::found(FENBU).expect("a federation can be founded");
    if let Err(error) = tell(&mut cluster) {
        fail(&error);
    }
}

/// Causes a line each, without the backtrace that `anyhow` adds on some machines.
fn fail(error: &anyhow::Error) -> ! {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    panic!("{}", causes.join("\n"));
}

/// A command ended with this code and said all of this.
fn refused(ended: &Ended, code: i32, said: &[&str]) -> Result<()> {
    ensure!(ended.code == code, "exit code {}, not {code}\n{ended:?}", ended.code);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    for words in said {
        ensure!(all.contains(words), "it does not say '{words}':\n{all}");
    }
    Ok(())
}
