use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use atalaya_model::{ColumnType, Kind, SYSTEM_COLUMNS};

/// The Arrow type of a column. Instants carry the zone "UTC", which Delta calls `timestamp` (reader version 1).
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Text | ColumnType::Currency => DataType::Utf8,
        ColumnType::Integer | ColumnType::Minor | ColumnType::Ppm | ColumnType::E12 | ColumnType::E6 => DataType::Int64,
        ColumnType::Date => DataType::Date32,
        ColumnType::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The columns of a kind's table: its own, then the system columns. All are nullable on disk, so that a column added
/// later reads as absent in older files; what must be there is checked before a row is landed.
pub fn table_schema(kind: Kind) -> SchemaRef {
    let fields: Vec<Field> = kind
        .columns()
        .iter()
        .chain(SYSTEM_COLUMNS)
        .map(|column| Field::new(column.name, arrow_type(column.column_type), true))
        .collect();
    Arc::new(Schema::new(fields))
}
