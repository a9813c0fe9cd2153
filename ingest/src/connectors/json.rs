//! Fields of vendors' objects.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::receivers::Fault;

fn at<'v>(object: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(object, |object, name| object.get(name))
}

/// Text at a path of names; empty text counts as absent.
pub(super) fn text<'v>(object: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(object, path)?.as_str().filter(|text| !text.is_empty())
}

/// Text, or a number as its text.
pub(super) fn word(object: &Value, path: &[&str]) -> Option<String> {
    match at(object, path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number, also where it is written as text.
pub(super) fn integer(object: &Value, path: &[&str]) -> Option<i64> {
    let found = at(object, path)?;
    found.as_i64().or_else(|| found.as_str()?.parse().ok())
}

/// An instant of ISO 8601.
pub(super) fn instant(object: &Value, path: &[&str]) -> Result<DateTime<Utc>, Fault> {
    let name = path.join(".");
    let text = text(object, path).ok_or_else(|| Fault::of(&name, "is missing"))?;
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| Fault::of(&name, format!("{text:?} is not a time (2026-01-31T09:30:00Z)")))
}

/// The elements of a list; none where there is no list.
pub(super) fn elements<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
