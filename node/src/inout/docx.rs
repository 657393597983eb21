//! Posts and minutes as documents that Word, WPS and LibreOffice open.
//!
//! Markdown's blocks become paragraphs with styles of the document's own, so that a person restyles all
//! of them at once. Nothing in the document leads out of it but links, which are text.

mod parts;

use super::markdown::{escaped, events};
use super::table::TableError;
use crate::records::Shown;
use fenbu_protocol::record::Field;
use fenbu_protocol::sheet::{Lang, show};
use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use serde_json::Value;
use std::fmt::Write as _;

/// Lists of a document that may begin at one again; numbering of later ones goes on.
const LISTS_MAX: u32 = 200;

/// What stands above the text: a title, and lines below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Heading {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
}

/// A document of these Markdown parts, each under its own title if it has one.
///
/// # Errors
/// If it could not be packed.
pub(super) fn document(
    heading: &Heading,
    parts: &[(String, String)],
) -> Result<Vec<u8>, TableError> {
    let mut body = Body::default();
    body.plain("Title", &heading.title);
    for line in heading.lines.iter().filter(|line| !line.is_empty()) {
        body.plain("Subtitle", line);
    }
    for (title, text) in parts.iter().filter(|(_, text)| !text.trim().is_empty()) {
        if !title.is_empty() {
            body.plain("Heading1", title);
        }
        body.markdown(text);
    }
    parts::packed(&body.out, &body.counted).map_err(|e| TableError::Write { why: e.to_string() })
}

/// A post as it stands: title, authors, text.
///
/// # Errors
/// If it could not be packed.
pub fn post(post: &Shown, lang: Lang) -> Result<Vec<u8>, TableError> {
    let fields = Fields::of(post, lang);
    let heading = Heading {
        title: fields.text("title"),
        lines: vec![fields.text("bylines"), fields.text("written")],
    };
    document(&heading, &[(String::new(), fields.text("body"))])
}

/// The minutes of a meeting: what it was, who was there, what was decided, what is to be done.
///
/// # Errors
/// If it could not be packed.
pub fn minutes(meeting: &Shown, lang: Lang) -> Result<Vec<u8>, TableError> {
    let fields = Fields::of(meeting, lang);
    let title = match fields.text("title") {
        title if title.is_empty() => fields.text("kind"),
        title => title,
    };
    let told = [
        "kind", "branch", "number", "topic", "lecturer", "place", "start", "end", "host",
        "recorder",
    ];
    let lines = told.iter().filter_map(|name| {
        let text = fields.text(name);
        (!text.is_empty()).then(|| format!("{}{}{text}", fields.label(name), lang.pick("：", ": ")))
    });
    let heading = Heading { title, lines: lines.collect() };
    let listed = ["agenda", "expected", "observers", "attendance", "decisions", "actions"];
    let mut parts: Vec<_> =
        listed.iter().map(|name| (fields.label(name), fields.listed(name))).collect();
    parts.push((fields.label("minutes"), fields.text("minutes")));
    document(&heading, &parts)
}

/// A record's fields as readers see them.
struct Fields<'a> {
    shown: &'a Shown,
    json: Value,
    lang: Lang,
}

impl<'a> Fields<'a> {
    fn of(shown: &'a Shown, lang: Lang) -> Self {
        Self { shown, json: shown.record.to_json(), lang }
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.shown.record.schema().field(name)
    }

    fn label(&self, name: &str) -> String {
        let label = |f: &'static Field| self.lang.pick(f.label_zh, f.label_en);
        self.field(name).map(label).unwrap_or_default().to_owned()
    }

    fn text(&self, name: &str) -> String {
        let text = |f: &'static Field| show(f, &self.json[name], self.lang);
        self.field(name).map(text).unwrap_or_default()
    }

    /// Items of a list, or entries of a map, as Markdown's points.
    fn listed(&self, name: &str) -> String {
        let Some(field) = self.field(name) else { return String::new() };
        let one = |value: Value| show(field, &value, self.lang);
        let items: Vec<String> = match &self.json[name] {
            Value::Array(items) => {
                items.iter().map(|item| one(Value::Array(vec![item.clone()]))).collect()
            }
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    one(Value::Object([(key.clone(), value.clone())].into_iter().collect()))
                };
                entries.iter().map(entry).collect()
            }
            _ => Vec::new(),
        };
        items.iter().map(|item| format!("- {}\n", verbatim(item))).collect()
    }
}

/// A text as Markdown that says just this.
fn verbatim(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            c if c.is_ascii_punctuation() => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The document's paragraphs as they grow.
#[derive(Debug, Default)]
struct Body {
    out: String,
    /// Whether a paragraph is open.
    open: bool,
    bold: u32,
    italic: u32,
    strike: u32,
    code: u32,
    quote: u32,
    /// The number of each list around, innermost last.
    lists: Vec<u32>,
    /// Whether each list that was begun counts.
    counted: Vec<bool>,
    /// Whether the next paragraph begins an item.
    item: bool,
    /// Where a link leads, and where its text begins.
    links: Vec<(String, usize)>,
}

impl Body {
    fn plain(&mut self, style: &str, text: &str) {
        let _ = write!(self.out, "<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr>");
        self.open = true;
        self.text(text);
        self.close();
    }

    fn close(&mut self) {
        if self.open {
            self.out.push_str("</w:p>\n");
            self.open = false;
        }
    }

    /// Begins a paragraph in a style, or in the one of what is around.
    fn begin(&mut self, style: Option<&str>) {
        self.close();
        self.out.push_str("<w:p><w:pPr>");
        let style = style.or((self.quote > 0).then_some("Quote"));
        if let Some(style) = style {
            let _ = write!(self.out, "<w:pStyle w:val=\"{style}\"/>");
        }
        let level = self.lists.len().saturating_sub(1).min(parts::LEVELS_MAX - 1);
        match self.lists.last() {
            Some(list) if self.item => {
                let _ = write!(
                    self.out,
                    "<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{list}\"/></w:numPr>"
                );
            }
            Some(_) => {
                let _ = write!(self.out, "<w:ind w:left=\"{}\"/>", 420 * (level + 1));
            }
            None => {}
        }
        self.item = false;
        self.out.push_str("</w:pPr>");
        self.open = true;
    }

    fn text(&mut self, text: &str) {
        if !self.open {
            self.begin(None);
        }
        self.out.push_str("<w:r>");
        let marks = [(self.bold, "<w:b/>"), (self.italic, "<w:i/>"), (self.strike, "<w:strike/>")];
        let marks: String = marks.iter().filter(|(n, _)| *n > 0).map(|(_, mark)| *mark).collect();
        let code = if self.code > 0 { "<w:rStyle w:val=\"Code\"/>" } else { "" };
        if !marks.is_empty() || !code.is_empty() {
            let _ = write!(self.out, "<w:rPr>{code}{marks}</w:rPr>");
        }
        for (at, line) in text.trim_end_matches('\n').split('\n').enumerate() {
            if at > 0 {
                self.out.push_str("<w:br/>");
            }
            let _ = write!(self.out, "<w:t xml:space=\"preserve\">{}</w:t>", escaped(line));
        }
        self.out.push_str("</w:r>");
    }

    fn markdown(&mut self, text: &str) {
        for event in events(text) {
            match event {
                Event::Start(tag) => self.start(tag),
                Event::End(tag) => self.end(tag),
                Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
                Event::Code(text) => {
                    self.code += 1;
                    self.text(&text);
                    self.code -= 1;
                }
                // A line end within a Chinese paragraph is none.
                Event::SoftBreak if ends_in_latin(&self.out) => self.text(" "),
                Event::HardBreak => self.out.push_str("<w:r><w:br/></w:r>"),
                Event::Rule => self.plain("Rule", ""),
                _ => {}
            }
        }
        self.close();
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.begin(None),
            Tag::Heading { level, .. } => self.begin(Some(style_of(level))),
            Tag::CodeBlock(_) => {
                self.begin(Some("CodeBlock"));
                self.code += 1;
            }
            Tag::BlockQuote(_) => self.quote += 1,
            Tag::List(first) => {
                self.close();
                let known = self.counted.len() as u32 + 1;
                if known <= LISTS_MAX {
                    self.counted.push(first.is_some());
                }
                self.lists.push(known.min(LISTS_MAX));
            }
            Tag::Item => {
                self.close();
                self.item = true;
            }
            Tag::Emphasis => self.italic += 1,
            Tag::Strong => self.bold += 1,
            Tag::Strikethrough => self.strike += 1,
            Tag::Link { dest_url, .. } => self.links.push((dest_url.to_string(), self.out.len())),
            Tag::Table(_) => {
                self.close();
                self.out.push_str("<w:tbl><w:tblPr><w:tblStyle w:val=\"Grid\"/></w:tblPr>\n");
            }
            Tag::TableHead | Tag::TableRow => self.out.push_str("<w:tr>"),
            Tag::TableCell => {
                self.out.push_str("<w:tc>");
                self.begin(None);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) => self.close(),
            TagEnd::CodeBlock => {
                self.code -= 1;
                self.close();
            }
            TagEnd::BlockQuote(_) => {
                self.close();
                self.quote -= 1;
            }
            TagEnd::List(_) => {
                self.close();
                self.lists.pop();
            }
            TagEnd::Item => {
                if self.item {
                    self.begin(None);
                }
                self.close();
            }
            TagEnd::Emphasis => self.italic -= 1,
            TagEnd::Strong => self.bold -= 1,
            TagEnd::Strikethrough => self.strike -= 1,
            TagEnd::Link => {
                if let Some((to, from)) = self.links.pop()
                    && !self.out[from..].contains(&escaped(&to))
                {
                    self.text(&format!(" ({to})"));
                }
            }
            TagEnd::Table => self.out.push_str("</w:tbl>\n"),
            TagEnd::TableHead | TagEnd::TableRow => self.out.push_str("</w:tr>\n"),
            TagEnd::TableCell => {
                self.close();
                self.out.push_str("</w:tc>");
            }
            _ => {}
        }
    }
}

/// Whether the text so far ends in a character that a blank separates from the next.
fn ends_in_latin(out: &str) -> bool {
    let text = out.strip_suffix("</w:t></w:r>");
    text.and_then(|text| text.chars().next_back()).is_some_and(|c| c.is_ascii())
}

fn style_of(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "Heading1",
        HeadingLevel::H2 => "Heading2",
        _ => "Heading3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Read};

    /// The text of a document's paragraphs, and every part checked for being XML.
    fn opened(bytes: &[u8]) -> String {
        let mut pack = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut main = String::new();
        for at in 0..pack.len() {
            let mut part = pack.by_index(at).unwrap();
            let mut text = String::new();
            part.read_to_string(&mut text).unwrap();
            let mut reader = quick_xml::Reader::from_str(&text);
            let mut depth = 0i32;
            loop {
                match reader.read_event().expect("well formed") {
                    quick_xml::events::Event::Start(_) => depth += 1,
                    quick_xml::events::Event::End(_) => depth -= 1,
                    quick_xml::events::Event::Eof => break,
                    _ => {}
                }
            }
            assert_eq!(depth, 0, "part {at}");
            if part.name().unwrap() == "word/document.xml" {
                main = text.clone();
            }
        }
        main
    }

    fn of(text: &str) -> String {
        let heading = Heading { title: "题 <1>".into(), lines: vec!["甲".into()] };
        opened(&document(&heading, &[("节".into(), text.into())]).unwrap())
    }

    #[test]
    fn blocks_become_paragraphs_with_styles() {
        let main = of(
            "# 大\n\n一**重**段\n接着\n\n- 点\n- 点二\n\n1. 数\n\n> 引\n\n| a | b |\n|---|---|\n| c | d |\n",
        );
        assert!(main.contains("题 &lt;1&gt;"), "{main}");
        assert!(
            main.contains("<w:rPr><w:b/></w:rPr><w:t xml:space=\"preserve\">重</w:t>"),
            "{main}"
        );
        for style in ["Title", "Subtitle", "Heading1", "Quote"] {
            assert!(main.contains(&format!("<w:pStyle w:val=\"{style}\"/>")), "{style}");
        }
        assert_eq!(main.matches("<w:numId w:val=\"1\"/>").count(), 2, "{main}");
        assert_eq!(main.matches("<w:numId w:val=\"2\"/>").count(), 1, "{main}");
        assert_eq!(main.matches("<w:tc>").count(), 4, "{main}");
    }

    proptest! {
        #[test]
        fn every_text_makes_a_document_that_opens(text in "[a\u{4e00} \n#*_>`|~\\-0-9.\\[\\]()<&\u{1}]{0,80}") {
            let main = of(&text);
            prop_assert_eq!(main.matches("<w:p>").count(), main.matches("</w:p>").count());
        }
    }
}
