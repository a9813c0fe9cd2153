//! Slack: by an incoming webhook, which can only speak, or by a bot, whose messages are edited and answered.

mod blocks;
mod bot;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Class, retry_after_secs};

pub(crate) use blocks::{ACKNOWLEDGE, SNOOZE, SNOOZE_SECS, body};
pub(crate) use bot::{Bot, Posted, SETTLE, Thread, apart, posted};
use bot::{as_reply, is_edit};

/// Answers that say "not now".
const PASSING: [&str; 9] = [
    "rate_limited",
    "ratelimited",
    "rollup_error",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
    "message_limit_exceeded",
];

/// Answers that are about the form of the message: a plainer one may pass.
const FORM: [&str; 7] = [
    "invalid_blocks",
    "msg_blocks_too_long",
    "msg_too_long",
    "invalid_payload",
    "attachment_payload_limit_exceeded",
    "metadata_too_large",
    "invalid_blocks_format",
];

/// Answers that say that the bot, its key or its channel is not what it was: no fault of the message.
const BROKEN: [&str; 12] = [
    "invalid_auth",
    "not_authed",
    "token_expired",
    "token_revoked",
    "account_inactive",
    "missing_scope",
    "ekm_access_denied",
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "org_login_required",
];

/// Answers that say that a message can be edited no more.
const NOT_EDITABLE: [&str; 4] = [
    "message_not_found",
    "edit_window_closed",
    "cant_update_message",
    "update_failed",
];

/// The body for an incoming webhook: it cannot have buttons that anybody hears.
pub(super) fn for_webhook(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("buttons");
        fields.remove("is_reply");
        fields.remove("is_apart");
    }
    body
}

/// The same body written more plainly; what cannot be edited is answered.
pub(super) fn plainer(action: &str, body: &str, reason: &str) -> Option<String> {
    if is_edit(action) || NOT_EDITABLE.iter().any(|word| reason.contains(word)) {
        return as_reply(body).or_else(|| blocks::plainer(body));
    }
    blocks::plainer(body)
}

/// The Web API's answer, which is a "200 OK" also when nothing was done.
#[derive(Deserialize)]
struct Said {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    response_metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

pub(super) fn classify(answer: &Answer, now: DateTime<Utc>) -> Class {
    let body = answer.body.trim();
    let said = serde_json::from_str::<Said>(body).ok();
    if answer.status == 200 && (body == "ok" || said.as_ref().is_some_and(|said| said.ok)) {
        return Class::Delivered;
    }
    let words = match &said {
        Some(said) if !said.error.is_empty() => {
            format!("{} {}", said.error, said.response_metadata.messages.join("; "))
        }
        _ => body.to_owned(),
    };
    let reason = format!(
        "{}: {}",
        answer.status,
        words.trim().chars().take(200).collect::<String>()
    );
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    match answer.status {
        429 => Class::Retry {
            after_secs: retry_after_secs(answer, now).or(Some(1)),
            reason,
        },
        408 | 500..=599 => Class::Retry {
            after_secs: retry_after_secs(answer, now),
            reason,
        },
        _ if has(&PASSING) => Class::Retry {
            after_secs: retry_after_secs(answer, now),
            reason,
        },
        _ if has(&BROKEN) => Class::Broken { reason },
        _ if has(&FORM) || has(&NOT_EDITABLE) => Class::Degrade { reason },
        _ => Class::Permanent { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_slack_are_a_delivery() {
        let answer = |status, body: &str| Answer {
            status,
            retry_after: Some("7".into()),
            body: body.into(),
        };
        let class = |status, body: &str| classify(&answer(status, body), DateTime::UNIX_EPOCH);
        assert_eq!(class(200, "ok"), Class::Delivered);
        assert_eq!(class(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#), Class::Delivered);
        assert!(matches!(class(200, "<html>sign in</html>"), Class::Permanent { .. }));
        assert!(matches!(
            class(429, ""),
            Class::Retry {
                after_secs: Some(7),
                ..
            }
        ));
        assert!(matches!(class(500, "rollup_error"), Class::Retry { .. }));
        assert!(matches!(class(404, "no_service"), Class::Permanent { .. }));
        // What Alertmanager 0.25 took for delivered.
        let refused = class(200, r#"{"ok":false,"error":"channel_not_found"}"#);
        assert_eq!(
            refused,
            Class::Broken {
                reason: "200: channel_not_found".to_owned()
            }
        );
        assert!(matches!(
            class(200, r#"{"ok":false,"error":"ratelimited"}"#),
            Class::Retry { .. }
        ));
        let wrong = r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no [json-pointer:/blocks/0]"]}}"#;
        assert!(matches!(class(200, wrong), Class::Degrade { reason } if reason.contains("/blocks/0")));
    }
}
