//! Full-text search without a dictionary: which terms a text has, and what a question asks for.
//!
//! Chinese is written without spaces, and most words have two characters. So a run of Han characters is
//! taken apart into overlapping pairs (and its last character alone), and a word of two characters or
//! more is found as pairs that follow each other. Other letters and digits are words as they are
//! written, in lower case. What a record can be found by follows from its schema.

use super::doc::Record;
use super::schema::{Field, HIDDEN, Merge, Schema, ValueType};
use serde_json::Value;
use std::collections::BTreeSet;

/// Characters of a snippet around what was found.
const SNIPPET_CHARS: usize = 60;

/// A stretch of text of one sort.
enum Stretch<'a> {
    Han(&'a str),
    Word(&'a str),
}

fn is_han(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' | '〇')
}

/// Stretches of Han characters and of other letters and digits; everything else parts them.
fn stretches(text: &str) -> impl Iterator<Item = Stretch<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let han = is_han(first);
        let end = rest.find(|c: char| is_han(c) != han || !c.is_alphanumeric());
        let (stretch, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(if han { Stretch::Han(stretch) } else { Stretch::Word(stretch) })
    })
}

/// Overlapping pairs of a stretch's characters.
fn pairs(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    starts.windows(3).map(|w| &text[w[0]..w[2]]).collect()
}

/// The terms a text is found by, parted by spaces.
pub fn terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut add = |term: &str| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(term);
    };
    for stretch in stretches(text) {
        match stretch {
            Stretch::Han(text) => {
                pairs(text).into_iter().for_each(&mut add);
                let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
                add(&text[last..]);
            }
            Stretch::Word(word) => add(&word.to_lowercase()),
        }
    }
    out
}

/// A question in the words of SQLite's FTS5 over [`terms`]: all stretches, each as it is written; `None` if
/// there is nothing to look for. A word matches those that begin with it.
pub fn question(text: &str) -> Option<String> {
    let one = |stretch| match stretch {
        Stretch::Han(text) if text.chars().count() == 1 => format!("\"{text}\"*"),
        Stretch::Han(text) => format!("\"{}\"", pairs(text).join(" ")),
        Stretch::Word(word) => format!("\"{}\"*", word.to_lowercase()),
    };
    let all: Vec<String> = stretches(text).map(one).collect();
    (!all.is_empty()).then(|| all.join(" AND "))
}

/// A piece of a text around what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    pub text: String,
    /// Where in it the found pieces lie: first character and count of characters.
    pub marks: Vec<(usize, usize)>,
}

/// The piece of `text` around the first of the question's stretches that is found in it; `None` if none is.
pub fn snippet(text: &str, question: &str) -> Option<Snippet> {
    let wanted: Vec<Vec<char>> = stretches(question)
        .map(|stretch| match stretch {
            Stretch::Han(text) | Stretch::Word(text) => text.to_lowercase().chars().collect(),
        })
        .collect();
    // One lower-case character for each, so that places in both are the same.
    let chars: Vec<char> = text.chars().collect();
    let line_ends: BTreeSet<usize> =
        chars.iter().enumerate().filter(|(_, c)| **c == '\n').map(|(at, _)| at).collect();
    let lower: Vec<char> = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
    let found = |from: usize| {
        (from..lower.len()).find_map(|at| {
            let hit = wanted.iter().find(|w| lower[at..].starts_with(w));
            hit.map(|w| (at, w.len()))
        })
    };
    let (first, _) = found(0)?;
    // Of one line: the next is another paragraph, or another field.
    let is_end = |at: &usize| line_ends.contains(at);
    let line = (0..first).rev().find(is_end).map_or(0, |at| at + 1);
    let start = first.saturating_sub(SNIPPET_CHARS / 3).max(line);
    let end = (first..chars.len()).find(is_end).unwrap_or(chars.len()).min(start + SNIPPET_CHARS);
    let mut marks = Vec::new();
    let mut from = start;
    while let Some((at, count)) = found(from).filter(|(at, count)| at + count <= end) {
        marks.push((at - start, count));
        from = at + count.max(1);
    }
    Some(Snippet { text: chars[start..end].iter().collect(), marks })
}

/// What a record is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findable {
    pub title: String,
    /// Everything that is searched, the title first.
    pub text: String,
    /// The unit the record belongs to.
    pub unit: Option<String>,
    /// A post's column.
    pub column: Option<String>,
    /// The day it is about, as `YYYY-MM-DD`, where a field says so.
    pub day: Option<String>,
}

/// Fields that name a record, the first that a kind has.
const TITLES: [&str; 6] = ["title", "name", "what", "person", "letter", "kind"];

impl Schema {
    /// The field that names its records for people.
    pub fn title(&self) -> Option<&'static Field> {
        TITLES.iter().find_map(|name| self.field(name))
    }

    /// Whether a record in this state is shown to nobody who does not ask for the state.
    pub fn hides(&self, field: &str, state: &str) -> bool {
        self.hidden.contains(&(field, state))
    }
}

impl Record {
    /// What the record is found by; `None` if it is to be found by nobody.
    pub fn findable(&self) -> Option<Findable> {
        let json = self.to_json();
        let text_of = |name: &str| json[name].as_str().map(str::to_owned);
        let hides = |(field, state): &(&str, &str)| {
            json[*field] == **state
                || (*state == HIDDEN && json["courses"][*field]["hidden"] == true)
        };
        // What is the same as another record is found as that one.
        if self.schema().hidden.iter().any(hides) || json["same_as"].is_string() {
            return None;
        }
        let title = self.schema().title().and_then(|f| text_of(f.name)).unwrap_or_default();
        let mut text = title.clone();
        let titled = self.schema().title().map(|f| f.name);
        for field in self.schema().fields.iter().filter(|f| !f.personal) {
            if is_searched(field) && Some(field.name) != titled {
                gather(&json[field.name], &mut text);
            }
        }
        let dated = |f: &&Field| f.value == ValueType::Date && !f.personal;
        let days = self.schema().fields.iter().filter(dated);
        let day = days.filter_map(|f| text_of(f.name)).next();
        Some(Findable { title, text, unit: self.owner(), column: text_of("column"), day })
    }
}

/// Texts, not codes, ids or numbers.
fn is_searched(field: &Field) -> bool {
    match field.value {
        ValueType::Text => true,
        ValueType::Object(parts) => parts.iter().any(is_searched),
        _ => field.merge == Merge::Text,
    }
}

/// All texts in a value.
fn gather(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push('\n');
            out.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, out)),
        Value::Object(parts) => parts.values().for_each(|part| gather(part, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Edits, schema_named};
    use serde_json::json;

    #[test]
    fn han_runs_become_pairs_and_other_words_stay() {
        assert_eq!(terms("国门先锋，QUIC 2018年"), "国门 门先 先锋 锋 quic 2018 年");
        assert_eq!(terms("  "), "");
        assert_eq!(question("国门先锋").unwrap(), "\"国门 门先 先锋\"");
        assert_eq!(question("雪").unwrap(), "\"雪\"*");
        assert_eq!(question("雪夜 Qu").unwrap(), "\"雪夜\" AND \"qu\"*");
        assert_eq!(question("，。\"*"), None);
    }

    #[test]
    fn a_snippet_shows_where_the_words_are() {
        let text = "今天上午，支部党员冒着大雪进山。".repeat(5);
        let found = snippet(&text, "大雪").unwrap();
        assert_eq!(found.text.chars().count(), SNIPPET_CHARS);
        let marked = |(at, count): &(usize, usize)| -> String {
            found.text.chars().skip(*at).take(*count).collect()
        };
        assert!(!found.marks.is_empty());
        assert!(found.marks.iter().all(|mark| marked(mark) == "大雪"));
        assert_eq!(snippet("The Snow Night", "snow").unwrap().marks, [(4, 4)]);
        assert_eq!(snippet("晴", "雪"), None);
    }

    #[test]
    fn what_is_personal_or_withdrawn_is_found_by_nobody() {
        let make = |kind: &str, fields: Value| {
            let schema = schema_named(kind).unwrap();
            let mut record = Record::new(schema);
            let edits = Edits::from_json(schema, &fields).unwrap();
            record.edit([1; 16], 1, "a", &edits).unwrap();
            record.findable()
        };
        let member = make("member", json!({"name": "王海", "phone": "13800138000", "job": "科长"}));
        let member = member.unwrap();
        assert_eq!(member.title, "王海");
        assert!(member.text.contains("科长") && !member.text.contains("138"));
        let post = make(
            "post",
            json!({"title": "雪夜", "column": "style", "written": "2018-03-05",
            "body": "进山", "tags": ["缉私"]}),
        );
        let post = post.unwrap();
        assert_eq!(
            (post.column.as_deref(), post.day.as_deref()),
            (Some("style"), Some("2018-03-05"))
        );
        assert!(post.text.contains("进山") && post.text.contains("缉私"));
        assert_eq!(make("post", json!({"title": "雪夜", "status": "withdrawn"})), None);
    }
}
