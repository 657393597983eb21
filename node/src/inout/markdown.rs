//! Markdown as HTML that is safe wherever it is put, and as plain paragraphs.
//!
//! HTML within is shown as the text it is, links lead to the web or a mailbox, and images become their
//! descriptions: a page fetches nothing from anywhere.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

pub(super) fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut linked: Vec<bool> = Vec::new();
    Parser::new_ext(text, options).filter_map(move |event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Some(Event::Text(html)),
        Event::Start(Tag::Link { dest_url, .. }) if !is_harmless(&dest_url) => {
            linked.push(false);
            None
        }
        Event::Start(Tag::Link { link_type, dest_url, .. }) => {
            linked.push(true);
            let (title, id) = (CowStr::Borrowed(""), CowStr::Borrowed(""));
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Link) => linked.pop().unwrap_or(false).then_some(event),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        other => Some(other),
    })
}

/// Whether a link leads to the web or a mailbox.
fn is_harmless(url: &str) -> bool {
    let url = url.trim().to_ascii_lowercase();
    ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme))
}

/// HTML to be put into a page.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut out, events(text));
    out
}

/// Text to be put into a page, or between the quotes of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no such characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_in_a_text_acts() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "![x](https://tracker.example/p.png)",
            "<a href=\"data:text/html,x\">x</a>",
            "[x](data:text/html;base64,xx)",
            "[x](vbscript:x \"onclick=\")",
            "<div\nonclick=\"x\">\n\ny",
        ] {
            let html = html(text);
            for bad in ["<script", "<img", "<a href=\"j", "<a href=\"d", "<a href=\"v", "<div"] {
                assert!(!html.to_ascii_lowercase().contains(bad), "{text}: {html}");
            }
        }
        let html = html("# 题\n\n**重** [网](https://a.example/?a=1&b=2)\n\n- 一\n- 二");
        assert!(html.contains("<strong>重</strong>"), "{html}");
        assert!(html.contains("<a href=\"https://a.example/?a=1&amp;b=2\">网</a>"), "{html}");
    }

    proptest! {
        #[test]
        fn links_lead_nowhere_else(text in "[a-z<>\\[\\]()!:/\"'= \n]{0,60}") {
            let html = html(&text);
            for (at, mark) in html.match_indices("href=\"") {
                let to = &html[at + mark.len()..];
                // What stands in the text is escaped; a quote is real in a tag alone.
                prop_assert!(is_harmless(to), "{html}");
            }
            prop_assert!(!html.contains("<img"));
        }
    }
}
