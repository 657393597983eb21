//! Checks that no tool makes for us, over the files git tracks.
//!
//! Needles are written in two halves (`concat!`), so that this file passes its own checks.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// A longer file has more than one noun in it.
const RUST_LINES_MAX: usize = 800;

/// What may stand in the root, besides names that begin with a dot.
const ROOT_NAMES: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cli",
    "deploy",
    "node",
    "protocol",
    "rust-toolchain.toml",
    "tests",
];

/// Marks of unfinished work.
const LEFTOVERS: [&str; 4] = [
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Hosts that serve packages; where crates come from is the builder's business.
const REGISTRY_HOSTS: [&str; 7] = [
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("npm", "js.org"),
    concat!("py", "pi.org"),
    concat!("proxy.go", "lang.org"),
    concat!("rsp", "roxy.cn"),
    concat!("mirrors.", "tuna"),
];

/// The one source a locked crate may have.
const LOCK_SOURCE: &str =
    concat!("source = \"registry+https://github.com/rust-lang/cra", "tes.io-index\"");

/// Crates that `protocol` must not know: it has no runtime, network or disk.
const WALLED_OFF: [&str; 3] = ["tokio", "quinn", "rusqlite"];

/// Everything untidy in the tracked files below the current folder, a line each.
///
/// # Errors
/// Git cannot list the files.
pub(crate) fn problems() -> Result<Vec<String>, String> {
    let paths = tracked()?;
    let mut problems = root_names(&paths);
    for path in &paths {
        let Ok(bytes) = fs::read(path) else {
            // Deleted and not yet committed, or a link to nowhere.
            continue;
        };
        if let Some(text) = as_text(&bytes) {
            problems.extend(in_file(path, text));
        }
    }
    Ok(problems)
}

/// The tracked files, from the root. A clone owned by somebody else is fine for reading.
fn tracked() -> Result<Vec<String>, String> {
    let list = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .output()
        .map_err(|e| format!("git cannot be started: {e}"))?;
    if !list.status.success() {
        let why = String::from_utf8_lossy(&list.stderr);
        return Err(format!("git cannot list the files: {}", why.trim()));
    }
    let names = String::from_utf8_lossy(&list.stdout);
    let paths: Vec<String> =
        names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if paths.is_empty() {
        return Err("git tracks no file here".into());
    }
    Ok(paths)
}

/// As git does it: a file with a NUL in its beginning is binary.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let beginning = &bytes[..bytes.len().min(8000)];
    if beginning.contains(&0) {
        return None;
    }
    str::from_utf8(bytes).ok()
}

fn root_names(paths: &[String]) -> Vec<String> {
    let names: BTreeSet<&str> =
        paths.iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    names
        .into_iter()
        .filter(|name| !name.starts_with('.') && !ROOT_NAMES.contains(name))
        .map(|name| format!("{name}: this name does not belong in the root"))
        .collect()
}

fn in_file(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let is_rust = path.ends_with(".rs");
    let lines = text.lines().count();
    if is_rust && lines > RUST_LINES_MAX {
        problems.push(format!("{path}: {lines} lines, at most {RUST_LINES_MAX}: split it by noun"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let mut say = |what: String| problems.push(format!("{path}:{number}: {what}"));
        if is_rust && let Some(mark) = LEFTOVERS.iter().find(|mark| has_word(line, mark)) {
            say(format!("{mark} is left over: finish it, or put it into an issue"));
        }
        if let Some(start) = MACHINE_PATHS.iter().find(|start| has_path(line, start)) {
            say(format!("a path below {start} exists on one machine only"));
        }
        if let Some(host) = REGISTRY_HOSTS.iter().find(|host| line.contains(*host)) {
            say(format!("{host} is a package registry: leave the choice to the builder"));
        }
        if path == "Cargo.lock" && line.starts_with("source = ") && line != LOCK_SOURCE {
            say("a crate must come from the standard registry".to_owned());
        }
        if path == "protocol/Cargo.toml"
            && let Some(name) = WALLED_OFF.iter().find(|name| mentions_crate(line, name))
        {
            say(format!("protocol knows no {name}: what it needs comes as an argument"));
        }
    }
    problems
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `word` stands in the line and not inside a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).map(|i| line.as_bytes()[i]);
        let after = line.as_bytes().get(at + word.len());
        // A mark that ends in `!` ends there.
        let ends = word.ends_with('!') || !after.is_some_and(|b| is_word_byte(*b));
        !before.is_some_and(is_word_byte) && ends
    })
}

/// Whether an absolute path begins so here; `tests/work/` and `$HOME/work/` are none.
fn has_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = at.checked_sub(1).map(|i| line.as_bytes()[i]);
        !before.is_some_and(|b| is_word_byte(b) || b"~.-}*".contains(&b))
    })
}

/// Whether a manifest's line (its comment aside) names this crate or one of its family.
fn mentions_crate(line: &str, name: &str) -> bool {
    let line = line.split('#').next().unwrap_or(line);
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .any(|word| word == name || word.starts_with(&format!("{name}-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        in_file(path, text).len()
    }

    #[test]
    fn long_rust_files_are_found() {
        assert_eq!(found("a.rs", &"\n".repeat(RUST_LINES_MAX)), 0);
        assert_eq!(found("a.rs", &"\n".repeat(RUST_LINES_MAX + 1)), 1);
        assert_eq!(found("a.md", &"\n".repeat(RUST_LINES_MAX + 1)), 0);
    }

    #[test]
    fn leftovers_are_words() {
        for mark in LEFTOVERS {
            assert_eq!(found("a.rs", &format!("// {mark} x\n")), 1, "{mark}");
            assert_eq!(found("a.rs", &format!("x_{mark}(1)\n")), 0, "{mark}");
            assert_eq!(found("a.md", mark), 0, "only in code: {mark}");
        }
        assert_eq!(found("a.rs", concat!("TO", "DOS")), 0);
    }

    #[test]
    fn machine_paths_are_absolute() {
        for start in MACHINE_PATHS {
            assert_eq!(found("a.md", &format!("see {start}x")), 1, "{start}");
            assert_eq!(found("a.md", &format!("\"{start}x\"")), 1, "{start}");
            assert_eq!(found("a.md", &format!("tests{start}x ~{start}x")), 0, "{start}");
        }
        for host in REGISTRY_HOSTS {
            assert_eq!(found(".cargo/config.toml", &format!("\"https://{host}/\"")), 1, "{host}");
        }
    }

    #[test]
    fn locked_crates_come_from_the_standard_registry() {
        assert_eq!(found("Cargo.lock", LOCK_SOURCE), 0);
        assert_eq!(found("Cargo.lock", "source = \"git+https://example.org/x\""), 1);
    }

    #[test]
    fn the_root_is_short() {
        let paths = ["Cargo.toml", ".ci/run", "node/src/lib.rs", "notes.txt", "src/lib.rs"];
        let paths: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
        let problems = root_names(&paths);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("notes.txt") && problems[1].starts_with("src:"));
    }

    #[test]
    fn the_wall_stands() {
        let manifest = "protocol/Cargo.toml";
        for bad in
            ["tokio.workspace = true", "q = { package = \"quinn-proto\" }", "rusqlite = \"1\""]
        {
            assert_eq!(found(manifest, bad), 1, "{bad}");
            assert_eq!(found("node/Cargo.toml", bad), 0, "{bad}");
        }
        assert_eq!(found(manifest, "# no tokio here"), 0);
        assert_eq!(found(manifest, "automerge.workspace = true"), 0);
    }

    #[test]
    fn binary_files_are_not_read() {
        assert_eq!(as_text(b"a\0b"), None);
        assert_eq!(as_text("缉私".as_bytes()), Some("缉私"));
    }
}
