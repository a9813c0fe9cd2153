use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use atalaya_model::{Clock, HomeSettings, Language, MetricReader, ProofState, Reading, ReadingUnit, calendar};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{
    AlertError, Control, Incident, IncidentKind, Route, Rule, RuleSet, Silence,
    control::{Decision, Kept, Opening, Told},
    decide::{Outline, decide},
    hear::hear,
    message::{Action, Driver, Story, drivers},
    observe::{Observed, change_query, observe},
    remembering::Remembering,
    rule::Watch,
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
    rules: RuleSet,
}

/// What is the same for all rules of a tick.
struct Tick<'a> {
    now: DateTime<Utc>,
    reader: Remembering<'a>,
    silences: Vec<Silence>,
    open: Vec<Incident>,
    /// Rules that fire, as far as they have been looked at.
    firing: BTreeSet<String>,
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
        }
    }

    /// Evaluates every rule once, with one "now". Each rule's state, incidents, intents and ledger rows are one transaction.
    pub async fn tick(&self) -> Result<TickReport, AlertError> {
        let now = self.clock.now();
        let mut standings = self.control.standings().await?;
        let mut tick = Tick {
            now,
            reader: Remembering::new(self.reader.as_ref()),
            silences: self.control.silences(now).await?,
            open: self.control.open_incidents().await?,
            firing: standings
                .iter()
                .filter(|(_, things)| things.values().any(|kept| kept.standing.phase.is_firing()))
                .map(|(rule, _)| rule.clone())
                .collect(),
        };
        hear(&self.control, &tick.reader, &tick.open).await?;
        tick.open = self.control.open_incidents().await?;
        let mut report = TickReport::default();
        // Rules that explain others come first, so that nobody is told of what follows from them.
        let (first, later): (Vec<&Rule>, Vec<&Rule>) = self.rules.iter().partition(|rule| rule.inhibited_by.is_empty());
        for rule in first.into_iter().chain(later) {
            let kept = standings.remove(&rule.id).unwrap_or_default();
            if rule.off.is_some() {
                self.retire(&mut tick, &rule.id, kept).await?;
                continue;
            }
            let line = self.look(&mut tick, rule, kept).await?;
            report.lines.push(format!("{}: {line}", rule.id));
        }
        for (rule_id, kept) in standings {
            self.retire(&mut tick, &rule_id, kept).await?;
        }
        Ok(report)
    }

    /// Looks at one rule and makes true what that means.
    async fn look(&self, tick: &mut Tick<'_>, rule: &Rule, kept: BTreeMap<String, Kept>) -> Result<String, AlertError> {
        let seen = match &rule.watch {
            Watch::Unacknowledged => Ok(self.unacknowledged(rule, tick).await?),
            _ => observe(rule, &tick.reader, &self.settings, tick.now, None).await,
        };
        let open: Vec<Incident> = tick
            .open
            .iter()
            .filter(|incident| incident.rule_id == rule.id)
            .cloned()
            .collect();
        let outline = decide(rule, &kept, &open, seen.as_ref().map_err(String::as_str), tick.now);
        if outline.is_firing {
            tick.firing.insert(rule.id.clone());
        } else {
            tick.firing.remove(&rule.id);
        }
        let reason = seen.as_ref().err().cloned();
        let decision = self
            .word(tick, rule, &kept, &open, outline, seen.as_ref().ok(), reason.as_deref())
            .await;
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

    /// Puts into words what is decided.
    #[allow(clippy::too_many_arguments, reason = "a look, whole")]
    async fn word(
        &self,
        tick: &Tick<'_>,
        rule: &Rule,
        kept: &BTreeMap<String, Kept>,
        open: &[Incident],
        outline: Outline,
        observed: Option<&Observed>,
        reason: Option<&str>,
    ) -> Decision {
        let labels: BTreeMap<&str, Option<String>> = kept
            .iter()
            .map(|(entity, kept)| (entity.as_str(), kept.label.clone()))
            .chain(
                observed
                    .iter()
                    .flat_map(|seen| &seen.readings)
                    .map(|reading| (reading.entity.as_str(), reading.label.clone())),
            )
            .collect();
        let named = |entities: &[String]| -> Vec<(String, Option<String>)> {
            let label = |entity: &String| labels.get(entity.as_str()).cloned().flatten();
            entities.iter().map(|entity| (entity.clone(), label(entity))).collect()
        };
        let no_value = reason.or(observed.and_then(|seen| seen.no_value.as_deref()));
        let story = |kind, action, dedup_key: &str, entities: &[String], parts: &[Driver]| {
            let members = named(entities);
            let story = Story {
                rule,
                kind,
                action,
                dedup_key,
                company: &self.settings.company,
                members: &members,
                observed,
                reason: no_value,
                drivers: parts,
                at: tick.now,
            };
            story.tell(self.language)
        };
        let tell = |kind: IncidentKind, message: crate::message::Message| -> Told {
            routes(rule, kind)
                .into_iter()
                .map(|route| (route, message.clone()))
                .collect()
        };
        let parts = match (outline.openings.is_empty(), observed) {
            (false, Some(seen)) => self.drivers(tick, rule, seen).await,
            _ => Vec::new(),
        };
        let mut decision = Decision {
            rule_id: rule.id.clone(),
            verdict: outline.verdict,
            standings: outline.standings,
            ..Decision::default()
        };
        for (kind, group_key, members) in outline.openings {
            let dedup_key = self.dedup_key(&rule.id, kind, &group_key, tick.now);
            let message = story(kind, Action::Trigger, &dedup_key, &members, &parts);
            let suppressed_by = tick.suppressor(rule, &members);
            decision.openings.push(Opening {
                kind,
                group_key,
                severity: message.severity,
                dedup_key,
                title: message.title.clone(),
                told: if suppressed_by.is_some() {
                    Vec::new()
                } else {
                    tell(kind, message)
                },
                suppressed_by,
                is_over: rule.is_notice && kind == IncidentKind::Breach,
            });
        }
        let by_id = |id: i64| open.iter().find(|incident| incident.id == id);
        for (id, members, new) in &outline.joined {
            let Some(incident) = by_id(*id) else { continue };
            let message = story(incident.kind, Action::Update, &incident.dedup_key, members, &[]);
            let told = if incident.suppressed_by.is_some() {
                Vec::new()
            } else {
                tell(incident.kind, message)
            };
            decision.updates.push((*id, new.join(", "), told));
        }
        let going_on = outline.joined.iter().map(|(id, members, _)| (id, members));
        for (id, members) in going_on.chain(outline.lasting.iter().map(|(id, members)| (id, members))) {
            let Some(incident) = by_id(*id).filter(|incident| incident.suppressed_by.is_some()) else {
                continue;
            };
            if tick.suppressor(rule, members).is_none() {
                let message = story(incident.kind, Action::Trigger, &incident.dedup_key, members, &[]);
                decision.releases.push((*id, tell(incident.kind, message)));
            }
        }
        for id in outline.closings {
            let Some(incident) = by_id(id) else { continue };
            let entity = [incident.group_key.clone()];
            let members = if incident.group_key == "*" {
                &[][..]
            } else {
                &entity[..]
            };
            let message = story(incident.kind, Action::Resolve, &incident.dedup_key, members, &[]);
            let words = decision.verdict.clone();
            let told = if incident.suppressed_by.is_some() {
                Vec::new()
            } else {
                tell(incident.kind, message)
            };
            decision.closings.push((id, words, told));
        }
        decision
    }

    /// What is known of a rule that is no longer watched ends, and whoever was told of it hears so.
    async fn retire(&self, tick: &mut Tick<'_>, rule_id: &str, kept: BTreeMap<String, Kept>) -> Result<(), AlertError> {
        let open: Vec<Incident> = tick
            .open
            .iter()
            .filter(|incident| incident.rule_id == rule_id)
            .cloned()
            .collect();
        tick.firing.remove(rule_id);
        if kept.is_empty() && open.is_empty() {
            return Ok(());
        }
        let rule = self.rules.get(rule_id);
        let mut decision = Decision {
            rule_id: rule_id.to_owned(),
            verdict: "switched off".to_owned(),
            standings: kept.into_keys().map(|entity| (entity, None)).collect(),
            ..Decision::default()
        };
        for incident in open {
            let told = match rule {
                Some(rule) if incident.suppressed_by.is_none() => {
                    let story = Story {
                        rule,
                        kind: incident.kind,
                        action: Action::Resolve,
                        dedup_key: &incident.dedup_key,
                        company: &self.settings.company,
                        members: &[],
                        observed: None,
                        reason: None,
                        drivers: &[],
                        at: tick.now,
                    };
                    let message = story.tell(self.language);
                    routes(rule, incident.kind)
                        .into_iter()
                        .map(|route| (route, message.clone()))
                        .collect()
                }
                _ => Vec::new(),
            };
            decision
                .closings
                .push((incident.id, "the rule was switched off".to_owned(), told));
        }
        self.control.apply(&decision, tick.now).await?;
        Ok(())
    }

    /// The change by part. The cause is worth having and not worth losing the alert for.
    async fn drivers(&self, tick: &Tick<'_>, rule: &Rule, seen: &Observed) -> Vec<Driver> {
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
    async fn unacknowledged(&self, rule: &Rule, tick: &Tick<'_>) -> Result<Observed, AlertError> {
        let waiting = tick.open.iter().filter(|incident| {
            let pages = self
                .rules
                .get(&incident.rule_id)
                .is_some_and(|rule| rule.routes.contains(&Route::Pagerduty));
            pages
                && incident.kind == IncidentKind::Breach
                && incident.rule_id != rule.id
                && incident.suppressed_by.is_none()
                && incident.acknowledged_at.is_none()
        });
        let readings = waiting
            .map(|incident| Reading {
                entity: incident.id.to_string(),
                label: Some(incident.title.clone()),
                since_at: Some(incident.opened_at),
                numerator: (tick.now - incident.opened_at).num_microseconds().unwrap_or(i64::MAX),
                denominator: 1_000_000,
                evidence: vec![("rule".to_owned(), incident.rule_id.clone())],
            })
            .collect();
        Ok(Observed {
            unit: ReadingUnit::Seconds,
            currency: self.settings.reporting_currency,
            readings,
            no_value: None,
            windows: None,
            fresh_at: Some(tick.now),
            proof_state: ProofState::Checked,
            snapshot: "control".to_owned(),
            definition_hash: String::new(),
        })
    }

    fn dedup_key(&self, rule_id: &str, kind: IncidentKind, group_key: &str, now: DateTime<Utc>) -> String {
        let mut hash = Sha256::new();
        for part in [&self.settings.company, rule_id, kind.name(), group_key] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(now.timestamp_micros().to_le_bytes());
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Tick<'_> {
    /// Why nobody is told: a rule that explains it, or silences that cover every thing.
    fn suppressor(&self, rule: &Rule, members: &[String]) -> Option<String> {
        if let Some(other) = rule.inhibited_by.iter().find(|other| self.firing.contains(*other)) {
            return Some(format!("rule {other}"));
        }
        let covering = |entity: &String| {
            self.silences
                .iter()
                .find(|silence| silence.covers(&rule.id, entity, self.now))
        };
        let silence = members.first().and_then(covering)?;
        members
            .iter()
            .all(|entity| covering(entity).is_some())
            .then(|| format!("silence {}: {}", silence.id, silence.reason))
    }
}

/// Where an incident is told. That a rule is blind pages only where the rule is about business at risk.
fn routes(rule: &Rule, kind: IncidentKind) -> Vec<Route> {
    let is_quiet = kind == IncidentKind::Blind && rule.class != crate::Class::Critical && rule.routes.len() > 1;
    rule.routes
        .iter()
        .copied()
        .filter(|route| !(is_quiet && *route == Route::Pagerduty))
        .collect()
}
