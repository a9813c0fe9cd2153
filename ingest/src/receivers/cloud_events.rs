//! CloudEvents 1.0 over HTTP: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.
//!
//! `source` and `id` together identify an event by the specification. An extension attribute `userid` says whose it is.

use atalaya_model::Kind;
use atalaya_store::{Row, Value};
use serde_json::value::RawValue;

use super::{
    fields::{Fault, Fields, instant},
    parsed::{Parsed, Received, check_count},
};

/// How events stand in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode<'a> {
    /// One event as a JSON object.
    Structured,
    /// A JSON array of events.
    Batched,
    /// Attributes in `ce-` headers, here without that prefix; the body is the data.
    Binary(&'a [(String, String)]),
}

/// Reads a body. An error is the whole body's.
pub(crate) fn parse(mode: Mode<'_>, body: &str, received: &Received<'_>) -> Result<Parsed, String> {
    let bodies: Vec<&str> = match mode {
        Mode::Structured => {
            serde_json::from_str::<serde::de::IgnoredAny>(body).map_err(|error| error.to_string())?;
            vec![body]
        }
        Mode::Batched => {
            let events: Vec<&RawValue> = serde_json::from_str(body).map_err(|error| error.to_string())?;
            check_count(events.len())?;
            events.iter().map(|event| event.get()).collect()
        }
        Mode::Binary(attributes) => {
            let event = (1, body, binary(attributes, body, received));
            return Ok(Parsed::collect(Kind::ProductEvents, received, "cloud_events", [event]));
        }
    };
    let events = (1..)
        .zip(bodies)
        .map(|(number, text)| (number, text, structured(text, received)));
    Ok(Parsed::collect(Kind::ProductEvents, received, "cloud_events", events))
}

#[derive(Debug, Default)]
struct Attributes {
    version: Option<String>,
    id: Option<String>,
    source: Option<String>,
    event_type: Option<String>,
    time: Option<String>,
    user_id: Option<String>,
}

fn structured(text: &str, received: &Received<'_>) -> Result<Row, Fault> {
    let mut fields = Fields::read(text).map_err(|reason| Fault::of("event", reason))?;
    let attributes = Attributes {
        version: fields.take_text("specversion")?,
        id: fields.take_text("id")?,
        source: fields.take_text("source")?,
        event_type: fields.take_text("type")?,
        time: fields.take_text("time")?,
        user_id: fields.take_text("userid")?,
    };
    let data = fields.take("data").map(|data| data.get().to_owned());
    row(attributes, data, fields.rest(), received)
}

fn binary(attributes: &[(String, String)], body: &str, received: &Received<'_>) -> Result<Row, Fault> {
    let mut known = Attributes::default();
    let mut rest = serde_json::Map::new();
    for (name, value) in attributes {
        let place = match name.as_str() {
            "specversion" => &mut known.version,
            "id" => &mut known.id,
            "source" => &mut known.source,
            "type" => &mut known.event_type,
            "time" => &mut known.time,
            "userid" => &mut known.user_id,
            _ => {
                rest.insert(name.clone(), value.clone().into());
                continue;
            }
        };
        *place = Some(value.clone());
    }
    let rest = (!rest.is_empty()).then(|| serde_json::Value::Object(rest).to_string());
    row(
        known,
        Some(body.to_owned()).filter(|body| !body.is_empty()),
        rest,
        received,
    )
}

fn row(
    attributes: Attributes,
    data: Option<String>,
    extra: Option<String>,
    received: &Received<'_>,
) -> Result<Row, Fault> {
    let need = |name: &str, value: Option<String>| value.ok_or_else(|| Fault::of(name, "is missing"));
    let version = need("specversion", attributes.version)?;
    if version != "1.0" {
        return Err(Fault::of("specversion", format!("{version:?} is not \"1.0\"")));
    }
    let (id, source) = (need("id", attributes.id)?, need("source", attributes.source)?);
    let event_name = need("type", attributes.event_type)?;
    let happened_at = match attributes.time {
        Some(text) => instant(&text).map_err(|reason| Fault::of("time", reason))?,
        None => received.received_at,
    };
    let mut values = vec![None; Kind::ProductEvents.columns().len()];
    for (column, value) in [
        ("event_type", Some(Value::Text("track".to_owned()))),
        ("event_name", Some(Value::Text(event_name))),
        ("user_id", attributes.user_id.map(Value::Text)),
        ("happened_at", Some(Value::Instant(happened_at))),
        ("properties", data.map(Value::Text)),
    ] {
        let columns = Kind::ProductEvents.columns();
        if let Some(at) = columns.iter().position(|known| known.name == column) {
            values[at] = value;
        }
    }
    Ok(Row {
        values,
        record_key: Some(format!("{source}|{id}")),
        record_version: 0,
        operation: "upsert".to_owned(),
        occurred_at: happened_at,
        recorded_at: None,
        source: Some(received.source.to_owned()),
        extra,
    })
}

#[cfg(test)]
mod tests {
    use atalaya_store::Part;
    use chrono::{TimeZone, Utc};

    use super::*;

    fn read(mode: Mode<'_>, body: &str) -> Result<(Vec<Row>, Vec<String>), String> {
        let received = Received {
            source: "bus",
            received_at: Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap(),
            body_sha256: "body",
        };
        let parsed = parse(mode, body, &received)?;
        let rows = parsed.parts.into_iter().flat_map(|part| match part {
            Part::Rows { rows, .. } => rows,
            Part::Letters(_) => Vec::new(),
        });
        Ok((rows.collect(), parsed.first_faults))
    }

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/docs","type":"doc.made","time":"2026-03-01T09:00:00Z","userid":"u","subject":"d7","data":{"pages": 3}}"#;

    #[test]
    fn the_three_modes_say_the_same() {
        let (structured, _) = read(Mode::Structured, EVENT).unwrap();
        let (batched, _) = read(Mode::Batched, &format!("[{EVENT}]")).unwrap();
        let headers: Vec<(String, String)> = [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/docs"),
            ("type", "doc.made"),
            ("time", "2026-03-01T09:00:00Z"),
            ("userid", "u"),
            ("subject", "d7"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let (binary, _) = read(Mode::Binary(&headers), r#"{"pages": 3}"#).unwrap();
        assert_eq!(structured, batched);
        assert_eq!(structured, binary);
        let row = &structured[0];
        assert_eq!(row.record_key.as_deref(), Some("/docs|1"));
        assert_eq!(row.values[1], Some(Value::Text("doc.made".to_owned())));
        assert_eq!(row.values[14], Some(Value::Text(r#"{"pages": 3}"#.to_owned())));
        assert_eq!(row.extra.as_deref(), Some(r#"{"subject":"d7"}"#));
    }

    #[test]
    fn what_the_specification_demands_is_demanded() {
        for (from, to, expected) in [
            (
                r#""specversion":"1.0""#,
                r#""specversion":"0.3""#,
                "event 1, specversion: \"0.3\" is not \"1.0\"",
            ),
            (r#""id":"1","#, "", "event 1, id: is missing"),
            (
                "2026-03-01T09:00:00Z",
                "nine",
                "event 1, time: \"nine\" is not a time (2026-01-31T09:30:00.000Z)",
            ),
        ] {
            assert_eq!(read(Mode::Structured, &EVENT.replace(from, to)).unwrap().1, [expected]);
        }
        assert!(read(Mode::Structured, "{").is_err());
        assert!(read(Mode::Batched, EVENT).is_err());
    }
}
