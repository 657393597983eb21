//! `fenbu space`: who reads, writes and carries what, and how much.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Session, usage};
use crate::client::Route;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, Detail, List};

/// List, define and change spaces: who reads, writes and carries which records
///
/// Changes are made at the admin node. Who loses the right to write keeps what this node has of it by
/// then; what turns up later is in `fenbu quarantine`. Who loses the right to read keeps what it has,
/// and what is written from then on is sealed with a new key.
#[derive(Debug, Args)]
pub(crate) struct SpaceArgs {
    #[command(subcommand)]
    act: SpaceAct,
}

#[derive(Debug, Subcommand)]
enum SpaceAct {
    /// List the spaces
    List,
    /// Show a space: rights, limits, key holders, and what each author has in it
    Show {
        /// The space's label
        label: String,
    },
    /// Make a new space
    ///
    /// `unit`: the unit and head office read and write. `temporary`: the same, for a task force whose
    /// host is the unit. `federation`: every node reads and writes. Every node carries.
    Define(DefineArgs),
    /// Change who reads, writes and carries a space
    Set(SetArgs),
    /// Set how much one author may have in a space
    ///
    /// More counts at once, also for what waited. Less binds what is written from then on.
    Limits(LimitsArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    Federation,
    Unit,
    Temporary,
}

#[derive(Debug, Args)]
struct DefineArgs {
    /// A label no other space has
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    label: String,
    /// What it is made from: federation, unit or temporary [default: temporary]
    #[arg(long, value_enum, default_value = "temporary")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    template: Template,
    /// Code of the unit it belongs to; of a task force, the host
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
    #[command(flatten)]
    rights: Rights,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The space's label
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    label: String,
    #[command(flatten)]
    rights: Rights,
    #[command(flatten)]
    extent: Extent,
}

/// What is not given stays.
#[derive(Debug, Args)]
struct Rights {
    /// Units that read: codes with commas between, or all
    #[arg(long, value_name = "UNITS")]
    readers: Option<String>,
    /// Units that write: codes with commas between, all, or none
    #[arg(long, value_name = "UNITS")]
    writers: Option<String>,
    /// Units that carry it without reading it: codes with commas between, all, or none
    #[arg(long, value_name = "UNITS")]
    carriers: Option<String>,
}

/// How far to go.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Extent {
    /// Only say what would become of it
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it although it takes something from somebody
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
struct LimitsArgs {
    /// The space's label
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    label: String,
    /// Entries of one author: each save is one
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Size of one author's entries: bytes, or with K, M, G
    #[arg(long, value_name = "SIZE", value_parser = usage::size)]
    bytes: Option<u64>,
    /// Records that one author has written to
    #[arg(long, value_name = "N")]
    documents: Option<u64>,
    /// Go back to the defaults, but for what is given
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    extent: Extent,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "列出、新建、修改数据范围：谁可读、可写、承载哪些记录"),
    ("list", "列出数据范围"),
    ("show", "显示一个数据范围：权限、限额、密钥持有者，以及各作者的用量"),
    ("show.label", "数据范围的标签"),
    ("define", "新建数据范围"),
    ("define.label", "标签，不能与已有的相同"),
    ("define.template", "模板：federation 全联邦、unit 单位、temporary 临时组织[默认：temporary]"),
    ("define.unit", "所属单位的代码；临时组织为牵头单位"),
    ("define.readers", "可读单位：代码以逗号分隔，或 all"),
    ("define.writers", "可写单位：代码以逗号分隔，或 all、none"),
    ("define.carriers", "只承载、不可读的单位：代码以逗号分隔，或 all、none"),
    ("set", "修改谁可读、可写、承载"),
    ("set.label", "数据范围的标签"),
    ("set.readers", "可读单位：代码以逗号分隔，或 all"),
    ("set.writers", "可写单位：代码以逗号分隔，或 all、none"),
    ("set.carriers", "只承载、不可读的单位：代码以逗号分隔，或 all、none"),
    ("set.dry_run", "只说明会有什么结果"),
    ("set.yes", "即使会收回权限也执行"),
    ("limits", "设定一个作者在数据范围里最多可有多少内容"),
    ("limits.label", "数据范围的标签"),
    ("limits.entries", "一个作者的条目数：每保存一次算一条"),
    ("limits.bytes", "一个作者的条目大小：字节数，可带 K、M、G"),
    ("limits.documents", "一个作者写过的记录数"),
    ("limits.reset", "恢复默认值（给出的除外）"),
    ("limits.dry_run", "只说明会有什么结果"),
    ("limits.yes", "即使有作者因此不能再写也执行"),
];

pub(super) async fn run(args: SpaceArgs, session: &mut Session) -> Result<Exit> {
    match args.act {
        SpaceAct::List => list(session).await?,
        SpaceAct::Show { label } => show(&label, session).await?,
        SpaceAct::Define(args) => define(args, session).await?,
        SpaceAct::Set(args) => set(args, session).await?,
        SpaceAct::Limits(args) => limits(args, session).await?,
    }
    Ok(Exit::Ok)
}

async fn list(session: &mut Session) -> Result<()> {
    let directory = session.client().get(Route::new("directory")).await?;
    let mut items = output::items(&directory, "spaces");
    items.sort_by_key(|space| output::text(space, "label"));
    session.output.list(&List {
        schema: "fenbu.spaces/1",
        item_schema: "fenbu.space/1",
        answer: json!({ "items": items }),
        items,
        name: "label",
        columns: columns(),
    })
}

/// Also those of `fenbu directory`.
pub(super) fn columns() -> Vec<Column> {
    let who =
        |field: &'static str| move |v: &Value, view: output::View| shown_who(&v[field], view.lang);
    vec![
        Column::new(Key::ColumnSpace, |v, _| output::text(v, "label")),
        Column::new(Key::ColumnId, |v, _| output::text(v, "id")).wide(),
        Column::new(Key::ColumnTemplate, |v, _| output::text(v, "template")).wide(),
        Column::new(Key::ColumnReaders, who("readers")).at_most(36),
        Column::new(Key::ColumnWriters, who("writers")).at_most(36),
        Column::new(Key::ColumnCarriers, who("carriers")).at_most(36),
        Column::new(Key::ColumnSpaceKey, |v, _| key_epoch(v)).right().wide(),
    ]
}

/// Number of the space's latest key; none where bodies are not sealed.
fn key_epoch(space: &Value) -> String {
    match space["sealed"] == Value::Bool(true) {
        true => output::text(space, "key_epoch"),
        false => output::ABSENT.into(),
    }
}

fn shown_who(value: &Value, lang: Lang) -> String {
    match value.as_str() {
        Some("all") => Key::Everyone.text(lang).to_owned(),
        _ => output::scalar(value),
    }
}

async fn show(label: &str, session: &mut Session) -> Result<()> {
    let route = Route::new("directory/spaces").segment(label);
    let answer = session.client().get(route).await?;
    let lang = session.output.lang();
    let mut rows = rights_rows(&answer, lang);
    if answer["sealed"] == Value::Bool(true) {
        rows.push((Key::LabelKeyHolders.into(), output::text(&answer, "key_holders")));
    }
    rows.extend(limit_rows(&answer["limits"]));
    let authors = output::items(&answer, "authors");
    session.output.detail(&Detail { schema: "fenbu.space/1", answer, name: "label", rows })?;
    if !session.output.is_json() && !authors.is_empty() {
        session.output.raw(b"\n")?;
        session.output.table(&author_columns(), &authors)?;
    }
    Ok(())
}

fn rights_rows(answer: &Value, lang: Lang) -> Vec<(Text, String)> {
    let who = |field: &str| {
        let shown = shown_who(&answer[field], lang);
        if shown.is_empty() { Key::Nobody.text(lang).to_owned() } else { shown }
    };
    let mut rows = vec![(Key::LabelSpace.into(), output::text(answer, "label"))];
    rows.push((Key::LabelTemplate.into(), output::text(answer, "template")));
    if !answer["unit"].is_null() {
        rows.push((Key::LabelUnit.into(), output::text(answer, "unit")));
    }
    rows.push((Key::LabelReaders.into(), who("readers")));
    rows.push((Key::LabelWriters.into(), who("writers")));
    rows.push((Key::LabelCarriers.into(), who("carriers")));
    rows
}

fn limit_rows(limits: &Value) -> Vec<(Text, String)> {
    let bytes = output::number(limits, "bytes").map(output::bytes).unwrap_or_default();
    vec![
        (Key::LabelLimitEntries.into(), output::text(limits, "entries")),
        (Key::LabelLimitBytes.into(), bytes),
        (Key::LabelLimitDocuments.into(), output::text(limits, "documents")),
    ]
}

fn author_columns() -> Vec<Column> {
    let bytes = |v: &Value, _| output::number(v, "bytes").map(output::bytes).unwrap_or_default();
    vec![
        Column::new(Key::ColumnName, |v, _| output::text(v, "name")).at_most(28),
        Column::new(Key::ColumnNode, |v, _| output::short_id(&output::text(v, "node"))),
        Column::new(Key::ColumnLogs, |v, _| output::text(v, "logs")).right(),
        Column::new(Key::ColumnEntries, |v, _| output::text(v, "entries")).right(),
        Column::new(Key::ColumnSize, bytes).right(),
    ]
}

impl Rights {
    fn add_to(&self, body: &mut Value) {
        let given =
            [("readers", &self.readers), ("writers", &self.writers), ("carriers", &self.carriers)];
        for (name, units) in given {
            if let Some(units) = units {
                body[name] = who(units);
            }
        }
    }
}

/// Units as the node takes them.
fn who(text: &str) -> Value {
    match text.trim() {
        "all" => json!("all"),
        "none" => json!([]),
        units => units.split(',').map(str::trim).filter(|u| !u.is_empty()).collect(),
    }
}

async fn define(args: DefineArgs, session: &mut Session) -> Result<()> {
    let template = match args.template {
        Template::Federation => "federation",
        Template::Unit => "unit",
        Template::Temporary => "temporary",
    };
    let mut body = json!({ "label": args.label, "template": template });
    if let Some(unit) = args.unit {
        body["unit"] = unit.into();
    }
    args.rights.add_to(&mut body);
    let answer = session.client().post(Route::new("directory/spaces"), &body).await?;
    show_change(answer, session)
}

async fn set(args: SetArgs, session: &mut Session) -> Result<()> {
    let mut body = json!({ "label": args.label });
    args.rights.add_to(&mut body);
    if body.as_object().is_some_and(|fields| fields.len() == 1) {
        return Err(Error::usage(Key::NothingToChange).hint(Key::HintHelp));
    }
    let takes = |answer: &Value| {
        let taken = answer["takes"].as_object().into_iter().flatten();
        taken.into_iter().any(|(_, units)| units.as_array().is_some_and(|u| !u.is_empty()))
    };
    let answer = ask("directory/spaces", body, args.extent, takes, session).await?;
    let refused = answer["done"] != Value::Bool(true) && !args.extent.dry_run;
    show_change(answer, session)?;
    confirmed(refused)
}

/// Asks the node, first what would come of it unless that is confirmed already. The answer is a preview
/// if it would take something.
async fn ask(
    path: &str,
    mut body: Value,
    extent: Extent,
    takes: impl Fn(&Value) -> bool,
    session: &mut Session,
) -> Result<Value> {
    let client = session.client();
    if !extent.yes {
        body["preview"] = true.into();
        let preview = client.post(Route::new(path), &body).await?;
        if extent.dry_run || takes(&preview) {
            return Ok(preview);
        }
        body["preview"] = false.into();
    }
    body["confirmed"] = extent.yes.into();
    client.post(Route::new(path), &body).await
}

fn confirmed(refused: bool) -> Result<()> {
    match refused {
        true => Err(Error::usage(Key::NotConfirmed).hint(Key::HintConfirm)),
        false => Ok(()),
    }
}

fn show_change(answer: Value, session: &mut Session) -> Result<()> {
    let mut rows = rights_rows(&answer, session.output.lang());
    let taken = [
        ("readers", Key::LabelTakesReading),
        ("writers", Key::LabelTakesWriting),
        ("carriers", Key::LabelTakesCarrying),
    ];
    for (right, label) in taken {
        let units = output::text(&answer["takes"], right);
        if !units.is_empty() {
            rows.push((label.into(), units));
        }
    }
    if !output::items(&answer["takes"], "writers").is_empty() {
        rows.push((Key::LabelLogsCut.into(), output::text(&answer, "logs_cut")));
    }
    if answer["new_key"] == Value::Bool(true) {
        rows.push((Key::LabelNewKey.into(), Key::Yes.text(session.output.lang()).to_owned()));
    }
    report(answer, "fenbu.space-change/1", rows, session)
}

/// What was done, or would be, and which.
pub(super) fn report(
    answer: Value,
    schema: &'static str,
    rows: Vec<(Text, String)>,
    session: &mut Session,
) -> Result<()> {
    let done = (answer["done"] == Value::Bool(true)).then(|| output::text(&answer, "epoch"));
    session.output.detail(&Detail { schema, answer, name: "label", rows })?;
    match done {
        Some(epoch) => session.output.say(Key::DirectoryDone.with([("epoch", epoch)])),
        None => session.output.say(Key::DirectoryPreview),
    }
    Ok(())
}

async fn limits(args: LimitsArgs, session: &mut Session) -> Result<()> {
    let mut body = json!({ "label": args.label, "reset": args.reset });
    let given = [("entries", args.entries), ("bytes", args.bytes), ("documents", args.documents)];
    for (name, value) in given {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    if !args.reset && given.iter().all(|(_, value)| value.is_none()) {
        return Err(Error::usage(Key::NothingToChange).hint(Key::HintHelp));
    }
    let takes = |answer: &Value| !output::items(answer, "over").is_empty();
    let answer = ask("directory/limits", body, args.extent, takes, session).await?;
    let mut rows = vec![(Key::LabelSpace.into(), output::text(&answer, "label"))];
    rows.extend(limit_rows(&answer["limits"]));
    if takes(&answer) {
        rows.push((Key::LabelOver.into(), output::text(&answer, "over")));
    }
    let refused = answer["done"] != Value::Bool(true) && !args.extent.dry_run;
    report(answer, "fenbu.space-limits/1", rows, session)?;
    confirmed(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_all_none_or_a_list() {
        assert_eq!(who("all"), json!("all"));
        assert_eq!(who("none"), json!([]));
        assert_eq!(who("head, yancheng,"), json!(["head", "yancheng"]));
    }
}
