//! Routes: where notifications go, how each request is written, and what each answer means. No I/O here.

mod email;
mod pagerduty;
pub(crate) mod slack;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

pub(crate) use email::Mailbox;

use crate::{AlertError, message::Message};

/// A way to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// PagerDuty Events API v2.
    Pagerduty,
    /// A Slack channel, by a bot or an incoming webhook.
    Slack,
    /// A mail relay.
    Email,
}

impl Route {
    /// All routes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Pagerduty, Self::Slack, Self::Email];

    /// Its name in rules and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pagerduty => "pagerduty",
            Self::Slack => "slack",
            Self::Email => "email",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Pagerduty => "PagerDuty",
            Self::Slack => "Slack",
            Self::Email => "e-mail",
        }
    }

    /// Reads a name as [`Route::name`] writes it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.name() == name)
    }
}

/// What an answer means for the intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// Accepted by the vendor.
    Delivered,
    /// Try again, not before `after_secs` when the vendor said so.
    Retry {
        /// Seconds the vendor asked to wait.
        after_secs: Option<u64>,
        /// Why, in the vendor's words.
        reason: String,
    },
    /// Accepted perhaps when it is written more plainly.
    Degrade {
        /// Why, in the vendor's words.
        reason: String,
    },
    /// Accepted once somebody has mended the key, the channel or the account.
    Broken {
        /// Why, in the vendor's words.
        reason: String,
    },
    /// The same request will never be accepted.
    Permanent {
        /// Why, in the vendor's words.
        reason: String,
    },
}

/// An answer as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` as sent.
    pub retry_after: Option<String>,
    /// The body's first 256 kB.
    pub body: String,
}

/// Addresses and keys of the routes; a route without an address keeps its intents until it has one.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    pub(crate) pagerduty: Option<(Url, String)>,
    pub(crate) slack: Option<Slack>,
    pub(crate) email: Option<Mailbox>,
}

/// How Slack is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum Slack {
    /// An incoming webhook, which can only speak.
    Webhook(Url),
    /// A bot in a channel.
    Bot(slack::Bot),
}

impl Routes {
    /// Reads `ATALAYA_PAGERDUTY_ROUTING_KEY`, `ATALAYA_PAGERDUTY_URL` (the vendor's when absent); `ATALAYA_SLACK_WEBHOOK_URL`, or
    /// `ATALAYA_SLACK_BOT_TOKEN` with `ATALAYA_SLACK_CHANNEL`; and `ATALAYA_SMTP_URL` with `ATALAYA_EMAIL_FROM` and
    /// `ATALAYA_EMAIL_TO`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, AlertError> {
        let parse = |name: &'static str, text: &str| {
            Url::parse(text).map_err(|error| AlertError::Route {
                variable: name,
                reason: format!("is not an address: {error}"),
            })
        };
        let pagerduty = match variable("ATALAYA_PAGERDUTY_ROUTING_KEY") {
            None => None,
            Some(key) => {
                if key.len() != 32 {
                    return Err(AlertError::Route {
                        variable: "ATALAYA_PAGERDUTY_ROUTING_KEY",
                        reason: "is not a key of 32 characters".to_owned(),
                    });
                }
                let base =
                    variable("ATALAYA_PAGERDUTY_URL").unwrap_or_else(|| "https://events.pagerduty.com".to_owned());
                let url = format!("{}/v2/enqueue", base.trim_end_matches('/'));
                Some((parse("ATALAYA_PAGERDUTY_URL", &url)?, key))
            }
        };
        let webhook = variable("ATALAYA_SLACK_WEBHOOK_URL")
            .map(|text| parse("ATALAYA_SLACK_WEBHOOK_URL", &text))
            .transpose()?;
        let slack = match (webhook, slack::Bot::from_variables(&variable)?) {
            (Some(_), Some(_)) => {
                return Err(AlertError::Route {
                    variable: "ATALAYA_SLACK_WEBHOOK_URL",
                    reason: "is set beside ATALAYA_SLACK_BOT_TOKEN: every alert would stand there twice".to_owned(),
                });
            }
            (webhook, bot) => bot.map(Slack::Bot).or(webhook.map(Slack::Webhook)),
        };
        let email = Mailbox::from_variables(&variable)?;
        Ok(Self {
            pagerduty,
            slack,
            email,
        })
    }

    /// Routes that have an address.
    pub fn addressed(&self) -> Vec<Route> {
        let has_address = |route: &Route| self.address(*route).is_some();
        Route::ALL.into_iter().filter(has_address).collect()
    }

    /// The address of a route and the secret to add to the body when it is sent; secrets are never stored.
    pub(crate) fn address(&self, route: Route) -> Option<Address<'_>> {
        match route {
            Route::Pagerduty => {
                let found = self.pagerduty.as_ref();
                found.map(|(url, key)| Address::Http(url, Some(key.as_str())))
            }
            Route::Slack => self.slack.as_ref().map(|slack| match slack {
                Slack::Webhook(url) => Address::Http(url, None),
                Slack::Bot(bot) => Address::Bot(bot),
            }),
            Route::Email => self.email.as_ref().map(Address::Mail),
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Address<'a> {
    /// An HTTP POST, with a secret to add to its body.
    Http(&'a Url, Option<&'a str>),
    /// A bot, which has an address for each thing it can do.
    Bot(&'a slack::Bot),
    /// A letter.
    Mail(&'a Mailbox),
}

/// The body of a notification, without secrets.
pub(crate) fn body(route: Route, message: &Message) -> serde_json::Value {
    match route {
        Route::Pagerduty => pagerduty::body(message),
        Route::Slack => slack::body(message),
        Route::Email => email::body(message),
    }
}

/// What an answer means.
pub(crate) fn classify(route: Route, answer: &Answer, now: DateTime<Utc>) -> Class {
    match route {
        Route::Pagerduty => pagerduty::classify(answer, now),
        Route::Slack => slack::classify(answer, now),
        Route::Email => email::classify(answer),
    }
}

/// The same body written more plainly; `None` when it cannot be plainer.
pub(crate) fn plainer(route: Route, action: &str, body: &str, reason: &str) -> Option<String> {
    match route {
        Route::Slack => slack::plainer(action, body, reason),
        Route::Email => email::plainer(body),
        Route::Pagerduty => None,
    }
}

/// A body as an address that only takes messages gets it.
pub(crate) fn plain(route: Route, body: &serde_json::Value) -> serde_json::Value {
    match route {
        Route::Slack => slack::for_webhook(body),
        Route::Pagerduty | Route::Email => body.clone(),
    }
}

/// `Retry-After` in seconds, given as seconds or as an HTTP date.
fn retry_after_secs(answer: &Answer, now: DateTime<Utc>) -> Option<u64> {
    let text = answer.retry_after.as_deref()?.trim();
    if let Ok(secs) = text.parse() {
        return Some(secs);
    }
    let at: DateTime<Utc> = httpdate::parse_http_date(text).ok()?.into();
    u64::try_from((at - now).num_seconds().max(0)).ok()
}
