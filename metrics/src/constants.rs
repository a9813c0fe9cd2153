use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};
use chrono::{DateTime, NaiveDate, Utc};

/// A value of a constant table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// No value.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A day.
    Date(NaiveDate),
    /// An instant.
    Instant(DateTime<Utc>),
}

/// A small table that comes with the query and not from the home: calendar, currencies, policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstantTable {
    /// Its name.
    pub name: &'static str,
    /// Names and SQL types of its columns: VARCHAR, BIGINT, DATE or TIMESTAMPTZ.
    pub columns: Vec<(&'static str, &'static str)>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

impl ConstantTable {
    /// As columns for DataFusion.
    pub fn to_batch(&self) -> Result<(SchemaRef, RecordBatch), ArrowError> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|(name, sql_type)| {
                let data_type = match *sql_type {
                    "BIGINT" => DataType::Int64,
                    "DATE" => DataType::Date32,
                    "TIMESTAMPTZ" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                    _ => DataType::Utf8,
                };
                Field::new(*name, data_type, true)
            })
            .collect();
        let column = |index: usize| -> ArrayRef {
            let cells = self.rows.iter().map(|row| &row[index]);
            match self.columns[index].1 {
                "BIGINT" => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                    Cell::Integer(number) => Some(*number),
                    _ => None,
                }))),
                "DATE" => Arc::new(Date32Array::from_iter(cells.map(|cell| match cell {
                    Cell::Date(day) => Some(Date32Type::from_naive_date(*day)),
                    _ => None,
                }))),
                "TIMESTAMPTZ" => Arc::new(
                    TimestampMicrosecondArray::from_iter(cells.map(|cell| match cell {
                        Cell::Instant(at) => Some(at.timestamp_micros()),
                        _ => None,
                    }))
                    .with_timezone("UTC"),
                ),
                _ => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                    Cell::Text(text) => Some(text.as_str()),
                    _ => None,
                }))),
            }
        };
        let schema = Arc::new(Schema::new(fields));
        let columns = (0..self.columns.len()).map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok((schema, batch))
    }

    /// As SQL for DuckDB.
    pub fn to_sql(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, sql_type)| format!("{name} {sql_type}"))
            .collect();
        let mut sql = format!("CREATE TEMP TABLE {} ({});\n", self.name, columns.join(", "));
        for chunk in self.rows.chunks(500) {
            let rows: Vec<String> = chunk
                .iter()
                .map(|row| {
                    let cells: Vec<String> = row
                        .iter()
                        .map(|cell| match cell {
                            Cell::Null => "NULL".to_owned(),
                            Cell::Text(text) => format!("'{}'", text.replace('\'', "''")),
                            Cell::Integer(number) => number.to_string(),
                            Cell::Date(day) => format!("DATE '{day}'"),
                            Cell::Instant(at) => format!("TIMESTAMPTZ '{}'", at.format("%Y-%m-%d %H:%M:%S%.6f+00")),
                        })
                        .collect();
                    format!("({})", cells.join(", "))
                })
                .collect();
            let _ = writeln!(sql, "INSERT INTO {} VALUES {};", self.name, rows.join(", "));
        }
        sql
    }
}
