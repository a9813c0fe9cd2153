//! A JSON object as its fields in order, their values as they were written.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper than any honest event is; whoever reads the text later may do so by recursion.
const MAX_DEPTH: usize = 64;
/// More than any honest event has at its top; they are compared with one another.
const MAX_FIELDS: usize = 200;

/// The fields of an object. Of two with one name the last counts, as everywhere.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if fields.len() == MAX_FIELDS {
                        return Err(serde::de::Error::custom(format!("has more than {MAX_FIELDS} fields")));
                    }
                    fields.retain(|(known, _)| *known != name);
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// A name, borrowed where nothing in it is escaped.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Reads one object.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        if depth(text) > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        serde_json::from_str(text).map_err(|error| format!("is not a JSON object: {error}"))
    }

    /// Takes a field out. `null` counts as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.0.remove(at);
        (value.get() != "null").then_some(value)
    }

    /// Takes a field that is text, or a number as its text.
    pub(crate) fn take_text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let raw = value.get();
        if raw.starts_with('"') {
            let text: String = serde_json::from_str(raw).map_err(|error| Fault::of(name, error))?;
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        if raw.starts_with(['{', '[', 't', 'f']) {
            return Err(Fault::of(name, "is neither text nor a number"));
        }
        Ok(Some(raw.to_owned()))
    }

    /// Takes a field that is an instant: ISO 8601 (UTC where no offset is given), or milliseconds since 1970.
    pub(crate) fn take_instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Fault> {
        self.take_text(name)?
            .map(|text| instant(&text).map_err(|reason| Fault::of(name, reason)))
            .transpose()
    }

    /// What nobody took, as a JSON object.
    pub(crate) fn rest(self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut text = String::from("{");
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text += &serde_json::Value::from(name.as_ref()).to_string();
            text.push(':');
            text += value.get();
        }
        text.push('}');
        Some(text)
    }
}

/// What is wrong with one field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: String,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn of(field: &str, reason: impl fmt::Display) -> Self {
        Self {
            field: field.to_owned(),
            reason: reason.to_string(),
        }
    }
}

pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let known = DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|at| at.and_utc()))
        .ok()
        .or_else(|| DateTime::from_timestamp_millis(text.parse().ok()?))
        .ok_or_else(|| format!("{text:?} is not a time (2026-01-31T09:30:00.000Z)"))?;
    // What lies outside is a unit taken for another, and would not fit every reader's calendar.
    if (1990..2200).contains(&chrono::Datelike::year(&known)) {
        Ok(known)
    } else {
        Err(format!("{text:?} lies outside 1990 to 2200"))
    }
}

/// How deep objects and arrays are nested, without reading what they hold.
pub(crate) fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut in_text, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_and_the_rest_is_kept_as_written() {
        let text = r#"{"a": 1.50, "b\n": [1, 2],"c":null, "id": 7, "a": {"x":"}"}, "t": "x\"y", "o": {}}"#;
        let mut fields = Fields::read(text).unwrap();
        assert_eq!(fields.take_text("id"), Ok(Some("7".to_owned())));
        assert_eq!(fields.take_text("t"), Ok(Some("x\"y".to_owned())));
        assert_eq!(fields.take_text("c"), Ok(None));
        assert!(fields.take_text("o").is_err());
        assert_eq!(fields.rest().unwrap(), r#"{"b\n":[1, 2],"a":{"x":"}"}}"#);
        assert!(Fields::read("[1]").is_err() && Fields::read("{").is_err() && Fields::read("{} x").is_err());
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(Fields::read(&deep).unwrap_err().contains("nested deeper"));
        assert_eq!(depth(r#"{"a":"[[[\"[","b":[{}]}"#), 3);
    }

    #[test]
    fn instants_are_iso_or_milliseconds_and_sane() {
        for text in [
            "2026-01-31T09:30:00.000Z",
            "2026-01-31T10:30:00+01:00",
            "2026-01-31T09:30:00.0",
            "1769851800000",
        ] {
            assert_eq!(instant(text).unwrap().timestamp(), 1_769_851_800, "{text}");
        }
        // Seconds, microseconds, nonsense.
        for text in ["-5", "1769851800", "1769851800000000", "yesterday", ""] {
            assert!(instant(text).is_err(), "{text}");
        }
    }
}
