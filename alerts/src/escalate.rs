//! Who is told of an incident: whoever is on call, and those behind them while nobody takes it.

use chrono::{DateTime, Utc};

use crate::{
    AlertError, IncidentKind, Person, Route, Runner,
    message::{Action, Message, cut},
    notices,
    tick::Tick,
};

impl Runner {
    /// Names those on call in the first word about an incident.
    pub(crate) fn name_oncall(&self, message: &mut Message, class: crate::Class, now: DateTime<Utc>) {
        let Some(oncall) = self.oncall.as_ref().filter(|_| message.action == Action::Trigger) else {
            return;
        };
        let Some(level) = oncall.policy(class).and_then(|policy| policy.levels.first()) else {
            return;
        };
        let people = oncall.on_level(level, now);
        let words = message.language.pick("On call", "De guardia");
        let nobody = message.language.pick("nobody", "nadie");
        message.lines.push(format!("{words}: {}", names(&people, nobody)));
        message.address(&people);
    }

    /// Tells those behind the first of incidents that nobody took in time.
    pub(crate) async fn escalate(&self, tick: &Tick<'_>) -> Result<(), AlertError> {
        let Some(oncall) = &self.oncall else {
            return Ok(());
        };
        let told = self.control.escalations().await?;
        for incident in self.control.open_incidents().await? {
            let waits = incident.kind == IncidentKind::Breach
                && incident.acknowledged_at.is_none()
                && incident.suppressed_by.is_none();
            let (Some(told_at), Some(rule)) = (incident.told_at.filter(|_| waits), self.rules.get(&incident.rule_id))
            else {
                continue;
            };
            let Some(policy) = oncall.policy(rule.class) else {
                continue;
            };
            for (number, level) in (1_i64..).zip(policy.levels.iter().skip(1)) {
                let is_due = (tick.now - told_at).num_seconds() >= level.after_secs;
                if !is_due || told.contains(&(incident.id, number)) {
                    continue;
                }
                let people = oncall.on_level(level, tick.now);
                let words = names(&people, "nobody");
                let mut message = notices::escalated(&incident, &words, rule.severity.name(), tick.now);
                message.address(&people);
                // PagerDuty has an order of its own.
                let routes = rule.routes.iter().filter(|route| **route != Route::Pagerduty);
                let told = routes.map(|route| (*route, message.clone())).collect();
                self.control
                    .escalate((incident.id, number), &words, &told, tick.now)
                    .await?;
            }
        }
        Ok(())
    }
}

impl Message {
    /// Mentions people, and writes to them.
    fn address(&mut self, people: &[&Person]) {
        self.mentions
            .extend(people.iter().filter_map(|person| person.slack.clone()));
        self.also_to
            .extend(people.iter().filter_map(|person| person.email.clone()));
    }
}

fn names(people: &[&Person], nobody: &str) -> String {
    if people.is_empty() {
        return nobody.to_owned();
    }
    let names: Vec<String> = people.iter().map(|person| cut(&person.name)).collect();
    names.join(", ")
}
