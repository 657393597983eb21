//! Figures that are kept as they stood, and what arrived later.

use serde_json::{Value, json};

use super::super::{Session, instant};
use super::{Asked, as_of, figures, say_remarks};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, Detail, Format, List};

pub(super) async fn seal(report: &str, asked: Asked, session: &mut Session) -> Result<Exit> {
    let body = json!({ "period": asked.period, "unit": asked.unit });
    let route = Route::new("reports").segment(report).segment("seal");
    let answer = session.client().post(route, &body).await?;
    let text = |field| output::text(&answer, field);
    session.output.detail(&Detail {
        schema: "fenbu.sealed/1",
        name: "id",
        rows: vec![
            (Text::Both("标识", "Id"), text("id")),
            (Text::Both("报表", "Report"), text("report")),
            (Text::Both("期间", "Period"), text("period")),
            (Text::Both("封存时间", "Sealed"), instant::show(&answer["sealed_ms"])),
        ],
        answer: answer.clone(),
    })?;
    Ok(Exit::Ok)
}

pub(super) async fn compare(id: &str, session: &mut Session) -> Result<Exit> {
    let route = Route::new("sealed-reports").segment(id).segment("compare");
    let answer = session.client().get(route).await?;
    let items = output::items(&answer, "differences");
    if matches!(session.output.format, Format::Table | Format::Wide) {
        let text = |field| output::text(&answer, field);
        let (report, period, sealed) =
            (text("report"), text("period"), instant::show(&answer["sealed_ms"]));
        let zh = format!("{report} {period}，封存于 {sealed}：{} 处变化", items.len());
        let en = format!("{report} {period}, sealed {sealed}: {} cells differ", items.len());
        session.output.say(Text::Told(zh.into(), en.into()));
        say_marks(&answer, session);
    }
    session.output.list(&List {
        schema: "fenbu.compared/1",
        item_schema: "fenbu.difference/1",
        answer: answer.clone(),
        items,
        name: "line",
        columns: columns(),
    })?;
    say_remarks(&answer, session);
    Ok(Exit::Ok)
}

/// Which units' data was not all here when the report was sealed, and is fresher now.
fn say_marks(answer: &Value, session: &mut Session) {
    let lang = session.output.lang();
    for unit in output::items(&answer["units"], "") {
        let then = answer["marks"][output::text(&unit, "unit")].as_i64();
        let now = unit["as_of_ms"].as_i64();
        if now <= then || then >= answer["end_ms"].as_i64() {
            continue;
        }
        let then = then.map_or_else(|| lang.pick("未知", "unknown").to_owned(), instant::show_ms);
        let (name, now) = (output::text(&unit, "unit"), as_of(&unit, lang));
        let zh = format!("{name} 的数据：封存时截至 {then}，现在截至 {now}");
        let en = format!("data of {name}: as of {then} when sealed, as of {now} now");
        session.output.say(Text::Told(zh.into(), en.into()));
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new(Text::Heading("行", "line"), |v, _| output::text(v, "line")),
        Column::new(Text::Heading("名称", "name"), |v, _| output::text(v, "label")).at_most(18),
        Column::new(Text::Heading("列", "column"), |v, view| {
            output::text(v, view.lang.pick("zh", "en"))
        }),
        Column::new(Text::Heading("封存时", "then"), |v, view| figure(&v["then"], view.lang))
            .right(),
        Column::new(Text::Heading("现在", "now"), |v, view| figure(&v["now"], view.lang)).right(),
    ]
}

/// Done, required, state, text.
fn figure(value: &Value, lang: Lang) -> String {
    let Some([done, required, state, text]) = value.as_array().map(Vec::as_slice) else {
        return String::new();
    };
    let shown = if required.is_null() { "count" } else { "ratio" };
    let mut cell = json!({ "done": done, "required": required, "state": state });
    if text.is_string() {
        cell["text"] = text.clone();
    }
    figures::show(&cell, shown, lang)
}

/// Says how far this node's data goes.
pub(super) async fn mark(session: &mut Session) -> Result<Exit> {
    let answer = session.client().post(Route::new("freshness"), &json!({})).await?;
    let spaces = output::text(&answer, "spaces");
    if session.output.is_json() {
        session.output.json("fenbu.marked/1", &answer)?;
    } else {
        session.output.say(Key::Marked.with([("spaces", spaces)]));
    }
    Ok(Exit::Ok)
}
