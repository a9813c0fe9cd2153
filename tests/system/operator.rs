//! The movement operator answers with the very rows of the SQL it stands for, whatever the files, threads and policies.

use std::{path::Path, sync::Arc};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::{EvaluationPlan, Evaluator, Policy, Scope};
use atalaya_model::{Clock as _, Grain, Kind, KnownBy, ManualClock, Period, SeriesQuery, calendar};
use atalaya_sql::{Request, Worker, worker_setup};
use atalaya_store::{Compacted, Compaction, Home, Snapshot};
use atalaya_tests::soak;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{
    Rng, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;

use crate::random_companies::{Companies, HEADER, NOW, companies, instants};

/// Customers' rows, then sums over all customers.
const TABLES: [&str; 22] = [
    "subscription_item_mrr",
    "customer_steps",
    "mrr_known_at",
    "mrr_at",
    "customer_ends",
    "customer_movement_events",
    "customer_movements",
    "mrr_ends",
    "mrr",
    "customers",
    "arpa",
    "mrr_rounding_residue",
    "cmrr",
    "scheduled_churn_mrr",
    "signed_mrr",
    "movement_sums",
    "event_sums",
    "mrr_movement_events",
    "yearly_sums",
    "revenue_cohorts",
    "cohort_retention",
    "mrr_movements",
];

/// Sums that few companies have rows of.
const RARE: [&str; 3] = ["scheduled_churn_mrr", "signed_mrr", "yearly_sums"];

/// Customers' own records from two sources that disagree and change their minds when something else happens, some of them
/// taken back.
pub(crate) fn profiles(rng: &mut ChaCha8Rng, states: &str) -> [String; 2] {
    let instants = instants();
    let mut customers: Vec<&str> = states
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(4))
        .collect();
    customers.sort_unstable();
    customers.dedup();
    ["crm", "shop"].map(|source| {
        let mut text = "record_key,record_version,operation,recorded_at,customer_id,country,market,channel,created_at\n".to_owned();
        for customer in &customers {
            for version in 0..rng.random_range(0..4) {
                let operation = if rng.random_ratio(1, 5) { "delete" } else { "upsert" };
                let recorded_at = instants.choose(rng).unwrap().to_rfc3339();
                let country = ["ES", "MX", ""][rng.random_range(0..3)];
                text += &format!(
                    "{source}-{customer},{version},{operation},{recorded_at},{customer},{country},m{version},{source},2026-01-01\n"
                );
            }
        }
        text
    })
}

/// Lands a company in several imports, so that every bucket has several runs.
async fn land(dir: &Path, home: &Home, clock: &ManualClock, company: &Companies, seed: u64) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let owner = home.own().unwrap();
    let [crm, shop] = profiles(rng, &company.states);
    let mut files = vec![
        (Kind::FxRates, company.rates.clone()),
        (Kind::PriceTiers, company.tiers.to_owned()),
        (Kind::Customers, crm),
        (Kind::Customers, shop),
    ];
    let lines: Vec<&str> = company.states.lines().skip(1).collect();
    for part in lines.chunks(lines.len().div_ceil(3)) {
        files.push((Kind::Subscriptions, format!("{HEADER}\n{}\n", part.join("\n"))));
    }
    for (index, (kind, text)) in files.into_iter().enumerate() {
        let file = dir.join(format!("{kind}{index}.csv"));
        std::fs::write(&file, text).unwrap();
        let request = ImportRequest {
            file,
            kind,
            mapping: Mapping::default(),
            delimiter: None,
        };
        let report = import_file(home, &owner, clock, &request, &|_| {}).await.unwrap();
        assert_eq!(report.dead, 0, "{:?}", report.first_faults);
        clock.advance(TimeDelta::hours(7));
    }
}

fn months(home: &Home) -> Vec<Period> {
    let zone = calendar::parse_zone(&home.settings().time_zone).unwrap();
    let (from, to) = ("2026-01-01".parse().unwrap(), "2026-06-01".parse().unwrap());
    calendar::periods(zone, home.settings().week_start, Grain::Month, from, to).unwrap()
}

fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch
                .columns()
                .iter()
                .zip(batch.schema().fields())
                .map(|(column, field)| format!("{}={}", field.name(), array_value_to_string(column, row).unwrap()))
                .collect();
            lines.push(cells.join(" "));
        }
    }
    lines.sort_unstable();
    lines
}

fn days(home: &Home) -> Vec<Period> {
    let zone = calendar::parse_zone(&home.settings().time_zone).unwrap();
    let (from, to) = ("2026-02-20".parse().unwrap(), "2026-03-20".parse().unwrap());
    calendar::periods(zone, home.settings().week_start, Grain::Day, from, to).unwrap()
}

async fn rows(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    months: &[Period],
    known: (KnownBy, DateTime<Utc>),
) -> Vec<Vec<String>> {
    rows_of(&TABLES, evaluator, snapshot, months, known).await
}

async fn rows_of(
    tables: &[&str],
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    periods: &[Period],
    (known_by, now): (KnownBy, DateTime<Utc>),
) -> Vec<Vec<String>> {
    let asked = Asked {
        periods,
        known_by,
        now,
        is_present: false,
    };
    asked_rows(tables, evaluator, snapshot, &asked).await
}

/// What is asked of tables.
pub(crate) struct Asked<'a> {
    pub(crate) periods: &'a [Period],
    pub(crate) known_by: KnownBy,
    pub(crate) now: DateTime<Utc>,
    pub(crate) is_present: bool,
}

/// The rows of all tables that are sums over all customers, the identities among them.
pub(crate) async fn sum_rows(evaluator: &Evaluator, snapshot: &Snapshot, asked: &Asked<'_>) -> Vec<Vec<String>> {
    let identities = [
        "logo_churn_rate_30d",
        "mrr_birth",
        "mrr_not_negative",
        "one_new_per_customer",
        "mrr_events_rollforward",
    ];
    let tables = [&TABLES[7..], &identities].concat();
    asked_rows(&tables, evaluator, snapshot, asked).await
}

async fn asked_rows(
    tables: &[&str],
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    asked: &Asked<'_>,
) -> Vec<Vec<String>> {
    let scope = Scope {
        by: &[],
        periods: asked.periods,
        known_by: asked.known_by,
        now: asked.now,
        vintages: &[],
        is_present: asked.is_present,
    };
    let plan = EvaluationPlan::for_definitions(
        evaluator.catalog(),
        evaluator.home().settings(),
        evaluator.policy(),
        tables,
        &scope,
    );
    let session = evaluator.session(&plan.unwrap(), snapshot).await.unwrap();
    let mut found = Vec::new();
    for table in tables {
        let (_, batches) = session.query(&format!("SELECT * FROM {table}")).await.unwrap();
        found.push(lines(&batches));
    }
    found
}

async fn compare(seed: u64) {
    let company = companies(seed);
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    land(dir.path(), &home, &clock, &company, seed).await;
    let evaluator = || {
        let policy = Policy::of_home(Some(("policy.toml", &company.policy)), home.settings()).unwrap();
        Evaluator::new(home.clone(), Arc::clone(&clock) as _)
            .unwrap()
            .under(policy)
    };
    let snapshot = Snapshot::latest(&home).await.unwrap();
    let months = months(&home);
    let end: DateTime<Utc> = NOW.parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(3);
    let midway: DateTime<Utc> = NOW.parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(40);
    for known in [
        (KnownBy::Atalaya, end),
        (KnownBy::Atalaya, midway),
        (KnownBy::Source, end),
    ] {
        if seed.is_multiple_of(3) && known == (KnownBy::Atalaya, end) {
            let by_operator = rows_of(&LOOKING_BACK, &evaluator(), &snapshot, &days(&home), known).await;
            let by_sql = rows_of(
                &LOOKING_BACK,
                &evaluator().by_sql_only(),
                &snapshot,
                &days(&home),
                known,
            )
            .await;
            assert!(by_sql.iter().all(|rows| !rows.is_empty()), "seed {seed}");
            assert_eq!(by_operator, by_sql, "seed {seed}: by day\n{}", company.policy);
        }
        let operator = evaluator();
        let by_operator = rows(&operator, &snapshot, &months, known).await;
        assert_eq!(
            operator.figures_kept(),
            1,
            "seed {seed}: the sums were not those of a pass"
        );
        let by_sql = rows(&evaluator().by_sql_only(), &snapshot, &months, known).await;
        for (index, table) in TABLES.iter().enumerate() {
            let is_rare = RARE.contains(table);
            assert!(
                is_rare || !by_sql[index].is_empty(),
                "seed {seed}: {table} has no rows to compare"
            );
            assert_eq!(
                by_operator[index], by_sql[index],
                "seed {seed}: {table}\n{}",
                company.policy
            );
        }
    }
}

/// What looks back on so many periods, day by day.
const LOOKING_BACK: [&str; 4] = ["logo_churn_rate_30d", "yearly_sums", "movement_sums", "event_sums"];

/// Merges all runs; the rows stay, and snapshots taken before still read the files they name.
#[tokio::test(flavor = "multi_thread")]
async fn merging_runs_changes_no_row() {
    let company = companies(5);
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    land(dir.path(), &home, &clock, &company, 5).await;
    let before = Snapshot::latest(&home).await.unwrap();
    let months = months(&home);
    let evaluator = || Evaluator::new(home.clone(), Arc::clone(&clock) as _).unwrap();
    let known = (KnownBy::Atalaya, clock.now());
    let rows_before = rows(&evaluator(), &before, &months, known).await;
    let origins_before = atalaya_store::origins(&home, "subscriptions").unwrap();
    let raw = |snapshot: &Snapshot| {
        let snapshot = snapshot.clone();
        let evaluator = evaluator();
        async move {
            let scope = Scope {
                by: &[],
                periods: &[],
                known_by: KnownBy::Atalaya,
                now: known.1,
                vintages: &[],
                is_present: false,
            };
            let ids = ["subscription_states", "customer_attributes"];
            let settings = evaluator.home().settings();
            let plan = EvaluationPlan::for_definitions(evaluator.catalog(), settings, evaluator.policy(), &ids, &scope);
            let session = evaluator.session(&plan.unwrap(), &snapshot).await.unwrap();
            let mut found = Vec::new();
            for table in ["raw_subscriptions", "raw_customers"] {
                let (_, batches) = session.query(&format!("SELECT * FROM {table}")).await.unwrap();
                found.push(lines(&batches));
            }
            found
        }
    };
    let raw_before = raw(&before).await;

    let owner = home.own().unwrap();
    let due = home
        .compact(Kind::Subscriptions, &owner, Compaction::Due, clock.now())
        .await
        .unwrap();
    assert_eq!(due, Compacted::default(), "three runs a bucket are few");
    for kind in [Kind::Subscriptions, Kind::Customers, Kind::FxRates] {
        home.compact(kind, &owner, Compaction::Full, clock.now()).await.unwrap();
    }
    let after = Snapshot::latest(&home).await.unwrap();
    let files = |snapshot: &Snapshot| snapshot.tables["subscriptions"].files.len();
    assert!(
        files(&before) > 8 && files(&after) <= 8,
        "{} became {}",
        files(&before),
        files(&after)
    );
    assert_eq!(atalaya_store::check_bytes(&after).unwrap(), vec![]);
    assert_eq!(raw(&after).await, raw_before);
    assert_eq!(rows(&evaluator(), &after, &months, known).await, rows_before);
    assert_eq!(
        rows(&evaluator(), &before, &months, known).await,
        rows_before,
        "the files of before are still there"
    );
    assert_eq!(atalaya_store::origins(&home, "subscriptions").unwrap(), origins_before);

    // A damaged file is an error; it never gets a new checksum.
    let again = ["a,", "b,"].map(|name| {
        format!(
            "{HEADER}\n{}\n",
            company.states.lines().nth(1).unwrap().replacen("k1,", name, 1)
        )
    });
    for (index, text) in again.iter().enumerate() {
        let file = dir.path().join(format!("again{index}.csv"));
        std::fs::write(&file, text).unwrap();
        let request = ImportRequest {
            file,
            kind: Kind::Subscriptions,
            mapping: Mapping::default(),
            delimiter: None,
        };
        import_file(&home, &owner, clock.as_ref(), &request, &|_| {})
            .await
            .unwrap();
    }
    let latest = Snapshot::latest(&home).await.unwrap();
    let old: Vec<_> = after.tables["subscriptions"]
        .files
        .iter()
        .map(|file| &file.path)
        .collect();
    let fresh = latest.tables["subscriptions"]
        .files
        .iter()
        .find(|file| !old.contains(&&file.path))
        .unwrap();
    let mut bytes = std::fs::read(&fresh.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&fresh.path, bytes).unwrap();
    let error = home
        .compact(Kind::Subscriptions, &owner, Compaction::Full, clock.now())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the commit says"), "{error}");
    assert_eq!(Snapshot::latest(&home).await.unwrap().id(&[]), latest.id(&[]));
}

#[test]
fn the_operator_has_the_rows_of_the_sql() {
    let homes = if soak() { 500 } else { 12 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for seed in 1_000..1_000 + homes {
        runtime.block_on(async { tokio::spawn(compare(seed)).await.unwrap() });
    }
}

/// Answers as bytes: of the operator, of DataFusion's SQL and of DuckDB.
async fn answers(home: &Home, clock: &Arc<ManualClock>, snapshot: &Snapshot, threads: usize) -> Vec<String> {
    let evaluator = || {
        Evaluator::new(home.clone(), Arc::clone(clock) as _)
            .unwrap()
            .on_threads(threads)
    };
    let mut found = Vec::new();
    for metric in [
        "mrr",
        "mrr_movements",
        "mrr_movement_events",
        "churned_mrr_by_reason",
        "cohort_retention",
    ] {
        let query = SeriesQuery {
            metric: metric.to_owned(),
            from: "2026-01-01".parse().unwrap(),
            to: "2026-06-01".parse().unwrap(),
            grain: Grain::Month,
            by: vec![],
            as_of: None,
            known_by: KnownBy::Atalaya,
        };
        let operator = evaluator();
        for evaluator in [&operator, &evaluator().by_sql_only()] {
            let series = evaluator.series_on(&query, snapshot).await.unwrap();
            found.push(serde_json::to_string(&series).unwrap());
        }
        let plan = operator.plan(&query).unwrap();
        let (files, setup) = worker_setup(&plan, snapshot);
        let request = Request {
            files,
            setup: format!("SET threads = {threads};\n{setup}"),
            queries: vec![plan.select.clone()],
            untrusted: false,
            timeout_secs: 60,
            max_answer_bytes: 1 << 20,
            memory_limit_mb: 1024,
        };
        for answer in Worker::find().unwrap().ask(&request).await.unwrap() {
            found.push(lines(&answer.unwrap().batches).join("\n"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_files_nor_threads_nor_partitions_change_a_byte() {
    let company = companies(77);
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    land(dir.path(), &home, &clock, &company, 77).await;
    let mut snapshot = Snapshot::latest(&home).await.unwrap();
    let first = answers(&home, &clock, &snapshot, 1).await;
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    let rounds = if soak() { 200 } else { 4 };
    for round in 0..rounds {
        for table in snapshot.tables.values_mut() {
            table.files.shuffle(rng);
        }
        let threads = [2, 3, 8, 1][round % 4];
        let again = answers(&home, &clock, &snapshot, threads).await;
        assert_eq!(again, first, "round {round} on {threads} threads");
    }
}
