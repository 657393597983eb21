//! Help in the reader's language.
//!
//! English help is the doc comments, which clap already has. For Chinese every command and argument
//! is looked up in the `HELP_ZH` of its verb, where `""` is the verb itself and `run` or `run.level` a
//! subcommand and its argument.

use clap::{Arg, ArgAction, Command};

use super::{
    HELP_ZH, account, admit, backup, calendar, changes, completions, config, conflicts, demo,
    directory, doctor, export, feed, import, init, invite, join, node, page, peers, quarantine,
    repair, report, restore, revoke, root, search, space, status, sync, template, temporary,
};
use crate::lang::Lang;

const TEMPLATE_ZH: &str =
    "{before-help}{about-with-newline}\n用法: {usage}\n\n{all-args}{after-help}";

/// The table of a verb. Record nouns bring both languages with their fields.
fn table(verb: &str) -> &'static [(&'static str, &'static str)] {
    match verb {
        "init" => init::HELP_ZH,
        "join" => join::HELP_ZH,
        "node" => node::HELP_ZH,
        "invite" => invite::HELP_ZH,
        "admit" => admit::HELP_ZH,
        "quarantine" => quarantine::HELP_ZH,
        "conflicts" => conflicts::HELP_ZH,
        "search" => search::HELP_ZH,
        "changes" => changes::HELP_ZH,
        "revoke" => revoke::HELP_ZH,
        "account" => account::HELP_ZH,
        "space" => space::HELP_ZH,
        "root" => root::HELP_ZH,
        "import" => import::HELP_ZH,
        "export" => export::HELP_ZH,
        "template" => template::HELP_ZH,
        "temporary" => temporary::HELP_ZH,
        "calendar" => calendar::HELP_ZH,
        "feed" => feed::HELP_ZH,
        "page" => page::HELP_ZH,
        "status" => status::HELP_ZH,
        "peers" => peers::HELP_ZH,
        "sync" => sync::HELP_ZH,
        "directory" => directory::HELP_ZH,
        "doctor" => doctor::HELP_ZH,
        "backup" => backup::HELP_ZH,
        "restore" => restore::HELP_ZH,
        "report" => report::HELP_ZH,
        "repair" => repair::HELP_ZH,
        "config" => config::HELP_ZH,
        "completions" => completions::HELP_ZH,
        "demo" => demo::HELP_ZH,
        _ => &[],
    }
}

fn find(table: &[(&'static str, &'static str)], key: &str) -> Option<&'static str> {
    table.iter().find(|(name, _)| *name == key).map(|(_, text)| *text)
}

/// Replaces clap's own flags and words by ours, and in Chinese every text that has a translation.
pub(super) fn localise(command: Command, lang: Lang) -> Command {
    let (help, version) = match lang {
        Lang::En => ("Show help", "Show the version"),
        Lang::Zh => (
            find(HELP_ZH, "help").unwrap_or_default(),
            find(HELP_ZH, "version").unwrap_or_default(),
        ),
    };
    let command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .global(true)
                .action(ArgAction::Help)
                .help(help),
        )
        .arg(
            Arg::new("version").short('V').long("version").action(ArgAction::Version).help(version),
        );
    let command = command.mut_args(|arg| arg.help_heading(lang.pick("通用选项", "Global options")));
    match lang {
        Lang::En => command,
        Lang::Zh => translate(command, "", ""),
    }
}

fn translate(mut command: Command, verb: &str, inner: &str) -> Command {
    let texts = if verb.is_empty() { HELP_ZH } else { table(verb) };
    if let Some(about) = find(texts, inner) {
        command = command.about(about).long_about(None);
    }
    let prefix = if inner.is_empty() { String::new() } else { format!("{inner}.") };
    command = command
        .help_template(TEMPLATE_ZH)
        .subcommand_help_heading("命令")
        .subcommand_value_name("命令")
        .mut_args(|arg| {
            let heading = if arg.is_positional() { "参数" } else { "选项" };
            let id = format!("{prefix}{}", arg.get_id());
            let help = find(texts, &id);
            let arg = if verb.is_empty() { arg } else { arg.help_heading(heading) };
            match help {
                Some(help) => arg.help(help).long_help(None),
                None => arg,
            }
        });
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| match (verb, inner) {
            ("", _) => translate(sub, &name, ""),
            (_, "") => translate(sub, verb, &name),
            _ => translate(sub, verb, &format!("{inner}.{name}")),
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::super::{command, record};
    use super::*;

    fn is_chinese(text: &str) -> bool {
        text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
    }

    fn check(zh: &Command, path: &str) {
        let about = zh.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(is_chinese(&about), "no Chinese summary for '{path}': '{about}'");
        for arg in zh.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(is_chinese(&help), "no Chinese help for '{path}' {}: '{help}'", arg.get_id());
        }
        for sub in zh.get_subcommands() {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    fn check_english(en: &Command, path: &str) {
        assert!(en.get_about().is_some(), "no English summary for '{path}'");
        for arg in en.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "no English help for '{path}' {}", arg.get_id());
            // Labels of codes are data; a record's flags may show them.
            let record = record::kind(path.split(' ').nth(1).unwrap_or("")).is_some();
            assert!(record || !is_chinese(&help), "'{path}' {}: '{help}'", arg.get_id());
        }
        for sub in en.get_subcommands() {
            check_english(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn every_command_and_flag_has_help_in_both_languages() {
        check(&command(Lang::Zh), "fenbu");
        check_english(&command(Lang::En), "fenbu");
    }

    #[test]
    fn no_translation_is_left_over() {
        let root = command(Lang::En);
        for verb in root.get_subcommands() {
            for (key, _) in table(verb.get_name()) {
                let mut at = verb;
                let mut found = key.is_empty();
                for part in key.split('.') {
                    match at.find_subcommand(part) {
                        Some(sub) => (at, found) = (sub, true),
                        None => found |= at.get_arguments().any(|a| a.get_id() == part),
                    }
                }
                assert!(found, "{}: '{key}' names nothing", verb.get_name());
            }
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        command(Lang::Zh).debug_assert();
        command(Lang::En).debug_assert();
    }
}
