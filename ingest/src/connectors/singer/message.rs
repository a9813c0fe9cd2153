//! Messages of the Singer specification.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A record's fields, as they were written: a decimal would lose its last digits as a float.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// One line.
#[derive(Debug)]
pub(super) enum Message {
    /// What records of a stream look like, and which fields identify one.
    Schema {
        stream: String,
        keys: Vec<String>,
    },
    Record {
        stream: String,
        record: Fields,
    },
    State(Value),
    /// An extension that says nothing that has to be heard.
    Other(String),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    stream: Option<String>,
    key_properties: Option<Vec<String>>,
    record: Option<Fields>,
    value: Option<Value>,
}

impl Message {
    pub(super) fn read(line: &str) -> Result<Self, String> {
        if crate::receivers::depth(line) > 64 {
            return Err("is nested deeper than 64 levels".to_owned());
        }
        let line: Line = serde_json::from_str(line).map_err(|error| format!("is no message: {error}"))?;
        let kind = line.kind.ok_or("has no type")?.to_ascii_uppercase();
        let stream = line.stream.ok_or("has no stream");
        match kind.as_str() {
            "SCHEMA" => Ok(Self::Schema {
                stream: stream?,
                keys: line.key_properties.unwrap_or_default(),
            }),
            "RECORD" => Ok(Self::Record {
                stream: stream?,
                record: line.record.ok_or("has no record")?,
            }),
            // `null` is a state of nothing.
            "STATE" => Ok(Self::State(line.value.unwrap_or(Value::Null))),
            // Whole files beside the lines: passing them over would lose what is in them.
            "BATCH" => Err("is a BATCH, which is not read: switch batches off in the tap's configuration".to_owned()),
            _ => Ok(Self::Other(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_known_in_any_case_and_what_is_missing_is_named() {
        let schema = r#"{"type":"schema","stream":"s","schema":{},"key_properties":["id","part"]}"#;
        let Ok(Message::Schema { stream, keys }) = Message::read(schema) else {
            panic!("no schema");
        };
        assert_eq!((stream.as_str(), keys.join(" ").as_str()), ("s", "id part"));
        let record = r#"{"type":"RECORD","stream":"s","record":{"total":90071992547409.93,"id":"x"}}"#;
        let Ok(Message::Record { record, .. }) = Message::read(record) else {
            panic!("no record");
        };
        assert_eq!(record["total"].get(), "90071992547409.93");
        let state = Message::read(r#"{"type":"STATE","value":{"a":1}}"#);
        assert!(matches!(state, Ok(Message::State(value)) if value == json!({"a": 1})));
        let other = Message::read(r#"{"type":"ACTIVATE_VERSION","stream":"s","version":1}"#);
        assert!(matches!(other, Ok(Message::Other(kind)) if kind == "ACTIVATE_VERSION"));
        for (line, expected) in [
            ("{", "is no message"),
            ("7", "is no message"),
            (r#"{"stream":"s"}"#, "has no type"),
            (r#"{"type":"RECORD","record":{}}"#, "has no stream"),
            (r#"{"type":"RECORD","stream":"s"}"#, "has no record"),
            (r#"{"type":"BATCH","stream":"s"}"#, "switch batches off"),
        ] {
            assert!(Message::read(line).unwrap_err().contains(expected), "{line}");
        }
    }
}
