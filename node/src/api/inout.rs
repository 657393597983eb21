//! In and out: records from files and into files.

use super::personal::disclose;
use super::{Caller, Problem, blocking};
use crate::daemon::Daemon;
use crate::import::{ImportOptions, export_line, import as import_lines};
use crate::inout::calendar::{CalendarOf, calendar as calendar_of};
use crate::inout::feed::{FeedOf, feed as feed_of};
use crate::inout::{Export as Sheet, ExportError, Format, Table, TableError};
use crate::inout::{docx, draft, page};
use crate::inout::{export as export_sheet, import as import_sheet, template as empty_sheet};
use crate::records::{Records, home_name};
use crate::words::Lang;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use fenbu_protocol::record::{ALL, ATTENDANCE_ROWS, Schema, schema_named};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

type Node = State<Arc<Daemon>>;

/// Lines a reader has not taken yet.
const EXPORT_LINES: usize = 64;

/// A kind of record, or the form of a sheet.
pub(crate) fn form_of(kind: &str) -> Result<&'static Schema, Problem> {
    if kind == ATTENDANCE_ROWS.name { Ok(ATTENDANCE_ROWS) } else { schema_of(kind) }
}

fn schema_of(kind: &str) -> Result<&'static Schema, Problem> {
    schema_named(kind)
        .ok_or_else(|| Problem::not_found(format!("there is no kind of record '{kind}'")))
}

/// What a file that is no lines is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Csv,
    Xlsx,
    /// One post from a word processor.
    Docx,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Import {
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    dry_run: bool,
    /// Of a sheet's rows; lines say it themselves.
    kind: Option<String>,
    /// Lines if not given.
    format: Option<Source>,
}

pub(super) async fn import(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Query(asked): Query<Import>,
    lang: Lang,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let options = ImportOptions { partial: asked.partial, dry_run: asked.dry_run };
    let (records, account) = (daemon.records.clone(), caller.account());
    let Some(format) = asked.format else {
        let mut report =
            blocking(move || import_lines(&records, &body, options, &account)).await??;
        for error in &mut report.errors {
            error.message = lang.say(&error.message);
        }
        return Ok(Json(json!(report)));
    };
    let Some(kind) = asked.kind else {
        return Err(Problem::bad_request(
            "a sheet does not say what its rows are: name their kind",
        ));
    };
    let schema = form_of(&kind)?;
    let report = blocking(move || {
        let (table, pictures) = table_of(schema, format, &body)?;
        let mut report = import_sheet(&records, schema, &table, options, &account, lang)?;
        report.pictures_left_out = pictures;
        Ok::<_, Problem>(report)
    })
    .await??;
    Ok(Json(json!(report)))
}

/// A file's rows, and how many pictures are not in them.
pub(crate) fn table_of(
    schema: &Schema,
    format: Source,
    body: &[u8],
) -> Result<(Table, usize), Problem> {
    let format = match format {
        Source::Csv => Format::Csv,
        Source::Xlsx => Format::Xlsx,
        Source::Docx if schema.name != "post" => {
            return Err(Problem::bad_request("a document becomes a post: name that kind"));
        }
        Source::Docx => {
            let draft = draft::read(body)?;
            let pictures = draft.pictures;
            return Ok((draft.table()?, pictures));
        }
    };
    Ok((Table::read(format, body)?, 0))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    kind: Option<String>,
    /// Of a sheet; lines if not given.
    format: Option<Format>,
    /// Only what lives in this unit's space.
    unit: Option<String>,
    /// Why personal values are to be in it. Without it sheets mask them and lines leave them out.
    reveal: Option<String>,
}

pub(super) async fn export(
    State(daemon): Node,
    ConnectInfo(caller): ConnectInfo<Caller>,
    Query(asked): Query<Export>,
    lang: Lang,
) -> Result<Response, Problem> {
    let schemas = match &asked.kind {
        Some(kind) if asked.format.is_some() => vec![form_of(kind)?],
        Some(kind) => vec![schema_of(kind)?],
        None => ALL.to_vec(),
    };
    match (asked.format, schemas.as_slice()) {
        (Some(format), [schema]) => {
            export_table(&daemon, schema, format, asked, caller, lang).await
        }
        (Some(_), _) => Err(Problem::bad_request("a sheet holds one kind of record: name which")),
        (None, _) => export_lines(&daemon, schemas, asked, caller).await,
    }
}

async fn export_table(
    daemon: &Arc<Daemon>,
    schema: &'static Schema,
    format: Format,
    asked: Export,
    caller: Caller,
    lang: Lang,
) -> Result<Response, Problem> {
    let records = daemon.records.clone();
    let bytes = blocking(move || {
        let reveal = asked.reveal.as_deref();
        let unit = asked.unit.as_deref();
        let form = Sheet { format, lang: lang.into(), unit, reveal: reveal.is_some() };
        disclose_all(&records, &[schema], reveal, caller)?;
        Ok::<_, Problem>(export_sheet(&records, schema, form)?)
    })
    .await??;
    Ok(file(format.media_type(), bytes))
}

/// Writes down that personal data goes out, where a reason is given.
fn disclose_all(
    records: &Records,
    schemas: &[&'static Schema],
    reveal: Option<&str>,
    caller: Caller,
) -> Result<(), Problem> {
    let Some(reason) = reveal else { return Ok(()) };
    let personal = |s: &&&Schema| s.fields.iter().any(|f| f.personal);
    let mut schemas = schemas.iter().filter(personal);
    schemas.try_for_each(|schema| disclose(records, schema, "*", "export", reason, caller.clone()))
}

async fn export_lines(
    daemon: &Arc<Daemon>,
    schemas: Vec<&'static Schema>,
    asked: Export,
    caller: Caller,
) -> Result<Response, Problem> {
    if asked.unit.is_some() {
        return Err(Problem::bad_request("lines are of all units: name a unit for sheets alone"));
    }
    let (records, reveal) = (daemon.records.clone(), asked.reveal.is_some());
    let of = schemas.clone();
    blocking(move || disclose_all(&records, &of, asked.reveal.as_deref(), caller)).await??;
    let records = daemon.records.clone();
    let (lines, mut taken) = mpsc::channel::<Result<Bytes, std::io::Error>>(EXPORT_LINES);
    tokio::task::spawn_blocking(move || export_all(&records, &schemas, reveal, &lines));
    let stream = futures_util::stream::poll_fn(move |cx| taken.poll_recv(cx));
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::from_stream(stream)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    format: Format,
}

pub(super) async fn template(
    Path(kind): Path<String>,
    Query(asked): Query<Template>,
    lang: Lang,
) -> Result<Response, Problem> {
    let bytes = empty_sheet(form_of(&kind)?, asked.format, lang.into())?;
    Ok(file(asked.format.media_type(), bytes))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calendar {
    branch: Option<String>,
    unit: Option<String>,
}

pub(super) async fn calendar(
    State(daemon): Node,
    Query(asked): Query<Calendar>,
    lang: Lang,
) -> Result<Response, Problem> {
    let of = CalendarOf { branch: asked.branch, unit: asked.unit };
    let records = daemon.records.clone();
    let text = blocking(move || calendar_of(&records, &of, lang.into())).await??;
    Ok(file("text/calendar; charset=utf-8", text.into_bytes()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feed {
    column: Option<String>,
    unit: Option<String>,
}

pub(super) async fn feed(
    State(daemon): Node,
    Query(asked): Query<Feed>,
    lang: Lang,
) -> Result<Response, Problem> {
    let of = FeedOf { column: asked.column, unit: asked.unit };
    let records = daemon.records.clone();
    let text = blocking(move || feed_of(&records, &of, lang.into())).await??;
    Ok(file("application/atom+xml; charset=utf-8", text.into_bytes()))
}

/// A record as a page to be sent or printed: a journal issue, a letter of transfer.
pub(super) async fn page_of(
    State(daemon): Node,
    Path((plural, id)): Path<(String, String)>,
    lang: Lang,
) -> Result<Response, Problem> {
    let schema = schema_of(&plural)?;
    let write = match schema.name {
        "journal-issue" => page::journal_issue,
        "transfer" => page::transfer_letter,
        _ => {
            return Err(Problem::bad_request("pages are made of journal issues and of transfers"));
        }
    };
    let records = daemon.records.clone();
    let text = blocking(move || {
        let shown = records.show(schema, &id)?;
        write(&records, &shown, lang.into())
    })
    .await??;
    Ok(file("text/html; charset=utf-8", text.into_bytes()))
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// A post, or the minutes of a meeting, as a document for word processors.
pub(super) async fn docx_of(
    State(daemon): Node,
    Path((plural, id)): Path<(String, String)>,
    lang: Lang,
) -> Result<Response, Problem> {
    let schema = schema_of(&plural)?;
    let write = match schema.name {
        "post" => docx::post,
        "meeting" => docx::minutes,
        _ => {
            return Err(Problem::bad_request("documents are made of posts and of meetings"));
        }
    };
    let records = daemon.records.clone();
    let bytes = blocking(move || {
        let shown = records.show(schema, &id)?;
        Ok::<_, Problem>(write(&shown, lang.into())?)
    })
    .await??;
    Ok(file(DOCX, bytes))
}

/// A whole file as an answer.
pub(crate) fn file(media_type: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, media_type)], bytes).into_response()
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::TooMany => Self::bad_request(error.to_string()),
            ExportError::Table(error) => error.into(),
            ExportError::Record(error) => error.into(),
        }
    }
}

/// A line says what there is.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(parts) => parts.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn export_all(
    records: &Records,
    schemas: &[&'static Schema],
    reveal: bool,
    lines: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    let directory = records.shared.directory.now();
    for schema in schemas {
        let outcome = records.each(schema, |shown| {
            // What others keep the drafts of is not this node's to bring back.
            if shown.record.is_publication() {
                return;
            }
            let mut fields = shown.record.to_json();
            if let Some(fields) = fields.as_object_mut() {
                fields.remove("conflicts");
                fields.remove("courses");
                let personal = |name: &str| schema.field(name).is_some_and(|f| f.personal);
                fields.retain(|name, value| !is_empty(value) && (reveal || !personal(name)));
            }
            let unit = home_name(&directory, &shown.space);
            let mut line = export_line(schema.name, shown.document, unit.as_deref(), fields);
            line.push('\n');
            // A reader that has gone away needs no more lines.
            let _ = lines.blocking_send(Ok(line.into()));
        });
        if let Err(error) = outcome {
            tracing::error!(%error, "an export broke off");
            // The break in the stream tells the reader that the export is not whole.
            let _ = lines.blocking_send(Err(std::io::Error::other(error.to_string())));
            return;
        }
    }
}
