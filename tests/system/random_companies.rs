//! Random companies under random policies: both engines and the witness agree to the millionth, and identities hold.

use std::{fmt::Write as _, sync::Arc};

use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_metrics::{Evaluator, Policy};
use atalaya_model::{Grain, Kind, KnownBy, ManualClock, SeriesQuery, calendar};
use atalaya_sql::compare_engines;
use atalaya_store::{Home, Snapshot};
use atalaya_tests::soak;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::operator::profiles;

pub(crate) const NOW: &str = "2026-05-20T09:30:00Z";

/// Instants at which things tend to happen: near each other, at once, and on both sides of the ends of months.
pub(crate) fn instants() -> Vec<DateTime<Utc>> {
    let mut found = Vec::new();
    for day in ["2026-01-12", "2026-02-10", "2026-02-27", "2026-03-15", "2026-04-02"] {
        let noon: DateTime<Utc> = format!("{day}T12:00:00Z").parse().unwrap();
        found.extend([0, 30, 60, 61, 7_000].map(|minutes| noon + TimeDelta::minutes(minutes)));
    }
    // Madrid's months begin an hour or two before those of UTC.
    for midnight in ["2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"] {
        let midnight: DateTime<Utc> = midnight.parse().unwrap();
        found.extend([-1, 0, 1].map(|minutes| midnight + TimeDelta::minutes(minutes)));
    }
    found
}

/// Companies under one policy.
const COMPANIES_A_HOME: u64 = 10;

pub(crate) struct Companies {
    pub(crate) states: String,
    pub(crate) rates: String,
    pub(crate) tiers: &'static str,
    pub(crate) policy: String,
}

pub(crate) const HEADER: &str = "record_key,record_version,operation,recorded_at,customer_id,subscription_id,item_id,product,plan,status,quantity,unit_price_minor,currency,interval,interval_count,discount_ppm,discount_minor,trial_ends_at,cancel_at,valid_from,charge_type,price_id,tier_mode,repeating_discount_ppm,repeating_discount_minor,repeating_discount_ends_at,once_discount_ppm,once_discount_minor,once_discount_ends_at,included_tax_ppm,collection,past_due_at,first_paid_at,cancel_reason";

fn maybe(rng: &mut ChaCha8Rng, per_cent: u32, instants: &[DateTime<Utc>]) -> String {
    if rng.random_ratio(per_cent, 100) {
        instants.choose(rng).unwrap().to_rfc3339()
    } else {
        String::new()
    }
}

/// Several companies in one home, which costs no more than one: their customers have nothing in common.
pub(crate) fn companies(seed: u64) -> Companies {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let instants = instants();
    let mut states = format!("{HEADER}\n");
    let mut key = 0;
    let customers: Vec<String> = (0..COMPANIES_A_HOME)
        .flat_map(|company| (0..rng.random_range(1..6)).map(move |customer| format!("{company}_{customer}")))
        .collect();
    for customer in &customers {
        for item in 0..rng.random_range(1..4) {
            let currency = *["USD", "EUR", "EUR", "JPY", "KWD"].choose(rng).unwrap();
            for _ in 0..rng.random_range(1..6) {
                key += 1;
                let status = [
                    "active",
                    "active",
                    "active",
                    "active",
                    "canceled",
                    "past_due",
                    "paused",
                    "trialing",
                    "unpaid",
                    "incomplete",
                ];
                let rare = |rng: &mut ChaCha8Rng, value: i64| if rng.random_ratio(1, 5) { value } else { 0 };
                let tiers = rng.random_ratio(1, 8);
                // Now and then an item is somebody else's for a while.
                let owner = if rng.random_ratio(1, 25) {
                    customers.choose(rng).unwrap()
                } else {
                    customer
                };
                let fields = [
                    format!("cus{owner}"),
                    format!("sub{customer}"),
                    format!("item{customer}_{item}"),
                    (*["saas", "docs"].choose(rng).unwrap()).to_owned(),
                    (*["", "pro", "scale"].choose(rng).unwrap()).to_owned(),
                    (*status.choose(rng).unwrap()).to_owned(),
                    rng.random_range(0..25).to_string(),
                    rng.random_range(0..10_000).to_string(),
                    currency.to_owned(),
                    (*["month", "month", "year", "week", "day"].choose(rng).unwrap()).to_owned(),
                    rng.random_range(1..4).to_string(),
                    rare(rng, [1_000_000, 333_333, 200_000][key % 3]).to_string(),
                    rare(rng, 777).to_string(),
                    maybe(rng, 15, &instants),
                    maybe(rng, 15, &instants),
                    instants.choose(rng).unwrap().to_rfc3339(),
                    (*["", "", "", "", "metered", "one_off"].choose(rng).unwrap()).to_owned(),
                    if tiers { "p1".to_owned() } else { String::new() },
                    match (tiers, rng.random_bool(0.5)) {
                        (false, _) => "",
                        (true, true) => "volume",
                        (true, false) => "graduated",
                    }
                    .to_owned(),
                    rare(rng, 500_001).to_string(),
                    rare(rng, 321).to_string(),
                    maybe(rng, 30, &instants),
                    rare(rng, 123_457).to_string(),
                    rare(rng, 99).to_string(),
                    maybe(rng, 30, &instants),
                    rare(rng, 210_000).to_string(),
                    (*["", "", "", "paused"].choose(rng).unwrap()).to_owned(),
                    maybe(rng, 20, &instants),
                    maybe(rng, 20, &instants),
                    (*["", "", "migration", "delinquent"].choose(rng).unwrap()).to_owned(),
                ];
                for version in 0..=u32::from(rng.random_ratio(1, 10)) {
                    let operation = if version == 1 && rng.random_bool(0.5) {
                        "delete"
                    } else {
                        "upsert"
                    };
                    let mut fields = fields.clone();
                    fields[6] = (rng.random_range(0..25) + version).to_string();
                    let _ = writeln!(
                        states,
                        "k{key},{version},{operation},2026-05-01T00:00:00Z,{}",
                        fields.join(",")
                    );
                }
            }
        }
    }
    let mut rates = "rate_on,currency,quote_currency,rate\n".to_owned();
    let mut day: NaiveDate = "2025-12-20".parse().unwrap();
    while day < "2026-05-21".parse().unwrap() {
        for (currency, about) in [("EUR", 1.1), ("JPY", 0.0067), ("KWD", 3.25)] {
            let rate = about * (1.0 + rng.random_range(-0.1..0.1));
            let _ = writeln!(rates, "{day},{currency},USD,{rate:.6}");
        }
        day = day + Days::new(1 + u64::from(rng.random_ratio(1, 3)));
    }
    Companies {
        states,
        rates,
        tiers: "price_id,currency,first_unit,unit_price_minor,flat_minor\np1,USD,1,1000,0\np1,USD,11,800,50\np1,USD,20,500,0\np1,EUR,1,900,10\np1,EUR,6,850,0\np1,JPY,1,120,0\np1,KWD,1,4000,0\np1,KWD,13,3500,1\n",
        policy: policy(rng),
    }
}

/// A preset with some switches turned at random.
fn policy(rng: &mut ChaCha8Rng) -> String {
    let presets: Vec<&str> = Policy::preset_names().collect();
    let mut text = format!("preset = '{}'\n", presets.choose(rng).unwrap());
    let flag = |rng: &mut ChaCha8Rng| rng.random_bool(0.5);
    let mut line = |rng: &mut ChaCha8Rng, line: String| {
        if rng.random_bool(0.3) {
            text += &(line + "\n");
        }
    };
    let on = flag(rng);
    line(rng, format!("past_due_counts = {on}"));
    let days = rng.random_range(0..40);
    line(rng, format!("past_due_days = {days}"));
    let on = flag(rng);
    line(rng, format!("paused_counts = {on}"));
    let from = if flag(rng) { "first_payment" } else { "service" };
    line(rng, format!("start_counts_from = '{from}'"));
    let minutes = [0, 30, 60, 1_440].choose(rng).unwrap();
    line(rng, format!("grouping_minutes = {minutes}"));
    // The pool has instants that lie exactly 29 days apart.
    let days = [0, 14, 29, 45].choose(rng).unwrap();
    line(rng, format!("reactivation_within_days = {days}"));
    line(rng, "months_per_week = '4'\nmonths_per_day = '30'".to_owned());
    let full = if flag(rng) { "churned" } else { "active_at_zero" };
    line(rng, format!("full_discount = '{full}'"));
    let mode = [
        "fx_mode = 'service_start'",
        "fx_mode = 'period_end'",
        "fx_mode = 'constant'\nfx_constant_on = '2026-02-01'",
    ];
    let mode = (*mode.choose(rng).unwrap()).to_owned();
    line(rng, mode);
    text
}

const METRICS: [&str; 14] = [
    "mrr",
    "customers",
    "mrr_movements",
    "mrr_movement_events",
    "logo_churn_rate",
    "gross_mrr_churn_rate",
    "net_mrr_churn_rate",
    "gross_revenue_retention",
    "net_revenue_retention",
    "quick_ratio",
    "churned_mrr_by_reason",
    "cmrr",
    "asp",
    "mrr_rounding_residue",
];

async fn judge(seed: u64) -> Vec<String> {
    let company = companies(seed);
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(NOW.parse().unwrap());
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    let owner = home.own().unwrap();
    let [crm, shop] = profiles(&mut ChaCha8Rng::seed_from_u64(seed), &company.states);
    let files = [
        (Kind::Subscriptions, company.states.as_str()),
        (Kind::FxRates, &company.rates),
        (Kind::PriceTiers, company.tiers),
        (Kind::Customers, &crm),
        (Kind::Customers, &shop),
    ];
    for (index, (kind, text)) in files.into_iter().enumerate() {
        let file = dir.path().join(format!("{kind}{index}.csv"));
        std::fs::write(&file, text).unwrap();
        let request = ImportRequest {
            file,
            kind,
            mapping: Mapping::default(),
            delimiter: None,
        };
        let report = import_file(&home, &owner, &clock, &request, &|_| {}).await.unwrap();
        assert_eq!(report.dead, 0, "{:?}", report.first_faults);
    }
    let policy = Policy::of_home(Some(("policy.toml", &company.policy)), home.settings()).unwrap();
    let evaluator = Evaluator::new(home.clone(), Arc::new(clock)).unwrap().under(policy);
    let snapshot = Snapshot::latest(&home).await.unwrap();
    let zone = calendar::parse_zone(&home.settings().time_zone).unwrap();
    let (from, to) = ("2026-01-01".parse().unwrap(), "2026-06-01".parse().unwrap());
    let months = calendar::periods(zone, home.settings().week_start, Grain::Month, from, to).unwrap();

    let mut faults = evaluator
        .witness(&snapshot, &months, None, KnownBy::Atalaya)
        .await
        .unwrap()
        .differences;
    faults.extend(evaluator.violations(&METRICS, &months, None, &snapshot).await.unwrap());
    // Every segment adds up, of plans that are swapped and of countries that customers move to.
    for by in ["plan", "country", "market"] {
        let query = SeriesQuery {
            metric: "mrr_movement_events".to_owned(),
            from,
            to,
            grain: Grain::Month,
            by: vec![by.to_owned()],
            as_of: None,
            known_by: KnownBy::Atalaya,
        };
        let series = evaluator.series_on(&query, &snapshot).await.unwrap();
        faults.extend(series.proof.failures);
    }
    for by in [None, Some("plan"), Some("country")] {
        let metrics = if by.is_some() { &METRICS[3..4] } else { &METRICS[..] };
        let found = compare_engines(&evaluator, &snapshot, metrics, (Grain::Month, &months), by).await;
        faults.extend(found.unwrap());
    }
    if !faults.is_empty() {
        faults.push(format!("seed {seed}, policy:\n{}\n{}", company.policy, company.states));
    }
    faults
}

/// Records that land in two halves, days apart: what the first half says as of its time is never changed by the second.
async fn keeps_its_word(seed: u64) {
    let company = companies(seed);
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open_or_create(&dir.path().join("home"), Some("reporting_currency = 'USD'")).unwrap();
    let owner = home.own().unwrap();
    let clock = Arc::new(ManualClock::new(NOW.parse().unwrap()));
    let evaluator = || {
        let policy = Policy::of_home(Some(("policy.toml", &company.policy)), home.settings()).unwrap();
        Evaluator::new(home.clone(), Arc::clone(&clock) as _)
            .unwrap()
            .under(policy)
    };
    let query = |metric: &str, as_of| SeriesQuery {
        metric: metric.to_owned(),
        from: "2026-01-01".parse().unwrap(),
        to: "2026-06-01".parse().unwrap(),
        grain: Grain::Month,
        by: vec![],
        as_of,
        known_by: KnownBy::Atalaya,
    };
    let lines: Vec<&str> = company.states.lines().skip(1).collect();
    let (sooner, later) = lines.split_at(lines.len() / 2);
    let halves = [sooner, later].map(|half| format!("{HEADER}\n{}\n", half.join("\n")));
    let mut first_answers = Vec::new();
    for (half, text) in halves.iter().enumerate() {
        let mut files = vec![(Kind::Subscriptions, text.as_str())];
        if half == 0 {
            files.extend([
                (Kind::FxRates, company.rates.as_str()),
                (Kind::PriceTiers, company.tiers),
            ]);
        }
        for (kind, text) in files {
            let file = dir.path().join(format!("{kind}{half}.csv"));
            std::fs::write(&file, text).unwrap();
            let mapping = Mapping::default();
            let request = ImportRequest {
                file,
                kind,
                mapping,
                delimiter: None,
            };
            import_file(&home, &owner, clock.as_ref(), &request, &|_| {})
                .await
                .unwrap();
        }
        let snapshot = Snapshot::latest(&home).await.unwrap();
        let evaluator = evaluator();
        for (index, metric) in ["mrr", "mrr_movement_events"].into_iter().enumerate() {
            let as_of = (half == 1).then(|| NOW.parse().unwrap());
            let series = evaluator.series_on(&query(metric, as_of), &snapshot).await.unwrap();
            match first_answers.get(index) {
                None => first_answers.push(series.points),
                Some(first) => assert_eq!(&series.points, first, "seed {seed}: {metric}"),
            }
        }
        clock.advance(TimeDelta::days(3));
    }
    assert_eq!(first_answers.len(), 2);
}

#[test]
fn later_records_never_change_an_answer_as_of_before() {
    let homes = if soak() { 1_000 } else { 10 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for seed in 0..homes {
        runtime.block_on(async { tokio::spawn(keeps_its_word(seed)).await.unwrap() });
    }
}

#[test]
fn both_engines_and_the_witness_agree_on_random_companies() {
    let companies = if soak() { 10_000 } else { 200 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for seed in 0..companies / COMPANIES_A_HOME {
        let faults = runtime.block_on(async { tokio::spawn(judge(seed)).await.unwrap() });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
