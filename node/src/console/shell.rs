//! What every page has around it, and what it loads.

use super::visitor::{Reads, Visitor};
use super::words::Word;
use crate::words::Lang;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use maud::{DOCTYPE, Markup, html};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// The style, the script and the icon. Their address carries their hash, so that a browser keeps them
/// until they change.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "css" => ("text/css; charset=utf-8", STYLE),
        "js" => ("text/javascript; charset=utf-8", SCRIPT),
        "svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let keep = HeaderValue::from_static("public, max-age=31536000, immutable");
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, keep);
    response
}

/// Where browsers look for an icon if a page names none.
pub(super) async fn icon() -> Redirect {
    Redirect::to(&address(ICON, "svg"))
}

fn address(text: &str, ending: &str) -> String {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    format!("/assets/{}.{ending}", &hash[..12])
}

pub(super) async fn not_found(Reads(lang): Reads) -> Response {
    let body = html! {
        p { a href="/" { (Word::MyDay.say(lang)) } }
    };
    (StatusCode::NOT_FOUND, bare(lang, Word::NotFound.say(lang), body)).into_response()
}

fn head(lang: Lang, title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · " (Word::Fenbu.say(lang)) }
            link rel="icon" type="image/svg+xml" href=(address(ICON, "svg"));
            link rel="stylesheet" href=(address(STYLE, "css"));
            script src=(address(SCRIPT, "js")) defer {}
        }
    }
}

fn tag(lang: Lang) -> &'static str {
    match lang {
        Lang::Zh => "zh-CN",
        Lang::En => "en",
    }
}

/// The button that changes to the other language.
fn language_switch(lang: Lang, path: &str) -> Markup {
    let to = match lang {
        Lang::Zh => "en",
        Lang::En => "zh-CN",
    };
    html! {
        form.inline method="post" action="/language" {
            input type="hidden" name="to" value=(to);
            input type="hidden" name="next" value=(path);
            button.link type="submit" lang=(to) { (Word::OtherLanguage.say(lang)) }
        }
    }
}

/// A page without anybody signed in.
pub(super) fn bare(lang: Lang, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(tag(lang)) {
            (head(lang, title))
            body.bare {
                main #main {
                    p.brand { span.mark aria-hidden="true" {} (Word::Fenbu.say(lang)) }
                    h1 { (title) }
                    (body)
                    footer {
                        p.notice { (Word::Notice.say(lang)) }
                        (language_switch(lang, "/sign-in"))
                    }
                }
            }
        }
    }
}

/// One entry of the menu: where it leads, its text, and whether this person sees it.
fn menu(visitor: &Visitor) -> Vec<(&'static str, &'static str)> {
    let read = |kind| visitor.may(Action::Read(kind));
    let entries = [
        ("/", Word::MyDay, true),
        ("/r/posts", Word::Posts, read("post")),
        ("/review", Word::Review, visitor.may(Action::Step("post", "approve"))),
        ("/site", Word::Site, read("post")),
        ("/r/meetings", Word::Meetings, read("meeting")),
        ("/r/members", Word::Members, read("member")),
        ("/r/temporary-branches", Word::TemporaryBranches, read("temporary-branch")),
        ("/r/all", Word::Everything, read("document")),
        ("/conflicts", Word::Conflicts, visitor.may(Action::Settle)),
        ("/import", Word::InAndOut, visitor.may(Action::Import)),
        ("/figures", Word::Figures, visitor.may(Action::Reports)),
        ("/sync", Word::Sync, visitor.may(Action::Node)),
        ("/accounts", Word::Accounts, visitor.may(Action::Accounts)),
        ("/audit", Word::Audit, visitor.may(Action::Audit)),
    ];
    let shown = entries.into_iter().filter(|(_, _, shown)| *shown);
    shown.map(|(to, word, _)| (to, word.say(visitor.lang))).collect()
}

/// Whether a menu entry is that of the page.
fn is_here(to: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let under = path.strip_prefix(to).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if to == "/" { path == "/" } else { under }
}

/// A page for somebody signed in. What is within elements that have an id and `data-live` is fetched
/// anew when a record of one of these kinds (their plurals, or `*`) changes.
pub(super) fn page(visitor: &Visitor, title: &str, body: Markup) -> Markup {
    let lang = visitor.lang;
    let say = |word: Word| word.say(lang);
    html! {
        (DOCTYPE)
        html lang=(tag(lang)) {
            (head(lang, title))
            body {
                a.skip href="#main" { (say(Word::SkipToContent)) }
                header.top {
                    a.brand href="/" { span.mark aria-hidden="true" {} (say(Word::Fenbu)) }
                    form.search role="search" action="/search" {
                        input type="search" name="q" required placeholder=(say(Word::SearchHint))
                            aria-label=(say(Word::Search)) accesskey="s";
                    }
                    div.who {
                        (language_switch(lang, &visitor.path))
                        a href="/password" title=(say(Word::ChangePassword)) { (visitor.account.name) }
                        form.inline method="post" action="/sign-out" {
                            button.link type="submit" { (say(Word::SignOut)) }
                        }
                    }
                }
                div.frame {
                    details.menu open {
                        summary { (say(Word::Menu)) }
                        nav aria-label=(say(Word::Menu)) {
                            ul {
                                @for (to, text) in menu(visitor) {
                                    li {
                                        a href=(to) aria-current=[is_here(to, &visitor.path).then_some("page")] {
                                            (text)
                                        }
                                    }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" { h1 { (title) } (body) }
                }
                p #heard.heard role="status" data-said=(say(Word::PageChanged)) {}
                footer.foot { (say(Word::Notice)) }
            }
        }
    }
}

/// A remark at the head of a page.
pub(super) fn flash(text: &str) -> Markup {
    html! { p.flash role="status" { (text) } }
}

/// Something went wrong, and what to do.
pub(super) fn trouble(text: &str) -> Markup {
    html! { p.trouble role="alert" { (text) } }
}

#[cfg(test)]
mod tests {
    use super::is_here;

    #[test]
    fn the_menu_marks_where_one_is() {
        assert!(is_here("/", "/") && !is_here("/", "/r/posts"));
        assert!(is_here("/r/posts", "/r/posts?unit=x") && is_here("/r/posts", "/r/posts/ab/edit"));
        assert!(!is_here("/r/posts", "/r/postscripts"));
    }
}
