//! Who is told of an incident: whoever is on call, and those behind them while nobody takes it.

use chrono::{DateTime, Utc};

use crate::{
    AlertError, IncidentKind, Person, Route, Runner,
    control::Escalation,
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

    /// Tells those behind the first of incidents that nobody took in time. A level at which nobody is on call waits until somebody
    /// is.
    pub(crate) async fn escalate(&self, tick: &Tick<'_>) -> Result<(), AlertError> {
        let Some(oncall) = &self.oncall else {
            return Ok(());
        };
        let known = self.control.escalations().await?;
        let mut due = Vec::new();
        for incident in self.control.open_incidents().await? {
            let waits = incident.kind == IncidentKind::Breach
                && incident.acknowledged_at.is_none()
                && incident.suppressed_by.is_none()
                && !tick.is_silenced(&incident);
            let (Some(told_at), Some(rule)) = (incident.told_at.filter(|_| waits), self.rules.get(&incident.rule_id))
            else {
                continue;
            };
            let Some(policy) = oncall.policy(rule.class) else {
                continue;
            };
            for (number, level) in (1_i64..).zip(policy.levels.iter().skip(1)) {
                let is_due = (tick.now - told_at).num_seconds() >= level.after_secs;
                let people = oncall.on_level(level, tick.now);
                if !is_due || people.is_empty() || known.contains(&(incident.id, number)) {
                    continue;
                }
                let words = names(&people, "");
                let mut message = notices::escalated(&incident, &words, rule.severity.name(), tick.now);
                message.address(&people);
                // PagerDuty has an order of its own; people are reached where they can be, whatever the rule says.
                let reaches = |route: &Route| match route {
                    Route::Pagerduty => false,
                    Route::Slack => rule.routes.contains(route) || !message.mentions.is_empty(),
                    Route::Email => rule.routes.contains(route) || !message.also_to.is_empty(),
                };
                let routes = Route::ALL.into_iter().filter(reaches);
                due.push(Escalation {
                    incident_id: incident.id,
                    level: number,
                    told: routes.map(|route| (route, message.clone())).collect(),
                    words,
                });
            }
        }
        self.control.escalate(&due, tick.now).await
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
