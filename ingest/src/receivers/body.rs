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

/// A body as it is meant, and its part of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Bytes {
    /// Takes room for what becomes of each byte when it is read.
    pub(crate) fn widen(&mut self, room: &Arc<Semaphore>, factor: usize) -> Result<(), Refusal> {
        self.room.merge(take(room, self.bytes.len().saturating_mul(factor))?);
        Ok(())
    }
}

/// A body as text, and its part of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    _room: OwnedSemaphorePermit,
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    /// One block of Snappy, without frames.
    Snappy,
}

impl Coding {
    fn of(headers: &HeaderMap, allowed: &[Self]) -> Result<Self, Refusal> {
        let named = headers
            .get(header::CONTENT_ENCODING)
            .map(|value| value.as_bytes().to_ascii_lowercase());
        let known = match named.as_deref() {
            None | Some(b"identity" | b"") => Some(Self::Identity),
            Some(b"gzip" | b"x-gzip") => Some(Self::Gzip),
            Some(b"snappy") => Some(Self::Snappy),
            Some(_) => None,
        };
        known.filter(|known| allowed.contains(known)).ok_or_else(|| {
            let names: Vec<&str> = allowed.iter().map(|coding| coding.name()).collect();
            let reason = format!("the content encodings are {}", names.join(" and "));
            Refusal::Never(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }
}

/// Reads a body of text.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    room: &Arc<Semaphore>,
    limit: usize,
) -> Result<Text, Refusal> {
    let body = read_bytes(headers, body, room, limit, &[Coding::Gzip, Coding::Identity]).await?;
    let text = String::from_utf8(body.bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Refusal::bad(format!("the body is not UTF-8: at byte {at}"))
    })?;
    Ok(Text { text, _room: body.room })
}

/// Reads a body of at most so many bytes, also when it is inflated. Room is taken as bytes come: who announces much and
/// sends nothing takes none.
pub(crate) async fn read_bytes(
    headers: &HeaderMap,
    mut body: Body,
    room: &Arc<Semaphore>,
    limit: usize,
    allowed: &[Coding],
) -> Result<Bytes, Refusal> {
    let coding = Coding::of(headers, allowed)?;
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
    match coding {
        Coding::Identity => return Ok(Bytes { bytes, room: taken }),
        Coding::Gzip => bytes = inflate(&bytes, limit)?,
        Coding::Snappy => bytes = unpack(&bytes, limit)?,
    }
    taken.merge(take(room, bytes.len())?);
    Ok(Bytes { bytes, room: taken })
}

/// A block says how long it is before anything of it is made.
fn unpack(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let wrong = |error: snap::Error| Refusal::bad(format!("the body is no block of snappy: {error}"));
    if snap::raw::decompress_len(bytes).map_err(wrong)? > limit {
        return Err(Refusal::too_large(limit));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(wrong)
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
