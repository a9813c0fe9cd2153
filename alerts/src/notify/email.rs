use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::{Mailboxes, MultiPart, header},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::{Answer, Class};
use crate::{
    AlertError,
    message::{Action, Message, Table},
};

/// Seconds a relay has for each step of the conversation.
const ANSWER_SECS: u64 = 10;
/// RFC 5322 lets a line have 998 characters; a subject is read on a phone.
const SUBJECT_CHARS: usize = 200;

/// A relay, a sender and those who read.
#[derive(Clone)]
pub struct Mailbox {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: lettre::message::Mailbox,
    to: Mailboxes,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The relay's address may hold a password.
        f.debug_struct("Mailbox")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Reads the relay and the addresses; none when there is no relay.
    pub(super) fn from_variables(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, AlertError> {
        let wrong = |name: &'static str, reason: String| AlertError::Route { variable: name, reason };
        let Some(text) = variable("ATALAYA_SMTP_URL") else {
            return Ok(None);
        };
        let wrong_url = |reason: String| wrong("ATALAYA_SMTP_URL", reason);
        let mut url = Url::parse(&text).map_err(|error| wrong_url(format!("is not an address: {error}")))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        // A letter about the company's figures does not cross a network in the clear.
        if url.scheme() == "smtp" && !is_here && !url.query_pairs().any(|(name, _)| name == "tls") {
            url.query_pairs_mut().append_pair("tls", "required");
        }
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            // The error may repeat the address, and with it the password.
            .map_err(|_| wrong_url("is not smtp://user:password@host:port or smtps://...".to_owned()))?
            .timeout(Some(Duration::from_secs(ANSWER_SECS)))
            .build();
        let needed = |name: &'static str| {
            variable(name).ok_or_else(|| wrong(name, "is missing beside ATALAYA_SMTP_URL".to_owned()))
        };
        let from = needed("ATALAYA_EMAIL_FROM")?
            .parse()
            .map_err(|error| wrong("ATALAYA_EMAIL_FROM", format!("is no address: {error}")))?;
        let to = needed("ATALAYA_EMAIL_TO")?
            .parse()
            .map_err(|error| wrong("ATALAYA_EMAIL_TO", format!("is no list of addresses: {error}")))?;
        Ok(Some(Self { transport, from, to }))
    }

    /// Sends a letter; the answer is the relay's code and words.
    pub(crate) async fn send(&self, body: &Value, now: DateTime<Utc>) -> Result<Answer, String> {
        let letter = self.letter(body, now)?;
        match self.transport.send(letter).await {
            Ok(response) => Ok(Answer {
                status: u16::from(response.code()),
                retry_after: None,
                body: response.message().collect::<Vec<_>>().join(" "),
            }),
            Err(error) => match error.status() {
                // The relay said so itself.
                Some(code) => Ok(Answer {
                    status: u16::from(code),
                    retry_after: None,
                    body: error.to_string(),
                }),
                None => Err(error.to_string()),
            },
        }
    }

    fn letter(&self, body: &Value, now: DateTime<Utc>) -> Result<lettre::Message, String> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let mut to = self.to.clone();
        for address in body["also_to"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let mailbox: lettre::message::Mailbox = address
                .parse()
                .map_err(|error| format!("{address:?} is no address: {error}"))?;
            // Who reads everything anyhow gets one letter.
            if to.iter().all(|known| known.email != mailbox.email) {
                to.push(mailbox);
            }
        }
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .mailbox(header::To::from(to))
            .subject(text("subject"))
            .date(std::time::SystemTime::from(now))
            // The same notification sent twice is one letter to most mailboxes.
            .message_id(Some(text("message_id")));
        let thread = text("thread");
        if thread != text("message_id") {
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        builder
            .header(AutoSubmitted("auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(text("text"), text("html")))
            .map_err(|error| format!("the letter cannot be written: {error}"))
    }
}

/// RFC 3834: no out-of-office answers, please.
#[derive(Debug, Clone)]
struct AutoSubmitted(String);

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.clone())
    }
}

pub(super) fn body(message: &Message) -> Value {
    let thread = format!("<{}@atalaya>", message.dedup_key);
    let message_id = match message.action {
        Action::Trigger if !message.may_recur => thread.clone(),
        // Two letters of one look are two letters, and so are two beginnings under one key: a mailbox keeps one of each name.
        action => {
            let digest = Sha256::digest(message.all_lines().join("\n").as_bytes());
            let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            let millis = message.at.timestamp_millis();
            format!("<{}.{}.{millis}.{digest}@atalaya>", message.dedup_key, action.name())
        }
    };
    let mut text = message.all_lines().join("\n");
    let lines = message.lines.iter();
    let mut html: String = lines.map(|line| format!("<p>{}</p>", escape(line))).collect();
    html += &message.table.as_ref().map(table).unwrap_or_default();
    if !message.runbook_url.is_empty() {
        text += &format!("\n\nRunbook: {}", message.runbook_url);
        html += &format!("<p><a href=\"{0}\">Runbook</a></p>", escape(&message.runbook_url));
    }
    text += &format!("\n\n{}\n", message.footer);
    json!({
        "subject": message.title.chars().take(SUBJECT_CHARS).collect::<String>(),
        "message_id": message_id,
        "thread": thread,
        "also_to": message.also_to,
        "text": text,
        "html": format!(
            "<!doctype html><html><body style=\"font-family:sans-serif;max-width:42em\"><h2>{}</h2>{html}<p style=\"color:#666\">{}</p></body></html>",
            escape(&message.title),
            escape(&message.footer)
        ),
    })
}

/// The first column is text, the second a figure: figures stand under each other by their last digit.
fn table(table: &Table) -> String {
    let row = |tag: &str, cells: &Vec<String>| {
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let align = if column == 1 { "right" } else { "left" };
            format!(
                "<{tag} style=\"text-align:{align};padding:2px 12px 2px 0\">{}</{tag}>",
                escape(cell)
            )
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row("td", cells)).collect();
    format!(
        "<table style=\"border-collapse:collapse;font-variant-numeric:tabular-nums\"><caption style=\"text-align:left;color:#666\">{}</caption>{}{rows}</table>",
        escape(&table.caption),
        row("th", &table.header)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The letter to its usual readers alone: one address that a relay refuses must not keep it from all others.
pub(super) fn plainer(body: &str) -> Option<String> {
    let mut body: Value = serde_json::from_str(body).ok()?;
    let more = body.get_mut("also_to")?.as_array_mut()?;
    let had_more = !std::mem::take(more).is_empty();
    had_more.then(|| body.to_string())
}

/// RFC 5321: 2yz is delivered, 4yz passes, 5yz stays.
pub(super) fn classify(answer: &Answer) -> Class {
    let reason = format!(
        "{}: {}",
        answer.status,
        answer.body.chars().take(200).collect::<String>()
    );
    match answer.status {
        200..=299 => Class::Delivered,
        500..=599 => Class::Permanent { reason },
        _ => Class::Retry {
            after_secs: None,
            reason,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Incident, IncidentKind, Route, notices::undelivered};

    #[test]
    fn two_refusals_of_one_route_are_two_letters_in_one_thread() {
        let at: DateTime<Utc> = "2026-03-16T10:00:00Z".parse().unwrap();
        let incident = Incident {
            id: 7,
            rule_id: "cpu_high".to_owned(),
            kind: IncidentKind::Breach,
            group_key: String::new(),
            severity: "critical".to_owned(),
            dedup_key: "k".to_owned(),
            opened_at: at,
            resolved_at: None,
            title: "CPU".to_owned(),
            suppressed_by: None,
            told_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
        };
        let letter = |reason, secs| {
            let at = at + chrono::TimeDelta::seconds(secs);
            body(&undelivered(&incident, Route::Slack, reason, at))
        };
        let (first, second) = (letter("invalid_blocks", 0), letter("channel_is_archived", 60));
        assert_ne!(first["message_id"], second["message_id"]);
        assert_eq!(first["thread"], second["thread"]);
        // The same one, sent twice, stays one.
        assert_eq!(first, letter("invalid_blocks", 0));
    }

    #[test]
    fn a_letter_goes_to_its_usual_readers_where_one_more_is_refused() {
        let body = r#"{"subject":"s","also_to":["gone@example.org"]}"#;
        let alone = plainer(body).unwrap();
        assert!(
            !alone.contains("gone@example.org") && alone.contains("\"subject\":\"s\""),
            "{alone}"
        );
        assert_eq!(plainer(&alone), None);
        assert_eq!(plainer(r#"{"subject":"s"}"#), None);
    }
}
