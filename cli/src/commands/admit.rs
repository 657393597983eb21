//! `fenbu admit`: let a node in that has no network, by files.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Session;
use super::invite::Role;
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::Key;
use crate::output::{self, Detail};
use crate::wiring;

/// A request is a few hundred characters; a longer file is the wrong one.
const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// Let a node in that reaches nobody: answer the request that `fenbu join --request` wrote
///
/// Run it at the admin node. Make sure by another way, such as the telephone, that the node id it prints
/// is the one the other machine printed. Records come later, once the node meets others.
#[derive(Debug, Args)]
pub(crate) struct AdmitArgs {
    /// The request
    request: PathBuf,
    /// Code of the unit the node belongs to
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    unit: String,
    /// Name of the unit, when it is new
    #[arg(long)]
    name: Option<String>,
    /// What the node is: server or laptop [default: server]
    #[arg(long, value_enum, default_value = "server")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    role: Role,
    /// Where to write the answer: a file that does not exist yet
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "接纳没有网络的节点：答复 fenbu join --request 写出的请求"),
    ("request", "请求文件"),
    ("unit", "节点所属单位的代码"),
    ("name", "单位名称（新单位需要）"),
    ("role", "节点类型：server 服务器 或 laptop 便携机[默认：server]"),
    ("answer", "应答写到哪里：尚不存在的文件"),
];

pub(super) async fn run(args: AdmitArgs, session: &mut Session) -> Result<Exit> {
    let request = super::join::read_file(&args.request, REQUEST_BYTES_MAX)?;
    if args.answer.exists() {
        let path = args.answer.display().to_string();
        return Err(Error::failed(Key::FileExists.with([("path", path)])));
    }
    let mut body =
        json!({ "request": request.trim(), "unit": args.unit, "role": args.role.as_str() });
    if let Some(name) = &args.name {
        body["name"] = name.as_str().into();
    }
    let answer = session.client().post(Route::new("admissions"), &body).await?;
    wiring::write_answer(&args.answer, &output::text(&answer, "answer"))?;
    let file = args.answer.display().to_string();
    let text = |field| output::text(&answer, field);
    session.output.detail(&Detail {
        schema: "fenbu.admitted/1",
        name: "node",
        answer: json!({
            "node": text("node"),
            "name": text("name"),
            "unit": text("unit"),
            "federation": text("federation"),
            "file": file,
        }),
        rows: vec![
            (Key::LabelFederation.into(), text("federation")),
            (Key::LabelNode.into(), text("node")),
            (Key::LabelUnit.into(), text("unit")),
            (Key::LabelFile.into(), file.clone()),
        ],
    })?;
    session.output.say(Key::Admitted.with([("file", file)]));
    Ok(Exit::Ok)
}
