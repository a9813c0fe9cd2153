//! Access tokens for refresh tokens (RFC 6749, section 6). Vendors that give a new refresh token with every access token
//! take the old one back: the new one is on the disk before anything is asked with what came with it.

use std::path::PathBuf;

use atalaya_store::{StoreError, write_privately};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ConnectorError,
    http::{cause, retry_after_secs},
    json::{integer, text},
};
use crate::file::hex;

/// What the operator gave: the text of the key of a connection that uses OAuth.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    /// Google Ads wants one beside.
    pub(crate) developer_token: Option<String>,
}

/// What is kept between two runs.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Hash of the refresh token that the operator gave: another one means that access was given anew.
    given_sha256: String,
    refresh_token: String,
}

/// Who is let in, and with what.
pub(crate) struct Access {
    vendor: &'static str,
    token_url: String,
    client: Client,
    path: PathBuf,
    refresh_token: String,
    bearer: Option<(String, DateTime<Utc>)>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(secret)")
    }
}

impl Client {
    /// Reads the text of a key; `None` when it is a plain token. What looks like JSON and is not what it should be is sent to
    /// nobody.
    pub(crate) fn parse(vendor: &'static str, key: &str) -> Result<Option<Self>, ConnectorError> {
        if !key.starts_with('{') {
            return Ok(None);
        }
        // Where it is wrong, and not what stands there.
        let wrong = |error: serde_json::Error| {
            let reason = format!(
                "as JSON of client_id, client_secret, refresh_token and developer_token it is wrong in line {}, column {}",
                error.line(),
                error.column()
            );
            ConnectorError::refused(vendor, "its key", reason)
        };
        serde_json::from_str(key).map(Some).map_err(wrong)
    }

    /// Everything that must not be printed.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let developer = self.developer_token.iter().cloned();
        [self.client_secret.clone(), self.refresh_token.clone()]
            .into_iter()
            .chain(developer)
            .collect()
    }
}

impl Access {
    /// `path` keeps the newest refresh token.
    pub(crate) fn open(
        vendor: &'static str,
        token_url: String,
        client: Client,
        path: PathBuf,
    ) -> Result<Self, ConnectorError> {
        let kept: Option<Kept> = match std::fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => {
                let action = "read";
                return Err(StoreError::Io { action, path, source }.into());
            }
        };
        let given = digest(&client.refresh_token);
        let refresh_token = kept
            .filter(|kept| kept.given_sha256 == given)
            .map_or_else(|| client.refresh_token.clone(), |kept| kept.refresh_token);
        Ok(Self {
            vendor,
            token_url,
            client,
            path,
            refresh_token,
            bearer: None,
        })
    }

    /// What it was given: no message may hold it.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let bearer = self.bearer.iter().map(|(bearer, _)| bearer.clone());
        bearer.chain([self.refresh_token.clone()]).collect()
    }

    /// Forgets the access token: the vendor did not take it.
    pub(crate) fn forget(&mut self) {
        self.bearer = None;
    }

    /// An access token that holds for a minute at least.
    pub(crate) async fn bearer(
        &mut self,
        http: &reqwest::Client,
        now: DateTime<Utc>,
    ) -> Result<String, ConnectorError> {
        if let Some((bearer, until)) = &self.bearer
            && *until > now + TimeDelta::minutes(1)
        {
            return Ok(bearer.clone());
        }
        // What cannot be kept must not be asked for: the vendor takes the old token back.
        self.keep(&self.refresh_token)?;
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client.client_id),
            ("client_secret", &self.client.client_secret),
            ("refresh_token", &self.refresh_token),
        ];
        let asked = || "an access token".to_owned();
        let later = |error: reqwest::Error| ConnectorError::Later {
            vendor: self.vendor,
            asked: asked(),
            reason: cause(error),
            retry_after_secs: 5,
        };
        let response = http.post(&self.token_url).form(&form).send().await.map_err(later)?;
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let wait = response.headers().get(header::RETRY_AFTER);
            let wait = wait.and_then(|value| retry_after_secs(value.to_str().ok()?, now));
            return Err(ConnectorError::Later {
                vendor: self.vendor,
                asked: asked(),
                reason: status.to_string(),
                retry_after_secs: wait.unwrap_or(5),
            });
        }
        if !status.is_success() {
            // What it says may repeat what it was given: only the status is told.
            return Err(ConnectorError::Refused {
                vendor: self.vendor,
                asked: asked(),
                reason: format!("{status}: give it access anew"),
                status: Some(status.as_u16()),
            });
        }
        let answer: serde_json::Value = response.json().await.map_err(|_| self.unreadable("it is no JSON"))?;
        // Kept first, whatever else is wrong with the answer.
        if let Some(newer) = text(&answer, &["refresh_token"]).filter(|newer| *newer != self.refresh_token) {
            self.keep(newer)?;
            self.refresh_token = newer.to_owned();
        }
        let bearer = text(&answer, &["access_token"]).ok_or_else(|| self.unreadable("it holds no access_token"))?;
        let holds_secs = integer(&answer, &["expires_in"]).unwrap_or(3_600).clamp(0, 86_400);
        self.bearer = Some((bearer.to_owned(), now + TimeDelta::seconds(holds_secs)));
        Ok(bearer.to_owned())
    }

    fn unreadable(&self, reason: &str) -> ConnectorError {
        ConnectorError::Unreadable {
            vendor: self.vendor,
            asked: "an access token".to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn keep(&self, refresh_token: &str) -> Result<(), ConnectorError> {
        let kept = Kept {
            given_sha256: digest(&self.client.refresh_token),
            refresh_token: refresh_token.to_owned(),
        };
        let bytes = serde_json::to_vec(&kept).map_err(|error| ConnectorError::Unreadable {
            vendor: self.vendor,
            asked: "its refresh token".to_owned(),
            reason: error.to_string(),
        })?;
        write_privately(&self.path, &bytes)?;
        Ok(())
    }
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}
