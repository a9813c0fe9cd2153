//! The tables that a scan can answer with: the definitions whose rows they are, column by column.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};

/// Rows of a batch that a scan hands over.
const BATCH_ROWS: usize = 8192;

/// A definition that a scan computes in place of its SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovementTable {
    /// `subscription_item_mrr`
    Items,
    /// `customer_steps`
    Steps,
    /// `mrr_known_at`, and `mrr_at` where no month is closed
    KnownAt,
    /// `customer_ends`, where no month is closed
    Ends,
    /// `customer_movement_events`
    Events,
    /// `customer_movements`, where no month is closed
    Movements,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Text,
    Integer,
    Day,
    Instant,
}

use ColumnKind::{Day, Instant, Integer, Text};

const ITEMS: &[(&str, ColumnKind)] = &[
    ("source", Text),
    ("record_key", Text),
    ("recorded_at", Instant),
    ("customer_id", Text),
    ("subscription_id", Text),
    ("item_id", Text),
    ("product", Text),
    ("plan", Text),
    ("currency", Text),
    ("status", Text),
    ("quantity", Integer),
    ("cancel_at", Instant),
    ("starts_at", Instant),
    ("ends_at", Instant),
    ("ended_by", Text),
    ("service_on", Day),
    ("mrr_micros", Integer),
    ("is_active", Integer),
];

const STEPS: &[(&str, ColumnKind)] = &[
    ("customer_id", Text),
    ("currency", Text),
    ("product", Text),
    ("plan", Text),
    ("changed_at", Instant),
    ("native_before_micros", Integer),
    ("native_after_micros", Integer),
    ("own_before_micros", Integer),
    ("own_after_micros", Integer),
    ("unrated_so_far", Integer),
    ("items_before", Integer),
    ("items_after", Integer),
    ("previous_at", Instant),
    ("ended_by", Text),
];

const KNOWN_AT: &[(&str, ColumnKind)] = &[
    ("boundary_at", Instant),
    ("customer_id", Text),
    ("currency", Text),
    ("product", Text),
    ("plan", Text),
    ("country", Text),
    ("market", Text),
    ("channel", Text),
    ("native_micros", Integer),
    ("value_micros", Integer),
];

const ENDS: &[(&str, ColumnKind)] = &[
    ("period_start", Day),
    ("customer_id", Text),
    ("currency", Text),
    ("product", Text),
    ("plan", Text),
    ("country", Text),
    ("market", Text),
    ("channel", Text),
    ("starts", Integer),
    ("closes", Integer),
    ("start_micros", Integer),
    ("basis_micros", Integer),
    ("end_micros", Integer),
    ("known_start_micros", Integer),
    ("known_end_micros", Integer),
    ("revalued_micros", Integer),
    ("known_revalued_micros", Integer),
];

const EVENTS: &[(&str, ColumnKind)] = &[
    ("period_start", Day),
    ("customer_id", Text),
    ("group_index", Integer),
    ("began_at", Instant),
    ("ended_at", Instant),
    ("product", Text),
    ("plan", Text),
    ("country", Text),
    ("market", Text),
    ("channel", Text),
    ("change_micros", Integer),
    ("fx_micros", Integer),
    ("movement", Text),
    ("reason", Text),
];

const MOVEMENTS: &[(&str, ColumnKind)] = &[
    ("period_start", Day),
    ("customer_id", Text),
    ("starts", Integer),
    ("closes", Integer),
    ("start_micros", Integer),
    ("end_micros", Integer),
    ("change_micros", Integer),
    ("fx_micros", Integer),
    ("basis_micros", Integer),
    ("restatement_micros", Integer),
    ("movement", Text),
];

/// Columns that come from the customers' own records.
const ATTRIBUTES: [&str; 3] = ["country", "market", "channel"];

impl MovementTable {
    pub(crate) fn columns(self) -> &'static [(&'static str, ColumnKind)] {
        match self {
            Self::Items => ITEMS,
            Self::Steps => STEPS,
            Self::KnownAt => KNOWN_AT,
            Self::Ends => ENDS,
            Self::Events => EVENTS,
            Self::Movements => MOVEMENTS,
        }
    }

    /// The columns: names and types of the definition's.
    pub fn schema(self) -> SchemaRef {
        schema_of(self.columns())
    }

    /// Whether a column among these comes from the customers' own records.
    pub(crate) fn shows_attributes(self, projection: &[usize]) -> bool {
        let names = self.columns();
        projection
            .iter()
            .any(|column| names.get(*column).is_some_and(|(name, _)| ATTRIBUTES.contains(name)))
    }

    /// Whether a column among these has a name.
    pub(crate) fn shows(self, projection: &[usize], wanted: &str) -> bool {
        let names = self.columns();
        projection
            .iter()
            .any(|column| names.get(*column).is_some_and(|(name, _)| *name == wanted))
    }
}

/// The schema of some columns.
pub(crate) fn schema_of(columns: &[(&str, ColumnKind)]) -> SchemaRef {
    let field = |(name, kind): &(&str, ColumnKind)| {
        let data_type = match kind {
            Text => DataType::Utf8,
            Integer => DataType::Int64,
            Day => DataType::Date32,
            Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(Option<&'a str>),
    Integer(i64),
    Day(i32),
    Instant(Option<i64>),
}

#[derive(Debug)]
enum Column {
    Text(StringBuilder),
    Integer(Vec<i64>),
    Day(Vec<i32>),
    Instant(TimestampMicrosecondBuilder),
}

/// Gathers rows of a table into batches of the columns that are wanted.
#[derive(Debug)]
pub(crate) struct Rows {
    schema: SchemaRef,
    columns: Vec<(usize, Column)>,
    rows: usize,
}

impl Rows {
    /// Rows of some of the columns.
    pub(crate) fn of(columns: &[(&str, ColumnKind)], projection: &[usize]) -> Result<Self, ArrowError> {
        let schema = Arc::new(schema_of(columns).project(projection)?);
        let column = |index: &usize| {
            let column = match columns[*index].1 {
                Text => Column::Text(StringBuilder::new()),
                Integer => Column::Integer(Vec::new()),
                Day => Column::Day(Vec::new()),
                Instant => Column::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            };
            (*index, column)
        };
        Ok(Self {
            schema,
            columns: projection.iter().map(column).collect(),
            rows: 0,
        })
    }

    /// Adds a row; `value` is asked only for the columns that are wanted.
    pub(crate) fn push<'a>(&mut self, value: impl Fn(usize) -> Value<'a>) {
        for (index, column) in &mut self.columns {
            match (column, value(*index)) {
                (Column::Text(texts), Value::Text(text)) => texts.append_option(text),
                (Column::Integer(numbers), Value::Integer(number)) => numbers.push(number),
                (Column::Day(days), Value::Day(day)) => days.push(day),
                (Column::Instant(instants), Value::Instant(at)) => instants.append_option(at),
                // A test reads every column of every table, so that no value of another type stays unnoticed.
                (column, value) => debug_assert!(false, "{value:?} in {column:?}"),
            }
        }
        self.rows += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows gathered since the last time.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self
            .columns
            .iter_mut()
            .map(|(_, column)| -> ArrayRef {
                match column {
                    Column::Text(texts) => Arc::new(texts.finish()),
                    Column::Integer(numbers) => Arc::new(Int64Array::from(std::mem::take(numbers))),
                    Column::Day(days) => Arc::new(Date32Array::from(std::mem::take(days))),
                    Column::Instant(instants) => Arc::new(instants.finish()),
                }
            })
            .collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}
