//! Events over HTTP to committed Parquet, every answer after its sync; beside it, in the same run, DuckDB writing the same
//! events from a file to Parquet, and our own import of that file. `cargo bench --bench ingest -- --events 1000000`; with
//! `--only import` the file alone.
#![allow(clippy::print_stdout, reason = "it talks to the person who started it")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

mod client;
mod events;

use std::{
    io::{BufWriter, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use atalaya_ingest::{ImportRequest, Mapping, Receivers, Sources, import_file, router};
use atalaya_model::{Clock, Kind, SystemClock};
use atalaya_store::{Home, Intake, OwnerLock, Snapshot};

/// Events of a request: what Segment's server libraries send at most is 480 KB.
const BATCH: u64 = 100;
const CONNECTIONS: usize = 16;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let events: u64 = match arguments.iter().position(|word| word == "--events") {
        Some(place) => arguments.get(place + 1).context("--events needs a number")?.parse()?,
        None => 500_000,
    };
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench/ingest");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("events.jsonl");
    let bytes = write_file(&file, events)?;
    println!("{events} events, {:.0} MB", bytes as f64 / 1e6);

    let only_import = arguments.windows(2).any(|words| words == ["--only", "import"]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if !only_import {
        by_http(&runtime, &dir, events, bytes)?;
    }
    let ours = runtime.block_on(import(&dir.join("import"), &dir, events, bytes))?;
    match duckdb(&dir, &file)? {
        Some(theirs) => println!(
            "DuckDB COPY of the file to zstd Parquet: {:.1} s, {:.0} MB/s; our import takes {:.2} times that",
            theirs.as_secs_f64(),
            bytes as f64 / 1e6 / theirs.as_secs_f64(),
            ours.as_secs_f64() / theirs.as_secs_f64()
        ),
        None => println!("DuckDB: not compared, there is no Python to fetch it"),
    }
    Ok(())
}

fn by_http(runtime: &tokio::runtime::Runtime, dir: &Path, events: u64, bytes: u64) -> anyhow::Result<()> {
    let requests = Arc::new(requests(events));
    let full = runtime.block_on(http(&dir.join("full"), &requests, events, bytes, 0))?;
    // Half the rate of before, evenly: what an answer takes when there is room.
    let every_micros = (2.0 * full.as_secs_f64() * 1e6 / requests.len() as f64) as u64;
    println!("at half that rate:");
    runtime.block_on(http(&dir.join("half"), &requests, events, bytes, every_micros))?;
    Ok(())
}

fn write_file(path: &Path, events: u64) -> anyhow::Result<u64> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let mut bytes = 0;
    for number in 0..events {
        let text = events::event(number);
        bytes += text.len() as u64 + 1;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(bytes)
}

fn requests(events: u64) -> Vec<Vec<u8>> {
    (0..events.div_ceil(BATCH))
        .map(|batch| {
            let numbers = batch * BATCH..((batch + 1) * BATCH).min(events);
            let texts: Vec<String> = numbers.map(events::event).collect();
            client::request(&format!(
                r#"{{"batch":[{}],"sentAt":"2026-11-20T09:00:00.000Z"}}"#,
                texts.join(",")
            ))
        })
        .collect()
}

/// The time that this process's threads worked, without the calling one.
fn worked(client: Duration) -> anyhow::Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let all = Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?);
    Ok(all.saturating_sub(client))
}

fn thread_worked() -> anyhow::Result<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

async fn http(
    dir: &Path,
    requests: &Arc<Vec<Vec<u8>>>,
    events: u64,
    bytes: u64,
    every_micros: u64,
) -> anyhow::Result<Duration> {
    let home = Home::open_or_create(dir, None)?;
    let owner: Arc<OwnerLock> = Arc::new(home.own()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let text = "[[source]]\nname = 'bench'\nprotocol = 'segment'\nkey_variable = 'KEY'\n";
    let key = |_: &str| Some("bench-key-123".to_owned());
    let sources = Sources::parse("sources.toml", text, key, |_| Err(String::new()))?;
    let intake = Arc::new(Intake::open(&home, owner, Arc::clone(&clock), sources.limits().clone()).await?);
    let attached = intake.attach(&home);
    let receivers = Arc::new(Receivers::new(&home, Arc::clone(&intake), sources, clock)?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    let serving = tokio::spawn(async move { axum::serve(listener, router(receivers)).await });
    let flushing = {
        let intake = Arc::clone(&intake);
        tokio::spawn(async move {
            let mut ticker = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticker.tick().await;
                if intake.is_due() {
                    intake.flush().await?;
                }
            }
            #[allow(unreachable_code, reason = "gives the loop its type")]
            anyhow::Ok(())
        })
    };
    // Somebody looks twice a second: how long until a question that begins now can begin to read what was acknowledged.
    let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
    let looking = tokio::spawn(async move {
        let mut ticker = tokio::time::interval(Duration::from_millis(500));
        loop {
            ticker.tick().await;
            let started = Instant::now();
            Snapshot::latest(&attached).await?;
            looked.send(u64::try_from(started.elapsed().as_micros())?)?;
        }
        #[allow(unreachable_code, reason = "gives the loop its type")]
        anyhow::Ok(())
    });
    let before = worked(Duration::ZERO)?;
    let began = Instant::now();
    let requests = Arc::clone(requests);
    let sender = std::thread::spawn(move || -> anyhow::Result<(Vec<u64>, Duration)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let waits = runtime.block_on(async {
            let connections = (0..CONNECTIONS).map(|first| {
                let load = client::Load {
                    requests: Arc::clone(&requests),
                    first,
                    step: CONNECTIONS,
                    every_micros,
                };
                tokio::spawn(client::send(address, load, began))
            });
            let mut waits = Vec::new();
            for connection in connections.collect::<Vec<_>>() {
                waits.extend(connection.await??);
            }
            anyhow::Ok(waits)
        })?;
        Ok((waits, thread_worked()?))
    });
    let (mut waits, client) = tokio::task::spawn_blocking(move || sender.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the sender panicked"))??;
    let acknowledged = began.elapsed();
    intake.flush().await?;
    let took = began.elapsed();
    let server = worked(client)?.saturating_sub(before);
    looking.abort();
    flushing.abort();
    serving.abort();
    let landed: u64 = Snapshot::latest(&home)
        .await?
        .tables
        .get(Kind::ProductEvents.name())
        .map_or(0, |table| table.files.iter().map(|file| file.rows).sum());
    ensure!(landed == events, "{landed} of {events} events landed");
    waits.sort_unstable();
    let at = |waits: &[u64], share: f64| waits[((waits.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    let mb = bytes as f64 / 1e6;
    println!(
        "HTTP to committed Parquet: {:.1} s, {:.0} events/s, {:.0} MB/s; acknowledged after {:.1} s",
        took.as_secs_f64(),
        events as f64 / took.as_secs_f64(),
        mb / took.as_secs_f64(),
        acknowledged.as_secs_f64()
    );
    println!(
        "  a core-second of the server: {:.0} events, {:.0} MB (server {:.1} s, sender {:.1} s)",
        events as f64 / server.as_secs_f64(),
        mb / server.as_secs_f64(),
        server.as_secs_f64(),
        client.as_secs_f64()
    );
    println!(
        "  acknowledgement: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        at(&waits, 0.5),
        at(&waits, 0.99),
        at(&waits, 1.0)
    );
    let mut looks: Vec<u64> = std::iter::from_fn(|| looks.try_recv().ok()).collect();
    looks.sort_unstable();
    if !looks.is_empty() {
        println!(
            "  a snapshot with what is in the log alone: p50 {:.0} ms, p99 {:.0} ms ({} looks)",
            at(&looks, 0.5),
            at(&looks, 0.99),
            looks.len()
        );
    }
    Ok(acknowledged)
}

async fn import(home_dir: &Path, dir: &Path, events: u64, bytes: u64) -> anyhow::Result<Duration> {
    // The kind's own columns, so that both read the same number of bytes into the same number of rows.
    let home = Home::open_or_create(home_dir, None)?;
    let owner = home.own()?;
    let mapping = "[columns]\nrecord_key = 'messageId'\nevent_type = 'type'\nevent_name = 'event'\nuser_id = 'userId'\nhappened_at = 'timestamp'\n";
    let request = ImportRequest {
        file: dir.join("events.jsonl"),
        kind: Kind::ProductEvents,
        mapping: Mapping::parse("bench", mapping)?,
        delimiter: None,
    };
    let began = Instant::now();
    let report = import_file(&home, &owner, &SystemClock, &request, &|_| {}).await?;
    let took = began.elapsed();
    ensure!(report.rows == events, "{report:?}");
    println!(
        "import of the file to committed Parquet: {:.1} s, {:.0} MB/s, this process {} at most",
        took.as_secs_f64(),
        bytes as f64 / 1e6 / took.as_secs_f64(),
        peak_memory()?
    );
    Ok(took)
}

fn peak_memory() -> anyhow::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(peak.unwrap_or_default().trim().to_owned())
}

/// DuckDB as its makers publish it for Python, fetched once; the second of two runs, when the file is in memory for both.
fn duckdb(dir: &Path, file: &Path) -> anyhow::Result<Option<Duration>> {
    let venv = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/duckdb-python");
    let python = venv.join("bin/python");
    if !venv.join("fetched").is_file() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        if !made.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        let fetched = Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "duckdb==1.5.6"])
            .status()?;
        if !fetched.success() {
            return Ok(None);
        }
        std::fs::write(venv.join("fetched"), "")?;
    }
    let script = format!(
        "import duckdb, time\nc = duckdb.connect()\nc.execute('SET threads = 2')\n\
         for _ in range(2):\n    t = time.perf_counter()\n    c.execute(\"COPY (SELECT * FROM read_json('{}', format = 'newline_delimited')) TO '{}' (FORMAT parquet, COMPRESSION zstd)\")\n    took = time.perf_counter() - t\nprint(); print(took)",
        file.display(),
        dir.join("duckdb.parquet").display()
    );
    let output = Command::new(python).args(["-c", &script]).output()?;
    ensure!(
        output.status.success(),
        "DuckDB: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let secs: f64 = said.trim().lines().last().unwrap_or_default().trim().parse()?;
    Ok(Some(Duration::from_secs_f64(secs)))
}
