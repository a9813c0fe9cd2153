use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::datatypes::{Schema, SchemaRef};
use atalaya_model::Kind;
use chrono::{DateTime, Utc};
use deltalake::{
    DeltaTable,
    kernel::{
        Action, Add, CommitInfo, MetadataExt as _, Remove, StructField, StructType, Transaction,
        engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _},
        transaction::CommitData,
    },
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode},
};
use url::Url;

use crate::{
    FailPoint, StoreError,
    durable::{create_dir, publish_new, sync_dir},
};

/// Buckets of customer-state tables. Part of the layout on disk: changing it means rewriting those tables.
pub const BUCKETS: u32 = 8;

/// Commits between two checkpoints of the Delta log.
const CHECKPOINT_EVERY: u64 = 50;

/// How a table's files are divided and sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLayout {
    /// `landed_on=DAY/`, sorted by `occurred_at`.
    Landed,
    /// `bucket=N/`, sorted by `customer_id`, `occurred_at`, `arrival_seq`.
    Buckets,
}

impl TableLayout {
    /// The layout of a kind's table.
    pub fn of(kind: Kind) -> Self {
        match kind.layout() {
            atalaya_model::Layout::Events => Self::Landed,
            atalaya_model::Layout::CustomerState => Self::Buckets,
        }
    }

    /// The partition column, which is in the path and not in the files.
    pub(crate) fn partition_column(self) -> &'static str {
        match self {
            Self::Landed => "landed_on",
            Self::Buckets => "bucket",
        }
    }
}

/// Whether a commit changed the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The files are in; this is the table's new version.
    Committed(u64),
    /// The same work was committed before; nothing changed.
    AlreadyThere,
}

/// One Delta table, opened for writing by the home's owner.
pub struct Table {
    name: String,
    dir: PathBuf,
    delta: DeltaTable,
    layout: TableLayout,
    commit_turn: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} at {:?})", self.name, self.delta.version())
    }
}

pub(crate) fn table_url(name: &str, dir: &Path) -> Result<Url, StoreError> {
    Url::from_directory_path(dir).map_err(|()| StoreError::Damaged {
        path: dir.to_owned(),
        reason: format!("table {name} needs an absolute path"),
    })
}

impl Table {
    pub(crate) async fn open_or_create(
        name: &str,
        dir: &Path,
        schema: &SchemaRef,
        layout: TableLayout,
        now: DateTime<Utc>,
        commit_turn: Arc<tokio::sync::Mutex<()>>,
    ) -> Result<Self, StoreError> {
        let turn = Arc::clone(&commit_turn).lock_owned().await;
        let log = dir.join("_delta_log");
        let first = log.join(format!("{:020}.json", 0));
        if !first.is_file() {
            create_dir(&log)?;
            create(name, dir, schema, layout).await?;
        }
        // An entry that a killed process linked may be in the machine's memory alone; from here on it is taken for durable.
        sync_dir(&log)?;
        let delta = deltalake::open_table(table_url(name, dir)?)
            .await
            .map_err(StoreError::delta(name))?;
        let mut table = Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            delta,
            layout,
            commit_turn,
        };
        table.widen(schema, now).await?;
        drop(turn);
        Ok(table)
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The table's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How it is laid out.
    pub fn layout(&self) -> TableLayout {
        self.layout
    }

    /// The version of the last commit.
    pub fn version(&self) -> u64 {
        self.delta.version().unwrap_or(0)
    }

    /// Whether work of this identity has been committed.
    pub async fn has_transaction(&self, app_id: &str) -> Result<bool, StoreError> {
        Ok(self.transaction_version(app_id).await?.is_some())
    }

    /// How far the stream of this identity was committed.
    pub(crate) async fn transaction_version(&self, app_id: &str) -> Result<Option<i64>, StoreError> {
        let snapshot = self.delta.snapshot().map_err(StoreError::delta(&self.name))?;
        snapshot
            .transaction_version(self.delta.log_store().as_ref(), app_id)
            .await
            .map_err(StoreError::delta(&self.name))
    }

    /// Commits data files as one step at `now`, once per `app_id`: a repetition changes nothing.
    ///
    /// delta-rs records `txn` and does not enforce it, so it is checked here, under the owner's lock; and its object
    /// store syncs nothing, so the log entry is written and synced here, under a name nobody else can take.
    pub async fn commit(
        &mut self,
        adds: Vec<Add>,
        app_id: &str,
        metadata: HashMap<String, serde_json::Value>,
        now: DateTime<Utc>,
    ) -> Result<CommitOutcome, StoreError> {
        self.commit_up_to(adds, app_id, 1, metadata, now).await
    }

    /// Commits what a stream has delivered up to `version`, once: a repetition changes nothing.
    pub(crate) async fn commit_up_to(
        &mut self,
        adds: Vec<Add>,
        app_id: &str,
        version: i64,
        metadata: HashMap<String, serde_json::Value>,
        now: DateTime<Utc>,
    ) -> Result<CommitOutcome, StoreError> {
        let _turn = Arc::clone(&self.commit_turn).lock_owned().await;
        self.delta.update_state().await.map_err(StoreError::delta(&self.name))?;
        if self
            .transaction_version(app_id)
            .await?
            .is_some_and(|known| known >= version)
        {
            return Ok(CommitOutcome::AlreadyThere);
        }
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![self.layout.partition_column().to_owned()]),
            predicate: None,
        };
        let actions = std::iter::once(stamped(&operation, now))
            .chain(adds.into_iter().map(Action::Add))
            .collect();
        let data = CommitData::new(actions, operation, metadata, vec![Transaction::new(app_id, version)]);
        let version = self.publish(&data).await?;
        Ok(CommitOutcome::Committed(version))
    }

    /// Commits files that hold the very rows of others, in their place.
    pub(crate) async fn replace(
        &mut self,
        adds: Vec<Add>,
        removes: Vec<Remove>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let _turn = Arc::clone(&self.commit_turn).lock_owned().await;
        self.delta.update_state().await.map_err(StoreError::delta(&self.name))?;
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: 0,
        };
        let actions = std::iter::once(stamped(&operation, now))
            .chain(removes.into_iter().map(Action::Remove))
            .chain(adds.into_iter().map(Action::Add))
            .collect();
        self.publish(&CommitData::new(actions, operation, HashMap::new(), vec![]))
            .await
    }

    async fn publish(&mut self, data: &CommitData) -> Result<u64, StoreError> {
        let version = self.version() + 1;
        let bytes = data.get_bytes().map_err(StoreError::delta(&self.name))?;
        let entry = self.dir.join("_delta_log").join(format!("{version:020}.json"));
        FailPoint("before_log_entry").pass();
        if !publish_new(&entry, &bytes)? {
            return Err(StoreError::Conflict {
                table: self.name.clone(),
                version,
            });
        }
        FailPoint("after_log_entry").pass();
        self.delta.update_state().await.map_err(StoreError::delta(&self.name))?;
        // The entry is in: a checkpoint only makes reading faster, and the next one makes up for it.
        if version.is_multiple_of(CHECKPOINT_EVERY)
            && let Err(error) = self.checkpoint().await
        {
            tracing::warn!("{}: no checkpoint could be written: {error}", self.name);
        }
        Ok(version)
    }

    async fn checkpoint(&self) -> Result<(), StoreError> {
        deltalake::checkpoints::create_checkpoint(&self.delta, None)
            .await
            .map_err(StoreError::delta(&self.name))?;
        let log = self.dir.join("_delta_log");
        for entry in std::fs::read_dir(&log).map_err(StoreError::io("list", &log))? {
            let path = entry.map_err(StoreError::io("list", &log))?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if name.contains("checkpoint") {
                std::fs::File::open(&path)
                    .and_then(|file| file.sync_all())
                    .map_err(StoreError::io("sync", &path))?;
            }
        }
        sync_dir(&log)
    }

    /// Adds the columns of `wanted` that the table does not have yet. Columns are only ever added.
    async fn widen(&mut self, wanted: &SchemaRef, now: DateTime<Utc>) -> Result<(), StoreError> {
        let snapshot = self.delta.snapshot().map_err(StoreError::delta(&self.name))?;
        let old = snapshot
            .metadata()
            .parse_schema()
            .map_err(StoreError::delta(&self.name))?;
        let mut added = Vec::new();
        for field in wanted.fields() {
            if old.field(field.name()).is_none() {
                added.push(StructField::try_from_arrow_field(field)?);
            }
        }
        if added.is_empty() {
            return Ok(());
        }
        let schema =
            StructType::try_new(old.fields().cloned().chain(added.clone())).map_err(StoreError::delta(&self.name))?;
        let metadata = snapshot
            .metadata()
            .clone()
            .with_schema(&schema)
            .map_err(StoreError::delta(&self.name))?;
        let operation = DeltaOperation::AddColumn { fields: added };
        let actions = vec![stamped(&operation, now), Action::Metadata(metadata)];
        let data = CommitData::new(actions, operation, HashMap::new(), vec![]);
        self.publish(&data).await?;
        Ok(())
    }
}

/// The commit's own account of itself, at our clock's time: delta-rs would ask the system's.
fn stamped(operation: &DeltaOperation, now: DateTime<Utc>) -> Action {
    Action::CommitInfo(CommitInfo {
        timestamp: Some(now.timestamp_millis()),
        ..operation.get_commit_info()
    })
}

trait FromArrowField: Sized {
    fn try_from_arrow_field(field: &arrow::datatypes::FieldRef) -> Result<Self, StoreError>;
}

impl FromArrowField for StructField {
    fn try_from_arrow_field(field: &arrow::datatypes::FieldRef) -> Result<Self, StoreError> {
        Ok(field.as_ref().try_into_kernel()?)
    }
}

/// The columns stored in the table's files as of a loaded Delta table: the schema without the partition column.
pub(crate) fn file_schema(name: &str, delta: &DeltaTable) -> Result<SchemaRef, StoreError> {
    let snapshot = delta.snapshot().map_err(StoreError::delta(name))?;
    let schema = snapshot.schema();
    let arrow: Schema = schema.as_ref().try_into_arrow()?;
    let partitions = snapshot.metadata().partition_columns();
    let fields: Vec<_> = arrow
        .fields()
        .iter()
        .filter(|field| !partitions.contains(field.name()))
        .cloned()
        .collect();
    Ok(std::sync::Arc::new(Schema::new(fields)))
}

async fn create(name: &str, dir: &Path, schema: &SchemaRef, layout: TableLayout) -> Result<(), StoreError> {
    let kernel: StructType = schema.as_ref().try_into_kernel()?;
    let partition = StructField::nullable(layout.partition_column(), deltalake::kernel::DataType::STRING);
    let path = dir.to_string_lossy().into_owned();
    // Statistics of text columns would keep a person's e-mail in the log after the person was erased.
    let columns: Vec<&str> = ["occurred_at", "arrival_seq"]
        .into_iter()
        .filter(|name| schema.field_with_name(name).is_ok())
        .collect();
    CreateBuilder::new()
        .with_location(path)
        .with_table_name(name)
        .with_columns(kernel.fields().cloned().chain([partition]))
        .with_partition_columns([layout.partition_column()])
        .with_configuration([
            ("delta.dataSkippingStatsColumns", Some(columns.join(",").as_str())),
            ("delta.enableExpiredLogCleanup", Some("false")),
        ])
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_commit_properties(
            deltalake::kernel::transaction::CommitProperties::default()
                .with_max_retries(0)
                .with_create_checkpoint(false),
        )
        .await
        .map_err(StoreError::delta(name))?;
    let log = dir.join("_delta_log");
    let entry = log.join(format!("{:020}.json", 0));
    std::fs::File::open(&entry)
        .and_then(|file| file.sync_all())
        .map_err(StoreError::io("sync", &entry))?;
    sync_dir(&log)?;
    sync_dir(dir)
}
