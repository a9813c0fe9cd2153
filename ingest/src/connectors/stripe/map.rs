//! Which object becomes which records. Pure: an object and when it was seen in, records out.

use atalaya_model::Kind;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    invoice,
    json::{instant, text, written},
    payment,
    subscription::{self, Seen},
};
use crate::{
    connectors::{Mapped, Record, Told},
    file::hex,
    receivers::Fault,
};

/// Events of one second that are told apart by their place in it.
const PLACES: i64 = 1_000_000;

/// An object of a list. `version` is when listing began, so that a listing that is begun again says the same.
pub(super) fn listed(
    object: &Value,
    version: i64,
    known_until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    zone: Tz,
) -> Option<Mapped> {
    let object_type = text(object, &["object"])?;
    let id = text(object, &["id"]).unwrap_or_default();
    let payload = object.to_string();
    // Later than every event of that second.
    let version = version * PLACES + PLACES - 1;
    let told = match object_type {
        "subscription" => subscription::told(object, Seen::Listed { known_until, version }),
        other => of_state(other, object, version, zone).into(),
    };
    // The same object, listed again unchanged, is no news.
    let digest = hex(&Sha256::digest(payload.as_bytes()));
    Some(Mapped {
        key: format!("{id}|{}", &digest[..16]),
        event_type: format!("{object_type}.listed"),
        object_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        happened_at: instant(object, &["created"]).unwrap_or(now),
        payload,
        told,
    })
}

/// An event; `place` tells it from others of its second.
pub(super) fn event(event: &Value, place: i64, zone: Tz) -> Mapped {
    let object = event.pointer("/data/object").unwrap_or(&Value::Null);
    let event_type = text(event, &["type"]).unwrap_or_default();
    let at = instant(event, &["created"]).unwrap_or_default();
    Mapped {
        key: text(event, &["id"]).unwrap_or_default().to_owned(),
        event_type: event_type.to_owned(),
        object_id: text(object, &["id"]).map(str::to_owned),
        happened_at: at,
        payload: event.to_string(),
        told: told(
            event,
            event_type,
            object,
            at,
            at.timestamp() * PLACES + place.min(PLACES - 2),
            zone,
        ),
    }
}

fn told(event: &Value, event_type: &str, object: &Value, at: DateTime<Utc>, version: i64, zone: Tz) -> Told {
    let Some(id) = text(event, &["id"]) else {
        return Err(Fault::of("id", "is missing")).into();
    };
    match event_type {
        // Says what will come, and changes nothing.
        "customer.subscription.trial_will_end" => Told::default(),
        _ if event_type.starts_with("customer.subscription.") => subscription::told(
            object,
            Seen::Event {
                id,
                event_type,
                at,
                version,
                previous: event.pointer("/data/previous_attributes"),
            },
        ),
        "customer.deleted" => {
            let mut told = Told::from(of_state("customer", object, version, zone));
            for record in &mut told.records {
                record.set("operation", "delete");
            }
            told
        }
        _ => of_state(text(object, &["object"]).unwrap_or_default(), object, version, zone).into(),
    }
}

/// Records of an object whose newest state stands.
fn of_state(object_type: &str, object: &Value, version: i64, zone: Tz) -> Result<Vec<Record>, Fault> {
    match object_type {
        "customer" => customer(object, version).map(|record| vec![record]),
        "invoice" => invoice::records(object, version, zone),
        "credit_note" => invoice::credit_note(object, version),
        "charge" => payment::charge(object, version),
        "refund" => payment::refund(object, version),
        "dispute" => payment::dispute(object, version),
        // Kept as it came; nothing is made of it yet.
        _ => Ok(Vec::new()),
    }
}

fn customer(object: &Value, version: i64) -> Result<Record, Fault> {
    let id = text(object, &["id"]).ok_or_else(|| Fault::of("id", "is missing"))?;
    let created_at = instant(object, &["created"]).ok_or_else(|| Fault::of("created", "is missing"))?;
    let mut record = Record::new(Kind::Customers);
    record.set("record_version", version.to_string());
    record.set("customer_id", id);
    record.set("created_at", written(created_at));
    let name = text(object, &["name"])
        .or_else(|| text(object, &["email"]))
        .or_else(|| text(object, &["description"]));
    for (column, value) in [
        ("name", name),
        ("country", text(object, &["address", "country"])),
        ("channel", text(object, &["metadata", "channel"])),
        ("market", text(object, &["metadata", "market"])),
    ] {
        if let Some(value) = value {
            record.set(column, value);
        }
    }
    Ok(record)
}

/// Which of two events of one second is the later.
pub(super) fn rank(event: &Value) -> u8 {
    match text(event, &["type"]).and_then(|name| name.rsplit('.').next()) {
        Some("created") => 0,
        Some("deleted" | "voided") => 2,
        _ => 1,
    }
}
