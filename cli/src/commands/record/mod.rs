//! `fenbu post|member|meeting`: the record nouns, built from the table in [`fields`].
//!
//! `add` and `edit` take one flag per field, `list` one per filter; `show` and `history` read; and every step
//! of a kind's workflows is a verb. What a value may be is the daemon's to judge; here it is only
//! brought into form.

mod add;
mod edit;
mod fields;
mod history;
mod list;
mod reveal;
mod show;
mod step;
mod value;

use clap::{Arg, ArgAction, ArgMatches, Command};

use self::fields::{Field, Flag as _, Kind, Merge, ValueType};
use super::Session;
use crate::error::{Error, Exit, Result};
use crate::lang::{Key, Lang, Text};

/// The kind a noun names.
pub(super) fn kind(noun: &str) -> Option<&'static Kind> {
    fields::kinds().iter().find(|kind| kind.name == noun)
}

/// One command per noun.
pub(super) fn commands(lang: Lang) -> Vec<Command> {
    fields::kinds().iter().map(|kind| noun(kind, lang)).collect()
}

fn noun(kind: &Kind, lang: Lang) -> Command {
    let about = lang.pick(
        format!("{}：新增、修改、查看、列表、历史", kind.zh),
        format!("Add, edit, show and list {}", kind.plural),
    );
    Command::new(kind.name)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            add::command(kind, lang),
            edit::command(kind, lang),
            list::command(kind, lang),
            show::command(kind, lang),
            history::command(kind, lang),
        ])
        .subcommands(reveal::command(kind, lang))
        .subcommands(step::commands(kind, lang))
}

pub(super) async fn run(kind: &Kind, matches: &ArgMatches, session: &mut Session) -> Result<Exit> {
    match matches.subcommand() {
        Some(("add", matches)) => add::run(kind, matches, session).await,
        Some(("edit", matches)) => edit::run(kind, matches, session).await,
        Some(("list", matches)) => list::run(kind, matches, session).await,
        Some(("show", matches)) => show::run(kind, matches, session).await,
        Some(("history", matches)) => history::run(kind, matches, session).await,
        Some(("reveal", matches)) => reveal::run(kind, matches, session).await,
        Some((op, matches)) if step::is_step(kind, op) => {
            step::run(kind, op, matches, session).await
        }
        _ => Err(Error::usage(Key::UsageNoCommand).hint(Key::HintHelp)),
    }
}

/// The flags that `add` and `edit` share: one per field, a file for each text, and the generic ones.
fn field_args(kind: &Kind, lang: Lang) -> Vec<Arg> {
    let mut args = Vec::new();
    for field in kind.fields {
        args.push(field_arg(field, lang));
        if field.merge == Merge::Text {
            args.push(file_arg(field, lang));
        }
    }
    let generic = |id: &'static str, value: &'static str, zh: &'static str, en: &'static str| {
        Arg::new(id).long(id.replace('_', "-")).value_name(value).help(lang.pick(zh, en))
    };
    args.push(
        generic(
            "set",
            "FIELD=VALUE",
            "按名称设置字段，可重复",
            "Set a field by name; can be repeated",
        )
        .action(ArgAction::Append),
    );
    args.push(
        generic("clear", "FIELD", "清空字段，可重复", "Clear a field; can be repeated")
            .action(ArgAction::Append),
    );
    args.push(generic(
        "from_json",
        "FILE",
        "从 JSON 文件读取字段，- 表示标准输入；其他选项优先",
        "Read fields from a JSON file, - for stdin; other flags stand above it",
    ));
    args
}

fn field_arg(field: &Field, lang: Lang) -> Arg {
    let arg = Arg::new(field.name)
        .long(field.flag())
        .value_name(value_name(field))
        .help(field_help(field, lang))
        .allow_hyphen_values(field.merge == Merge::Text);
    match field.merge {
        Merge::Set | Merge::List | Merge::Map | Merge::Notes => arg.action(ArgAction::Append),
        Merge::Register | Merge::Contested | Merge::Text | Merge::Tally | Merge::Log => arg,
    }
}

fn file_arg(field: &Field, lang: Lang) -> Arg {
    let help = lang.pick(
        format!("从文件读取{}，- 表示标准输入", field.label_zh),
        format!("{} from a file, - for stdin", field.label_en),
    );
    Arg::new(value::file_id(field))
        .long(format!("{}-file", field.flag()))
        .value_name("FILE")
        .conflicts_with(field.name)
        .help(help)
}

fn value_name(field: &Field) -> &'static str {
    match (field.merge, field.value) {
        (Merge::Map, _) => "KEY=VALUE",
        (_, ValueType::Text) => "TEXT",
        (_, ValueType::Code(_)) => "CODE",
        (_, ValueType::Date) => "DATE",
        (_, ValueType::Instant) => "TIME",
        (_, ValueType::Int) => "N",
        (_, ValueType::Bool) => "BOOL",
        (_, ValueType::Id(_)) => "ID",
        (_, ValueType::Object(_)) => "VALUE|JSON",
        (_, ValueType::State(_)) => "STATE",
    }
}

fn field_help(field: &Field, lang: Lang) -> String {
    let mut help = lang.pick(field.label_zh, field.label_en).to_owned();
    if !field.codes().is_empty() {
        let codes: Vec<String> = field
            .codes()
            .iter()
            .map(|c| lang.pick(format!("{} {}", c.code, c.zh), c.code.to_owned()))
            .collect();
        help = format!("{help}{}{}", lang.pick("：", ": "), codes.join(lang.pick("、", ", ")));
    }
    if field.value == ValueType::Instant {
        help.push_str(lang.pick("，如 \"2018-03-05 14:00\"", ", such as \"2018-03-05 14:00\""));
    }
    if let ValueType::Object(parts) = field.value {
        let names: Vec<&str> = parts.iter().map(|part| part.name).collect();
        let names = names.join(", ");
        help = lang.pick(
            format!("{help}：JSON 对象 {{{names}}}，或只给第一项"),
            format!("{help}: a JSON object of {names}, or the first of them alone"),
        );
    }
    let parts = !matches!(field.value, ValueType::Object(_));
    if field.merge == Merge::Notes {
        help.push_str(lang.pick("（可重复，逐条追加）", "; repeated, each is added"));
    }
    if parts && matches!(field.merge, Merge::Set | Merge::List | Merge::Map) {
        help.push_str(lang.pick("（可重复，或以逗号分隔）", "; repeated or separated by commas"));
    }
    help
}

/// The record's id, or the beginning of one.
fn id_arg(lang: Lang) -> Arg {
    Arg::new("id")
        .value_name("ID")
        .required(true)
        .value_parser(clap::builder::NonEmptyStringValueParser::new())
        .help(lang.pick("记录标识，唯一的前缀即可", "The record's id; a unique beginning will do"))
}

fn id_of(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("id").map_or("", String::as_str)
}

/// The label of a field, or of a key of one; empty if there is none.
pub(super) fn field_label(noun: &str, name: &str, lang: Lang) -> String {
    let (field, key) = name.split_once('/').map_or((name, None), |(f, k)| (f, Some(k)));
    let label = match kind(noun).and_then(|kind| kind.field(field)) {
        Some(field) => lang.pick(field.label_zh, field.label_en),
        None => field,
    };
    key.map_or_else(|| label.to_owned(), |key| format!("{label}/{key}"))
}

/// A field's value, or several of a record's fields, in one line.
pub(super) fn shown(
    noun: &str,
    field: Option<&str>,
    value: &serde_json::Value,
    lang: Lang,
) -> String {
    let Some(kind) = kind(noun) else { return crate::output::scalar(value) };
    let field = field.and_then(|name| kind.field(name.split('/').next().unwrap_or(name)));
    let Some(parts) = value.as_object().filter(|_| field.is_none_or(|f| f.merge == Merge::Log))
    else {
        return match field {
            Some(field) => value::show(field, value, lang),
            None => crate::output::scalar(value),
        };
    };
    let part = |(name, part): (&String, &serde_json::Value)| {
        let Some(known) = kind.field(name) else { return crate::output::scalar(part) };
        let text = value::show(known, part, lang);
        // Of a revision it matters which fields it is about.
        match field {
            Some(_) => format!("{}: {text}", lang.pick(known.label_zh, known.label_en)),
            None => text,
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// The label of a field, also of one this version does not know.
fn label(kind: &Kind, name: &str) -> Text {
    match kind.field(name) {
        Some(field) => Text::Both(field.label_zh, field.label_en),
        None => Text::from(name.to_owned()),
    }
}
