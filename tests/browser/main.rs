//! The console in a real browser before real daemons: what only that shows.
//!
//! `cargo ci --only browser` runs it; Chromium and its driver must be installed. Everything a test starts
//! ends with it: browsers by their session and their pid, daemons as in every other test.

mod away;
mod chromium;
mod first_load;
mod looks;
mod person;
mod publishing;
mod safety;
mod sessions;
mod settling;
mod together;

use anyhow::Result;
use fenbu_tests::cluster::Cluster;

/// The `fenbu` command, built with this package.
const FENBU: &str = env!("CARGO_BIN_EXE_fenbu-under-test");

/// Tells a story with a new federation. If it goes wrong, the daemons' logs are printed.
fn story(tell: impl FnOnce(&mut Cluster) -> Result<()>) {
    let mut cluster = Cluster::found(FENBU).expect("a federation can be founded");
    if let Err(error) = tell(&mut cluster) {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        panic!("{}", causes.join("\n"));
    }
}
