//! Canonical values into columns of a table.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayBuilder, ArrayRef, Date32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{Date32Type, SchemaRef},
};
use atalaya_model::{Kind, SYSTEM_COLUMNS};
use atalaya_store::{arrow_type, table_schema};
use chrono::{DateTime, Utc};

use crate::{IngestError, convert::Value, plan::Landing};

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

impl Builder {
    fn of(column_type: atalaya_model::ColumnType) -> Self {
        use arrow::datatypes::DataType;
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

/// Collects landings of one kind into batches.
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    builders: Vec<Builder>,
    landed_at: DateTime<Utc>,
}

impl BatchBuilder {
    pub(crate) fn new(kind: Kind, landed_at: DateTime<Utc>) -> Self {
        let builders = kind
            .columns()
            .iter()
            .chain(SYSTEM_COLUMNS)
            .map(|column| Builder::of(column.column_type))
            .collect();
        Self {
            schema: table_schema(kind),
            builders,
            landed_at,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.builders.first().map_or(0, Builder::len)
    }

    /// Adds a row. `fallback_key` identifies it when neither the file nor the kind does.
    pub(crate) fn push(&mut self, landing: Landing, fallback_key: &str, arrival_seq: i64) {
        let own = landing.values.len();
        let key = landing.record_key.unwrap_or_else(|| fallback_key.to_owned());
        let system = [
            Some(Value::Text(key)),
            Some(Value::Integer(landing.record_version)),
            Some(Value::Text(landing.operation)),
            Some(Value::Instant(landing.occurred_at)),
            Some(Value::Instant(landing.recorded_at.unwrap_or(self.landed_at))),
            Some(Value::Instant(self.landed_at)),
            Some(Value::Integer(arrival_seq)),
            Some(Value::Text(landing.source.unwrap_or_else(|| "import".to_owned()))),
            landing.extra.map(Value::Text),
        ];
        for (builder, value) in self.builders[..own].iter_mut().zip(landing.values) {
            builder.push(value);
        }
        for (builder, value) in self.builders[own..].iter_mut().zip(system) {
            builder.push(value);
        }
    }

    /// Takes what was collected.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, IngestError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
