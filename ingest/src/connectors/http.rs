//! Asking a vendor's interface: what is wrong, whose fault it is, and when trying again helps.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode};
use thiserror::Error;

/// Why a vendor could not be read. What was read before is durable.
#[derive(Debug, Error)]
pub enum ConnectorError {
    /// The vendor refuses what was asked: a key without the right, an address that is not there. The operator must act.
    #[error("{vendor} refuses {asked}: {reason}")]
    Refused {
        /// Who.
        vendor: &'static str,
        /// What, without any secret.
        asked: String,
        /// Its words.
        reason: String,
        /// Whether it is this object that it does not have, or does not give like this.
        is_about_the_object: bool,
    },
    /// The vendor asks for patience, fails, or cannot be reached: trying again helps.
    #[error("{vendor} cannot answer {asked} now: {reason}; try again in {retry_after_secs} s")]
    Later {
        /// Who.
        vendor: &'static str,
        /// What.
        asked: String,
        /// Its words, or the network's.
        reason: String,
        /// After how many seconds.
        retry_after_secs: u64,
    },
    /// The answer is not what the vendor documents.
    #[error("{vendor}'s answer to {asked} cannot be read: {reason}")]
    Unreadable {
        /// Who.
        vendor: &'static str,
        /// What.
        asked: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The home could not take it; see the inner error.
    #[error(transparent)]
    Store(#[from] atalaya_store::StoreError),
}

/// Largest answer that is read: a hundred objects have less by far.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// One vendor's interface.
#[derive(Debug)]
pub(crate) struct Api {
    /// How far our clock is ahead of the vendor's.
    ahead_secs: AtomicI64,
    pub(crate) vendor: &'static str,
    client: Client,
    base_url: String,
    headers: reqwest::header::HeaderMap,
}

impl Api {
    pub(crate) fn new(
        vendor: &'static str,
        base_url: &str,
        headers: reqwest::header::HeaderMap,
    ) -> Result<Self, ConnectorError> {
        let client = Client::builder()
            .timeout(std::time::Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ConnectorError::Refused {
                vendor,
                asked: "to be asked at all".to_owned(),
                reason: error.to_string(),
                is_about_the_object: false,
            })?;
        Ok(Self {
            ahead_secs: AtomicI64::new(0),
            vendor,
            client,
            base_url: base_url.trim_end_matches('/').to_owned(),
            headers,
        })
    }

    /// The present second by the vendor's clock, where it is behind ours: what is asked for up to our own present would
    /// pass over what the vendor has yet to see.
    pub(crate) fn present_secs(&self, now: DateTime<Utc>) -> i64 {
        now.timestamp() - self.ahead_secs.load(Ordering::Relaxed).max(0)
    }

    /// Asks for a path with a query; the answer's text. Paths and queries hold no secrets, so errors may name them.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
        now: DateTime<Utc>,
    ) -> Result<String, ConnectorError> {
        let asked = path.to_owned();
        let later = |reason: String, retry_after_secs: u64| ConnectorError::Later {
            vendor: self.vendor,
            asked: asked.clone(),
            reason,
            retry_after_secs,
        };
        let request = self
            .client
            .get(format!("{}{path}", self.base_url))
            .headers(self.headers.clone())
            .query(query);
        // The error's own text would name the whole address.
        let mut response = request
            .send()
            .await
            .map_err(|error| later(error.without_url().to_string(), 5))?;
        let status = response.status();
        let said_at = response
            .headers()
            .get(reqwest::header::DATE)
            .and_then(|value| value.to_str().ok());
        if let Some(at) = said_at.and_then(|text| DateTime::parse_from_rfc2822(text).ok()) {
            self.ahead_secs
                .store(now.timestamp() - at.timestamp(), Ordering::Relaxed);
        }
        let wait = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| retry_after_secs(value.to_str().ok()?, now));
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| later(error.without_url().to_string(), 5))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return Err(ConnectorError::Unreadable {
                    vendor: self.vendor,
                    asked,
                    reason: format!("it is longer than {MAX_ANSWER_BYTES} bytes"),
                });
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match status {
            StatusCode::OK => Ok(text),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(later(status.to_string(), wait.unwrap_or(10)))
            }
            status if status.is_server_error() => Err(later(status.to_string(), wait.unwrap_or(30))),
            status => Err(ConnectorError::Refused {
                vendor: self.vendor,
                asked,
                reason: format!("{status}: {}", told(&text)),
                is_about_the_object: matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND),
            }),
        }
    }
}

/// What an error's body says, cut short.
fn told(text: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|body| body.pointer("/error/message")?.as_str().map(str::to_owned));
    message.unwrap_or_else(|| text.to_owned()).chars().take(200).collect()
}

/// `Retry-After` in either of its forms: seconds, or a date.
fn retry_after_secs(value: &str, now: DateTime<Utc>) -> Option<u64> {
    if let Ok(secs) = value.trim().parse() {
        return Some(secs);
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?.to_utc();
    u64::try_from((at - now).num_seconds().max(1)).ok()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let now = Utc.with_ymd_and_hms(2026, 3, 1, 10, 0, 0).unwrap();
        assert_eq!(retry_after_secs("17", now), Some(17));
        assert_eq!(retry_after_secs("Sun, 01 Mar 2026 10:00:30 GMT", now), Some(30));
        assert_eq!(retry_after_secs("Sun, 01 Mar 2026 09:00:00 GMT", now), Some(1));
        assert_eq!(retry_after_secs("soon", now), None);
    }
}
