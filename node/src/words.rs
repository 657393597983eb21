//! What people read, in their language.
//!
//! Messages are made in English, where they arise, and their English text is what names them: in logs,
//! in reasons peers send, in rows written by an older version. Whoever shows one to a person looks its
//! sentence up here (`catalogue`). A test reads the sources and finds each message that lacks its
//! translation.

mod catalogue;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use catalogue::CATALOGUE;
use std::convert::Infallible;

/// A language people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    En,
    Zh,
}

impl Lang {
    /// The first of the languages a request accepts that is one of ours; English if none is.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let known = |tag: &str| match tag.trim().get(..2)?.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        };
        accepted.unwrap_or_default().split(',').find_map(known).unwrap_or(Self::En)
    }

    /// A message in this language; as it is where it is none of ours.
    pub fn say(self, english: &str) -> String {
        match self {
            Self::En => english.to_owned(),
            Self::Zh => zh(english).unwrap_or_else(|| english.to_owned()),
        }
    }
}

impl From<Lang> for fenbu_protocol::sheet::Lang {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::En,
            Lang::Zh => Self::Zh,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Lang {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// Joins messages that stand for one failure: [`zh`] translates each.
pub const JOINT: &str = " | ";

/// Values that are messages of their own.
const MESSAGES: [&str; 7] = ["why", "expected", "doing", "attempt", "kind", "by", "what"];

/// A message's Chinese; `None` if it is none of ours.
pub fn zh(english: &str) -> Option<String> {
    if english.contains(JOINT) {
        return each(english, JOINT);
    }
    let lines = english.contains('\n');
    let fitting = CATALOGUE.iter().filter(|(en, _)| !lines || en.contains('\n'));
    let told =
        fitting.filter_map(|(en, zh)| Some((literals(en), fill(zh, &matched(en, english)?))));
    // Of several that fit, the one that says most itself.
    match told.max_by_key(|(length, _)| *length) {
        Some((_, told)) => Some(told),
        None if lines => each(english, "\n"),
        None => None,
    }
}

/// Translates what it can of several messages.
fn each(english: &str, joint: &str) -> Option<String> {
    let told: Vec<(Option<String>, &str)> =
        english.split(joint).map(|part| (zh(part), part)).collect();
    told.iter().any(|(zh, _)| zh.is_some()).then(|| {
        let told = told.into_iter().map(|(zh, part)| zh.unwrap_or_else(|| part.to_owned()));
        told.collect::<Vec<_>>().join(joint)
    })
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Value(&'a str),
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        if !literal.is_empty() {
            out.push(Piece::Literal(literal));
        }
        out.push(Piece::Value(name));
        rest = after;
    }
    if !rest.is_empty() {
        out.push(Piece::Literal(rest));
    }
    out
}

/// Bytes of a template besides its values.
fn literals(template: &str) -> usize {
    let length = |piece| if let Piece::Literal(text) = piece { str::len(text) } else { 0 };
    pieces(template).into_iter().map(length).sum()
}

type Values<'a> = Vec<(&'a str, &'a str)>;

/// The values with which a template gives this text, each as short as can be.
fn matched<'a>(template: &'a str, text: &'a str) -> Option<Values<'a>> {
    let mut values = Vec::new();
    fits(&pieces(template), text, &mut values).then_some(values)
}

fn fits<'a>(pieces: &[Piece<'a>], text: &'a str, values: &mut Values<'a>) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Literal(literal), rest @ ..] => {
            text.strip_prefix(literal).is_some_and(|text| fits(rest, text, values))
        }
        [Piece::Value(name)] => {
            values.push((name, text));
            true
        }
        [Piece::Value(name), rest @ ..] => {
            let next = match rest[0] {
                Piece::Literal(literal) => literal,
                Piece::Value(_) => "",
            };
            text.match_indices(next).any(|(at, _)| {
                let held = values.len();
                values.push((name, &text[..at]));
                let fits = fits(rest, &text[at..], values);
                if !fits {
                    values.truncate(held);
                }
                fits
            })
        }
    }
}

fn fill(template: &str, values: &Values<'_>) -> String {
    let mut out = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Value(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                let value = value.map(|(_, value)| *value).unwrap_or_default();
                let own = MESSAGES.contains(&name).then(|| zh(value)).flatten();
                out.push_str(own.as_deref().unwrap_or(value));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
