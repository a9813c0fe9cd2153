//! How long a look at the rules takes when one of them watches very many things.
//!
//! `cargo bench --bench tick -- [THINGS]`
#![allow(clippy::unwrap_used, reason = "a benchmark stops where something is wrong")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![allow(clippy::print_stdout, reason = "what a benchmark says")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use atalaya_alerts::{Control, RuleSet, Runner};
use atalaya_model::{
    BoxFuture, HomeSettings, Language, ManualClock, MetricReadError, MetricReader, MetricSpec, Proof, ProofState,
    Reading, ReadingUnit, Readings, Series, SeriesQuery,
};
use chrono::{DateTime, TimeDelta, Utc};

/// A warehouse in which so many hosts are idle or busy.
struct Hosts {
    many: usize,
    are_busy: AtomicBool,
    now: DateTime<Utc>,
}

impl MetricReader for Hosts {
    fn specs(&self) -> Vec<MetricSpec> {
        Vec::new()
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> BoxFuture<'a, Result<Series, MetricReadError>> {
        Box::pin(async { Err(MetricReadError::BadQuery(query.metric.clone())) })
    }

    fn readings<'a>(
        &'a self,
        signal: &'a str,
        _: Option<DateTime<Utc>>,
    ) -> BoxFuture<'a, Result<Readings, MetricReadError>> {
        let numerator = if self.are_busy.load(Ordering::Relaxed) { 90 } else { 10 };
        let many = if signal == "cpu_utilization" { self.many } else { 0 };
        let reading = |number: usize| Reading {
            entity: format!("host-{number:06}"),
            label: None,
            since_at: None,
            numerator,
            denominator: 100,
            evidence: Vec::new(),
        };
        let readings = Readings {
            signal: signal.to_owned(),
            unit: if signal == "cpu_utilization" {
                ReadingUnit::Percent
            } else {
                ReadingUnit::Count
            },
            readings: (0..many).map(reading).collect(),
            proof: Proof {
                state: ProofState::Pending,
                definition_hash: String::new(),
                policy: String::new(),
                snapshot: String::new(),
                failures: Vec::new(),
            },
            fresh_at: Some(self.now),
            evaluated_at: self.now,
        };
        Box::pin(async { Ok(readings) })
    }
}

fn settings() -> HomeSettings {
    toml::from_str(
        "version = 1\ncompany = 'Faro'\ntime_zone = 'Europe/Madrid'\nweek_start = 'monday'\nfiscal_year_start_month = 1\nreporting_currency = 'USD'\n",
    )
    .unwrap()
}

fn main() {
    let many = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next()
        .unwrap_or(10_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let now: DateTime<Utc> = "2026-03-16T10:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let hosts = Arc::new(Hosts {
            many,
            are_busy: AtomicBool::new(false),
            now,
        });
        let control = Control::open(&dir.path().join("control.db")).await.unwrap();
        let runner = Runner::new(
            hosts.clone(),
            control,
            clock.clone(),
            settings(),
            Language::En,
            RuleSet::of_home(dir.path()).unwrap(),
        );
        for (what, busy) in [
            ("all seen for the first time", false),
            ("nothing changes", false),
            ("all become pending", true),
            ("all fire, each with its incident", true),
            ("all go on firing", true),
            ("all recover", false),
        ] {
            hosts.are_busy.store(busy, Ordering::Relaxed);
            let began = Instant::now();
            runner.tick().await.unwrap();
            println!("{many} things, {what}: {:.3} s", began.elapsed().as_secs_f64());
            clock.advance(TimeDelta::minutes(6));
        }
    });
}
