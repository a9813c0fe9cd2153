//! A daily rule replayed over five years: every day as it was known then, in one scan, against each day asked by itself.
//! `cargo bench --bench backtest`.
#![allow(clippy::print_stdout, reason = "it talks to the person who started it")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::{fmt::Write as _, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context as _;
use atalaya_alerts::{RuleSet, backtest};
use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::Evaluator;
use atalaya_model::{Clock as _, Kind, Language, ManualClock};
use atalaya_store::{Compaction, Home, Snapshot};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

const FROM: &str = "2021-10-01";
/// Days replayed: five years.
const DAYS: u64 = 1_825;
/// Orders of a day, and how many of a week's are told of again when they are paid back.
const ORDERS_A_DAY: u64 = 50;
const REPAID_A_WEEK: u64 = 10;
/// Days that are asked by themselves: enough to say what all of them would take.
const ALONE: usize = 40;
const RULE: &str = "revenue_drop";

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run())
}

fn nine(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(9, 0, 0).unwrap_or_default().and_utc()
}

/// Orders that landed a week at a time, some of them corrected a week later.
async fn home(first: NaiveDate, clock: &ManualClock) -> anyhow::Result<Home> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench/backtest");
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let home = Home::open_or_create(&dir.join("home"), Some("reporting_currency = 'USD'"))?;
    let owner = home.own()?;
    let file = dir.join("orders.csv");
    let mut day = 0;
    while day < DAYS {
        let mut text = "record_key,record_version,customer_id,product,amount_minor,currency,ordered_at\n".to_owned();
        if let Some(before) = day.checked_sub(7) {
            for order in 0..REPAID_A_WEEK {
                let on = first + Days::new(before + order % 7);
                let _ = writeln!(text, "o{before}_{order},1,c{order},course,0,USD,{on}T12:00:00Z");
            }
        }
        for of_day in day..(day + 7).min(DAYS) {
            let on = first + Days::new(of_day);
            // Once a year half of it stays away for two weeks.
            let amount = if (of_day % 365) < 14 && of_day > 365 {
                4_000
            } else {
                10_000
            };
            for order in 0..ORDERS_A_DAY {
                let key = if of_day == day {
                    format!("o{day}_{order}")
                } else {
                    format!("o{of_day}_x{order}")
                };
                let amount = amount + (of_day * 31 + order * 7) % 500;
                let _ = writeln!(text, "{key},0,c{order},course,{amount},USD,{on}T12:00:00Z");
            }
        }
        day += 7;
        clock.set(nine(first + Days::new(day)) - TimeDelta::hours(1));
        std::fs::write(&file, &text)?;
        let request = ImportRequest {
            file: file.clone(),
            kind: Kind::Orders,
            mapping: Mapping::default(),
            delimiter: None,
        };
        import_file(&home, &owner, clock, &request, &|_| {}).await?;
    }
    home.compact(Kind::Orders, &owner, Compaction::Full, clock.now())
        .await?;
    Ok(home)
}

async fn run() -> anyhow::Result<()> {
    let first: NaiveDate = FROM.parse()?;
    let clock = Arc::new(ManualClock::new(nine(first)));
    let home = home(first, &clock).await?;
    clock.set(nine(first + Days::new(DAYS + 1)));
    let moments: Vec<DateTime<Utc>> = (1..=DAYS).map(|day| nine(first + Days::new(day))).collect();
    let rules = RuleSet::of_home(&home.dir().join("rules"))?;
    let rule = rules.get(RULE).context("the rule is gone")?;
    let evaluator = || Evaluator::new(home.clone(), Arc::clone(&clock) as _);
    let settings = home.settings();
    let mut found = Vec::new();
    for round in ["first", "second", "third"] {
        let evaluator = evaluator()?;
        let started = Instant::now();
        let replayed = backtest(rule, &evaluator, settings, Language::En, false, moments.iter().copied()).await?;
        println!(
            "{DAYS} days at once, {round} time: {:.2} s, {} incidents, {} scans",
            started.elapsed().as_secs_f64(),
            replayed.len(),
            evaluator.scans_of_many_moments()
        );
        found.push(replayed);
    }
    anyhow::ensure!(found.iter().all(|other| *other == found[0]), "they differ");
    let alone = evaluator()?;
    let started = Instant::now();
    let few: Vec<DateTime<Utc>> = moments.iter().copied().step_by(moments.len() / ALONE).collect();
    for at in &few {
        backtest(rule, &alone, settings, Language::En, false, [*at]).await?;
    }
    let each = started.elapsed().as_secs_f64() / few.len() as f64;
    println!(
        "a day by itself: {:.1} ms, all of them {:.1} s",
        each * 1000.0,
        each * DAYS as f64
    );
    let snapshot = Snapshot::latest(&home).await?;
    let files = snapshot
        .tables
        .get(Kind::Orders.name())
        .map_or(&[][..], |table| &table.files);
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    println!("{rows} rows in {} files", files.len());
    Ok(())
}
