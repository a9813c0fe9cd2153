//! What a sender is told. Overload is never answered with a status that makes a client drop its events.

use atalaya_store::StoreError;
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why a request was not acknowledged.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Sending it again will not help: what is wrong, and the status that says so.
    Never(StatusCode, String),
    /// Sending it again will: after so many seconds.
    Later(StatusCode, u32, String),
}

impl Refusal {
    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self::Never(StatusCode::BAD_REQUEST, reason.into())
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::Never(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request may have {limit} bytes, also when it is inflated"),
        )
    }

    pub(crate) fn unknown_key() -> Self {
        Self::Never(
            StatusCode::UNAUTHORIZED,
            "no source of this protocol has this key".to_owned(),
        )
    }

    pub(crate) fn busy(retry_after_secs: u32) -> Self {
        Self::Later(
            StatusCode::TOO_MANY_REQUESTS,
            retry_after_secs,
            "too much is coming in".to_owned(),
        )
    }

    /// Whether the sender did something wrong, so that it is counted as refused and not as put off.
    pub(crate) fn is_the_senders_fault(&self) -> bool {
        matches!(self, Self::Never(..))
    }

    /// The same, for clients that drop what is answered with 429 or 408.
    pub(crate) fn unavailable_when_busy_or_slow(self) -> Self {
        match self {
            Self::Later(_, secs, reason) => Self::Later(StatusCode::SERVICE_UNAVAILABLE, secs, reason),
            Self::Never(StatusCode::REQUEST_TIMEOUT, reason) => Self::Later(StatusCode::SERVICE_UNAVAILABLE, 5, reason),
            other => other,
        }
    }

    /// The same with another status: Segment's clients know no 413.
    pub(crate) fn with_status(self, from: StatusCode, to: StatusCode) -> Self {
        match self {
            Self::Never(status, reason) if status == from => Self::Never(to, reason),
            other => other,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy { retry_after_secs } => Self::busy(retry_after_secs),
            StoreError::TooLarge { .. } => Self::Never(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            // What is wrong with the disk or the log is the operator's to know, in our own log.
            error => {
                tracing::error!("a request could not be made durable: {error}");
                Self::Later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    30,
                    "events cannot be taken now".to_owned(),
                )
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        let (status, reason) = match self {
            Self::Never(status, reason) => (status, reason),
            Self::Later(status, secs, reason) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
                (status, reason)
            }
        };
        (status, headers, Json(json!({ "error": reason }))).into_response()
    }
}
