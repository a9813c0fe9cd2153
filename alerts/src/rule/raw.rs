//! A rule as its file has it, and what is made of it.

use atalaya_model::Grain;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Class, Group, Rule, Severity, Watch, WhenGone, trial::Trial};
use crate::{Condition, Timing, judge::Side, limit::Limit, notify::Route};

/// Seconds without a value before somebody is told, where a rule says nothing: a figure of a day may come a day late.
const MISSING_SECS_OF_METRIC: i64 = 2 * 86_400;
const MISSING_SECS_OF_SIGNAL: i64 = 600;
/// What is told without a rule.
const OWN_IDS: [&str; 3] = ["canary", "digest", "evaluation_late"];
/// An address that every vendor takes.
const MOST_URL_BYTES: usize = 2_000;
/// Days of a window.
const MOST_DAYS: u32 = 400;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    id: String,
    name_en: String,
    name_es: String,
    class: Class,
    severity: Severity,
    routes: Vec<String>,
    #[serde(default)]
    runbook_url: String,
    #[serde(default)]
    group: Option<Group>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    inhibited_for: Option<String>,
    #[serde(default)]
    notice: bool,
    off: Option<String>,
    watch: RawWatch,
    fires: RawFires,
    recovers: Option<RawRecovers>,
    missing: Option<RawMissing>,
    #[serde(default)]
    pub(super) test: Vec<Trial>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatch {
    signal: Option<String>,
    #[serde(default)]
    only: std::collections::BTreeMap<String, String>,
    metric: Option<String>,
    grain: Option<Grain>,
    #[serde(default)]
    to_date: bool,
    change_over_days: Option<u32>,
    explained_by: Option<String>,
    #[serde(default)]
    unacknowledged: bool,
    #[serde(default)]
    rule_faults: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSide {
    above: Option<String>,
    at_least: Option<String>,
    below: Option<String>,
    at_most: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFires {
    above: Option<String>,
    at_least: Option<String>,
    below: Option<String>,
    at_most: Option<String>,
    #[serde(default)]
    present: bool,
    #[serde(default)]
    also_when_over: bool,
    #[serde(rename = "for")]
    lasting: Option<String>,
    #[serde(default)]
    min_base: i64,
    #[serde(default)]
    min_change: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecovers {
    above: Option<String>,
    at_least: Option<String>,
    below: Option<String>,
    at_most: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMissing {
    means: Option<WhenGone>,
    tell_after: Option<String>,
}

impl RawSide {
    /// The one side that is given.
    fn one(self) -> Result<Option<(Side, Limit)>, String> {
        let given: Vec<(Side, String)> = [
            (Side::Above, self.above),
            (Side::AtLeast, self.at_least),
            (Side::Below, self.below),
            (Side::AtMost, self.at_most),
        ]
        .into_iter()
        .filter_map(|(side, text)| Some((side, text?)))
        .collect();
        match given.as_slice() {
            [] => Ok(None),
            [(side, text)] => Ok(Some((*side, Limit::parse(text)?))),
            _ => Err("one of above, at_least, below and at_most is enough".to_owned()),
        }
    }
}

impl RawWatch {
    fn check(self) -> Result<Watch, String> {
        let only: Vec<(String, String)> = self.only.into_iter().collect();
        if self.unacknowledged || self.rule_faults {
            if self.signal.is_some() || self.metric.is_some() || self.unacknowledged == self.rule_faults {
                return Err("watch: unacknowledged and rule_faults stand alone".to_owned());
            }
            return Ok(if self.unacknowledged {
                Watch::Unacknowledged
            } else {
                Watch::RuleFaults
            });
        }
        match (self.signal, self.metric) {
            (Some(signal), None) => {
                if self.grain.is_some() || self.change_over_days.is_some() || self.explained_by.is_some() {
                    return Err("watch: a signal has neither grain nor windows".to_owned());
                }
                Ok(Watch::Signal { signal, only })
            }
            (None, Some(_)) if !only.is_empty() => Err("watch: only belongs to a signal".to_owned()),
            (None, Some(metric)) => match self.change_over_days {
                Some(days) if !(1..=MOST_DAYS).contains(&days) => {
                    Err(format!("watch: a window has 1 to {MOST_DAYS} days"))
                }
                Some(days) => Ok(Watch::Change {
                    metric,
                    days,
                    explained_by: self.explained_by,
                }),
                None if self.explained_by.is_some() => Err("watch: explained_by belongs to a change".to_owned()),
                None => Ok(Watch::Metric {
                    metric,
                    grain: self.grain.ok_or("watch: a metric needs a grain or change_over_days")?,
                    is_to_date: self.to_date,
                }),
            },
            _ => Err("watch: name a signal or a metric".to_owned()),
        }
    }
}

impl RawRule {
    /// The checked rule; the error says what is wrong with it.
    pub(super) fn check(self, text: &str) -> Result<(Rule, Vec<Trial>), String> {
        let is_metric = self.watch.metric.is_some();
        let fires = RawSide {
            above: self.fires.above,
            at_least: self.fires.at_least,
            below: self.fires.below,
            at_most: self.fires.at_most,
        }
        .one()
        .map_err(|reason| format!("fires: {reason}"))?;
        let (recovers, after) = match self.recovers {
            None => (None, None),
            Some(raw) => {
                let side = RawSide {
                    above: raw.above,
                    at_least: raw.at_least,
                    below: raw.below,
                    at_most: raw.at_most,
                };
                (side.one().map_err(|reason| format!("recovers: {reason}"))?, raw.after)
            }
        };
        let condition = match (fires, self.fires.present) {
            (Some(fires), false) => {
                if let Some(recovers) = &recovers {
                    if recovers.0.is_upward() == fires.0.is_upward() {
                        return Err("recovers: it must lie on the other side".to_owned());
                    }
                    if recovers.1.unit != fires.1.unit || recovers.1.currency != fires.1.currency {
                        return Err("recovers: the limit counts something else".to_owned());
                    }
                    // A value that breaches and is clear at once would fire and recover for ever.
                    let (own, limit) = (&recovers.1, &fires.1);
                    if fires.0.holds(limit.compare(own.numerator, own.denominator)) {
                        return Err("recovers: the limit itself would fire".to_owned());
                    }
                }
                Condition::Level {
                    fires,
                    recovers,
                    min_base: self.fires.min_base,
                    min_change: self.fires.min_change,
                }
            }
            (None, true) if recovers.is_some() => return Err("recovers: what is present has no limit".to_owned()),
            (None, true) => Condition::Present {
                also_when_over: self.fires.also_when_over,
            },
            _ => return Err("fires: give one limit, or present = true".to_owned()),
        };
        let secs = |text: Option<String>, field: &str, otherwise: i64| match text {
            None => Ok(otherwise),
            Some(text) => Limit::parse_secs(&text).map_err(|reason| format!("{field}: {reason}")),
        };
        let missing = self.missing.unwrap_or(RawMissing {
            means: None,
            tell_after: None,
        });
        let (otherwise, when_gone) = if is_metric {
            (MISSING_SECS_OF_METRIC, WhenGone::Unknown)
        } else if matches!(condition, Condition::Present { .. }) {
            (MISSING_SECS_OF_SIGNAL, WhenGone::Recovered)
        } else {
            (MISSING_SECS_OF_SIGNAL, WhenGone::Unknown)
        };
        let timing = Timing {
            for_secs: secs(self.fires.lasting, "fires.for", 0)?,
            recover_secs: secs(after, "recovers.after", 0)?,
            missing_secs: secs(missing.tell_after, "missing.tell_after", otherwise)?,
        };
        let routes: Vec<Route> = self
            .routes
            .iter()
            .map(|name| Route::parse(name).ok_or_else(|| format!("routes: there is no route {name:?}")))
            .collect::<Result<_, _>>()?;
        if routes.is_empty() {
            return Err("routes: somebody must be told".to_owned());
        }
        if self.class == Class::Opportunity && routes.contains(&Route::Pagerduty) {
            return Err("routes: an opportunity never pages".to_owned());
        }
        let allowed = self
            .id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if self.id.is_empty() || !allowed {
            return Err(format!("id {:?} may hold a-z, 0-9 and _ only", self.id));
        }
        if OWN_IDS.contains(&self.id.as_str()) {
            return Err(format!("id {:?} is that of an incident of Atalaya's own", self.id));
        }
        if !self.runbook_url.is_empty() {
            let url = url::Url::parse(&self.runbook_url).map_err(|error| format!("runbook_url: {error}"))?;
            if !matches!(url.scheme(), "http" | "https") || self.runbook_url.len() > MOST_URL_BYTES {
                return Err("runbook_url: is no http address of at most 2,000 characters".to_owned());
            }
        }
        let rule = Rule {
            id: self.id,
            name_en: self.name_en,
            name_es: self.name_es,
            class: self.class,
            severity: self.severity,
            routes,
            runbook_url: self.runbook_url,
            watch: self.watch.check()?,
            condition,
            timing,
            when_gone: missing.means.unwrap_or(when_gone),
            group: self.group.unwrap_or(Group::Entity),
            inhibited_by: self.inhibited_by,
            inhibited_for_secs: match self.inhibited_for {
                Some(text) => Some(secs(Some(text), "inhibited_for", 0)?),
                None => None,
            },
            is_notice: self.notice,
            off: self.off,
            hash: Sha256::digest(text.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        };
        Ok((rule, self.test))
    }
}
