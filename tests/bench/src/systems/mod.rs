//! One module per system; this one knows their names.

mod automerge_floor;
mod fenbu;
mod iroh;
mod limits;
mod pair;
mod samod;
mod subduction;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::report::Report;

/// Every system, in the order of the report.
pub const NAMES: [&str; 8] =
    ["fsync", "sqlite-raw", "quinn-raw", "automerge", "samod", "subduction", "iroh-docs", "fenbu"];

/// Every group of metrics.
pub const GROUPS: [&str; 8] =
    ["bulk", "noop", "delta", "live", "write", "memory", "floor", "limits"];

/// Whether a system has what it acknowledges written through to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before it says that it has it.
    Always,
    /// Some time after.
    Later,
    Never,
    /// It writes nothing.
    NoDisk,
}

impl Fsync {
    pub fn words(self) -> &'static str {
        match self {
            Self::Always => "before it answers",
            Self::Later => "afterwards",
            Self::Never => "never",
            Self::NoDisk => "no disk",
        }
    }
}

/// How a system's data gets to the disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    pub fsync: Fsync,
    pub how: &'static str,
}

/// How this system's data gets to the disk.
pub fn disk_of(system: &str) -> Option<Disk> {
    Some(match system {
        "samod" => samod::TRAITS.disk,
        "subduction" => subduction::TRAITS.disk,
        "iroh-docs" => iroh::TRAITS.disk,
        "fenbu" => fenbu::DISK,
        "automerge" => Disk { fsync: Fsync::NoDisk, how: "memory only" },
        "quinn-raw" => Disk { fsync: Fsync::NoDisk, how: "network only" },
        "sqlite-raw" => limits::SQLITE_DISK,
        "fsync" => limits::FSYNC_DISK,
        _ => return None,
    })
}

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
        "subduction" => pair::measure(&subduction::TRAITS, options, report),
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
                "subduction" => crate::peer::serve(subduction::start(dir).await?).await,
                "iroh-docs" => crate::peer::serve(iroh::start(dir).await?).await,
                other => bail!("{other} is no peer with a process of its own"),
            }
        })
        .with_context(|| format!("{system} as a peer"))
}
