//! Rows of a kind as JSON lines: the columns of `docs/import.md`, pushed instead of imported.

use std::{collections::HashMap, path::Path};

use atalaya_model::Kind;
use atalaya_store::{Part, Row};
use chrono_tz::Tz;

use super::{
    fields::{Fault, depth},
    parsed::{Parsed, Received},
};
use crate::{IngestError, Mapping, plan::Plan};

/// Plans that are kept: one for each set of names in a body.
const MOST_PLANS: usize = 256;

/// Reads a body. Which line is at fault is told by its number; nothing makes the whole body unreadable.
///
/// A row is left out as a repetition when its source has landed one of its key and version. A row with a key of its own
/// and no version always lands, for it may say something new: then the newest stands.
pub(crate) fn parse(
    kind: Kind,
    body: &str,
    zone: Tz,
    idempotency_key: Option<&str>,
    received: &Received<'_>,
) -> Parsed {
    let place = format!("records/{kind}");
    let mut plans: HashMap<Vec<String>, Result<Plan, IngestError>> = HashMap::new();
    let request = idempotency_key.unwrap_or(received.body_sha256);
    let lines = (1_i64..).zip(body.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut always = Vec::new();
    let events = lines.filter_map(|(number, line)| {
        // Names made up anew in every line would have a plan each.
        if plans.len() >= MOST_PLANS {
            plans.clear();
        }
        let row = cells(line).and_then(|(columns, cells)| {
            let plan = plans.entry(columns).or_insert_with_key(|columns| {
                Plan::new(
                    Path::new(&place),
                    kind,
                    &Mapping::default(),
                    columns,
                    zone,
                    received.received_at,
                )
            });
            let plan = plan.as_ref().map_err(|error| Fault::of("line", missing(error)))?;
            let row = plan.land(&cells).map_err(|fault| Fault {
                field: fault.column,
                reason: fault.reason,
            })?;
            owned(row, received)
        });
        match row {
            Ok(row) if row.record_key.is_some() && row.record_version == 0 => {
                always.push(row);
                None
            }
            Ok(mut row) => {
                row.record_key.get_or_insert_with(|| format!("{request}:{number}"));
                Some((number, line, Ok(row)))
            }
            Err(fault) => Some((number, line, Err(fault))),
        }
    });
    let mut parsed = Parsed::collect(kind, received, "records", events);
    if !always.is_empty() {
        parsed.parts.push(Part::Rows {
            kind,
            rows: always,
            once: false,
        });
    }
    parsed
}

/// A plan's error as it is of one line: the advice beside it is for whoever imports a file.
fn missing(error: &IngestError) -> String {
    let reason = error.reason().replace("the file has none", "the line has none");
    reason.split(". ").next().unwrap_or_default().to_owned()
}

fn owned(mut row: Row, received: &Received<'_>) -> Result<Row, Fault> {
    match row.source.as_deref() {
        Some(other) if other != received.source => Err(Fault::of(
            "source",
            format!("{other:?} is another source: this key is {}'s", received.source),
        )),
        _ => {
            row.source = Some(received.source.to_owned());
            Ok(row)
        }
    }
}

type Cells = (Vec<String>, Vec<Option<String>>);

fn cells(line: &str) -> Result<Cells, Fault> {
    if depth(line) > 64 {
        return Err(Fault::of("line", "is nested deeper than 64 levels"));
    }
    match serde_json::from_str(line) {
        Ok(serde_json::Value::Object(object)) => Ok(object
            .into_iter()
            .map(|(name, value)| {
                let text = match value {
                    serde_json::Value::Null => None,
                    serde_json::Value::String(text) => Some(text).filter(|text| !text.is_empty()),
                    other => Some(other.to_string()),
                };
                (name, text)
            })
            .unzip()),
        Ok(_) => Err(Fault::of("line", "is JSON but not an object")),
        Err(error) => Err(Fault::of("line", format!("is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};

    use super::*;

    fn read(kind: Kind, body: &str, idempotency_key: Option<&str>) -> (Vec<(Row, bool)>, Vec<String>) {
        let received = Received {
            source: "shop",
            received_at: Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap(),
            body_sha256: "body",
        };
        let parsed = parse(kind, body, chrono_tz::Europe::Madrid, idempotency_key, &received);
        let mut found = Vec::new();
        for part in parsed.parts {
            if let Part::Rows { rows, once, .. } = part {
                found.extend(rows.into_iter().map(|row| (row, once)));
            }
        }
        (found, parsed.first_faults)
    }

    #[test]
    fn lines_are_rows_and_faults_are_told_by_line_and_field() {
        let good = r#"{"customer_id":"ana","amount":12.5,"currency":"EUR","ordered_at":"2026-02-28","colour":"red"}"#;
        let body = format!(
            "{good}\n\n{{\"customer_id\":\"bea\"}}\n7\n{}\n",
            good.replace("12.5", "12.555")
        );
        let (rows, faults) = read(Kind::Orders, &body, None);
        assert_eq!(rows.len(), 1);
        let (row, once) = &rows[0];
        assert!(*once);
        assert_eq!(row.record_key.as_deref(), Some("body:1"));
        assert_eq!(row.source.as_deref(), Some("shop"));
        assert_eq!(row.extra.as_deref(), Some(r#"{"colour":"red"}"#));
        assert_eq!(faults.len(), 3);
        assert!(
            faults[0].starts_with("event 3, line: orders need amount_minor, currency, ordered_at"),
            "{faults:?}"
        );
        assert!(
            faults[1].starts_with("event 4, line: is JSON but not an object"),
            "{faults:?}"
        );
        assert!(faults[2].starts_with("event 5, amount: "), "{faults:?}");
        assert_eq!(
            read(Kind::Orders, good, Some("try-1")).0[0].0.record_key.as_deref(),
            Some("try-1:1")
        );
    }

    #[test]
    fn a_row_with_a_key_and_no_version_may_say_something_new() {
        let row = r#"{"customer_id":"ana","country":"ES","created_at":"2026-02-28"}"#;
        assert!(!read(Kind::Customers, row, None).0[0].1);
        let versioned = row.replace("}", ",\"record_version\":3}");
        assert!(read(Kind::Customers, &versioned, None).0[0].1);
        let (_, faults) = read(Kind::Customers, &row.replace("}", ",\"source\":\"crm\"}"), None);
        assert!(faults[0].contains("\"crm\" is another source"), "{faults:?}");
    }
}
