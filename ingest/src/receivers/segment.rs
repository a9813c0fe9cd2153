//! Segment's HTTP Tracking API: <https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api>.
//!
//! Clients drop what is answered with 400, 401, 403, 404 and 413 for ever, and try 429 and 5xx again for up to twelve hours;
//! an event that does not fit is therefore kept as a dead letter and answered with 200.

use atalaya_model::Kind;
use atalaya_store::{Row, Value};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    fields::{Fault, Fields, instant},
    parsed::{Parsed, Received, check_count},
};

/// What a batch's context may make when each of its events has it.
const MAX_CONTEXT_BYTES: usize = 16 << 20;

/// What an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// One event of this type.
    Event(&'static str),
    /// Events of any type.
    Batch,
    /// Events of the past: their own times stand.
    Import,
}

impl Call {
    /// The endpoint's last word, long or as the browser's library has it.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "track" | "t" => Self::Event("track"),
            "page" | "p" => Self::Event("page"),
            "screen" | "s" => Self::Event("screen"),
            "identify" | "i" => Self::Event("identify"),
            "group" | "g" => Self::Event("group"),
            "alias" | "a" => Self::Event("alias"),
            "batch" | "b" => Self::Batch,
            "import" => Self::Import,
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object with the field `batch`")]
struct Envelope<'a> {
    #[serde(borrow)]
    batch: Option<Vec<&'a RawValue>>,
    sent_at: Option<String>,
    write_key: Option<String>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

/// The key that a body itself carries, where no header does.
pub(crate) fn write_key(body: &str) -> Option<String> {
    serde_json::from_str::<Envelope<'_>>(body).ok()?.write_key
}

/// Reads a body. An error is the whole body's: it is no JSON of the expected shape.
pub(crate) fn parse(call: Call, body: &str, received: &Received<'_>) -> Result<Parsed, String> {
    let (messages, sent_at, context) = match call {
        Call::Event(_) => (vec![body], None, None),
        Call::Batch | Call::Import => {
            let envelope: Envelope<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
            let batch = envelope.batch.ok_or("has no field `batch` with the events")?;
            check_count(batch.len())?;
            // Every event without a context of its own gets the batch's.
            let context_bytes = envelope.context.map_or(0, |context| context.get().len()) * batch.len();
            if context_bytes > MAX_CONTEXT_BYTES {
                return Err(format!(
                    "its context for {} events makes {context_bytes} bytes",
                    batch.len()
                ));
            }
            let messages = batch.iter().map(|message| message.get()).collect();
            (messages, envelope.sent_at, envelope.context)
        }
    };
    if let Call::Event(_) = call {
        serde_json::from_str::<serde::de::IgnoredAny>(body).map_err(|error| error.to_string())?;
    }
    let batch = BatchFacts {
        call,
        // A time that cannot be read is no reason to lose events: they then have their own times uncorrected.
        sent_at: sent_at.and_then(|text| instant(&text).ok()),
        context,
    };
    let events = (1..)
        .zip(messages)
        .map(|(number, text)| (number, text, event(text, &batch, received, number)));
    Ok(Parsed::collect(Kind::ProductEvents, received, "segment", events))
}

struct BatchFacts<'a> {
    call: Call,
    sent_at: Option<DateTime<Utc>>,
    context: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    page: Page,
    #[serde(default)]
    campaign: Campaign,
    #[serde(rename = "groupId")]
    group_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Page {
    url: Option<String>,
    path: Option<String>,
    referrer: Option<String>,
}

#[derive(Default, Deserialize)]
struct Campaign {
    source: Option<String>,
    medium: Option<String>,
    name: Option<String>,
}

/// One event as a row.
fn event(text: &str, batch: &BatchFacts<'_>, received: &Received<'_>, number: i64) -> Result<Row, Fault> {
    let mut fields = Fields::read(text).map_err(|reason| Fault::of("event", reason))?;
    let own_type = fields.take_text("type")?;
    let event_type = match batch.call {
        Call::Event(event_type) => event_type.to_owned(),
        Call::Batch | Call::Import => own_type.ok_or_else(|| Fault::of("type", "is missing"))?,
    };
    let words = Kind::ProductEvents.allowed_words("event_type");
    if !words.contains(&event_type.as_str()) {
        return Err(Fault::of(
            "type",
            format!("{event_type:?} is not one of {}", words.join(", ")),
        ));
    }
    let (user_id, anonymous_id) = (fields.take_text("userId")?, fields.take_text("anonymousId")?);
    if user_id.is_none() && anonymous_id.is_none() {
        return Err(Fault::of("userId", "is missing, and anonymousId too"));
    }
    let event_name = match event_type.as_str() {
        "track" => Some(
            fields
                .take_text("event")?
                .ok_or_else(|| Fault::of("event", "is missing"))?,
        ),
        _ => fields.take_text("name")?,
    };
    let given_at = fields.take_instant("timestamp")?;
    let original_at = fields.take_instant("originalTimestamp")?.or(given_at);
    let sent_at = fields.take_instant("sentAt")?.or(batch.sent_at);
    // The sender's clock may be wrong; how long before sending it happened is right by any clock.
    let happened_at = match (batch.call, original_at, sent_at) {
        (Call::Import, Some(original), _) => original,
        (_, Some(original), Some(sent)) => received.received_at - (sent - original),
        (_, Some(original), None) => original,
        (_, None, _) => received.received_at,
    };
    let message_id = fields.take_text("messageId")?;
    let context_text = fields.take("context").or(batch.context);
    // Half of a context that is not as documented is kept as text, and its parts are not told apart.
    let context: Context = context_text
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let group_id = fields.take_text("groupId")?.or(context.group_id);
    let previous_id = fields.take_text("previousId")?;
    let json = |raw: Option<&RawValue>| raw.map(|raw| Value::Text(raw.get().to_owned()));
    let (properties, traits) = (fields.take("properties"), json(fields.take("traits")));
    // Servers tell of a page in its properties; the browser's library in the context, which has it for every event.
    let told: Page = properties
        .filter(|_| event_type == "page")
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    // Said again by the envelope, or set by this very reading; never facts of the event.
    for known in ["writeKey", "receivedAt"] {
        fields.take(known);
    }
    let word = |value: Option<String>| value.map(Value::Text);
    Ok(Row {
        values: vec![
            Some(Value::Text(event_type)),
            word(event_name),
            word(user_id),
            word(anonymous_id),
            word(group_id),
            word(previous_id),
            Some(Value::Instant(happened_at)),
            sent_at.map(Value::Instant),
            word(told.url.or(context.page.url)),
            word(told.path.or(context.page.path)),
            word(told.referrer.or(context.page.referrer)),
            word(context.campaign.source),
            word(context.campaign.medium),
            word(context.campaign.name),
            json(properties),
            traits,
            json(context_text),
        ],
        record_key: Some(message_id.unwrap_or_else(|| format!("{}:{number}", received.body_sha256))),
        record_version: 0,
        operation: "upsert".to_owned(),
        occurred_at: happened_at,
        recorded_at: None,
        source: Some(received.source.to_owned()),
        extra: fields.rest(),
    })
}

#[cfg(test)]
mod tests {
    use atalaya_store::Part;
    use chrono::TimeZone;

    use super::*;

    fn read(call: Call, body: &str) -> Result<(Vec<Row>, Vec<String>), String> {
        let received = Received {
            source: "web",
            received_at: Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap(),
            body_sha256: "body",
        };
        let mut rows = Vec::new();
        let parsed = parse(call, body, &received)?;
        for part in parsed.parts {
            match part {
                Part::Rows { rows: more, .. } => rows.extend(more),
                Part::Letters(letters) => assert!(letters.iter().all(|letter| letter.file == "segment:web")),
            }
        }
        Ok((rows, parsed.first_faults))
    }

    fn cell(row: &Row, column: &str) -> Option<String> {
        let at = Kind::ProductEvents
            .columns()
            .iter()
            .position(|known| known.name == column)
            .unwrap();
        row.values[at].as_ref().map(|value| match value {
            Value::Text(text) => text.clone(),
            Value::Instant(at) => at.to_rfc3339(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn every_part_of_an_event_stands_in_its_column() {
        let body = r#"{"batch":[{"type":"track","event":"Lesson done","userId":7,"anonymousId":"a","messageId":"m1",
            "timestamp":"2026-03-01T08:59:00Z","properties":{"n": 1.0},"traits":{"x":1},"integrations":{"All":true},
            "context":{"page":{"url":"https://x/y","path":"/y","referrer":"r"},"campaign":{"source":"s","medium":"m","name":"c"},
            "groupId":"g"}}],"sentAt":"2026-03-01T09:00:00Z","writeKey":"k"}"#;
        let (rows, faults) = read(Call::Batch, body).unwrap();
        assert_eq!((rows.len(), faults.len()), (1, 0));
        let row = &rows[0];
        let found: Vec<String> = Kind::ProductEvents
            .columns()
            .iter()
            .map(|column| format!("{}={}", column.name, cell(row, column.name).unwrap_or_default()))
            .collect();
        assert_eq!(
            found[..16].join(" "),
            "event_type=track event_name=Lesson done user_id=7 anonymous_id=a group_id=g previous_id= \
             happened_at=2026-03-01T09:59:00+00:00 sent_at=2026-03-01T09:00:00+00:00 page_url=https://x/y page_path=/y \
             referrer=r campaign_source=s campaign_medium=m campaign_name=c properties={\"n\": 1.0} traits={\"x\":1}"
        );
        assert!(cell(row, "context").unwrap().contains("\"groupId\":\"g\""));
        assert_eq!(row.extra.as_deref(), Some(r#"{"integrations":{"All":true}}"#));
        assert_eq!(row.record_key.as_deref(), Some("m1"));
    }

    #[test]
    fn the_senders_clock_is_corrected_except_for_imports() {
        let message = r#""type":"page","userId":"u","messageId":"m","timestamp":"2026-02-28T23:00:00Z""#;
        let batch = format!(r#"{{"batch":[{{{message}}}],"sentAt":"2026-03-01T00:00:00Z"}}"#);
        let (rows, _) = read(Call::Batch, &batch).unwrap();
        assert_eq!(rows[0].occurred_at.to_rfc3339(), "2026-03-01T09:00:00+00:00");
        let (rows, _) = read(Call::Import, &batch).unwrap();
        assert_eq!(rows[0].occurred_at.to_rfc3339(), "2026-02-28T23:00:00+00:00");
        let (rows, _) = read(Call::Event("page"), &format!("{{{message}}}")).unwrap();
        assert_eq!(rows[0].occurred_at.to_rfc3339(), "2026-02-28T23:00:00+00:00");
        let (rows, _) = read(Call::Event("identify"), r#"{"userId":"u"}"#).unwrap();
        assert_eq!(rows[0].occurred_at.to_rfc3339(), "2026-03-01T10:00:00+00:00");
        assert_eq!(rows[0].record_key.as_deref(), Some("body:1"));
    }

    #[test]
    fn an_event_that_does_not_fit_is_told_and_the_others_land() {
        let body = r#"{"batch":[{"type":"track","userId":"u"},{"type":"dance","userId":"u"},{"type":"page"},7,
            {"type":"page","userId":"u","timestamp":"soon"},{"type":"page","userId":{}},{"type":"page","userId":"u"}]}"#;
        let (rows, faults) = read(Call::Batch, body).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            faults,
            [
                "event 1, event: is missing",
                "event 2, type: \"dance\" is not one of track, page, screen, identify, group, alias",
                "event 3, userId: is missing, and anonymousId too",
                "event 4, event: is not a JSON object: invalid type: integer `7`, expected a JSON object at line 1 column 1",
                "event 5, timestamp: \"soon\" is not a time (2026-01-31T09:30:00.000Z)",
            ]
        );
        for body in ["", "[]", "{", r#"{"messages":[]}"#] {
            assert!(read(Call::Batch, body).is_err(), "{body}");
        }
        assert!(read(Call::Event("track"), "{\"a\":").is_err());
    }
}
