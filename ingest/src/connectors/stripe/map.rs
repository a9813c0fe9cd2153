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
    connectors::{Mapped, Record},
    file::hex,
    receivers::Fault,
};

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
    let records = match object_type {
        "subscription" => subscription::records(object, Seen::Listed { known_until, version }),
        other => of_state(other, object, version, zone),
    };
    // The same object, listed again unchanged, is no news.
    let digest = hex(&Sha256::digest(payload.as_bytes()));
    Some(Mapped {
        key: format!("{id}|{}", &digest[..16]),
        event_type: format!("{object_type}.listed"),
        object_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        happened_at: instant(object, &["created"]).unwrap_or(now),
        payload,
        records,
    })
}

/// An event.
pub(super) fn event(event: &Value, zone: Tz) -> Mapped {
    let object = event.pointer("/data/object").unwrap_or(&Value::Null);
    let event_type = text(event, &["type"]).unwrap_or_default();
    let at = instant(event, &["created"]).unwrap_or_default();
    Mapped {
        key: text(event, &["id"]).unwrap_or_default().to_owned(),
        event_type: event_type.to_owned(),
        object_id: text(object, &["id"]).map(str::to_owned),
        happened_at: at,
        payload: event.to_string(),
        records: records(event, event_type, object, at, zone),
    }
}

fn records(event: &Value, event_type: &str, object: &Value, at: DateTime<Utc>, zone: Tz) -> Result<Vec<Record>, Fault> {
    let id = text(event, &["id"]).ok_or_else(|| Fault::of("id", "is missing"))?;
    match event_type {
        // Says what will come, and changes nothing.
        "customer.subscription.trial_will_end" => Ok(Vec::new()),
        _ if event_type.starts_with("customer.subscription.") => subscription::records(
            object,
            Seen::Event {
                id,
                event_type,
                at,
                previous: event.pointer("/data/previous_attributes"),
            },
        ),
        "customer.deleted" => {
            let mut records = of_state("customer", object, at.timestamp(), zone)?;
            for record in &mut records {
                record.set("operation", "delete");
            }
            Ok(records)
        }
        _ => of_state(
            text(object, &["object"]).unwrap_or_default(),
            object,
            at.timestamp(),
            zone,
        ),
    }
}

/// Records of an object whose newest state stands.
fn of_state(object_type: &str, object: &Value, version: i64, zone: Tz) -> Result<Vec<Record>, Fault> {
    match object_type {
        "customer" => customer(object, version).map(|record| vec![record]),
        "invoice" => invoice::records(object, version, zone),
        "charge" => payment::charge(object, version),
        "price" => subscription::tiers(object, version),
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
