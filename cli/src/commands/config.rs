//! `fenbu config show`: which settings are in force, and where each comes from.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Environment, Session};
use crate::client::Route;
use crate::error::{Error, Exit, Kind, Result};
use crate::lang::Key;
use crate::output::{self, Column, List};
use crate::wiring;

/// Show the settings
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    Show(ShowArgs),
}

/// Show every setting in force and where it comes from
#[derive(Debug, Args)]
struct ShowArgs {}

pub(super) const HELP_ZH: &[(&str, &str)] =
    &[("", "查看设置"), ("show", "显示生效的各项设置及其来源")];

pub(super) async fn run(args: ConfigArgs, session: &mut Session) -> Result<Exit> {
    let Act::Show(ShowArgs {}) = args.act;
    let (items, answer) = match session.client().get(Route::new("config")).await {
        Ok(answer) => (output::items(&answer, "values"), answer),
        // Without a daemon, or with one too old to be asked, the files still say something.
        Err(error) if matches!(error.kind, Kind::Unreachable | Kind::NotFound) => {
            session.output.say(Key::ConfigOffline);
            let items = local(&session.dir, &session.environment)?;
            (items.clone(), json!({"values": items}))
        }
        Err(error) => return Err(error),
    };
    session.output.list(&List {
        schema: "fenbu.config/1",
        item_schema: "fenbu.config.value/1",
        answer,
        items,
        name: "key",
        columns: vec![
            Column::new(Key::ColumnKey, |v, _| output::text(v, "key")),
            Column::new(Key::ColumnValue, |v, _| output::text(v, "value")).at_most(48),
            Column::new(Key::ColumnOrigin, |v, _| output::text(v, "origin")),
        ],
    })?;
    Ok(Exit::Ok)
}

/// Settings found in files and in this environment; the later origin wins.
fn local(dir: &Path, environment: &Environment) -> Result<Vec<Value>> {
    let mut found = std::collections::BTreeMap::new();
    for path in files(dir, environment) {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::file(shown, &e)),
        };
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            Error::failed(
                Key::CheckConfigBad
                    .with([("path", shown.clone()), ("why", output::clean(e.message()))]),
            )
            .hint(Key::HintConfig)
        })?;
        flatten("", &toml::Value::Table(table), &mut |key, value| {
            found.insert(key.to_owned(), (value, shown.clone()));
        });
    }
    for (name, value) in environment.beginning("FENBU_") {
        let key = name["FENBU_".len()..].to_ascii_lowercase();
        found.insert(key, (value.to_owned(), format!("${name}")));
    }
    Ok(found
        .into_iter()
        .map(|(key, (value, origin))| {
            let value = if is_secret(&key) { "********".to_owned() } else { value };
            json!({"key": key, "value": value, "origin": origin})
        })
        .collect())
}

/// From the most general to the most particular.
fn files(dir: &Path, environment: &Environment) -> Vec<PathBuf> {
    let home = environment.get("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    let mut files = vec![PathBuf::from("/etc/fenbu/fenbu.toml")];
    files.extend(user.map(|dir| dir.join("fenbu/fenbu.toml")));
    files.push(dir.join(wiring::CONFIG_FILE));
    files
}

fn flatten(prefix: &str, value: &toml::Value, each: &mut impl FnMut(&str, String)) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, each);
            }
        }
        toml::Value::String(text) => each(prefix, text.clone()),
        other => each(prefix, other.to_string()),
    }
}

/// Secrets are named by file; one put in the open anyway is not repeated.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file")
        && ["secret", "password", "token", "private"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_particular_wins_and_names_its_origin() {
        let temp = tempfile::tempdir().unwrap();
        let user = temp.path().join("config");
        std::fs::create_dir_all(user.join("fenbu")).unwrap();
        std::fs::write(user.join("fenbu/fenbu.toml"), "listen = \"a\"\n[log]\nlevel = \"info\"\n")
            .unwrap();
        let dir = temp.path().join("node");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(wiring::CONFIG_FILE), "listen = \"b\"\n").unwrap();
        let environment = Environment::from([
            ("XDG_CONFIG_HOME", user.to_str().unwrap()),
            ("FENBU_TOKEN", "hunter2"),
            ("FENBU_TOKEN_FILE", "/run/token"),
        ]);
        let values = local(&dir, &environment).unwrap();
        let value = |key: &str| {
            let found = values.iter().find(|v| v["key"] == key).unwrap();
            (output::text(found, "value"), output::text(found, "origin"))
        };
        assert_eq!(value("listen").0, "b");
        assert!(value("listen").1.ends_with("node/fenbu.toml"));
        assert_eq!(value("log.level").0, "info");
        assert_eq!(value("token"), ("********".into(), "$FENBU_TOKEN".into()));
        assert_eq!(value("token_file").0, "/run/token");
    }

    #[test]
    fn a_broken_file_is_named() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join(wiring::CONFIG_FILE), "a = [").unwrap();
        let error = local(temp.path(), &Environment::default()).unwrap_err();
        assert_eq!(error.kind.exit(), Exit::Failed);
        assert!(error.message.render(crate::lang::Lang::En).contains("fenbu.toml"));
    }
}
