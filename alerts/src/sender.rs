use std::{collections::BTreeSet, sync::Arc, time::Duration};

use atalaya_model::Clock;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    AlertError, Control,
    control::{Intent, Outcome},
    notify::{self, Address, Answer, Class, Routes},
};

/// Seconds to wait after the n-th failure without a word from the vendor.
const BACKOFF_SECS: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];
/// However long a vendor asks to wait, an alert is tried again within the hour.
const LONGEST_WAIT_SECS: u64 = 3600;
/// Seconds a vendor has to answer.
const ANSWER_SECS: u64 = 10;

/// Delivers intents: in order for each incident and route, as early as allowed, until each has ended.
pub struct Sender {
    control: Control,
    routes: Routes,
    clock: Arc<dyn Clock>,
    client: reqwest::Client,
}

impl Sender {
    /// A sender over the routes.
    pub fn new(control: Control, routes: Routes, clock: Arc<dyn Clock>) -> Result<Self, AlertError> {
        let client = reqwest::Client::builder()
            // A redirected POST becomes a GET: better to hear of it than to believe it.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(ANSWER_SECS))
            .build()
            .map_err(|error| AlertError::Route {
                variable: "HTTP client",
                reason: error.to_string(),
            })?;
        Ok(Self {
            control,
            routes,
            clock,
            client,
        })
    }

    /// Attempts every intent that is due and returns when the next one will be; `None` when nothing is pending.
    pub async fn deliver_due(&self) -> Result<Option<DateTime<Utc>>, AlertError> {
        let mut held: BTreeSet<(i64, &'static str)> = BTreeSet::new();
        let mut next: Option<DateTime<Utc>> = None;
        for intent in self.control.pending().await? {
            let lane = (intent.incident_id, intent.route.name());
            // A resolve never overtakes its trigger.
            if held.contains(&lane) {
                continue;
            }
            if intent.not_before > self.clock.now() {
                held.insert(lane);
                next = Some(next.map_or(intent.not_before, |known| known.min(intent.not_before)));
                continue;
            }
            if let Some(again) = self.attempt(&intent).await? {
                held.insert(lane);
                next = Some(next.map_or(again, |known| known.min(again)));
            }
        }
        Ok(next)
    }

    /// One attempt; returns when the next may follow, or `None` when the intent has ended.
    async fn attempt(&self, intent: &Intent) -> Result<Option<DateTime<Utc>>, AlertError> {
        let started = self.clock.now();
        let Some(address) = self.routes.address(intent.route) else {
            let again = started + TimeDelta::seconds(60);
            let reason = format!("{} has no address yet", intent.route.name());
            let outcome = Outcome {
                state: "pending",
                reason: &reason,
                not_before: again,
                is_attempt: false,
                status: None,
                answer: "",
                latency_ms: None,
            };
            self.control.book(intent, &outcome, started).await?;
            return Ok(Some(again));
        };
        let mut body: serde_json::Value = serde_json::from_str(&intent.body)?;
        let answer = match address {
            Address::Mail(mailbox) => mailbox.send(&body, started).await,
            Address::Http(url, secret) => {
                if let Some(secret) = secret {
                    body["routing_key"] = secret.into();
                }
                self.post(url.clone(), &body).await
            }
        };
        let now = self.clock.now();
        let latency_ms = Some((now - started).num_milliseconds());
        let (class, status, text) = match answer {
            Ok(answer) => (
                notify::classify(intent.route, &answer, now),
                Some(answer.status),
                answer.body,
            ),
            // The request may have arrived: sent twice is better than not at all. The ledger says that it is not known.
            Err(reason) => (
                Class::Retry {
                    after_secs: None,
                    reason: format!("ambiguous: {reason}"),
                },
                None,
                reason,
            ),
        };
        let (state, reason, again) = match class {
            Class::Delivered => ("delivered", String::new(), None),
            Class::Retry { after_secs, reason } => {
                let failures = usize::try_from(intent.attempts)
                    .unwrap_or(0)
                    .min(BACKOFF_SECS.len() - 1);
                let wait = after_secs.unwrap_or(BACKOFF_SECS[failures]).min(LONGEST_WAIT_SECS);
                (
                    "pending",
                    reason,
                    Some(now + TimeDelta::seconds(i64::try_from(wait).unwrap_or(60))),
                )
            }
            Class::Permanent { reason } => {
                tracing::error!(
                    "{} refused the {} of incident {}: {reason}",
                    intent.route.name(),
                    intent.action,
                    intent.incident_id
                );
                ("dead", reason, None)
            }
        };
        let outcome = Outcome {
            state,
            reason: &reason,
            not_before: again.unwrap_or(now),
            is_attempt: true,
            status,
            answer: &text,
            latency_ms,
        };
        self.control.book(intent, &outcome, now).await?;
        Ok(again)
    }

    async fn post(&self, url: url::Url, body: &serde_json::Value) -> Result<Answer, String> {
        // The address may hold a secret; it never goes into a message.
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.client.post(url).json(body).send().await.map_err(plain)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(plain)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= 1024 {
                break;
            }
        }
        bytes.truncate(1024);
        Ok(Answer {
            status,
            retry_after,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}
