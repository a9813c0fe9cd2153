//! How far a source was read: a row of its own, logged in one frame with what was read.

use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
};
use atalaya_model::Kind;
use atalaya_store::{Home, Part, Row, Snapshot, StoreError, Value};
use chrono::{DateTime, Utc};

/// The newest position of a source, or `None` when it was never read.
pub(super) async fn newest(home: &Home, source: &str) -> Result<Option<String>, StoreError> {
    let snapshot = Snapshot::latest(home).await?;
    let Some(table) = snapshot.tables.get(Kind::SyncPositions.name()) else {
        return Ok(None);
    };
    let mut newest: Option<(i64, String)> = None;
    for file in &table.files {
        for batch in file.batches(Some(&["source", "position", "arrival_seq"]))? {
            let batch = batch?;
            let text = |name: &str| {
                batch
                    .column_by_name(name)
                    .and_then(|column| column.as_string_opt::<i32>())
            };
            let seqs = batch
                .column_by_name("arrival_seq")
                .and_then(|column| column.as_primitive_opt::<Int64Type>());
            let (Some(sources), Some(positions), Some(seqs)) = (text("source"), text("position"), seqs) else {
                return Err(StoreError::Damaged {
                    path: file.path.clone(),
                    reason: "it lacks source, position or arrival_seq".to_owned(),
                });
            };
            for row in 0..batch.num_rows() {
                let seq = seqs.value(row);
                let is_newer = newest.as_ref().is_none_or(|(known, _)| *known < seq);
                if sources.is_valid(row) && sources.value(row) == source && is_newer {
                    newest = Some((seq, positions.value(row).to_owned()));
                }
            }
        }
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
