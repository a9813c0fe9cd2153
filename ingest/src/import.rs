use std::{collections::HashMap, path::PathBuf};

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
    rows::{RawRow, RowReader},
};

/// Rows converted at a time.
const BATCH_ROWS: usize = 8192;
/// Arrival numbers reserved at a time.
const RESERVE: u64 = 1 << 16;

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
    let content_sha256 = tokio::task::block_in_place(|| {
        file::content_hash(path, |read| {
            checked += read;
            on_progress(Progress {
                stage: "checking",
                done_bytes: checked,
                total_bytes,
                rows: 0,
            });
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
    let mut run = Run::new(home, owner, &table, &dead_table, request, &content_sha256, now, zone);
    tokio::task::block_in_place(|| run.read(format, total_bytes, on_progress))?;
    let (rows, dead, first_faults) = (run.rows, run.dead, std::mem::take(&mut run.first_faults));
    let (adds, dead_adds) = run.finish()?;

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

/// The state of one import while rows are read.
struct Run<'a> {
    home: &'a Home,
    owner: &'a OwnerLock,
    request: &'a ImportRequest,
    content_sha256: &'a str,
    now: DateTime<Utc>,
    zone: Tz,
    writer: TableWriter,
    dead_writer: TableWriter,
    builder: RowBatchBuilder,
    letters: Vec<DeadLetter>,
    letter_bytes: usize,
    rows: u64,
    dead: u64,
    first_faults: Vec<String>,
    next_seq: i64,
    reserved_until: i64,
}

impl<'a> Run<'a> {
    #[allow(clippy::too_many_arguments, reason = "the parts of one import, gathered once")]
    fn new(
        home: &'a Home,
        owner: &'a OwnerLock,
        table: &Table,
        dead_table: &Table,
        request: &'a ImportRequest,
        content_sha256: &'a str,
        now: DateTime<Utc>,
        zone: Tz,
    ) -> Self {
        let landed_on = calendar::day_of(zone, now);
        let dead_schema = dead_letter_batch(&[])
            .map(|batch| batch.schema())
            .unwrap_or_else(|_| table_schema(request.kind));
        Self {
            home,
            owner,
            request,
            content_sha256,
            now,
            zone,
            writer: TableWriter::new(table, table_schema(request.kind), now, landed_on),
            dead_writer: TableWriter::new(dead_table, dead_schema, now, landed_on),
            builder: RowBatchBuilder::new(request.kind),
            letters: Vec::new(),
            letter_bytes: 0,
            rows: 0,
            dead: 0,
            first_faults: Vec::new(),
            next_seq: 0,
            reserved_until: 0,
        }
    }

    fn read(
        &mut self,
        format: Format,
        total_bytes: u64,
        on_progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), IngestError> {
        let done = std::sync::atomic::AtomicU64::new(0);
        let count = |read| {
            done.fetch_add(read, std::sync::atomic::Ordering::Relaxed);
        };
        let path = &self.request.file;
        let mut reader = RowReader::open(path, format, self.request.mapping.names.as_deref(), count)?;
        let columns = reader.columns().to_vec();
        let plan = Plan::new(
            path,
            self.request.kind,
            &self.request.mapping,
            &columns,
            self.zone,
            self.now,
        )?;
        let mut number: u64 = 0;
        while let Some(row) = reader.next_row()? {
            number += 1;
            let seq = self.arrival_seq()?;
            let key = format!("{}:{number}", self.content_sha256);
            match row {
                RawRow::Broken { line, text, reason } => {
                    let row = serde_json::Value::String(text).to_string();
                    self.bury(
                        key,
                        line,
                        row,
                        RowFault {
                            column: String::new(),
                            reason,
                        },
                        seq,
                    )?;
                }
                RawRow::Cells { line, cells } => match plan.land(&cells) {
                    Ok(row) => {
                        self.builder.push(row, &key, self.now, seq);
                        self.rows += 1;
                        if self.builder.len() >= BATCH_ROWS {
                            self.writer.push(self.builder.take()?)?;
                            let done_bytes = done.load(std::sync::atomic::Ordering::Relaxed);
                            on_progress(Progress {
                                stage: "landing",
                                done_bytes,
                                total_bytes,
                                rows: self.rows,
                            });
                        }
                    }
                    Err(fault) => self.bury(key, line, row_text(&columns, cells), fault, seq)?,
                },
            }
        }
        Ok(())
    }

    fn arrival_seq(&mut self) -> Result<i64, IngestError> {
        if self.next_seq == self.reserved_until {
            self.next_seq = self.home.arrival_seq(self.owner).reserve(RESERVE)?;
            self.reserved_until = self.next_seq.saturating_add_unsigned(RESERVE);
        }
        self.next_seq += 1;
        Ok(self.next_seq - 1)
    }

    fn bury(
        &mut self,
        id: String,
        line: u64,
        row: String,
        fault: RowFault,
        arrival_seq: i64,
    ) -> Result<(), IngestError> {
        self.dead += 1;
        if self.first_faults.len() < 5 {
            let column = if fault.column.is_empty() {
                String::new()
            } else {
                format!(", {}", fault.column)
            };
            self.first_faults.push(format!("line {line}{column}: {}", fault.reason));
        }
        self.letter_bytes += row.len() + self.request.mapping.text.len();
        self.letters.push(DeadLetter {
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
        });
        if self.letters.len() >= 1024 || self.letter_bytes >= 32 << 20 {
            self.letter_bytes = 0;
            self.dead_writer.push(dead_letter_batch(&self.letters)?)?;
            self.letters.clear();
        }
        Ok(())
    }

    /// The files of the kind's table and of the dead letters.
    fn finish(mut self) -> Result<(Vec<PendingFile>, Vec<PendingFile>), IngestError> {
        self.writer.push(self.builder.take()?)?;
        if !self.letters.is_empty() {
            self.dead_writer.push(dead_letter_batch(&self.letters)?)?;
        }
        Ok((self.writer.finish()?, self.dead_writer.finish()?))
    }
}

pub(crate) fn row_text(columns: &[String], cells: Vec<Option<String>>) -> String {
    let object: serde_json::Map<String, serde_json::Value> = columns
        .iter()
        .cloned()
        .zip(cells)
        .map(|(name, cell)| (name, cell.into()))
        .collect();
    serde_json::Value::Object(object).to_string()
}
