//! Sums that follow commits are those of a computation from all records, whatever lands and however much time passes.

use std::sync::Arc;

use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::{Evaluator, Policy};
use atalaya_model::{Clock as _, Grain, Kind, KnownBy, ManualClock, calendar};
use atalaya_store::{Compaction, Home, Snapshot};
use atalaya_tests::soak;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    operator::{Asked, sum_rows},
    owner::serve,
    pulse::until,
    random_companies::{HEADER, companies},
};

/// Where time starts: much of what the records speak of is still to come, some of it within hours.
const START: &str = "2026-02-10T09:30:00Z";

struct Company {
    _dir: tempfile::TempDir,
    home: Home,
    clock: Arc<ManualClock>,
    policy: String,
    files: usize,
}

impl Company {
    async fn import(&mut self, kind: Kind, text: String) {
        let file = self._dir.path().join(format!("{}.csv", self.files));
        self.files += 1;
        std::fs::write(&file, text).unwrap();
        let request = ImportRequest {
            file,
            kind,
            mapping: Mapping::default(),
            delimiter: None,
        };
        let owner = self.home.own().unwrap();
        let report = import_file(&self.home, &owner, self.clock.as_ref(), &request, &|_| {})
            .await
            .unwrap();
        assert_eq!(report.dead, 0, "{:?}", report.first_faults);
    }

    fn evaluator(&self) -> Evaluator {
        let policy = Policy::of_home(Some(("policy.toml", &self.policy)), self.home.settings()).unwrap();
        Evaluator::new(self.home.clone(), Arc::clone(&self.clock) as _)
            .unwrap()
            .under(policy)
    }

    /// What a board of months and one of days show, by both ways.
    async fn compare(&self, following: &Evaluator, what: &str) {
        let snapshot = Snapshot::latest(&self.home).await.unwrap();
        let now = self.clock.now();
        let zone = calendar::parse_zone(&self.home.settings().time_zone).unwrap();
        let range = |grain, from: DateTime<Utc>| {
            let week = self.home.settings().week_start;
            let mut periods = calendar::periods(zone, week, grain, from.date_naive(), now.date_naive()).unwrap();
            periods.retain(|period| period.starts_at < now);
            periods
        };
        let months = range(Grain::Month, "2026-01-01T00:00:00Z".parse().unwrap());
        let days = range(Grain::Day, now - TimeDelta::days(4));
        for periods in [months, days] {
            let asked = Asked {
                periods: &periods,
                known_by: KnownBy::Atalaya,
                now,
                is_present: true,
            };
            let followed = sum_rows(following, &snapshot, &asked).await;
            assert_eq!(followed, sum_rows(&self.evaluator(), &snapshot, &asked).await, "{what}");
        }
        let drift = following.check_drift().await.unwrap();
        assert!(drift.is_none_or(|drift| drift.differences == 0), "{what}");
    }
}

/// The same state with its item where it belongs: companies have many items that change hands, which nothing follows.
fn at_home(line: &str) -> String {
    let mut fields: Vec<&str> = line.split(',').collect();
    let owner = fields[6].strip_prefix("item").unwrap().rsplit_once('_').unwrap().0;
    let customer = format!("cus{owner}");
    fields[4] = &customer;
    fields.join(",")
}

async fn follow(seed: u64) -> (u64, u64) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let made = companies(seed);
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    let mut company = Company {
        _dir: dir,
        home,
        clock: Arc::new(ManualClock::new(START.parse().unwrap())),
        policy: made.policy,
        files: 0,
    };
    company.import(Kind::PriceTiers, made.tiers.to_owned()).await;
    company.import(Kind::FxRates, made.rates).await;
    // No source knows what it says in May.
    let states = made.states.replace(",2026-05-0", ",2026-01-0");
    let mut lines: Vec<String> = states.lines().skip(1).map(str::to_owned).collect();
    if !seed.is_multiple_of(4) {
        lines = lines.iter().map(|line| at_home(line)).collect();
    }
    lines.shuffle(rng);
    let (first, rest) = lines.split_at(lines.len() / 2);
    company
        .import(Kind::Subscriptions, format!("{HEADER}\n{}\n", first.join("\n")))
        .await;
    let following = company
        .evaluator()
        .following(company.home.component_dir("figures").unwrap());
    company.compare(&following, &format!("seed {seed}: at first")).await;
    for (step, lines) in rest.chunks(rest.len().div_ceil(6)).enumerate() {
        // After midnight the open period has another rate, and all customers are looked at.
        let minutes = [0, 1, 90, 200, rng.random_range(0..30_000)][rng.random_range(0..5)];
        company.clock.advance(TimeDelta::minutes(minutes));
        let what = format!("seed {seed}, step {step}");
        if rng.random_bool(0.5) {
            company.compare(&following, &format!("{what}: time passes")).await;
        }
        company
            .import(Kind::Subscriptions, format!("{HEADER}\n{}\n", lines.join("\n")))
            .await;
        if step == 2 {
            let owner = company.home.own().unwrap();
            let compacted = company
                .home
                .compact(Kind::Subscriptions, &owner, Compaction::Full, company.clock.now());
            compacted.await.unwrap();
        }
        company.compare(&following, &format!("{what}: rows land")).await;
    }
    following.passes_and_updates()
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_follow_commits_and_time_to_the_last_digit() {
    let seeds = if soak() { 200 } else { 3 };
    let (mut passes, mut updates) = (0, 0);
    for seed in 3_000..3_000 + seeds {
        let (more_passes, more_updates) = follow(seed).await;
        (passes, updates) = (passes + more_passes, updates + more_updates);
    }
    assert!(
        updates >= 5 * seeds,
        "{updates} updates and {passes} passes: nothing was followed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_board_follows_what_lands_and_tells_that_nothing_drifts() {
    let mut home = atalaya_tests::Home::new();
    home.now = Some("2026-04-15T12:00:00Z".to_owned());
    let header = "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from";
    let import = |name: &str, customers: std::ops::Range<u32>, price: u32| {
        let rows = customers.map(|customer| {
            format!(
                "c{customer},s{customer},i{customer},active,{price},USD,month,2026-0{}-20T10:00:00Z",
                1 + price % 3
            )
        });
        let text = format!("{header}\n{}\n", rows.collect::<Vec<_>>().join("\n"));
        let said = home.import(&home.file(name, text), "subscriptions");
        assert_eq!(said.code, Some(0), "{}", said.err);
    };
    import("first.csv", 0..40, 9);
    let serving = serve(&home, &[], &[]);
    let served = async |metric: &str| {
        let url = format!(
            "http://{}/api/v1/series?metric={metric}&from=2026-01-01&to=2026-04-01",
            serving.address
        );
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let series: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(
            series["proof"]["failures"].as_array().is_some_and(Vec::is_empty),
            "{series}"
        );
        series["points"].clone()
    };
    let metrics = [
        "mrr",
        "mrr_movements",
        "net_revenue_retention",
        "cohort_retention",
        "customers",
    ];
    let mut before = Vec::new();
    for metric in metrics {
        before.push(served(metric).await);
    }
    // Forty customers, of whom three change and two are new.
    import("second.csv", 37..42, 11);
    for (metric, before) in metrics.iter().zip(&before) {
        let now = served(metric).await;
        assert_ne!(now, *before, "{metric}");
        // Another process computes them from all records.
        let alone = home.ok(&[
            "metric",
            metric,
            "--from",
            "2026-01-01",
            "--to",
            "2026-04-01",
            "--format",
            "csv",
        ]);
        assert_eq!(
            now.as_array().unwrap().len(),
            alone.lines().count() - 1,
            "{metric}: {now}\n{alone}"
        );
        if *metric == "customers" {
            assert!(alone.contains("2026-03-01,42,closed\n"), "{alone}");
            assert!(now[2].to_string().contains("42"), "{now}");
        }
    }
    let url = format!("http://{}/metrics", serving.address);
    let text = until("a comparison with all records", async || {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        text.contains("\natalaya_figures_drift_checked_timestamp_seconds 1776254400.0")
            .then_some(text)
    })
    .await;
    assert!(text.contains("\natalaya_figures_drift 0.0\n"), "{text}");
    let updates = text
        .lines()
        .find_map(|line| line.strip_prefix("atalaya_figures_computed_total{from=\"some\"} "));
    assert!(updates.is_some_and(|updates| updates != "0"), "{text}");
}
