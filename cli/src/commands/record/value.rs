//! From flags to the JSON of a record's fields, and back to what a person reads.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::ArgMatches;
use serde_json::{Map, Value};

use super::fields::{Field, Flag as _, Kind, Merge, ValueType};
use crate::commands::{instant, usage};
use crate::error::{BadValue, Error, Result};
use crate::lang::{Key, Lang};
use crate::output;

/// Largest file a field or a record is read from: the body of one change, with room for escapes.
const INPUT_BYTES_MAX: u64 = 4 << 20;

/// The fields that the flags of `add` and `edit` name. `--from-json` is the base, the other flags
/// stand above it.
pub(super) fn fields_of(kind: &Kind, matches: &ArgMatches) -> Result<Map<String, Value>> {
    one_stdin(kind, matches)?;
    let mut fields = match matches.get_one::<String>("from_json") {
        Some(path) => from_json(Path::new(path))?,
        None => Map::new(),
    };
    for field in kind.fields {
        if let Some(value) = from_flags(field, matches)? {
            fields.insert(field.name.to_owned(), value);
        }
    }
    for pair in matches.get_many::<String>("set").into_iter().flatten() {
        let (name, text) = pair.split_once('=').ok_or_else(|| bad_set(pair))?;
        let value = match kind.field(name) {
            Some(field) => parse(field, &[text])?,
            None if name.is_empty() => return Err(bad_set(pair)),
            // A newer node may know the field; the daemon judges.
            None => Value::from(text),
        };
        fields.insert(name.to_owned(), value);
    }
    for name in matches.get_many::<String>("clear").into_iter().flatten() {
        fields.insert(name.clone(), Value::Null);
    }
    Ok(fields)
}

fn bad_set(pair: &str) -> Error {
    Error::usage(Key::BadSet.with([("value", pair.to_owned())]))
}

/// Stdin can be read once.
fn one_stdin(kind: &Kind, matches: &ArgMatches) -> Result<()> {
    let files = kind.fields.iter().filter(|f| f.merge == Merge::Text).map(file_id);
    let named = files.chain(["from_json".to_owned()]);
    let readers = named.filter(|id| matches.get_one::<String>(id).is_some_and(|path| path == "-"));
    if readers.count() > 1 { Err(Error::usage(Key::StdinTwice)) } else { Ok(()) }
}

/// The argument that names a text field's file.
pub(super) fn file_id(field: &Field) -> String {
    format!("{}_file", field.name)
}

fn from_flags(field: &Field, matches: &ArgMatches) -> Result<Option<Value>> {
    if field.merge == Merge::Text
        && let Some(path) = matches.get_one::<String>(&file_id(field))
    {
        return Ok(Some(Value::from(read(Path::new(path))?)));
    }
    let Some(texts) = matches.get_many::<String>(field.name) else { return Ok(None) };
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    parse(field, &texts).map(Some)
}

fn parse(field: &Field, texts: &[&str]) -> Result<Value> {
    let flag = field.flag();
    parse_field(field, texts)
        .map_err(|BadValue(why)| Error::usage(Key::BadField.with([("flag", flag)])).cause(why))
}

fn parse_field(field: &Field, texts: &[&str]) -> Result<Value, BadValue> {
    let parts = || texts.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|t| !t.is_empty());
    match field.merge {
        Merge::Register | Merge::Contested | Merge::Text | Merge::Tally | Merge::Log => {
            parse_one(field, texts.last().copied().unwrap_or_default())
        }
        Merge::Notes => {
            let notes: Result<Vec<Value>, _> = texts.iter().map(|t| parse_one(field, t)).collect();
            Ok(serde_json::json!({ "add": notes? }))
        }
        // An object has commas of its own.
        Merge::List if matches!(field.value, ValueType::Object(_)) => {
            texts.iter().map(|text| parse_one(field, text)).collect()
        }
        Merge::Set | Merge::List => parts().map(|part| parse_one(field, part)).collect(),
        Merge::Map => {
            let mut map = Map::new();
            let whole = matches!(field.value, ValueType::Object(_));
            let each: Vec<&str> = if whole { texts.to_vec() } else { parts().collect() };
            for part in each {
                let bad = || BadValue(Key::BadPair.with([("value", part.to_owned())]));
                let (key, value) = part.split_once('=').ok_or_else(bad)?;
                if key.trim().is_empty() {
                    return Err(bad());
                }
                map.insert(key.trim().to_owned(), parse_one(field, value.trim())?);
            }
            Ok(Value::Object(map))
        }
    }
}

fn parse_one(field: &Field, text: &str) -> Result<Value, BadValue> {
    match field.value {
        ValueType::Text => Ok(Value::from(text)),
        ValueType::Code(_) | ValueType::State(_) => Ok(Value::from(code_of(field, text))),
        ValueType::Id(_) => Ok(Value::from(text)),
        ValueType::Object(_) => Ok(serde_json::from_str::<Map<String, Value>>(text)
            .map_or_else(|_| Value::from(text), Value::Object)),
        ValueType::Date => Ok(Value::from(instant::parse_date(text)?.to_string())),
        ValueType::Instant => Ok(Value::from(instant::parse_instant(text)?.to_string())),
        ValueType::Int => text
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| BadValue(Key::BadInt.with([("value", text.to_owned())]))),
        ValueType::Bool => match text {
            "true" | "yes" | "是" => Ok(Value::Bool(true)),
            "false" | "no" | "否" => Ok(Value::Bool(false)),
            _ => Err(BadValue(Key::BadBool.with([("value", text.to_owned())]))),
        },
    }
}

/// The code for a code or a label of either language. An unknown one passes: a federation adds its
/// own, and the daemon judges.
pub(super) fn code_of<'a>(field: &Field, text: &'a str) -> &'a str
where
    'static: 'a,
{
    let named = |c: &&super::fields::Code| {
        c.code == text || c.zh == text || c.en.eq_ignore_ascii_case(text)
    };
    field.codes().iter().find(named).map_or(text, |c| c.code)
}

/// A record's fields as JSON: `{field: value}`, or that under `fields`.
fn from_json(path: &Path) -> Result<Map<String, Value>> {
    let text = read(path)?;
    let bad = |why: String| {
        Error::usage(Key::BadRecordJson.with([("path", path.display().to_string())])).cause(why)
    };
    let value: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    match value {
        Value::Object(mut object) => match object.remove("fields") {
            Some(Value::Object(fields)) => Ok(fields),
            Some(_) => Err(bad("\"fields\" is not an object".into())),
            None => {
                object.remove("schema");
                Ok(object)
            }
        },
        _ => Err(bad("not an object".into())),
    }
}

/// A bounded UTF-8 text from a file, or from stdin for `-`.
fn read(path: &Path) -> Result<String> {
    let source: Box<dyn Read> = if usage::is_stdin(path) {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|e| Error::file(path.display(), &e))?)
    };
    let mut text = String::new();
    source
        .take(INPUT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|e| Error::file(path.display(), &e))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Error::failed(Key::InputLarge.with([
            ("path", path.display().to_string()),
            ("max", output::bytes(INPUT_BYTES_MAX as i64)),
        ])));
    }
    // Editors on Windows mark UTF-8; the mark is no part of the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A field's value for a person: labels for codes, Shanghai time for instants.
pub(super) fn show(field: &Field, value: &Value, lang: Lang) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => items
            .iter()
            .map(|item| show(field, item, lang))
            .collect::<Vec<_>>()
            .join(lang.pick("、", ", ")),
        Value::Object(numbers) if field.merge == Merge::Tally => {
            let sum = numbers.values().filter_map(Value::as_i64).fold(0, i64::saturating_add);
            sum.to_string()
        }
        Value::Object(parts) if is_object(field, parts) => show_object(field, parts, lang),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", show(field, value, lang)))
            .collect::<Vec<_>>()
            .join(lang.pick("、", ", ")),
        value => match (field.value, value.as_str()) {
            (ValueType::Code(_) | ValueType::State(_), Some(code)) => {
                field.label_of(code, lang).to_owned()
            }
            (ValueType::Instant, _) => instant::show(value),
            _ => output::scalar(value),
        },
    }
}

/// Whether an object is one value, not a map of several.
fn is_object(field: &Field, parts: &Map<String, Value>) -> bool {
    let ValueType::Object(known) = field.value else { return false };
    parts.keys().all(|name| known.iter().any(|part| part.name == name))
}

/// Its parts in their order; the first stands for itself.
fn show_object(field: &Field, parts: &Map<String, Value>, lang: Lang) -> String {
    let ValueType::Object(known) = field.value else { return String::new() };
    let mut out = String::new();
    for (at, part) in known.iter().enumerate() {
        let Some(value) = parts.get(part.name) else { continue };
        let shown = show(part, value, lang);
        match at {
            0 => out.push_str(&shown),
            _ => {
                let label = lang.pick(part.label_zh, part.label_en);
                let gap = if out.is_empty() { "" } else { " " };
                out.push_str(
                    &lang.pick(format!("{gap}{label}：{shown}"), format!("{gap}{label}: {shown}")),
                );
            }
        }
    }
    out
}

/// A field of a listed item: beside the id, or inside `fields` or `cells`.
pub(super) fn cell<'a>(item: &'a Value, name: &str) -> &'a Value {
    let places = [&item[name], &item["fields"][name], &item["cells"][name]];
    places.into_iter().find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{add, kind};
    use super::*;

    fn parsed(noun: &str, args: &[&str]) -> Result<Value> {
        let kind = kind(noun).unwrap();
        let command = add::command(kind, Lang::En).no_binary_name(true);
        let matches = command.try_get_matches_from(args).unwrap();
        fields_of(kind, &matches).map(Value::Object)
    }

    #[test]
    fn flags_become_fields() {
        let args = [
            "--title",
            "雪夜",
            "--column",
            "缉私风采",
            "--tags",
            "a,b",
            "--tags",
            "c",
            "--written",
            "2018年3月5日",
            "--source-url",
            "https://example.cn/",
            "--kind",
            "case",
        ];
        let want = json!({
            "title": "雪夜", "column": "style", "kind": "case", "tags": ["a", "b", "c"],
            "source_url": "https://example.cn/", "written": "2018-03-05",
        });
        assert_eq!(parsed("post", &args).unwrap(), want);
    }

    #[test]
    fn meetings_have_instants_lists_and_maps() {
        let args = [
            "--kind",
            "党课",
            "--branch",
            "b1",
            "--start",
            "2018-03-05 14:00",
            "--agenda",
            "学习文件，讨论",
            "--agenda",
            "表决",
            "--attendance",
            "m1=present,m2=请假",
            "--attendance",
            "m3=late",
        ];
        let want = json!({
            "kind": "lecture", "branch": "b1", "start": "2018-03-05T06:00:00Z",
            "agenda": ["学习文件，讨论", "表决"],
            "attendance": {"m1": "present", "m2": "leave", "m3": "late"},
        });
        assert_eq!(parsed("meeting", &args).unwrap(), want);
    }

    #[test]
    fn a_bad_value_is_a_usage_error_that_names_the_flag() {
        for args in [["--written", "yesterday"], ["--set", "nonsense"], ["--set", "=x"]] {
            let error = parsed("post", &args).unwrap_err();
            assert_eq!(error.kind.exit().code(), 2, "{args:?}");
        }
        let error = parsed("meeting", &["--attendance", "m1"]).unwrap_err();
        assert!(error.message.render(Lang::En).contains("--attendance"));
    }

    #[test]
    fn generic_set_and_clear() {
        let args = ["--set", "column=news", "--set", "novel=1=2", "--clear", "written"];
        let want = json!({"column": "news", "novel": "1=2", "written": null});
        assert_eq!(parsed("post", &args).unwrap(), want);
    }

    #[test]
    fn files_and_json() {
        let temp = tempfile::tempdir().unwrap();
        let body = temp.path().join("body.md");
        std::fs::write(&body, "\u{feff}第一段\n").unwrap();
        let record = temp.path().join("r.json");
        std::fs::write(&record, r#"{"fields": {"title": "old", "tags": ["x"]}}"#).unwrap();
        let args = [
            "--from-json",
            record.to_str().unwrap(),
            "--title",
            "new",
            "--body-file",
            body.to_str().unwrap(),
        ];
        let want = json!({"title": "new", "tags": ["x"], "body": "第一段\n"});
        assert_eq!(parsed("post", &args).unwrap(), want);
        std::fs::write(&record, "[1]").unwrap();
        assert_eq!(parsed("post", &args[..2]).unwrap_err().kind.exit().code(), 2);
        let twice = ["--from-json", "-", "--body-file", "-"];
        assert_eq!(parsed("post", &twice).unwrap_err().message, Key::StdinTwice.into());
    }

    #[test]
    fn values_read_well() {
        let post = kind("post").unwrap();
        let column = post.field("column").unwrap();
        assert_eq!(show(column, &json!("style"), Lang::Zh), "缉私风采");
        assert_eq!(show(column, &json!("novel"), Lang::Zh), "novel", "an unknown code is shown");
        let meeting = kind("meeting").unwrap();
        let start = meeting.field("start").unwrap();
        assert_eq!(show(start, &json!("2018-03-05T06:00:00Z"), Lang::En), "2018-03-05 14:00");
        let attendance = meeting.field("attendance").unwrap();
        assert_eq!(show(attendance, &json!({"m1": "leave"}), Lang::Zh), "m1=请假");
    }

    #[test]
    fn a_cell_is_found_wherever_it_stands() {
        assert_eq!(cell(&json!({"title": "a"}), "title"), "a");
        assert_eq!(cell(&json!({"fields": {"title": "a"}}), "title"), "a");
        assert_eq!(cell(&json!({"cells": {"title": "a"}}), "title"), "a");
        assert!(cell(&json!({}), "title").is_null());
    }
}
