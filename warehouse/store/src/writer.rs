use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write,
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, RecordBatch, UInt32Array},
    compute::{SortColumn, concat_batches, lexsort_to_indices, max, min, take_record_batch},
    datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType},
};
use chrono::{DateTime, NaiveDate, Utc};
use deltalake::kernel::Add;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
    schema::types::ColumnPath,
};
use sha2::{Digest, Sha256};

use crate::{
    FailPoint, StoreError, Table,
    durable::{create_dir, sync_dir},
    table::{BUCKETS, TableLayout},
};

/// Rows sorted and written at a time: bounds the memory of an import of any size.
const RUN_ROWS: usize = 400_000;
/// ... and bytes, where rows are long.
const RUN_BYTES: usize = 256 << 20;
/// Rows of a row group; DuckDB works on one row group per thread.
const ROW_GROUP_ROWS: usize = 131_072;

/// Writes rows into data files of a table, sorted and synced, to be committed together afterwards.
///
/// Until the commit nothing of it is visible; files of an import that died are never referenced.
pub struct TableWriter {
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
            name: table.name().to_owned(),
            dir: table.dir().to_owned(),
            layout: table.layout(),
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
        let column = self.layout.partition_column();
        let folder = self.dir.join(format!("{column}={partition}"));
        create_dir(&folder)?;
        let file_name = format!(
            "{}-{}.parquet",
            self.now.format("%Y%m%dT%H%M%S"),
            uuid::Uuid::new_v4().simple()
        );
        let path = folder.join(&file_name);
        let parquet = |source| StoreError::Parquet {
            path: path.clone(),
            source,
        };

        let file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
        let hashing = HashingFile {
            file,
            hash: Sha256::new(),
            bytes: 0,
        };
        let mut writer =
            ArrowWriter::try_new(hashing, Arc::clone(&self.schema), Some(properties()?)).map_err(parquet)?;
        writer.write(rows).map_err(parquet)?;
        writer.finish().map_err(parquet)?;
        let hashing = writer.inner();
        hashing.file.sync_all().map_err(StoreError::io("sync", &path))?;
        sync_dir(&folder)?;
        FailPoint("after_data_file").pass();

        let size = i64::try_from(hashing.bytes).unwrap_or(i64::MAX);
        let sha256 = hex(&hashing.hash.clone().finalize());
        self.adds.push(Add {
            path: format!("{column}={partition}/{file_name}"),
            partition_values: HashMap::from([(column.to_owned(), Some(partition.to_owned()))]),
            size,
            modification_time: self.now.timestamp_millis(),
            data_change: true,
            stats: Some(statistics(rows)),
            tags: Some(HashMap::from([("sha256".to_owned(), Some(sha256))])),
            ..Add::default()
        });
        tracing::debug!(table = self.name, rows = rows.num_rows(), size, "wrote data file");
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
}

struct HashingFile {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn properties() -> Result<WriterProperties, StoreError> {
    let level = ZstdLevel::try_new(3).map_err(|source| StoreError::Parquet {
        path: PathBuf::from("zstd level"),
        source,
    })?;
    let key = || ColumnPath::from("record_key");
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_column_bloom_filter_enabled(key(), true)
        .set_column_bloom_filter_fpp(key(), 0.01)
        .build())
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

/// Delta statistics of the two columns named in the table's properties. Nothing else: text may be personal.
fn statistics(rows: &RecordBatch) -> String {
    let mut least = serde_json::Map::new();
    let mut greatest = serde_json::Map::new();
    if let Some(column) = rows.column_by_name("arrival_seq") {
        let column = column.as_primitive::<Int64Type>();
        if let (Some(low), Some(high)) = (min(column), max(column)) {
            least.insert("arrival_seq".into(), low.into());
            greatest.insert("arrival_seq".into(), high.into());
        }
    }
    if let Some(column) = rows.column_by_name("occurred_at")
        && let Some(column) = column.as_primitive_opt::<TimestampMicrosecondType>()
        && let (Some(low), Some(high)) = (min(column), max(column))
    {
        // Delta keeps milliseconds; the upper bound is rounded up so that it stays one.
        let text = |micros: i64| {
            DateTime::from_timestamp_millis(micros).map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        };
        if let (Some(low), Some(high)) = (text(low.div_euclid(1000)), text(high.div_euclid(1000) + 1)) {
            least.insert("occurred_at".into(), low.into());
            greatest.insert("occurred_at".into(), high.into());
        }
    }
    serde_json::json!({
        "numRecords": rows.num_rows(), "minValues": least, "maxValues": greatest,
        "nullCount": {"arrival_seq": 0, "occurred_at": rows.column_by_name("occurred_at").map_or(0, |c| c.null_count())},
    })
    .to_string()
}
