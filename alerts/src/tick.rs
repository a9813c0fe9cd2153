use std::collections::{BTreeMap, BTreeSet};

use atalaya_model::MetricReader;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{Incident, IncidentKind, Route, Rule, Silence};

/// What is the same for all rules of a tick.
pub(crate) struct Tick<'a> {
    pub(crate) now: DateTime<Utc>,
    pub(crate) reader: &'a dyn MetricReader,
    pub(crate) silences: Vec<Silence>,
    pub(crate) open: Vec<Incident>,
    /// Where each open incident was told.
    pub(crate) routes_told: BTreeMap<i64, Vec<Route>>,
    /// Things that joined an open incident under a silence.
    pub(crate) owed: BTreeMap<i64, BTreeSet<String>>,
    /// What fires and has a value, by rule, of those looked at so far; since when.
    pub(crate) firing: BTreeMap<String, BTreeMap<String, DateTime<Utc>>>,
    /// Rules of which people know that they cannot be judged.
    pub(crate) blind: BTreeSet<String>,
}

impl Tick<'_> {
    /// Whether somebody asked for quiet about an incident that was told before.
    pub(crate) fn is_silenced(&self, incident: &Incident) -> bool {
        let covers = |silence: &Silence| silence.covers(&incident.rule_id, &incident.group_key, self.now);
        self.silences.iter().any(covers)
    }

    /// Why nobody is told of some things: rules that explain each of them, or silences that cover each of them.
    pub(crate) fn suppressor(&self, rule: &Rule, kind: IncidentKind, members: &[String]) -> Option<String> {
        let explained = |entity: &String| match kind {
            IncidentKind::Blind => rule.inhibited_by.iter().find(|other| self.blind.contains(*other)),
            IncidentKind::Breach => self.explanation(rule, entity),
        };
        if let Some(other) = members.first().and_then(explained)
            && members.iter().all(|entity| explained(entity).is_some())
        {
            return Some(format!("rule {other}"));
        }
        let covering = |entity: &String| {
            let mut silences = self.silences.iter();
            silences.find(|silence| silence.covers(&rule.id, entity, self.now))
        };
        let silence = members.first().and_then(covering)?;
        members
            .iter()
            .all(|entity| covering(entity).is_some())
            .then(|| format!("silence {}: {}", silence.id, silence.reason))
    }

    /// The rule that explains a thing: it fires for the same thing, or for what the thing is a part of (`checkout` explains
    /// `checkout/eu`), and the thing did not begin long after it.
    fn explanation<'r>(&self, rule: &'r Rule, entity: &str) -> Option<&'r String> {
        let began_at = self
            .firing
            .get(&rule.id)
            .and_then(|firing| firing.get(entity))
            .copied()
            .unwrap_or(self.now);
        let explains = |other: &&'r String| {
            let Some(firing) = self.firing.get(*other) else {
                return false;
            };
            firing.iter().any(|(whole, since)| {
                let is_part = entity
                    .strip_prefix(whole.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                let is_close = rule
                    .inhibited_for_secs
                    .is_none_or(|secs| began_at - *since <= TimeDelta::seconds(secs));
                is_part && is_close
            })
        };
        rule.inhibited_by.iter().find(explains)
    }
}
