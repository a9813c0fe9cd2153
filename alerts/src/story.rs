//! What people are told: the value, what it is compared with, what drove it, and how far it can be trusted.

use atalaya_model::{Language, ProofState, Reading, ReadingUnit};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::{
    Condition, Rule,
    control::IncidentKind,
    decide::RULE_ITSELF,
    drivers::Driver,
    limit::{lasting, show, show_beside},
    message::{Action, Answers, Chart, Message, Table, and_more, cut},
    observe::{ALL, Observed},
    rule::Watch,
};

/// Things that are listed one by one; of more only the number is told.
pub(crate) const LISTED: usize = 10;
/// Days that a drawing on a phone can show.
const MOST_POINTS: usize = 20;

/// Why nothing more is told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is well again.
    Recovered,
    /// There is a value again.
    Sees,
    /// Nothing was heard for so long that nobody expects it any more.
    GivenUp,
    /// Nobody watches it any more.
    SwitchedOff,
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
    /// How it ended, and when it had begun.
    pub(crate) ending: Option<(Ending, DateTime<Utc>)>,
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
        let (mut table, mut chart) = (None, None);
        if let Some(observed) = self
            .observed
            .filter(|_| self.ending.is_none_or(|(ending, _)| ending == Ending::Recovered))
        {
            match &self.rule.watch {
                Watch::Change { .. } => {
                    lines.extend(self.change(language, observed));
                    if self.action == Action::Trigger {
                        table = self.parts(language, observed);
                        chart = self.days(language, observed);
                    }
                }
                _ if self.kind == IncidentKind::Breach => {
                    let things = self.levels(language);
                    // One thing is a line; a table of one row would say the same with more furniture.
                    if things.rows.len() > 1 {
                        table = Some(things);
                    } else {
                        lines.extend(things.lines());
                    }
                    lines.extend(self.beside(language, observed));
                }
                _ => {}
            }
        }
        if let Some((ending, opened_at)) = self.ending {
            lines.extend(self.end(language, ending, opened_at));
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
                Watch::Unacknowledged | Watch::RuleFaults => "alerts".to_owned(),
            },
            company: self.company.to_owned(),
            title: self.title(language, name),
            lines,
            table,
            chart,
            language,
            footer: self.footer(language),
            details,
            runbook_url: self.rule.runbook_url.clone(),
            answers: match (self.kind, &self.rule.watch) {
                _ if self.rule.is_notice => Answers::None,
                // A silence would hide more than what is spoken of.
                (IncidentKind::Blind, _) | (_, Watch::Unacknowledged | Watch::RuleFaults) => Answers::Take,
                _ => Answers::TakeOrQuiet,
            },
            mentions: Vec::new(),
            also_to: Vec::new(),
            may_recur: false,
            is_well: matches!(self.ending, Some((Ending::Recovered | Ending::Sees, _))),
            at: self.at,
        }
    }

    fn title(&self, language: Language, name: &str) -> String {
        let what = match self.members {
            // Short, for a phone: the number of the thing stands in the lines.
            [(entity, label)] => {
                let short = label.as_deref().filter(|label| !label.is_empty());
                let short = short.map_or_else(|| shown_name(entity, None), cut);
                match self.reading(entity) {
                    Some(reading) if self.action != Action::Resolve && self.kind == IncidentKind::Breach => {
                        join(&short, &self.value(language, reading))
                    }
                    _ => short,
                }
            }
            [] => String::new(),
            many => language.integer(i64::try_from(many.len()).unwrap_or(i64::MAX)),
        };
        let prefix = match (self.ending, self.kind) {
            (Some((Ending::Recovered, _)), _) => language.pick("Resolved: ", "Resuelto: "),
            (Some((Ending::Sees, _)), _) => language.pick("Data again: ", "Hay datos de nuevo: "),
            (Some((Ending::GivenUp, _)), _) => language.pick("Given up: ", "Abandonado: "),
            (Some((Ending::SwitchedOff, _)), _) => language.pick("No longer watched: ", "Ya no se vigila: "),
            (None, IncidentKind::Blind) => language.pick("No data: ", "Sin datos: "),
            _ => "",
        };
        let colon = if what.is_empty() { "" } else { ": " };
        format!("{prefix}{name}{colon}{what} ({})", self.company)
    }

    /// How long it lasted, and what its end does not mean.
    fn end(&self, language: Language, ending: Ending, opened_at: DateTime<Utc>) -> Vec<String> {
        let secs = (self.at - opened_at).num_seconds().max(0);
        let lasted = lasting(language, secs);
        let mut lines = vec![format!("{} {lasted}", language.pick("Lasted", "Duró"))];
        lines.extend(
            match ending {
                Ending::Recovered | Ending::Sees => None,
                Ending::GivenUp => Some(language.pick(
                    "Nothing was heard for too long: nobody knows whether it is well.",
                    "Nada se supo en demasiado tiempo: nadie sabe si está bien.",
                )),
                Ending::SwitchedOff => Some(language.pick(
                    "Its rule was switched off: nobody knows whether it is well.",
                    "Su regla se desactivó: nadie sabe si está bien.",
                )),
            }
            .map(str::to_owned),
        );
        lines
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
        let value = (reading.numerator, reading.denominator);
        match &self.rule.condition {
            Condition::Level { fires: (_, limit), .. } => {
                show_beside(language, observed.unit, observed.currency, value, limit)
            }
            Condition::Present { .. } => String::new(),
        }
    }

    /// The things one by one: what they are called, their value, and what the records say of them.
    fn levels(&self, language: Language) -> Table {
        let shown: Vec<(&Reading, String)> = self
            .members
            .iter()
            .take(LISTED)
            .filter_map(|(entity, label)| Some((self.reading(entity)?, shown_name(entity, label.as_deref()))))
            .collect();
        let columns: Vec<&String> = shown
            .first()
            .map(|(reading, _)| reading.evidence.iter().map(|(name, _)| name).collect())
            .unwrap_or_default();
        let mut header = vec![
            language.pick("What", "Qué").to_owned(),
            language.pick("Value", "Valor").to_owned(),
        ];
        header.extend(columns.into_iter().cloned());
        header.push(language.pick("since", "desde").to_owned());
        let rows = shown.iter().map(|(reading, name)| {
            let since = reading.since_at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string());
            let evidence = reading.evidence.iter().map(|(_, text)| cut(text));
            [name.clone(), self.value(language, reading)]
                .into_iter()
                .chain(evidence)
                .chain([since.unwrap_or_default()])
                .collect()
        });
        Table {
            caption: cut(language.pick(&self.rule.name_en, &self.rule.name_es)),
            rows: rows.collect(),
            header,
        }
    }

    /// How many more there are, and of which period a figure is.
    fn beside(&self, language: Language, observed: &Observed) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(and_more(language, self.members.len().saturating_sub(LISTED)));
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
        let amount = |value| amount(language, observed, value);
        vec![
            format!(
                "{}: {} ({})",
                language.pick("Now", "Ahora"),
                amount(reading.denominator + reading.numerator),
                span(language, windows.current_from, windows.current_last)
            ),
            format!(
                "{}: {} ({})",
                language.pick("Before", "Antes"),
                amount(reading.denominator),
                span(language, windows.base_from, before(windows.current_from))
            ),
            format!(
                "{}: {} ({})",
                language.pick("Change", "Cambio"),
                amount(reading.numerator),
                change_percent(language, reading)
            ),
        ]
    }

    /// What the change is made of; the parts add up to it.
    fn parts(&self, language: Language, observed: &Observed) -> Option<Table> {
        let rows: Vec<Vec<String>> = self
            .drivers
            .iter()
            .take(LISTED)
            .map(|driver| vec![cut(&driver.label), amount(language, observed, driver.change_minor)])
            .collect();
        let header = [language.pick("Part", "Parte"), language.pick("Change", "Cambio")];
        (!rows.is_empty()).then(|| Table {
            caption: language
                .pick("What the change is made of", "De qué se compone el cambio")
                .to_owned(),
            header: header.map(str::to_owned).to_vec(),
            rows,
        })
    }

    /// The days that are compared, one over the other.
    fn days(&self, language: Language, observed: &Observed) -> Option<Chart> {
        let windows = observed.windows?;
        let (before, now): (Vec<_>, Vec<_>) = observed.days.iter().partition(|(day, _)| *day < windows.current_from);
        if now.is_empty() || now.len() != before.len() || now.len() > MOST_POINTS {
            return None;
        }
        let scale = match observed.amounts {
            ReadingUnit::Money => observed.currency.minor_per_major(),
            _ => 1,
        };
        let points = |days: &[(NaiveDate, i64)]| days.iter().map(|(_, value)| drawn(*value, scale)).collect();
        Some(Chart {
            title: cut(language.pick(&self.rule.name_en, &self.rule.name_es)),
            unit: match observed.amounts {
                ReadingUnit::Money => observed.currency.code().to_owned(),
                _ => String::new(),
            },
            categories: now.iter().map(|(day, _)| language.day(*day)).collect(),
            series: vec![
                (language.pick("Now", "Ahora").to_owned(), points(&now)),
                (language.pick("Before", "Antes").to_owned(), points(&before)),
            ],
        })
    }

    fn blindness(&self, language: Language) -> String {
        let why = self.reason.unwrap_or("nothing more is heard of it");
        let text = language.pick(
            "This rule cannot be judged, so nobody would be told if it fired",
            "Esta regla no se puede evaluar, así que nadie se enteraría si se disparase",
        );
        let is_thing = |(entity, _): &&(String, Option<String>)| entity != RULE_ITSELF && entity != ALL;
        let named = self.members.iter().filter(is_thing);
        let things: Vec<String> = named
            .clone()
            .take(LISTED)
            .map(|(entity, label)| shown_name(entity, label.as_deref()))
            .chain(and_more(language, named.count().saturating_sub(LISTED)))
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
            let lasting = lasting(language, self.rule.timing.for_secs);
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
            let drivers = self.drivers.iter().take(LISTED);
            details["drivers"] = drivers
                .map(|driver| json!({"part": cut(&driver.label), "change_minor": driver.change_minor}))
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
                    "entity": cut(&reading.entity), "label": reading.label.as_deref().map(cut), "numerator": reading.numerator,
                    "denominator": reading.denominator, "since": reading.since_at, "evidence": evidence,
                })
            })
            .collect();
        details
    }
}

fn amount(language: Language, observed: &Observed, value: i64) -> String {
    match observed.amounts {
        ReadingUnit::Money => language.money(value, observed.currency),
        _ => language.integer(value),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a point of a drawing")]
fn drawn(value: i64, scale: i64) -> f64 {
    value as f64 / scale as f64
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
        _ if entity == ALL || entity == RULE_ITSELF => String::new(),
        _ => cut(entity),
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
fn change_percent(language: Language, reading: &Reading) -> String {
    if reading.denominator == 0 {
        return "–".to_owned();
    }
    language.signed_percent(reading.numerator as f64 / reading.denominator as f64, 2)
}

#[cfg(test)]
mod tests;
