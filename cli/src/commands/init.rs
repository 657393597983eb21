//! `fenbu init`: found a federation.

use std::net::SocketAddr;

use clap::Args;

use super::{Session, usage};
use crate::error::{Exit, Result};
use crate::lang::Key;
use crate::wiring::{self, InitOptions};

/// Found a federation; this node is its head office
///
/// Creates the root key and the head-office node in the folder. Later nodes join with a token from
/// `fenbu invite`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Name of the federation and of head office
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,
    /// Address and UDP port to listen on
    #[arg(long, value_name = "ADDR", value_parser = usage::listen)]
    listen: Option<SocketAddr>,
    /// Where peers reach this node; can be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = usage::advertise)]
    advertise: Vec<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "创建联邦，本节点即局机关"),
    ("name", "联邦名称，也是局机关的名称"),
    ("listen", "监听的地址和 UDP 端口"),
    ("advertise", "其他节点访问本节点的地址，可重复"),
];

pub(super) fn run(args: InitArgs, session: &mut Session) -> Result<Exit> {
    let report = wiring::init(InitOptions {
        dir: session.dir.clone(),
        name: args.name,
        listen: args.listen,
        advertise: args.advertise,
    })?;
    session.made("fenbu.init/1", &report)?;
    session.output.say(Key::InitNext.with([("dir", session.shown_dir())]));
    Ok(Exit::Ok)
}
