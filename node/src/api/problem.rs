//! Errors as the API tells them (RFC 9457): what happened, and what to do.

use crate::accounts::{AccountError, DeskError};
use crate::admission::{AdmissionError, SpaceRefused};
use crate::records::RecordError;
use crate::reports::ReportError;
use crate::store::StoreError;
use crate::words::Lang;
use crate::writer::{Stopping, WriteError};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Largest answer of a library that is put into a problem's words.
const PLAIN_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Stable, for programs.
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    status: u16,
    /// Ids that an ambiguous prefix could be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<String>,
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (status, title) = (status.as_u16(), title.to_owned());
        Self { kind, title, detail: detail.into(), hint: None, status, candidates: Vec::new() }
    }

    /// The same in the reader's language.
    fn said_in(mut self, lang: Lang) -> Self {
        self.title = lang.say(&self.title);
        self.detail = lang.say(&self.detail);
        self.hint = self.hint.map(|hint| lang.say(&hint));
        self
    }

    /// Status, title, detail and hint in the reader's language.
    pub(crate) fn told(&self, lang: Lang) -> (StatusCode, String, String, Option<String>) {
        let told = self.clone().said_in(lang);
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, told.title, told.detail, told.hint)
    }

    pub(crate) fn not_signed_in() -> Self {
        let detail = "sign in on the console, or send a token: Authorization: Bearer TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", detail)
    }

    /// Somebody signed in asked for what their roles do not allow.
    pub(crate) fn not_for_you(hint: &str) -> Self {
        let problem = Self::not_allowed("your roles do not allow this");
        Self { hint: Some(hint.to_owned()), ..problem }
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Nothing found", detail)
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is not valid", detail)
    }

    pub(crate) fn stopping() -> Self {
        let detail = "the node is stopping; try again when it runs";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping", detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", detail)
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn too_large(mib: usize) -> Self {
        let why = format!("this path takes at most {mib} MiB at once; send less, or in parts");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", why)
    }

    pub(super) fn headers_too_large(kib: usize) -> Self {
        let why = format!("the request's headers have more than {kib} KiB; send fewer");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "headers-too-large", "Too large", why)
    }

    pub(super) fn too_slow(seconds: u64) -> Self {
        let why = format!(
            "not answered within {seconds} s; it may have been done all the same: look before you ask again, or ask again with the same Idempotency-Key"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", "Took too long", why)
    }

    fn not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", "Not allowed", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&self)).into_response();
        let json = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.extensions_mut().insert(self);
        response
    }
}

/// Says every problem in the language its reader asked for, also those that are found before a
/// request reaches our own code.
pub(super) async fn in_the_readers_language(lang: Lang, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if response.status().is_client_error() => plain(response).await,
        None => return response,
    };
    problem.said_in(lang).into_response()
}

/// What a library refused, in its words.
async fn plain(response: Response) -> Problem {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), PLAIN_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).trim().to_owned();
    let detail = match text.is_empty() {
        true => "this path takes another method".to_owned(),
        false => text,
    };
    Problem { status: status.as_u16(), ..Problem::bad_request(detail) }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        if !matches!(error, StoreError::Query(_)) {
            // Whoever asked is told; whoever looks after the node reads its log.
            tracing::error!(%error, "a request failed");
        }
        match error {
            StoreError::Query(_) => Self::bad_request(detail),
            StoreError::Full { .. } | StoreError::Low { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", "The disk is full", detail)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "The store failed", detail),
        }
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        let detail = error.to_string();
        match error {
            RecordError::NotFound { .. }
            | RecordError::NoConflict { .. }
            | RecordError::NoTask(_)
            | RecordError::LentNobody { .. } => Self::not_found(detail),
            RecordError::Ambiguous { candidates, .. } => Self {
                candidates,
                ..Self::new(StatusCode::CONFLICT, "ambiguous", "Ambiguous id", detail)
            },
            RecordError::Exists { .. } => {
                Self::new(StatusCode::CONFLICT, "exists", "It exists already", detail)
            }
            RecordError::Overtaken { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                "It has changed meanwhile",
                detail,
            ),
            RecordError::OtherRequest => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "The key stands for another request",
                detail,
            ),
            RecordError::DoneBefore => {
                Self::new(StatusCode::CONFLICT, "done-before", "It was done before", detail)
            }
            RecordError::Edit(_)
            | RecordError::Sealed
            | RecordError::CodeTaken(_)
            | RecordError::NotYet { .. }
            | RecordError::OldArchive(_)
            | RecordError::NoWay { .. } => Self::bad_request(detail),
            RecordError::NotAllowed(_)
            | RecordError::TaskUnread(_)
            | RecordError::UnitUnread(_)
            | RecordError::NotSettler { .. }
            | RecordError::KeptElsewhere { .. }
            | RecordError::NoKey(_)
            | RecordError::Write(WriteError::NoKey(_) | WriteError::Limit(_)) => {
                Self::not_allowed(detail)
            }
            RecordError::Damaged { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "damaged",
                "The record is damaged",
                detail,
            ),
            RecordError::Store(e) | RecordError::Write(WriteError::Store(e)) => e.into(),
            RecordError::Write(WriteError::LogLeft | WriteError::Stopping(_)) => Self::stopping(),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Record(error) => error.into(),
            ReportError::Unknown(..) => Self::not_found(error.to_string()),
            ReportError::Unreadable(_) => Self::not_allowed(error.to_string()),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let detail = error.to_string();
        match error {
            AccountError::Record(error) => error.into(),
            AccountError::Unknown { .. } => Self::not_found(detail),
            AccountError::Wrong | AccountError::NotHere | AccountError::Locked { .. } => {
                Self::not_allowed(detail)
            }
            AccountError::Taken { .. } => {
                Self::new(StatusCode::CONFLICT, "exists", "It exists already", detail)
            }
            AccountError::Desk(DeskError::Database { .. }) | AccountError::Hash(_) => {
                Self::unavailable(detail)
            }
            _ => Self::bad_request(detail),
        }
    }
}

impl From<AdmissionError> for Problem {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::NotAdmin(_) => Self::not_allowed(error.to_string()),
            AdmissionError::Space(SpaceRefused::Unknown(_)) => Self::not_found(error.to_string()),
            AdmissionError::Space(SpaceRefused::Takes(_) | SpaceRefused::OverLimits(_)) => {
                Self::new(
                    StatusCode::CONFLICT,
                    "takes-rights",
                    "It takes rights",
                    error.to_string(),
                )
            }
            AdmissionError::Store(e) => e.into(),
            AdmissionError::Stopping(_) => Self::stopping(),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<SpaceRefused> for Problem {
    fn from(refused: SpaceRefused) -> Self {
        AdmissionError::from(refused).into()
    }
}

impl From<Stopping> for Problem {
    fn from(_: Stopping) -> Self {
        Self::stopping()
    }
}
