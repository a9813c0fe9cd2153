//! Bytes into rows of text cells, with bounded memory whatever the bytes are.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::DataType,
};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::{IngestError, file, format::Format};

/// The longest row that is taken. A longer one is a wrong file or an unclosed quote, not data.
pub(crate) const MAX_ROW_BYTES: u64 = 16 << 20;

/// One row as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawRow {
    /// Cells in the order of the reader's columns; `None` where there is none.
    Cells { line: u64, cells: Vec<Option<String>> },
    /// A row that could not be split into cells, kept as text.
    Broken { line: u64, text: String, reason: String },
}

/// Reads the rows of one file in order.
pub(crate) struct RowReader<'a> {
    path: PathBuf,
    columns: Vec<String>,
    inner: Inner<'a>,
}

enum Inner<'a> {
    Delimited {
        reader: Box<csv::Reader<Box<dyn Read + Send + 'a>>>,
        since_row: Arc<AtomicU64>,
    },
    Lines {
        reader: BufReader<Box<dyn Read + Send + 'a>>,
        line: u64,
        json: bool,
    },
    Parquet {
        reader: Box<ParquetRecordBatchReader>,
        row: u64,
        ready: std::vec::IntoIter<RawRow>,
    },
}

impl<'a> RowReader<'a> {
    /// Opens a file. `names` are its columns where it has no header line.
    pub(crate) fn open(
        path: &Path,
        format: Format,
        names: Option<&[String]>,
        mut on_read: impl FnMut(u64) + Send + 'a,
    ) -> Result<Self, IngestError> {
        let (columns, inner) = match format {
            Format::Delimited(delimiter) => {
                let since_row = Arc::new(AtomicU64::new(0));
                let limited = Limited {
                    inner: file::open(path, on_read)?,
                    since_row: Arc::clone(&since_row),
                };
                let boxed: Box<dyn Read + Send + 'a> = Box::new(limited);
                let mut reader = Box::new(
                    csv::ReaderBuilder::new()
                        .delimiter(delimiter)
                        .has_headers(names.is_none())
                        .flexible(true)
                        .from_reader(boxed),
                );
                let columns = match names {
                    Some(names) => names.to_vec(),
                    None => header(path, &mut reader)?,
                };
                since_row.store(0, Ordering::Relaxed);
                (columns, Inner::Delimited { reader, since_row })
            }
            Format::Blank => {
                let names = names.ok_or_else(|| {
                    IngestError::file(
                        path,
                        None,
                        "blank-separated files have no header: name the columns in the mapping (`names = [...]`)",
                    )
                })?;
                let reader = BufReader::with_capacity(1 << 18, file::open(path, on_read)?);
                (
                    names.to_vec(),
                    Inner::Lines {
                        reader,
                        line: 0,
                        json: false,
                    },
                )
            }
            Format::JsonLines => {
                let columns = json_columns(path, file::open(path, |_| {})?)?;
                let reader = BufReader::with_capacity(1 << 18, file::open(path, on_read)?);
                (
                    columns,
                    Inner::Lines {
                        reader,
                        line: 0,
                        json: true,
                    },
                )
            }
            Format::Parquet => {
                let bad = |error: parquet::errors::ParquetError| {
                    IngestError::file(path, None, format!("is not readable Parquet: {error}"))
                };
                let file = std::fs::File::open(path)
                    .map_err(|error| IngestError::file(path, None, format!("cannot be read: {error}")))?;
                on_read(file.metadata().map(|meta| meta.len()).unwrap_or(0));
                let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(bad)?;
                let columns = builder
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
                let reader = Box::new(builder.with_batch_size(4096).build().map_err(bad)?);
                (
                    columns,
                    Inner::Parquet {
                        reader,
                        row: 0,
                        ready: Vec::new().into_iter(),
                    },
                )
            }
        };
        check_columns(path, &columns)?;
        Ok(Self {
            path: path.to_owned(),
            columns,
            inner,
        })
    }

    /// The columns of every row.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` at the end. An error means that the file cannot be read on.
    pub(crate) fn next_row(&mut self) -> Result<Option<RawRow>, IngestError> {
        let width = self.columns.len();
        match &mut self.inner {
            Inner::Delimited { reader, since_row } => {
                let mut record = csv::ByteRecord::new();
                let line = reader.position().line();
                match reader.read_byte_record(&mut record) {
                    Ok(false) => Ok(None),
                    Ok(true) => {
                        since_row.store(0, Ordering::Relaxed);
                        let line = record.position().map_or(line, csv::Position::line);
                        Ok(Some(delimited_row(line, width, &record)))
                    }
                    Err(error) => Err(IngestError::file(&self.path, Some(line), read_error(error))),
                }
            }
            Inner::Lines { reader, line, json } => loop {
                let mut bytes = Vec::new();
                let read = reader
                    .by_ref()
                    .take(MAX_ROW_BYTES + 1)
                    .read_until(b'\n', &mut bytes)
                    .map_err(|error| {
                        IngestError::file(&self.path, Some(*line + 1), file::describe_read_error(&error))
                    })?;
                if read == 0 {
                    return Ok(None);
                }
                *line += 1;
                if bytes.len() as u64 > MAX_ROW_BYTES {
                    return Err(IngestError::file(&self.path, Some(*line), too_long()));
                }
                while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                    bytes.pop();
                }
                if bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(if *json {
                    json_row(*line, &self.columns, &bytes)
                } else {
                    blank_row(*line, width, &bytes)
                }));
            },
            Inner::Parquet { reader, row, ready } => loop {
                if let Some(next) = ready.next() {
                    return Ok(Some(next));
                }
                match reader.next() {
                    None => return Ok(None),
                    Some(Err(error)) => {
                        return Err(IngestError::file(
                            &self.path,
                            Some(*row + 1),
                            format!("is not readable Parquet: {error}"),
                        ));
                    }
                    Some(Ok(batch)) => *ready = parquet_rows(&batch, row)?.into_iter(),
                }
            },
        }
    }
}

fn check_columns(path: &Path, columns: &[String]) -> Result<(), IngestError> {
    for (index, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return Err(IngestError::file(
                path,
                Some(1),
                format!("column {} has no name", index + 1),
            ));
        }
        if let Some(first) = columns[..index].iter().position(|earlier| earlier == name) {
            return Err(IngestError::file(
                path,
                Some(1),
                format!(
                    "the header has {name:?} twice (columns {} and {}); rename one of them",
                    first + 1,
                    index + 1
                ),
            ));
        }
    }
    Ok(())
}

fn header(path: &Path, reader: &mut csv::Reader<Box<dyn Read + Send + '_>>) -> Result<Vec<String>, IngestError> {
    let record = reader
        .byte_headers()
        .map_err(|error| IngestError::file(path, Some(1), read_error(error)))?;
    record
        .iter()
        .enumerate()
        .map(|(index, cell)| {
            let cell = if index == 0 {
                cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell)
            } else {
                cell
            };
            std::str::from_utf8(cell)
                .map(|text| text.trim().to_owned())
                .map_err(|_| IngestError::file(path, Some(1), format!("the name of column {} is not UTF-8", index + 1)))
        })
        .collect()
}

fn read_error(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => too_long(),
        csv::ErrorKind::Io(error) => file::describe_read_error(&error),
        other => format!("cannot be read: {other:?}"),
    }
}

fn too_long() -> String {
    format!(
        "a row is longer than {} MiB: an unclosed quote, or not a file of rows",
        MAX_ROW_BYTES >> 20
    )
}

/// Fails when more bytes than a row may have were read since the last finished row.
struct Limited<R> {
    inner: R,
    since_row: Arc<AtomicU64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since_row.load(Ordering::Relaxed) > MAX_ROW_BYTES {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        let read = self.inner.read(buffer)?;
        self.since_row.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn cells_or_broken<'b>(
    line: u64,
    width: usize,
    cells: impl Iterator<Item = &'b [u8]> + Clone,
    divider: &str,
) -> RawRow {
    let found = cells.clone().count();
    let lossless = || {
        cells
            .clone()
            .map(|cell| cell.escape_ascii().to_string())
            .collect::<Vec<_>>()
            .join(divider)
    };
    if found != width {
        let reason = format!("has {found} cells where the header has {width}");
        let text = cells
            .clone()
            .map(|cell| String::from_utf8_lossy(cell).into_owned())
            .collect::<Vec<_>>()
            .join(divider);
        return RawRow::Broken { line, text, reason };
    }
    let mut texts = Vec::with_capacity(width);
    for (index, cell) in cells.clone().enumerate() {
        match std::str::from_utf8(cell) {
            Ok(text) => texts.push(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Err(_) => {
                let reason = format!("cell {} is not UTF-8; its bytes are kept escaped", index + 1);
                return RawRow::Broken {
                    line,
                    text: lossless(),
                    reason,
                };
            }
        }
    }
    RawRow::Cells { line, cells: texts }
}

fn delimited_row(line: u64, width: usize, record: &csv::ByteRecord) -> RawRow {
    cells_or_broken(line, width, record.iter(), ",")
}

fn blank_row(line: u64, width: usize, bytes: &[u8]) -> RawRow {
    let cells = bytes.split(u8::is_ascii_whitespace).filter(|cell| !cell.is_empty());
    cells_or_broken(line, width, cells, " ")
}

/// The union of the keys of all rows, in order of appearance: one more pass, so that no key is ever lost.
fn json_columns(path: &Path, reader: Box<dyn Read + Send + '_>) -> Result<Vec<String>, IngestError> {
    let mut reader = BufReader::new(reader);
    let mut columns: Vec<String> = Vec::new();
    loop {
        let mut bytes = Vec::new();
        let read = reader
            .by_ref()
            .take(MAX_ROW_BYTES + 1)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| IngestError::file(path, None, file::describe_read_error(&error)))?;
        if read == 0 {
            return Ok(columns);
        }
        if bytes.len() as u64 > MAX_ROW_BYTES {
            return Err(IngestError::file(path, None, too_long()));
        }
        if let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&bytes) {
            for key in object.keys() {
                if !columns.iter().any(|known| known == key) {
                    columns.push(key.clone());
                }
            }
        }
    }
}

fn json_row(line: u64, columns: &[String], bytes: &[u8]) -> RawRow {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(serde_json::Value::Object(mut object)) => {
            let cells = columns
                .iter()
                .map(|name| match object.remove(name) {
                    None | Some(serde_json::Value::Null) => None,
                    Some(serde_json::Value::String(text)) => Some(text).filter(|text| !text.is_empty()),
                    Some(other) => Some(other.to_string()),
                })
                .collect();
            RawRow::Cells { line, cells }
        }
        Ok(_) => RawRow::Broken {
            line,
            text,
            reason: "is JSON but not an object".to_owned(),
        },
        Err(error) => RawRow::Broken {
            line,
            text,
            reason: format!("is not JSON: {error}"),
        },
    }
}

fn parquet_rows(batch: &arrow::array::RecordBatch, row: &mut u64) -> Result<Vec<RawRow>, IngestError> {
    let texts = batch
        .columns()
        .iter()
        .map(|column| cast(column, &DataType::Utf8))
        .collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = texts.iter().map(|column| column.as_string::<i32>()).collect();
    Ok((0..batch.num_rows())
        .map(|index| {
            *row += 1;
            let cells = texts
                .iter()
                .map(|column| {
                    column
                        .is_valid(index)
                        .then(|| column.value(index).to_owned())
                        .filter(|text| !text.is_empty())
                })
                .collect();
            RawRow::Cells { line: *row, cells }
        })
        .collect())
}
