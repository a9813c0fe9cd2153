//! How far a source was read: a row of its own, logged in one frame with what was read.

use atalaya_model::Kind;
use atalaya_store::{Home, Part, Row, Snapshot, StoreError, Value};
use chrono::{DateTime, Utc};

use crate::stored;

/// The newest position of a source, or `None` when it was never read.
pub(super) async fn newest(home: &Home, source: &str) -> Result<Option<String>, StoreError> {
    let snapshot = Snapshot::latest(home).await?;
    let Some(table) = snapshot.tables.get(Kind::SyncPositions.name()) else {
        return Ok(None);
    };
    let mut newest: Option<(i64, String)> = None;
    for file in &table.files {
        stored::each(file, "position", "arrival_seq", |of, position, seq| {
            if of == source && newest.as_ref().is_none_or(|(known, _)| *known < seq) {
                newest = Some((seq, position.to_owned()));
            }
        })?;
    }
    Ok(newest.map(|(_, position)| position))
}

/// The row that says how far a source was read.
pub(super) fn part(source: &str, position: &str, now: DateTime<Utc>) -> Part {
    Part::Rows {
        kind: Kind::SyncPositions,
        rows: vec![Row {
            values: vec![Some(Value::Text(position.to_owned())), Some(Value::Instant(now))],
            record_key: Some("position".to_owned()),
            record_version: 0,
            operation: "upsert".to_owned(),
            occurred_at: now,
            recorded_at: None,
            source: Some(source.to_owned()),
            extra: None,
        }],
        once: false,
    }
}
