//! `fenbu post show` and its siblings: one record, its conflicts, and where it is safe.

use clap::{ArgMatches, Command};
use fenbu_protocol::record::Progress;
use serde_json::Value;

use super::super::{Session, instant, sync};
use super::fields::{Field, Flag as _, Kind, Merge};
use super::{id_arg, id_of, label, step, value};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Detail, Format};

pub(super) fn command(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(format!("查看{}", kind.zh), format!("Show a {}", kind.name));
    Command::new("show").about(about).arg(id_arg(lang))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    let route = Route::new(kind.plural).segment(id_of(matches));
    let answer = session.client().get(route).await?;
    let lang = session.output.lang();
    session.output.detail(&Detail {
        schema: "fenbu.record/1",
        name: "id",
        rows: rows(kind, &answer, lang),
        answer: answer.clone(),
    })?;
    if !matches!(session.output.format, Format::Table | Format::Wide) {
        return Ok(Exit::Ok);
    }
    for (name, text) in texts(kind, &answer) {
        let block =
            format!("\n{}\n{}\n", label(kind, name).render(lang), output::clean_block(&text));
        session.output.raw(block.as_bytes())?;
    }
    if !conflict_rows(kind, &answer, lang).is_empty() {
        session.output.say(Key::ConflictHint.with([
            ("kind", kind.name.to_owned()),
            ("id", output::short_id(&output::text(&answer, "id"))),
        ]));
    }
    Ok(Exit::Ok)
}

fn rows(kind: &Kind, record: &Value, lang: Lang) -> Vec<(Text, String)> {
    let mut rows: Vec<(Text, String)> = vec![
        (Key::LabelId.into(), output::text(record, "id")),
        (Key::LabelUnit.into(), output::text(record, "unit")),
    ];
    let Some(fields) = record["fields"].as_object() else { return rows };
    for field in kind.fields.iter().filter(|field| field.merge != Merge::Text) {
        let shown = fields.get(field.name).map(|v| value::show(field, v, lang)).unwrap_or_default();
        if !shown.is_empty() {
            rows.push((label(kind, field.name), shown));
        }
    }
    // Fields of a newer node are shown as they are.
    for (name, value) in fields.iter().filter(|(name, _)| kind.field(name).is_none()) {
        rows.push((label(kind, name), output::scalar(value)));
    }
    rows.push((Key::LabelCreated.into(), instant::show(&record["created_ms"])));
    rows.push((Key::LabelUpdated.into(), instant::show(&record["updated_ms"])));
    let safe = &record["safe_on"];
    if safe.is_object() {
        rows.push((Key::LabelSafe.into(), sync::safe_on(&safe["k"], &safe["n"], lang)));
    }
    rows.extend(conflict_rows(kind, record, lang));
    rows.extend(step_rows(kind, record, lang));
    rows
}

/// One line for every step that was taken.
fn step_rows(kind: &Kind, record: &Value, lang: Lang) -> Vec<(Text, String)> {
    let mut rows = Vec::new();
    for (name, course) in record["courses"].as_object().into_iter().flatten() {
        let Some(field) = kind.field(name) else { continue };
        for step in output::items(&course["steps"], "") {
            rows.push((label(kind, name), step_row(field, &step, lang)));
        }
        if let Some(progress) = Progress::read(&course["reviews"]) {
            rows.push((label(kind, name), progress.told(lang == Lang::Zh)));
        }
        if course["hidden"] == true {
            let hidden = lang.pick("保密审查未通过，已隐藏", "hidden by its secrecy review");
            rows.push((label(kind, name), hidden.to_owned()));
        }
        if course["revised"] == true {
            let revised = lang.pick("此后内容有修改，尚未审定", "revised since; not reviewed yet");
            rows.push((label(kind, name), revised.to_owned()));
        }
    }
    rows
}

fn step_row(field: &Field, step: &Value, lang: Lang) -> String {
    let mut out = vec![
        instant::show(&step["time_ms"]),
        output::text(step, "unit"),
        step::label(field, &output::text(step, "op"), lang),
    ];
    let to = step["state"].as_str().or(step["to"].as_str()).unwrap_or_default();
    out.push(format!("→ {}", field.label_of(to, lang)));
    out.extend([output::text(step, "on"), output::text(step, "note")]);
    if let Some(why) = step["ignored"].as_str() {
        out[3] = lang.pick(format!("（不作数：{why}）"), format!("(does not count: {why})"));
    }
    out.retain(|part| !part.is_empty());
    out.join("  ")
}

/// One line for every value that competes.
fn conflict_rows(kind: &Kind, record: &Value, lang: Lang) -> Vec<(Text, String)> {
    let mut rows = Vec::new();
    for (name, values) in record["conflicts"].as_object().into_iter().flatten() {
        for competing in output::items(values, "") {
            let shown = match kind.field(name) {
                Some(field) => value::show(field, &competing["value"], lang),
                None => output::scalar(&competing["value"]),
            };
            let who = Key::ConflictValue.with([
                ("value", shown),
                ("unit", output::text(&competing, "unit")),
                ("node", output::short_id(&output::text(&competing, "node"))),
                ("time", instant::show(&competing["time_ms"])),
            ]);
            let label = Key::LabelConflict.with([("field", label(kind, name).render(lang))]);
            rows.push((label, who.render(lang)));
        }
    }
    rows
}

/// The long texts, which stand below the table.
fn texts<'a>(kind: &'a Kind, record: &'a Value) -> impl Iterator<Item = (&'static str, String)> {
    let is_text = |field: &&Field| field.merge == Merge::Text;
    kind.fields
        .iter()
        .filter(is_text)
        .map(|field| (field.name, output::text(&record["fields"], field.name)))
        .filter(|(_, text)| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kind;
    use super::*;

    #[test]
    fn a_record_shows_labels_conflicts_and_safety() {
        let record = json!({
            "id": "abcdef0123", "unit": "hq",
            "fields": {"title": "雪夜", "column": "style", "novel": 7, "body": "正文"},
            "conflicts": {"title": [
                {"value": "雪夜", "node": "aa", "unit": "hq", "time_ms": 0},
                {"value": "雨夜", "node": "bb", "unit": "yc", "time_ms": 0},
            ]},
            "courses": {"status": {"steps": [], "reviews":
                {"rounds": ["own", "head"], "secrecy": false, "passed": 1}}},
            "created_ms": 1_520_229_600_000_i64, "updated_ms": null,
            "safe_on": {"k": 3, "n": 15},
        });
        let post = kind("post").unwrap();
        let shown: Vec<(String, String)> = rows(post, &record, Lang::Zh)
            .into_iter()
            .map(|(label, value)| (label.render(Lang::Zh), value))
            .collect();
        let values = |label: &str| {
            shown.iter().filter(|(l, _)| l == label).map(|(_, v)| v.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(values("栏目"), ["缉私风采"]);
        assert_eq!(values("状态"), ["初审：已通过；复审：待审（局机关）"]);
        assert_eq!(values("novel"), ["7"], "a newer node's field is not hidden");
        assert_eq!(values("创建"), ["2018-03-05 14:00"]);
        assert!(values("正文").is_empty(), "long texts stand below");
        let conflicts = values("冲突：标题");
        assert_eq!(conflicts.len(), 2);
        assert!(conflicts[1].contains("雨夜") && conflicts[1].contains("yc"));
        assert_eq!(texts(post, &record).collect::<Vec<_>>(), [("body", "正文".to_owned())]);
    }
}
