//! A sign of life to somebody outside: when it stays away, they call.

use std::time::Duration;

use reqwest::Client;
use url::Url;

use crate::AlertError;

const VARIABLE: &str = "ATALAYA_HEARTBEAT_URL";
/// Seconds that the other side has to answer.
const ANSWER_SECS: u64 = 10;

/// Where the sign goes. The address is a secret: whoever knows it can pretend that all is well.
pub struct Heart {
    url: Url,
    client: Client,
}

impl Heart {
    /// Reads `ATALAYA_HEARTBEAT_URL`; `None` when it is not set.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, AlertError> {
        let wrong = |reason: String| AlertError::Route {
            variable: VARIABLE,
            reason,
        };
        let Some(text) = variable(VARIABLE) else {
            return Ok(None);
        };
        let url = Url::parse(&text).map_err(|error| wrong(format!("is not an address: {error}")))?;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(ANSWER_SECS))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Self { url, client }))
    }

    /// Gives one sign of life; the error says why nobody took it.
    pub async fn beat(&self) -> Result<(), String> {
        let sent = self.client.get(self.url.clone()).send().await;
        let answer = sent.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("answered {}", answer.status()))
    }
}
