//! Records in from files, looked at before they are taken, and out into files.

use super::super::Office;
use super::super::cells::kind_label;
use super::super::shell::{flash, page as full_page, trouble};
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::api::{Problem, Source, disclose_to, file, form_of, table_of};
use crate::import::ImportOptions;
use crate::inout::{Export as Sheet, Format, SheetReport, docx, export, import, template};
use crate::words::Lang;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use fenbu_protocol::access::Action;
use fenbu_protocol::record::{ALL, ATTENDANCE_ROWS, Schema, schema_named};
use maud::{Markup, html};
use serde::Deserialize;

/// Mistakes and changes shown; whoever has more mends these first.
const SHOWN: usize = 50;

/// Kinds whose sheets people bring; a sheet of attendance is a form of meetings.
fn kinds(visitor: &Visitor) -> Vec<&'static Schema> {
    let mine = ALL.into_iter().filter(|s| visitor.may(Action::Write(s.name)));
    let mut out: Vec<&'static Schema> = mine.collect();
    if visitor.may(Action::Write("meeting")) {
        out.push(ATTENDANCE_ROWS);
    }
    out
}

/// The kind whose writers bring a form's rows.
fn written(schema: &Schema) -> &'static str {
    if schema.name == ATTENDANCE_ROWS.name { "meeting" } else { schema.name }
}

pub(in crate::console) async fn page(visitor: Visitor) -> Result<Markup, Refused> {
    check(&visitor, Action::Import, None)?;
    Ok(shown(&visitor, html! {}))
}

fn shown(visitor: &Visitor, said: Markup) -> Markup {
    let lang = visitor.lang;
    let body = html! {
        (said)
        form.form method="post" action="/import" enctype="multipart/form-data" {
            div {
                label for="kind" { (Word::What.say(lang)) }
                select #kind name="kind" required {
                    @for schema in kinds(visitor) {
                        option value=(schema.name) { (kind_label(schema, lang)) }
                    }
                }
            }
            div {
                label for="file" { (Word::File.say(lang)) }
                input #file type="file" name="file" required accept=".csv,.xlsx,.docx";
                p.hint { (Word::FileHint.say(lang)) }
            }
            p.bar {
                button.primary type="submit" name="take" value="no" { (Word::TryImport.say(lang)) }
                button type="submit" name="take" value="all" { (Word::ImportAll.say(lang)) }
                button type="submit" name="take" value="good" { (Word::ImportGood.say(lang)) }
            }
        }
        h2 { (Word::EmptySheets.say(lang)) }
        ul {
            @for schema in kinds(visitor) {
                li {
                    (kind_label(schema, lang)) (Word::Colon.say(lang))
                    @for format in ["xlsx", "csv"] {
                        a href=(format!("/template/{}?format={format}", schema.name)) { (format.to_uppercase()) } " "
                    }
                }
            }
        }
        h2 { (Word::Download.say(lang)) }
        ul {
            @for schema in ALL.into_iter().filter(|s| visitor.may(Action::Read(s.name)) && visitor.may(Action::Export) && s.name != "audit" && s.name != "account") {
                li {
                    (kind_label(schema, lang)) (Word::Colon.say(lang))
                    @for format in ["xlsx", "csv"] {
                        a href=(format!("/export?kind={}&format={format}", schema.name)) { (format.to_uppercase()) } " "
                    }
                }
            }
        }
    };
    full_page(visitor, Word::InAndOut.say(lang), body)
}

/// What a form with a file brought.
#[derive(Debug, Default)]
struct Brought {
    kind: String,
    take: String,
    name: String,
    bytes: Vec<u8>,
}

async fn brought(mut form: Multipart) -> Result<Brought, Problem> {
    let bad = |error: axum::extract::multipart::MultipartError| {
        Problem::bad_request(format!("request body: {error}"))
    };
    let mut out = Brought::default();
    while let Some(field) = form.next_field().await.map_err(bad)? {
        match field.name() {
            Some("kind") => out.kind = field.text().await.map_err(bad)?,
            Some("take") => out.take = field.text().await.map_err(bad)?,
            Some("file") => {
                out.name = field.file_name().unwrap_or_default().to_ascii_lowercase();
                out.bytes = field.bytes().await.map_err(bad)?.to_vec();
            }
            _ => {}
        }
    }
    Ok(out)
}

/// What a file is, by how its name ends; the name is used for nothing else.
fn source(name: &str) -> Result<Source, Problem> {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "csv" => Ok(Source::Csv),
        "xlsx" => Ok(Source::Xlsx),
        "docx" => Ok(Source::Docx),
        _ => Err(Problem::bad_request("bring a file that ends in .csv, .xlsx or .docx")),
    }
}

pub(in crate::console) async fn take(
    State(office): State<Office>,
    visitor: Visitor,
    form: Multipart,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Import, None)?;
    let lang = visitor.lang;
    let given = brought(form).await.told_to(&visitor)?;
    let schema = form_of(&given.kind).told_to(&visitor)?;
    check(&visitor, Action::Write(written(schema)), None)?;
    let format = source(&given.name).told_to(&visitor)?;
    let options = ImportOptions {
        partial: given.take == "good",
        dry_run: !matches!(given.take.as_str(), "all" | "good"),
    };
    let (records, account) = (office.records().clone(), visitor.id());
    let report = blocking(move || {
        let (table, pictures) = table_of(schema, format, &given.bytes)?;
        let mut report = import(&records, schema, &table, options, &account, lang)?;
        report.pictures_left_out = pictures;
        Ok::<_, Problem>(report)
    })
    .await
    .told_to(&visitor)?;
    if report.imported > 0 {
        let accounts = office.accounts().clone();
        let (login, by, about) = (
            visitor.account.login.clone(),
            visitor.id(),
            format!("{} {}", schema.name, report.imported),
        );
        blocking(move || accounts.note("imported", &login, &by, &about, "")).await;
    }
    Ok(shown(&visitor, told(&report, options, lang)))
}

fn told(report: &SheetReport, options: ImportOptions, lang: Lang) -> Markup {
    let numbers = match lang {
        Lang::Zh => format!(
            "新增 {}，修改 {}，没有变化 {}，有错 {}",
            report.new, report.changed, report.unchanged, report.bad
        ),
        Lang::En => format!(
            "{} new, {} changed, {} unchanged, {} with mistakes",
            report.new, report.changed, report.unchanged, report.bad
        ),
    };
    let first = match (options.dry_run, report.imported) {
        (true, _) => Word::OnlyTried,
        (false, 0) => Word::NothingImported,
        (false, _) => Word::Imported,
    };
    html! {
        (flash(&format!("{} {numbers}", first.say(lang))))
        @if report.pictures_left_out > 0 {
            (trouble(&format!("{} {}", Word::PicturesLeftOut.say(lang), report.pictures_left_out)))
        }
        @if !report.errors.is_empty() {
            table {
                thead { tr { th.number scope="col" { (Word::Row.say(lang)) } th scope="col" { (Word::Column.say(lang)) } th scope="col" { (Word::Why.say(lang)) } } }
                tbody {
                    @for error in report.errors.iter().take(SHOWN) {
                        tr { td.number { (error.line) } td { (error.name) } td.bad { (error.message) } }
                    }
                }
            }
        }
        @if !report.rows.is_empty() {
            table {
                thead { tr { th.number scope="col" { (Word::Row.say(lang)) } th scope="col" { (Word::What.say(lang)) } th scope="col" { (Word::Before.say(lang)) " → " (Word::After.say(lang)) } } }
                tbody {
                    @for row in report.rows.iter().take(SHOWN) {
                        tr {
                            td.number { (row.line) }
                            td { (row.title) }
                            td { @for change in &row.changes { p { strong { (change.label) } (Word::Colon.say(lang)) del { (change.before) } " " ins { (change.after) } } } }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Wanted {
    kind: String,
    format: Format,
    #[serde(default)]
    unit: String,
    /// Why personal values are to be in it.
    #[serde(default)]
    reveal: String,
}

/// A file to be kept, under a name made of a kind alone.
fn named(mut response: Response, name: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Xlsx => "xlsx",
    }
}

pub(in crate::console) async fn out(
    State(office): State<Office>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let schema = form_of(&wanted.kind).told_to(&visitor)?;
    check(&visitor, Action::Export, None)?;
    check(&visitor, Action::Read(written(schema)), None)?;
    let reveal = !wanted.reveal.trim().is_empty();
    if reveal {
        check(&visitor, Action::Reveal(schema.name), None)?;
    }
    let (records, account, lang, format) =
        (office.records().clone(), visitor.id(), visitor.lang, wanted.format);
    let bytes = blocking(move || {
        if reveal {
            disclose_to(&records, schema, "*", "export", &wanted.reveal, &account)?;
        }
        let unit = (!wanted.unit.is_empty()).then_some(wanted.unit.as_str());
        Ok::<_, Problem>(export(
            &records,
            schema,
            Sheet { format, lang: lang.into(), unit, reveal },
        )?)
    })
    .await
    .told_to(&visitor)?;
    let accounts = office.accounts().clone();
    let (login, by) = (visitor.account.login.clone(), visitor.id());
    blocking(move || accounts.note("exported", &login, &by, schema.name, "")).await;
    Ok(named(file(format.media_type(), bytes), &format!("{}.{}", schema.plural, ending(format))))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Empty {
    format: Format,
}

pub(in crate::console) async fn empty_sheet(
    visitor: Visitor,
    Path(kind): Path<String>,
    Query(wanted): Query<Empty>,
) -> Result<Response, Refused> {
    check(&visitor, Action::Import, None)?;
    let schema = form_of(&kind).told_to(&visitor)?;
    let bytes = template(schema, wanted.format, visitor.lang.into()).told_to(&visitor)?;
    Ok(named(
        file(wanted.format.media_type(), bytes),
        &format!("{}-template.{}", schema.plural, ending(wanted.format)),
    ))
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// A post or the minutes of a meeting for a word processor.
pub(in crate::console) async fn word(
    State(office): State<Office>,
    visitor: Visitor,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let known = schema_named(&kind).filter(|s| matches!(s.name, "post" | "meeting"));
    let none = || Problem::bad_request("documents are made of posts and of meetings");
    let schema = known.ok_or_else(none).told_to(&visitor)?;
    check(&visitor, Action::Read(schema.name), None)?;
    let (records, lang) = (office.records().clone(), visitor.lang);
    let bytes = blocking(move || {
        let shown = records.show(schema, &id)?;
        let write = if schema.name == "post" { docx::post } else { docx::minutes };
        Ok::<_, Problem>(write(&shown, lang.into())?)
    })
    .await
    .told_to(&visitor)?;
    Ok(named(file(DOCX, bytes), &format!("{}.docx", schema.name)))
}
