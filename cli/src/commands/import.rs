//! `fenbu import`: records from JSON lines.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::{Session, usage};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::Key;
use crate::output::{self, Detail};

/// Import records from JSON lines; importing twice changes nothing
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File of JSON lines; - reads stdin
    file: PathBuf,
    /// Import the good lines although others are bad
    #[arg(long)]
    partial: bool,
    /// Check only, write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "从 JSON 行文件导入记录；重复导入不会改变什么"),
    ("file", "JSON 行文件；- 表示标准输入"),
    ("partial", "有坏行时仍导入好的行"),
    ("dry_run", "只检查，不写入"),
];

pub(super) async fn run(args: ImportArgs, session: &mut Session) -> Result<Exit> {
    let name = args.file.display().to_string();
    let source: Box<dyn Read + Send> = if usage::is_stdin(&args.file) {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(&args.file).map_err(|e| Error::file(&name, &e))?)
    };
    let route = Route::new("import")
        .query("partial", &args.partial.to_string())
        .query("dry_run", &args.dry_run.to_string());
    let answer = session.client().upload(route, source).await?;
    let errors = output::items(&answer["errors"], "");
    for error in &errors {
        session.output.say(crate::lang::Text::from(bad_line(&name, error)));
    }
    let count = |field| output::number(&answer, field).unwrap_or(0).to_string();
    session.output.detail(&Detail {
        schema: "fenbu.import/1",
        name: "imported",
        rows: vec![
            (Key::LabelImported.into(), count("imported")),
            (Key::LabelUnchanged.into(), count("unchanged")),
            (Key::LabelRefused.into(), errors.len().to_string()),
        ],
        answer,
    })?;
    if args.dry_run {
        session.output.say(Key::ImportDry);
    }
    if errors.is_empty() {
        return Ok(Exit::Ok);
    }
    if !args.partial && !args.dry_run {
        session.output.say(Key::ImportNothing);
    }
    Ok(Exit::Failed)
}

/// `FILE:LINE:COL: message`, which editors can follow.
fn bad_line(file: &str, error: &Value) -> String {
    let at = |field| output::number(error, field).unwrap_or(1);
    format!("{file}:{}:{}: {}", at("line"), at("column"), output::text(error, "message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_found_by_an_editor() {
        let error =
            serde_json::json!({"line": 3, "column": 17, "message": "unknown field 'tilte'"});
        assert_eq!(bad_line("a.jsonl", &error), "a.jsonl:3:17: unknown field 'tilte'");
    }
}
