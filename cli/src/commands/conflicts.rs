//! `fenbu conflicts`: what merging cannot settle, and settling it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, instant, record};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, Detail, List};

/// Longest value that a line shows, in characters; `show` tells more than `list`.
const VALUE_CHARS_MAX: usize = 80;

/// What merging cannot settle, and settling it
///
/// Every node finds the same conflicts under the same ids, from the records it reads. Until somebody
/// settles one, nothing is lost: each value stays, with its author, and one of them stands meanwhile.
/// Work of a revoked node is in `fenbu quarantine`.
#[derive(Debug, Args)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    List(ListArgs),
    Show(ShowArgs),
    Settle(SettleArgs),
}

/// List what is open
#[derive(Debug, Args)]
struct ListArgs {
    /// Only this case, such as same_person
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// Only conflicts of this kind of record, such as member
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what this unit may settle
    #[arg(long, value_name = "UNIT")]
    settler: Option<String>,
}

/// Show both sides of a conflict, and the ways to settle it
#[derive(Debug, Args)]
struct ShowArgs {
    /// The conflict's id; a unique beginning will do
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

/// Settle a conflict in one of its ways
#[derive(Debug, Args)]
struct SettleArgs {
    /// The conflict's id; a unique beginning will do
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// The way, as `show` names it: a number or a word
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    way: String,
    /// Why, or under which number
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "合并不能裁定的冲突，及其裁定"),
    ("list", "列出未决的冲突"),
    ("list.case", "只列这种情形，如 same_person"),
    ("list.kind", "只列这种记录的冲突，如 member"),
    ("list.settler", "只列这个单位可以裁定的"),
    ("show", "查看冲突的各方和裁定办法"),
    ("show.id", "冲突标识，唯一的前缀即可"),
    ("settle", "按一种办法裁定冲突"),
    ("settle.id", "冲突标识，唯一的前缀即可"),
    ("settle.way", "办法，即 show 列出的编号或词"),
    ("settle.note", "理由或文号"),
];

pub(super) async fn run(args: ConflictsArgs, session: &mut Session) -> Result<Exit> {
    match args.act {
        Act::List(args) => list(&args, session).await,
        Act::Show(args) => show(&args, session).await,
        Act::Settle(args) => settle(args, session).await,
    }
}

async fn list(args: &ListArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("conflicts");
    for (name, value) in [("case", &args.case), ("kind", &args.kind), ("settler", &args.settler)] {
        if let Some(value) = value {
            route = route.query(name, value);
        }
    }
    let answer = session.client().get(route).await?;
    let items = output::items(&answer, "items");
    let none = items.is_empty();
    session.output.list(&List {
        schema: "fenbu.conflicts/1",
        item_schema: "fenbu.conflict/1",
        answer,
        items,
        name: "id",
        columns: columns(),
    })?;
    if none {
        session.output.say(Text::Both("没有需要裁定的冲突", "There is nothing to settle"));
    }
    Ok(Exit::Ok)
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Key::ColumnId, |v, _| output::short_id(&output::text(v, "id"))),
        Column::new(Text::Heading("情形", "Case"), |v, view| {
            output::text(v, view.lang.pick("label_zh", "label"))
        }),
        Column::new(Key::ColumnKind, |v, _| output::text(&v["records"][0], "kind")),
        Column::new(Text::Heading("字段", "Field"), |v, view| field(v, view.lang)),
        Column::new(Text::Heading("所涉", "About"), |v, view| {
            let about = output::items(v, "records");
            let told = about.iter().map(|of| summary(of, view.lang));
            told.collect::<Vec<_>>().join(" | ")
        })
        .at_most(60),
        Column::new(Text::Heading("裁定者", "Settled by"), |v, view| settlers(v, view.lang)),
        Column::new(Text::Heading("裁定之前", "Meanwhile"), |v, view| {
            output::text(v, view.lang.pick("meanwhile_zh", "meanwhile"))
        })
        .wide(),
    ]
}

/// The field in conflict, by its label.
fn field(conflict: &Value, lang: Lang) -> String {
    let name = output::text(conflict, "field");
    record::field_label(&output::text(&conflict["records"][0], "kind"), &name, lang)
}

fn summary(of: &Value, lang: Lang) -> String {
    record::shown(&output::text(of, "kind"), None, &of["shows"], lang)
}

/// The units that may, or whoever may in words.
fn settlers(conflict: &Value, lang: Lang) -> String {
    let by = &conflict["settled_by"];
    let units = output::text(by, "units");
    if units.is_empty() { output::text(by, lang.pick("label_zh", "label")) } else { units }
}

async fn show(args: &ShowArgs, session: &mut Session) -> Result<Exit> {
    let route = Route::new("conflicts").segment(&args.id);
    let answer = session.client().get(route).await?;
    let lang = session.output.lang();
    session.output.detail(&Detail {
        schema: "fenbu.conflict/1",
        name: "id",
        rows: rows(&answer, lang),
        answer: answer.clone(),
    })?;
    let id = output::short_id(&output::text(&answer, "id"));
    session.output.say(Text::from(lang.pick(
        format!("裁定：fenbu conflicts settle {id} 办法 [--note 理由]"),
        format!("Settle it: fenbu conflicts settle {id} WAY [--note WHY]"),
    )));
    Ok(Exit::Ok)
}

fn rows(conflict: &Value, lang: Lang) -> Vec<(Text, String)> {
    let text = |field| output::text(conflict, field);
    let mut rows: Vec<(Text, String)> = vec![
        (Key::LabelId.into(), text("id")),
        (Text::Both("情形", "Case"), text(lang.pick("label_zh", "label"))),
        (Text::Both("裁定之前", "Meanwhile"), text(lang.pick("meanwhile_zh", "meanwhile"))),
        (Text::Both("裁定者", "Settled by"), settlers(conflict, lang)),
    ];
    let about = output::items(conflict, "records");
    for of in &about {
        let id = output::short_id(&output::text(of, "id"));
        let line = format!("{} {id}  {}", output::text(of, "kind"), summary(of, lang));
        rows.push((Text::Both("记录", "Record"), line));
    }
    if !text("field").is_empty() {
        rows.push((Text::Both("字段", "Field"), field(conflict, lang)));
    }
    for (n, side) in (1..).zip(output::items(conflict, "sides")) {
        rows.push((
            Text::Both("各方", "Side"),
            format!("{n}. {}", self::side(conflict, &side, lang)),
        ));
    }
    for way in output::items(conflict, "ways") {
        let label = output::text(&way, lang.pick("label_zh", "label"));
        let line = format!("{}  {}", output::text(&way, "way"), brief(&label));
        rows.push((Text::Both("办法", "Way"), line));
    }
    rows
}

/// What one side says, and who said it when.
fn side(conflict: &Value, side: &Value, lang: Lang) -> String {
    let about = output::items(conflict, "records");
    let of = about.iter().find(|of| of["id"] == side["record"]).cloned().unwrap_or_default();
    let field = conflict["field"].as_str();
    let value = record::shown(&output::text(&of, "kind"), field, &side["value"], lang);
    let who: Vec<String> = ["unit", "node_name", "account"]
        .iter()
        .map(|part| output::text(side, part))
        .chain([instant::show(&side["time_ms"])])
        .filter(|part| !part.is_empty())
        .collect();
    let value = if value.is_empty() { output::ABSENT.to_owned() } else { brief(&value) };
    format!("{value}  ({})", who.join(", "))
}

fn brief(text: &str) -> String {
    let mut out: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

async fn settle(args: SettleArgs, session: &mut Session) -> Result<Exit> {
    let route = Route::new("conflicts").segment(&args.id).segment("settle");
    let body = json!({ "way": args.way, "note": args.note });
    let answer = session.client().post(route, &body).await?;
    if session.output.is_json() {
        session.output.json("fenbu.settled/1", &answer)?;
        return Ok(Exit::Ok);
    }
    session.output.line(&output::text(&answer, "id"))?;
    session.output.say(Text::Both("已裁定", "Settled"));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_shown_with_who_said_what_when() {
        let conflict = json!({
            "id": "abcdef0123", "case": "several_values", "label": "Several values",
            "label_zh": "同一字段有多个值", "meanwhile_zh": "各值并列显示，由人选定", "field": "column",
            "records": [{"kind": "post", "id": "01", "shows": {"column": "news", "title": "雪夜"}}],
            "settled_by": {"label_zh": "可写者", "units": []},
            "sides": [
                {"value": "news", "record": "01", "unit": "head", "account": "uid-1",
                    "time_ms": 1_520_229_600_000_i64},
                {"value": "style", "record": "01", "unit": "nt"},
            ],
            "ways": [{"way": "1", "label_zh": "党建动态"}, {"way": "2", "label_zh": "缉私风采"}],
        });
        let shown: Vec<String> = rows(&conflict, Lang::Zh)
            .into_iter()
            .map(|(label, value)| format!("{} {value}", label.render(Lang::Zh)))
            .collect();
        for wanted in [
            "裁定者 可写者",
            "记录 post 01  党建动态 雪夜",
            "字段 栏目",
            "各方 1. 党建动态  (head, uid-1, 2018-03-05 14:00)",
            "各方 2. 缉私风采  (nt)",
            "办法 2  缉私风采",
        ] {
            assert!(shown.iter().any(|line| line == wanted), "{wanted}: {shown:#?}");
        }
        assert_eq!(brief(&"长".repeat(81)).chars().count(), 81);
    }
}
