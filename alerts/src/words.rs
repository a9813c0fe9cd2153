//! Decisions in words: who is told what of incidents that open, grow and end.

use std::collections::BTreeMap;

use crate::{
    AlertError, Class, Incident, IncidentKind, Route, Rule, Runner,
    control::{Decision, Kept, Opening, Told, Update},
    decide::{Case, Outline},
    dedup_key::dedup_key,
    drivers::Driver,
    message::{Action, Message, cut},
    notices::ended,
    story::{Ending, Story},
    tick::Tick,
};

/// Things that a timeline names one by one.
const LISTED: usize = 10;

impl Runner {
    /// Puts into words what is decided.
    pub(crate) async fn word(&self, tick: &Tick<'_>, case: &Case<'_>, outline: Outline) -> Decision {
        let Case { rule, kept, open, .. } = *case;
        let observed = case.observed.ok();
        let reason = case.observed.err();
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
        let story = |kind, action, ending, dedup_key: &str, entities: &[String], parts: &[Driver]| {
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
                ending,
                at: tick.now,
            };
            story.tell(self.language)
        };
        // Good news waits for the digest; that nobody would hear of it does not.
        let is_for_digest = |kind| rule.class == Class::Opportunity && kind == IncidentKind::Breach;
        let tell = |kind: IncidentKind, message: Message| -> Told {
            if is_for_digest(kind) {
                return Vec::new();
            }
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
            let dedup_key = dedup_key(&[&self.settings.company, &rule.id, kind.name(), &group_key], tick.now);
            let mut message = story(kind, Action::Trigger, None, &dedup_key, &members, &parts);
            if kind == IncidentKind::Breach {
                self.name_oncall(&mut message, rule.class, tick.now);
            }
            let suppressed_by = tick.suppressor(rule, kind, &members);
            let waits_for_digest = is_for_digest(kind);
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
                and_then: Vec::new(),
                suppressed_by,
                waits_for_digest,
                is_over: rule.is_notice && kind == IncidentKind::Breach,
            });
        }
        let by_id = |id: i64| open.iter().find(|incident| incident.id == id);
        let nothing_new = Vec::new();
        let joined = outline.joined.iter().map(|(id, members, new)| (*id, members, new));
        for (id, members, new) in joined.chain(outline.lasting.iter().map(|(id, members)| (*id, members, &nothing_new)))
        {
            let Some(incident) = by_id(id) else { continue };
            let message =
                |action, members: &[String]| story(incident.kind, action, None, &incident.dedup_key, members, &[]);
            let mut update = Update {
                incident_id: id,
                joined: listed(new),
                ..Update::default()
            };
            // Of what waited for a digest and is no opportunity any more, people hear now.
            let is_untold = incident.told_at.is_none() && !is_for_digest(incident.kind);
            if incident.suppressed_by.is_some() || is_untold {
                if tick.suppressor(rule, incident.kind, members).is_none() {
                    let mut message = message(Action::Trigger, members);
                    if incident.kind == IncidentKind::Breach {
                        self.name_oncall(&mut message, rule.class, tick.now);
                    }
                    decision.releases.push((id, tell(incident.kind, message)));
                }
            } else {
                // Those that are new, and those whose silence has ended, come first.
                let owed = tick.owed.get(&id);
                let is_owed = |entity: &&String| owed.is_some_and(|owed| owed.contains(*entity));
                let waiting = members.iter().filter(is_owed).filter(|entity| !new.contains(entity));
                let one = std::slice::from_ref::<String>;
                let is_quiet = |entity: &&String| tick.suppressor(rule, incident.kind, one(entity)).is_some();
                let (quiet, loud): (Vec<&String>, Vec<&String>) = new.iter().chain(waiting).partition(is_quiet);
                let gone = owed.into_iter().flatten().filter(|entity| !members.contains(entity));
                update.paid = loud.iter().copied().filter(is_owed).chain(gone).cloned().collect();
                if !loud.is_empty() {
                    let rest = members.iter().filter(|entity| !loud.contains(entity));
                    let in_order: Vec<String> = loud.iter().copied().chain(rest).cloned().collect();
                    update.told = tell(incident.kind, message(Action::Update, &in_order));
                }
                if is_for_digest(incident.kind) && !new.is_empty() {
                    update.retitled = Some(message(Action::Trigger, members).title);
                }
                update.owes = quiet.into_iter().filter(|entity| !is_owed(entity)).cloned().collect();
            }
            if !new.is_empty() || !update.owes.is_empty() || !update.paid.is_empty() || !update.told.is_empty() {
                decision.updates.push(update);
            }
        }
        for (id, ending) in outline.closings {
            let Some(incident) = by_id(id) else { continue };
            let entity = [incident.group_key.clone()];
            let members = if incident.group_key == "*" {
                &[][..]
            } else {
                &entity[..]
            };
            let ending = Some((ending, incident.opened_at));
            let message = story(
                incident.kind,
                Action::Resolve,
                ending,
                &incident.dedup_key,
                members,
                &[],
            );
            decision
                .closings
                .push((id, decision.verdict.clone(), tick.to_whom(id, &message)));
        }
        decision
    }

    /// What is known of a rule that is no longer watched ends, and whoever was told of it hears so.
    pub(crate) async fn retire(
        &self,
        tick: &Tick<'_>,
        rule_id: &str,
        kept: BTreeMap<String, Kept>,
    ) -> Result<(), AlertError> {
        let open: Vec<Incident> = tick
            .open
            .iter()
            .filter(|incident| incident.rule_id == rule_id)
            .cloned()
            .collect();
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
            let message = match rule {
                Some(rule) => {
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
                        ending: Some((Ending::SwitchedOff, incident.opened_at)),
                        at: tick.now,
                    };
                    story.tell(self.language)
                }
                None => ended(&incident, "the rule was removed", tick.now),
            };
            let told = tick.to_whom(incident.id, &message);
            decision
                .closings
                .push((incident.id, "the rule was switched off".to_owned(), told));
        }
        self.control.apply(&decision, tick.now).await?;
        Ok(())
    }
}

impl Tick<'_> {
    /// Those who were told of an incident hear of its end, whatever its rule says today.
    fn to_whom(&self, incident_id: i64, message: &Message) -> Told {
        let routes = self.routes_told.get(&incident_id).into_iter().flatten();
        routes.map(|route| (*route, message.clone())).collect()
    }
}

fn listed(entities: &[String]) -> String {
    let mut names: Vec<String> = entities.iter().take(LISTED).map(|entity| cut(entity)).collect();
    if entities.len() > LISTED {
        names.push(format!("and {} more", entities.len() - LISTED));
    }
    names.join(", ")
}

/// Where an incident is told. That a rule is blind pages only where the rule is about business at risk.
fn routes(rule: &Rule, kind: IncidentKind) -> Vec<Route> {
    let is_quiet = kind == IncidentKind::Blind && rule.class != Class::Critical && rule.routes.len() > 1;
    rule.routes
        .iter()
        .copied()
        .filter(|route| !(is_quiet && *route == Route::Pagerduty))
        .collect()
}
