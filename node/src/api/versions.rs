//! Versions of what is shown (`ETag`, `If-None-Match`, `If-Match`), and requests that may come again
//! (`Idempotency-Key`); see RFC 9110, 13, and draft-ietf-httpapi-idempotency-key-header.

use super::limits::{KEY, KEY_BYTES_MAX};
use super::{Caller, Problem};
use crate::receipts::Once;
use crate::records::Terms;
use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fenbu_protocol::id::{Hash, hex};
use serde_json::Value;

/// Which version of something an answer shows. Of a record: that of its contents, a dash, and that of
/// what else is told with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// That of an answer as it is sent.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        Self(digest(parts))
    }

    /// That of a record of a version (see [`crate::records::version_of`]) and the answer that shows it.
    pub(super) fn of_record(version: &str, answer: &Value) -> Self {
        Self(format!("{version}-{}", digest(&[answer.to_string().as_bytes()])))
    }

    /// Whether the reader has it already.
    pub(super) fn is_held(&self, asked: &HeaderMap) -> bool {
        let held = tags(asked, header::IF_NONE_MATCH);
        held.iter().any(|held| *held == self.0 || *held == "*")
    }

    /// The answer under its tag, or that the reader has it already.
    pub(super) fn answer(self, asked: &HeaderMap, body: Value) -> Response {
        let tag = format!("\"{}\"", self.0);
        let mut response = match self.is_held(asked) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Json(body).into_response(),
        };
        let headers = response.headers_mut();
        // Whoever keeps it asks whether it still holds; it is not the same in every language.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

/// The first 16 hex digits of a hash.
fn digest(parts: &[&[u8]]) -> String {
    hex(&Hash::of("fenbu/etag/1", parts).0[..8])
}

/// Tags in a header, without quotes; weak ones count as strong, since proxies that compress weaken them.
fn tags(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(','));
    tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()).collect()
}

/// On what terms a record is to be written.
pub(super) fn terms(
    headers: &HeaderMap,
    caller: Caller,
    method: &str,
    path: &[&str],
    body: &[u8],
) -> Result<Terms, Problem> {
    let over = tags(headers, header::IF_MATCH);
    let any = over.is_empty() || over.iter().any(|tag| tag == "*");
    let version = |tag: &String| tag.split('-').next().unwrap_or_default().to_owned();
    let over = (!any).then(|| over.iter().map(version).collect());
    let Some(key) = headers.get(KEY) else { return Ok(Terms { over, once: None }) };
    let key = key.to_str().map(str::trim).unwrap_or_default();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Problem::bad_request(
            "an Idempotency-Key is 1 to 200 visible characters of ASCII; a random one for each request is best",
        ));
    }
    let condition = headers.get(header::IF_MATCH).map_or(&[][..], HeaderValue::as_bytes);
    let mut request = vec![method.as_bytes(), condition, body];
    request.extend(path.iter().map(|part| part.as_bytes()));
    Ok(Terms { over, once: Some(Once::new(&caller.account(), key, &request)) })
}

/// Where the next page is; `path` and `query` are those of this one.
pub(super) fn next_page(
    response: &mut Response,
    path: &str,
    query: &[(String, String)],
    next: &str,
) {
    let kept = query.iter().filter(|(name, _)| name != "after");
    let pairs = kept.map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs = pairs
        .chain([("after", next)])
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    let query: Vec<String> = pairs.collect();
    let link = format!("<{path}?{}>; rel=\"next\"", query.join("&"));
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(header::LINK, link);
    }
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_the_reader_has_is_not_sent_again() {
        let tag = || Tag::of_record("abc", &Value::from("shown"));
        let shown = tag().answer(&HeaderMap::new(), Value::from("shown"));
        assert_eq!(shown.status(), StatusCode::OK);
        let etag = shown.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert!(etag.starts_with("\"abc-"), "{etag}");
        for held in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".into()] {
            let asked = headers(&[(header::IF_NONE_MATCH, &held)]);
            let answer = tag().answer(&asked, Value::Null);
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{held}");
            assert_eq!(answer.headers()[header::ETAG], etag);
        }
        let asked = headers(&[(header::IF_NONE_MATCH, "\"abc\"")]);
        assert_eq!(tag().answer(&asked, Value::Null).status(), StatusCode::OK);
    }

    #[test]
    fn terms_are_those_of_the_headers() {
        let caller = Caller { uid: Some(1), account: None };
        let terms = |pairs: &[(HeaderName, &str)]| {
            terms(&headers(pairs), caller.clone(), "PATCH", &["posts", "1"], b"{}")
        };
        let plain = terms(&[]).unwrap();
        assert!(plain.over.is_none() && plain.once.is_none());
        let over = terms(&[(header::IF_MATCH, "\"abc-12\", W/\"def-3\"")]).unwrap().over;
        assert_eq!(over, Some(vec!["abc".to_owned(), "def".to_owned()]));
        assert_eq!(terms(&[(header::IF_MATCH, "*")]).unwrap().over, None);
        let key = HeaderName::from_static(KEY);
        assert!(terms(&[(key.clone(), "k-1")]).unwrap().once.is_some());
        assert!(terms(&[(key.clone(), " ")]).is_err());
        assert!(terms(&[(key, &"k".repeat(KEY_BYTES_MAX + 1))]).is_err());
    }

    #[test]
    fn the_next_page_is_asked_as_this_one_was() {
        let mut response = StatusCode::OK.into_response();
        let query = [("q".to_owned(), "党 &".to_owned()), ("after".to_owned(), "old".to_owned())];
        next_page(&mut response, "/api/v1/posts", &query, "a.b");
        let link = response.headers()[header::LINK].to_str().unwrap();
        assert_eq!(link, "</api/v1/posts?q=%E5%85%9A%20%26&after=a.b>; rel=\"next\"");
    }
}
