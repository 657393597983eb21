//! Pages in one file, for the screen, for mail and for print: a journal issue, a letter of transfer.

use super::markdown::{escaped, html};
use super::published::{Published, published};
use crate::records::{RecordError, Records, Shown};
use fenbu_protocol::record::schema_named;
use fenbu_protocol::sheet::{Lang, show};
use serde_json::Value;
use std::fmt::Write;

/// Everything a page needs is in it.
const STYLE: &str = "body{font-family:'Noto Serif CJK SC','Songti SC',SimSun,serif;line-height:1.8;\
max-width:42em;margin:2em auto;padding:0 1em;color:#111}h1{text-align:center;font-size:1.8em}\
h2{margin-top:2.5em;border-bottom:2px solid #b01010;padding-bottom:.2em}h1,h2{color:#b01010}\
.meta{color:#555;text-align:center}.by{color:#555}.note{background:#f6f1ea;padding:.5em 1em}\
nav ol{columns:2}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2em .6em}\
.letter{border-top:1px dashed #999;padding-top:2em}.letter p{text-indent:2em}\
.seal{text-align:right;margin-top:3em}\
@media print{body{margin:0;max-width:none;font-size:11pt}h2,article{break-inside:avoid-page}\
nav,a[href]{color:inherit;text-decoration:none}}";

/// A whole page.
fn page(lang: Lang, title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        lang.pick("zh-CN", "en"),
        escaped(title),
    )
}

/// A field as readers see it, escaped.
fn text(shown: &Shown, json: &Value, name: &str, lang: Lang) -> String {
    let field = shown.record.schema().field(name);
    escaped(&field.map(|f| show(f, &json[name], lang)).unwrap_or_default())
}

/// A journal issue with its posts, each as it was approved. A post that is not published, or not here,
/// is named and left out.
pub fn journal_issue(records: &Records, issue: &Shown, lang: Lang) -> Result<String, RecordError> {
    let json = issue.record.to_json();
    let text = |name: &str| text(issue, &json, name, lang);
    let number = match text("number") {
        number if number.is_empty() => number,
        number => lang.pick(format!("第 {number} 期"), format!("No. {number}")),
    };
    let mut out = format!("<h1>{}</h1>\n", text("title"));
    let meta = [number, text("branch"), text("date")];
    let meta: Vec<_> = meta.into_iter().filter(|part| !part.is_empty()).collect();
    let _ = writeln!(out, "<p class=\"meta\">{}</p>", meta.join(" · "));
    let cover = json["cover"].as_str().unwrap_or_default();
    let _ = writeln!(out, "<section>{}</section>", html(cover));
    let items = json["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let title = |item: &Value| escaped(item["title"].as_str().unwrap_or_default());
    out.push_str("<nav><ol>\n");
    for (at, item) in (1..).zip(items) {
        let _ = writeln!(out, "<li><a href=\"#i{at}\">{}</a></li>", title(item));
    }
    out.push_str("</ol></nav>\n");
    for (at, item) in (1..).zip(items) {
        let _ = writeln!(out, "<article id=\"i{at}\">\n<h2>{}</h2>", title(item));
        if let Some(note) = item["note"].as_str() {
            let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
        }
        if let Some(id) = item["post"].as_str() {
            out.push_str(&post(records, id, lang)?);
        }
        out.push_str("</article>\n");
    }
    let title = json["title"].as_str().unwrap_or_default();
    Ok(page(lang, title, &out))
}

fn post(records: &Records, id: &str, lang: Lang) -> Result<String, RecordError> {
    // INVARIANT: the kind is in the protocol's table.
    let schema = schema_named("post").expect("a kind of this version");
    let shown = match id.parse() {
        Ok(id) => records.published(schema, id)?,
        Err(_) => None,
    };
    let shown = shown.as_ref().map_or(Published::Never, published);
    let Published::Out { fields, .. } = shown else {
        let why = lang.pick("（该稿件未发布）", "(this post is not published)");
        return Ok(format!("<p class=\"by\">{why}</p>\n"));
    };
    let bylines = fields["bylines"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let bylines = bylines.map(escaped).collect::<Vec<_>>().join(lang.pick("、", ", "));
    let body = html(fields["body"].as_str().unwrap_or_default());
    Ok(format!("<p class=\"by\">{bylines}</p>\n{body}"))
}

/// The letter that goes with a member who changes units, with its stub and its receipt, for print. The
/// name and stage are those of the member's record, where this node reads it.
pub fn transfer_letter(
    records: &Records,
    transfer: &Shown,
    lang: Lang,
) -> Result<String, RecordError> {
    // INVARIANT: the kind is in the protocol's table.
    let members = schema_named("member").expect("a kind of this version");
    let json = transfer.record.to_json();
    let value = |name: &str| text(transfer, &json, name, lang);
    let id = json["member"].as_str().unwrap_or_default();
    let (name, stage) = match records.show(members, id) {
        Ok(member) => {
            let json = member.record.to_json();
            (text(&member, &json, "name", lang), text(&member, &json, "stage", lang))
        }
        Err(RecordError::NotFound { .. }) => {
            (lang.pick("＿＿＿＿", "________").into(), String::new())
        }
        Err(error) => return Err(error),
    };
    let directory = records.shared.directory.now();
    let unit = |field: &str| {
        let code = json[field].as_str().unwrap_or_default();
        escaped(directory.unit(code).map_or(code, |unit| unit.name.as_str()))
    };
    let place = |unit_field: &str, branch: &str| {
        let branch = value(branch);
        let gap = if branch.is_empty() { "" } else { " " };
        format!("{}{gap}{branch}", unit(unit_field))
    };
    let letter = Letter {
        name,
        stage,
        from: place("from_unit", "from_branch"),
        to: place("to_unit", "to_branch"),
        number: value("letter"),
        issued: value("issued"),
        expiry: value("expiry"),
    };
    Ok(letter.page(lang))
}

/// What a letter says, escaped.
struct Letter {
    name: String,
    stage: String,
    from: String,
    to: String,
    number: String,
    issued: String,
    expiry: String,
}

impl Letter {
    /// The stub that stays, the letter, and the receipt that comes back.
    fn page(&self, lang: Lang) -> String {
        let Self { name, stage, from, to, expiry, .. } = self;
        let said = lang.pick(
            format!("{name} 同志（{stage}）的组织关系由 {from} 转到 {to}，请接转。"),
            format!("The organisational relations of {name} ({stage}) move from {from} to {to}."),
        );
        let until = match expiry.is_empty() {
            true => String::new(),
            false => lang.pick(format!("有效期至 {expiry}。"), format!(" Valid until {expiry}.")),
        };
        let receipt = lang.pick(
            format!("{name} 同志的组织关系已于　　　年　　月　　日接收。"),
            format!("The organisational relations of {name} were received on ____________."),
        );
        let colon = lang.pick("：", ":");
        let parts = [
            self.part(lang, lang.pick("（存根）", " (stub)"), "", &format!("{said}{until}"), from),
            self.part(lang, "", &format!("{to}{colon}"), &format!("{said}{until}"), from),
            self.part(
                lang,
                lang.pick("（回执）", " (receipt)"),
                &format!("{from}{colon}"),
                &receipt,
                to,
            ),
        ];
        page(lang, Self::heading(lang), &parts.concat())
    }

    fn heading(lang: Lang) -> &'static str {
        lang.pick("党员组织关系介绍信", "Letter of transfer")
    }

    fn part(&self, lang: Lang, title: &str, to_whom: &str, text: &str, seal: &str) -> String {
        format!(
            "<section class=\"letter\">\n<h1>{}{title}</h1>\n<p class=\"meta\">{}{}</p>\n\
             <div>{to_whom}</div>\n<p>{text}</p>\n<p class=\"seal\">{seal}<br>{}</p>\n</section>\n",
            Self::heading(lang),
            lang.pick("编号：", "No. "),
            self.number,
            self.issued,
        )
    }
}
