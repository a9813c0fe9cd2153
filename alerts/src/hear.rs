//! What people answered in PagerDuty, as its webhooks told.

use std::collections::BTreeMap;

use atalaya_model::MetricReader;
use chrono::{DateTime, Utc};

use crate::{AlertError, Control, Incident};

/// The part of a PagerDuty v3 webhook that closes the loop: `incident_key` is the key we gave.
#[derive(serde::Deserialize)]
struct PagerdutyEvent {
    event: PagerdutyTold,
}

#[derive(serde::Deserialize)]
struct PagerdutyTold {
    event_type: String,
    agent: Option<PagerdutyAgent>,
    data: PagerdutyIncident,
}

#[derive(serde::Deserialize)]
struct PagerdutyAgent {
    summary: Option<String>,
}

#[derive(serde::Deserialize)]
struct PagerdutyIncident {
    incident_key: String,
}

/// Takes over which open incidents somebody took in PagerDuty, or gave back. What was heard last of each stands; hearing it
/// again changes nothing, so nothing is lost when this process is killed.
pub(crate) async fn hear(control: &Control, reader: &dyn MetricReader, open: &[Incident]) -> Result<(), AlertError> {
    if open.is_empty() {
        return Ok(());
    }
    let mut said = match reader.readings("pagerduty_responses", None).await {
        Ok(found) => found.readings,
        Err(error) => {
            tracing::warn!("what PagerDuty said could not be read: {error}");
            return Ok(());
        }
    };
    said.sort_by_key(|reading| reading.since_at);
    let mut last: BTreeMap<String, (bool, String, DateTime<Utc>)> = BTreeMap::new();
    for reading in said {
        let payload = reading.evidence.iter().find(|(name, _)| name == "payload");
        let told = payload.and_then(|(_, text)| serde_json::from_str::<PagerdutyEvent>(text).ok());
        if let (Some(told), Some(at)) = (told, reading.since_at) {
            let actor = told.event.agent.and_then(|agent| agent.summary);
            let actor = actor.unwrap_or_else(|| "PagerDuty".to_owned());
            let is_taken = told.event.event_type == "incident.acknowledged";
            last.insert(told.event.data.incident_key, (is_taken, actor, at));
        }
    }
    for (key, (is_taken, actor, at)) in last {
        if open.iter().any(|incident| incident.dedup_key == key) {
            control.hear(&key, is_taken, &actor, at).await?;
        }
    }
    Ok(())
}
