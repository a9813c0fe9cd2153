use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Answer, Class, retry_after_secs};
use crate::message::{Action, Message};

/// Slack's own limit of a header is 150, of a section 3,000 characters.
const HEADER_CHARS: usize = 150;
const SECTION_CHARS: usize = 2_900;

/// Answers that say "not now".
const PASSING: [&str; 7] = [
    "rate_limited",
    "ratelimited",
    "rollup_error",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
];

pub(super) fn body(message: &Message) -> Value {
    let mark = match message.action {
        Action::Trigger | Action::Update if message.severity == "critical" => "🔴",
        Action::Trigger | Action::Update if message.severity == "info" => "🔵",
        Action::Trigger | Action::Update => "🟠",
        Action::Resolve if message.is_well => "🟢",
        Action::Resolve => "⚪",
    };
    let title = format!("{mark} {}", message.title);
    let lines = message.lines.join("\n");
    let header: String = title.chars().take(HEADER_CHARS).collect();
    let section: String = lines.chars().take(SECTION_CHARS).collect();
    // Plain text: nothing that a customer wrote can mention a channel or a person. An empty block would be refused.
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": header}})];
    if !section.is_empty() {
        blocks.push(json!({"type": "section", "text": {"type": "plain_text", "text": section}}));
    }
    if !message.footer.is_empty() {
        blocks.push(json!({"type": "context", "elements": [{"type": "plain_text", "text": message.footer}]}));
    }
    json!({
        // Phones and screen readers show this; it is complete by itself.
        "text": escape(&format!("{title}\n{lines}")),
        "blocks": blocks,
    })
}

/// Answers that are about the form of the message: its text alone may pass.
const FORM: [&str; 6] = [
    "invalid_blocks",
    "msg_blocks_too_long",
    "msg_too_long",
    "invalid_payload",
    "attachment_payload_limit_exceeded",
    "metadata_too_large",
];

/// The text alone, shortened, of a message with blocks.
pub(super) fn plainer(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    body.as_object_mut()?.remove("blocks")?;
    let text: String = body["text"].as_str()?.chars().take(SECTION_CHARS).collect();
    body["text"] = text.into();
    Some(body.to_string())
}

/// Slack reads `&`, `<` and `>`; anything else is text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn classify(answer: &Answer, now: DateTime<Utc>) -> Class {
    let body = answer.body.trim();
    if answer.status == 200 && body == "ok" {
        return Class::Delivered;
    }
    let reason = format!("{}: {}", answer.status, body.chars().take(200).collect::<String>());
    let passing = PASSING.iter().any(|word| body.contains(word));
    match answer.status {
        429 => Class::Retry {
            after_secs: retry_after_secs(answer, now).or(Some(1)),
            reason,
        },
        408 | 500..=599 => Class::Retry {
            after_secs: retry_after_secs(answer, now),
            reason,
        },
        _ if passing => Class::Retry {
            after_secs: retry_after_secs(answer, now),
            reason,
        },
        _ if FORM.iter().any(|word| body.contains(word)) => Class::Degrade { reason },
        _ => Class::Permanent { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_ok_is_a_delivery() {
        let answer = |status, body: &str| Answer {
            status,
            retry_after: Some("7".into()),
            body: body.into(),
        };
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(classify(&answer(200, "ok"), now), Class::Delivered);
        assert!(matches!(
            classify(&answer(200, "<html>sign in</html>"), now),
            Class::Permanent { .. }
        ));
        assert!(matches!(
            classify(&answer(429, ""), now),
            Class::Retry {
                after_secs: Some(7),
                ..
            }
        ));
        assert!(matches!(
            classify(&answer(500, "rollup_error"), now),
            Class::Retry { .. }
        ));
        assert!(matches!(
            classify(&answer(404, "no_service"), now),
            Class::Permanent { .. }
        ));
    }

    #[test]
    fn customer_text_cannot_mention_anybody() {
        assert_eq!(escape("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    }
}
