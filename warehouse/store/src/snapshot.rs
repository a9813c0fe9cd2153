use std::{collections::BTreeMap, path::PathBuf};

use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use deltalake::DeltaTableBuilder;

use crate::{
    Home, StoreError,
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
    /// Its files, ordered by path.
    pub files: Vec<DataFile>,
}

/// The home's tables, pinned: whoever holds it reads the same rows however much is landed meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The tables that existed, by name.
    pub tables: BTreeMap<String, TableSnapshot>,
}

impl Snapshot {
    /// Pins the newest version of every table.
    pub async fn latest(home: &Home) -> Result<Self, StoreError> {
        Self::pin(home, |_| None).await
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
            tables.insert(
                name.clone(),
                TableSnapshot {
                    version,
                    schema: file_schema(&name, &delta)?,
                    files,
                },
            );
        }
        Ok(Self { tables })
    }

    /// The snapshot's name: `table@version` for every table of `names` that exists, or for all when `names` is empty.
    pub fn id(&self, names: &[&str]) -> String {
        self.tables
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()))
            .map(|(name, table)| format!("{name}@{}", table.version))
            .collect::<Vec<_>>()
            .join(",")
    }
}
