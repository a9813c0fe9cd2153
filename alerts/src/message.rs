//! What people are told: the value, what it is compared with, what drove it, and how far it can be trusted.

use atalaya_model::{Figure, Language, ProofState, Reading, Series};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::{
    Condition, Incident, Route, Rule,
    control::IncidentKind,
    limit::show,
    observe::{ALL, Observed, Windows},
    rule::Watch,
};

/// Things that are listed one by one; of more only the number is told.
const LISTED: usize = 10;
/// Characters of a name that a customer chose.
const NAME_CHARS: usize = 120;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Trigger,
    Update,
    Resolve,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Update => "update",
            Self::Resolve => "resolve",
        }
    }
}

/// A notification before it is written for a route.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) action: Action,
    pub(crate) severity: &'static str,
    pub(crate) dedup_key: String,
    pub(crate) rule_id: String,
    pub(crate) component: String,
    pub(crate) company: String,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) footer: String,
    pub(crate) details: Value,
    pub(crate) runbook_url: String,
    pub(crate) at: DateTime<Utc>,
}

/// What is told when a route will never take a notification. It has a key of its own: it must not end or join the alert.
pub(crate) fn undelivered(incident: &Incident, route: Route, reason: &str, at: DateTime<Utc>) -> Message {
    Message {
        action: Action::Trigger,
        severity: "error",
        dedup_key: format!("{}-undelivered-{}", incident.dedup_key, route.name()),
        rule_id: incident.rule_id.clone(),
        component: "alerts".to_owned(),
        company: "Atalaya".to_owned(),
        title: format!(
            "{} refused an alert · {} rechazó una alerta: {}",
            route.name(),
            route.name(),
            incident.title
        ),
        lines: vec![cut(reason), format!("incident {}", incident.id)],
        footer: incident.rule_id.clone(),
        details: json!({"incident": incident.id, "route": route.name(), "reason": reason}),
        runbook_url: String::new(),
        at,
    }
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

/// All that a message tells, in no language yet.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) kind: IncidentKind,
    pub(crate) action: Action,
    pub(crate) dedup_key: &'a str,
    pub(crate) company: &'a str,
    /// The things it is about, with their names.
    pub(crate) members: &'a [(String, Option<String>)],
    /// What was seen; absent when that was not possible.
    pub(crate) observed: Option<&'a Observed>,
    /// Why there is no value.
    pub(crate) reason: Option<&'a str>,
    pub(crate) drivers: &'a [Driver],
    pub(crate) at: DateTime<Utc>,
}

impl Story<'_> {
    /// The message in a language. Numbers are the same in every language; only their dress differs.
    pub(crate) fn tell(&self, language: Language) -> Message {
        let name = language.pick(&self.rule.name_en, &self.rule.name_es);
        let mut lines = Vec::new();
        if self.kind == IncidentKind::Blind && self.action != Action::Resolve {
            lines.push(self.blindness(language));
        }
        if let Some(observed) = self.observed {
            match &self.rule.watch {
                Watch::Change { .. } => lines.extend(self.change(language, observed)),
                _ if self.kind == IncidentKind::Breach => lines.extend(self.levels(language, observed)),
                _ => {}
            }
        }
        if self.kind == IncidentKind::Breach
            && let Some(limit) = self.limit(language)
        {
            lines.push(format!("{}: {limit}", language.pick("Fires when", "Se dispara con")));
        }
        let mut details = self.details();
        details["summary"] = lines.join("\n").into();
        Message {
            action: self.action,
            severity: match self.kind {
                IncidentKind::Breach => self.rule.severity.name(),
                IncidentKind::Blind => "warning",
            },
            dedup_key: self.dedup_key.to_owned(),
            rule_id: self.rule.id.clone(),
            component: match &self.rule.watch {
                Watch::Signal { signal, .. } => signal.clone(),
                Watch::Metric { metric, .. } | Watch::Change { metric, .. } => metric.clone(),
                Watch::Unacknowledged => "alerts".to_owned(),
            },
            company: self.company.to_owned(),
            title: self.title(language, name),
            lines,
            footer: self.footer(language),
            details,
            runbook_url: self.rule.runbook_url.clone(),
            at: self.at,
        }
    }

    fn title(&self, language: Language, name: &str) -> String {
        let what = match self.members {
            [(entity, label)] => match self.reading(entity) {
                Some(reading) if self.action != Action::Resolve && self.kind == IncidentKind::Breach => {
                    let value = self.value(language, reading);
                    join(&shown_name(entity, label.as_deref()), &value)
                }
                _ => shown_name(entity, label.as_deref()),
            },
            [] => String::new(),
            many => language.integer(i64::try_from(many.len()).unwrap_or(i64::MAX)),
        };
        let prefix = match (self.action, self.kind) {
            (Action::Resolve, _) => language.pick("Resolved: ", "Resuelto: "),
            (_, IncidentKind::Blind) => language.pick("No data: ", "Sin datos: "),
            _ => "",
        };
        let colon = if what.is_empty() { "" } else { ": " };
        format!("{prefix}{name}{colon}{what} ({})", self.company)
    }

    fn reading(&self, entity: &str) -> Option<&Reading> {
        let readings = &self.observed?.readings;
        readings.iter().find(|reading| reading.entity == entity)
    }

    /// A reading's value; what is merely present has none.
    fn value(&self, language: Language, reading: &Reading) -> String {
        let Some(observed) = self.observed.filter(|_| reading.denominator > 0) else {
            return String::new();
        };
        if let Watch::Change { .. } = self.rule.watch {
            return change_percent(language, reading);
        }
        if self.rule.condition == Condition::Present {
            return String::new();
        }
        show(
            language,
            observed.unit,
            observed.currency,
            reading.numerator,
            reading.denominator,
        )
    }

    /// The things one by one: what they are called, their value, and what the records say of them.
    fn levels(&self, language: Language, observed: &Observed) -> Vec<String> {
        let mut lines = Vec::new();
        for (entity, label) in self.members.iter().take(LISTED) {
            let Some(reading) = self.reading(entity) else {
                continue;
            };
            let mut parts = vec![join(
                &shown_name(entity, label.as_deref()),
                &self.value(language, reading),
            )];
            for (column, text) in &reading.evidence {
                parts.push(format!("{column} {}", cut(text)));
            }
            if let Some(since) = reading.since_at {
                parts.push(format!(
                    "{} {}",
                    language.pick("since", "desde"),
                    since.format("%Y-%m-%d %H:%M UTC")
                ));
            }
            let line = parts
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" · ");
            if !line.is_empty() {
                lines.push(line);
            }
        }
        if self.members.len() > LISTED {
            lines.push(format!(
                "{} {}",
                language.pick("and more:", "y más:"),
                language.integer(i64::try_from(self.members.len() - LISTED).unwrap_or(i64::MAX))
            ));
        }
        if let (Watch::Metric { .. }, Some(windows)) = (&self.rule.watch, observed.windows) {
            lines.push(format!(
                "{}: {}",
                language.pick("Period", "Periodo"),
                span(language, windows.current_from, windows.current_last)
            ));
        }
        lines
    }

    fn change(&self, language: Language, observed: &Observed) -> Vec<String> {
        let (Some(windows), Some(reading)) = (observed.windows, observed.readings.first()) else {
            return Vec::new();
        };
        let money = |minor| language.money(minor, observed.currency);
        let mut lines = vec![
            format!(
                "{}: {} ({})",
                language.pick("Now", "Ahora"),
                money(reading.denominator + reading.numerator),
                span(language, windows.current_from, windows.current_last)
            ),
            format!(
                "{}: {} ({})",
                language.pick("Before", "Antes"),
                money(reading.denominator),
                span(language, windows.base_from, before(windows.current_from))
            ),
            format!(
                "{}: {} ({})",
                language.pick("Change", "Cambio"),
                money(reading.numerator),
                change_percent(language, reading)
            ),
        ];
        if self.action == Action::Trigger {
            for driver in self.drivers {
                lines.push(format!("  {}: {}", cut(&driver.label), money(driver.change_minor)));
            }
        }
        lines
    }

    fn blindness(&self, language: Language) -> String {
        let why = self.reason.unwrap_or("nothing more is heard of it");
        let text = language.pick(
            "This rule cannot be judged, so nobody would be told if it fired",
            "Esta regla no se puede evaluar, así que nadie se enteraría si se disparase",
        );
        let things: Vec<String> = self
            .members
            .iter()
            .filter(|(entity, _)| !entity.is_empty() && entity != ALL)
            .take(LISTED)
            .map(|(entity, label)| shown_name(entity, label.as_deref()))
            .collect();
        let things = if things.is_empty() {
            String::new()
        } else {
            format!(" ({})", things.join(", "))
        };
        format!("{text}: {why}{things}")
    }

    fn limit(&self, language: Language) -> Option<String> {
        let Condition::Level {
            fires: (side, limit), ..
        } = &self.rule.condition
        else {
            return None;
        };
        let unit = limit.unit.or(self.observed.map(|observed| observed.unit))?;
        let currency = limit.currency.or(self.observed.map(|observed| observed.currency))?;
        let mut text = format!(
            "{} {}",
            side.sign(),
            show(language, unit, currency, limit.numerator, limit.denominator)
        );
        if self.rule.timing.for_secs > 0 {
            let lasting = show(
                language,
                atalaya_model::ReadingUnit::Seconds,
                currency,
                self.rule.timing.for_secs,
                1,
            );
            text += &format!(" {} {lasting}", language.pick("for", "durante"));
        }
        Some(text)
    }

    fn footer(&self, language: Language) -> String {
        let Some(observed) = self.observed else {
            return self.rule.id.clone();
        };
        let fresh = observed
            .fresh_at
            .map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_else(|| "–".to_owned());
        format!(
            "{} · {} {fresh} · {} {} · {} {}",
            self.rule.id,
            language.pick("data until", "datos hasta"),
            language.pick("proof", "prueba"),
            proof_word(language, observed.proof_state),
            language.pick("definition", "definición"),
            observed.definition_hash.get(..12).unwrap_or_default()
        )
    }

    fn details(&self) -> Value {
        let mut details = json!({"rule": self.rule.id, "rule_hash": self.rule.hash});
        if let Some(reason) = self.reason {
            details["no_value"] = reason.into();
        }
        let Some(observed) = self.observed else {
            return details;
        };
        details["snapshot"] = observed.snapshot.clone().into();
        details["definition"] = observed.definition_hash.clone().into();
        details["proof"] = observed.proof_state.name().into();
        if let (Watch::Change { .. }, Some(windows), Some(reading)) =
            (&self.rule.watch, observed.windows, observed.readings.first())
        {
            details["current_minor"] = (reading.denominator + reading.numerator).into();
            details["base_minor"] = reading.denominator.into();
            details["change_minor"] = reading.numerator.into();
            details["currency"] = observed.currency.code().into();
            details["current_window"] = json!([windows.current_from, windows.current_last]);
            details["base_window"] = json!([windows.base_from, before(windows.current_from)]);
            let drivers = self.drivers.iter();
            details["drivers"] = drivers
                .map(|driver| json!({"part": driver.label, "change_minor": driver.change_minor}))
                .collect();
            return details;
        }
        details["things"] = self.members.len().into();
        details["readings"] = self
            .members
            .iter()
            .take(LISTED)
            .filter_map(|(entity, _)| self.reading(entity))
            .map(|reading| {
                let evidence: serde_json::Map<String, Value> = reading
                    .evidence
                    .iter()
                    .map(|(name, text)| (name.clone(), cut(text).into()))
                    .collect();
                json!({
                    "entity": reading.entity, "label": reading.label, "numerator": reading.numerator,
                    "denominator": reading.denominator, "since": reading.since_at, "evidence": evidence,
                })
            })
            .collect();
        details
    }
}

fn before(day: NaiveDate) -> NaiveDate {
    day.pred_opt().unwrap_or(day)
}

fn span(language: Language, from: NaiveDate, last: NaiveDate) -> String {
    if from == last {
        return language.day(from);
    }
    format!("{} – {}", language.day(from), language.day(last))
}

fn join(name: &str, value: &str) -> String {
    match (name.is_empty(), value.is_empty()) {
        (true, _) => value.to_owned(),
        (_, true) => name.to_owned(),
        _ => format!("{name} {value}"),
    }
}

/// A thing as people call it; the company and the rule itself need no name.
fn shown_name(entity: &str, label: Option<&str>) -> String {
    match label {
        Some(label) if label != entity && !label.is_empty() => format!("{} ({})", cut(label), cut(entity)),
        _ if entity == ALL => String::new(),
        _ => cut(entity),
    }
}

fn cut(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    if flat.chars().count() <= NAME_CHARS {
        return flat;
    }
    flat.chars().take(NAME_CHARS - 1).chain(['…']).collect()
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
fn change_percent(language: Language, reading: &Reading) -> String {
    if reading.denominator == 0 {
        return "–".to_owned();
    }
    language.signed_percent(reading.numerator as f64 / reading.denominator as f64, 2)
}
