use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Answer, Class, retry_after_secs};
use crate::message::{Action, Message};

/// PagerDuty cuts nothing itself: a longer summary is refused.
const SUMMARY_CHARS: usize = 1024;

pub(super) fn body(message: &Message) -> Value {
    let event_action = match message.action {
        // Another trigger of the same key is joined to the open alert.
        Action::Trigger | Action::Update | Action::GiveBack => "trigger",
        Action::Acknowledge => "acknowledge",
        Action::Resolve => "resolve",
    };
    if event_action != "trigger" {
        return json!({"event_action": event_action, "dedup_key": message.dedup_key});
    }
    let summary: String = message.title.chars().take(SUMMARY_CHARS).collect();
    let mut body = json!({
        "event_action": event_action,
        "dedup_key": message.dedup_key,
        "client": "Atalaya",
        "payload": {
            "summary": summary,
            "source": message.company,
            "severity": message.severity,
            "timestamp": message.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "component": message.component,
            "class": message.rule_id,
            "custom_details": message.details,
        },
    });
    if !message.runbook_url.is_empty() {
        body["links"] = json!([{"href": message.runbook_url, "text": "Runbook"}]);
    }
    body
}

pub(super) fn classify(answer: &Answer, now: DateTime<Utc>) -> Class {
    let reason = format!(
        "{}: {}",
        answer.status,
        answer.body.chars().take(200).collect::<String>()
    );
    match answer.status {
        202 => Class::Delivered,
        408 | 429 | 500..=599 => Class::Retry {
            after_secs: retry_after_secs(answer, now),
            reason,
        },
        // Another success is somebody else's: a proxy that does not know PagerDuty.
        200..=299 => Class::Retry {
            after_secs: None,
            reason: format!("not PagerDuty's answer, {reason}"),
        },
        _ => Class::Permanent { reason },
    }
}
