use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use atalaya_model::{Clock, HomeSettings, Language, MetricReader, ProofState, Reading, ReadingUnit, calendar};
use chrono::{DateTime, NaiveTime, Utc};

use crate::{
    AlertError, Control, Incident, IncidentKind, Oncall, Route, Rule, RuleSet,
    control::Kept,
    decide::{Case, decide},
    drivers::{Driver, drivers},
    hear::hear,
    observe::{Observed, change_query, observe},
    rule::Watch,
    tick::Tick,
};

/// What a tick did, one line a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TickReport {
    /// `rule: what was found`.
    pub lines: Vec<String>,
}

/// Evaluates rules.
pub struct Runner {
    reader: Arc<dyn MetricReader>,
    pub(crate) control: Control,
    clock: Arc<dyn Clock>,
    pub(crate) settings: HomeSettings,
    pub(crate) language: Language,
    pub(crate) rules: RuleSet,
    /// Who is told by name, where the home says so.
    pub(crate) oncall: Option<Oncall>,
    /// When each day opportunities are told, local time.
    pub(crate) digest_at: NaiveTime,
}

impl Runner {
    /// A runner over rules; messages are in `language`.
    pub fn new(
        reader: Arc<dyn MetricReader>,
        control: Control,
        clock: Arc<dyn Clock>,
        settings: HomeSettings,
        language: Language,
        rules: RuleSet,
    ) -> Self {
        Self {
            reader,
            control,
            clock,
            settings,
            language,
            rules,
            oncall: None,
            digest_at: NaiveTime::from_hms_opt(9, 0, 0).unwrap_or_default(),
        }
    }

    /// The same, telling opportunities at another hour than nine.
    pub fn with_digest_at(self, digest_at: NaiveTime) -> Self {
        Self { digest_at, ..self }
    }

    /// The same, naming those on call and telling others when they do not answer.
    pub fn with_oncall(self, oncall: Option<Oncall>) -> Self {
        Self { oncall, ..self }
    }

    /// Evaluates every rule once, with one "now". Each rule's state, incidents, intents and ledger rows are one transaction. A
    /// rule that fails leaves the others looked at; the first failure is returned in the end.
    pub async fn tick(&self) -> Result<TickReport, AlertError> {
        let now = self.clock.now();
        let mut standings = self.control.standings().await?;
        let reader = self.reader.as_ref();
        // First what people said: it decides who is told.
        hear(&self.control, reader, &self.control.open_incidents().await?, now).await?;
        let mut tick = Tick {
            now,
            reader,
            silences: self.control.silences(now).await?,
            open: self.control.open_incidents().await?,
            routes_told: self.control.routes_told().await?,
            owed: self.control.owed().await?,
            firing: BTreeMap::new(),
            blind: BTreeSet::new(),
        };
        let mut report = TickReport::default();
        let mut looks = Vec::new();
        let mut failed = None;
        // Rules that explain others come first, so that nobody is told of what follows from them.
        let (first, later): (Vec<&Rule>, Vec<&Rule>) = self.rules.iter().partition(|rule| rule.inhibited_by.is_empty());
        for rule in first.into_iter().chain(later) {
            let kept = standings.remove(&rule.id).unwrap_or_default();
            let looked = if rule.off.is_some() {
                self.retire(&tick, &rule.id, kept).await.map(|()| None)
            } else {
                self.look(&mut tick, rule, kept, &mut looks).await.map(Some)
            };
            match looked {
                Ok(line) => report.lines.extend(line.map(|line| format!("{}: {line}", rule.id))),
                Err(error) => {
                    tracing::error!("{}: {error}", rule.id);
                    failed.get_or_insert(error);
                }
            }
        }
        for (rule_id, kept) in standings {
            self.retire(&tick, &rule_id, kept).await?;
        }
        self.control.book_looks(&looks, now).await?;
        self.escalate(&tick).await?;
        self.digest(now).await?;
        match failed {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Looks at one rule and makes true what that means.
    async fn look(
        &self,
        tick: &mut Tick<'_>,
        rule: &Rule,
        kept: BTreeMap<String, Kept>,
        looks: &mut Vec<(String, String)>,
    ) -> Result<String, AlertError> {
        let seen = match &rule.watch {
            Watch::Unacknowledged => Ok(self.own(self.unacknowledged(rule, tick), ReadingUnit::Seconds, tick.now)),
            Watch::RuleFaults => Ok(self.own(self.rule_faults(), ReadingUnit::Count, tick.now)),
            _ => observe(rule, tick.reader, &self.settings, tick.now, None).await,
        };
        let open: Vec<Incident> = tick
            .open
            .iter()
            .filter(|incident| incident.rule_id == rule.id)
            .cloned()
            .collect();
        let case = Case {
            rule,
            kept: &kept,
            open: &open,
            observed: seen.as_ref().map_err(String::as_str),
            now: tick.now,
        };
        let outline = decide(&case);
        tick.firing.insert(rule.id.clone(), outline.firing.clone());
        let is_going_blind = outline.openings.iter().any(|(kind, ..)| *kind == IncidentKind::Blind);
        let decision = self.word(tick, &case, outline).await;
        if is_going_blind || open.iter().any(|incident| incident.kind == IncidentKind::Blind) {
            tick.blind.insert(rule.id.clone());
        }
        if decision.changes_nothing() {
            looks.push((rule.id.clone(), decision.verdict.clone()));
            return Ok(decision.verdict);
        }
        let opened = self.control.apply(&decision, tick.now).await?;
        let mut line = decision.verdict.clone();
        for (opening, id) in decision.openings.iter().zip(opened) {
            line += &format!("; incident {id}: {}", opening.title);
        }
        for (id, ..) in &decision.closings {
            line += &format!("; incident {id} resolved");
        }
        Ok(line)
    }

    /// The change by part. The cause is worth having and not worth losing the alert for.
    pub(crate) async fn drivers(&self, tick: &Tick<'_>, rule: &Rule, seen: &Observed) -> Vec<Driver> {
        let (
            Watch::Change {
                metric,
                days,
                explained_by: Some(by),
            },
            Some(windows),
        ) = (&rule.watch, seen.windows)
        else {
            return Vec::new();
        };
        let Ok(zone) = calendar::parse_zone(&self.settings.time_zone) else {
            return Vec::new();
        };
        let today = calendar::day_of(zone, tick.now);
        match tick
            .reader
            .series(&change_query(metric, *days, today, None, Some(by)))
            .await
        {
            Ok(series) => drivers(&series, &windows),
            Err(error) => {
                tracing::warn!("{}: the drivers could not be computed: {error}", rule.id);
                Vec::new()
            }
        }
    }

    /// Incidents that somebody was paged for and nobody has taken.
    fn unacknowledged(&self, rule: &Rule, tick: &Tick<'_>) -> Vec<Reading> {
        let waiting = tick.open.iter().filter_map(|incident| {
            let pages = tick
                .routes_told
                .get(&incident.id)
                .is_some_and(|told| told.contains(&Route::Pagerduty));
            let is_waiting = pages
                && incident.kind == IncidentKind::Breach
                && incident.rule_id != rule.id
                // Of what no rule watches, its own part tells.
                && self.rules.get(&incident.rule_id).is_some()
                && incident.acknowledged_at.is_none()
                && !tick.is_silenced(incident);
            incident
                .told_at
                .filter(|_| is_waiting)
                .map(|told_at| (incident, told_at))
        });
        waiting
            .map(|(incident, told_at)| Reading {
                entity: incident.id.to_string(),
                label: Some(incident.title.clone()),
                since_at: Some(told_at),
                numerator: (tick.now - told_at).num_microseconds().unwrap_or(i64::MAX),
                denominator: 1_000_000,
                evidence: vec![("rule".to_owned(), incident.rule_id.clone())],
            })
            .collect()
    }

    /// Rule files of the home that cannot be used.
    fn rule_faults(&self) -> Vec<Reading> {
        let faults = self.rules.faults().iter();
        faults
            .map(|fault| Reading {
                entity: fault.clone(),
                label: None,
                since_at: None,
                numerator: 1,
                denominator: 1,
                evidence: Vec::new(),
            })
            .collect()
    }

    /// What is known without the warehouse.
    fn own(&self, readings: Vec<Reading>, unit: ReadingUnit, now: DateTime<Utc>) -> Observed {
        Observed {
            unit,
            amounts: unit,
            currency: self.settings.reporting_currency,
            readings,
            no_value: None,
            days: Vec::new(),
            windows: None,
            fresh_at: Some(now),
            proof_state: ProofState::Checked,
            snapshot: "control".to_owned(),
            definition_hash: String::new(),
        }
    }
}
