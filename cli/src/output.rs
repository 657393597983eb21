//! Tables for people, JSON for scripts. The only way to stdout.
//!
//! What the daemon answers is kept as JSON: a script sees every field, also those this version does
//! not know, and a table takes the cells it has names for. An absent cell reads `—`.

use std::io::Write;

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets,
};
use serde_json::{Map, Value};

use crate::Streams;
use crate::error::Result;
use crate::lang::{Lang, Text};

/// What stands where there is nothing to say.
pub const ABSENT: &str = "—";

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Wide,
    Json,
    Ndjson,
    Csv,
    Name,
}

/// What a cell may need besides its row.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub lang: Lang,
    /// Now, in milliseconds since 1970, for ages.
    pub now_ms: i64,
}

type CellFn = Box<dyn Fn(&Value, View) -> String>;

/// A column of a table.
pub struct Column {
    header: Text,
    cell: CellFn,
    wide: bool,
    right: bool,
    width_max: Option<u16>,
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Column {
    pub fn new(header: impl Into<Text>, cell: impl Fn(&Value, View) -> String + 'static) -> Self {
        Self {
            header: header.into(),
            cell: Box::new(cell),
            wide: false,
            right: false,
            width_max: None,
        }
    }

    /// Shown by `-o wide` only.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// Numbers stand to the right.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Longer content is cut with `…`, except under `-o wide`. In terminal cells.
    #[must_use]
    pub fn at_most(mut self, cells: u16) -> Self {
        self.width_max = Some(cells);
        self
    }
}

/// Rows of one kind.
#[derive(Debug)]
pub struct List {
    /// `fenbu.peers/1`
    pub schema: &'static str,
    /// `fenbu.peer/1`: the tag of one line of `-o ndjson`.
    pub item_schema: &'static str,
    /// The whole answer, for `-o json`.
    pub answer: Value,
    pub items: Vec<Value>,
    /// The field that `-o name` prints.
    pub name: &'static str,
    pub columns: Vec<Column>,
}

/// One thing, as labelled lines.
#[derive(Debug)]
pub struct Detail {
    pub schema: &'static str,
    pub answer: Value,
    pub name: &'static str,
    pub rows: Vec<(Text, String)>,
}

/// Writes data to stdout and talk to stderr.
#[derive(Debug)]
pub struct Output {
    pub format: Format,
    pub view: View,
    streams: Streams,
}

impl Output {
    pub fn new(format: Format, lang: Lang, now_ms: i64, streams: Streams) -> Self {
        Self { format, view: View { lang, now_ms }, streams }
    }

    pub fn lang(&self) -> Lang {
        self.view.lang
    }

    /// Whether a screen can be redrawn in place.
    pub fn terminal(&self) -> bool {
        self.streams.terminal
    }

    pub fn stderr(&mut self) -> &mut dyn Write {
        &mut *self.streams.err
    }

    /// A remark on stderr. Losing one must not fail the command.
    pub fn say(&mut self, text: impl Into<Text>) {
        let line = text.into().render(self.lang());
        let _ = writeln!(self.streams.err, "{}", clean(&line));
    }

    /// Data as it is.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.streams.out.write_all(bytes)?)
    }

    pub fn flush(&mut self) -> Result<()> {
        Ok(self.streams.out.flush()?)
    }

    /// One line of data, cleaned of what would steer a terminal.
    pub fn line(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.streams.out, "{}", clean(text))?)
    }

    /// Empties the terminal, for a picture that is redrawn.
    pub fn clear_screen(&mut self) -> Result<()> {
        self.raw(b"\x1b[H\x1b[2J")
    }

    /// JSON with its schema tag, in the format asked for.
    pub fn json(&mut self, schema: &str, value: &Value) -> Result<()> {
        let value = tagged(schema, value);
        let text = match self.format {
            Format::Ndjson => value.to_string(),
            _ => format!("{value:#}"),
        };
        self.raw(text.as_bytes())?;
        self.raw(b"\n")
    }

    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Ndjson)
    }

    pub fn list(&mut self, list: &List) -> Result<()> {
        match self.format {
            Format::Json => self.json(list.schema, &list.answer),
            Format::Ndjson => {
                list.items.iter().try_for_each(|item| self.json(list.item_schema, item))
            }
            Format::Name => {
                list.items.iter().try_for_each(|item| self.line(&text(item, list.name)))
            }
            Format::Csv => self.csv(&list.columns, &list.items),
            Format::Table | Format::Wide => self.table(&list.columns, &list.items),
        }
    }

    /// The columns of a wide table, as CSV.
    fn csv(&mut self, columns: &[Column], items: &[Value]) -> Result<()> {
        let view = self.view;
        let header: Vec<String> = columns.iter().map(|c| c.header.render(view.lang)).collect();
        self.raw(csv_line(&header).as_bytes())?;
        items.iter().try_for_each(|item| {
            let row: Vec<String> = columns.iter().map(|c| (c.cell)(item, view)).collect();
            self.raw(csv_line(&row).as_bytes())
        })
    }

    /// Only the table, for answers made of several.
    pub fn table(&mut self, columns: &[Column], items: &[Value]) -> Result<()> {
        let text = render_table(columns, items, self.view, self.format == Format::Wide);
        self.raw(text.as_bytes())
    }

    pub fn detail(&mut self, detail: &Detail) -> Result<()> {
        match self.format {
            Format::Json | Format::Ndjson => self.json(detail.schema, &detail.answer),
            Format::Name => self.line(&text(&detail.answer, detail.name)),
            Format::Table | Format::Wide => self.labelled(&detail.rows),
            Format::Csv => detail.rows.iter().try_for_each(|(label, value)| {
                let row = [label.render(self.lang()), value.clone()];
                self.raw(csv_line(&row).as_bytes())
            }),
        }
    }

    /// Labels and values in two columns.
    pub fn labelled(&mut self, rows: &[(Text, String)]) -> Result<()> {
        let mut table = bare_table();
        for (label, value) in rows {
            table.add_row(vec![label.render(self.lang()), clean_block(value)]);
        }
        self.raw(finish(table, 2).as_bytes())
    }
}

fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's text: two spaces between columns, none at the end of a line.
fn finish(mut table: Table, columns: usize) -> String {
    for index in 0..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
        }
    }
    table.trim_fmt() + "\n"
}

fn render_table(columns: &[Column], items: &[Value], view: View, wide: bool) -> String {
    let columns: Vec<&Column> = columns.iter().filter(|c| wide || !c.wide).collect();
    let mut table = bare_table();
    table.set_header(columns.iter().map(|c| c.header.render(view.lang)).collect::<Vec<_>>());
    for item in items {
        let mut row = Row::from(
            columns
                .iter()
                .map(|c| Some((c.cell)(item, view)).filter(|s| !s.is_empty()))
                .map(|cell| cell.map_or_else(|| ABSENT.to_owned(), |text| clean(&text)))
                .collect::<Vec<_>>(),
        );
        if !wide {
            row.max_height(1);
        }
        table.add_row(row);
    }
    for (index, spec) in columns.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        if spec.right {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let (Some(cells), false) = (spec.width_max, wide) {
            // The constraint counts the padding of two.
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(cells + 2)));
        }
    }
    finish(table, columns.len())
}

/// The value as an object whose first field is its schema; an array becomes `items`.
pub fn tagged(schema: &str, value: &Value) -> Value {
    let mut object = Map::new();
    object.insert("schema".into(), schema.into());
    match value {
        Value::Object(fields) => {
            object.extend(fields.iter().filter(|(k, _)| *k != "schema").map(clone_pair));
        }
        other => {
            object.insert("items".into(), other.clone());
        }
    }
    Value::Object(object)
}

fn clone_pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// A line of CSV (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe before it.
pub fn csv_line(fields: &[String]) -> String {
    let quoted = fields.iter().map(|field| {
        let formula =
            field.starts_with(['=', '+', '-', '@', '\t']) && field.parse::<f64>().is_err();
        let field = if formula { format!("'{field}") } else { field.clone() };
        match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field,
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// One line without control characters: record texts come from other offices, and an escape
/// sequence in a title must not reach a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) || c == '\n' { ' ' } else { c }).collect()
}

/// As [`clean`], keeping line breaks.
pub fn clean_block(text: &str) -> String {
    text.chars().filter(|&c| c != '\r').map(|c| if is_steering(c) { ' ' } else { c }).collect()
}

/// Controls, and the marks that reverse the direction of what follows them.
fn is_steering(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A scalar for a person; empty when there is none.
pub fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| format!("{key}={}", scalar(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}

/// A field as [`scalar`].
pub fn text(value: &Value, field: &str) -> String {
    scalar(&value[field])
}

/// A field as a whole number, when it is one.
pub fn number(value: &Value, field: &str) -> Option<i64> {
    value[field].as_i64()
}

/// The first eight characters of an id: enough for people, and the daemon takes prefixes.
pub fn short_id(id: &str) -> String {
    id.chars().take(8).collect()
}

/// The items of an answer that is an array or an object holding one under `field`.
pub fn items(answer: &Value, field: &str) -> Vec<Value> {
    answer.as_array().or_else(|| answer[field].as_array()).cloned().unwrap_or_default()
}

/// Bytes in binary units.
pub fn bytes(count: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lang::Key;

    /// Terminal cells of a text made of ASCII and Chinese.
    fn cells(text: &str) -> usize {
        text.chars().map(|c| if c as u32 >= 0x2e80 { 2 } else { 1 }).sum()
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::new(Key::ColumnName, |v, _| text(v, "name")).at_most(12),
            Column::new(Key::ColumnBehind, |v, _| text(v, "behind")).right(),
            Column::new(Key::ColumnWhy, |v, _| text(v, "why")).wide(),
        ]
    }

    const VIEW: View = View { lang: Lang::Zh, now_ms: 0 };

    #[test]
    fn columns_align_under_chinese_text() {
        let rows = [
            json!({"name": "连云港", "behind": 12}),
            json!({"name": "HQ", "behind": 3}),
            json!({"name": "南京", "behind": 1204}),
        ];
        let text = render_table(&columns(), &rows, VIEW, false);
        let widths: Vec<usize> = text.lines().map(cells).collect();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(widths.iter().all(|w| *w == widths[0]), "{widths:?}\n{text}");
        assert!(text.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn long_cells_are_cut_unless_wide() {
        let rows = [json!({"name": "一二三四五六七八九十", "why": "x"})];
        let cut = render_table(&columns(), &rows, VIEW, false);
        assert!(cut.contains('…') && !cut.contains('十'), "{cut}");
        assert_eq!(cut.lines().count(), 2, "{cut}");
        let wide = render_table(&columns(), &rows, VIEW, true);
        assert!(wide.contains("一二三四五六七八九十"), "{wide}");
        assert!(wide.contains(ABSENT), "an absent number reads as a dash: {wide}");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let rows = [json!({"name": "a\u{1b}[2J\nb\u{202e}"})];
        let text = render_table(&columns(), &rows, VIEW, true);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(clean_block("a\r\nb\u{7}"), "a\nb ");
    }

    #[test]
    fn the_schema_stands_first() {
        assert_eq!(
            tagged("fenbu.x/1", &json!({"b": 1, "schema": "old"})).to_string(),
            r#"{"schema":"fenbu.x/1","b":1}"#
        );
        assert_eq!(
            tagged("fenbu.x/1", &json!([1])).to_string(),
            r#"{"schema":"fenbu.x/1","items":[1]}"#
        );
    }

    #[test]
    fn csv_is_quoted_and_starts_no_formula() {
        let fields = ["党建,\"x\"", "=1+1", "-3", "-x", "a\nb"].map(str::to_owned);
        assert_eq!(csv_line(&fields), "\"党建,\"\"x\"\"\",'=1+1,-3,'-x,\"a\nb\"\r\n");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }
}
