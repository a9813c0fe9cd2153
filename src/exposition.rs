use std::sync::atomic::AtomicU64;

use atalaya_alerts::{Control, Route};
use atalaya_metrics::Evaluator;
use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::context::Context;

type Labels = Vec<(String, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter>;

/// What is told of alerts where this process watches the rules.
#[derive(Clone)]
pub(crate) struct Watching {
    pub(crate) control: Control,
    /// Routes that have an address.
    pub(crate) addressed: Vec<Route>,
}

/// Numbers about a process that serves a home, as Prometheus reads them. They are made when somebody asks: what they tell stands in
/// the control database and in the process, and nowhere twice.
pub(crate) async fn exposition(
    context: &Context,
    watching: Option<&Watching>,
    evaluator: &Evaluator,
) -> anyhow::Result<String> {
    let mut registry = Registry::with_prefix("atalaya");
    let build = gauges(&mut registry, "build_info", "Which Atalaya this is");
    set(&build, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(watching) = watching {
        alerts(context, watching, &mut registry).await?;
    }
    sources(context, &mut registry);
    sums(evaluator, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

async fn alerts(context: &Context, watching: &Watching, registry: &mut Registry) -> anyhow::Result<()> {
    let now = context.clock.now();
    let beats = context.pulse.beats();
    let looks = counters(registry, "alerts_looks", "Looks at all rules, by their outcome");
    add(&looks, &[("outcome", "well")], beats.looks);
    add(&looks, &[("outcome", "failed")], beats.failed_looks);
    if let Some(at) = beats.looked_at {
        let help = "When all rules were looked at last, without a failure";
        gauge(registry, "alerts_last_look_timestamp_seconds", help, seconds(at));
    }
    let help = "When the process began to watch";
    gauge(
        registry,
        "alerts_started_timestamp_seconds",
        help,
        seconds(beats.started_at),
    );
    let took = as_float(beats.look_millis) / 1e3;
    gauge(
        registry,
        "alerts_look_duration_seconds",
        "How long the last look took",
        took,
    );

    let figures = watching.control.figures().await?;
    let open = gauges(registry, "alerts_incidents_open", "Incidents that are not over");
    for ((severity, is_taken), many) in &figures.open {
        let taken = if *is_taken { "yes" } else { "no" };
        set(
            &open,
            &[("severity", severity), ("taken", taken)],
            as_float(many.unsigned_abs()),
        );
    }
    let notifications = gauges(registry, "alerts_notifications", "Notifications by route and state");
    for ((route, state), many) in &figures.intents {
        set(
            &notifications,
            &[("route", route), ("state", state)],
            as_float(many.unsigned_abs()),
        );
    }
    let waiting = gauges(
        registry,
        "alerts_oldest_waiting_seconds",
        "How long the oldest notification of a route that has an address has been waiting",
    );
    let has_address = |name: &str| watching.addressed.iter().any(|route| route.name() == name);
    for (route, since) in figures.waiting_since.iter().filter(|(route, _)| has_address(route)) {
        set(&waiting, &[("route", route)], seconds(now) - seconds(*since));
    }
    let sent = gauges(
        registry,
        "alerts_canary_timestamp_seconds",
        "When the last test of a route was sent",
    );
    let latency = gauges(
        registry,
        "alerts_canary_latency_seconds",
        "How long the last test of a route took; absent until it is delivered",
    );
    for (route, canary) in &figures.canaries {
        set(&sent, &[("route", route)], seconds(canary.sent_at));
        if let Some(millis) = canary.latency_ms {
            set(&latency, &[("route", route)], as_float(millis.unsigned_abs()) / 1e3);
        }
    }
    Ok(())
}

/// Of the sums over all customers that follow commits.
fn sums(evaluator: &Evaluator, registry: &mut Registry) {
    let (passes, updates) = evaluator.passes_and_updates();
    let help =
        "Sums over all customers, by how they were computed: from all customers, or from those concerned by a commit";
    let computed = counters(registry, "figures_computed", help);
    add(&computed, &[("from", "all")], passes);
    add(&computed, &[("from", "some")], updates);
    let Some(drift) = evaluator.drift() else {
        return;
    };
    let differences = u64::try_from(drift.differences).unwrap_or(u64::MAX);
    let help = "Sums that followed commits and differed from a computation from all records; anything but 0 is a fault";
    gauge(registry, "figures_drift", help, as_float(differences));
    let help = "When sums that follow commits were last compared with all records";
    gauge(
        registry,
        "figures_drift_checked_timestamp_seconds",
        help,
        seconds(drift.checked_at),
    );
}

fn sources(context: &Context, registry: &mut Registry) {
    let counts = context
        .receivers
        .as_ref()
        .map(|receivers| receivers.counts())
        .unwrap_or_default();
    let synced = context.synced();
    if counts.is_empty() && synced.is_empty() {
        return;
    }
    let rows = counters(
        registry,
        "source_rows",
        "Rows that were new, since the start of the process",
    );
    let dead = counters(
        registry,
        "source_dead_letters",
        "Events kept as dead letters, since the start of the process",
    );
    let refused = counters(
        registry,
        "source_refused",
        "Requests refused for what they are, or syncs that failed",
    );
    let last = gauges(
        registry,
        "source_last_timestamp_seconds",
        "When a source was heard last",
    );
    for of in counts {
        let label = [("source", of.source.as_str())];
        add(&rows, &label, of.rows);
        add(&dead, &label, of.dead_letters);
        add(&refused, &label, of.refused);
        if let Some(at) = of.last_at {
            set(&last, &label, seconds(at));
        }
    }
    for (name, note) in &synced {
        let label = [("source", name.as_str())];
        add(&rows, &label, note.all.rows);
        add(&dead, &label, note.all.dead_letters);
        add(&refused, &label, note.failures);
        if let Some(at) = note.at {
            set(&last, &label, seconds(at));
        }
    }
}

/// One number without labels.
fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn gauges(registry: &mut Registry, name: &str, help: &str) -> Gauges {
    let family = Gauges::default();
    registry.register(name, help, family.clone());
    family
}

fn counters(registry: &mut Registry, name: &str, help: &str) -> Counters {
    let family = Counters::default();
    registry.register(name, help, family.clone());
    family
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn set(family: &Gauges, pairs: &[(&str, &str)], value: f64) {
    family.get_or_create(&labels(pairs)).set(value);
}

fn add(family: &Counters, pairs: &[(&str, &str)], value: u64) {
    family.get_or_create(&labels(pairs)).inc_by(value);
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus knows floating point alone")]
fn as_float(value: u64) -> f64 {
    value as f64
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus knows floating point alone")]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1e3
}
