//! What people answered in PagerDuty and Slack, as their webhooks told.

use std::collections::BTreeMap;

use atalaya_model::{MetricReader, Reading};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::{
    AlertError, Control, Incident, Route, Silence,
    notify::slack::{ACKNOWLEDGE, SNOOZE, SNOOZE_SECS},
};

/// The part of a PagerDuty v3 webhook that closes the loop: `incident_key` is the key we gave.
#[derive(Deserialize)]
struct PagerdutyEvent {
    event: PagerdutyTold,
}

#[derive(Deserialize)]
struct PagerdutyTold {
    event_type: String,
    agent: Option<PagerdutyAgent>,
    data: PagerdutyIncident,
}

#[derive(Deserialize)]
struct PagerdutyAgent {
    summary: Option<String>,
}

#[derive(Deserialize)]
struct PagerdutyIncident {
    incident_key: String,
}

/// The part of a Slack interaction that says who pressed which button; the button's value is our key.
#[derive(Deserialize)]
struct SlackInteraction {
    user: SlackUser,
    #[serde(default)]
    actions: Vec<SlackAction>,
}

#[derive(Deserialize)]
struct SlackUser {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct SlackAction {
    action_id: String,
    #[serde(default)]
    value: String,
}

/// What somebody said last of an incident.
struct Said {
    actor: String,
    is_taken: bool,
    by_way_of: Route,
    at: DateTime<Utc>,
}

/// Takes over which open incidents somebody took elsewhere, gave back or silenced. What was heard last of each stands; hearing
/// it again changes nothing, so nothing is lost when this process is killed.
pub(crate) async fn hear(
    control: &Control,
    reader: &dyn MetricReader,
    open: &[Incident],
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    if open.is_empty() {
        return Ok(());
    }
    let mut last: BTreeMap<String, Said> = BTreeMap::new();
    let mut say = |key: String, said: Said| {
        if last.get(&key).is_none_or(|known| known.at <= said.at) {
            last.insert(key, said);
        }
    };
    for (text, at, _) in told(reader, "pagerduty_responses").await {
        let Ok(PagerdutyEvent { event }) = serde_json::from_str(&text) else {
            continue;
        };
        let said = Said {
            actor: event
                .agent
                .and_then(|agent| agent.summary)
                .unwrap_or_else(|| "PagerDuty".to_owned()),
            is_taken: event.event_type == "incident.acknowledged",
            by_way_of: Route::Pagerduty,
            at,
        };
        say(event.data.incident_key, said);
    }
    for (text, at, entity) in told(reader, "slack_responses").await {
        let Ok(SlackInteraction { user, actions }) = serde_json::from_str(&text) else {
            continue;
        };
        let names = [user.name, user.username].into_iter().find(|name| !name.is_empty());
        let actor = names.unwrap_or(user.id);
        for action in actions {
            let incident = open.iter().find(|incident| incident.dedup_key == action.value);
            match (action.action_id.as_str(), incident) {
                (ACKNOWLEDGE, _) => {
                    let said = Said {
                        actor: actor.clone(),
                        is_taken: true,
                        by_way_of: Route::Slack,
                        at,
                    };
                    say(action.value, said);
                }
                (SNOOZE, Some(incident)) => {
                    let silence = Silence {
                        id: 0,
                        rule_id: incident.rule_id.clone(),
                        entity: incident.group_key.clone(),
                        from_at: at,
                        until_at: at + TimeDelta::seconds(SNOOZE_SECS),
                        actor: actor.clone(),
                        reason: "by way of Slack".to_owned(),
                    };
                    if control.hear_silence(&silence, &entity).await? {
                        control
                            .note(incident.id, &actor, "quiet for an hour, by way of Slack", at)
                            .await?;
                    }
                }
                _ => {}
            }
        }
    }
    for (key, said) in last {
        if open.iter().any(|incident| incident.dedup_key == key) {
            control
                .hear(&key, (&said.actor, said.is_taken), said.by_way_of, (said.at, now))
                .await?;
        }
    }
    Ok(())
}

/// Payloads of a signal with their times and names, oldest first. What cannot be read now is read at the next look.
async fn told(reader: &dyn MetricReader, signal: &str) -> Vec<(String, DateTime<Utc>, String)> {
    let mut found = match reader.readings(signal, None).await {
        Ok(found) => found.readings,
        Err(error) => {
            tracing::warn!("{signal} could not be read: {error}");
            return Vec::new();
        }
    };
    found.sort_by_key(|reading| reading.since_at);
    let payload = |reading: Reading| {
        let (_, text) = reading.evidence.into_iter().find(|(name, _)| name == "payload")?;
        Some((text, reading.since_at?, reading.entity))
    };
    found.into_iter().filter_map(payload).collect()
}
