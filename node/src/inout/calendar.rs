//! Meetings as an iCalendar (RFC 5545) that calendars subscribe to.
//!
//! An event's UID is the meeting's id, so it stays one event however the meeting is moved; its SEQUENCE
//! is the number of changes the record has seen, which only grows where they are seen; a meeting called
//! off stays, cancelled.

use crate::records::{RecordError, Records, home_name};
use fenbu_protocol::record::{Schema, schema_named};
use fenbu_protocol::sheet::{Lang, show, zoned};
use serde_json::Value;

/// Octets of a line before it is folded.
const LINE_OCTETS: usize = 75;
/// Milliseconds an event takes whose end nobody wrote.
const LENGTH_MS: i64 = 60 * 60_000;

/// Which meetings.
#[derive(Debug, Clone, Default)]
pub struct CalendarOf {
    pub branch: Option<String>,
    pub unit: Option<String>,
}

/// All meetings that have a time, in the order of their ids.
pub fn calendar(records: &Records, of: &CalendarOf, lang: Lang) -> Result<String, RecordError> {
    // INVARIANT: the kind is in the protocol's table.
    let schema = schema_named("meeting").expect("a kind of this version");
    let directory = records.shared.directory.now();
    let name = directory.name();
    let mut out = Lines::default();
    out.line("BEGIN:VCALENDAR");
    out.line("VERSION:2.0");
    out.line("PRODID:-//fenbu//fenbu//ZH");
    out.line("CALSCALE:GREGORIAN");
    out.line("METHOD:PUBLISH");
    out.text("X-WR-CALNAME", &format!("{name} {}", lang.pick("组织生活", "meetings")));
    records.each(schema, |shown| {
        if of.unit.is_some() && of.unit != home_name(&directory, &shown.space) {
            return;
        }
        let json = shown.record.to_json();
        if of.branch.as_deref().is_some_and(|wanted| json["branch"] != wanted) {
            return;
        }
        let event = Event {
            uid: format!("{}@{}", shown.document, shown.space),
            sequence: shown.record.history().len(),
            stamp_ms: shown.record.row().updated_ms,
        };
        event.write(schema, &json, lang, &mut out);
    })?;
    out.line("END:VCALENDAR");
    Ok(out.0)
}

/// What a calendar keeps an event by.
struct Event {
    uid: String,
    sequence: usize,
    stamp_ms: u64,
}

impl Event {
    fn write(&self, schema: &Schema, json: &Value, lang: Lang, out: &mut Lines) {
        let Some(start) = json["start"].as_i64().or_else(|| json["planned"].as_i64()) else {
            return;
        };
        let end = json["end"].as_i64().filter(|end| *end > start).unwrap_or(start + LENGTH_MS);
        let text = |name: &str| {
            let field = schema.field(name);
            field.map(|f| show(f, &json[name], lang)).unwrap_or_default()
        };
        let cancelled = json["status"] == "cancelled";
        let tentative = json["status"] == "postponed";
        out.line("BEGIN:VEVENT");
        out.line(&format!("UID:{}", self.uid));
        out.line(&format!("SEQUENCE:{}", self.sequence));
        out.line(&format!("DTSTAMP:{}", utc(self.stamp_ms as i64)));
        out.line(&format!("LAST-MODIFIED:{}", utc(self.stamp_ms as i64)));
        out.line(&format!("DTSTART:{}", utc(start)));
        out.line(&format!("DTEND:{}", utc(end)));
        out.line(match (cancelled, tentative) {
            (true, _) => "STATUS:CANCELLED",
            (_, true) => "STATUS:TENTATIVE",
            _ => "STATUS:CONFIRMED",
        });
        let (kind, title) = (text("kind"), text("title"));
        out.text("SUMMARY", if title.is_empty() { &kind } else { &title });
        out.text("LOCATION", &text("place"));
        out.text("CATEGORIES", &kind);
        let told = ["branch", "topic", "lecturer", "host", "recorder", "status"];
        let told = told.iter().filter_map(|name| {
            let (field, text) = (schema.field(name)?, text(name));
            let label = lang.pick(field.label_zh, field.label_en);
            (!text.is_empty()).then(|| format!("{label}{}{text}", lang.pick("：", ": ")))
        });
        out.text("DESCRIPTION", &told.collect::<Vec<_>>().join("\n"));
        out.line("END:VEVENT");
    }
}

/// `20181211T010000Z`.
fn utc(ms: i64) -> String {
    let text = zoned(ms.div_euclid(1000) * 1000, 0);
    let mut digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() == 12 {
        digits.push_str("00");
    }
    format!("{}T{}Z", &digits[..8], &digits[8..])
}

/// Content lines, folded.
#[derive(Debug, Default)]
struct Lines(String);

impl Lines {
    /// Folded between characters, so that each piece is text by itself.
    fn line(&mut self, line: &str) {
        let mut octets = 0;
        for c in line.chars() {
            if octets + c.len_utf8() > LINE_OCTETS {
                self.0.push_str("\r\n ");
                octets = 1;
            }
            self.0.push(c);
            octets += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }

    /// A property that is text, if there is any.
    fn text(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut line = format!("{name}:");
        for c in text.chars() {
            match c {
                '\\' | ';' | ',' => line.extend(['\\', c]),
                '\n' => line.push_str("\\n"),
                // A line end of its own would begin another property.
                c if c.is_control() => {}
                c => line.push(c),
            }
        }
        self.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_characters_and_texts_cannot_break_out() {
        let mut lines = Lines::default();
        lines.text("SUMMARY", &"党".repeat(40));
        lines.text("LOCATION", "a,b;c\\d\r\nBEGIN:VEVENT");
        for line in lines.0.split("\r\n") {
            assert!(line.len() <= LINE_OCTETS, "{line}");
        }
        let unfolded = lines.0.replace("\r\n ", "");
        assert!(unfolded.contains(&"党".repeat(40)));
        assert!(unfolded.contains("LOCATION:a\\,b\\;c\\\\d\\nBEGIN:VEVENT\r\n"), "{unfolded}");
    }

    #[test]
    fn instants_are_utc() {
        assert_eq!(utc(1_544_490_000_000), "20181211T010000Z");
        assert_eq!(utc(1_544_490_061_999), "20181211T010101Z");
    }
}
