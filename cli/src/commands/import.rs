//! `fenbu import`: records from JSON lines, CSV or XLSX.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::export::Sheet;
use super::{Session, usage};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::Key;
use crate::output::{self, Detail};

/// Import records from JSON lines, a sheet of one kind, or a post from DOCX; twice changes nothing
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// By its ending .csv, .xlsx or .docx, else JSON lines; - reads JSON lines from stdin
    file: PathBuf,
    /// What a sheet's rows are: post, member, meeting, branch or any other kind of record
    #[arg(long)]
    kind: Option<String>,
    /// Import the good lines although others are bad
    #[arg(long)]
    partial: bool,
    /// Check only, write nothing; of a sheet show what would change
    #[arg(long)]
    dry_run: bool,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "从 JSON 行文件或表格导入记录，从 DOCX 导入稿件；重复导入不会改变什么"),
    ("file", ".csv、.xlsx 为表格，.docx 为稿件，其他为 JSON 行；- 从标准输入读 JSON 行"),
    ("kind", "表格各行是哪种记录：post、member、meeting、branch 等"),
    ("partial", "有坏行时仍导入好的行"),
    ("dry_run", "只检查，不写入；表格会显示将改动什么"),
];

pub(super) async fn run(args: ImportArgs, session: &mut Session) -> Result<Exit> {
    let name = args.file.display().to_string();
    let source: Box<dyn Read + Send> = if usage::is_stdin(&args.file) {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(&args.file).map_err(|e| Error::file(&name, &e))?)
    };
    let is_docx = args.file.extension().is_some_and(|e| e.eq_ignore_ascii_case("docx"));
    let sheet = if is_docx { Some("docx") } else { Sheet::of(&args.file).map(Sheet::name) };
    if sheet.is_some() && args.kind.is_none() {
        return Err(Error::usage(Key::SheetKind));
    }
    let mut route = Route::new("import")
        .query("partial", &args.partial.to_string())
        .query("dry_run", &args.dry_run.to_string());
    if let (Some(sheet), Some(kind)) = (sheet, &args.kind) {
        route = route.query("kind", kind).query("format", sheet);
    }
    let answer = session.client().upload(route, source).await?;
    if args.dry_run && !session.output.is_json() {
        preview(session, &answer)?;
    }
    let errors = output::items(&answer["errors"], "");
    for error in &errors {
        session.output.say(crate::lang::Text::from(bad_line(&name, error)));
    }
    let bad = errors.len();
    show(session, answer, bad, sheet.is_some())?;
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

/// How many records came in, and what did not.
fn show(session: &mut Session, answer: Value, bad: usize, sheet: bool) -> Result<()> {
    let pictures = output::number(&answer, "pictures_left_out");
    let count = |field| output::number(&answer, field).unwrap_or(0).to_string();
    let mut rows = vec![
        (Key::LabelImported.into(), count("imported")),
        (Key::LabelUnchanged.into(), count("unchanged")),
        (Key::LabelRefused.into(), bad.to_string()),
    ];
    if sheet {
        rows.insert(0, (Key::LabelNew.into(), count("new")));
        rows.insert(1, (Key::LabelChanged.into(), count("changed")));
    }
    session.output.detail(&Detail { schema: "fenbu.import/1", name: "imported", rows, answer })?;
    if let Some(count) = pictures {
        session.output.say(Key::PicturesLeft.with([("count", count.to_string())]));
    }
    Ok(())
}

/// What each row of a sheet would do, a line for each new record and each field that changes.
fn preview(session: &mut Session, answer: &Value) -> Result<()> {
    for row in output::items(&answer["rows"], "") {
        let text = |field| output::text(&row, field);
        let line = output::number(&row, "line").unwrap_or(0).to_string();
        if text("outcome") == "new" {
            let new = Key::PreviewNew.with([("line", line), ("title", text("title"))]);
            session.output.line(&new.render(session.output.lang()))?;
            continue;
        }
        for change in output::items(&row["changes"], "") {
            let value = |field| match output::text(&change, field) {
                empty if empty.is_empty() => output::ABSENT.to_owned(),
                value => value,
            };
            let changed = Key::PreviewChanged.with([
                ("line", line.clone()),
                ("title", text("title")),
                ("label", value("label")),
                ("before", value("before")),
                ("after", value("after")),
            ]);
            session.output.line(&changed.render(session.output.lang()))?;
        }
    }
    Ok(())
}

/// `FILE:LINE:COL: message`, which editors can follow; with the column's name, where it has one.
fn bad_line(file: &str, error: &Value) -> String {
    let at = |field| output::number(error, field).unwrap_or(1);
    let name = match output::text(error, "name") {
        name if name.is_empty() => name,
        name => format!("{name}: "),
    };
    format!("{file}:{}:{}: {name}{}", at("line"), at("column"), output::text(error, "message"))
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
