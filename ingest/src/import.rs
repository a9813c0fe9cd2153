use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
};

use arrow::array::RecordBatch;

use atalaya_model::{Clock, Kind, calendar};
use atalaya_store::{
    CommitOutcome, DeadLetter, FailPoint, Home, OwnerLock, PendingFile, RowBatchBuilder, Table, TableWriter,
    dead_letter_batch, table_schema,
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use crate::{
    IngestError, Mapping, file,
    format::Format,
    plan::{Plan, RowFault},
    rows::{Cell, Chunk, Columns, Cutter, RawRow, json_columns},
};

/// Threads that read rows, however many cores there are: one writes what they have read.
const MOST_THREADS: usize = 8;
/// Chunks that may wait while a sorted run is written: others read on meanwhile.
const MOST_WAITING: usize = 48;

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The file.
    pub file: PathBuf,
    /// The kind of record its rows are.
    pub kind: Kind,
    /// How its layout maps to the kind; the default takes canonical column names.
    pub mapping: Mapping,
    /// The byte that divides cells, where the mapping does not say.
    pub delimiter: Option<u8>,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is going on: `checking` or `landing`.
    pub stage: &'static str,
    /// Bytes of the file on disk that were read.
    pub done_bytes: u64,
    /// The file's size on disk.
    pub total_bytes: u64,
    /// Rows landed so far.
    pub rows: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows landed.
    pub rows: u64,
    /// Rows put among the dead letters.
    pub dead: u64,
    /// The first few faults, as `line N, column: reason`.
    pub first_faults: Vec<String>,
    /// The very same content had been imported in the same way before: nothing was changed.
    pub already_imported: bool,
    /// SHA-256 of the decompressed content.
    pub content_sha256: String,
}

/// Imports a file in one commit: either all of it is landed or nothing, however the process ends. The same content
/// imported again in the same way changes nothing.
pub async fn import_file(
    home: &Home,
    owner: &OwnerLock,
    clock: &dyn Clock,
    request: &ImportRequest,
    on_progress: &(dyn Fn(Progress) + Sync),
) -> Result<ImportReport, IngestError> {
    let path = &request.file;
    let mapping = &request.mapping;
    if let Some(kind) = mapping.kind
        && kind != request.kind
    {
        let reason = format!(
            "the mapping is for {kind}, and the file is imported as {}",
            request.kind
        );
        return Err(IngestError::BadMapping {
            place: path.display().to_string(),
            reason,
        });
    }
    let format = mapping
        .format
        .or_else(|| Format::guess(path, request.delimiter))
        .ok_or_else(|| {
            IngestError::file(
                path,
                None,
                "its name tells no format: name it .csv, .tsv, .jsonl or .parquet, or say `format` in a mapping",
            )
        })?;
    let now = clock.now();
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let total_bytes = std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0);

    let mut checked = 0;
    let mut hash = || {
        file::content_hash(path, |read| {
            checked += read;
            on_progress(Progress {
                stage: "checking",
                done_bytes: checked,
                total_bytes,
                rows: 0,
            });
        })
    };
    let (content_sha256, keys) = tokio::task::block_in_place(|| {
        if format != Format::JsonLines {
            return Ok((hash()?, Vec::new()));
        }
        std::thread::scope(|scope| {
            let keys = scope.spawn(|| json_columns(path, file::open(path, |_| {})?));
            let hash = hash()?;
            Ok::<_, IngestError>((hash, joined(keys)?))
        })
    })?;
    let mapping_sha256 = file::hex(&Sha256::digest(mapping.text.as_bytes()));
    let mut app_id = format!("import:{}:{content_sha256}:{mapping_sha256}", request.kind);
    if let Some(delimiter) = request.delimiter {
        // Read by another delimiter it is another import: the first may have buried every row.
        app_id += &format!(":{delimiter}");
    }
    let mut table = home.table(request.kind, owner, now).await?;
    if table.has_transaction(&app_id).await? {
        return Ok(ImportReport {
            rows: 0,
            dead: 0,
            first_faults: vec![],
            already_imported: true,
            content_sha256,
        });
    }

    let mut dead_table = home.dead_letter_table(owner, now).await?;
    let source = Source {
        home,
        owner,
        request,
        content_sha256: &content_sha256,
        now,
        zone,
    };
    let mut landing = Landing::new(&table, &dead_table, &source);
    tokio::task::block_in_place(|| source.land(format, keys, total_bytes, &mut landing, on_progress))?;
    let (rows, dead, first_faults) = (landing.rows, landing.dead, std::mem::take(&mut landing.first_faults));
    let (adds, dead_adds) = landing.finish()?;

    let metadata: HashMap<String, serde_json::Value> = [
        (
            "atalayaFile".to_owned(),
            path.file_name().map(|name| name.to_string_lossy().into_owned()).into(),
        ),
        ("atalayaContentSha256".to_owned(), content_sha256.clone().into()),
        ("atalayaLandedAt".to_owned(), now.to_rfc3339().into()),
        ("atalayaRows".to_owned(), rows.into()),
    ]
    .into();
    // The dead letters go first: if the process dies between the two commits, the import is not known as done, and
    // running it again finds its dead letters in place.
    if !dead_adds.is_empty() {
        dead_table.commit(dead_adds, &app_id, metadata.clone(), now).await?;
        FailPoint("between_commits").pass();
    }
    let outcome = table.commit(adds, &app_id, metadata, now).await?;
    let already_imported = outcome == CommitOutcome::AlreadyThere;
    Ok(ImportReport {
        rows,
        dead,
        first_faults,
        already_imported,
        content_sha256,
    })
}

/// The answer of a thread that cannot fail in another way.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What is imported, and how.
struct Source<'a> {
    home: &'a Home,
    owner: &'a OwnerLock,
    request: &'a ImportRequest,
    content_sha256: &'a str,
    now: DateTime<Utc>,
    zone: Tz,
}

/// A chunk of rows as it is landed.
struct Landed {
    rows: RecordBatch,
    letters: Vec<DeadLetter>,
}

type Cut = (u64, Result<(Chunk, i64), IngestError>);
type Done = (u64, Result<Landed, IngestError>);

impl Source<'_> {
    /// One thread cuts the file, as many as there are cores read and check its rows, and this one writes them in their order.
    fn land(
        &self,
        format: Format,
        keys: Vec<String>,
        total_bytes: u64,
        landing: &mut Landing,
        on_progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), IngestError> {
        let done_bytes = AtomicU64::new(0);
        let count = |read| {
            done_bytes.fetch_add(read, Ordering::Relaxed);
        };
        let path = &self.request.file;
        let names = self.request.mapping.names.as_deref();
        let mut cutter = Cutter::open(path, format, names, keys, count)?;
        let columns = Columns::new(cutter.columns());
        let plan = Plan::new(
            path,
            self.request.kind,
            &self.request.mapping,
            columns.names(),
            self.zone,
            self.now,
        )?;
        let threads = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MOST_THREADS);
        std::thread::scope(|scope| {
            let (cut, chunks) = sync_channel::<Cut>(threads);
            let (done, landed) = sync_channel::<Done>(MOST_WAITING);
            scope.spawn(move || {
                for place in 0.. {
                    let chunk = cutter.next_chunk().transpose();
                    let Some(chunk) = chunk.map(|chunk| chunk.and_then(|chunk| self.numbered(chunk))) else {
                        break;
                    };
                    let is_over = chunk.is_err();
                    // Nobody listens any more when something has failed.
                    if cut.send((place, chunk)).is_err() || is_over {
                        break;
                    }
                }
            });
            let chunks = Arc::new(Mutex::new(chunks));
            for _ in 0..threads {
                let (chunks, done, plan, columns) = (Arc::clone(&chunks), done.clone(), &plan, &columns);
                scope.spawn(move || {
                    loop {
                        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((place, chunk)) = next else { break };
                        let landed = chunk.and_then(|(chunk, first_seq)| self.chunk(plan, columns, &chunk, first_seq));
                        if done.send((place, landed)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop((chunks, done));
            let mut early = BTreeMap::new();
            let mut next = 0;
            for (place, chunk) in landed {
                early.insert(place, chunk);
                while let Some(chunk) = early.remove(&next) {
                    next += 1;
                    landing.take(chunk?)?;
                    on_progress(Progress {
                        stage: "landing",
                        done_bytes: done_bytes.load(Ordering::Relaxed),
                        total_bytes,
                        rows: landing.rows,
                    });
                }
            }
            Ok(())
        })
    }

    /// A chunk with the number under which its first row arrives.
    fn numbered(&self, chunk: Chunk) -> Result<(Chunk, i64), IngestError> {
        let first_seq = self.home.arrival_seq(self.owner).reserve(chunk.rows)?;
        Ok((chunk, first_seq))
    }

    fn chunk(&self, plan: &Plan, columns: &Columns, chunk: &Chunk, first_seq: i64) -> Result<Landed, IngestError> {
        let mut builder = RowBatchBuilder::new(self.request.kind);
        let mut letters = Vec::new();
        let mut numbers = (chunk.first_row..).zip(first_seq..);
        chunk.each(columns, |row| {
            let Some((number, seq)) = numbers.next() else {
                return Ok(());
            };
            let key = || format!("{}:{number}", self.content_sha256);
            match row {
                RawRow::Broken { line, text, reason } => {
                    let row = serde_json::Value::String(text).to_string();
                    let fault = RowFault {
                        column: String::new(),
                        reason,
                    };
                    letters.push(self.letter(key(), line, row, fault, seq));
                }
                RawRow::Cells { line, cells } => match plan.land(cells) {
                    Ok(mut row) => {
                        row.record_key.get_or_insert_with(key);
                        builder.push(row, "", self.now, seq);
                    }
                    Err(fault) => letters.push(self.letter(key(), line, row_text(columns.names(), cells), fault, seq)),
                },
            }
            Ok(())
        })?;
        Ok(Landed {
            rows: builder.take()?,
            letters,
        })
    }

    fn letter(&self, id: String, line: u64, row: String, fault: RowFault, arrival_seq: i64) -> DeadLetter {
        DeadLetter {
            id,
            state: "dead".to_owned(),
            kind: self.request.kind.name().to_owned(),
            file: self.request.file.display().to_string(),
            line: i64::try_from(line).unwrap_or(i64::MAX),
            column: fault.column,
            reason: fault.reason,
            row,
            mapping: self.request.mapping.text.clone(),
            landed_at: self.now,
            arrival_seq,
        }
    }
}

/// The files of one import while they are written.
struct Landing {
    writer: TableWriter,
    dead_writer: TableWriter,
    letters: Vec<DeadLetter>,
    letter_bytes: usize,
    rows: u64,
    dead: u64,
    first_faults: Vec<String>,
}

impl Landing {
    fn new(table: &Table, dead_table: &Table, source: &Source<'_>) -> Self {
        let kind = source.request.kind;
        let landed_on = calendar::day_of(source.zone, source.now);
        let dead_schema = dead_letter_batch(&[])
            .map(|batch| batch.schema())
            .unwrap_or_else(|_| table_schema(kind));
        Self {
            writer: TableWriter::new(table, table_schema(kind), source.now, landed_on).with_all_cores(),
            dead_writer: TableWriter::new(dead_table, dead_schema, source.now, landed_on),
            letters: Vec::new(),
            letter_bytes: 0,
            rows: 0,
            dead: 0,
            first_faults: Vec::new(),
        }
    }

    fn take(&mut self, landed: Landed) -> Result<(), IngestError> {
        self.rows += landed.rows.num_rows() as u64;
        if landed.rows.num_rows() > 0 {
            self.writer.push(landed.rows)?;
        }
        for letter in landed.letters {
            self.dead += 1;
            if self.first_faults.len() < 5 {
                let column = match letter.column.as_str() {
                    "" => String::new(),
                    column => format!(", {column}"),
                };
                self.first_faults
                    .push(format!("line {}{column}: {}", letter.line, letter.reason));
            }
            self.letter_bytes += letter.row.len() + letter.mapping.len();
            self.letters.push(letter);
            if self.letters.len() >= 1024 || self.letter_bytes >= 32 << 20 {
                self.letter_bytes = 0;
                self.dead_writer.push(dead_letter_batch(&self.letters)?)?;
                self.letters.clear();
            }
        }
        Ok(())
    }

    /// The files of the kind's table and of the dead letters.
    fn finish(mut self) -> Result<(Vec<PendingFile>, Vec<PendingFile>), IngestError> {
        if !self.letters.is_empty() {
            self.dead_writer.push(dead_letter_batch(&self.letters)?)?;
        }
        Ok((self.writer.finish()?, self.dead_writer.finish()?))
    }
}

fn row_text(columns: &[String], cells: &[Cell<'_>]) -> String {
    let object: serde_json::Map<String, serde_json::Value> = columns
        .iter()
        .cloned()
        .zip(cells)
        .map(|(name, cell)| (name, cell.as_deref().into()))
        .collect();
    serde_json::Value::Object(object).to_string()
}
