//! A file as chunks of whole rows, in order.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{
    Chunk, MAX_ROW_BYTES,
    cells::{Body, is_blank},
};
use crate::{IngestError, file, format::Format};

/// About how long a chunk is.
const CHUNK_BYTES: usize = 1 << 20;
/// Rows of a chunk whose rows are short, or of no length.
const CHUNK_ROWS: usize = 8_192;

/// Cuts one file.
pub(crate) struct Cutter<'a> {
    path: PathBuf,
    columns: Vec<String>,
    inner: Inner<'a>,
    /// Rows that were cut off already.
    rows: u64,
}

enum Inner<'a> {
    Delimited {
        reader: Box<csv::Reader<Box<dyn Read + Send + 'a>>>,
        since_row: Arc<AtomicU64>,
    },
    Lines {
        reader: Box<dyn Read + Send + 'a>,
        /// The line that is not whole yet.
        begun: Vec<u8>,
        line: u64,
        json: bool,
    },
    Parquet(Box<ParquetRecordBatchReader>),
}

impl<'a> Cutter<'a> {
    /// Opens a file. `names` are its columns where it has no header line; `keys` those of a file of JSON.
    pub(crate) fn open(
        path: &Path,
        format: Format,
        names: Option<&[String]>,
        keys: Vec<String>,
        mut on_read: impl FnMut(u64) + Send + 'a,
    ) -> Result<Self, IngestError> {
        let lines = |reader, json| Inner::Lines {
            reader,
            begun: Vec::new(),
            line: 0,
            json,
        };
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
                        .buffer_capacity(1 << 18)
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
                (names.to_vec(), lines(file::open(path, on_read)?, false))
            }
            Format::JsonLines => (keys, lines(file::open(path, on_read)?, true)),
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
                let reader = builder.with_batch_size(CHUNK_ROWS).build().map_err(bad)?;
                (columns, Inner::Parquet(Box::new(reader)))
            }
        };
        check_columns(path, &columns)?;
        Ok(Self {
            path: path.to_owned(),
            columns,
            inner,
            rows: 0,
        })
    }

    /// The columns of every row.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next chunk; `None` at the end. An error means that the file cannot be read on.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, IngestError> {
        let body = match &mut self.inner {
            Inner::Delimited { reader, since_row } => records(&self.path, reader, since_row)?,
            Inner::Lines {
                reader,
                begun,
                line,
                json,
            } => lines(&self.path, reader, begun, line, *json)?,
            Inner::Parquet(reader) => {
                reader
                    .next()
                    .transpose()
                    .map(|batch| batch.map(Body::Batch))
                    .map_err(|error| {
                        let reason = format!("is not readable Parquet: {error}");
                        IngestError::file(&self.path, Some(self.rows + 1), reason)
                    })?
            }
        };
        let Some(body) = body else { return Ok(None) };
        let chunk = Chunk::new(body, self.rows + 1);
        self.rows += chunk.rows;
        Ok(Some(chunk))
    }
}

fn records(
    path: &Path,
    reader: &mut csv::Reader<Box<dyn Read + Send + '_>>,
    since_row: &AtomicU64,
) -> Result<Option<Body>, IngestError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    while bytes < CHUNK_BYTES && found.len() < CHUNK_ROWS {
        let mut record = csv::ByteRecord::new();
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                since_row.store(0, Ordering::Relaxed);
                // Where its cells end takes room too.
                bytes += record.as_slice().len() + 8 * record.len();
                let line = record.position().map_or(line, csv::Position::line);
                found.push((line, record));
            }
            Err(error) => return Err(IngestError::file(path, Some(line), read_error(error))),
        }
    }
    Ok((!found.is_empty()).then_some(Body::Records(found)))
}

/// Whole lines, and at the end of the file what is left of one.
fn lines(
    path: &Path,
    reader: &mut (dyn Read + Send),
    begun: &mut Vec<u8>,
    line: &mut u64,
    json: bool,
) -> Result<Option<Body>, IngestError> {
    loop {
        let mut bytes = std::mem::take(begun);
        let mut whole = memchr::memrchr(b'\n', &bytes).map(|at| at + 1);
        let mut is_end = false;
        while whole.is_none() || bytes.len() < CHUNK_BYTES {
            if whole.is_none() && bytes.len() as u64 > MAX_ROW_BYTES {
                return Err(IngestError::file(path, Some(*line + 1), too_long()));
            }
            let known = bytes.len();
            bytes.resize(known + CHUNK_BYTES / 4, 0);
            let read = match reader.read(&mut bytes[known..]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                    bytes.truncate(known);
                    continue;
                }
                Err(error) => {
                    let lines = memchr::memchr_iter(b'\n', &bytes[..known]).count() as u64;
                    let reason = file::describe_read_error(&error);
                    return Err(IngestError::file(path, Some(*line + lines + 1), reason));
                }
            };
            bytes.truncate(known + read);
            if read == 0 {
                is_end = true;
                break;
            }
            if let Some(at) = memchr::memrchr(b'\n', &bytes[known..]) {
                whole = Some(known + at + 1);
            }
        }
        if is_end {
            whole = Some(bytes.len());
        }
        let whole = whole.unwrap_or_default();
        *begun = bytes.split_off(whole);
        if bytes.is_empty() {
            return Ok(None);
        }
        let first_line = *line + 1;
        let mut rows = 0;
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]) {
            let found = &bytes[from..at];
            if at == bytes.len() && found.is_empty() {
                break;
            }
            *line += 1;
            if found.len() as u64 > MAX_ROW_BYTES {
                return Err(IngestError::file(path, Some(*line), too_long()));
            }
            rows += u64::from(!is_blank(found));
            from = at + 1;
            if rows == CHUNK_ROWS as u64 && from < bytes.len() {
                let mut rest = bytes.split_off(from);
                rest.append(begun);
                *begun = rest;
                break;
            }
        }
        // Lines of blanks are no rows.
        if rows > 0 {
            return Ok(Some(Body::Lines {
                bytes,
                first_line,
                rows,
                json,
            }));
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

pub(super) fn too_long() -> String {
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
