//! What a protocol makes of a body: rows, and dead letters for what did not fit.

use atalaya_model::Kind;
use atalaya_store::{DeadLetter, Part, Row};
use chrono::{DateTime, Utc};

use super::fields::Fault;

/// Events of a request: a few bytes each would otherwise become gigabytes of rows.
const MAX_EVENTS: usize = 20_000;

/// An error when a request has too many events.
pub(crate) fn check_count(events: usize) -> Result<(), String> {
    if events > MAX_EVENTS {
        return Err(format!("has {events} events, and a request may have {MAX_EVENTS}"));
    }
    Ok(())
}

/// What is known of a request beside its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    /// Name of the source.
    pub(crate) source: &'a str,
    /// When it came in.
    pub(crate) received_at: DateTime<Utc>,
    /// SHA-256 of the body, in hexadecimal: identifies what has no identity of its own.
    pub(crate) body_sha256: &'a str,
}

/// A body's events.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) parts: Vec<Part>,
    /// The first few faults, for the sender.
    pub(crate) first_faults: Vec<String>,
}

impl Parsed {
    /// Collects rows of one kind, each to be landed once, and what did not fit.
    pub(crate) fn collect(
        kind: Kind,
        received: &Received<'_>,
        protocol: &str,
        events: impl IntoIterator<Item = (i64, impl Into<String>, Result<Row, Fault>)>,
    ) -> Self {
        let mut rows = Vec::new();
        let mut letters = Vec::new();
        let mut first_faults = Vec::new();
        for (number, text, event) in events {
            match event {
                Ok(row) => rows.push(row),
                Err(fault) => {
                    if first_faults.len() < 5 {
                        first_faults.push(format!("event {number}, {}: {}", fault.field, fault.reason));
                    }
                    letters.push(DeadLetter {
                        id: format!("{}:{number}", received.body_sha256),
                        state: "dead".to_owned(),
                        kind: kind.name().to_owned(),
                        file: format!("{protocol}:{}", received.source),
                        line: number,
                        column: fault.field,
                        reason: fault.reason,
                        row: text.into(),
                        mapping: String::new(),
                        landed_at: received.received_at,
                        arrival_seq: 0,
                    });
                }
            }
        }
        let mut parts = Vec::new();
        if !rows.is_empty() {
            parts.push(Part::Rows { kind, rows, once: true });
        }
        if !letters.is_empty() {
            parts.push(Part::Letters(letters));
        }
        Self { parts, first_faults }
    }
}
