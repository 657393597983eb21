//! Who is signed in, and the language they read.

use super::{Office, Origin};
use crate::accounts::Account;
use crate::words::Lang;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use std::convert::Infallible;

pub(super) const LANGUAGE_COOKIE: &str = "fenbu-language";

/// Somebody signed in.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) account: Account,
    pub(super) lang: Lang,
    /// The session's secret.
    pub(super) secret: String,
    /// Where they are on the site.
    pub(super) path: String,
}

impl Visitor {
    pub(super) fn may(&self, action: Action<'_>) -> bool {
        self.account.may(action, None)
    }

    /// Whether they may do something with a record of a branch.
    pub(super) fn may_in(&self, action: Action<'_>, branch: Option<&str>) -> bool {
        self.account.may(action, branch)
    }

    /// The opaque account id that changes carry.
    pub(super) fn id(&self) -> String {
        self.account.id.to_string()
    }
}

/// The cookie of a session, by this node's name: browsers do not tell ports apart, and whoever signs in
/// on a second node of the same machine stays signed in on the first.
pub(super) fn session_cookie(office: &Office) -> String {
    format!("__Host-fenbu-{}", office.daemon.me().short())
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// The language of a page: the one chosen, or the first the browser asks for; Chinese if it asks for
/// neither.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    match cookie(headers, LANGUAGE_COOKIE) {
        Some("en") => Lang::En,
        Some("zh-CN") => Lang::Zh,
        _ if headers.contains_key(header::ACCEPT_LANGUAGE) => {
            // What accepts neither gets English from there; a browser set to French does too.
            Lang::of(headers)
        }
        _ => Lang::Zh,
    }
}

/// The language alone, for pages before signing in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads(pub(super) Lang);

impl<S: Sync> FromRequestParts<S> for Reads {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(language(&parts.headers)))
    }
}

impl FromRequestParts<Office> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, office: &Office) -> Result<Self, Response> {
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let secret = cookie(&parts.headers, &session_cookie(office)).unwrap_or_default().to_owned();
        let accounts = office.accounts().clone();
        let looked = secret.clone();
        let account = if secret.is_empty() {
            None
        } else {
            super::pages::blocking(move || accounts.signed_in(&looked)).await.map_err(|error| {
                tracing::error!(%error, "a session could not be looked up");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            })?
        };
        match account {
            Some(account) => Ok(Self { account, lang: language(&parts.headers), secret, path }),
            None if parts.method == axum::http::Method::GET => {
                let to = format!("/sign-in?next={}", encoded(&path));
                Err(Redirect::to(&to).into_response())
            }
            None => Err(Redirect::to("/sign-in").into_response()),
        }
    }
}

/// A text within an address.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                use std::fmt::Write;
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Where somebody sits, for the audit.
pub(super) fn origin(ConnectInfo(Origin(address)): &ConnectInfo<Origin>) -> String {
    address.ip().to_string()
}
