//! `fenbu demo`: a federation at work on one machine.

use clap::Args;

use super::{Global, Session};
use crate::error::{Exit, Result};
use crate::wiring::{self, DemoOptions};

/// Show a federation at work on this machine
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Offices, head office included [default: 16]
    #[arg(long, value_name = "N", default_value_t = 16, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=64))]
    units: u16,
    /// Seed of the sample records: the same seed, the same records [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    seed: u64,
    /// Keep the nodes' folders afterwards
    #[arg(long)]
    keep: bool,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "在本机演示一个联邦"),
    ("units", "单位数，含局机关[默认：16]"),
    ("seed", "示例数据的种子：种子相同，数据相同[默认：1]"),
    ("keep", "演示后保留各节点的目录"),
];

pub(super) fn run(args: &DemoArgs, global: &Global, session: &mut Session) -> Result<Exit> {
    let options = DemoOptions {
        units: args.units,
        seed: args.seed,
        keep: args.keep,
        // A default folder is a real node's: the demo uses one only when it is named.
        dir: global.dir.clone(),
    };
    wiring::demo(&options, &mut session.output)
}
