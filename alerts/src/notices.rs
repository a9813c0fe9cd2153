//! What is told where no rule speaks.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{
    Incident, Route,
    message::{Action, Message, cut},
};

/// What is told when a route will never take a notification. It has a key of its own: it must not end or join the alert.
pub(crate) fn undelivered(incident: &Incident, route: Route, reason: &str, at: DateTime<Utc>) -> Message {
    Message {
        action: Action::Trigger,
        severity: "error",
        dedup_key: format!("{}-undelivered-{}", incident.dedup_key, route.name()),
        rule_id: incident.rule_id.clone(),
        component: "alerts".to_owned(),
        company: "Atalaya".to_owned(),
        title: format!(
            "{} refused an alert · {} rechazó una alerta: {}",
            route.name(),
            route.name(),
            incident.title
        ),
        lines: vec![cut(reason), format!("incident {}", incident.id)],
        footer: incident.rule_id.clone(),
        details: json!({"incident": incident.id, "route": route.name(), "reason": reason}),
        runbook_url: String::new(),
        is_well: false,
        at,
    }
}

/// What is told when an incident ends without its rule: closed by hand, or its rule was removed.
pub(crate) fn ended(incident: &Incident, reason: &str, at: DateTime<Utc>) -> Message {
    Message {
        action: Action::Resolve,
        severity: "info",
        dedup_key: incident.dedup_key.clone(),
        rule_id: incident.rule_id.clone(),
        component: "alerts".to_owned(),
        company: "Atalaya".to_owned(),
        title: format!("Closed · Cerrado: {}", incident.title),
        lines: vec![cut(reason)],
        footer: incident.rule_id.clone(),
        details: json!({"incident": incident.id, "reason": reason}),
        runbook_url: String::new(),
        is_well: false,
        at,
    }
}
