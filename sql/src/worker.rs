use std::{path::PathBuf, process::Stdio};

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::reader::StreamReader};
use serde::Serialize;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::SqlError;

/// What the worker is asked. Its twin stands in the worker, which shares no code with us on purpose.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// The only files that may be read.
    pub files: Vec<String>,
    /// Trusted statements that make views and tables.
    pub setup: String,
    /// Questions, answered in order.
    pub queries: Vec<String>,
    /// Whether the questions come from outside.
    pub untrusted: bool,
    /// Seconds after which a question is broken off.
    pub timeout_secs: u64,
    /// Bytes that an answer may have.
    pub max_answer_bytes: usize,
    /// DuckDB's memory limit.
    pub memory_limit_mb: u64,
}

/// The answer to one question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// Starts workers.
#[derive(Debug, Clone)]
pub struct Worker {
    program: PathBuf,
}

const NAME: &str = "atalaya-duckdb-worker";

impl Worker {
    /// The worker named in `ATALAYA_DUCKDB_WORKER`, or the one beside this program.
    pub fn find() -> Result<Self, SqlError> {
        let program = match std::env::var_os("ATALAYA_DUCKDB_WORKER") {
            Some(path) => PathBuf::from(path),
            None => {
                let own = std::env::current_exe().map_err(|source| SqlError::Io {
                    action: "find this program",
                    source,
                })?;
                // Test programs lie one folder below the commands.
                own.ancestors()
                    .skip(1)
                    .take(2)
                    .map(|dir| dir.join(NAME))
                    .find(|path| path.is_file())
                    .unwrap_or_else(|| own.with_file_name(NAME))
            }
        };
        if program.is_file() {
            Ok(Self { program })
        } else {
            Err(SqlError::NoWorker(program))
        }
    }

    /// Asks a new worker process; it ends with the answer.
    pub async fn ask(&self, request: &Request) -> Result<Vec<Result<Answer, SqlError>>, SqlError> {
        let text = serde_json::to_vec(request).map_err(|error| SqlError::Query(error.to_string()))?;
        let io = |action| move |source| SqlError::Io { action, source };
        let mut child = Command::new(&self.program)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(io("start the DuckDB worker"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(&text).await.map_err(io("ask the DuckDB worker"))?;
        }
        let output = child.wait_with_output().await.map_err(io("hear the DuckDB worker"))?;
        let answers = decode(&output.stdout, request.queries.len());
        match answers {
            Some(answers) if output.status.success() => Ok(answers),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(SqlError::WorkerDied(if said.is_empty() {
                    output.status.to_string()
                } else {
                    said
                }))
            }
        }
    }
}

fn decode(mut bytes: &[u8], count: usize) -> Option<Vec<Result<Answer, SqlError>>> {
    let mut answers = Vec::with_capacity(count);
    for _ in 0..count {
        let (tag, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_at_checked(8)?;
        let length = usize::try_from(u64::from_le_bytes(length.try_into().ok()?)).ok()?;
        let (body, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        answers.push(if *tag == b'B' {
            read(body)
        } else {
            Err(SqlError::Query(String::from_utf8_lossy(body).into_owned()))
        });
    }
    Some(answers)
}

fn read(body: &[u8]) -> Result<Answer, SqlError> {
    let broken = |error: arrow::error::ArrowError| SqlError::WorkerDied(format!("its answer cannot be read: {error}"));
    let reader = StreamReader::try_new(body, None).map_err(broken)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(broken)?;
    Ok(Answer { schema, batches })
}
