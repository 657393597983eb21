//! `fenbu doctor`: what is wrong, and what to do about it.
//!
//! A running daemon knows most. Where none answers, what can be seen from outside is checked here,
//! and the way to start it is the last line.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::Session;
use crate::client::Route;
use crate::error::{Error, Exit, Kind, Result};
use crate::lang::{Key, Lang, Text};
use crate::output;
use crate::wiring;

/// Check this node and say what to do; exit code 6 if there are problems
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also check the way to this peer: name, unit or id
    #[arg(long, value_name = "PEER")]
    net: Option<String>,
    /// Look through everything stored for damage first; seconds to minutes
    #[arg(long)]
    deep: bool,
}

/// Reading everything on a slow disk.
const DEEP_PATIENCE_MS: u64 = 3_600_000;

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "检查本节点并说明怎么办；有问题时以代码 6 退出"),
    ("net", "同时检查到该节点的网络：名称、单位或标识"),
    ("deep", "先把保存的全部内容检查一遍有无损坏；数秒到数分钟"),
];

pub(super) async fn run(args: DoctorArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("doctor");
    if let Some(peer) = &args.net {
        route = route.query("net", peer);
    }
    if args.deep {
        route = route.query("deep", "true");
    }
    let client = session.client();
    let client = if args.deep { client.patience(DEEP_PATIENCE_MS) } else { client };
    let checks = match client.get(route).await {
        Ok(answer) => output::items(&answer, "checks"),
        Err(error)
            if matches!(error.kind, Kind::Unreachable | Kind::TimedOut)
                || (error.kind == Kind::NotAllowed && error.message.is(Key::SocketDenied)) =>
        {
            offline(&session.dir, &error)
        }
        Err(error) => return Err(error),
    };
    report(&checks, session)
}

fn report(checks: &[Value], session: &mut Session) -> Result<Exit> {
    let problems = checks.iter().filter(|check| check["ok"] != Value::Bool(true)).count();
    let lang = session.output.lang();
    if session.output.is_json() {
        let answer = json!({"ok": problems == 0, "problems": problems, "checks": checks});
        session.output.json("fenbu.doctor/1", &answer)?;
    } else {
        for check in checks {
            session.output.line(&line(check, lang))?;
        }
    }
    match problems {
        0 => session.output.say(Key::DoctorWell),
        n => session.output.say(Key::DoctorProblems.with([("count", n.to_string())])),
    }
    Ok(if problems == 0 { Exit::Ok } else { Exit::Problems })
}

/// `✓ message`, or `✗ message → what to do`.
fn line(check: &Value, lang: Lang) -> String {
    let in_lang = |zh, en| {
        let text = output::text(check, lang.pick(zh, en));
        if text.is_empty() { output::text(check, lang.pick(en, zh)) } else { text }
    };
    let level = output::text(check, "level");
    let mark = match (check["ok"] == Value::Bool(true), level.starts_with("warn")) {
        (true, false) => "✓",
        (true, true) => "!",
        (false, _) => "✗",
    };
    let message = in_lang("message_zh", "message_en");
    let message = if message.is_empty() { output::text(check, "name") } else { message };
    let hint = in_lang("hint_zh", "hint_en");
    if hint.is_empty() {
        format!("{mark} {message}")
    } else {
        format!("{mark} {message} → {hint}")
    }
}

/// One check in the daemon's own form.
fn check(name: &str, ok: bool, message: &Text, hint: Option<&Text>) -> Value {
    let hint = |lang| hint.map(|h| h.render(lang)).unwrap_or_default();
    json!({
        "name": name,
        "ok": ok,
        "level": if ok { "ok" } else { "error" },
        "message_zh": message.render(Lang::Zh),
        "message_en": message.render(Lang::En),
        "hint_zh": hint(Lang::Zh),
        "hint_en": hint(Lang::En),
    })
}

/// What can be seen without a daemon. `unreachable` is how the attempt to ask it ended.
fn offline(dir: &Path, unreachable: &Error) -> Vec<Value> {
    let shown = dir.display().to_string();
    let key = |key: Key| key.with([("dir", shown.clone())]);
    let mut checks = Vec::new();
    if !dir.is_dir() {
        checks.push(check("dir", false, &key(Key::DirMissing), Some(&key(Key::HintInit))));
        return checks;
    }
    checks.push(check("dir", true, &key(Key::CheckDir), None));
    if !wiring::is_node_dir(dir) {
        checks.push(check("node", false, &key(Key::DirNotNode), Some(&key(Key::HintInit))));
        return checks;
    }
    checks.push(check("node", true, &key(Key::CheckNode), None));
    checks.extend(check_private(dir));
    checks.extend(check_config(dir));
    checks.push(match is_locked(&dir.join(wiring::LOCK_FILE)) {
        true => check("daemon", false, &key(Key::CheckLocked), Some(&key(Key::HintLocked))),
        false => {
            let hint = match unreachable.kind {
                Kind::Unreachable => key(Key::HintStart),
                Kind::NotAllowed => Key::HintOwner.into(),
                _ => key(Key::HintLocked),
            };
            check("daemon", false, &unreachable.message, Some(&hint))
        }
    });
    checks
}

/// The folder holds the node's key: nobody else may look inside.
fn check_private(dir: &Path) -> Option<Value> {
    let mode = std::fs::metadata(dir).ok()?.permissions().mode() & 0o777;
    let args = [("dir", dir.display().to_string()), ("mode", format!("{mode:o}"))];
    Some(match mode & 0o077 {
        0 => check("mode", true, &Key::CheckMode.with(args), None),
        _ => {
            let hint = Key::HintMode.with([("dir", dir.display().to_string())]);
            check("mode", false, &Key::CheckModeOpen.with(args), Some(&hint))
        }
    })
}

/// The settings parse as TOML; whether they make sense is the daemon's to say.
fn check_config(dir: &Path) -> Option<Value> {
    let path = dir.join(wiring::CONFIG_FILE);
    let shown = ("path", path.display().to_string());
    let parsed = match std::fs::read_to_string(&path) {
        Ok(text) => text.parse::<toml::Table>().map(|_| ()).map_err(|e| e.to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => Err(e.to_string()),
    };
    Some(match parsed {
        Ok(()) => check("config", true, &Key::CheckConfig.with([shown]), None),
        Err(why) => {
            let message = Key::CheckConfigBad.with([shown, ("why", output::clean(&why))]);
            check("config", false, &message, Some(&Key::HintConfig.into()))
        }
    })
}

/// Whether a living process holds the lock.
fn is_locked(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(file) = File::open(path) else { return false };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => false,
        Err(e) => e == rustix::io::Errno::WOULDBLOCK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped() -> Error {
        Error::new(Kind::Unreachable, Key::DaemonStopped.with([("dir", "/n".to_owned())]))
    }

    fn failing(checks: &[Value]) -> Vec<&str> {
        let bad = checks.iter().filter(|c| c["ok"] == Value::Bool(false));
        bad.map(|c| c["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_line_ends_in_what_to_do() {
        let bad = json!({"name": "n", "ok": false, "message_zh": "慢", "message_en": "slow",
            "hint_zh": "加快", "hint_en": "speed up"});
        assert_eq!(line(&bad, Lang::Zh), "✗ 慢 → 加快");
        assert_eq!(line(&bad, Lang::En), "✗ slow → speed up");
        assert_eq!(line(&json!({"name": "n", "ok": true}), Lang::En), "✓ n");
        let warned = json!({"ok": true, "level": "warning", "message_en": "m"});
        assert_eq!(line(&warned, Lang::Zh), "! m", "the other language is better than none");
    }

    #[test]
    fn offline_checks_follow_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a");
        assert_eq!(failing(&offline(&dir, &stopped())), ["dir"]);
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(failing(&offline(&dir, &stopped())), ["node"]);
        std::fs::write(dir.join("node.key"), "k").unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(failing(&offline(&dir, &stopped())), ["mode", "daemon"]);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(dir.join(wiring::CONFIG_FILE), "a = [").unwrap();
        assert_eq!(failing(&offline(&dir, &stopped())), ["config", "daemon"]);
        std::fs::write(dir.join(wiring::CONFIG_FILE), "a = 1").unwrap();
        let checks = offline(&dir, &stopped());
        assert_eq!(failing(&checks), ["daemon"]);
        let hint = checks.last().unwrap()["hint_en"].as_str().unwrap();
        assert!(hint.contains("fenbu node run --dir"), "{hint}");
    }

    #[test]
    fn a_held_lock_is_seen() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        assert!(!is_locked(&path));
        let held = File::create(&path).unwrap();
        assert!(!is_locked(&path));
        rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(is_locked(&path));
    }
}
