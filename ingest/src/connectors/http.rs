//! Asking a vendor's interface: what is wrong, whose fault it is, and when trying again helps.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use atalaya_model::Clock;
use base64::Engine as _;
use chrono::{DateTime, Utc};
use governor::Quota;
use reqwest::{
    Client, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use thiserror::Error;
use tokio::sync::Mutex;

use super::{Pace, Surroundings, oauth::Access};

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
        /// The status of its answer, where there was one.
        status: Option<u16>,
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

impl ConnectorError {
    pub(crate) fn refused(vendor: &'static str, asked: &str, reason: impl ToString) -> Self {
        Self::Refused {
            vendor,
            asked: asked.to_owned(),
            reason: reason.to_string(),
            status: None,
        }
    }

    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused {
                status: Some(status), ..
            } => StatusCode::from_u16(*status).ok(),
            _ => None,
        }
    }

    /// Whether the vendor does not have what was asked for.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.status(), Some(StatusCode::NOT_FOUND | StatusCode::GONE))
    }

    /// Whether it does not have it, or does not give it like this.
    pub(crate) fn is_about_the_object(&self) -> bool {
        let unfit = [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY];
        self.is_absent() || self.status().is_some_and(|status| unfit.contains(&status))
    }
}

/// Largest answer that is read: a hundred objects have less by far.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// How often a question is asked again before the sync ends, and is taken up at its next turn.
const MOST_TRIES: u32 = 5;
/// A vendor that wants to be left alone for longer is: the sync ends.
const LONGEST_WAIT_SECS: u64 = 120;

/// How a vendor knows who asks.
pub(crate) enum Credentials {
    /// A token that holds until it is taken back.
    Bearer(String),
    /// A user and a password, or what a vendor takes for them.
    Basic(String, String),
    /// Tokens that hold for an hour.
    OAuth(Box<Mutex<Access>>),
}

/// A question.
#[derive(Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(&'a str, String)],
    /// What is posted; without it the question is a GET.
    pub(crate) body: Option<&'a serde_json::Value>,
    /// The mark of the answer that is known already.
    pub(crate) unless: Option<&'a str>,
}

/// An answer of success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The answer is the one that was known already.
    pub(crate) is_known: bool,
    /// The mark by which it can be known again.
    pub(crate) etag: Option<String>,
}

/// One vendor's interface.
pub(crate) struct Api {
    /// How far our clock is ahead of the vendor's.
    ahead_secs: AtomicI64,
    pub(crate) vendor: &'static str,
    client: Client,
    base_url: String,
    credentials: Credentials,
    headers: HeaderMap,
    /// What no message may hold, whatever the vendor answers.
    secrets: Vec<String>,
    pace: Pace,
    clock: Arc<dyn Clock>,
}

impl Api {
    pub(crate) fn new(
        vendor: &'static str,
        base_url: &str,
        credentials: Credentials,
        mut secrets: Vec<String>,
        quota: Quota,
        around: &Surroundings,
    ) -> Result<Self, ConnectorError> {
        let client = Client::builder()
            .timeout(std::time::Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("atalaya")
            .build()
            .map_err(|error| ConnectorError::refused(vendor, "to be asked at all", error))?;
        match &credentials {
            Credentials::Bearer(token) => secrets.push(token.clone()),
            Credentials::Basic(user, password) => {
                let sent = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                secrets.extend([password.clone(), sent]);
            }
            Credentials::OAuth(_) => {}
        }
        secrets.retain(|secret| !secret.is_empty());
        Ok(Self {
            ahead_secs: AtomicI64::new(0),
            vendor,
            client,
            base_url: base_url.trim_end_matches('/').to_owned(),
            credentials,
            headers: HeaderMap::new(),
            secrets,
            pace: Pace::new(quota, Arc::clone(&around.clock), Arc::clone(&around.pause)),
            clock: Arc::clone(&around.clock),
        })
    }

    /// A header of every question.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Result<Self, ConnectorError> {
        let wrong = |_| ConnectorError::refused(self.vendor, name, "it holds letters that no header can have");
        let mut value = HeaderValue::try_from(value).map_err(wrong)?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// The present second by the vendor's clock, where it is behind ours: what is asked for up to our own present would
    /// pass over what the vendor has yet to see.
    pub(crate) fn present_secs(&self, now: DateTime<Utc>) -> i64 {
        now.timestamp() - self.ahead_secs.load(Ordering::Relaxed).max(0)
    }

    /// Asks for a path with a query; the answer's text.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<String, ConnectorError> {
        let question = Question {
            path,
            query,
            ..Question::default()
        };
        Ok(self.ask(question).await?.text)
    }

    /// Asks, waits as long as the vendor wants, and asks again. Paths and queries hold no secrets, so errors may name them.
    pub(crate) async fn ask(&self, question: Question<'_>) -> Result<Answer, ConnectorError> {
        let mut tries = 0;
        let mut was_let_in_anew = false;
        loop {
            self.pace.turn().await;
            tries += 1;
            match self.once(&question).await {
                Err(Failure::Unknown(_)) if !was_let_in_anew && self.is_let_in_anew().await => was_let_in_anew = true,
                Err(Failure::Unknown(error)) => return Err(error),
                Err(Failure::Busy(said, error)) => {
                    // Twice as long every time, where the vendor does not say how long.
                    let secs = said.unwrap_or(2 << tries);
                    if tries == MOST_TRIES || secs > LONGEST_WAIT_SECS {
                        return Err(error);
                    }
                    tracing::info!("{error}");
                    self.pace.wait(secs).await;
                }
                Err(Failure::Final(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Whether another access token may be had for the one that was not taken.
    async fn is_let_in_anew(&self) -> bool {
        match &self.credentials {
            Credentials::OAuth(access) => {
                access.lock().await.forget();
                true
            }
            _ => false,
        }
    }

    async fn once(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let now = self.clock.now();
        let asked = question.path.to_owned();
        let later = |reason: String, retry_after_secs: u64| ConnectorError::Later {
            vendor: self.vendor,
            asked: asked.clone(),
            reason,
            retry_after_secs,
        };
        // What is not reached now is tried again at the next turn.
        let broken = |error: reqwest::Error| Failure::Final(later(cause(error), 5));
        let url = format!("{}{}", self.base_url, question.path);
        let request = match question.body {
            Some(body) => self.client.post(url).json(body),
            None => self.client.get(url),
        };
        let request = request.headers(self.headers.clone()).query(question.query);
        let mut request = match &self.credentials {
            Credentials::Bearer(token) => request.bearer_auth(token),
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password)),
            Credentials::OAuth(access) => {
                let bearer = access.lock().await.bearer(&self.client, now).await;
                request.bearer_auth(bearer.map_err(|error| match error {
                    ConnectorError::Later { retry_after_secs, .. } => Failure::Busy(Some(retry_after_secs), error),
                    error => Failure::Final(error),
                })?)
            }
        };
        if let Some(mark) = question.unless {
            request = request.header(header::IF_NONE_MATCH, mark);
        }
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        let text_of = |name: header::HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let said_at = text_of(header::DATE);
        if let Some(at) = said_at.and_then(|text| DateTime::parse_from_rfc2822(&text).ok()) {
            self.ahead_secs
                .store(now.timestamp() - at.timestamp(), Ordering::Relaxed);
        }
        let wait = text_of(header::RETRY_AFTER).and_then(|text| retry_after_secs(&text, now));
        // GitHub says when its hour ends instead.
        let is_used_up = text_of(HeaderName::from_static("x-ratelimit-remaining")).as_deref() == Some("0");
        let reset = text_of(HeaderName::from_static("x-ratelimit-reset")).and_then(|text| text.parse::<i64>().ok());
        let until_reset = reset
            .filter(|_| is_used_up)
            .map(|at| (at - now.timestamp()).max(1).unsigned_abs());
        let wait = wait.or(until_reset);
        let etag = text_of(header::ETAG);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                let reason = format!("it is longer than {MAX_ANSWER_BYTES} bytes");
                return Err(Failure::Final(self.unreadable(&asked, reason)));
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let told = if status.is_success() {
            String::new()
        } else {
            self.told(&text).await
        };
        let refused = || ConnectorError::Refused {
            vendor: self.vendor,
            asked: asked.clone(),
            reason: format!("{status}: {told}"),
            status: Some(status.as_u16()),
        };
        match status {
            StatusCode::OK => Ok(Answer {
                text,
                is_known: false,
                etag,
            }),
            StatusCode::NOT_MODIFIED => Ok(Answer {
                text,
                is_known: true,
                etag,
            }),
            // Some say 403 where they mean patience, and say how long.
            StatusCode::FORBIDDEN if wait.is_some() => {
                Err(Failure::Busy(wait, later(status.to_string(), wait.unwrap_or(60))))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(Failure::Busy(wait, later(status.to_string(), wait.unwrap_or(10))))
            }
            status if status.is_server_error() => {
                Err(Failure::Busy(wait, later(status.to_string(), wait.unwrap_or(30))))
            }
            StatusCode::UNAUTHORIZED => Err(Failure::Unknown(refused())),
            _ => Err(Failure::Final(refused())),
        }
    }

    /// Reads an answer.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, asked: &str, text: &str) -> Result<T, ConnectorError> {
        serde_json::from_str(text).map_err(|error| self.unreadable(asked, error))
    }

    pub(crate) fn unreadable(&self, asked: &str, reason: impl ToString) -> ConnectorError {
        ConnectorError::Unreadable {
            vendor: self.vendor,
            asked: asked.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// What an error's body says, cut short and without what proves who asked.
    async fn told(&self, text: &str) -> String {
        let given = match &self.credentials {
            Credentials::OAuth(access) => access.lock().await.secrets(),
            _ => Vec::new(),
        };
        let body: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let message = body.as_ref().and_then(|body| {
            [
                "/error/message",
                "/0/error/message",
                "/message",
                "/description",
                "/error",
            ]
            .iter()
            .find_map(|place| body.pointer(place)?.as_str())
        });
        let mut told = message.unwrap_or(text).to_owned();
        for secret in self.secrets.iter().chain(&given) {
            told = told.replace(secret, "(secret)");
        }
        told.chars().take(200).collect()
    }
}

/// What the network says. The error's own text would name the whole address, and its cause is what helps.
pub(crate) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes
        .last()
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Why there was no answer.
enum Failure {
    /// Trying again now will not help.
    Final(ConnectorError),
    /// Trying again after so many seconds will.
    Busy(Option<u64>, ConnectorError),
    /// The vendor does not know who asks.
    Unknown(ConnectorError),
}

/// `Retry-After` in either of its forms: seconds, or a date.
pub(crate) fn retry_after_secs(value: &str, now: DateTime<Utc>) -> Option<u64> {
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
