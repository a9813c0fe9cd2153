//! Removal of data files that no snapshot needs: merged into others, or written by a process that died before its commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::{Home, OwnerLock, Snapshot, StoreError, durable::sync_dir};

/// For so long a file stays after it was merged: a snapshot that still reads it was taken before.
const MERGED_KEPT: TimeDelta = TimeDelta::hours(24);
/// For so long a file stays that no commit ever named: whoever wrote it may be about to commit.
const UNNAMED_KEPT: TimeDelta = TimeDelta::days(7);

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Home {
    /// Removes data files that no snapshot needs any more. No row and no figure changes; snapshots by an older version of
    /// a table can no longer be read.
    pub async fn vacuum(&self, owner: &OwnerLock, now: DateTime<Utc>) -> Result<Vacuumed, StoreError> {
        let _turn = owner.compaction_turn.lock().await;
        let snapshot = Snapshot::latest(self).await?;
        let mut done = Vacuumed::default();
        for (name, table) in &snapshot.tables {
            let dir = self.table_dir(name);
            if !dir.is_dir() {
                continue;
            }
            let active: BTreeSet<&Path> = table.files.iter().map(|file| file.path.as_path()).collect();
            let removed = removals(&dir)?;
            for folder in children(&dir)?.into_iter().filter(|path| is_partition(path)) {
                let mut changed = false;
                for path in children(&folder)? {
                    if active.contains(path.as_path()) || !is_spent(&dir, &path, &removed, now) {
                        continue;
                    }
                    let bytes = std::fs::metadata(&path)
                        .map_err(StoreError::io("look at", &path))?
                        .len();
                    std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
                    done.files += 1;
                    done.bytes += bytes;
                    changed = true;
                }
                if changed {
                    sync_dir(&folder)?;
                }
            }
        }
        Ok(done)
    }
}

fn is_partition(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_dir() && (name.starts_with("landed_on=") || name.starts_with("bucket="))
}

/// Whether nobody can need a file that is not part of its table now.
fn is_spent(dir: &Path, path: &Path, removed: &BTreeMap<String, Option<i64>>, now: DateTime<Utc>) -> bool {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        return false;
    }
    let relative = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
    match removed.get(&relative) {
        Some(Some(removed_at)) => *removed_at < (now - MERGED_KEPT).timestamp_millis(),
        // Named by a commit, and neither active nor removed by one that we can read: not ours to judge.
        Some(None) => false,
        None => written_at(path).is_some_and(|at| at < now - UNNAMED_KEPT),
    }
}

/// When a file was begun, by its name.
fn written_at(path: &Path) -> Option<DateTime<Utc>> {
    let name = path.file_name()?.to_str()?;
    let (stamp, _) = name.split_once('-')?;
    NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%S")
        .ok()
        .map(|at| at.and_utc())
}

/// Every file that a commit named, with the moment of its removal in milliseconds where it was removed.
fn removals(dir: &Path) -> Result<BTreeMap<String, Option<i64>>, StoreError> {
    let log = dir.join("_delta_log");
    let mut named = BTreeMap::new();
    let mut entries = children(&log)?;
    entries.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    entries.sort();
    for path in entries {
        let text = std::fs::read_to_string(&path).map_err(StoreError::io("read", &path))?;
        for action in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let path_of = |action: &Value| action.get("path").and_then(Value::as_str).map(str::to_owned);
            if let Some(path) = action.get("add").and_then(path_of) {
                named.insert(path, None);
            }
            if let Some(remove) = action.get("remove")
                && let Some(path) = path_of(remove)
            {
                named.insert(path, remove.get("deletionTimestamp").and_then(Value::as_i64));
            }
        }
    }
    Ok(named)
}

fn children(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    std::fs::read_dir(dir)
        .map_err(StoreError::io("list", dir))?
        .map(|entry| entry.map(|entry| entry.path()).map_err(StoreError::io("list", dir)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use atalaya_model::Kind;
    use chrono::TimeZone;

    use super::*;
    use crate::{Compaction, Row, RowBatchBuilder, TableWriter, Value, table_schema};

    fn at(day: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, day, 10, 0, 0).unwrap()
    }

    /// Lands one order of its own; returns without committing when told so.
    async fn land(home: &Home, owner: &OwnerLock, number: i64, commit: bool) {
        let mut table = home.table(Kind::Orders, owner, at(1)).await.unwrap();
        let mut values = vec![None; Kind::Orders.columns().len()];
        values[0] = Some(Value::Text(format!("c{number}")));
        let row = Row {
            values,
            record_key: Some(format!("k{number}")),
            record_version: 0,
            operation: "upsert".to_owned(),
            occurred_at: at(1) - TimeDelta::hours(number * 7 % 12),
            recorded_at: None,
            source: None,
            extra: None,
        };
        let mut builder = RowBatchBuilder::new(Kind::Orders);
        builder.push(row, "", at(1), number);
        let mut writer = TableWriter::new(&table, table_schema(Kind::Orders), at(1), at(1).date_naive());
        writer.push(builder.take().unwrap()).unwrap();
        let adds = writer.finish().unwrap();
        if commit {
            table
                .commit(adds, &format!("test:{number}"), HashMap::new(), at(1))
                .await
                .unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_of_a_day_are_merged_and_what_nobody_needs_goes_later() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(dir.path(), None).unwrap();
        let owner = home.own().unwrap();
        for number in 1..=80 {
            land(&home, &owner, number, true).await;
        }
        land(&home, &owner, 81, false).await;
        let folder = home.table_dir("orders").join("landed_on=2026-03-01");
        assert_eq!(children(&folder).unwrap().len(), 81);
        let before = Snapshot::latest(&home).await.unwrap();

        let done = home.compact_all(&owner, Compaction::Full, at(2)).await.unwrap();
        // 64 of them, then what became of these with the rest.
        assert_eq!((done[0].1.merged, done[0].1.written), (64 + 17, 2));
        let merged = Snapshot::latest(&home).await.unwrap();
        let files = &merged.tables["orders"].files;
        assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [80]);
        assert!(crate::check_bytes(&merged).unwrap().is_empty());
        let stamps = stamps(&files[0].path);
        assert!(stamps.is_sorted() && stamps.len() == 80, "{stamps:?}");

        // A snapshot from before still reads; later the merged files go, later still the one without a commit.
        assert_eq!(home.vacuum(&owner, at(2)).await.unwrap(), Vacuumed::default());
        assert!(crate::check_bytes(&before).unwrap().is_empty());
        let gone = home.vacuum(&owner, at(4)).await.unwrap();
        assert_eq!(gone.files, 81);
        assert_eq!(children(&folder).unwrap().len(), 2);
        assert_eq!(home.vacuum(&owner, at(9)).await.unwrap().files, 1);
        assert!(crate::check_bytes(&merged).unwrap().is_empty());
        assert_eq!(home.vacuum(&owner, at(20)).await.unwrap(), Vacuumed::default());
    }

    fn stamps(path: &Path) -> Vec<(i64, i64)> {
        use arrow::{
            array::AsArray,
            datatypes::{Int64Type, TimestampMicrosecondType},
        };
        let file = std::fs::File::open(path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let mut found = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let at = batch
                .column_by_name("occurred_at")
                .unwrap()
                .as_primitive::<TimestampMicrosecondType>();
            let seq = batch.column_by_name("arrival_seq").unwrap().as_primitive::<Int64Type>();
            found.extend(at.values().iter().copied().zip(seq.values().iter().copied()));
        }
        found
    }
}
