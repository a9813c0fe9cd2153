use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::StoreError;

/// The table's name.
pub const DEAD_LETTERS: &str = "dead_letters";

/// A row that could not be landed, kept whole until somebody mends the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct DeadLetter {
    /// SHA-256 of the decompressed file and the row's number in it: its identity.
    pub id: String,
    /// `dead`, or `replayed` once a replay has landed it.
    pub state: String,
    /// The kind it was meant for.
    pub kind: String,
    /// The file as it was named on the command line.
    pub file: String,
    /// Line in the decompressed file, from 1.
    pub line: i64,
    /// The column at fault; empty when it is the whole line.
    pub column: String,
    /// What is wrong.
    pub reason: String,
    /// The row as read: a JSON object of column to text, or a JSON string of the line when it could not be split.
    pub row: String,
    /// The mapping file's text that was in force.
    pub mapping: String,
    /// When it was put here.
    pub landed_at: DateTime<Utc>,
    /// Its place in the order of arrival.
    pub arrival_seq: i64,
}

pub(crate) fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("id"),
        text("state"),
        text("kind"),
        text("file"),
        Field::new("line", DataType::Int64, true),
        text("column_name"),
        text("reason"),
        text("row_text"),
        text("mapping"),
        Field::new(
            "landed_at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("arrival_seq", DataType::Int64, true),
    ]))
}

/// Dead letters as rows of their table.
pub fn dead_letter_batch(letters: &[DeadLetter]) -> Result<RecordBatch, StoreError> {
    let text = |value: fn(&DeadLetter) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(letters.iter().map(value)))
    };
    let columns: Vec<ArrayRef> = vec![
        text(|letter| &letter.id),
        text(|letter| &letter.state),
        text(|letter| &letter.kind),
        text(|letter| &letter.file),
        Arc::new(Int64Array::from_iter_values(letters.iter().map(|letter| letter.line))),
        text(|letter| &letter.column),
        text(|letter| &letter.reason),
        text(|letter| &letter.row),
        text(|letter| &letter.mapping),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(
                letters.iter().map(|letter| letter.landed_at.timestamp_micros()),
            )
            .with_timezone("UTC"),
        ),
        Arc::new(Int64Array::from_iter_values(
            letters.iter().map(|letter| letter.arrival_seq),
        )),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The dead letters in rows of their table.
pub fn dead_letters_from(batch: &RecordBatch) -> Vec<DeadLetter> {
    let text = |name: &str, row: usize| {
        batch
            .column_by_name(name)
            .and_then(|column| column.as_string_opt::<i32>())
            .filter(|column| column.is_valid(row))
            .map(|column| column.value(row).to_owned())
            .unwrap_or_default()
    };
    let number = |name: &str, row: usize| {
        batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map_or(0, |column| column.value(row))
    };
    let instant = |row: usize| {
        batch
            .column_by_name("landed_at")
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
            .and_then(|column| DateTime::from_timestamp_micros(column.value(row)))
            .unwrap_or_default()
    };
    (0..batch.num_rows())
        .map(|row| DeadLetter {
            id: text("id", row),
            state: text("state", row),
            kind: text("kind", row),
            file: text("file", row),
            line: number("line", row),
            column: text("column_name", row),
            reason: text("reason", row),
            row: text("row_text", row),
            mapping: text("mapping", row),
            landed_at: instant(row),
            arrival_seq: number("arrival_seq", row),
        })
        .collect()
}
