//! Published posts as an Atom feed (RFC 4287), withdrawn ones as deleted entries (RFC 6721).
//!
//! What is in it is the approved text, not what its author is working on. An entry's id follows from the
//! record's alone, so readers that have it learn that it is gone, wherever they took it from.

use super::markdown::{escaped, html};
use super::published::{Published, published};
use crate::records::{RecordError, Records};
use fenbu_protocol::directory::Directory;
use fenbu_protocol::record::schema_named;
use fenbu_protocol::sheet::{Lang, zoned};
use serde_json::Value;
use std::fmt::Write;

/// The newest so many entries, living and deleted together.
const ENTRIES_MAX: usize = 200;

/// Which posts.
#[derive(Debug, Clone, Default)]
pub struct FeedOf {
    /// Code of a column.
    pub column: Option<String>,
    /// Code of the unit that made them.
    pub unit: Option<String>,
}

/// The feed of these posts, the newest first.
pub fn feed(records: &Records, of: &FeedOf, lang: Lang) -> Result<String, RecordError> {
    // INVARIANT: the kind is in the protocol's table.
    let schema = schema_named("post").expect("a kind of this version");
    let directory = records.shared.directory.now();
    let mut entries: Vec<(u64, String)> = Vec::new();
    records.each_published(schema, |shown| {
        let unit = shown.record.owner();
        if of.unit.is_some() && of.unit != unit {
            return;
        }
        let id = urn(&shown.document.to_string());
        match published(shown) {
            Published::Out { since_ms, fields } => {
                if of.column.as_deref().is_none_or(|wanted| fields["column"] == wanted) {
                    entries.push((since_ms, entry(&id, since_ms, &fields, unit.as_deref())));
                }
            }
            // Also where it was in another column before: it is gone from there too.
            Published::Gone { when_ms } => entries.push((when_ms, deleted(&id, when_ms))),
            Published::Never => {}
        }
    })?;
    entries.sort_by(|a, b| b.cmp(a));
    entries.truncate(ENTRIES_MAX);
    let mut out = head(&directory, of, entries.first().map_or(0, |(ms, _)| *ms), lang);
    for (_, entry) in entries {
        out.push_str(&entry);
    }
    out.push_str("</feed>\n");
    Ok(out)
}

/// What stands above the entries: the feed's name and id follow from what it is of.
fn head(directory: &Directory, of: &FeedOf, updated_ms: u64, lang: Lang) -> String {
    let column = of.column.as_deref().map(|code| {
        let field = schema_named("post").and_then(|s| s.field("column"));
        field.and_then(|f| f.code(code)).map_or(code, |c| lang.pick(c.zh, c.en)).to_owned()
    });
    let unit = |code: &String| directory.unit(code).map_or(code, |unit| &unit.name).clone();
    let parts = [Some(directory.name().to_owned()), of.unit.as_ref().map(unit), column];
    let title = parts.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let scope = [of.unit.as_deref(), of.column.as_deref()].map(|part| part.unwrap_or("*"));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" \
         xmlns:at=\"http://purl.org/atompub/tombstones/1.0\">\n<title>{}</title>\n\
         <id>urn:fenbu:{}:{}</id>\n<updated>{}</updated>\n<author><name>{}</name></author>\n",
        escaped(&title),
        directory.federation(),
        escaped(&scope.join(":")),
        rfc3339(updated_ms),
        escaped(directory.name()),
    )
}

fn entry(id: &str, since_ms: u64, fields: &Value, unit: Option<&str>) -> String {
    let text = |name: &str| escaped(fields[name].as_str().unwrap_or_default());
    let mut out = format!(
        "<entry>\n<id>{id}</id>\n<title>{}</title>\n<published>{at}</published>\n\
         <updated>{at}</updated>\n",
        text("title"),
        at = rfc3339(since_ms),
    );
    let bylines = fields["bylines"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let authors: Vec<_> = bylines.collect();
    let authors = if authors.is_empty() { unit.into_iter().collect() } else { authors };
    for author in authors {
        let _ = writeln!(out, "<author><name>{}</name></author>", escaped(author));
    }
    if let Some(column) = fields["column"].as_str() {
        let _ = writeln!(out, "<category term=\"{}\"/>", escaped(column));
    }
    let body = html(fields["body"].as_str().unwrap_or_default());
    let _ = writeln!(out, "<content type=\"html\">{}</content>\n</entry>", escaped(&body));
    out
}

fn deleted(id: &str, when_ms: u64) -> String {
    format!("<at:deleted-entry ref=\"{id}\" when=\"{}\"/>\n", rfc3339(when_ms))
}

/// A record's id as a UUID's name.
fn urn(hex: &str) -> String {
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
    format!("urn:uuid:{}", parts.join("-"))
}

fn rfc3339(ms: u64) -> String {
    let text = zoned((ms / 1000 * 1000) as i64, 0).replace(' ', "T");
    let seconds = if text.len() == 16 { ":00" } else { "" };
    format!("{text}{seconds}Z")
}
