//! Row groups of a Parquet file, their columns encoded side by side: compressing is what writing a file takes time for.

use arrow::{
    array::{Array as _, ArrayRef, RecordBatch},
    datatypes::{Field, SchemaRef},
};
use parquet::{
    arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    errors::{ParquetError, Result},
    file::writer::SerializedFileWriter,
};

/// Rows of a row group; DuckDB works on one row group per thread.
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;
/// Fewer rows are encoded sooner than threads are started.
const ROWS_FOR_THREADS: usize = 16_384;
/// Threads, however many cores there are: tables have few columns that are worth one.
const MOST_THREADS: usize = 4;

/// The row group that is being filled.
pub(crate) struct RowGroups {
    factory: ArrowRowGroupWriterFactory,
    /// Threads that encode: one where others wait for the cores.
    threads: usize,
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
    closed: usize,
}

/// A column that takes more rows, or what became of it.
enum Column {
    Open(Box<ArrowColumnWriter>),
    Closed(Box<ArrowColumnChunk>),
}

impl RowGroups {
    /// `uses_all_cores` where nobody waits for an answer meanwhile.
    pub(crate) fn new(factory: ArrowRowGroupWriterFactory, uses_all_cores: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            factory,
            threads: if uses_all_cores { cores.min(MOST_THREADS) } else { 1 },
            columns: Vec::new(),
            rows: 0,
            closed: 0,
        }
    }

    /// Takes rows, and writes every group that is full.
    pub(crate) fn write<W: std::io::Write + Send>(
        &mut self,
        rows: &RecordBatch,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<()> {
        let mut from = 0;
        while from < rows.num_rows() {
            let count = (rows.num_rows() - from).min(ROW_GROUP_ROWS - self.rows);
            self.encode(&rows.slice(from, count), file)?;
            from += count;
        }
        Ok(())
    }

    /// Writes the group that is not full.
    pub(crate) fn close<W: std::io::Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let chunks = self.columns.drain(..).map(ArrowColumnWriter::close);
        let chunks = chunks.collect::<Result<Vec<_>>>()?;
        self.append(chunks, file)
    }

    fn encode<W: std::io::Write + Send>(
        &mut self,
        rows: &RecordBatch,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = self.factory.create_column_writers(self.closed)?;
        }
        self.rows += rows.num_rows();
        let is_full = self.rows == ROW_GROUP_ROWS;
        let writers = std::mem::take(&mut self.columns);
        let threads = if rows.num_rows() < ROWS_FOR_THREADS {
            1
        } else {
            self.threads
        };
        let columns = columns(writers, &rows.schema(), rows.columns(), is_full, threads)?;
        let mut chunks = Vec::new();
        for column in columns {
            match column {
                Column::Open(writer) => self.columns.push(*writer),
                Column::Closed(chunk) => chunks.push(*chunk),
            }
        }
        if is_full { self.append(chunks, file) } else { Ok(()) }
    }

    fn append<W: std::io::Write + Send>(
        &mut self,
        chunks: Vec<ArrowColumnChunk>,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<()> {
        let mut group = file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        self.closed += 1;
        Ok(())
    }
}

/// Encodes the columns of some rows; their order stays.
fn columns(
    writers: Vec<ArrowColumnWriter>,
    schema: &SchemaRef,
    arrays: &[ArrayRef],
    is_full: bool,
    threads: usize,
) -> Result<Vec<Column>> {
    let tasks = writers.into_iter().zip(schema.fields()).zip(arrays);
    let tasks = tasks.map(|((writer, field), array)| (writer, field.as_ref(), array));
    if threads == 1 {
        return tasks
            .map(|(writer, field, array)| column(writer, field, array, is_full))
            .collect();
    }
    // The longest first, each to whoever has least to do.
    let mut tasks: Vec<_> = tasks.enumerate().collect();
    tasks.sort_by_key(|(_, (.., array))| std::cmp::Reverse(array.get_array_memory_size()));
    let mut shares: Vec<(usize, Vec<_>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for (place, task) in tasks {
        if let Some(least) = shares.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            least.0 += task.2.get_array_memory_size();
            least.1.push((place, task));
        }
    }
    let mut encoded = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .map(|(_, share)| {
                scope.spawn(move || {
                    let encode = |(place, (writer, field, array))| Ok((place, column(writer, field, array, is_full)?));
                    share.into_iter().map(encode).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, ParquetError>(all)
    })?;
    encoded.sort_by_key(|(place, _)| *place);
    Ok(encoded.into_iter().map(|(_, column)| column).collect())
}

fn column(mut writer: ArrowColumnWriter, field: &Field, array: &ArrayRef, is_full: bool) -> Result<Column> {
    // Tables are flat: a field is one column.
    for leaf in compute_leaves(field, array)? {
        writer.write(&leaf)?;
    }
    Ok(match is_full {
        true => Column::Closed(Box::new(writer.close()?)),
        false => Column::Open(Box::new(writer)),
    })
}
