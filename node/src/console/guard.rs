//! Who may talk to the console at all, before anybody is asked to sign in.
//!
//! A browser sends its cookies wherever a page of another site points it. So a request that changes
//! something must come from a page of ours (`Sec-Fetch-Site`, or `Origin` where a browser is older), and
//! every request must name a host that is ours, lest another site's name be pointed at this node (DNS
//! rebinding). Pages load nothing that is not served here and run no script within them.

use super::Office;
use super::visitor::language;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// For a request and its answer; a large file on a slow line takes a while.
const REQUEST_PATIENCE: Duration = Duration::from_secs(180);

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

pub(super) async fn guard(State(office): State<Office>, request: Request, next: Next) -> Response {
    let mut response = match refused(&office.hosts, request.method(), request.headers()) {
        Some((status, why)) => {
            let lang = language(request.headers());
            (status, format!("{}\n", lang.say(why))).into_response()
        }
        // What is live stays open.
        None if is_live(request.uri().path()) => next.run(request).await,
        None => {
            let answered = tokio::time::timeout(REQUEST_PATIENCE, next.run(request)).await;
            answered.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages show what this person may see now.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refused(
    hosts: &[String],
    method: &Method,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str)> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(hosts, host) {
        let why =
            "this node does not answer to that name; an administrator adds it to console.hosts";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    // No page of another site can make a browser send this one.
    if text(header::AUTHORIZATION).is_some_and(|value| value.starts_with("Bearer ")) {
        return None;
    }
    let from_here = match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => site == "same-origin" || site == "none",
        None => text(header::ORIGIN)
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, authority)| authority == host),
    };
    let why = "this request comes from another site's page; open the console itself";
    (!from_here).then_some((StatusCode::FORBIDDEN, why))
}

/// What stays open as long as somebody listens, or has bounds of its own.
fn is_live(path: &str) -> bool {
    path == "/events" || path.starts_with(crate::api::PREFIX)
}

/// Whether a `Host` is one of ours, whatever its port: what listens there is this node.
fn is_ours(hosts: &[String], host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        ["localhost", "127.0.0.1", "[::1]", "node.example.org"].map(str::to_owned).to_vec()
    }

    fn asked(method: Method, headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        refused(&hosts(), &method, &map).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for host in ["localhost:4433", "127.0.0.1:1", "[::1]:4433", "[::1]", "NODE.example.org"] {
            assert_eq!(asked(Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:80", "", "127.0.0.1.nip.io"] {
            assert_eq!(asked(Method::GET, &[("host", host)]), Some(421), "{host}");
        }
    }

    #[test]
    fn a_change_is_asked_for_by_a_page_of_ours() {
        let host = ("host", "localhost:4433");
        let site = |value| [host, ("sec-fetch-site", value)];
        assert_eq!(asked(Method::POST, &site("same-origin")), None);
        for other in ["cross-site", "same-site"] {
            assert_eq!(asked(Method::POST, &site(other)), Some(403), "{other}");
            assert_eq!(asked(Method::GET, &site(other)), None, "links lead here");
        }
        let origin = |value| [host, ("origin", value)];
        assert_eq!(asked(Method::POST, &origin("http://localhost:4433")), None);
        assert_eq!(asked(Method::POST, &origin("http://localhost:9999")), Some(403));
        assert_eq!(asked(Method::POST, &origin("null")), Some(403));
        assert_eq!(asked(Method::POST, &[host]), Some(403), "neither is said");
        let bearer = [host, ("authorization", "Bearer 00"), ("origin", "https://evil.example")];
        assert_eq!(asked(Method::POST, &bearer), None, "programs say no origin");
    }
}
