use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, AsArray, RecordBatch, UInt32Array},
    compute::{SortColumn, concat, concat_batches, interleave_record_batch, lexsort_to_indices, take_record_batch},
    datatypes::SchemaRef,
};
use chrono::{DateTime, NaiveDate, Utc};
use deltalake::kernel::Add;

use crate::{
    StoreError, Table,
    data_file::{DataFileWriter, Partition},
    table::{BUCKETS, TableLayout},
};

/// Rows sorted and written at a time: bounds the memory of an import of any size.
const RUN_ROWS: usize = 400_000;
/// ... and bytes, where rows are long.
const RUN_BYTES: usize = 96 << 20;

/// Writes rows into data files of a table, sorted and synced, to be committed together afterwards.
///
/// Until the commit nothing of it is visible; files of an import that died are never referenced.
pub struct TableWriter {
    durable: bool,
    uses_all_cores: bool,
    name: String,
    dir: PathBuf,
    layout: TableLayout,
    landed_on: NaiveDate,
    schema: SchemaRef,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    pending_bytes: usize,
    adds: Vec<Add>,
    now: DateTime<Utc>,
}

impl TableWriter {
    /// A writer for rows that land at `now`, on the local day `landed_on`.
    pub fn new(table: &Table, schema: SchemaRef, now: DateTime<Utc>, landed_on: NaiveDate) -> Self {
        Self {
            durable: true,
            ..Self::scratch(table.name(), table.dir(), table.layout(), schema, now, landed_on)
        }
    }

    /// The same with every core: where nobody waits for an answer meanwhile.
    pub fn with_all_cores(self) -> Self {
        Self {
            uses_all_cores: true,
            ..self
        }
    }

    /// A writer of files that may be lost: of rows that are durable elsewhere.
    pub(crate) fn scratch(
        name: &str,
        dir: &Path,
        layout: TableLayout,
        schema: SchemaRef,
        now: DateTime<Utc>,
        landed_on: NaiveDate,
    ) -> Self {
        Self {
            durable: false,
            uses_all_cores: false,
            name: name.to_owned(),
            dir: dir.to_owned(),
            layout,
            landed_on,
            schema,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            adds: Vec::new(),
            now,
        }
    }

    /// Takes rows; writes them when enough have come together.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), StoreError> {
        self.pending_rows += batch.num_rows();
        self.pending_bytes += batch.get_array_memory_size();
        self.pending.push(batch);
        if self.pending_rows >= RUN_ROWS || self.pending_bytes >= RUN_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes what is left and returns the files to commit.
    pub fn finish(mut self) -> Result<Vec<Add>, StoreError> {
        self.flush()?;
        Ok(self.adds)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending_rows == 0 {
            return Ok(());
        }
        let sorted = sort(&self.schema, &self.pending, self.layout)?;
        self.pending.clear();
        self.pending_rows = 0;
        self.pending_bytes = 0;
        match self.layout {
            TableLayout::Landed => {
                let partition = self.landed_on.to_string();
                self.write(&partition, &sorted)
            }
            TableLayout::Buckets => {
                for (bucket, indices) in bucket_indices(&sorted)? {
                    let part = take_record_batch(&sorted, &UInt32Array::from(indices))?;
                    self.write(&bucket.to_string(), &part)?;
                }
                Ok(())
            }
        }
    }

    fn write(&mut self, partition: &str, rows: &RecordBatch) -> Result<(), StoreError> {
        let place = Partition {
            table: &self.name,
            dir: &self.dir,
            column: self.layout.partition_column(),
            value: partition,
            durable: self.durable,
            uses_all_cores: self.uses_all_cores,
        };
        let mut file = DataFileWriter::create(&place, &self.schema, self.now)?;
        file.write(rows)?;
        self.adds.push(file.finish(true)?);
        Ok(())
    }
}

/// Rows in the table's order. Only what they are sorted by is put together first; everything else is copied once.
fn sort(schema: &SchemaRef, batches: &[RecordBatch], layout: TableLayout) -> Result<RecordBatch, StoreError> {
    let names: &[&str] = match layout {
        TableLayout::Landed => &["occurred_at", "arrival_seq"],
        TableLayout::Buckets => &["customer_id", "occurred_at", "arrival_seq"],
    };
    let names: Vec<&&str> = names.iter().filter(|name| schema.index_of(name).is_ok()).collect();
    if names.is_empty() {
        return Ok(concat_batches(schema, batches)?);
    }
    let mut keys = Vec::new();
    for name in names {
        let parts: Vec<&dyn Array> = batches
            .iter()
            .filter_map(|batch| Some(batch.column_by_name(name)?.as_ref()))
            .collect();
        keys.push(SortColumn {
            values: concat(&parts)?,
            options: None,
        });
    }
    let order = lexsort_to_indices(&keys, None)?;
    drop(keys);
    // Where each batch begins among all rows.
    let starts: Vec<usize> = batches
        .iter()
        .scan(0, |rows, batch| {
            let start = *rows;
            *rows += batch.num_rows();
            Some(start)
        })
        .collect();
    let places: Vec<(usize, usize)> = order
        .values()
        .iter()
        .map(|row| {
            let row = *row as usize;
            let batch = starts.partition_point(|start| *start <= row) - 1;
            (batch, row - starts[batch])
        })
        .collect();
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok(interleave_record_batch(&batches, &places)?)
}

/// The hash by which customers are spread and sampled: FNV-1a of the id, which every language can repeat.
pub fn customer_hash(customer_id: &str) -> u64 {
    customer_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The bucket of a customer.
pub(crate) fn bucket_of(customer_id: &str) -> u32 {
    u32::try_from(customer_hash(customer_id) % u64::from(BUCKETS)).unwrap_or(0)
}

fn bucket_indices(rows: &RecordBatch) -> Result<BTreeMap<u32, Vec<u32>>, StoreError> {
    let ids = rows
        .column_by_name("customer_id")
        .ok_or_else(|| arrow::error::ArrowError::SchemaError("a customer-state table needs customer_id".to_owned()))?;
    let ids = ids.as_string::<i32>();
    let mut buckets: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (row, id) in (0_u32..).zip(ids.iter()) {
        buckets.entry(bucket_of(id.unwrap_or(""))).or_default().push(row);
    }
    Ok(buckets)
}
