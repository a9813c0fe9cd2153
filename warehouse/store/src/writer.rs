use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{AsArray, RecordBatch, UInt32Array},
    compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch},
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
const RUN_BYTES: usize = 256 << 20;

/// Writes rows into data files of a table, sorted and synced, to be committed together afterwards.
///
/// Until the commit nothing of it is visible; files of an import that died are never referenced.
pub struct TableWriter {
    durable: bool,
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
        let rows = concat_batches(&self.schema, &self.pending)?;
        self.pending.clear();
        self.pending_rows = 0;
        self.pending_bytes = 0;
        let sorted = sort(&rows, self.layout)?;
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
        };
        let mut file = DataFileWriter::create(&place, &self.schema, self.now)?;
        file.write(rows)?;
        self.adds.push(file.finish(true)?);
        Ok(())
    }
}

fn sort(rows: &RecordBatch, layout: TableLayout) -> Result<RecordBatch, StoreError> {
    let names: &[&str] = match layout {
        TableLayout::Landed => &["occurred_at", "arrival_seq"],
        TableLayout::Buckets => &["customer_id", "occurred_at", "arrival_seq"],
    };
    let columns: Vec<SortColumn> = names
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn {
            values: Arc::clone(values),
            options: None,
        })
        .collect();
    if columns.is_empty() {
        return Ok(rows.clone());
    }
    let indices = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(rows, &indices)?)
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
