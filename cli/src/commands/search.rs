//! `fenbu search`: full text over every kind of record.

use clap::Args;
use serde_json::Value;

use super::{Session, instant};
use crate::client::Route;
use crate::error::{BadValue, Error, Exit, Result};
use crate::lang::{Key, Lang};
use crate::output::{self, Column, List};

/// Find records by words in them: titles, texts, minutes, names
///
/// All words must be there. What was withdrawn, and what is personal, is not found.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What to look for
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// Only records of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only records of this unit
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    /// Only posts of this column
    #[arg(long, value_name = "CODE")]
    column: Option<String>,
    /// Not before this day
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Not after this day
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on where the last page ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "按词查找记录：标题、正文、会议记录、姓名"),
    ("words", "要找的词，须同时出现"),
    ("kind", "只找这一类记录"),
    ("unit", "只找这个单位的记录"),
    ("column", "只找这个栏目的稿件"),
    ("from", "不早于这一天"),
    ("to", "不晚于这一天"),
    ("limit", "最多条数"),
    ("after", "从上一页给出的位置继续"),
];

pub(super) async fn run(args: SearchArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("search")
        .query("q", &args.words.join(" "))
        .query("limit", &args.limit.to_string());
    let day = |flag: &str, text: &str| match instant::parse_date(text) {
        Ok(day) => Ok(day.to_string()),
        Err(BadValue(why)) => {
            Err(Error::usage(Key::BadField.with([("flag", flag.to_owned())])).cause(why))
        }
    };
    let plain =
        [("kind", args.kind), ("unit", args.unit), ("column", args.column), ("after", args.after)];
    for (name, value) in plain {
        if let Some(value) = value {
            route = route.query(name, &value);
        }
    }
    for (name, value) in [("from", args.from), ("to", args.to)] {
        if let Some(value) = value {
            route = route.query(name, &day(name, &value)?);
        }
    }
    let answer = session.client().get(route).await?;
    let items = output::items(&answer, "items");
    let next = output::text(&answer, "next");
    if items.is_empty() {
        session.output.say(Key::ListEmpty);
        if !session.output.is_json() {
            return Ok(Exit::Ok);
        }
    }
    session.output.list(&List {
        schema: "fenbu.found/1",
        item_schema: "fenbu.found-record/1",
        answer,
        items,
        name: "id",
        columns: columns(),
    })?;
    if !next.is_empty() {
        session.output.say(Key::ListMore.with([("next", next)]));
    }
    Ok(Exit::Ok)
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnId, |v, _| output::short_id(&output::text(v, "id"))),
        Column::new(Key::ColumnKind, |v, view| kind(v, view.lang)),
        Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
        Column::new(Key::ColumnTime, |v, _| day(v)),
        Column::new(Key::ColumnTitle, |v, _| output::text(v, "title")).at_most(40),
        Column::new(Key::ColumnFound, |v, _| marked(v)).at_most(60),
    ]
}

fn kind(found: &Value, lang: Lang) -> String {
    let name = output::text(found, "kind");
    let schema = fenbu_protocol::record::schema_named(&name);
    schema.map_or(name, |schema| lang.pick(schema.label_zh, schema.name).to_owned())
}

/// The day a record is about, or that of its last change.
fn day(found: &Value) -> String {
    let day = output::text(found, "day");
    if day.is_empty() { instant::show(&found["updated_ms"]) } else { day }
}

/// The snippet with what was found between brackets.
fn marked(found: &Value) -> String {
    let snippet = output::text(found, "snippet");
    let marks: Vec<(usize, usize)> =
        serde_json::from_value(found["marks"].clone()).unwrap_or_default();
    let mut out = String::with_capacity(snippet.len() + 4 * marks.len());
    for (at, c) in snippet.chars().enumerate() {
        if marks.iter().any(|(start, _)| *start == at) {
            out.push('[');
        }
        out.push(if c.is_whitespace() { ' ' } else { c });
        if marks.iter().any(|(start, count)| start + count == at + 1) {
            out.push(']');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_found_stands_between_brackets() {
        let found = json!({"snippet": "冒着大雪进山", "marks": [[2, 2]], "kind": "post", "day": "2018-03-05"});
        assert_eq!(marked(&found), "冒着[大雪]进山");
        assert_eq!((kind(&found, Lang::Zh).as_str(), day(&found).as_str()), ("稿件", "2018-03-05"));
    }
}
