use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use atalaya_model::{HomeSettings, Kind};
use chrono::{DateTime, Utc};

use crate::{
    ArrivalSeq, Compacted, Compaction, Snapshot, StoreError, Table,
    dead_letter::DEAD_LETTERS,
    durable::{create_dir, write_atomically},
    hot::HotRows,
    load_settings,
    table::TableLayout,
};

const SETTINGS_FILE: &str = "home.toml";
const LOCK_FILE: &str = "lock";

/// A folder that holds one company's warehouse.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
    settings: HomeSettings,
    hot: Option<Arc<HotRows>>,
}

/// Exclusive ownership of a home, given up when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct OwnerLock {
    _file: File,
    arrivals: ArrivalSeq,
    /// Held from reading a table's version to publishing the next: an import and the log may commit at the same time.
    commit_turn: Arc<tokio::sync::Mutex<()>>,
    /// Held while files are merged or removed.
    pub(crate) compaction_turn: tokio::sync::Mutex<()>,
}

impl Home {
    /// Opens an existing home.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join(SETTINGS_FILE);
        if !file.is_file() {
            return Err(StoreError::NotAHome(dir.to_owned()));
        }
        let dir = dir.canonicalize().map_err(StoreError::io("open", dir))?;
        check_path(&dir)?;
        let settings = load_settings(Some(&file), |name| std::env::var(name).ok())?;
        Ok(Self {
            dir,
            settings,
            hot: None,
        })
    }

    /// Opens a home, creating it with `settings` (TOML text; the defaults when absent) if the folder has none.
    pub fn open_or_create(dir: &Path, settings: Option<&str>) -> Result<Self, StoreError> {
        if !dir.join(SETTINGS_FILE).is_file() {
            check_path(dir)?;
            create_dir(dir)?;
            let text = settings.unwrap_or(crate::settings::DEFAULTS);
            write_atomically(&dir.join(SETTINGS_FILE), text.as_bytes())?;
        }
        Self::open(dir)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings, validated.
    pub fn settings(&self) -> &HomeSettings {
        &self.settings
    }

    /// Where the owner listens for the commands of other processes.
    pub fn socket_path(&self) -> PathBuf {
        self.dir.join("atalaya.sock")
    }

    /// The database of alert state and the delivery ledger.
    pub fn control_database(&self) -> PathBuf {
        self.dir.join("control.sqlite")
    }

    /// A folder for what may be deleted at any time.
    pub fn scratch_dir(&self) -> Result<PathBuf, StoreError> {
        let dir = self.dir.join("scratch");
        create_dir(&dir)?;
        Ok(dir)
    }

    /// A folder of one component's own.
    pub fn component_dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let dir = self.dir.join(name);
        create_dir(&dir)?;
        Ok(dir)
    }

    /// Takes the home for this process; an error when another has it.
    pub fn own(&self) -> Result<OwnerLock, StoreError> {
        let path = self.dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(OwnerLock {
                _file: file,
                arrivals: ArrivalSeq::new(self.dir.join("arrival_seq")),
                commit_turn: Arc::default(),
                compaction_turn: tokio::sync::Mutex::default(),
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Owned {
                home: self.dir.clone(),
                lock: path,
            }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
        }
    }

    /// The allocator of arrival numbers. Only the owner may use it.
    pub fn arrival_seq(&self, owner: &OwnerLock) -> ArrivalSeq {
        owner.arrivals.clone()
    }

    /// The same home with rows that are not in its tables yet.
    pub(crate) fn with_hot(mut self, hot: Arc<HotRows>) -> Self {
        self.hot = Some(hot);
        self
    }

    /// Rows that are not in the tables yet, where this process takes them.
    pub(crate) fn hot(&self) -> Option<&Arc<HotRows>> {
        self.hot.as_ref()
    }

    /// Whether there may be rows in the log that no table has: a process takes events, or one ended while it did.
    pub fn has_log(&self) -> Result<bool, StoreError> {
        Ok(!crate::log::segments(&self.log_dir())?.is_empty())
    }

    /// Where the write-ahead log is.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where a table's folder is.
    pub(crate) fn table_dir(&self, name: &str) -> PathBuf {
        self.dir.join("tables").join(name)
    }

    /// Names of the tables that exist.
    pub fn table_names(&self) -> Vec<String> {
        Kind::ALL
            .iter()
            .map(|kind| kind.name())
            .chain([DEAD_LETTERS])
            .filter(|name| {
                self.table_dir(name)
                    .join(format!("_delta_log/{:020}.json", 0))
                    .is_file()
            })
            .map(str::to_owned)
            .collect()
    }

    /// Opens the table of a kind for writing, creating or widening it as needed.
    pub async fn table(&self, kind: Kind, owner: &OwnerLock, now: DateTime<Utc>) -> Result<Table, StoreError> {
        let layout = TableLayout::of(kind);
        Table::open_or_create(
            kind.name(),
            &self.table_dir(kind.name()),
            &crate::table_schema(kind),
            layout,
            now,
            Arc::clone(&owner.commit_turn),
        )
        .await
    }

    /// Merges sorted files of a kind's table, where it has any.
    pub async fn compact(
        &self,
        kind: Kind,
        owner: &OwnerLock,
        compaction: Compaction,
        now: DateTime<Utc>,
    ) -> Result<Compacted, StoreError> {
        self.compact_table(kind.name(), owner, compaction, now).await
    }

    /// Merges sorted files of every table; what was done, by table.
    pub async fn compact_all(
        &self,
        owner: &OwnerLock,
        compaction: Compaction,
        now: DateTime<Utc>,
    ) -> Result<Vec<(String, Compacted)>, StoreError> {
        let mut done = Vec::new();
        let mut failed = None;
        for name in self.table_names() {
            match self.compact_table(&name, owner, compaction, now).await {
                Ok(compacted) if compacted.merged > 0 => done.push((name, compacted)),
                Ok(_) => {}
                // One damaged file must not keep the other tables from being merged.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    async fn compact_table(
        &self,
        name: &str,
        owner: &OwnerLock,
        compaction: Compaction,
        now: DateTime<Utc>,
    ) -> Result<Compacted, StoreError> {
        // Two at once could choose the same files, and their rows would then stand there twice.
        let _turn = owner.compaction_turn.lock().await;
        let mut done = Compacted::default();
        if !self.table_names().iter().any(|known| known == name) {
            return Ok(done);
        }
        let mut table = self.table_named(name, owner, now).await?;
        // What is in the log alone has files of its own, which are no part of the table.
        let tables_alone = Self {
            hot: None,
            ..self.clone()
        };
        loop {
            let snapshot = Snapshot::latest(&tables_alone).await?;
            let Some(pinned) = snapshot.tables.get(name) else {
                return Ok(done);
            };
            let round = table.compact(pinned, compaction, now).await?;
            if round.merged == 0 {
                return Ok(done);
            }
            done.merged += round.merged;
            done.written += round.written;
            done.rows += round.rows;
        }
    }

    /// Opens a table by its name for writing.
    pub(crate) async fn table_named(
        &self,
        name: &str,
        owner: &OwnerLock,
        now: DateTime<Utc>,
    ) -> Result<Table, StoreError> {
        match Kind::parse(name) {
            Ok(kind) => self.table(kind, owner, now).await,
            Err(_) if name == DEAD_LETTERS => self.dead_letter_table(owner, now).await,
            Err(_) => Err(StoreError::Damaged {
                path: self.table_dir(name),
                reason: "no such kind of table is known".to_owned(),
            }),
        }
    }

    /// Opens the dead-letter table for writing.
    pub async fn dead_letter_table(&self, owner: &OwnerLock, now: DateTime<Utc>) -> Result<Table, StoreError> {
        let schema = crate::dead_letter::schema();
        Table::open_or_create(
            DEAD_LETTERS,
            &self.table_dir(DEAD_LETTERS),
            &schema,
            TableLayout::Landed,
            now,
            Arc::clone(&owner.commit_turn),
        )
        .await
    }
}

/// delta-rs decodes the address of a table once too often: `%20` in a folder's name would become a blank.
fn check_path(dir: &Path) -> Result<(), StoreError> {
    if dir.to_string_lossy().contains('%') {
        Err(StoreError::BadPath(dir.to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_settings_is_no_home() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Home::open(dir.path()), Err(StoreError::NotAHome(_))));
    }

    #[test]
    fn a_path_that_would_be_decoded_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            Home::open_or_create(&dir.path().join("a%20b"), None),
            Err(StoreError::BadPath(_))
        ));
    }

    #[test]
    fn a_home_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(dir.path(), None).unwrap();
        let owner = home.own().unwrap();
        assert!(matches!(home.own(), Err(StoreError::Owned { .. })));
        drop(owner);
        home.own().unwrap();
    }
}
