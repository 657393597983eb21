//! `fenbu directory`: units, nodes, spaces and who may do what.

use clap::Args;
use serde_json::Value;

use super::{Session, instant};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Text};
use crate::output::{self, Column, Format, View};

/// Show the federation's directory: nodes, spaces and rights
#[derive(Debug, Args)]
pub(crate) struct DirectoryArgs {}

pub(super) const HELP_ZH: &[(&str, &str)] = &[("", "显示联邦目录：节点、数据范围和权限")];

pub(super) async fn run(_: DirectoryArgs, session: &mut Session) -> Result<Exit> {
    let answer = session.client().get(Route::new("directory")).await?;
    let nodes = output::items(&answer["nodes"], "");
    match session.output.format {
        Format::Json | Format::Ndjson => session.output.json("fenbu.directory/1", &answer)?,
        Format::Name => {
            for node in &nodes {
                session.output.line(&output::text(node, "node"))?;
            }
        }
        Format::Table | Format::Wide | Format::Csv => {
            session.output.labelled(&rows(&answer, session.output.view))?;
            session.output.raw(b"\n")?;
            session.output.table(&node_columns(), &nodes)?;
            session.output.raw(b"\n")?;
            let spaces = output::items(&answer["spaces"], "");
            session.output.table(&super::space::columns(), &spaces)?;
        }
    }
    if let Some(why) = answer["stopped"].as_str() {
        session.output.say(Key::AlarmLine.with([("text", why.to_owned())]));
    }
    Ok(Exit::Ok)
}

fn rows(answer: &Value, view: View) -> Vec<(Text, String)> {
    let text = |field| output::text(answer, field);
    vec![
        (Key::LabelName.into(), text("name")),
        (Key::LabelFederation.into(), text("federation")),
        (Key::LabelEpoch.into(), text("epoch")),
        (Key::LabelHeard.into(), instant::heard(&answer["heard"], view)),
        (Key::LabelHead.into(), output::short_id(&text("head"))),
        (Key::LabelAdmin.into(), output::short_id(&text("admin"))),
        (Key::LabelUnits.into(), output::items(&answer["units"], "").len().to_string()),
    ]
}

fn node_columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnName, |v, _| output::text(v, "name")).at_most(28),
        Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
        Column::new(Key::ColumnRole, |v, _| output::text(v, "role")),
        Column::new(Key::ColumnNode, |v, _| output::short_id(&output::text(v, "node"))),
        Column::new(Key::ColumnAddress, |v, _| output::text(v, "addresses")).at_most(40),
        Column::new(Key::ColumnAdmitted, |v, _| output::text(v, "admitted_epoch")).right(),
        Column::new(Key::ColumnRevoked, revoked),
    ]
}

/// A revocation is a flag, or the epoch it happened in.
fn revoked(node: &Value, view: View) -> String {
    match &node["revoked"] {
        Value::Null | Value::Bool(false) => Key::No.text(view.lang).to_owned(),
        Value::Bool(true) => Key::Yes.text(view.lang).to_owned(),
        other => output::scalar(other),
    }
}
