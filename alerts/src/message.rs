//! What people are told: the value, what it is compared with, what drove it, and how far it can be trusted.

use atalaya_model::{Currency, Figure, Language, ProofState, Series};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::{Rule, Verdict, evaluate::Windows};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Trigger,
    Resolve,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Resolve => "resolve",
        }
    }
}

/// A notification before it is written for a route.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) action: Action,
    pub(crate) dedup_key: String,
    pub(crate) rule_id: String,
    pub(crate) metric: String,
    pub(crate) company: String,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) footer: String,
    pub(crate) details: Value,
    pub(crate) runbook_url: String,
    pub(crate) at: DateTime<Utc>,
}

/// One part of the change: a product, a country ...
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) label: String,
    pub(crate) change_minor: i64,
}

/// The change by part, largest first. The parts add up to the change of the whole, because both are sums over the same
/// rows and each period's parts are allocated to its published total.
pub(crate) fn drivers(series: &Series, windows: &Windows) -> Vec<Driver> {
    let mut parts: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for point in &series.points {
        let Figure::Money { value_minor, .. } = point.figure else {
            continue;
        };
        let label = point
            .dimensions
            .first()
            .cloned()
            .flatten()
            .unwrap_or_else(|| "?".to_owned());
        let sign = if point.period_on >= windows.current_from && point.period_on <= windows.current_last {
            1
        } else if point.period_on >= windows.base_from && point.period_on < windows.current_from {
            -1
        } else {
            continue;
        };
        *parts.entry(label).or_default() += sign * value_minor;
    }
    let mut found: Vec<Driver> = parts
        .into_iter()
        .map(|(label, change_minor)| Driver { label, change_minor })
        .collect();
    found.sort_by_key(|driver| (-driver.change_minor.abs(), driver.label.clone()));
    found
}

#[allow(clippy::too_many_arguments, reason = "everything that is told, gathered once")]
pub(crate) fn message(
    language: Language,
    action: Action,
    rule: &Rule,
    company: &str,
    dedup_key: &str,
    verdict: &Verdict,
    windows: &Windows,
    drivers: &[Driver],
    series: &Series,
    currency: Currency,
    at: DateTime<Utc>,
) -> Message {
    let (base, current) = match verdict {
        Verdict::Fires {
            base_minor,
            current_minor,
        }
        | Verdict::Holds {
            base_minor,
            current_minor,
        }
        | Verdict::Recovered {
            base_minor,
            current_minor,
        }
        | Verdict::BelowFloor {
            base_minor,
            current_minor,
        } => (*base_minor, *current_minor),
        Verdict::NoValue { .. } => (0, 0),
    };
    let percent = change_percent(language, base, current);
    let name = language.pick(&rule.name_en, &rule.name_es);
    let money = |minor| language.money(minor, currency);
    let span = |from: NaiveDate, last: NaiveDate| format!("{} – {}", language.day(from), language.day(last));
    let title = match action {
        Action::Trigger => format!("{name}: {percent} ({company})"),
        Action::Resolve => format!("{}: {name} ({company})", language.pick("Resolved", "Resuelto")),
    };
    let base_last = windows.current_from.pred_opt().unwrap_or(windows.current_from);
    let mut lines = vec![
        format!(
            "{}: {} ({})",
            language.pick("Now", "Ahora"),
            money(current),
            span(windows.current_from, windows.current_last)
        ),
        format!(
            "{}: {} ({})",
            language.pick("Before", "Antes"),
            money(base),
            span(windows.base_from, base_last)
        ),
        format!(
            "{}: {} ({percent})",
            language.pick("Change", "Cambio"),
            money(current - base)
        ),
    ];
    if action == Action::Trigger {
        for driver in drivers {
            lines.push(format!("  {}: {}", driver.label, money(driver.change_minor)));
        }
    }
    let fresh = series
        .fresh_at
        .map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
        .unwrap_or_else(|| "–".to_owned());
    let footer = format!(
        "{} {fresh} · {} {} · {} {}",
        language.pick("Data until", "Datos hasta"),
        language.pick("proof", "prueba"),
        proof_word(language, series.proof.state),
        language.pick("definition", "definición"),
        &series.proof.definition_hash.get(..12).unwrap_or_default()
    );
    let details = json!({
        "current_minor": current,
        "base_minor": base,
        "change_minor": current - base,
        "currency": currency.code(),
        "current_window": [windows.current_from, windows.current_last],
        "base_window": [windows.base_from, base_last],
        "drivers": drivers.iter().map(|driver| json!({"part": driver.label, "change_minor": driver.change_minor})).collect::<Vec<_>>(),
        "snapshot": series.proof.snapshot,
        "definition": series.proof.definition_hash,
        "proof": series.proof.state.name(),
        "summary": lines.join("\n"),
    });
    Message {
        action,
        dedup_key: dedup_key.to_owned(),
        rule_id: rule.id.clone(),
        metric: rule.metric.clone(),
        company: company.to_owned(),
        title,
        lines,
        footer,
        details,
        runbook_url: rule.runbook_url.clone(),
        at,
    }
}

fn proof_word(language: Language, state: ProofState) -> &'static str {
    match state {
        ProofState::Checked => language.pick("checked", "comprobada"),
        ProofState::Pending => language.pick("pending", "pendiente"),
        ProofState::Failed => language.pick("failed", "fallida"),
    }
}

/// Two decimals where one would hide on which side of the line it is.
#[allow(
    clippy::cast_precision_loss,
    reason = "a percentage for reading; the decision was made in integers"
)]
fn change_percent(language: Language, base: i64, current: i64) -> String {
    if base == 0 {
        return "–".to_owned();
    }
    language.signed_percent((current as f64 - base as f64) / base as f64, 2)
}
