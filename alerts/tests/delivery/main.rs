//! Thousands of changes against a vendor that refuses, hangs up and answers by halves, and a sender that dies at any moment:
//! nothing is lost, nothing overtakes, and nothing comes twice without a reason.
#![allow(clippy::unwrap_used, reason = "tests only")]

mod vendor;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use atalaya_alerts::{Control, Intent, Route, Routes, RuleSet, Runner, Sender};
use atalaya_model::{
    BoxFuture, Clock, HomeSettings, Language, ManualClock, MetricReadError, MetricReader, MetricSpec, Proof,
    ProofState, Reading, ReadingUnit, Readings, Series, SeriesQuery,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::vendor::{Chance, Vendor};

/// Things that come and go, under one rule.
#[derive(Default)]
struct Things(Mutex<BTreeSet<String>>);

impl MetricReader for Things {
    fn specs(&self) -> Vec<MetricSpec> {
        Vec::new()
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> BoxFuture<'a, Result<Series, MetricReadError>> {
        Box::pin(async { Err(MetricReadError::BadQuery(query.metric.clone())) })
    }

    fn readings<'a>(
        &'a self,
        signal: &'a str,
        at: Option<DateTime<Utc>>,
    ) -> BoxFuture<'a, Result<Readings, MetricReadError>> {
        let there = self.0.lock().unwrap().clone();
        let readings = there.into_iter().filter(|_| signal == "things").map(|entity| Reading {
            entity,
            label: None,
            since_at: None,
            numerator: 1,
            denominator: 1,
            evidence: Vec::new(),
        });
        let readings = Readings {
            signal: signal.to_owned(),
            unit: ReadingUnit::Count,
            readings: readings.collect(),
            proof: Proof {
                state: ProofState::Checked,
                definition_hash: String::new(),
                policy: String::new(),
                snapshot: String::new(),
                failures: Vec::new(),
            },
            fresh_at: at,
            evaluated_at: at.unwrap_or_default(),
        };
        Box::pin(async { Ok(readings) })
    }
}

const RULE: &str = "id = \"thing\"\nname_en = \"Thing\"\nname_es = \"Cosa\"\nclass = \"critical\"\nseverity = \"critical\"\n\
    routes = [\"pagerduty\"]\n[watch]\nsignal = \"things\"\n[fires]\npresent = true\n";

fn settings() -> HomeSettings {
    toml::from_str(
        "version = 1\ncompany = 'Faro'\ntime_zone = 'Europe/Madrid'\nweek_start = 'monday'\nfiscal_year_start_month = 1\nreporting_currency = 'USD'\n",
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_overtakes_whatever_the_vendor_does() {
    let changes = if std::env::var_os("ATALAYA_SOAK").is_some() {
        10_000
    } else {
        500
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thing.toml"), RULE).unwrap();
    // It tells Slack too, which has no address here and would wait for one for ever.
    let off = RULE
        .replace("\"thing\"", "\"incident_unacknowledged\"")
        .replace("[watch]", "off = \"a test\"\n[watch]");
    std::fs::write(dir.path().join("incident_unacknowledged.toml"), off).unwrap();
    let clock = Arc::new(ManualClock::new("2026-03-16T10:00:00Z".parse().unwrap()));
    let vendor = Vendor::start(7).await;
    let control = Control::open(&dir.path().join("control.db")).await.unwrap();
    let things = Arc::new(Things::default());
    let rules = RuleSet::of_home(dir.path()).unwrap();
    assert!(rules.faults().is_empty(), "{:?}", rules.faults());
    let runner = Runner::new(
        things.clone(),
        control.clone(),
        clock.clone(),
        settings(),
        Language::Es,
        rules,
    );
    let address = vendor.address.clone();
    let sender = || {
        let routes = Routes::from_variables(|name| match name {
            "ATALAYA_PAGERDUTY_URL" => Some(address.clone()),
            "ATALAYA_PAGERDUTY_ROUTING_KEY" => Some("0123456789abcdef0123456789abcdef".to_owned()),
            _ => None,
        });
        Sender::new(control.clone(), routes.unwrap(), clock.clone()).unwrap()
    };
    let mut chance = Chance(11);
    let (mut made, mut deaths) = (0, 0);
    let mut living = sender();
    while made < changes {
        for _ in 0..10 {
            let thing = format!("thing-{}", chance.below(25));
            let mut there = things.0.lock().unwrap();
            if !there.remove(&thing) {
                there.insert(thing);
            }
            made += 1;
        }
        runner.tick().await.unwrap();
        // The sender dies now and then while the vendor holds a request; another one goes on with what is in the database.
        for _ in 0..3 {
            vendor.dies_after(if chance.below(8) == 0 {
                Some(1 + chance.below(6))
            } else {
                None
            });
            let has_died = tokio::select! {
                next = living.deliver_due() => {
                    if let Some(next) = next.unwrap() {
                        clock.set(next.max(clock.now()));
                    }
                    false
                }
                () = vendor.death() => true,
            };
            if has_died {
                deaths += 1;
                living = sender();
            }
        }
        clock.advance(TimeDelta::seconds(20));
    }
    // The vendor is well again: everything that was decided arrives.
    vendor.heal();
    vendor.dies_after(None);
    // Slack and mail have no address here; what is for them (that metrics cannot be read) waits.
    let is_due = |intent: &Intent| intent.route == Route::Pagerduty;
    while control.pending().await.unwrap().iter().any(is_due) {
        let next = living.deliver_due().await.unwrap();
        clock.set(next.unwrap_or_default().max(clock.now()));
    }

    let log = vendor.log();
    let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.is_taken) {
        by_key.entry(&entry.key).or_default().push(&entry.action);
    }
    let mut incidents = Vec::new();
    let mut intents = 0;
    for incident in control.incidents().await.unwrap() {
        let told = control.intents(incident.id).await.unwrap();
        let paged = told.iter().filter(|intent| is_due(intent)).count();
        intents += paged;
        if paged > 0 {
            incidents.push(incident);
        }
    }
    let (mut twice, mut unclear) = (0, 0);
    for incident in &incidents {
        let taken = by_key.remove(incident.dedup_key.as_str()).unwrap_or_default();
        let triggers = taken.iter().take_while(|action| **action == "trigger").count();
        assert!(triggers > 0, "incident {} was never told", incident.id);
        assert!(
            taken[triggers..].iter().all(|action| *action == "resolve"),
            "incident {}: {taken:?}",
            incident.id
        );
        assert_eq!(
            taken.len() > triggers,
            incident.resolved_at.is_some(),
            "incident {}: {taken:?}",
            incident.id
        );
        for action in ["trigger", "resolve"] {
            let of = |wanted: &dyn Fn(&vendor::Entry) -> bool| {
                let all = log
                    .iter()
                    .filter(|entry| entry.key == incident.dedup_key && entry.action == action);
                all.filter(|entry| wanted(entry)).count()
            };
            let (taken, not_known) = (of(&|entry| entry.is_taken), of(&|entry| !entry.is_answered));
            twice += taken.saturating_sub(1);
            unclear += not_known;
            // Another trigger joins the open alert: an update is one too.
            let updates = control.intents(incident.id).await.unwrap();
            let told = updates
                .iter()
                .filter(|intent| is_due(intent) && (intent.action == "resolve") == (action == "resolve"))
                .count();
            assert!(
                taken <= told + not_known,
                "incident {}: {taken} times {action} with {not_known} without an answer",
                incident.id
            );
        }
    }
    assert!(by_key.is_empty(), "told of what never was: {by_key:?}");
    // What the ledger calls delivered is what the vendor answered with 202.
    let ledger = control.ledger().await.unwrap();
    let delivered = ledger.iter().filter(|row| row.event.ends_with(" delivered")).count();
    let answered = log.iter().filter(|entry| entry.is_taken && entry.is_answered).count();
    assert_eq!(delivered, intents, "every intent was delivered once");
    assert!(delivered <= answered, "{delivered} in the ledger, {answered} answered");
    assert_eq!(control.first_broken_row().await.unwrap(), None);
    assert!(
        deaths > 0 && twice > 0 && unclear > 0,
        "the vendor was too kind: {deaths} {twice} {unclear}"
    );
    eprintln!(
        "{made} changes, {} incidents, {} requests, {deaths} deaths, {unclear} without an answer, {twice} twice",
        incidents.len(),
        log.len()
    );
}
