//! A request's body, whole and bounded: in bytes, in time, inflated, and with all others together.

use std::{io::Read, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode, header},
};
use flate2::read::MultiGzDecoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// The largest body, also when it is inflated: sixteen times what Segment's clients send.
pub(crate) const MAX_BODY_BYTES: usize = 8 << 20;
/// How long a body may take to arrive.
const MAX_BODY_TIME: Duration = Duration::from_secs(30);

/// A body as text, and its part of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    _room: OwnedSemaphorePermit,
}

/// Reads a body.
pub(crate) async fn read(headers: &HeaderMap, body: Body, room: &Arc<Semaphore>) -> Result<Text, Refusal> {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.as_bytes().to_ascii_lowercase());
    let gzipped = match encoding.as_deref() {
        None | Some(b"identity" | b"") => false,
        Some(b"gzip" | b"x-gzip") => true,
        Some(_) => {
            let reason = "the content encodings are gzip and identity".to_owned();
            return Err(Refusal::Never(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
        }
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES) {
        return Err(Refusal::too_large(MAX_BODY_BYTES));
    }
    // What says nothing of its size, or will grow, is counted as the largest.
    let bytes = announced.filter(|_| !gzipped).unwrap_or(MAX_BODY_BYTES).max(1);
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    let room = Arc::clone(room)
        .try_acquire_many_owned(permits)
        .map_err(|_| Refusal::busy(1))?;
    let bytes = tokio::time::timeout(MAX_BODY_TIME, to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(|_| {
            Refusal::Never(
                StatusCode::REQUEST_TIMEOUT,
                "the body took too long to arrive".to_owned(),
            )
        })?
        .map_err(|error| match std::error::Error::source(&error) {
            Some(source) if source.is::<http_body_util::LengthLimitError>() => Refusal::too_large(MAX_BODY_BYTES),
            _ => Refusal::bad("the body broke off"),
        })?;
    let bytes = if gzipped { inflate(&bytes)? } else { bytes.into() };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Refusal::bad(format!("the body is not UTF-8: at byte {at}"))
    })?;
    Ok(Text { text, _room: room })
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut inflated = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(MAX_BODY_BYTES as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| Refusal::bad(format!("the body is not gzip: {error}")))?;
    if inflated.len() > MAX_BODY_BYTES {
        return Err(Refusal::too_large(MAX_BODY_BYTES));
    }
    Ok(inflated)
}
