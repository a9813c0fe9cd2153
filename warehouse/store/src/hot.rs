//! Rows that are durable in the log and not in a table yet. Queries read them as Parquet files that are written when a
//! snapshot asks for them and are gone when it is: one path for both engines and for whatever reads sorted runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use atalaya_model::Kind;
use chrono::{DateTime, NaiveDate, Utc};

use crate::{
    DEAD_LETTERS, DataFile, DeadLetter, Part, RowBatchBuilder, StoreError, TableWriter, dead_letter_batch,
    durable::create_dir, table::TableLayout, table_schema,
};

/// Rows, or bytes, collected into one batch.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 64 << 20;

/// The rows of all tables that are in the log alone.
#[derive(Debug)]
pub(crate) struct HotRows {
    scratch: PathBuf,
    tables: Mutex<BTreeMap<&'static str, HotTable>>,
    active_bytes: AtomicUsize,
    frozen_bytes: AtomicUsize,
    files_made: AtomicU64,
}

#[derive(Debug)]
struct HotTable {
    layout: TableLayout,
    schema: SchemaRef,
    open: Option<OpenPiece>,
    active: Vec<Arc<Piece>>,
    frozen: Vec<Arc<Piece>>,
}

/// The piece that rows are added to.
struct OpenPiece {
    rows: OpenRows,
    batches: Vec<RecordBatch>,
    landed_on: NaiveDate,
    first_at: DateTime<Utc>,
    last_seq: i64,
    unsettled_bytes: usize,
}

enum OpenRows {
    Kind(Box<RowBatchBuilder>),
    Letters(Vec<DeadLetter>),
}

/// Rows of one table and day of landing, in order of arrival.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) landed_on: NaiveDate,
    pub(crate) last_seq: i64,
    first_at: DateTime<Utc>,
    rows: usize,
    files: Mutex<Option<Arc<PieceFiles>>>,
}

/// A piece as files, removed with the last snapshot that reads them.
#[derive(Debug)]
pub(crate) struct PieceFiles {
    dir: PathBuf,
    pub(crate) files: Vec<DataFile>,
}

impl Drop for PieceFiles {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the whole folder when the home is owned next.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One table's hot rows as a snapshot holds them.
#[derive(Debug, Clone)]
pub(crate) struct HotPin {
    pub(crate) schema: SchemaRef,
    pub(crate) pieces: Vec<(i64, Arc<PieceFiles>)>,
}

impl std::fmt::Debug for OpenPiece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenPiece(to {})", self.last_seq)
    }
}

impl OpenPiece {
    fn new(kind: Option<Kind>, landed_at: DateTime<Utc>, landed_on: NaiveDate) -> Self {
        Self {
            rows: kind.map_or(OpenRows::Letters(Vec::new()), |kind| {
                OpenRows::Kind(Box::new(RowBatchBuilder::new(kind)))
            }),
            batches: Vec::new(),
            landed_on,
            first_at: landed_at,
            last_seq: 0,
            unsettled_bytes: 0,
        }
    }

    /// Turns the rows collected so far into a batch.
    fn settle(&mut self) -> Result<(), StoreError> {
        let batch = match &mut self.rows {
            OpenRows::Kind(builder) if !builder.is_empty() => builder.take()?,
            OpenRows::Letters(letters) if !letters.is_empty() => dead_letter_batch(&std::mem::take(letters))?,
            _ => return Ok(()),
        };
        self.batches.push(batch);
        Ok(())
    }

    fn close(mut self) -> Result<Piece, StoreError> {
        self.settle()?;
        Ok(Piece {
            rows: self.batches.iter().map(RecordBatch::num_rows).sum(),
            batches: self.batches,
            landed_on: self.landed_on,
            last_seq: self.last_seq,
            first_at: self.first_at,
            files: Mutex::default(),
        })
    }
}

impl Piece {
    /// Both, in order.
    fn joined(left: &Self, right: &Self) -> Self {
        Self {
            batches: left.batches.iter().chain(&right.batches).cloned().collect(),
            landed_on: left.landed_on,
            last_seq: right.last_seq,
            first_at: left.first_at,
            rows: left.rows + right.rows,
            files: Mutex::default(),
        }
    }
}

impl HotTable {
    fn close_open(&mut self) -> Result<(), StoreError> {
        if let Some(open) = self.open.take() {
            let piece = open.close()?;
            if piece.rows > 0 {
                self.active.push(Arc::new(piece));
            }
        }
        Ok(())
    }

    /// Joins neighbours of like size, so that however often somebody looks, the files stay few and a row is written into
    /// few of them.
    fn join_neighbours(&mut self) {
        while let [.., left, right] = self.active.as_slice() {
            if left.landed_on != right.landed_on || left.rows > 2 * right.rows {
                return;
            }
            let joined = Arc::new(Piece::joined(left, right));
            self.active.truncate(self.active.len() - 2);
            self.active.push(joined);
        }
    }
}

impl HotRows {
    /// None yet. Files go under `scratch`, which is emptied.
    pub(crate) fn new(scratch: PathBuf) -> Result<Self, StoreError> {
        if scratch.exists() {
            std::fs::remove_dir_all(&scratch).map_err(StoreError::io("empty", &scratch))?;
        }
        create_dir(&scratch)?;
        Ok(Self {
            scratch,
            tables: Mutex::default(),
            active_bytes: AtomicUsize::new(0),
            frozen_bytes: AtomicUsize::new(0),
            files_made: AtomicU64::new(0),
        })
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<&'static str, HotTable>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the rows of a request; from now on snapshots have them.
    pub(crate) fn push(
        &self,
        parts: Vec<Part>,
        first_seq: i64,
        landed_at: DateTime<Utc>,
        landed_on: NaiveDate,
    ) -> Result<(), StoreError> {
        let mut seq = first_seq;
        let mut tables = self.tables();
        for part in parts {
            let (name, kind) = match &part {
                Part::Rows { kind, .. } => (kind.name(), Some(*kind)),
                Part::Letters(_) => (DEAD_LETTERS, None),
            };
            let table = tables.entry(name).or_insert_with(|| HotTable {
                layout: kind.map_or(TableLayout::Landed, TableLayout::of),
                schema: kind.map_or_else(crate::dead_letter::schema, table_schema),
                open: None,
                active: Vec::new(),
                frozen: Vec::new(),
            });
            if table.open.as_ref().is_some_and(|open| open.landed_on != landed_on) {
                table.close_open()?;
            }
            let mut open = match table.open.take() {
                Some(open) => open,
                None => OpenPiece::new(kind, landed_at, landed_on),
            };
            let mut bytes = 0;
            match (part, &mut open.rows) {
                (Part::Rows { rows, .. }, OpenRows::Kind(builder)) => {
                    for row in rows {
                        let weight = row.weight();
                        bytes += weight;
                        open.unsettled_bytes += weight;
                        builder.push(row, "", landed_at, seq);
                        open.last_seq = seq;
                        seq += 1;
                        // A column of text holds two gigabytes at most.
                        if builder.len() >= BATCH_ROWS || open.unsettled_bytes >= BATCH_BYTES {
                            open.batches.push(builder.take()?);
                            open.unsettled_bytes = 0;
                        }
                    }
                }
                (Part::Letters(more), OpenRows::Letters(letters)) => {
                    bytes += more
                        .iter()
                        .map(|letter| letter.row.len() + letter.mapping.len() + 200)
                        .sum::<usize>();
                    seq += more.len() as i64;
                    open.last_seq = seq - 1;
                    letters.extend(more);
                }
                _ => {}
            }
            self.active_bytes.fetch_add(bytes, Ordering::Relaxed);
            table.open = Some(open);
        }
        Ok(())
    }

    /// About what the rows take that were not set apart yet.
    pub(crate) fn active_bytes(&self) -> usize {
        self.active_bytes.load(Ordering::Relaxed)
    }

    /// About what all rows take.
    pub(crate) fn bytes(&self) -> usize {
        self.active_bytes() + self.frozen_bytes.load(Ordering::Relaxed)
    }

    /// When the oldest row landed.
    pub(crate) fn oldest_at(&self) -> Option<DateTime<Utc>> {
        let tables = self.tables();
        let pieces = tables.values().flat_map(|table| {
            let closed = table.frozen.iter().chain(&table.active).map(|piece| piece.first_at);
            closed.chain(table.open.iter().map(|open| open.first_at))
        });
        pieces.min()
    }

    /// Sets what is here apart, to be moved into the tables.
    pub(crate) fn freeze(&self) -> Result<(), StoreError> {
        for table in self.tables().values_mut() {
            table.close_open()?;
            let active = std::mem::take(&mut table.active);
            table.frozen.extend(active);
        }
        let bytes = self.active_bytes.swap(0, Ordering::Relaxed);
        self.frozen_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// What was set apart.
    pub(crate) fn frozen(&self) -> Vec<(&'static str, Vec<Arc<Piece>>)> {
        let tables = self.tables();
        let frozen = tables.iter().filter(|(_, table)| !table.frozen.is_empty());
        frozen.map(|(name, table)| (*name, table.frozen.clone())).collect()
    }

    /// Lets go of rows that are in the table now.
    pub(crate) fn landed(&self, name: &str, up_to_seq: i64) {
        let mut tables = self.tables();
        if let Some(table) = tables.get_mut(name) {
            table.frozen.retain(|piece| piece.last_seq > up_to_seq);
        }
        if tables.values().all(|table| table.frozen.is_empty()) {
            self.frozen_bytes.store(0, Ordering::Relaxed);
        }
    }

    /// The greatest arrival number of a table's rows here.
    pub(crate) fn last_seq(&self, name: &str) -> Option<i64> {
        let tables = self.tables();
        let table = tables.get(name)?;
        let closed = table.active.last().or(table.frozen.last()).map(|piece| piece.last_seq);
        table.open.as_ref().map(|open| open.last_seq).or(closed)
    }

    /// All rows as files.
    pub(crate) fn pin(&self) -> Result<BTreeMap<String, HotPin>, StoreError> {
        let mut found = Vec::new();
        for (name, table) in self.tables().iter_mut() {
            table.close_open()?;
            table.join_neighbours();
            let pieces: Vec<Arc<Piece>> = table.frozen.iter().chain(&table.active).cloned().collect();
            if !pieces.is_empty() {
                found.push((*name, table.layout, Arc::clone(&table.schema), pieces));
            }
        }
        // Writing takes time, and those who append must not wait for it: the lock is given back before.
        let mut pins = BTreeMap::new();
        for (name, layout, schema, pieces) in found {
            let pieces = pieces
                .iter()
                .map(|piece| Ok((piece.last_seq, self.files(name, layout, &schema, piece)?)))
                .collect::<Result<_, StoreError>>()?;
            pins.insert(name.to_owned(), HotPin { schema, pieces });
        }
        Ok(pins)
    }

    fn files(
        &self,
        name: &str,
        layout: TableLayout,
        schema: &SchemaRef,
        piece: &Piece,
    ) -> Result<Arc<PieceFiles>, StoreError> {
        let mut known = piece.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = known.as_ref() {
            return Ok(Arc::clone(files));
        }
        let number = self.files_made.fetch_add(1, Ordering::Relaxed);
        let dir = self
            .scratch
            .join(format!("{name}-{number}-{}", uuid::Uuid::new_v4().simple()));
        let mut files = PieceFiles {
            dir: dir.clone(),
            files: Vec::new(),
        };
        files.files = write(name, layout, schema, piece, &dir)?;
        let files = Arc::new(files);
        *known = Some(Arc::clone(&files));
        Ok(files)
    }
}

fn write(
    name: &str,
    layout: TableLayout,
    schema: &SchemaRef,
    piece: &Piece,
    dir: &Path,
) -> Result<Vec<DataFile>, StoreError> {
    let mut writer = TableWriter::scratch(name, dir, layout, Arc::clone(schema), piece.first_at, piece.landed_on);
    for batch in &piece.batches {
        writer.push(batch.clone())?;
    }
    Ok(writer.finish()?.iter().map(|add| DataFile::of(dir, add)).collect())
}
