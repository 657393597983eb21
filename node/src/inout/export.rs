//! Records as a table, and templates to fill in.

use super::table::{Format, TableError};
use super::xlsx::ColumnForm;
use super::{attendance, csv, xlsx};
use crate::records::{RecordError, Records, Shown};
use fenbu_protocol::record::{ATTENDANCE_ROWS, Field, Merge, Schema, ValueType};
use fenbu_protocol::sheet::{
    Column, Lang, ROWS_MAX, columns, key_fields, natural_keys, show, show_masked, version_of,
};
use serde_json::{Map, Value};

/// Columns are this wide, or as wide as their names, in characters.
const WIDTH: u16 = 16;
const WIDTH_TEXT: u16 = 40;
const WIDTH_ID: u16 = 34;

/// What is exported, and how.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    pub format: Format,
    /// Of headings and codes; a file in one language is understood where people use the other.
    pub lang: Lang,
    /// Only records of this unit's space.
    pub unit: Option<&'a str>,
    /// Personal values as they are, not masked.
    pub reveal: bool,
}

/// Why nothing is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(
        "there are more than {ROWS_MAX} records: name a unit, or export JSON lines, which have no bound"
    )]
    TooMany,
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Every record of a kind, a row each, in the order of what people know them by.
pub fn export(
    records: &Records,
    schema: &'static Schema,
    export: Export<'_>,
) -> Result<Vec<u8>, ExportError> {
    let columns = columns(schema);
    if schema == ATTENDANCE_ROWS {
        let rows = attendance::rows(records, export.lang, export.unit)?;
        if rows.len() > ROWS_MAX {
            return Err(ExportError::TooMany);
        }
        return Ok(written(schema, &columns, &rows, export, false)?);
    }
    let mut rows = Vec::new();
    let directory = records.shared.directory.now();
    let mut too_many = false;
    records.each(schema, |shown| {
        let unit = shown.home_name(&directory);
        if export.unit.is_some_and(|wanted| unit.as_deref() != Some(wanted)) {
            return;
        }
        if rows.len() == ROWS_MAX {
            too_many = true;
            return;
        }
        rows.push(row(&columns, shown, unit.as_deref().unwrap_or_default(), export));
    })?;
    if too_many {
        return Err(ExportError::TooMany);
    }
    let keys = natural_keys(schema).pop().unwrap_or_default();
    let at: Vec<_> =
        keys.iter().filter_map(|key| columns.iter().position(|c| c.name() == *key)).collect();
    rows.sort_by(|a, b| at.iter().map(|i| &a[*i]).cmp(at.iter().map(|i| &b[*i])));
    Ok(written(schema, &columns, &rows, export, false)?)
}

fn row(columns: &[Column], shown: &Shown, unit: &str, export: Export<'_>) -> Vec<String> {
    let json = shown.record.to_json();
    let none = Map::new();
    let fields = json.as_object().unwrap_or(&none);
    let cell = |column: &Column| match column {
        Column::Id => shown.document.to_string(),
        Column::Unit => unit.to_owned(),
        Column::Version => version_of(&shown.record.heads()),
        Column::Field(field) => {
            let value = fields.get(field.name).unwrap_or(&Value::Null);
            if field.personal && !export.reveal {
                show_masked(field, value, export.lang)
            } else {
                show(field, value, export.lang)
            }
        }
    };
    columns.iter().map(cell).collect()
}

/// Rows of texts that are no records, such as a report: the first names the columns.
pub(crate) fn plain_sheet(
    format: Format,
    title: &str,
    rows: &[Vec<String>],
) -> Result<Vec<u8>, TableError> {
    let Some((names, lines)) = rows.split_first().filter(|_| format == Format::Xlsx) else {
        return csv::write(rows.iter().map(Vec::as_slice));
    };
    let form = |name: &String| ColumnForm { name: name.clone(), choices: Vec::new(), width: WIDTH };
    let columns: Vec<_> = names.iter().map(form).collect();
    xlsx::write(title, &columns, lines.iter().map(Vec::as_slice), ("", &[]))
}

/// An empty sheet of a kind, with what each column takes.
pub fn template(
    schema: &'static Schema,
    format: Format,
    lang: Lang,
) -> Result<Vec<u8>, TableError> {
    let columns = columns(schema);
    let fill = |column: &&Column| !matches!(column, Column::Id | Column::Version);
    let columns: Vec<_> = columns.iter().filter(fill).copied().collect();
    let export = Export { format, lang, unit: None, reveal: false };
    written(schema, &columns, &[], export, true)
}

fn written(
    schema: &'static Schema,
    columns: &[Column],
    rows: &[Vec<String>],
    export: Export<'_>,
    template: bool,
) -> Result<Vec<u8>, TableError> {
    let lang = export.lang;
    let name = |column: &Column| {
        let needed = matches!(column, Column::Field(f) if f.required) && template;
        format!("{}{}", column.label(lang), if needed { "*" } else { "" })
    };
    if export.format == Format::Csv {
        let names: Vec<_> = columns.iter().map(name).collect();
        return csv::write([names].iter().chain(rows).map(Vec::as_slice));
    }
    let forms: Vec<_> = columns.iter().map(|column| form(column, name(column), lang)).collect();
    let notes = if template { notes(schema, columns, lang) } else { Vec::new() };
    let title = lang.pick(schema.label_zh, schema.label_en);
    let notes = (lang.pick("说明", "Notes"), notes.as_slice());
    xlsx::write(title, &forms, rows.iter().map(Vec::as_slice), notes)
}

fn form(column: &Column, name: String, lang: Lang) -> ColumnForm {
    let width = match column {
        Column::Id => WIDTH_ID,
        Column::Field(field) if field.merge == Merge::Text => WIDTH_TEXT,
        Column::Field(Field { value: ValueType::Id(_), .. }) => WIDTH_ID,
        _ => WIDTH,
    };
    let choices = match column {
        Column::Field(field)
            if matches!(field.merge, Merge::Register | Merge::Contested | Merge::Log) =>
        {
            field.codes().iter().map(|c| lang.pick(c.zh, c.en).to_owned()).collect()
        }
        _ => Vec::new(),
    };
    ColumnForm { name, choices, width }
}

/// The sheet that explains: its heading, then a line for each column.
fn notes(schema: &'static Schema, columns: &[Column], lang: Lang) -> Vec<Vec<String>> {
    let line = |a: &str, b: String, c: String| vec![a.to_owned(), b, c];
    let mut out = vec![line(
        lang.pick("栏", "Column"),
        lang.pick("填什么", "What it takes").into(),
        lang.pick("可选值", "Choices").into(),
    )];
    for column in columns {
        let (takes, codes) = match column {
            Column::Field(field) => (takes(field, lang), choices(field, lang)),
            _ => (
                lang.pick(
                    "单位代码，或临时数据范围的名称；空着是本单位",
                    "The unit's code, or a temporary space's label; empty is this node's own",
                )
                .into(),
                String::new(),
            ),
        };
        out.push(line(column.label(lang), takes, codes));
    }
    let rules = [
        lang.pick(
            "空格：不改动；（清空）：清除",
            "An empty cell leaves the field as it is; (clear) empties it",
        ),
        lang.pick(
            "没有标识的行按下列各栏认出已有记录",
            "A row without an id stands for the record with the same",
        ),
    ];
    out.push(line("", rules[0].to_owned(), String::new()));
    if schema.has_records() {
        out.push(line("", rules[1].to_owned(), key_fields(schema, lang)));
    }
    out
}

fn choices(field: &Field, lang: Lang) -> String {
    let codes = field.codes().iter().map(|c| lang.pick(c.zh, c.en));
    codes.collect::<Vec<_>>().join(lang.pick("、", "; "))
}

/// What a column takes, in a sentence.
fn takes(field: &Field, lang: Lang) -> String {
    let parts = |parts: &[Field]| {
        let labels = parts.iter().map(|p| lang.pick(p.label_zh, p.label_en));
        labels.collect::<Vec<_>>().join(lang.pick("｜", " | "))
    };
    let one = match field.value {
        ValueType::Text => lang.pick("文字", "Text").to_owned(),
        ValueType::Code(_) | ValueType::State(_) => {
            lang.pick("可选值之一", "One of the choices").into()
        }
        ValueType::Date => lang.pick("日期，如 2018-12-11", "A date such as 2018-12-11").into(),
        ValueType::Instant => lang
            .pick(
                "北京时间，如 2018-12-11 09:00",
                "A time such as 2018-12-11 09:00 (Asia/Shanghai)",
            )
            .into(),
        ValueType::Int => lang.pick("整数", "A whole number").into(),
        ValueType::Bool => lang.pick("是或否", "yes or no").into(),
        ValueType::Id(_) => {
            lang.pick("记录标识，从导出的表中复制", "A record's id, copied from an export").into()
        }
        ValueType::Object(inner) => parts(inner),
    };
    let lines = matches!(field.value, ValueType::Object(_));
    match field.merge {
        Merge::List | Merge::Set if !lines => {
            lang.pick(format!("{one}，几项之间用顿号"), format!("{one}; several with ; between"))
        }
        Merge::List | Merge::Set | Merge::Notes => {
            lang.pick(format!("每行一项：{one}"), format!("One a line: {one}"))
        }
        Merge::Map => lang.pick(format!("每行一项，键：{one}"), format!("One a line, key: {one}")),
        _ => one,
    }
}
