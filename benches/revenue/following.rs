//! Every revenue metric after a commit that concerns a thousand customers.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, bail};
use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::Evaluator;
use atalaya_model::{Grain, Kind, ManualClock, MetricReader as _, SeriesQuery};
use atalaya_store::Home;
use chrono::TimeDelta;

use crate::{company, report};

const ROUNDS: u64 = 5;
const CONCERNED: u64 = 1_000;

/// The metrics of a month that stand on subscriptions, prices, rates and the books alone.
fn metrics(evaluator: &Evaluator) -> Vec<String> {
    let of_revenue = [
        Kind::Subscriptions,
        Kind::PriceTiers,
        Kind::FxRates,
        Kind::Customers,
        Kind::MonthCloses,
    ];
    let specs = evaluator
        .specs()
        .into_iter()
        .filter(|spec| spec.grains.contains(&Grain::Month));
    let ids = specs.map(|spec| spec.id);
    ids.filter(|id| {
        let kinds = evaluator.kinds_of(id);
        kinds.contains(&Kind::Subscriptions) && kinds.iter().all(|kind| of_revenue.contains(kind))
    })
    .collect()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Asks everything; the seconds it took, and the slowest question.
async fn ask(evaluator: &Evaluator, metrics: &[String], query: &SeriesQuery) -> anyhow::Result<(f64, String)> {
    let started = Instant::now();
    let mut slowest = (0.0, String::new());
    for metric in metrics {
        let one = Instant::now();
        let query = SeriesQuery {
            metric: metric.clone(),
            ..query.clone()
        };
        let series = evaluator.series(&query).await?;
        if !series.proof.failures.is_empty() {
            bail!("{metric}: {:?}", series.proof.failures);
        }
        let seconds = one.elapsed().as_secs_f64();
        if seconds > slowest.0 {
            slowest = (seconds, format!("{metric} {:.1} ms", seconds * 1e3));
        }
    }
    Ok((started.elapsed().as_secs_f64(), slowest.1))
}

/// Asks everything at once, as a board does; the seconds it took.
async fn ask_at_once(evaluator: &Arc<Evaluator>, metrics: &[String], query: &SeriesQuery) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut asked = tokio::task::JoinSet::new();
    for metric in metrics {
        let evaluator = Arc::clone(evaluator);
        let query = SeriesQuery {
            metric: metric.clone(),
            ..query.clone()
        };
        asked.spawn(async move {
            evaluator
                .series(&query)
                .await
                .map(|series| series.proof.failures.is_empty())
        });
    }
    while let Some(answered) = asked.join_next().await {
        if !answered?? {
            bail!("an identity is broken");
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Lets thousands of customers change, a commit at a time, in a copy of the home.
pub(crate) async fn run(
    home: &Home,
    customers: u64,
    clock: &Arc<ManualClock>,
    query: &SeriesQuery,
) -> anyhow::Result<()> {
    let dir = home.dir().with_file_name("following");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    copy(home.dir(), &dir.join("home"))?;
    let home = Home::open(&dir.join("home"))?;
    let evaluator = Evaluator::new(home.clone(), Arc::clone(clock) as _)?.following(home.component_dir("figures")?);
    let evaluator = Arc::new(evaluator);
    let metrics = metrics(&evaluator);
    println!("\nfollowing commits: {} metrics: {}", metrics.len(), metrics.join(", "));
    let (seconds, slowest) = ask(&evaluator, &metrics, query).await?;
    report(&format!("all of them at first ({slowest})"), seconds, None);

    let numbers = &mut company::Numbers::new(7);
    let owner = home.own()?;
    for round in 0..2 * ROUNDS {
        clock.advance(TimeDelta::minutes(1));
        let mut concerned = BTreeSet::new();
        while (concerned.len() as u64) < CONCERNED.min(customers) {
            concerned.insert(numbers.below(customers));
        }
        let mut text = format!("{}\n", company::HEADER);
        for number in &concerned {
            text += &company::change(*number, round, numbers);
        }
        let file = dir.join(format!("{round}.csv"));
        std::fs::write(&file, text)?;
        let request = ImportRequest {
            file,
            kind: Kind::Subscriptions,
            mapping: Mapping::default(),
            delimiter: None,
        };
        import_file(&home, &owner, clock.as_ref(), &request, &|_| {}).await?;
        if round >= ROUNDS {
            let all = ask_at_once(&evaluator, &metrics, query).await?;
            println!("commit {round}: all at once                  {:>8.1} ms", all * 1e3);
            continue;
        }
        let (one, _) = ask(&evaluator, &metrics[..1], query).await?;
        let (rest, slowest) = ask(&evaluator, &metrics[1..], query).await?;
        let what = format!("commit {round}: {} first, then all", metrics[0]);
        println!(
            "{what:<44} {:>8.1} ms   {:>8.1} ms   (slowest {slowest})",
            one * 1e3,
            (one + rest) * 1e3
        );
    }
    let (passes, updates) = evaluator.passes_and_updates();
    println!("computed from all customers {passes} times, from those concerned {updates} times");
    let started = Instant::now();
    let drift = evaluator.check_drift().await?.context("nothing follows")?;
    report(
        "all sums computed anew and compared",
        started.elapsed().as_secs_f64(),
        None,
    );
    if drift.differences > 0 || updates < ROUNDS {
        bail!("{} sums differ after {updates} updates", drift.differences);
    }
    println!(
        "drift: {} of the sums of {} sequences of periods",
        drift.differences, drift.frames
    );
    Ok(())
}
