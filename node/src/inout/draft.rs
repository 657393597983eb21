//! A document from Word, WPS or LibreOffice as a draft: its title and its text in Markdown.
//!
//! Headings, lists, tables, bold and italic are kept; colours, sizes and boxes are not, and pictures are
//! counted and left out. Text that was struck out while changes were tracked is not there any more.

use super::pack::{self, PackError};
use super::table::{Line, Table, TableError};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;
use std::io::Read;

/// What a document may unpack to, in MiB: text of a megabyte, and photographs.
const UNPACKED_MIB_MAX: u64 = 64;
/// Characters of a paragraph that can be a title.
const TITLE_CHARS_MAX: usize = 100;
/// Within these nothing is text of the document, or it is there a second time.
const SKIPPED: [&str; 6] =
    ["w:drawing", "w:pict", "w:object", "mc:Fallback", "w:moveFrom", "w:del"];
/// Of these, pictures.
const PICTURES: [&str; 3] = ["w:drawing", "w:pict", "w:object"];

/// What becomes a post.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Pictures that are not in it.
    pub pictures: usize,
}

/// Reads a document.
///
/// # Errors
/// If it is none, or unpacks to too much.
pub fn read(bytes: &[u8]) -> Result<Draft, TableError> {
    let broken = |why: String| TableError::Document { why };
    let mut pack = match pack::open(bytes, UNPACKED_MIB_MAX) {
        Ok(pack) => pack,
        Err(PackError::Bomb) => return Err(TableError::Bomb { max: UNPACKED_MIB_MAX }),
        Err(PackError::Broken(why)) => return Err(broken(why)),
    };
    let mut part = |name: &str| -> Option<String> {
        let mut text = String::new();
        pack.by_name(name).ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let main = part("word/document.xml").ok_or_else(|| broken("no word/document.xml".into()))?;
    let styles = part("word/styles.xml").map(|text| styles_of(&text)).unwrap_or_default();
    let lists = part("word/numbering.xml").map(|text| lists_of(&text)).unwrap_or_default();
    let mut reading = Reading { styles, lists, ..Reading::default() };
    reading.document(&main).map_err(|e| broken(e.to_string()))?;
    Ok(reading.draft())
}

impl Draft {
    /// As a sheet of one post.
    ///
    /// # Errors
    /// If there is nothing to be a title.
    pub fn table(self) -> Result<Table, TableError> {
        if self.title.is_empty() {
            return Err(TableError::NoText);
        }
        let line = Line { row: 1, cells: vec![self.title, self.body], wrong: Vec::new() };
        Ok(Table { names: vec!["title".to_owned(), "body".to_owned()], lines: vec![line] })
    }
}

/// What a style makes of a paragraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Title,
    Heading(usize),
    Bullets,
    Numbers,
}

fn val(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok().flatten()?;
    // Names, ids and numbers: none has a character that would have to be escaped.
    Some(attribute.value.into_owned())
}

/// Whether a switch such as `<w:b/>` is on.
fn is_on(tag: &BytesStart<'_>) -> bool {
    !matches!(val(tag, "w:val").as_deref(), Some("0" | "false" | "none"))
}

/// Styles that mean something, by their ids: by their names, which every program keeps in English, or
/// by their place in the outline.
fn styles_of(text: &str) -> BTreeMap<String, Style> {
    let mut out = BTreeMap::new();
    let (mut reader, mut id) = (Reader::from_str(text), String::new());
    while let Ok(event) = reader.read_event() {
        let (Event::Start(tag) | Event::Empty(tag)) = event else {
            if matches!(event, Event::Eof) {
                break;
            }
            continue;
        };
        match tag.name().as_ref() {
            "w:style" => id = val(&tag, "w:styleId").unwrap_or_default(),
            "w:name" => {
                let name = val(&tag, "w:val").unwrap_or_default().to_lowercase();
                let style = match name.as_str() {
                    "title" => Some(Style::Title),
                    name if name.starts_with("list bullet") => Some(Style::Bullets),
                    name if name.starts_with("list number") => Some(Style::Numbers),
                    name => {
                        let level = name.strip_prefix("heading ").and_then(|n| n.parse().ok());
                        level.map(|n: usize| Style::Heading(n.clamp(1, 6)))
                    }
                };
                out.extend(style.map(|style| (id.clone(), style)));
            }
            "w:outlineLvl" => {
                if let Some(level) = val(&tag, "w:val").and_then(|n| n.parse::<usize>().ok())
                    && level < 6
                {
                    out.entry(id.clone()).or_insert(Style::Heading(level + 1));
                }
            }
            _ => {}
        }
    }
    out
}

/// Which lists count, by their ids and levels.
fn lists_of(text: &str) -> BTreeMap<(String, String), bool> {
    let (mut forms, mut out) = (BTreeMap::new(), BTreeMap::new());
    let mut reader = Reader::from_str(text);
    let (mut form, mut level, mut list) = (String::new(), String::new(), String::new());
    while let Ok(event) = reader.read_event() {
        let (Event::Start(tag) | Event::Empty(tag)) = event else {
            if matches!(event, Event::Eof) {
                break;
            }
            continue;
        };
        match tag.name().as_ref() {
            "w:abstractNum" => form = val(&tag, "w:abstractNumId").unwrap_or_default(),
            "w:lvl" => level = val(&tag, "w:ilvl").unwrap_or_default(),
            "w:numFmt" => {
                let counts = !matches!(val(&tag, "w:val").as_deref(), Some("bullet" | "none"));
                forms.entry((form.clone(), level.clone())).or_insert(counts);
            }
            "w:num" => list = val(&tag, "w:numId").unwrap_or_default(),
            "w:abstractNumId" => {
                let of = val(&tag, "w:val").unwrap_or_default();
                let levels = forms.iter().filter(|((form, _), _)| *form == of);
                let levels =
                    levels.map(|((_, level), counts)| ((list.clone(), level.clone()), *counts));
                out.extend(levels.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    out
}

/// A stretch of text that looks the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run {
    text: String,
    bold: bool,
    italic: bool,
}

#[derive(Debug, Clone, Default)]
struct Paragraph {
    runs: Vec<Run>,
    style: Option<String>,
    outline: Option<usize>,
    list: Option<String>,
    level: usize,
}

#[derive(Debug, Default)]
struct Reading {
    styles: BTreeMap<String, Style>,
    lists: BTreeMap<(String, String), bool>,
    /// Elements around, of which those within are skipped.
    skipped: usize,
    pictures: usize,
    paragraph: Paragraph,
    run: Option<Run>,
    in_text: bool,
    /// Cells of each table around, innermost last: rows of cells.
    tables: Vec<Vec<Vec<String>>>,
    title: Option<String>,
    blocks: Vec<Block>,
}

/// A block of Markdown; items of lists stand close together.
#[derive(Debug)]
struct Block {
    text: String,
    item: bool,
}

impl Reading {
    fn document(&mut self, text: &str) -> Result<(), quick_xml::Error> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event()? {
                Event::Start(tag) => self.start(&tag, false),
                Event::Empty(tag) => self.start(&tag, true),
                Event::End(tag) => self.end(tag.name().as_ref()),
                Event::Text(text) => self.text(&text),
                Event::CData(text) => self.text(&text),
                Event::GeneralRef(name) => match (name.resolve_char_ref(), name.as_ref()) {
                    (Ok(Some(c)), _) => self.text(&c.to_string()),
                    (_, "amp") => self.text("&"),
                    (_, "lt") => self.text("<"),
                    (_, "gt") => self.text(">"),
                    (_, "quot") => self.text("\""),
                    (_, "apos") => self.text("'"),
                    // There are no others in such documents; one that is made up stands for nothing.
                    _ => {}
                },
                Event::Eof => return Ok(()),
                _ => {}
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let (true, 0, Some(run)) = (self.in_text, self.skipped, &mut self.run) {
            run.text.push_str(text);
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, empty: bool) {
        let name = tag.name();
        let name = name.as_ref();
        if self.skipped > 0 || SKIPPED.contains(&name) {
            self.pictures += usize::from(self.skipped == 0 && PICTURES.contains(&name));
            self.skipped += usize::from(!empty);
            return;
        }
        let number = |tag| val(tag, "w:val").and_then(|n| n.parse::<usize>().ok());
        match (name, &mut self.run) {
            ("w:p", _) => self.paragraph = Paragraph::default(),
            ("w:r", _) if !empty => self.run = Some(Run::default()),
            ("w:t", _) => self.in_text = !empty,
            ("w:b", Some(run)) => run.bold = is_on(tag),
            ("w:i", Some(run)) => run.italic = is_on(tag),
            ("w:br" | "w:cr", Some(run)) => run.text.push('\n'),
            ("w:tab", Some(run)) => run.text.push(' '),
            ("w:pStyle", _) => self.paragraph.style = val(tag, "w:val"),
            ("w:outlineLvl", _) => self.paragraph.outline = number(tag).filter(|n| *n < 6),
            ("w:numId", _) => self.paragraph.list = val(tag, "w:val").filter(|id| id != "0"),
            ("w:ilvl", _) => self.paragraph.level = number(tag).unwrap_or(0).min(8),
            ("w:tbl", _) => self.tables.push(Vec::new()),
            ("w:tr", _) => {
                self.tables.iter_mut().last().into_iter().for_each(|t| t.push(Vec::new()))
            }
            ("w:tc", _) => self.row().into_iter().for_each(|row| row.push(String::new())),
            _ => {}
        }
    }

    fn row(&mut self) -> Option<&mut Vec<String>> {
        self.tables.last_mut()?.last_mut()
    }

    fn end(&mut self, name: &str) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "w:t" => self.in_text = false,
            "w:r" => {
                let run = self.run.take().unwrap_or_default();
                match self.paragraph.runs.last_mut() {
                    Some(last) if (last.bold, last.italic) == (run.bold, run.italic) => {
                        last.text.push_str(&run.text);
                    }
                    _ if run.text.is_empty() => {}
                    _ => self.paragraph.runs.push(run),
                }
            }
            "w:p" => {
                let paragraph = std::mem::take(&mut self.paragraph);
                self.finished(&paragraph);
            }
            "w:tbl" => {
                let table = self.tables.pop().unwrap_or_default();
                let text = table_of(&table);
                match self.row().and_then(|row| row.last_mut()) {
                    // A table within a table: its text.
                    Some(cell) => cell.push_str(&table.concat().join(" ")),
                    None if text.is_empty() => {}
                    None => self.blocks.push(Block { text, item: false }),
                }
            }
            _ => {}
        }
    }

    fn finished(&mut self, paragraph: &Paragraph) {
        let plain: String = paragraph.runs.iter().map(|run| run.text.as_str()).collect();
        let plain = plain.trim();
        if plain.is_empty() {
            return;
        }
        let style = paragraph.style.as_ref().and_then(|id| self.styles.get(id)).copied();
        if let Some(cell) =
            self.tables.last_mut().and_then(|t| t.last_mut()).and_then(|r| r.last_mut())
        {
            cell.push_str(if cell.is_empty() { "" } else { " " });
            cell.push_str(&escaped(&plain.replace('\n', " ")));
            return;
        }
        let first = self.title.is_none() && self.blocks.is_empty();
        let heading = match (style, paragraph.outline) {
            (Some(Style::Heading(level)), _) => Some(level),
            (_, Some(level)) => Some(level + 1),
            _ => None,
        };
        let can_be = first && plain.chars().count() <= TITLE_CHARS_MAX && paragraph.list.is_none();
        if (style == Some(Style::Title) && self.title.is_none()) || can_be {
            self.title = Some(plain.replace('\n', " "));
            return;
        }
        let listed = self.listed(paragraph, style).filter(|_| heading.is_none());
        let text = match (heading, listed) {
            (Some(level), _) => {
                format!("{} {}", "#".repeat(level), escaped(&plain.replace('\n', " ")))
            }
            (_, Some(counts)) => {
                let mark = if counts { "1." } else { "-" };
                let indent = "    ".repeat(paragraph.level);
                let text = marked(&paragraph.runs).replace('\n', &format!("\n{indent}    "));
                format!("{indent}{mark} {text}")
            }
            _ => marked(&paragraph.runs),
        };
        self.blocks.push(Block { text, item: listed.is_some() });
    }

    /// Whether a paragraph is an item of a list, and whether that list counts.
    fn listed(&self, paragraph: &Paragraph, style: Option<Style>) -> Option<bool> {
        match (&paragraph.list, style) {
            (Some(id), _) => {
                let key = (id.clone(), paragraph.level.to_string());
                Some(self.lists.get(&key).copied().unwrap_or(false))
            }
            (None, Some(Style::Bullets)) => Some(false),
            (None, Some(Style::Numbers)) => Some(true),
            _ => None,
        }
    }

    fn draft(self) -> Draft {
        let mut body = String::new();
        let mut before = false;
        for block in &self.blocks {
            if !body.is_empty() {
                body.push_str(if before && block.item { "\n" } else { "\n\n" });
            }
            body.push_str(&block.text);
            before = block.item;
        }
        let cut = || self.blocks.first().map(|b| b.text.chars().take(TITLE_CHARS_MAX).collect());
        let title = self.title.clone().or_else(cut).unwrap_or_default();
        Draft { title, body, pictures: self.pictures }
    }
}

/// Runs as Markdown: marks stand close to the text they mark.
fn marked(runs: &[Run]) -> String {
    let mut out = String::new();
    for run in runs {
        let inner = run.text.trim();
        let mark = match (run.bold, run.italic) {
            _ if inner.is_empty() => "",
            (true, true) => "***",
            (true, false) => "**",
            (false, true) => "*",
            (false, false) => "",
        };
        let start = run.text.len() - run.text.trim_start().len();
        let (before, rest) = run.text.split_at(start);
        let (inner, after) = rest.split_at(rest.trim_end().len());
        out.push_str(before);
        out.push_str(mark);
        out.push_str(&escaped(inner));
        out.push_str(mark);
        out.push_str(after);
    }
    // Two blanks at a line's end keep it.
    out.trim().split('\n').map(str::trim).collect::<Vec<_>>().join("  \n")
}

/// A text as Markdown that says just this.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        let always = matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '~' | '|' | '&');
        let begins = start && matches!(c, '#' | '-' | '+' | '>' | '=');
        // `1.` at the start of a line would be a list.
        let number = matches!(c, '.' | ')') && {
            let line = out.rsplit('\n').next().unwrap_or_default().trim_start();
            !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit())
        };
        if always || begins || number {
            out.push('\\');
        }
        out.push(c);
        start = c == '\n' || (start && c.is_whitespace());
    }
    out
}

/// Rows of cells as Markdown; the first row is the heading.
fn table_of(rows: &[Vec<String>]) -> String {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    if width == 0 {
        return String::new();
    }
    let line = |row: &Vec<String>| {
        let cells = (0..width).map(|at| row.get(at).map_or("", String::as_str));
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1, format!("|{}", "---|".repeat(width)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::docx::{Heading, document};
    use super::super::markdown::html;
    use super::*;
    use proptest::prelude::*;

    fn through(body: &str) -> Draft {
        let heading = Heading { title: "题".into(), lines: Vec::new() };
        read(&document(&heading, &[(String::new(), body.into())]).unwrap()).unwrap()
    }

    fn block() -> impl Strategy<Value = String> {
        let text = "[一-十a-z]{1,6}";
        prop_oneof![
            text.prop_map(|t: String| t),
            text.prop_map(|t| format!("## {t}")),
            (text, text).prop_map(|(a, b)| format!("{a} **{b}** {a} *{b}*")),
            prop::collection::vec(text, 1..4)
                .prop_map(|all| all.iter().map(|t| format!("- {t}\n")).collect()),
            prop::collection::vec(text, 1..4)
                .prop_map(|all| all.iter().map(|t| format!("1. {t}\n")).collect()),
            (text, text).prop_map(|(a, b)| format!("| {a} | {b} |\n|---|---|\n| {b} | {a} |\n")),
        ]
    }

    proptest! {
        #[test]
        fn what_we_write_reads_back_as_it_was(blocks in prop::collection::vec(block(), 1..6)) {
            // Between two lists there is a paragraph, or they are one.
            let body = blocks.join("\n\n间\n\n");
            let draft = through(&body);
            prop_assert_eq!(&draft.title, "题");
            let plain = |text: &str| html(text).replace('\n', "");
            prop_assert_eq!(plain(&draft.body), plain(&body), "{}", draft.body);
        }

        #[test]
        fn texts_say_only_themselves(text in "[a*_#`<\\[\\]().0-9|~>&=+ -]{1,30}") {
            let said = html(&escaped(text.trim()));
            for tag in ["<em", "<strong", "<code", "<h1", "<li", "<a ", "<del", "<hr", "<block"] {
                prop_assert!(!said.contains(tag), "{text:?}: {said}");
            }
        }

        #[test]
        fn no_file_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }

    #[test]
    fn what_word_writes_is_understood() {
        let body = "<w:p><w:pPr><w:pStyle w:val=\"a3\"/></w:pPr><w:r><w:t>雪夜 &amp; 缉私</w:t></w:r></w:p>\
            <w:p><w:pPr><w:pStyle w:val=\"1\"/></w:pPr><w:r><w:t>经过</w:t></w:r></w:p>\
            <w:p><w:r><w:rPr><w:b w:val=\"0\"/></w:rPr><w:t>一</w:t></w:r><w:r><w:t>二</w:t></w:r>\
            <w:del><w:r><w:delText>删</w:delText></w:r></w:del><w:r><w:drawing><w:p><w:r><w:t>框\
            </w:t></w:r></w:p></w:drawing></w:r><w:r><w:br/><w:t>三</w:t></w:r></w:p>";
        let main = format!("<w:document><w:body>{body}</w:body></w:document>");
        let styles = "<w:styles><w:style w:styleId=\"1\"><w:name w:val=\"heading 1\"/></w:style>\
            <w:style w:styleId=\"a3\"><w:name w:val=\"Title\"/></w:style></w:styles>";
        let mut reading = Reading { styles: styles_of(styles), ..Reading::default() };
        reading.document(&main).unwrap();
        let draft = reading.draft();
        assert_eq!(draft.title, "雪夜 & 缉私");
        assert_eq!(draft.body, "# 经过\n\n一二  \n三");
        assert_eq!(draft.pictures, 1);
    }
}
