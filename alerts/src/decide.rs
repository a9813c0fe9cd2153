//! What a look at a rule means: which things stand differently, and which incidents open, grow and end. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Condition, Judgement, Phase, Rule, Standing,
    control::{Incident, IncidentKind, Kept},
    observe::{ALL, Observed},
    rule::{Group, WhenGone},
    standing::Change,
};

/// The rule itself, where it is not one of its things that has no value.
const RULE_ITSELF: &str = "";
/// The group of everything.
const EVERYTHING: &str = "*";
/// A thing that was well and has not been spoken of for so long is forgotten: a host that was switched off.
const FORGOTTEN_AFTER_HOURS: i64 = 24;

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Things that stand differently; `None` for those to be forgotten.
    pub(crate) standings: Vec<(String, Option<Kept>)>,
    /// Incidents to open, with the things that are in them.
    pub(crate) openings: Vec<(IncidentKind, String, Vec<String>)>,
    /// Open incidents that things joined, with all that are in them and those that are new.
    pub(crate) joined: Vec<(i64, Vec<String>, Vec<String>)>,
    /// Open incidents that go on, with all that are in them.
    pub(crate) lasting: Vec<(i64, Vec<String>)>,
    /// Open incidents that are over.
    pub(crate) closings: Vec<i64>,
    /// What was found, in one line.
    pub(crate) verdict: String,
    /// Whether anything fires.
    pub(crate) is_firing: bool,
}

/// Judges what is seen, moves every thing on, and says what that means for incidents.
pub(crate) fn decide(
    rule: &Rule,
    kept: &BTreeMap<String, Kept>,
    open: &[Incident],
    observed: Result<&Observed, &str>,
    now: DateTime<Utc>,
) -> Outline {
    let (judged, reason) = judge(rule, kept, observed);
    let mut outline = Outline::default();
    let mut after: BTreeMap<String, Kept> = kept.clone();
    let mut fired: BTreeSet<String> = BTreeSet::new();
    for (entity, (judgement, label)) in &judged {
        let before = kept.get(entity);
        let standing = before.map_or_else(|| Standing::new(now), |kept| kept.standing);
        let (next, changes) = standing.after(judgement, rule.timing, now);
        if changes.contains(&Change::Fired) {
            fired.insert(entity.clone());
        }
        let next = Kept {
            label: label.clone().or_else(|| before.and_then(|kept| kept.label.clone())),
            standing: next,
        };
        let is_seen = observed.is_ok_and(|seen| seen.readings.iter().any(|reading| reading.entity == *entity));
        if is_worth_keeping(rule, entity, &next, is_seen, now) {
            if before != Some(&next) {
                outline.standings.push((entity.clone(), Some(next.clone())));
            }
            after.insert(entity.clone(), next);
        } else {
            if before.is_some() {
                outline.standings.push((entity.clone(), None));
            }
            after.remove(entity);
        }
    }
    let mut groups: BTreeMap<(IncidentKind, String), Vec<String>> = BTreeMap::new();
    for (entity, kept) in &after {
        if kept.standing.phase.is_firing() && (!rule.is_notice || fired.contains(entity)) {
            let key = match rule.group {
                Group::Rule => EVERYTHING.to_owned(),
                Group::Entity => entity.clone(),
            };
            groups
                .entry((IncidentKind::Breach, key))
                .or_default()
                .push(entity.clone());
        }
        if kept.standing.is_missing_told {
            let key = (IncidentKind::Blind, EVERYTHING.to_owned());
            groups.entry(key).or_default().push(entity.clone());
        }
    }
    outline.is_firing = after.values().any(|kept| kept.standing.phase.is_firing());
    for incident in open {
        match groups.remove(&(incident.kind, incident.group_key.clone())) {
            None => outline.closings.push(incident.id),
            Some(members) => {
                let new: Vec<String> = members
                    .iter()
                    .filter(|entity| fired.contains(*entity))
                    .cloned()
                    .collect();
                if incident.kind == IncidentKind::Breach && !new.is_empty() {
                    outline.joined.push((incident.id, members, new));
                } else {
                    outline.lasting.push((incident.id, members));
                }
            }
        }
    }
    outline.openings = groups
        .into_iter()
        .map(|((kind, key), members)| (kind, key, members))
        .collect();
    outline.verdict = verdict(&after, &judged, reason.as_deref());
    outline
}

type Judged = BTreeMap<String, (Judgement, Option<String>)>;

/// Every thing that something can be said of, and why nothing can be said of the rule where that is so.
fn judge(rule: &Rule, kept: &BTreeMap<String, Kept>, observed: Result<&Observed, &str>) -> (Judged, Option<String>) {
    let no_value = |reason: &str| Judgement::NoValue {
        reason: reason.to_owned(),
    };
    let comparable = observed.map_err(str::to_owned).and_then(|seen| match &rule.condition {
        Condition::Present => Ok(seen),
        // What was never seen needs no limit that fits.
        Condition::Level { .. } if seen.readings.is_empty() && kept.is_empty() => Ok(seen),
        Condition::Level { fires: (_, limit), .. } => limit.check(seen.unit, seen.currency).map(|()| seen),
    });
    let seen = match comparable {
        Ok(seen) => seen,
        // What is known of its things stays as it is: only the rule itself has no value.
        Err(reason) => {
            let judged = BTreeMap::from([(RULE_ITSELF.to_owned(), (no_value(&reason), None))]);
            return (judged, Some(reason));
        }
    };
    let mut judged: Judged = seen
        .readings
        .iter()
        .map(|reading| {
            let judgement = match rule.condition {
                // What was over before anybody heard of it is told all the same, once.
                Condition::Present if !kept.contains_key(&reading.entity) => Judgement::Breach,
                _ => rule.condition.judge(reading.numerator, reading.denominator),
            };
            (reading.entity.clone(), (judgement, reading.label.clone()))
        })
        .collect();
    // What never had a value is not missed: a home without hosts has no silent hosts.
    if let Some(reason) = seen.no_value.as_deref().filter(|_| kept.contains_key(ALL)) {
        judged.insert(ALL.to_owned(), (no_value(reason), None));
    }
    for entity in kept.keys() {
        if entity == RULE_ITSELF {
            judged.insert(entity.clone(), (Judgement::Clear, None));
        } else if !judged.contains_key(entity) {
            let gone = match rule.when_gone {
                WhenGone::Recovered => Judgement::Clear,
                WhenGone::Unknown => no_value("nothing more is heard of it"),
            };
            judged.insert(entity.clone(), (gone, None));
        }
    }
    (judged, seen.no_value.clone())
}

fn is_worth_keeping(rule: &Rule, entity: &str, kept: &Kept, is_seen: bool, now: DateTime<Utc>) -> bool {
    let Standing {
        phase,
        missing_since_at,
        ..
    } = kept.standing;
    match (phase, missing_since_at) {
        (Phase::Ok, None) if rule.condition == Condition::Present => is_seen,
        (Phase::Ok, None) => entity != RULE_ITSELF && rule.when_gone == WhenGone::Unknown,
        (Phase::Ok, Some(since)) => {
            entity == RULE_ITSELF || entity == ALL || now - since < TimeDelta::hours(FORGOTTEN_AFTER_HOURS)
        }
        _ => true,
    }
}

fn verdict(after: &BTreeMap<String, Kept>, judged: &Judged, reason: Option<&str>) -> String {
    let mut parts = Vec::new();
    for phase in [Phase::Firing, Phase::Recovering, Phase::Pending] {
        let many = after.values().filter(|kept| kept.standing.phase == phase).count();
        if many > 0 {
            parts.push(format!("{many} {}", phase.name()));
        }
    }
    let small = judged
        .values()
        .filter(|(judgement, _)| *judgement == Judgement::BelowFloor)
        .count();
    if small > 0 {
        parts.push(format!("{small} below the floor"));
    }
    if let Some(reason) = reason {
        parts.push(format!("no value: {reason}"));
    }
    let silent = after
        .values()
        .filter(|kept| kept.standing.missing_since_at.is_some())
        .count();
    if silent > 0 && reason.is_none() {
        parts.push(format!("{silent} without a value"));
    }
    if parts.is_empty() {
        return if judged.is_empty() {
            "ok, nothing to judge".to_owned()
        } else {
            "ok".to_owned()
        };
    }
    parts.join(", ")
}
