//! A report's lines as cells for people, and as CSV.

use serde_json::{Map, Value, json};

use super::as_of;
use crate::error::Result;
use crate::lang::{Lang, Text};
use crate::output::{self, Column, Output, csv_line};

const STATES: [(&str, &str, &str); 5] = [
    ("complete", "完成", "complete"),
    ("due", "待办", "due"),
    ("overdue", "逾期", "overdue"),
    ("not_applicable", "不适用", "n/a"),
    ("not_synced", "未同步", "not synced"),
];

fn state(cell: &Value, lang: Lang) -> Option<&'static str> {
    let code = cell["state"].as_str()?;
    STATES.iter().find(|(own, ..)| *own == code).map(|(_, zh, en)| lang.pick(*zh, *en))
}

/// The lines, each with the freshness of its unit under `as_of`, and the sums as the last of them.
pub(super) fn lines(answer: &Value, lang: Lang) -> Vec<Value> {
    let units = output::items(&answer["units"], "");
    let fresh = |code: &Value| {
        let unit = units.iter().find(|unit| unit["unit"] == *code);
        unit.map_or_else(String::new, |unit| as_of(unit, lang))
    };
    let mut lines = output::items(answer, "lines");
    for line in &mut lines {
        line["as_of"] = fresh(&line["unit"]).into();
    }
    if answer["total"].is_object() {
        let label = lang.pick("合计", "Total");
        lines
            .push(json!({ "key": "total", "label": label, "cells": answer["total"], "as_of": "" }));
    }
    lines
}

pub(super) fn columns(answer: &Value) -> Vec<Column> {
    let mut out = vec![
        Column::new(Text::Heading("行", "line"), |v, _| output::text(v, "key")).at_most(16),
        Column::new(Text::Heading("名称", "name"), |v, _| output::text(v, "label")).at_most(18),
    ];
    for column in output::items(answer, "columns") {
        let (zh, en) = (output::text(&column, "zh"), output::text(&column, "en"));
        let (key, shown) = (output::text(&column, "key"), output::text(&column, "shown"));
        let heading = Text::Told(zh.into(), en.to_uppercase().into());
        let cell = move |line: &Value, view: output::View| {
            show(&line["cells"][key.as_str()], &shown, view.lang)
        };
        out.push(Column::new(heading, cell).right());
    }
    out.push(Column::new(Text::Heading("数据截至", "data as of"), |v, _| {
        output::text(v, "as_of")
    }));
    out
}

/// `2/3 overdue`, `97.3%`, `12`; empty where nothing applies.
pub(super) fn show(cell: &Value, shown: &str, lang: Lang) -> String {
    let (done, required) = (cell["done"].as_i64().unwrap_or(0), cell["required"].as_i64());
    if cell["state"] == "not_applicable" {
        return String::new();
    }
    let figure = match shown {
        "ratio" => required.map_or_else(String::new, |required| format!("{done}/{required}")),
        "percent" => cell["permille"]
            .as_i64()
            .map_or_else(String::new, |n| format!("{}.{}%", n / 10, n % 10)),
        "fen" => yuan(done),
        _ => match cell["text"].as_str() {
            Some(text) => text.to_owned(),
            None => done.to_string(),
        },
    };
    match state(cell, lang).filter(|_| cell["state"] != "complete") {
        Some(state) if figure.is_empty() => state.to_owned(),
        Some(state) => format!("{figure} {state}"),
        None => figure,
    }
}

fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

/// Done of required: two values in CSV, where a spreadsheet would take `2/3` for a date.
fn is_weighed(column: &Value) -> bool {
    matches!(column["shown"].as_str(), Some("ratio" | "percent"))
}

fn csv_header(columns: &[Value], lang: Lang) -> Vec<String> {
    let fixed = [("行", "line"), ("单位", "unit"), ("名称", "name")];
    let mut header: Vec<String> = fixed.map(|(zh, en)| lang.pick(zh, en).to_owned()).into();
    for column in columns {
        let label = output::text(column, lang.pick("zh", "en"));
        if is_weighed(column) {
            header.push(format!("{label} {}", lang.pick("完成", "done")));
            header.push(format!("{label} {}", lang.pick("应有", "required")));
        } else {
            header.push(label.clone());
        }
        header.push(format!("{label} {}", lang.pick("状态", "state")));
    }
    header.push(lang.pick("数据截至", "data as of").to_owned());
    header
}

fn csv_row(line: &Value, columns: &[Value], lang: Lang) -> Vec<String> {
    let mut row: Vec<String> =
        ["key", "unit", "label"].map(|field| output::text(line, field)).into();
    for column in columns {
        let cell = &line["cells"][output::text(column, "key").as_str()];
        if is_weighed(column) {
            row.extend(["done", "required"].map(|field| output::text(cell, field)));
        } else {
            let mut plain = cell.as_object().cloned().unwrap_or_else(Map::new);
            plain.remove("state");
            row.push(show(&Value::Object(plain), &output::text(column, "shown"), lang));
        }
        row.push(state(cell, lang).unwrap_or_default().to_owned());
    }
    row.push(output::text(line, "as_of"));
    row
}

pub(super) fn write_csv(answer: &Value, lines: &[Value], output: &mut Output) -> Result<()> {
    let lang = output.lang();
    let columns = output::items(answer, "columns");
    output.raw(csv_line(&csv_header(&columns, lang)).as_bytes())?;
    let mut rows = lines.iter().map(|line| csv_row(line, &columns, lang));
    rows.try_for_each(|row| output.raw(csv_line(&row).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well() {
        let cell = |state: Option<&str>, done: i64, required: Option<i64>| json!({ "state": state, "done": done, "required": required, "permille": 973 });
        let en = |cell: &Value, shown| show(cell, shown, Lang::En);
        assert_eq!(en(&cell(Some("complete"), 3, Some(3)), "ratio"), "3/3");
        assert_eq!(en(&cell(Some("overdue"), 2, Some(3)), "ratio"), "2/3 overdue");
        assert_eq!(show(&cell(Some("not_synced"), 2, Some(3)), "ratio", Lang::Zh), "2/3 未同步");
        assert_eq!(en(&cell(Some("not_applicable"), 0, Some(0)), "ratio"), "");
        assert_eq!(en(&cell(None, 36, Some(37)), "percent"), "97.3%");
        assert_eq!(en(&json!({ "done": 0, "permille": null }), "percent"), "");
        assert_eq!(en(&cell(None, -1234, None), "fen"), "-12.34");
        assert_eq!(en(&json!({ "text": "2018-03-01" }), "text"), "2018-03-01");
    }
}
