//! The endpoints.

use std::sync::Arc;

use atalaya_model::Kind;
use atalaya_store::Appended;
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::Engine as _;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Receivers,
    answer::Refusal,
    body::{self, MAX_BODY_BYTES},
    cloud_events::{self, Mode},
    parsed::{Parsed, Received, check_count},
    records,
    samples::{otlp_metrics, remote_write},
    segment::{self, Call},
    webhooks::webhook,
};
use crate::{Protocol, Source, file::hex};

/// A body whose sender is known only when it was read: as much as Segment's own service takes.
const MAX_KEYLESS_BYTES: usize = 512 << 10;

/// All endpoints.
pub fn router(receivers: Arc<Receivers>) -> Router {
    let browsers = Router::new()
        .route("/v1/{call}", post(segment_call).options(preflight))
        .route("/v1/projects/{key}/settings", get(segment_settings).options(preflight))
        .route("/v1/browser.js", get(browser_script))
        .layer(middleware::map_response(open_to_browsers));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/v1/records/{kind}", post(record_lines))
        .route("/v1/cloudevents", post(cloud_events_post))
        .route("/v1/webhooks/{name}", post(webhook))
        .route("/v1/metrics", post(otlp_metrics))
        .route("/api/v1/write", post(remote_write))
        .merge(browsers)
        .with_state(receivers)
}

/// Pages of any site may send: what they need is the write key.
async fn open_to_browsers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after"),
    );
    response
}

/// Libraries send headers of their own with every request; none of them gives anybody a right.
async fn preflight(asked: HeaderMap) -> impl IntoResponse {
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = wanted.unwrap_or_else(|| HeaderValue::from_static("authorization, content-type"));
    let headers: [(HeaderName, HeaderValue); 3] = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("POST, GET, OPTIONS"),
        ),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, allowed),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
    ];
    (StatusCode::NO_CONTENT, headers)
}

async fn segment_call(
    State(receivers): State<Arc<Receivers>>,
    Path(word): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let Some(call) = Call::of(&word) else {
        let reason = "the endpoints are /v1/track, page, screen, identify, group, alias, batch and import";
        return Err(Refusal::Never(StatusCode::NOT_FOUND, reason.to_owned()));
    };
    let of_header = basic_user(&headers).map(|key| receivers.sources.by_key(Protocol::Segment, key.as_bytes()));
    let text = match of_header {
        // Nobody's body is read for nothing.
        Some(None) => Err(Refusal::unknown_key()),
        Some(Some(_)) => body::read(&headers, body, &receivers.room, MAX_BODY_BYTES).await,
        None => body::read(&headers, body, &receivers.room, MAX_KEYLESS_BYTES).await,
    };
    let known = of_header.unwrap_or_else(|| {
        let key = segment::write_key(&text.as_ref().ok()?.text)?;
        receivers.sources.by_key(Protocol::Segment, key.as_bytes())
    });
    let answered = async {
        // Segment's own service says 400 to what is too large.
        let text =
            text.map_err(|refusal| refusal.with_status(StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_REQUEST))?;
        let source = known.ok_or_else(Refusal::unknown_key)?;
        let parse = |received: &Received<'_>| segment::parse(call, &text.text, received).map_err(Refusal::bad);
        receivers.land(source, text.text.as_bytes(), parse).await
    };
    let answered = answered.await;
    receivers.count(known, &answered);
    answered.map(|_| Json(json!({ "success": true })).into_response())
}

/// What the browser's library asks first: which destinations there are. There is this one.
async fn segment_settings(
    State(receivers): State<Arc<Receivers>>,
    Path(key): Path<String>,
) -> Result<Response, Refusal> {
    receivers
        .sources
        .by_key(Protocol::Segment, key.as_bytes())
        .ok_or_else(Refusal::unknown_key)?;
    let settings =
        json!({ "integrations": { "Segment.io": { "apiKey": key, "unbundledIntegrations": [] } }, "plan": {} });
    Ok(Json(settings).into_response())
}

/// A script for pages, where no library is wanted: it speaks Segment's protocol.
async fn browser_script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("browser.js"))
}

async fn record_lines(
    State(receivers): State<Arc<Receivers>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = bearer(&headers).and_then(|key| receivers.sources.by_key(Protocol::Records, key.as_bytes()));
    let answered = async {
        let source = known.ok_or_else(Refusal::unknown_key)?;
        let kind = Kind::parse(&kind)
            .ok()
            .filter(|kind| kind.is_from_outside())
            .ok_or_else(|| Refusal::Never(StatusCode::NOT_FOUND, format!("{kind:?} is no kind of record")))?;
        let text = body::read(&headers, body, &receivers.room, MAX_BODY_BYTES).await?;
        let once = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
        let mut faults = Vec::new();
        let appended = receivers
            .land(source, text.text.as_bytes(), |received| {
                check_count(text.text.lines().count()).map_err(Refusal::bad)?;
                let parsed = records::parse(kind, &text.text, receivers.zone, once, received);
                faults.clone_from(&parsed.first_faults);
                Ok(parsed)
            })
            .await?;
        Ok((appended, faults))
    };
    let answered = answered.await;
    receivers.count(known, &answered.as_ref().map(|(appended, _)| *appended));
    let (appended, faults) = answered?;
    // Nothing fitted: the sender has it wrong. It is kept all the same.
    let letters = appended.letters + appended.known_letters;
    let nothing_fits = letters > 0 && appended.rows + appended.duplicates == 0;
    let status = if nothing_fits {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let answer = json!({
        "rows": appended.rows, "duplicates": appended.duplicates, "dead_letters": letters, "first_faults": faults,
    });
    Ok((status, Json(answer)).into_response())
}

async fn cloud_events_post(
    State(receivers): State<Arc<Receivers>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let known = bearer(&headers).and_then(|key| receivers.sources.by_key(Protocol::CloudEvents, key.as_bytes()));
    let answered = async {
        let source = known.ok_or_else(Refusal::unknown_key)?;
        let text = body::read(&headers, body, &receivers.room, MAX_BODY_BYTES).await?;
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let attributes = ce_attributes(&headers);
        let mode = if content_type.starts_with("application/cloudevents-batch+json") {
            Mode::Batched
        } else if content_type.starts_with("application/cloudevents+json") {
            Mode::Structured
        } else if attributes.is_empty() {
            let reason = "neither application/cloudevents+json, application/cloudevents-batch+json nor ce- headers";
            return Err(Refusal::Never(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
        } else {
            Mode::Binary(&attributes)
        };
        let parse = |received: &Received<'_>| cloud_events::parse(mode, &text.text, received).map_err(Refusal::bad);
        receivers.land(source, text.text.as_bytes(), parse).await
    };
    let answered = answered.await;
    receivers.count(known, &answered);
    answered.map(|_| StatusCode::ACCEPTED.into_response())
}

impl Receivers {
    /// Reads what a source sent and makes it durable.
    pub(super) async fn land(
        &self,
        source: &Source,
        body: &[u8],
        parse: impl FnOnce(&Received<'_>) -> Result<Parsed, Refusal>,
    ) -> Result<Appended, Refusal> {
        let body_sha256 = hex(&Sha256::digest(body));
        let received = Received {
            source: &source.name,
            received_at: self.clock.now(),
            body_sha256: &body_sha256,
        };
        // Reading megabytes takes a while: other requests go on meanwhile.
        let parsed = tokio::task::block_in_place(|| parse(&received))?;
        if parsed.parts.is_empty() {
            return Ok(Appended::default());
        }
        Ok(self.intake.append(parsed.parts).await?)
    }

    pub(super) fn count<E: std::borrow::Borrow<Refusal>>(
        &self,
        source: Option<&Source>,
        answered: &Result<Appended, E>,
    ) {
        let name = source.map_or("", |source| source.name.as_str());
        match answered {
            Ok(appended) => self.counts.landed(name, appended, self.clock.now()),
            Err(refusal) if refusal.borrow().is_the_senders_fault() => self.counts.refused(name),
            Err(_) => self.counts.put_off(name),
        }
    }
}

fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

fn basic_user(headers: &HeaderMap) -> Option<String> {
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(authorization(headers, "basic")?)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split(':').next().unwrap_or_default().to_owned())
}

/// The attributes of an event in binary mode.
fn ce_attributes(headers: &HeaderMap) -> Vec<(String, String)> {
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    attributes.collect()
}
