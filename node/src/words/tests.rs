//! The sources are read: what they say and the catalogue must agree.

use super::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// After these, a message for people stands, perhaps within `format!`. A new way to say something
/// gets its line here.
const PRECEDES: &[&str] = &[
    "#[error(",
    "Senseless(",
    "senseless(",
    "wrong(",
    "expected: ",
    "let expected = ",
    "refused(",
    "Problem::not_found(",
    "Problem::bad_request(",
    "Problem::not_allowed(",
    "StoreError::Query(",
    "Answer(",
    ".ask(",
    "let reason = ",
    "Close::Violation, ",
    "Close::Federation, ",
    "Close::Silent, ",
    "Close::Revoked, ",
    "Close::Duplicate, ",
    ".refuse(link, log, ",
    ".avoid(link, log, ",
    ".end_search(link, log, ",
    "let why = ",
    "Excess::Entries => ",
    "Excess::Bytes => ",
    "Excess::Documents => ",
    "let did = ",
    "self.alarm(",
    "alarms.push(",
    "remarks.push(",
    "unresolved(",
    "describe(self) -> ",
    "unusable(",
];

/// Those that are made of others, or for nobody to read.
const EXEMPT: &[&str] = &[
    // `StoreError::Query`: the message within is looked up itself.
    "{}",
    // Its two ends are two sentences in the catalogue.
    "`{}` in {} is not a setting{}",
    // Names a peer in the log alone.
    "{}{}",
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/src"),
    ];
    let mut out = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the sources are beside us") {
            let path = entry.expect("a file can be listed").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of_tests = ["tests", "tests.rs", "testing.rs", "conformance", "words", "words.rs"];
            if of_tests.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
                out.push((path, text[..end].to_owned()));
            }
        }
    }
    out
}

/// The string literal a text begins with, as the compiler reads it.
fn literal(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.chars().peekable();
    let mut out = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
}

/// Values lose their names: the message as its sentence is known.
fn skeleton(template: &str) -> String {
    let piece = |piece| match piece {
        Piece::Literal(text) => text,
        Piece::Value(_) => "{}",
    };
    pieces(template).into_iter().map(piece).collect()
}

fn catalogued() -> BTreeSet<String> {
    CATALOGUE.iter().map(|(en, _)| skeleton(en)).collect()
}

#[test]
fn no_message_lacks_a_translation() {
    let known = catalogued();
    let mut lacking = Vec::new();
    let mut found = 0;
    for (path, text) in sources() {
        for mark in PRECEDES {
            for (at, _) in text.match_indices(mark) {
                let after = text[at + mark.len()..].trim_start();
                let after = after.strip_prefix("format!(").unwrap_or(after).trim_start();
                let after = after.strip_prefix("&format!(").unwrap_or(after).trim_start();
                let Some(said) = literal(after) else { continue };
                found += 1;
                let said = skeleton(&said);
                if !known.contains(&said) && !EXEMPT.contains(&said.as_str()) {
                    lacking.push(format!("{}: {said:?}", path.display()));
                }
            }
        }
    }
    assert!(found > 150, "the sources are no longer found: {found}");
    assert!(lacking.is_empty(), "no Chinese in words/catalogue.rs for\n{}", lacking.join("\n"));
}

#[test]
fn no_translation_is_left_over() {
    let all: String = sources().into_iter().map(|(_, text)| text).collect();
    // Every string of the sources: those within comments and between two others do no harm.
    let said: BTreeSet<String> = all
        .match_indices('"')
        .filter_map(|(at, _)| literal(&all[at..]))
        .map(|text| skeleton(&text))
        .collect();
    // Sentences of libraries, and those of ours that are put together.
    let elsewhere = |en: &str| {
        ["timed out", "reset by peer", "closed", "the application or application protocol"]
            .iter()
            .any(|theirs| en.starts_with(theirs))
            || en.starts_with("`{key}` in {place}")
            || en.starts_with("the peer: ")
    };
    let left: Vec<&str> = CATALOGUE
        .iter()
        .map(|(en, _)| *en)
        .filter(|en| !said.contains(&skeleton(en)) && !elsewhere(en))
        .collect();
    assert!(left.is_empty(), "nothing says\n{}", left.join("\n"));
}

#[test]
fn both_languages_name_the_same_values() {
    let names = |template| {
        let mut names: Vec<&str> = pieces(template)
            .into_iter()
            .filter_map(|piece| if let Piece::Value(name) = piece { Some(name) } else { None })
            .collect();
        names.sort_unstable();
        names
    };
    for (en, zh) in CATALOGUE {
        assert_eq!(names(en), names(zh), "{en}");
        let says_nothing = !skeleton(en).contains(|c: char| c.is_ascii_alphabetic());
        let chinese = zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        assert!(chinese || says_nothing, "{zh}");
    }
    assert_eq!(catalogued().len(), CATALOGUE.len(), "one message, one sentence");
}

#[test]
fn messages_within_messages_are_translated_too() {
    let said = |text: &str| zh(text).unwrap();
    assert_eq!(
        said("field 'tags': expected an array, or an object with 'add' and 'remove'"),
        "字段“tags”：应为数组，或带 add、remove 的对象"
    );
    assert_eq!(
        said("the directory refuses: statement says nothing that can be: no such unit"),
        "目录不接受：目录语句不成立：没有这个单位"
    );
    let silent = "no answer from a:1 (1.2.3.4:1) within 10 s; check that the node runs there and \
                  that UDP port 1 is open: inbound at its firewall, outbound at ours";
    let busy = "b:1 refuses connections for now; it may be overloaded, try again in a minute";
    let told = said(&format!("{silent}{JOINT}{busy}"));
    assert!(told.starts_with("a:1（1.2.3.4:1）10 秒内没有应答"), "{told}");
    assert!(told.ends_with("| b:1 暂时拒绝连接；可能负荷过重，一分钟后再试"), "{told}");
    let none =
        said(&format!("none of the token's addresses answered:\n  a:1: {silent}\n  b:1: {busy}"));
    assert_eq!(none.lines().count(), 3, "{none}");
    assert!(none.lines().all(|line| line.contains("应答") || line.contains("拒绝")), "{none}");
    assert_eq!(zh("nobody ever said this"), None);
    // What people write stays as it is, whatever it says.
    assert_eq!(
        said("there is no unit 'Stopping'; see `fenbu directory`"),
        "没有单位“Stopping”；见 fenbu directory"
    );
}

#[test]
fn the_language_is_the_first_that_is_ours() {
    let lang = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
        Lang::of(&headers)
    };
    assert_eq!(lang("zh-CN"), Lang::Zh);
    assert_eq!(lang("fr, ZH;q=0.8, en;q=0.5"), Lang::Zh);
    assert_eq!(lang("en-GB,zh"), Lang::En);
    assert_eq!(lang("é, *"), Lang::En);
    assert_eq!(Lang::of(&HeaderMap::new()), Lang::En);
}
