//! One module per system; this one knows their names.

mod automerge_floor;
mod fenbu;
mod iroh;
mod limits;
mod pair;
mod samod;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::report::Report;

/// Every system, in the order of the report.
pub const NAMES: [&str; 7] =
    ["fsync", "sqlite-raw", "quinn-raw", "automerge", "samod", "iroh-docs", "fenbu"];

/// Every group of metrics.
pub const GROUPS: [&str; 8] =
    ["bulk", "noop", "delta", "live", "write", "memory", "floor", "limits"];

/// Refuses names nobody knows before anything is started.
pub fn check_names(options: &Options) -> Result<()> {
    for (given, known) in [(&options.systems, &NAMES[..]), (&options.metrics, &GROUPS[..])] {
        if let Some(name) = given.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("'{name}' is not known; there are {}", known.join(", "));
        }
    }
    if options.records == 0 {
        bail!("--records must be at least 1");
    }
    Ok(())
}

/// Measures a system once.
pub fn measure(system: &str, options: &Options, report: &mut Report) -> Result<()> {
    match system {
        "samod" => pair::measure(&samod::TRAITS, options, report),
        "iroh-docs" => pair::measure(&iroh::TRAITS, options, report),
        "fenbu" => fenbu::measure(options, report),
        "automerge" if options.wants("floor") => automerge_floor::measure(options, report),
        "quinn-raw" if options.wants("limits") => limits::quinn_raw(report),
        "sqlite-raw" if options.wants("limits") => limits::sqlite_raw(options, report),
        "fsync" if options.wants("limits") => limits::fsync(options, report),
        _ => Ok(()),
    }
}

/// Runs this process as a peer: `args` are the system's name and its folder.
pub fn run_child(args: &[String]) -> Result<()> {
    let [system, dir] = args else { bail!("a peer needs a system and a folder") };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = Path::new(dir);
    runtime
        .block_on(async {
            match system.as_str() {
                "samod" => crate::peer::serve(samod::start(dir).await?).await,
                "iroh-docs" => crate::peer::serve(iroh::start(dir).await?).await,
                other => bail!("{other} is no peer with a process of its own"),
            }
        })
        .with_context(|| format!("{system} as a peer"))
}
