//! What a look at a rule means: which things stand differently, and which incidents open, grow and end. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Condition, Judgement, Phase, Rule, Standing, Timing,
    control::{Incident, IncidentKind, Kept},
    observe::{ALL, Observed},
    rule::{Group, WhenGone},
    standing::Change,
    story::Ending,
};

/// The rule itself, where it is not one of its things that has no value.
pub(crate) const RULE_ITSELF: &str = "\u{1}rule";
/// The group of everything.
const EVERYTHING: &str = "*";
/// A thing that was well and has not been spoken of for so long is forgotten: a host that was switched off.
const FORGOTTEN_AFTER_HOURS: i64 = 24;
/// Something that fires and has not been spoken of for so long is given up, in words that do not say that it is well.
const GIVEN_UP_AFTER_HOURS: i64 = 7 * 24;
/// Seconds after which people hear that a rule cannot be judged at all.
const FAULT_TOLD_AFTER_SECS: i64 = 600;

/// What changes.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Things that stand differently; `None` for those to be forgotten.
    pub(crate) standings: Vec<(String, Option<Kept>)>,
    /// Incidents to open, with the things that are in them.
    pub(crate) openings: Vec<(IncidentKind, String, Vec<String>)>,
    /// Open incidents that things joined, with all that are in them, the new ones first, and those that are new.
    pub(crate) joined: Vec<(i64, Vec<String>, Vec<String>)>,
    /// Open incidents that go on, with all that are in them.
    pub(crate) lasting: Vec<(i64, Vec<String>)>,
    /// Open incidents that are over, and how they ended.
    pub(crate) closings: Vec<(i64, Ending)>,
    /// What was found, in one line.
    pub(crate) verdict: String,
    /// What fires and has a value, and since when.
    pub(crate) firing: BTreeMap<String, DateTime<Utc>>,
}

/// A look at a rule: what is known, and what is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) kept: &'a BTreeMap<String, Kept>,
    /// Its incidents that are not over.
    pub(crate) open: &'a [Incident],
    /// An error is the reason why nothing can be said.
    pub(crate) observed: Result<&'a Observed, &'a str>,
    pub(crate) now: DateTime<Utc>,
}

/// Judges what is seen, moves every thing on, and says what that means for incidents.
pub(crate) fn decide(case: &Case<'_>) -> Outline {
    let Case {
        rule,
        kept,
        open,
        observed,
        now,
    } = *case;
    let (judged, reason) = judge(rule, kept, observed);
    let mut outline = Outline::default();
    let mut after: BTreeMap<String, Kept> = kept.clone();
    // What people hear of for the first time.
    let mut news: BTreeSet<(IncidentKind, String)> = BTreeSet::new();
    let mut given_up: BTreeSet<String> = BTreeSet::new();
    let seen: BTreeSet<&str> = observed
        .iter()
        .flat_map(|seen| &seen.readings)
        .map(|reading| reading.entity.as_str())
        .collect();
    for (entity, (judgement, label)) in &judged {
        let before = kept.get(entity);
        let standing = before.map_or_else(|| Standing::new(now), |kept| kept.standing);
        let timing = match entity.as_str() {
            RULE_ITSELF => Timing {
                missing_secs: rule.timing.missing_secs.min(FAULT_TOLD_AFTER_SECS),
                ..rule.timing
            },
            _ => rule.timing,
        };
        let (next, changes) = standing.after(judgement, timing, now);
        for (change, kind) in [
            (Change::Fired, IncidentKind::Breach),
            (Change::WentBlind, IncidentKind::Blind),
        ] {
            if changes.contains(&change) {
                news.insert((kind, entity.clone()));
            }
        }
        let next = Kept {
            label: label.clone().or_else(|| before.and_then(|kept| kept.label.clone())),
            standing: next,
        };
        if is_worth_keeping(rule, entity, &next, seen.contains(entity.as_str()), now) {
            if before != Some(&next) {
                outline.standings.push((entity.clone(), Some(next.clone())));
            }
            after.insert(entity.clone(), next);
        } else {
            if before.is_some() {
                outline.standings.push((entity.clone(), None));
            }
            if next.standing.missing_since_at.is_some() {
                given_up.insert(entity.clone());
            }
            after.remove(entity);
        }
    }
    let mut groups: BTreeMap<(IncidentKind, String), Vec<String>> = BTreeMap::new();
    for (entity, kept) in &after {
        if kept.standing.phase.is_firing()
            && (!rule.is_notice || news.contains(&(IncidentKind::Breach, entity.clone())))
        {
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
    outline.firing = after
        .iter()
        .filter(|(_, kept)| kept.standing.phase.is_firing() && kept.standing.missing_since_at.is_none())
        .map(|(entity, kept)| (entity.clone(), kept.standing.since_at))
        .collect();
    for incident in open {
        match groups.remove(&(incident.kind, incident.group_key.clone())) {
            None => {
                let is_given_up =
                    given_up.contains(&incident.group_key) || incident.group_key == EVERYTHING && !given_up.is_empty();
                let ending = match incident.kind {
                    _ if is_given_up => Ending::GivenUp,
                    IncidentKind::Breach => Ending::Recovered,
                    IncidentKind::Blind => Ending::Sees,
                };
                outline.closings.push((incident.id, ending));
            }
            Some(members) => {
                let (new, old): (Vec<String>, Vec<String>) = members
                    .into_iter()
                    .partition(|entity| news.contains(&(incident.kind, entity.clone())));
                let members: Vec<String> = new.iter().chain(&old).cloned().collect();
                if !new.is_empty() {
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
        Condition::Present { .. } => Ok(seen),
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
                Condition::Present { also_when_over: true } if !kept.contains_key(&reading.entity) => Judgement::Breach,
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
    let lasts = |since: DateTime<Utc>, hours: i64| now - since < TimeDelta::hours(hours);
    match (phase, missing_since_at) {
        // What is spoken of, though without a value, is remembered.
        (_, Some(_)) if is_seen || entity == RULE_ITSELF || entity == ALL => true,
        (Phase::Ok, None) if matches!(rule.condition, Condition::Present { .. }) => is_seen,
        (Phase::Ok, None) => entity != RULE_ITSELF && rule.when_gone == WhenGone::Unknown,
        (Phase::Ok, Some(since)) => lasts(since, FORGOTTEN_AFTER_HOURS),
        (_, Some(since)) => lasts(since, GIVEN_UP_AFTER_HOURS),
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
