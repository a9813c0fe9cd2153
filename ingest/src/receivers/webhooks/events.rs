//! What a vendor's request tells: which events, of what, and when. The payload is kept as it came.

use atalaya_model::Kind;
use atalaya_store::{Row, Value};
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::signature::HmacScheme;
use crate::receivers::{
    fields::{Fault, Fields},
    parsed::{Parsed, Received, check_count},
};

/// Whose request it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Vendor<'a> {
    Stripe,
    GitHub,
    HubSpot,
    Svix,
    PagerDuty,
    Slack,
    Described(&'a HmacScheme),
}

impl Vendor<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::GitHub => "github",
            Self::HubSpot => "hubspot",
            Self::Svix => "svix",
            Self::PagerDuty => "pagerduty",
            Self::Slack => "slack",
            Self::Described(_) => "hmac",
        }
    }
}

/// Reads a request whose signature was right. An error is the whole body's.
pub(crate) fn parse(
    vendor: Vendor<'_>,
    headers: &HeaderMap,
    body: &str,
    received: &Received<'_>,
) -> Result<Parsed, String> {
    let form;
    let bodies: Vec<&str> = match vendor {
        // A form with one field, which is JSON.
        Vendor::Slack => {
            let mut fields = form_urlencoded::parse(body.as_bytes());
            let payload = fields.find(|(name, _)| name == "payload");
            form = payload.ok_or("the form has no field \"payload\"")?.1;
            serde_json::from_str::<serde::de::IgnoredAny>(&form).map_err(|error| format!("payload: {error}"))?;
            vec![&form]
        }
        // A batch of up to a hundred events.
        Vendor::HubSpot => {
            let events: Vec<&RawValue> = serde_json::from_str(body).map_err(|error| error.to_string())?;
            check_count(events.len())?;
            events.iter().map(|event| event.get()).collect()
        }
        _ => {
            serde_json::from_str::<serde::de::IgnoredAny>(body).map_err(|error| error.to_string())?;
            vec![body]
        }
    };
    let events = (1..)
        .zip(bodies)
        .map(|(number, text)| (number, text, row(vendor, headers, text, received)));
    Ok(Parsed::collect(Kind::VendorEvents, received, vendor.name(), events))
}

/// What identifies and describes one event.
struct Told {
    key: String,
    event_type: Option<String>,
    object_id: Option<String>,
    happened_at: Option<DateTime<Utc>>,
}

fn row(vendor: Vendor<'_>, headers: &HeaderMap, text: &str, received: &Received<'_>) -> Result<Row, Fault> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let fields = || Fields::read(text).map_err(|reason| Fault::of("event", reason));
    let need = |name: &str, value: Option<String>| value.ok_or_else(|| Fault::of(name, "is missing"));
    let told = match vendor {
        Vendor::Stripe => {
            let mut event = fields()?;
            let happened_at = event.take_text("created")?.and_then(|text| seconds(&text));
            let object_id = event
                .take("data")
                .and_then(|data| serde_json::from_str::<StripeData>(data.get()).ok())
                .and_then(|data| data.object.id);
            Told {
                key: need("id", event.take_text("id")?)?,
                event_type: event.take_text("type")?,
                object_id,
                happened_at,
            }
        }
        Vendor::GitHub => Told {
            key: need("x-github-delivery", header("x-github-delivery"))?,
            event_type: header("x-github-event"),
            object_id: None,
            happened_at: None,
        },
        Vendor::HubSpot => {
            let mut event = fields()?;
            let mut part = |name: &str| event.take_text(name).map(Option::unwrap_or_default);
            let (portal, subscription, id) = (part("portalId")?, part("subscriptionId")?, part("eventId")?);
            let (object_id, occurred) = (part("objectId")?, part("occurredAt")?);
            // `eventId` alone is not unique.
            Told {
                key: [portal, subscription, id, object_id.clone(), occurred.clone()].join("|"),
                event_type: Some(part("subscriptionType")?),
                object_id: Some(object_id).filter(|id| !id.is_empty()),
                happened_at: occurred.parse().ok().and_then(DateTime::from_timestamp_millis),
            }
        }
        Vendor::Svix => Told {
            key: need("webhook-id", header("svix-id").or_else(|| header("webhook-id")))?,
            event_type: fields()
                .ok()
                .and_then(|mut event| event.take_text("type").ok().flatten()),
            object_id: None,
            happened_at: header("svix-timestamp")
                .or_else(|| header("webhook-timestamp"))
                .and_then(|text| seconds(&text)),
        },
        Vendor::PagerDuty => {
            let mut event = fields()?.take("event").map(|event| Fields::read(event.get()));
            let event = event.as_mut().ok_or_else(|| Fault::of("event", "is missing"))?;
            let event = event.as_mut().map_err(|reason| Fault::of("event", reason))?;
            let object_id = event
                .take("data")
                .and_then(|data| serde_json::from_str::<WithId>(data.get()).ok())
                .and_then(|data| data.id);
            // By the event, which is signed, and not by the header beside it, which is not.
            Told {
                key: need("event.id", event.take_text("id")?)?,
                event_type: event.take_text("event_type")?,
                object_id,
                happened_at: event.take_instant("occurred_at")?,
            }
        }
        Vendor::Slack => {
            let mut event = fields()?;
            let pressed_at = event
                .take("actions")
                .and_then(|actions| serde_json::from_str::<Vec<SlackAction>>(actions.get()).ok())
                .and_then(|actions| actions.into_iter().next()?.action_ts);
            Told {
                key: need("trigger_id", event.take_text("trigger_id")?)?,
                event_type: event.take_text("type")?,
                object_id: None,
                happened_at: pressed_at.as_deref().and_then(fraction_of_seconds),
            }
        }
        Vendor::Described(scheme) => Told {
            key: match &scheme.id_header {
                Some(name) => need(name, header(&name.to_ascii_lowercase()))?,
                None => received.body_sha256.to_owned(),
            },
            event_type: None,
            object_id: None,
            happened_at: None,
        },
    };
    let happened_at = told.happened_at.unwrap_or(received.received_at);
    Ok(Row {
        values: vec![
            told.event_type.map(Value::Text),
            told.object_id.map(Value::Text),
            Some(Value::Instant(happened_at)),
            Some(Value::Text(text.to_owned())),
        ],
        record_key: Some(told.key),
        record_version: 0,
        operation: "upsert".to_owned(),
        occurred_at: happened_at,
        recorded_at: None,
        source: Some(received.source.to_owned()),
        extra: None,
    })
}

#[derive(serde::Deserialize)]
struct StripeData {
    object: WithId,
}

#[derive(serde::Deserialize)]
struct WithId {
    id: Option<String>,
}

#[derive(serde::Deserialize)]
struct SlackAction {
    action_ts: Option<String>,
}

/// `1548426417.840180`.
fn fraction_of_seconds(text: &str) -> Option<DateTime<Utc>> {
    let (secs, micros) = text.split_once('.').unwrap_or((text, "0"));
    let micros: i64 = format!("{micros:0<6}").get(..6)?.parse().ok()?;
    DateTime::from_timestamp_micros(secs.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?)
}

fn seconds(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(text.parse().ok()?, 0)
}
