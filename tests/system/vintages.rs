//! A question at many moments of knowledge in one scan says what it says at each of them alone.

use std::sync::Arc;

use atalaya_metrics::Evaluator;
use atalaya_model::{Grain, Kind, KnownBy, ManualClock, SeriesQuery};
use atalaya_store::{Home as Store, Snapshot};
use atalaya_tests::{Home, soak};
use chrono::{DateTime, Days, TimeDelta, Utc};

fn question(metric: &str, grain: Grain, by: &[&str], at: DateTime<Utc>) -> SeriesQuery {
    let to = at.date_naive() + Days::new(1);
    let days = match grain {
        Grain::Day => 12,
        Grain::Week => 50,
        Grain::Month => 130,
        Grain::Quarter | Grain::Year => 400,
    };
    SeriesQuery {
        metric: metric.to_owned(),
        from: to - Days::new(days),
        to,
        grain,
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        as_of: Some(at),
        known_by: KnownBy::Source,
    }
}

/// Three moments, of which the last lies within what the one before already had begun.
fn moments() -> [DateTime<Utc>; 3] {
    let first: DateTime<Utc> = "2026-05-11T08:30:00Z".parse().unwrap();
    [
        first,
        first + TimeDelta::days(77),
        first + TimeDelta::hours(77 * 24 + 9),
    ]
}

/// A company with every kind of record.
fn company() -> (Home, Store, Arc<ManualClock>) {
    let mut home = Home::new();
    home.now = Some("2026-10-01T09:00:00Z".to_owned());
    home.ok(&[
        "demo",
        "--generate-only",
        "--customers",
        "60",
        "--until",
        "2026-10-01T09:00:00Z",
    ]);
    home.now = Some("2026-10-01T10:00:00Z".to_owned());
    home.ok(&["demo", "--incident", "drill"]);
    let store = Store::open_or_create(&home.path(), None).unwrap();
    (home, store, Arc::new(ManualClock::new(NOW.parse().unwrap())))
}

const NOW: &str = "2026-10-03T09:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_says_of_many_moments_what_it_says_of_each() {
    let (_home, store, clock) = company();
    let evaluator = Evaluator::new(store.clone(), clock).unwrap();
    // Where there is time, every definition runs as its SQL, so that none is left to the movement operator.
    let evaluator = if soak() { evaluator.by_sql_only() } else { evaluator };
    let snapshot = Snapshot::latest(&store).await.unwrap();
    let (mut lifted, mut told, mut different) = (0, 0, Vec::new());
    for spec in evaluator.catalog().metrics() {
        if !soak() && evaluator.kinds_of(&spec.id).contains(&Kind::Subscriptions) {
            continue;
        }
        let grain = spec.grains[0];
        let dimension: Vec<&str> = spec.dimensions.first().map(String::as_str).into_iter().collect();
        let queries: Vec<SeriesQuery> = moments()
            .into_iter()
            .map(|at| question(&spec.id, grain, &dimension, at))
            .collect();
        let before = evaluator.scans_of_many_moments();
        let together = evaluator.vintages_on(&queries, &snapshot).await;
        let is_lifted = evaluator.scans_of_many_moments() > before;
        assert_eq!(together.len(), queries.len());
        lifted += usize::from(is_lifted);
        for (query, together) in queries.iter().zip(together) {
            let together = together.unwrap();
            let alone = evaluator.series_on(query, &snapshot).await.unwrap();
            told += together.points.len();
            if together != alone {
                different.push(format!("{}: {together:?}\n  is not {alone:?}", spec.id));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(told > 500, "{told} figures");
    assert_eq!(
        lifted,
        if soak() { 60 } else { 21 },
        "metrics that were asked of all moments at once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_says_of_many_moments_what_it_says_of_each() {
    let (_home, store, clock) = company();
    let evaluator = Evaluator::new(store.clone(), clock).unwrap();
    let snapshot = Snapshot::latest(&store).await.unwrap();
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let moments = [
        TimeDelta::minutes(47 * 60 + 30),
        TimeDelta::hours(46),
        TimeDelta::minutes(20),
    ]
    .map(|before| now - before);
    let (mut told, mut one_by_one, mut different) = (0, Vec::new(), Vec::new());
    for signal in evaluator.catalog().signals() {
        let id = &signal.spec.id;
        let before = evaluator.scans_of_many_moments();
        let together = evaluator.readings_of_moments(id, &moments, &snapshot).await;
        assert_eq!(together.len(), moments.len());
        if evaluator.scans_of_many_moments() == before {
            one_by_one.push(id.clone());
        }
        for (at, together) in moments.iter().zip(together) {
            let together = together.unwrap();
            let alone = evaluator.readings_on(id, Some(*at), &snapshot).await.unwrap();
            told += together.readings.len();
            if together != alone {
                different.push(format!("{id}: {together:?}\n  is not {alone:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(told > 30, "{told} readings");
    assert_eq!(one_by_one, Vec::<String>::new());
}
