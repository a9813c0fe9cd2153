//! A request's body, whole and bounded: in bytes, in time, inflated, and with all others together.

use std::{io::Read, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// The largest body, also when it is inflated: sixteen times what Segment's clients send.
pub(crate) const MAX_BODY_BYTES: usize = 8 << 20;
/// How long nothing may come of a body.
const MAX_IDLE_TIME: Duration = Duration::from_secs(10);
/// How long a body may take to arrive.
const MAX_BODY_TIME: Duration = Duration::from_secs(30);

/// A body as text, and its part of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    _room: OwnedSemaphorePermit,
}

/// Reads a body of at most so many bytes, also when it is inflated. Room is taken as bytes come: who announces much and
/// sends nothing takes none.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    room: &Arc<Semaphore>,
    limit: usize,
) -> Result<Text, Refusal> {
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
    if announced.is_some_and(|bytes| bytes > limit) {
        return Err(Refusal::too_large(limit));
    }
    let mut taken = take(room, 0)?;
    let mut bytes = Vec::new();
    let slow = || {
        Refusal::Never(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long to arrive".to_owned(),
        )
    };
    let reading = async {
        while let Some(frame) = tokio::time::timeout(MAX_IDLE_TIME, body.frame())
            .await
            .map_err(|_| slow())?
        {
            let frame = frame.map_err(|_| Refusal::bad("the body broke off"))?;
            let Some(chunk) = frame.data_ref() else { continue };
            if bytes.len() + chunk.len() > limit {
                return Err(Refusal::too_large(limit));
            }
            taken.merge(take(room, chunk.len())?);
            bytes.extend_from_slice(chunk);
        }
        Ok(())
    };
    tokio::time::timeout(MAX_BODY_TIME, reading)
        .await
        .map_err(|_| slow())??;
    if gzipped {
        bytes = inflate(&bytes, limit)?;
        taken.merge(take(room, bytes.len())?);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Refusal::bad(format!("the body is not UTF-8: at byte {at}"))
    })?;
    Ok(Text { text, _room: taken })
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    Arc::clone(room)
        .try_acquire_many_owned(permits)
        .map_err(|_| Refusal::busy(1))
}

fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut inflated = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| Refusal::bad(format!("the body is not gzip: {error}")))?;
    if inflated.len() > limit {
        return Err(Refusal::too_large(limit));
    }
    Ok(inflated)
}
