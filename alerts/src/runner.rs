use std::sync::Arc;

use atalaya_model::{Clock, Figure, Grain, HomeSettings, KnownBy, Language, MetricReader, SeriesQuery, calendar};
use chrono::Days;
use sha2::{Digest, Sha256};

use crate::{
    AlertError, Control, Route, Rule, Verdict, evaluate,
    message::{Action, drivers, message},
    rule::{Condition, rules},
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
    control: Control,
    clock: Arc<dyn Clock>,
    settings: HomeSettings,
    language: Language,
    rules: Vec<Rule>,
}

impl Runner {
    /// A runner with the rules that come with Atalaya; messages are in `language`.
    pub fn new(
        reader: Arc<dyn MetricReader>,
        control: Control,
        clock: Arc<dyn Clock>,
        settings: HomeSettings,
        language: Language,
    ) -> Result<Self, AlertError> {
        Ok(Self {
            reader,
            control,
            clock,
            settings,
            language,
            rules: rules()?,
        })
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Evaluates every rule once, with one "now".
    pub async fn tick(&self) -> Result<TickReport, AlertError> {
        let mut report = TickReport::default();
        for rule in &self.rules {
            let line = self.evaluate(rule).await?;
            report.lines.push(format!("{}: {line}", rule.id));
        }
        Ok(report)
    }

    async fn evaluate(&self, rule: &Rule) -> Result<String, AlertError> {
        let now = self.clock.now();
        let zone = match calendar::parse_zone(&self.settings.time_zone) {
            Ok(zone) => zone,
            Err(error) => return Ok(error.to_string()),
        };
        let Condition::ChangeOverWindows { window_days, .. } = &rule.condition;
        let today = calendar::day_of(zone, now);
        let query = |by: Vec<String>| SeriesQuery {
            metric: rule.metric.clone(),
            // A few days more than two windows: when data is late, the windows move back and stay full.
            from: today - Days::new(3 * u64::from(*window_days)),
            to: today,
            grain: Grain::Day,
            by,
            as_of: None,
            known_by: KnownBy::Atalaya,
        };
        let mut series = match self.reader.series(&query(vec![])).await {
            Ok(series) => series,
            Err(error) => {
                // Not knowing is not being well: the state stays, and the reason is kept where people look.
                let verdict = Verdict::NoValue {
                    reason: error.to_string(),
                };
                self.control
                    .note_verdict(&rule.id, &serde_json::to_string(&verdict)?, now)
                    .await?;
                return Ok(format!("no value: {error}"));
            }
        };
        // A day is complete when it has ended and data has landed since: a night before the morning's import is not a
        // drop to zero.
        let landed_on = series.fresh_at.map(|at| calendar::day_of(zone, at));
        series
            .points
            .retain(|point| landed_on.is_some_and(|day| point.period_on < day));
        let (verdict, windows) = evaluate(&rule.condition, &series);
        let text = serde_json::to_string(&verdict)?;
        let state = self.control.rule_state(&rule.id).await?;
        let open = state.as_ref().and_then(|state| state.incident_id);
        let action = match (&verdict, open) {
            (Verdict::Fires { .. }, None) => Action::Trigger,
            (Verdict::Recovered { .. }, Some(_)) => Action::Resolve,
            _ => {
                self.control.note_verdict(&rule.id, &text, now).await?;
                return Ok(format!(
                    "{} ({})",
                    verdict.name(),
                    if open.is_some() { "firing" } else { "ok" }
                ));
            }
        };
        let Some(windows) = windows else {
            return Ok("no windows".to_owned());
        };
        let currency = series
            .points
            .iter()
            .find_map(|point| match point.figure {
                Figure::Money { currency, .. } => Some(currency),
                _ => None,
            })
            .unwrap_or(self.settings.reporting_currency);
        let parts = match action {
            // The cause is worth having and not worth losing the alert for.
            Action::Trigger => match self.reader.series(&query(vec!["product".to_owned()])).await {
                Ok(by_product) => drivers(&by_product, &windows),
                Err(error) => {
                    tracing::warn!("{}: the drivers could not be computed: {error}", rule.id);
                    vec![]
                }
            },
            Action::Resolve => vec![],
        };
        let dedup_key = match open {
            Some(id) => self
                .control
                .incident(id)
                .await?
                .map(|incident| incident.dedup_key)
                .unwrap_or_default(),
            None => {
                let mut hash = Sha256::new();
                hash.update(self.settings.company.as_bytes());
                hash.update(rule.id.as_bytes());
                hash.update(now.timestamp_micros().to_le_bytes());
                hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        let message = message(
            self.language,
            action,
            rule,
            &self.settings.company,
            &dedup_key,
            &verdict,
            &windows,
            &parts,
            &series,
            currency,
            now,
        );
        let routed: Vec<_> = rule
            .routes
            .iter()
            .filter_map(|name| Route::parse(name))
            .map(|route| (route, message.clone()))
            .collect();
        match open {
            None => {
                let id = self
                    .control
                    .open_incident(&rule.id, &text, &dedup_key, &routed, now)
                    .await?;
                Ok(format!("firing, incident {id}: {}", message.title))
            }
            Some(id) => {
                self.control.resolve_incident(&rule.id, &text, id, &routed, now).await?;
                Ok(format!("recovered, incident {id} resolved"))
            }
        }
    }
}
