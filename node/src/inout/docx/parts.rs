//! The parts of a document beside its text, and packing them.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use zip::write::SimpleFileOptions;

const WORD: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const MAIN: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml";

/// Levels of lists within lists.
pub(super) const LEVELS_MAX: usize = 9;

/// A document of these paragraphs, with lists of which some count.
pub(super) fn packed(paragraphs: &str, counted: &[bool]) -> zip::result::ZipResult<Vec<u8>> {
    let mut pack = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("[Content_Types].xml", types()),
        ("_rels/.rels", relations(&[("officeDocument", "word/document.xml")])),
        (
            "word/_rels/document.xml.rels",
            relations(&[("styles", "styles.xml"), ("numbering", "numbering.xml")]),
        ),
        ("word/document.xml", main_part(paragraphs)),
        ("word/styles.xml", styles()),
        ("word/numbering.xml", numbering(counted)),
    ] {
        pack.start_file(name, SimpleFileOptions::default())?;
        pack.write_all(text.as_bytes())?;
    }
    Ok(pack.finish()?.into_inner())
}

fn main_part(paragraphs: &str) -> String {
    format!(
        "{XML}<w:document {WORD}><w:body>\n{paragraphs}<w:sectPr><w:pgSz w:w=\"11906\" \
         w:h=\"16838\"/><w:pgMar w:top=\"2098\" w:right=\"1474\" w:bottom=\"1984\" w:left=\"1587\" \
         w:header=\"851\" w:footer=\"992\" w:gutter=\"0\"/></w:sectPr></w:body></w:document>\n"
    )
}

fn types() -> String {
    let part = |name: &str, kind: &str| {
        format!("<Override PartName=\"/word/{name}.xml\" ContentType=\"{MAIN}.{kind}+xml\"/>")
    };
    format!(
        "{XML}<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
         <Default Extension=\"rels\" \
         ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>{}{}{}</Types>\n",
        part("document", "document.main"),
        part("styles", "styles"),
        part("numbering", "numbering"),
    )
}

fn relations(all: &[(&str, &str)]) -> String {
    let one = |(at, (kind, target)): (usize, &(&str, &str))| {
        format!(
            "<Relationship Id=\"r{at}\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/\
             relationships/{kind}\" Target=\"{target}\"/>"
        )
    };
    let all: String = all.iter().enumerate().map(one).collect();
    format!(
        "{XML}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         {all}</Relationships>\n"
    )
}

/// What paragraphs and characters look like: the names are those every word processor knows.
fn styles() -> String {
    let paragraph = |id: &str, name: &str, ppr: &str, rpr: &str| {
        format!(
            "<w:style w:type=\"paragraph\" w:styleId=\"{id}\"><w:name w:val=\"{name}\"/>\
             <w:basedOn w:val=\"Normal\"/><w:pPr>{ppr}</w:pPr><w:rPr>{rpr}</w:rPr></w:style>\n"
        )
    };
    let heading = |level: u32, size: u32| {
        let ppr = format!("<w:keepNext/><w:outlineLvl w:val=\"{}\"/>", level - 1);
        let rpr = format!("<w:b/><w:sz w:val=\"{size}\"/>");
        paragraph(&format!("Heading{level}"), &format!("heading {level}"), &ppr, &rpr)
    };
    let centred = "<w:jc w:val=\"center\"/>";
    let border =
        "<w:pBdr><w:bottom w:val=\"single\" w:sz=\"6\" w:space=\"1\" w:color=\"auto\"/></w:pBdr>";
    let edges = ["top", "left", "bottom", "right", "insideH", "insideV"];
    let edges: String = edges
        .iter()
        .map(|edge| {
            format!("<w:{edge} w:val=\"single\" w:sz=\"4\" w:space=\"0\" w:color=\"auto\"/>")
        })
        .collect();
    [
        format!(
            "{XML}<w:styles {WORD}><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts \
             w:eastAsia=\"FangSong\" w:ascii=\"Times New Roman\" w:hAnsi=\"Times New Roman\"/>\
             <w:sz w:val=\"28\"/></w:rPr></w:rPrDefault></w:docDefaults>\n\
             <w:style w:type=\"paragraph\" w:default=\"1\" w:styleId=\"Normal\">\
             <w:name w:val=\"Normal\"/></w:style>\n"
        ),
        paragraph("Title", "Title", centred, "<w:b/><w:sz w:val=\"44\"/>"),
        paragraph("Subtitle", "Subtitle", centred, "<w:sz w:val=\"24\"/>"),
        heading(1, 32),
        heading(2, 30),
        heading(3, 28),
        paragraph("Quote", "Quote", "<w:ind w:left=\"560\"/>", "<w:i/>"),
        paragraph("CodeBlock", "Code Block", "<w:ind w:left=\"280\"/>", ""),
        paragraph("Rule", "Rule", border, ""),
        "<w:style w:type=\"character\" w:styleId=\"Code\"><w:name w:val=\"Code\"/><w:rPr><w:rFonts \
         w:ascii=\"Courier New\" w:hAnsi=\"Courier New\"/></w:rPr></w:style>\n"
            .to_owned(),
        format!(
            "<w:style w:type=\"table\" w:styleId=\"Grid\"><w:name w:val=\"Table Grid\"/><w:tblPr>\
             <w:tblBorders>{edges}</w:tblBorders></w:tblPr></w:style>\n</w:styles>\n"
        ),
    ]
    .concat()
}

/// Lists of points and lists that count, and for each list of the document one of its own, so that each
/// begins at one.
fn numbering(counted: &[bool]) -> String {
    let mut out = format!("{XML}<w:numbering {WORD}>\n");
    for (id, (format, text)) in
        [("bullet", "•".to_owned()), ("decimal", "%N.".to_owned())].iter().enumerate()
    {
        let _ = write!(out, "<w:abstractNum w:abstractNumId=\"{id}\">");
        for level in 0..LEVELS_MAX {
            let text = text.replace('N', &(level + 1).to_string());
            let left = 420 * (level + 1);
            let _ = write!(
                out,
                "<w:lvl w:ilvl=\"{level}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/>\
                 <w:lvlText w:val=\"{text}\"/><w:pPr><w:ind w:left=\"{left}\" w:hanging=\"420\"/>\
                 </w:pPr></w:lvl>"
            );
        }
        out.push_str("</w:abstractNum>\n");
    }
    for (id, counts) in (1..).zip(counted) {
        let _ = write!(
            out,
            "<w:num w:numId=\"{id}\"><w:abstractNumId w:val=\"{}\"/>",
            u8::from(*counts)
        );
        for level in 0..LEVELS_MAX {
            let _ = write!(
                out,
                "<w:lvlOverride w:ilvl=\"{level}\"><w:startOverride w:val=\"1\"/></w:lvlOverride>"
            );
        }
        out.push_str("</w:num>\n");
    }
    out.push_str("</w:numbering>\n");
    out
}
