//! What one request may take: bytes of its head and body, and time.

use super::Problem;
use super::routes::Route;
use crate::daemon::Daemon;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use std::convert::Infallible;
use std::sync::Arc;

/// Names and values of all headers together.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// A key somebody chose for a request.
pub(super) const KEY: &str = "idempotency-key";
pub(super) const KEY_BYTES_MAX: usize = 200;

/// A route's handler within its limits.
pub(super) fn held(route: &'static Route) -> MethodRouter<Arc<Daemon>> {
    let within = middleware::from_fn_with_state(route, hold);
    route
        .handler()
        .layer::<_, Infallible>(within)
        .layer(DefaultBodyLimit::max(route.limits.body_bytes))
}

async fn hold(State(route): State<&'static Route>, request: Request, next: Next) -> Response {
    if let Err(problem) = check(route, request.headers()) {
        return problem.into_response();
    }
    let response = match tokio::time::timeout(route.limits.time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => return Problem::too_slow(route.limits.time.as_secs()).into_response(),
    };
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large(route.limits.body_bytes >> 20).into_response();
    }
    response
}

fn check(route: &Route, headers: &HeaderMap) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(Problem::headers_too_large(HEADER_BYTES_MAX >> 10));
    }
    // Before a byte of it is read. One that does not say how long it is is cut off where it gets too long.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    if length > route.limits.body_bytes {
        return Err(Problem::too_large(route.limits.body_bytes >> 20));
    }
    if headers.contains_key(KEY) && !route.once {
        return Err(Problem::bad_request(
            "this path takes no Idempotency-Key: records are made and changed with one, nothing else",
        ));
    }
    Ok(())
}
