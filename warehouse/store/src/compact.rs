//! Compaction: the sorted files of a partition, a bucket of customers or a day of landing, become few.
//!
//! The same rows stand in fewer files. Older snapshots keep the files they name; nothing is deleted here.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fs::File,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array},
    compute::interleave_record_batch,
    datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use deltalake::kernel::{Add, Remove};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::{
    DataFile, StoreError, Table, TableSnapshot,
    checksum::sha256_of,
    data_file::{DataFileWriter, Partition},
    table::TableLayout,
};

/// Files that a partition may have before some of them are merged.
const MOST_RUNS: usize = 8;

/// A file is merged with the smaller ones while it is no larger than so many times all of them: a large base is not
/// written anew for a few rows.
const TIER_RATIO: u64 = 4;

/// Files merged at a time: each is open, and has rows in memory.
const MOST_AT_ONCE: usize = 64;

/// Larger files of events are left as they are, unless all are asked for: queries need no fewer.
const LARGE_BYTES: u64 = 256 << 20;

/// Rows in memory of all files together, and the most of one.
const ROWS_AT_ONCE: usize = 16_384;
const BATCH_ROWS: usize = 2048;

/// Which partitions are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compaction {
    /// Those with many files, the small files first.
    Due,
    /// All files of all partitions.
    Full,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files that were merged.
    pub merged: usize,
    /// Files they became.
    pub written: usize,
    /// Rows in them.
    pub rows: u64,
}

/// The files of a partition that are merged: by size, the smallest first.
fn chosen(mut runs: Vec<&DataFile>, layout: TableLayout, compaction: Compaction) -> Vec<&DataFile> {
    if layout == TableLayout::Landed && compaction == Compaction::Due {
        runs.retain(|file| file.size_bytes < LARGE_BYTES);
    }
    if runs.len() < 2 || (compaction == Compaction::Due && runs.len() <= MOST_RUNS) {
        return Vec::new();
    }
    runs.sort_by_key(|file| (file.size_bytes, file.path.clone()));
    if compaction == Compaction::Due {
        let mut smaller: u64 = 0;
        let last = runs.iter().position(|file| {
            let is_too_large = smaller > 0 && file.size_bytes > smaller.saturating_mul(TIER_RATIO);
            smaller = smaller.saturating_add(file.size_bytes);
            is_too_large
        });
        // At least two, or the number of runs would not go down.
        runs.truncate(last.unwrap_or(runs.len()).max(2));
    }
    runs.truncate(MOST_AT_ONCE);
    runs
}

impl Table {
    /// Merges files of each partition into longer ones, in one commit. The bytes of what is read are checked first:
    /// a damaged file is an error, and never gets a new checksum.
    pub async fn compact(
        &mut self,
        pinned: &TableSnapshot,
        compaction: Compaction,
        now: DateTime<Utc>,
    ) -> Result<Compacted, StoreError> {
        let mut partitions: BTreeMap<String, Vec<&DataFile>> = BTreeMap::new();
        for file in &pinned.files {
            let folder = file
                .path
                .parent()
                .and_then(|folder| folder.file_name())
                .unwrap_or_default();
            partitions
                .entry(folder.to_string_lossy().into_owned())
                .or_default()
                .push(file);
        }
        let mut done = Compacted::default();
        let (mut adds, mut removes) = (Vec::new(), Vec::new());
        for (folder, runs) in partitions {
            let runs = chosen(runs, self.layout(), compaction);
            if runs.is_empty() {
                continue;
            }
            let needed: u64 = runs.iter().map(|file| file.size_bytes).sum::<u64>().saturating_mul(2);
            let space = rustix::fs::statvfs(self.dir())
                .map_err(|error| StoreError::io("look for space in", self.dir())(error.into()))?;
            let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
            if free_bytes < needed {
                tracing::warn!("{}: {folder} is not merged: {free_bytes} bytes are free", self.name());
                continue;
            }
            for file in &runs {
                let found = tokio::task::block_in_place(|| sha256_of(&file.path))?;
                if found != file.sha256 {
                    return Err(StoreError::Damaged {
                        path: file.path.clone(),
                        reason: format!("SHA-256 is {found}, the commit says {}", file.sha256),
                    });
                }
            }
            let value = folder.split_once('=').map_or("", |(_, value)| value);
            let merged = tokio::task::block_in_place(|| merge(self, value, &runs, &pinned.schema, now))?;
            done.merged += runs.len();
            done.written += 1;
            done.rows += runs.iter().map(|file| file.rows).sum::<u64>();
            adds.push(merged);
            let column = self.layout().partition_column();
            removes.extend(runs.iter().map(|file| remove(&folder, column, value, file, now)));
        }
        if !adds.is_empty() {
            self.replace(adds, removes, now).await?;
        }
        Ok(done)
    }
}

fn remove(folder: &str, column: &str, value: &str, file: &DataFile, now: DateTime<Utc>) -> Remove {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    Remove {
        path: format!("{folder}/{name}"),
        data_change: false,
        deletion_timestamp: Some(now.timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some([(column.to_owned(), Some(value.to_owned()))].into()),
        size: i64::try_from(file.size_bytes).ok(),
        tags: Some([("sha256".to_owned(), Some(file.sha256.clone()))].into()),
        ..Remove::default()
    }
}

/// One run, batch by batch.
struct Run {
    by_customer: bool,
    reader: ParquetRecordBatchReader,
    batch: RecordBatch,
    row: usize,
}

/// The order of a partition: the customer stands in it only where customers divide the table.
type Key = (String, Option<i64>, Option<i64>);

impl Run {
    fn open(
        file: &DataFile,
        schema: &SchemaRef,
        layout: TableLayout,
        batch_rows: usize,
    ) -> Result<Option<Self>, StoreError> {
        let parquet = |source| StoreError::Parquet {
            path: file.path.clone(),
            source,
        };
        let opened = File::open(&file.path).map_err(StoreError::io("open", &file.path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened)
            .map_err(parquet)?
            .with_batch_size(batch_rows)
            .build()
            .map_err(parquet)?;
        let mut run = Self {
            by_customer: layout == TableLayout::Buckets,
            reader,
            batch: RecordBatch::new_empty(Arc::clone(schema)),
            row: 0,
        };
        Ok(run.turn(schema)?.then_some(run))
    }

    /// Turns to the next batch with rows. Columns that the file is too old for have no values.
    fn turn(&mut self, schema: &SchemaRef) -> Result<bool, StoreError> {
        while let Some(batch) = self.reader.next().transpose()? {
            if batch.num_rows() == 0 {
                continue;
            }
            let column = |field: &arrow::datatypes::FieldRef| -> ArrayRef {
                let known = batch.column_by_name(field.name()).cloned();
                known.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
            };
            let columns = schema.fields().iter().map(column).collect();
            self.batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
            self.row = 0;
            return Ok(true);
        }
        Ok(false)
    }

    fn key(&self) -> Key {
        let text = self
            .batch
            .column_by_name("customer_id")
            .filter(|_| self.by_customer)
            .and_then(|column| column.as_string_opt::<i32>());
        let at = self
            .batch
            .column_by_name("occurred_at")
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let seq = self
            .batch
            .column_by_name("arrival_seq")
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        (
            text.map_or("", |text| text.value(self.row)).to_owned(),
            at.filter(|at| at.is_valid(self.row)).map(|at| at.value(self.row)),
            seq.filter(|seq| seq.is_valid(self.row)).map(|seq| seq.value(self.row)),
        )
    }
}

fn merge(
    table: &Table,
    value: &str,
    files: &[&DataFile],
    schema: &SchemaRef,
    now: DateTime<Utc>,
) -> Result<Add, StoreError> {
    let place = Partition {
        table: table.name(),
        dir: table.dir(),
        column: table.layout().partition_column(),
        value,
        durable: true,
        uses_all_cores: false,
    };
    let batch_rows = (ROWS_AT_ONCE / files.len().max(1)).clamp(64, BATCH_ROWS);
    let mut runs = Vec::new();
    for file in files {
        runs.extend(Run::open(file, schema, table.layout(), batch_rows)?);
    }
    let mut next: BinaryHeap<Reverse<(Key, usize)>> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| Reverse((run.key(), index)))
        .collect();
    let mut writer = DataFileWriter::create(&place, schema, now)?;
    let mut picked: Vec<(usize, usize)> = Vec::new();
    while let Some(Reverse((_, index))) = next.pop() {
        picked.push((index, runs[index].row));
        runs[index].row += 1;
        let is_spent = runs[index].row == runs[index].batch.num_rows();
        if is_spent || picked.len() == BATCH_ROWS {
            let batches: Vec<&RecordBatch> = runs.iter().map(|run| &run.batch).collect();
            writer.write(&interleave_record_batch(&batches, &picked)?)?;
            picked.clear();
        }
        if !is_spent || runs[index].turn(schema)? {
            next.push(Reverse((runs[index].key(), index)));
        }
    }
    writer.finish(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes: &[u64]) -> Vec<DataFile> {
        let file = |(index, size): (usize, &u64)| DataFile {
            path: format!("{index}.parquet").into(),
            size_bytes: *size,
            rows: *size,
            sha256: String::new(),
        };
        sizes.iter().enumerate().map(file).collect()
    }

    fn sizes(sizes: &[u64], compaction: Compaction) -> Vec<u64> {
        let files = files(sizes);
        chosen(files.iter().collect(), TableLayout::Buckets, compaction)
            .iter()
            .map(|file| file.size_bytes)
            .collect()
    }

    #[test]
    fn small_runs_are_merged_without_the_base() {
        let many = [5_000, 1, 1, 2, 1, 3, 1, 1, 1];
        assert_eq!(sizes(&many, Compaction::Due), [1, 1, 1, 1, 1, 1, 2, 3]);
        assert_eq!(sizes(&many[..8], Compaction::Due), Vec::<u64>::new(), "not yet");
        assert_eq!(sizes(&[10; 9], Compaction::Due), [10; 9]);
        assert_eq!(
            sizes(
                &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000],
                Compaction::Due
            ),
            [1, 10]
        );
        assert_eq!(sizes(&[9, 1], Compaction::Full), [1, 9]);
        assert_eq!(sizes(&[9], Compaction::Full), Vec::<u64>::new());
        assert_eq!(sizes(&[7; 100], Compaction::Full).len(), MOST_AT_ONCE);
        let large = files(&[LARGE_BYTES; 9]);
        assert!(chosen(large.iter().collect(), TableLayout::Landed, Compaction::Due).is_empty());
    }
}
