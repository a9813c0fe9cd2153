//! Movements of MRR by month over all customers: the operator, DataFusion's SQL and DuckDB on the same files with the same
//! threads, in one run. `cargo bench --bench revenue -- --customers 1000000`.
#![allow(clippy::print_stdout, reason = "it talks to the person who started it")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

mod company;
mod following;

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::{EvaluationPlan, Evaluator, Rows};
use atalaya_model::{Clock as _, Grain, Kind, KnownBy, ManualClock, MetricReader as _, SeriesQuery};
use atalaya_sql::{Request, Worker, worker_setup};
use atalaya_store::{Compaction, Home, Snapshot};

const NOW: &str = "2026-11-20T09:00:00Z";
const METRIC: &str = "mrr_movements";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let customers: u64 = match arguments.iter().position(|word| word == "--customers") {
        Some(place) => arguments
            .get(place + 1)
            .context("--customers needs a number")?
            .parse()?,
        None => 1_000_000,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(customers, arguments.iter().any(|word| word == "--with-sql")))
}

/// The home of the benchmark, made once: an import of real files takes minutes.
async fn home(customers: u64, clock: &ManualClock) -> anyhow::Result<Home> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("target/bench/revenue-{customers}"));
    if dir.join("home").is_dir() {
        return Ok(Home::open(&dir.join("home"))?);
    }
    let making = dir.join("making");
    if making.exists() {
        std::fs::remove_dir_all(&making)?;
    }
    std::fs::create_dir_all(&making)?;
    let started = Instant::now();
    let rows = company::write(&making, customers)?;
    println!(
        "wrote {rows} states of {customers} customers in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let home = Home::open_or_create(&making.join("home"), Some("reporting_currency = 'EUR'"))?;
    let owner = home.own()?;
    for kind in [Kind::Subscriptions, Kind::FxRates] {
        let started = Instant::now();
        let file = making.join(format!("{kind}.csv"));
        let request = ImportRequest {
            file: file.clone(),
            kind,
            mapping: Mapping::default(),
            delimiter: None,
        };
        let report = import_file(&home, &owner, clock, &request, &|_| {}).await?;
        if report.dead > 0 {
            bail!("{:?}", report.first_faults);
        }
        println!(
            "imported {} rows of {kind} in {:.1} s",
            report.rows,
            started.elapsed().as_secs_f64()
        );
        std::fs::remove_file(file)?;
        // As the command does after an import.
        let started = Instant::now();
        let done = home.compact(kind, &owner, Compaction::Due, clock.now()).await?;
        println!(
            "merged {} files into {} in {:.1} s",
            done.merged,
            done.written,
            started.elapsed().as_secs_f64()
        );
    }
    drop(owner);
    std::fs::rename(making.join("home"), dir.join("home"))?;
    Ok(Home::open(&dir.join("home"))?)
}

/// The most memory this process has used since it was last asked, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    kib.unwrap_or(0) / 1024
}

struct Bench {
    home: Home,
    clock: Arc<ManualClock>,
    snapshot: Snapshot,
    query: SeriesQuery,
}

impl Bench {
    fn evaluator(&self) -> anyhow::Result<Evaluator> {
        Ok(Evaluator::new(self.home.clone(), Arc::clone(&self.clock) as _)?)
    }

    /// The definition's rows by an evaluator, after it has set up what it needs.
    async fn rows(&self, evaluator: &Evaluator, plan: &EvaluationPlan) -> anyhow::Result<Rows> {
        let session = evaluator.session(plan, &self.snapshot).await?;
        let (_, batches) = session.query(&plan.select).await?;
        Ok(Rows::read(evaluator.spec(METRIC)?, plan.dimensions.len(), &batches)?)
    }

    /// The definition's rows by DuckDB; `materialise` says whether its steps are tables, as verification has them, or views.
    async fn duckdb(
        &self,
        evaluator: &Evaluator,
        plan: &EvaluationPlan,
        threads: usize,
        materialise: bool,
    ) -> anyhow::Result<Rows> {
        let mut plan = plan.clone();
        for view in &mut plan.views {
            view.materialise &= materialise;
        }
        let (files, setup) = worker_setup(&plan, &self.snapshot);
        let request = Request {
            files,
            setup: format!("SET threads = {threads};\n{setup}"),
            queries: vec![plan.select.clone()],
            untrusted: false,
            timeout_secs: 3600,
            max_answer_bytes: 1 << 30,
            memory_limit_mb: 18_000,
        };
        let answer = Worker::find()?.ask(&request).await?.pop().context("no answer")??;
        Ok(Rows::read(
            evaluator.spec(METRIC)?,
            plan.dimensions.len(),
            &answer.batches,
        )?)
    }
}

/// A board's question, asked again while nothing was committed: the median and the worst of a hundred.
async fn warm_board(bench: &Bench) -> anyhow::Result<()> {
    let evaluator = bench.evaluator()?;
    let started = Instant::now();
    evaluator.series(&bench.query).await?;
    report(
        "board, first question with all its proofs",
        started.elapsed().as_secs_f64(),
        None,
    );
    let mut taken = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        evaluator.series(&bench.query).await?;
        taken.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    taken.sort_by(f64::total_cmp);
    println!(
        "board, asked again                            {:>8.3} ms median, {:.3} ms worst of 100",
        taken[50], taken[99]
    );
    Ok(())
}

fn report(what: &str, seconds: f64, peer: Option<f64>) {
    match peer {
        Some(peer) => println!("{what:<44} {seconds:>8.3} s   {:>6.1} x DuckDB", peer / seconds),
        None => println!("{what:<44} {seconds:>8.3} s"),
    }
}

async fn run(customers: u64, with_sql: bool) -> anyhow::Result<()> {
    let clock = Arc::new(ManualClock::new(NOW.parse()?));
    let home = home(customers, &clock).await?;
    let snapshot = Snapshot::latest(&home).await?;
    let files = snapshot
        .tables
        .get(Kind::Subscriptions.name())
        .context("no subscriptions")?;
    let (rows, bytes): (u64, u64) = files.files.iter().fold((0, 0), |(rows, bytes), file| {
        (rows + file.rows, bytes + file.size_bytes)
    });
    let threads = std::thread::available_parallelism()?.get();
    println!(
        "{customers} customers, {rows} item states, {} files, {} MiB, {threads} threads",
        files.files.len(),
        bytes >> 20
    );
    let bench = Bench {
        query: SeriesQuery {
            metric: METRIC.to_owned(),
            from: "2024-11-01".parse()?,
            to: "2026-11-01".parse()?,
            grain: Grain::Month,
            by: vec![],
            as_of: None,
            known_by: KnownBy::Atalaya,
        },
        home,
        clock,
        snapshot,
    };
    let evaluator = bench.evaluator()?;
    let mut plan = evaluator.plan(&bench.query)?;
    // The definition alone: what proves it is measured apart.
    plan.ids.truncate(1);

    peak_mib();
    let started = Instant::now();
    let first = bench.rows(&evaluator, &plan).await?;
    let cold = started.elapsed().as_secs_f64();
    // The same question at another instant: the sums are computed anew, and who shares items is known.
    bench.clock.advance(chrono::TimeDelta::minutes(1));
    let later = evaluator.plan(&bench.query)?;
    let later = EvaluationPlan {
        ids: plan.ids.clone(),
        ..later
    };
    let started = Instant::now();
    let again = bench.rows(&evaluator, &later).await?;
    let warm = started.elapsed().as_secs_f64();
    let peak = peak_mib();

    let mut peers = Vec::new();
    // As views its steps run over and over: eight times slower with 20,000 customers, and hours with a million.
    let ways: &[bool] = match customers {
        ..100_000 => &[true, false],
        _ => &[true],
    };
    let ways = if std::env::args().any(|word| word == "--without-peers") {
        &[]
    } else {
        ways
    };
    for &materialise in ways {
        let started = Instant::now();
        match bench.duckdb(&evaluator, &plan, threads, materialise).await {
            Ok(rows) => {
                let seconds = started.elapsed().as_secs_f64();
                report(
                    if materialise {
                        "DuckDB, steps as tables"
                    } else {
                        "DuckDB, steps as views"
                    },
                    seconds,
                    None,
                );
                if rows.rows != first.rows || rows.rows != again.rows {
                    bail!("DuckDB and the operator differ");
                }
                peers.push(seconds);
            }
            Err(error) => println!(
                "DuckDB, steps as {}: {error}",
                if materialise { "tables" } else { "views" }
            ),
        }
    }
    let peer = peers.into_iter().reduce(f64::min);
    report("operator, first question on a snapshot", cold, peer);
    report("operator, next question on it", warm, peer);
    println!("operator, peak memory of the process          {peak:>5} MiB");
    warm_board(&bench).await?;
    following::run(&bench.home, customers, &bench.clock, &bench.query).await?;
    if with_sql {
        let by_sql = bench.evaluator()?.by_sql_only();
        let started = Instant::now();
        match bench.rows(&by_sql, &plan).await {
            Ok(rows) => {
                report("DataFusion, SQL", started.elapsed().as_secs_f64(), peer);
                if rows.rows != first.rows {
                    bail!("DataFusion's SQL and the operator differ");
                }
            }
            Err(error) => println!("DataFusion, SQL: {error}"),
        }
        println!("DataFusion, peak memory of the process        {:>5} MiB", peak_mib());
    }
    Ok(())
}
