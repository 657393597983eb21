//! `fenbu post list` and its siblings.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::super::{Session, instant};
use super::fields::{Field, Flag as _, Kind};
use super::{field_help, value};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, List};

/// Records of one page, unless `--limit` says otherwise.
const LIMIT: &str = "50";

pub(super) fn command(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(format!("列出{}", kind.zh), format!("List {}", kind.plural));
    let filters = kind.filters.iter().filter_map(|name| kind.field(name));
    let arg = |id: &'static str, value: &'static str, zh: &'static str, en: &'static str| {
        Arg::new(id).long(id).value_name(value).help(lang.pick(zh, en))
    };
    Command::new("list")
        .about(about)
        .args(filters.map(|field| filter_arg(field, lang)))
        // A record that names a unit is looked for by that one.
        .args(
            kind.field("unit")
                .is_none()
                .then(|| arg("unit", "CODE", "单位代码", "Code of the unit")),
        )
        .arg(arg("q", "TEXT", "全文检索", "Full-text search").short('q'))
        .arg(
            arg("limit", "N", "每页条数[默认：50]", "Records of one page [default: 50]")
                .default_value(LIMIT)
                .hide_default_value(true)
                .value_parser(clap::value_parser!(u32).range(1..=1000)),
        )
        .arg(arg("after", "CURSOR", "从上一页给出的位置继续", "Continue where the last page ended"))
        .arg(
            arg("all", "", "列出所有页", "List every page")
                .action(ArgAction::SetTrue)
                .conflicts_with("after"),
        )
}

fn filter_arg(field: &Field, lang: Lang) -> Arg {
    Arg::new(field.name).long(field.flag()).value_name("VALUE").help(field_help(field, lang))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let mut items = Vec::new();
    let mut after = matches.get_one::<String>("after").cloned();
    loop {
        let route = route(kind, matches, after.as_deref());
        let page = session.client().get(route).await?;
        items.extend(output::items(&page, "items"));
        let next = Some(output::text(&page, "next")).filter(|next| !next.is_empty());
        let stuck = next.is_some() && next == after;
        after = next;
        if stuck {
            return Err(Error::failed(Key::AnswerUnreadable).hint(Key::HintVersions));
        }
        if !matches.get_flag("all") || after.is_none() {
            break;
        }
    }
    if items.is_empty() {
        session.output.say(Key::ListEmpty);
        if !session.output.is_json() {
            return Ok(Exit::Ok);
        }
    }
    session.output.list(&List {
        schema: "fenbu.records/1",
        item_schema: "fenbu.record/1",
        answer: json!({"kind": kind.name, "items": items, "next": after}),
        items,
        name: "id",
        columns: columns(kind),
    })?;
    if let Some(next) = after {
        session.output.say(Key::ListMore.with([("next", next)]));
    }
    Ok(Exit::Ok)
}

fn route(kind: &Kind, matches: &ArgMatches, after: Option<&str>) -> Route {
    let mut route = Route::new(kind.plural);
    for field in kind.filters.iter().filter_map(|name| kind.field(name)) {
        if let Some(text) = matches.get_one::<String>(field.name) {
            route = route.query(field.name, value::code_of(field, text));
        }
    }
    let names = if kind.field("unit").is_some() { &["q"][..] } else { &["unit", "q"] };
    for name in names {
        if let Some(text) = matches.get_one::<String>(name) {
            route = route.query(name, text);
        }
    }
    if let Some(limit) = matches.get_one::<u32>("limit") {
        route = route.query("limit", &limit.to_string());
    }
    match after {
        Some(after) => route.query("after", after),
        None => route,
    }
}

fn columns(kind: &Kind) -> Vec<Column> {
    let mut columns = vec![
        Column::new(Key::ColumnId, |v, _| output::short_id(&output::text(v, "id"))),
        Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
    ];
    columns.extend(kind.columns.iter().filter_map(|name| kind.field(name)).map(field_column));
    let wide = kind.columns_wide.iter().filter_map(|name| kind.field(name));
    columns.extend(wide.map(|field| field_column(field).wide()));
    columns.push(Column::new(Key::ColumnUpdated, |v, _| instant::show(&v["updated_ms"])));
    columns.push(Column::new(Key::ColumnConflicts, |v, _| conflicts(&v["conflicts"])).right());
    columns
}

fn field_column(field: &'static Field) -> Column {
    let header = Text::Heading(field.label_zh, field.label_en);
    Column::new(header, move |item, view| {
        value::show(field, value::cell(item, field.name), view.lang)
    })
    .at_most(40)
}

/// How many fields are in conflict, from a number, a list or an object; nothing when none.
fn conflicts(value: &Value) -> String {
    let count = match value {
        Value::Array(items) => items.len() as u64,
        Value::Object(fields) => fields.len() as u64,
        Value::Bool(any) => u64::from(*any),
        other => other.as_u64().unwrap_or(0),
    };
    if count == 0 { String::new() } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::kind;
    use super::*;

    #[test]
    fn filters_become_a_query() {
        let post = kind("post").unwrap();
        let args = ["list", "--column", "国门先锋", "--unit", "hq", "-q", "雪 夜", "--limit", "5"];
        let matches = command(post, Lang::Zh).try_get_matches_from(args).unwrap();
        assert_eq!(
            route(post, &matches, Some("c/1")).as_str(),
            "/api/v1/posts?column=pioneer&unit=hq&q=%E9%9B%AA%20%E5%A4%9C&limit=5&after=c%2F1"
        );
    }

    #[test]
    fn a_page_has_bounds() {
        let post = kind("post").unwrap();
        for limit in ["0", "1001", "x"] {
            let args = ["list", "--limit", limit];
            assert!(command(post, Lang::En).try_get_matches_from(args).is_err(), "{limit}");
        }
    }

    #[test]
    fn conflicts_are_counted_in_any_form() {
        assert_eq!(conflicts(&json!(2)), "2");
        assert_eq!(conflicts(&json!(["title"])), "1");
        assert_eq!(conflicts(&json!({"title": [], "column": []})), "2");
        assert_eq!(conflicts(&json!(0)), "");
        assert_eq!(conflicts(&json!(null)), "");
    }
}
