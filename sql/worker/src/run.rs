use std::{io::Write, sync::mpsc, time::Duration};

use anyhow::bail;
use arrow58::{ipc::writer::StreamWriter, record_batch::RecordBatch};
use duckdb::{Config, Connection};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{check, request::Request};

const MACROS: &str = include_str!("macros.sql");

/// Answers every question with one frame: `B` and an Arrow IPC stream, or `E` and a message; its length comes first.
pub(crate) fn answer(request: &Request, out: &mut impl Write) -> anyhow::Result<()> {
    if request.untrusted {
        limit_memory(request.memory_limit_mb)?;
    }
    let connection = open(request)?;
    for sql in &request.queries {
        let (tag, body) = match one(&connection, request, sql) {
            Ok(stream) => (b'B', stream),
            Err(error) => (b'E', format!("{error:#}").into_bytes()),
        };
        out.write_all(&[tag])?;
        out.write_all(&(body.len() as u64).to_le_bytes())?;
        out.write_all(&body)?;
    }
    Ok(())
}

/// DuckDB's own limit misses some allocations; the address space of the process does not.
fn limit_memory(memory_limit_mb: u64) -> anyhow::Result<()> {
    let bytes = (memory_limit_mb + 2048) << 20;
    let maximum = getrlimit(Resource::As).maximum;
    setrlimit(
        Resource::As,
        Rlimit {
            current: Some(bytes),
            maximum,
        },
    )?;
    Ok(())
}

fn open(request: &Request) -> anyhow::Result<Connection> {
    let config = Config::default()
        .enable_autoload_extension(false)?
        .with("allow_community_extensions", "false")?
        .with("temp_directory", "")?
        .max_memory(&format!("{}MB", request.memory_limit_mb))?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    let files: Vec<String> = request
        .files
        .iter()
        .map(|file| format!("'{}'", file.replace('\'', "''")))
        .collect();
    connection.execute_batch(&format!(
        "SET TimeZone = 'UTC'; SET allowed_paths = [{}];",
        files.join(", ")
    ))?;
    connection.execute_batch(MACROS)?;
    // Only then may the setup read: it sees the snapshot's files and nothing else.
    connection.execute_batch("SET enable_external_access = false;")?;
    connection.execute_batch(&request.setup)?;
    connection.execute_batch("SET lock_configuration = true;")?;
    Ok(connection)
}

fn one(connection: &Connection, request: &Request, sql: &str) -> anyhow::Result<Vec<u8>> {
    if request.untrusted {
        check::check(connection, sql)?;
    }
    let interrupt = connection.interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    let limit = Duration::from_secs(request.timeout_secs);
    let watch = std::thread::spawn(move || {
        if matches!(waiting.recv_timeout(limit), Err(mpsc::RecvTimeoutError::Timeout)) {
            interrupt.interrupt();
        }
    });
    let result = stream(connection, request, sql);
    drop(done);
    let _ = watch.join();
    result
}

fn stream(connection: &Connection, request: &Request, sql: &str) -> anyhow::Result<Vec<u8>> {
    let mut statement = connection.prepare(sql)?;
    let schema = statement.stream_arrow([])?.get_schema();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    while let Some(rows) = statement.step()? {
        writer.write(&RecordBatch::from(&rows))?;
        if writer.get_ref().len() > request.max_answer_bytes {
            bail!(
                "the answer is larger than {} MiB; ask for less",
                request.max_answer_bytes >> 20
            );
        }
    }
    writer.finish()?;
    Ok(writer.into_inner()?)
}
