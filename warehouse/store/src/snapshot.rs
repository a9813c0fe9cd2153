use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use atalaya_model::Kind;
use chrono::{DateTime, Utc};
use deltalake::{DeltaTableBuilder, kernel::Add};
use parquet::{
    arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::{metadata::ParquetMetaDataReader, statistics::Statistics},
};

use crate::{
    Home, StoreError,
    dead_letter::DEAD_LETTERS,
    hot::PieceFiles,
    intake::LOG_APP_ID,
    table::{file_schema, table_url},
};

/// One immutable data file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size as committed.
    pub size_bytes: u64,
    /// Its rows as committed.
    pub rows: u64,
    /// The SHA-256 that was committed with it, in hexadecimal.
    pub sha256: String,
}

/// One table of a snapshot.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// The Delta version.
    pub version: u64,
    /// The columns of the table, without the partition column; older files may lack the later ones.
    pub schema: SchemaRef,
    /// Its files, ordered by path; those of rows that are in the log alone stand last.
    pub files: Vec<DataFile>,
    /// The last arrival number among rows that are in the log alone, where there are such.
    pub hot_seq: Option<i64>,
    /// Keeps their files while the snapshot is used.
    pub(crate) hot: Vec<Arc<PieceFiles>>,
}

impl DataFile {
    /// Its rows as they lie, in all columns or in these.
    pub fn batches(
        &self,
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, StoreError>> + use<>, StoreError> {
        let unreadable = |source| StoreError::Parquet {
            path: self.path.clone(),
            source,
        };
        let file = std::fs::File::open(&self.path).map_err(StoreError::io("open", &self.path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let reader = builder.build().map_err(unreadable)?;
        Ok(reader.map(|batch| Ok(batch?)))
    }

    /// When the newest of its rows landed, as its own statistics say; none where they do not.
    pub fn newest_landed_at(&self) -> Option<DateTime<Utc>> {
        let file = std::fs::File::open(&self.path).ok()?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).ok()?;
        let columns = metadata.file_metadata().schema_descr().columns();
        let place = columns.iter().position(|column| column.name() == "landed_at")?;
        let mut newest = None;
        for group in metadata.row_groups() {
            let Some(Statistics::Int64(values)) = group.column(place).statistics() else {
                return None;
            };
            newest = newest.max(Some(*values.max_opt()?));
        }
        DateTime::from_timestamp_micros(newest?)
    }

    /// A file as its commit describes it.
    pub(crate) fn of(dir: &Path, add: &Add) -> Self {
        let tag = |name: &str| add.tags.as_ref().and_then(|tags| tags.get(name).cloned().flatten());
        let rows = add
            .stats
            .as_deref()
            .and_then(|stats| serde_json::from_str::<serde_json::Value>(stats).ok())
            .and_then(|stats| stats.get("numRecords")?.as_u64());
        Self {
            path: dir.join(&add.path),
            size_bytes: u64::try_from(add.size).unwrap_or(0),
            rows: rows.unwrap_or(0),
            sha256: tag("sha256").unwrap_or_default(),
        }
    }
}

/// The home's tables, pinned: whoever holds it reads the same rows however much is landed meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The tables that existed, by name.
    pub tables: BTreeMap<String, TableSnapshot>,
    /// How far the log is in each table, by the tables' own commits.
    landed: BTreeMap<String, i64>,
}

impl Snapshot {
    /// Pins the newest version of every table, and what is in the log alone where this process takes events.
    pub async fn latest(home: &Home) -> Result<Self, StoreError> {
        // First what is in memory: a row that is moved meanwhile is then seen in both places, and is told apart by the
        // arrival number that the table's commit names. The other way round it could be seen in neither.
        let hot = match home.hot() {
            Some(hot) => tokio::task::block_in_place(|| hot.pin())?,
            None => BTreeMap::new(),
        };
        let mut snapshot = Self::pin(home, |_| None).await?;
        for (name, pin) in hot {
            let landed = snapshot.landed.get(&name).copied().unwrap_or(i64::MIN);
            let table = snapshot.tables.entry(name).or_insert_with(|| TableSnapshot {
                version: 0,
                schema: pin.schema,
                files: Vec::new(),
                hot_seq: None,
                hot: Vec::new(),
            });
            for (last_seq, piece) in pin.pieces.into_iter().filter(|(last_seq, _)| *last_seq > landed) {
                table.hot_seq = table.hot_seq.max(Some(last_seq));
                table.files.extend(piece.files.iter().cloned());
                table.hot.push(piece);
            }
        }
        Ok(snapshot)
    }

    /// Whether nothing has been committed since: a look at file names, without reading any.
    pub fn is_latest(&self, home: &Home) -> bool {
        let has_hot = |name: &str| {
            let newest = home.hot().and_then(|hot| hot.last_seq(name));
            newest.is_none_or(|newest| {
                let table = self.tables.get(name);
                table.is_some_and(|table| table.hot_seq == Some(newest))
                    || self.landed.get(name).is_some_and(|landed| *landed >= newest)
            })
        };
        let hot_names = Kind::ALL.iter().map(|kind| kind.name()).chain([DEAD_LETTERS]);
        if !hot_names.into_iter().all(has_hot) {
            return false;
        }
        home.table_names().iter().all(|name| {
            self.tables.get(name).is_some_and(|table| {
                let next = format!("_delta_log/{:020}.json", table.version + 1);
                !home.table_dir(name).join(next).exists()
            })
        })
    }

    /// Pins given versions; tables not named are left out.
    pub async fn at_versions(home: &Home, versions: &BTreeMap<String, u64>) -> Result<Self, StoreError> {
        let mut snapshot = Self::pin(home, |name| versions.get(name).copied()).await?;
        snapshot.tables.retain(|name, _| versions.contains_key(name));
        Ok(snapshot)
    }

    /// Pins what had been committed at an instant, by the time in the commits themselves; file times lie after a copy.
    pub async fn at_time(home: &Home, at: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut versions = BTreeMap::new();
        for name in home.table_names() {
            let delta = deltalake::open_table(table_url(&name, &home.table_dir(&name))?)
                .await
                .map_err(StoreError::delta(&name))?;
            let (numbers, commits) = deltalake::logstore::get_all_versions_from(delta.log_store(), 0)
                .await
                .map_err(StoreError::delta(&name))?;
            let known = numbers
                .into_iter()
                .zip(commits)
                .filter(|(_, commit)| commit.timestamp.is_some_and(|millis| millis <= at.timestamp_millis()))
                .map(|(version, _)| version)
                .max();
            if let Some(version) = known {
                versions.insert(name, version);
            }
        }
        Self::at_versions(home, &versions).await
    }

    async fn pin(home: &Home, version: impl Fn(&str) -> Option<u64>) -> Result<Self, StoreError> {
        let mut tables = BTreeMap::new();
        let mut landed = BTreeMap::new();
        for name in home.table_names() {
            let dir = home.table_dir(&name);
            let mut builder = DeltaTableBuilder::from_url(table_url(&name, &dir)?).map_err(StoreError::delta(&name))?;
            if let Some(version) = version(&name) {
                builder = builder.with_version(version);
            }
            let delta = builder.load().await.map_err(StoreError::delta(&name))?;
            let state = delta.snapshot().map_err(StoreError::delta(&name))?;
            let mut files: Vec<DataFile> = Vec::new();
            for file in state.log_data().iter() {
                #[allow(deprecated, reason = "the only public way to a file's tags in delta-rs 1.1")]
                let add = file.add_action();
                let sha256 = add
                    .tags
                    .as_ref()
                    .and_then(|tags| tags.get("sha256").cloned().flatten())
                    .unwrap_or_default();
                files.push(DataFile {
                    path: dir.join(file.path().as_ref()),
                    size_bytes: u64::try_from(file.size()).unwrap_or(0),
                    rows: file.num_records().unwrap_or(0) as u64,
                    sha256,
                });
            }
            files.sort_by(|left, right| left.path.cmp(&right.path));
            let version = delta.version().unwrap_or(0);
            if home.hot().is_some() {
                let known = state.transaction_version(delta.log_store().as_ref(), LOG_APP_ID).await;
                if let Some(seq) = known.map_err(StoreError::delta(&name))? {
                    landed.insert(name.clone(), seq);
                }
            }
            tables.insert(
                name.clone(),
                TableSnapshot {
                    version,
                    schema: file_schema(&name, &delta)?,
                    files,
                    hot_seq: None,
                    hot: Vec::new(),
                },
            );
        }
        Ok(Self { tables, landed })
    }

    /// Whether there are rows in it that are in the log alone.
    pub fn has_rows_in_the_log(&self) -> bool {
        self.tables.values().any(|table| table.hot_seq.is_some())
    }

    /// The snapshot's name: `table@version`, with `+seq` where rows are in the log alone, for every table of `names` that exists, or for all when `names` is empty.
    pub fn id(&self, names: &[&str]) -> String {
        self.tables
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
            .map(|(name, table)| match table.hot_seq {
                Some(seq) => format!("{name}@{}+{seq}", table.version),
                None => format!("{name}@{}", table.version),
            })
            .collect::<Vec<_>>()
            .join(",")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use arrow::{
        array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Schema, TimeUnit},
    };
    use chrono::TimeZone;

    use super::*;
    use crate::{TableWriter, table::TableLayout};

    fn at(hour: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 1, hour, 0, 0).unwrap()
    }

    /// A schema with the sort columns and these texts, as an older or a newer Atalaya would have it.
    fn schema(texts: &[&str]) -> SchemaRef {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new("occurred_at", instant, true),
            Field::new("arrival_seq", DataType::Int64, true),
            Field::new("record_key", DataType::Utf8, true),
        ];
        fields.extend(texts.iter().map(|name| Field::new(*name, DataType::Utf8, true)));
        Arc::new(Schema::new(fields))
    }

    fn rows(schema: &SchemaRef, count: i64) -> RecordBatch {
        let stamps = TimestampMicrosecondArray::from_iter_values(0..count).with_timezone("UTC");
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|row| row.to_string())));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(stamps), Arc::new(Int64Array::from_iter_values(0..count))];
        columns.extend((2..schema.fields().len()).map(|_| Arc::clone(&text)));
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    async fn land(home: &Home, schema: &SchemaRef, count: i64, hour: u32) -> u64 {
        let mut table = crate::Table::open_or_create(
            "orders",
            &home.table_dir("orders"),
            schema,
            TableLayout::Landed,
            at(hour),
            Arc::default(),
        )
        .await
        .unwrap();
        let mut writer = TableWriter::new(&table, Arc::clone(schema), at(hour), at(hour).date_naive());
        writer.push(rows(schema, count)).unwrap();
        let adds = writer.finish().unwrap();
        let outcome = table
            .commit(adds, &format!("test:{hour}"), HashMap::new(), at(hour))
            .await
            .unwrap();
        assert!(matches!(outcome, crate::CommitOutcome::Committed(_)));
        table.version()
    }

    fn rows_of(snapshot: &Snapshot) -> Option<u64> {
        let table = snapshot.tables.get("orders")?;
        Some(table.files.iter().map(|file| file.rows).sum())
    }

    fn columns_of(snapshot: &Snapshot) -> Vec<String> {
        let schema = &snapshot.tables["orders"].schema;
        schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[tokio::test]
    async fn a_snapshot_by_version_or_by_time_holds_what_was_committed_then() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(dir.path(), None).unwrap();
        let schema = schema(&[]);
        // delta-rs stamps version 0, the empty table, with the system's time: later than all of these.
        let first = land(&home, &schema, 3, 8).await;
        let second = land(&home, &schema, 4, 10).await;

        let before = Snapshot::at_time(&home, at(7)).await.unwrap();
        assert_eq!(rows_of(&before), None);
        for hour in [8, 9] {
            let snapshot = Snapshot::at_time(&home, at(hour)).await.unwrap();
            assert_eq!(rows_of(&snapshot), Some(3), "at {hour}:00");
            assert_eq!(snapshot.id(&[]), format!("orders@{first}"));
        }
        assert_eq!(rows_of(&Snapshot::at_time(&home, at(10)).await.unwrap()), Some(7));

        let versions = |version| BTreeMap::from([("orders".to_owned(), version)]);
        for (version, expected) in [(first, 3), (second, 7)] {
            let snapshot = Snapshot::at_versions(&home, &versions(version)).await.unwrap();
            assert_eq!(rows_of(&snapshot), Some(expected));
        }
        assert_eq!(
            rows_of(&Snapshot::at_versions(&home, &BTreeMap::new()).await.unwrap()),
            None
        );
    }

    #[tokio::test]
    async fn a_table_is_widened_by_new_columns_and_never_narrowed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(dir.path(), None).unwrap();
        let old = land(&home, &schema(&["city"]), 2, 8).await;
        land(&home, &schema(&["city", "region"]), 3, 9).await;
        // An older Atalaya again: the table keeps the column it does not know.
        land(&home, &schema(&["city"]), 1, 10).await;

        let latest = Snapshot::latest(&home).await.unwrap();
        assert!(latest.is_latest(&home));
        assert_eq!(rows_of(&latest), Some(6));
        assert_eq!(
            columns_of(&latest),
            ["occurred_at", "arrival_seq", "record_key", "city", "region"]
        );
        land(&home, &schema(&["city"]), 1, 11).await;
        assert!(!latest.is_latest(&home));
        assert_eq!(check(&latest), 0);
        let versions = BTreeMap::from([("orders".to_owned(), old)]);
        let pinned = Snapshot::at_versions(&home, &versions).await.unwrap();
        assert_eq!(
            columns_of(&pinned),
            ["occurred_at", "arrival_seq", "record_key", "city"]
        );
    }

    fn check(snapshot: &Snapshot) -> usize {
        crate::check_bytes(snapshot).unwrap().len()
    }
}
