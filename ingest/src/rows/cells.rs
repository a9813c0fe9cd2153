//! The rows of a chunk.

use std::borrow::Cow;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};

use super::{Cell, Columns, RawRow, json};
use crate::IngestError;

/// Some whole rows of a file.
pub(crate) struct Chunk {
    /// The place of the first one among all rows of the file, from 1.
    pub(crate) first_row: u64,
    /// How many there are.
    pub(crate) rows: u64,
    body: Body,
}

pub(super) enum Body {
    /// Lines with their ends.
    Lines {
        bytes: Vec<u8>,
        first_line: u64,
        /// Those that are not blank.
        rows: u64,
        json: bool,
    },
    /// Records with the line that each begins in.
    Records(Vec<(u64, csv::ByteRecord)>),
    Batch(RecordBatch),
}

/// Whether a line holds nothing.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

impl Chunk {
    pub(super) fn new(body: Body, first_row: u64) -> Self {
        let rows = match &body {
            Body::Lines { rows, .. } => *rows,
            Body::Records(records) => records.len() as u64,
            Body::Batch(batch) => batch.num_rows() as u64,
        };
        Self { first_row, rows, body }
    }

    /// Gives every row to `visit`, in order.
    pub(crate) fn each(
        &self,
        columns: &Columns,
        mut visit: impl FnMut(RawRow<'_, '_>) -> Result<(), IngestError>,
    ) -> Result<(), IngestError> {
        let mut cells: Vec<Cell<'_>> = Vec::with_capacity(columns.names().len());
        match &self.body {
            Body::Lines {
                bytes,
                first_line,
                json,
                ..
            } => {
                let ends = memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]);
                let mut from = 0;
                for (line, end) in (*first_line..).zip(ends) {
                    let mut text = &bytes[from..end];
                    from = (end + 1).min(bytes.len());
                    while let Some(rest) = text.strip_suffix(b"\r") {
                        text = rest;
                    }
                    if is_blank(text) {
                        continue;
                    }
                    if *json {
                        visit(json::row(line, columns, text, &mut cells))?;
                    } else {
                        let found = text.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty());
                        visit(row(line, columns.names().len(), found, " ", &mut cells))?;
                    }
                }
                Ok(())
            }
            Body::Records(records) => {
                for (line, record) in records {
                    visit(row(*line, columns.names().len(), record.iter(), ",", &mut cells))?;
                }
                Ok(())
            }
            Body::Batch(batch) => {
                let texts = batch
                    .columns()
                    .iter()
                    .map(|column| cast(column, &DataType::Utf8))
                    .collect::<Result<Vec<_>, _>>()?;
                let texts: Vec<_> = texts.iter().map(|column| column.as_string::<i32>()).collect();
                let mut cells: Vec<Cell<'_>> = Vec::with_capacity(columns.names().len());
                for (index, line) in (0..batch.num_rows()).zip(self.first_row..) {
                    cells.clear();
                    cells.extend(texts.iter().map(|column| {
                        let found = column.is_valid(index).then(|| column.value(index));
                        found.filter(|text| !text.is_empty()).map(Cow::Borrowed)
                    }));
                    visit(RawRow::Cells { line, cells: &cells })?;
                }
                Ok(())
            }
        }
    }
}

fn row<'c, 'r>(
    line: u64,
    width: usize,
    found: impl Iterator<Item = &'c [u8]> + Clone,
    divider: &str,
    cells: &'r mut Vec<Cell<'c>>,
) -> RawRow<'c, 'r> {
    let joined = |shown: &dyn Fn(&[u8]) -> String| found.clone().map(shown).collect::<Vec<_>>().join(divider);
    let count = found.clone().count();
    if count != width {
        return RawRow::Broken {
            line,
            text: joined(&|cell| String::from_utf8_lossy(cell).into_owned()),
            reason: format!("has {count} cells where the header has {width}"),
        };
    }
    cells.clear();
    for (index, cell) in found.clone().enumerate() {
        let Ok(text) = std::str::from_utf8(cell) else {
            return RawRow::Broken {
                line,
                text: joined(&|cell| cell.escape_ascii().to_string()),
                reason: format!("cell {} is not UTF-8; its bytes are kept escaped", index + 1),
            };
        };
        cells.push(Some(text.trim()).filter(|text| !text.is_empty()).map(Cow::Borrowed));
    }
    RawRow::Cells { line, cells }
}
