//! One row of a kind, typed, on its way into a table.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayBuilder, ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, Date32Type, SchemaRef},
};
use atalaya_model::{ColumnType, Kind, SYSTEM_COLUMNS};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{StoreError, arrow_type, table_schema};

/// A typed cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Text, or the code of a currency.
    Text(String),
    /// A whole number of whatever the column counts.
    Integer(i64),
    /// A day.
    Date(NaiveDate),
    /// An instant, to the microsecond.
    Instant(#[serde(with = "chrono::serde::ts_microseconds")] DateTime<Utc>),
}

/// A row with what its source told of it. When and in which order it arrived is added where it lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// In the order of [`Kind::columns`].
    pub values: Vec<Option<Value>>,
    /// The record it is a version of; where neither source nor kind tell, it is given by the row's place.
    pub record_key: Option<String>,
    /// The greatest stands.
    pub record_version: i64,
    /// `upsert` or `delete`.
    pub operation: String,
    /// When it was true.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub occurred_at: DateTime<Utc>,
    /// When the source knew; absent means when it landed.
    #[serde(with = "chrono::serde::ts_microseconds_option")]
    pub recorded_at: Option<DateTime<Utc>>,
    /// The source's name; absent means `import`.
    pub source: Option<String>,
    /// What the kind has no column for, as a JSON object.
    pub extra: Option<String>,
}

impl Row {
    /// About what it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let values: usize = self
            .values
            .iter()
            .map(|value| match value {
                Some(Value::Text(text)) => 16 + text.len(),
                _ => 16,
            })
            .sum();
        values + text(&self.record_key) + text(&self.extra) + text(&self.source) + 128
    }
}

/// Collects rows of one kind into columns of its table.
pub struct RowBatchBuilder {
    schema: SchemaRef,
    builders: Vec<Builder>,
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

impl Builder {
    fn of(column_type: ColumnType) -> Self {
        match arrow_type(column_type) {
            DataType::Int64 => Self::Integer(Int64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(..) => Self::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Option<Value>) {
        match (self, value) {
            (Self::Text(builder), Some(Value::Text(text))) => builder.append_value(text),
            (Self::Integer(builder), Some(Value::Integer(number))) => builder.append_value(number),
            (Self::Date(builder), Some(Value::Date(day))) => builder.append_value(Date32Type::from_naive_date(day)),
            (Self::Instant(builder), Some(Value::Instant(at))) => builder.append_value(at.timestamp_micros()),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Integer(builder), _) => builder.append_null(),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Instant(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(builder) => builder.len(),
            Self::Integer(builder) => builder.len(),
            Self::Date(builder) => builder.len(),
            Self::Instant(builder) => builder.len(),
        }
    }
}

impl RowBatchBuilder {
    /// An empty one.
    pub fn new(kind: Kind) -> Self {
        let builders = kind
            .columns()
            .iter()
            .chain(SYSTEM_COLUMNS)
            .map(|column| Builder::of(column.column_type))
            .collect();
        Self {
            schema: table_schema(kind),
            builders,
        }
    }

    /// Rows collected so far.
    pub fn len(&self) -> usize {
        self.builders.first().map_or(0, Builder::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a row that landed at `landed_at`. `fallback_key` identifies it when its source does not.
    pub fn push(&mut self, row: Row, fallback_key: &str, landed_at: DateTime<Utc>, arrival_seq: i64) {
        let own = row.values.len();
        let key = row.record_key.unwrap_or_else(|| fallback_key.to_owned());
        let system = [
            Some(Value::Text(key)),
            Some(Value::Integer(row.record_version)),
            Some(Value::Text(row.operation)),
            Some(Value::Instant(row.occurred_at)),
            Some(Value::Instant(row.recorded_at.unwrap_or(landed_at))),
            Some(Value::Instant(landed_at)),
            Some(Value::Integer(arrival_seq)),
            Some(Value::Text(row.source.unwrap_or_else(|| "import".to_owned()))),
            row.extra.map(Value::Text),
        ];
        for (builder, value) in self.builders[..own].iter_mut().zip(row.values) {
            builder.push(value);
        }
        for (builder, value) in self.builders[own..].iter_mut().zip(system) {
            builder.push(value);
        }
    }

    /// Takes what was collected.
    pub fn take(&mut self) -> Result<RecordBatch, StoreError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
