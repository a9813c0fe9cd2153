//! One data file of a table: written, hashed and synced, to be committed afterwards.

use std::{
    collections::HashMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::{max, min},
    datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType},
};
use chrono::{DateTime, Utc};
use deltalake::kernel::Add;
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::ColumnPath,
};
use sha2::{Digest, Sha256};

use crate::{
    FailPoint, StoreError,
    durable::{create_dir, sync_dir},
    row_groups::{ROW_GROUP_ROWS, RowGroups},
};

/// Where a file belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partition<'a> {
    pub(crate) table: &'a str,
    pub(crate) dir: &'a Path,
    pub(crate) column: &'a str,
    pub(crate) value: &'a str,
    /// Whether the file must survive a power loss.
    pub(crate) durable: bool,
    /// Whether nobody waits for an answer while it is written.
    pub(crate) uses_all_cores: bool,
}

/// A data file that is being written. Nobody sees it before the commit.
pub(crate) struct DataFileWriter {
    table: String,
    folder: PathBuf,
    path: PathBuf,
    add: Add,
    writer: SerializedFileWriter<HashingFile>,
    groups: RowGroups,
    durable: bool,
    finished: bool,
    statistics: Statistics,
}

impl Drop for DataFileWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Half a file is nobody's, and its place may be what is missing.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl DataFileWriter {
    pub(crate) fn create(place: &Partition<'_>, schema: &SchemaRef, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let name = format!("{}={}", place.column, place.value);
        let folder = place.dir.join(&name);
        if place.durable {
            create_dir(&folder)?;
        } else {
            std::fs::create_dir_all(&folder).map_err(StoreError::io("create folder", &folder))?;
        }
        let file_name = format!(
            "{}-{}.parquet",
            now.format("%Y%m%dT%H%M%S"),
            uuid::Uuid::new_v4().simple()
        );
        let path = folder.join(&file_name);
        let file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
        let hashing = HashingFile {
            file,
            hash: Sha256::new(),
            bytes: 0,
        };
        let writer = ArrowWriter::try_new(hashing, std::sync::Arc::clone(schema), Some(properties()?));
        let opened = writer.and_then(ArrowWriter::into_serialized_writer);
        let (writer, factory) = opened.map_err(|source| StoreError::Parquet {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            table: place.table.to_owned(),
            folder,
            path,
            add: Add {
                path: format!("{name}/{file_name}"),
                partition_values: HashMap::from([(place.column.to_owned(), Some(place.value.to_owned()))]),
                modification_time: now.timestamp_millis(),
                ..Add::default()
            },
            writer,
            groups: RowGroups::new(factory, place.uses_all_cores),
            durable: place.durable,
            finished: false,
            statistics: Statistics::default(),
        })
    }

    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), StoreError> {
        self.statistics.count(rows);
        let written = self.groups.write(rows, &mut self.writer);
        written.map_err(|source| StoreError::Parquet {
            path: self.path.clone(),
            source,
        })
    }

    /// Syncs the file and its folder; `data_change` is false where the same rows stood in other files.
    pub(crate) fn finish(mut self, data_change: bool) -> Result<Add, StoreError> {
        let rest = self.groups.close(&mut self.writer);
        rest.and_then(|()| self.writer.finish().map(drop))
            .map_err(|source| StoreError::Parquet {
                path: self.path.clone(),
                source,
            })?;
        let hashing = self.writer.inner();
        if self.durable {
            hashing.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
            sync_dir(&self.folder)?;
            FailPoint("after_data_file").pass();
        }
        let size = i64::try_from(hashing.bytes).unwrap_or(i64::MAX);
        let sha256 = hex(&hashing.hash.clone().finalize());
        tracing::debug!(table = self.table, rows = self.statistics.rows, size, "wrote data file");
        self.finished = true;
        Ok(Add {
            size,
            data_change,
            stats: Some(self.statistics.to_json()),
            tags: Some(HashMap::from([("sha256".to_owned(), Some(sha256))])),
            ..std::mem::take(&mut self.add)
        })
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

/// Delta statistics of the two columns named in the table's properties. Nothing else: text may be personal.
#[derive(Debug, Default)]
struct Statistics {
    rows: usize,
    arrival_seq: Option<(i64, i64)>,
    occurred_at: Option<(i64, i64)>,
    occurred_at_missing: usize,
}

fn widen(bounds: &mut Option<(i64, i64)>, low: Option<i64>, high: Option<i64>) {
    if let (Some(low), Some(high)) = (low, high) {
        *bounds = Some(bounds.map_or((low, high), |(least, greatest)| (least.min(low), greatest.max(high))));
    }
}

impl Statistics {
    fn count(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows();
        if let Some(column) = rows.column_by_name("arrival_seq") {
            let column = column.as_primitive::<Int64Type>();
            widen(&mut self.arrival_seq, min(column), max(column));
        }
        if let Some(column) = rows.column_by_name("occurred_at") {
            self.occurred_at_missing += column.null_count();
            if let Some(column) = column.as_primitive_opt::<TimestampMicrosecondType>() {
                widen(&mut self.occurred_at, min(column), max(column));
            }
        }
    }

    fn to_json(&self) -> String {
        let mut least = serde_json::Map::new();
        let mut greatest = serde_json::Map::new();
        if let Some((low, high)) = self.arrival_seq {
            least.insert("arrival_seq".into(), low.into());
            greatest.insert("arrival_seq".into(), high.into());
        }
        // Delta keeps milliseconds; the upper bound is rounded up so that it stays one.
        let text = |micros: i64| {
            DateTime::from_timestamp_millis(micros).map(|at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        };
        if let Some((low, high)) = self.occurred_at
            && let (Some(low), Some(high)) = (text(low.div_euclid(1000)), text(high.div_euclid(1000) + 1))
        {
            least.insert("occurred_at".into(), low.into());
            greatest.insert("occurred_at".into(), high.into());
        }
        serde_json::json!({
            "numRecords": self.rows, "minValues": least, "maxValues": greatest,
            "nullCount": {"arrival_seq": 0, "occurred_at": self.occurred_at_missing},
        })
        .to_string()
    }
}
