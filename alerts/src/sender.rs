use std::{collections::BTreeSet, sync::Arc, time::Duration};

use atalaya_model::Clock;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    AlertError, Control,
    control::{Intent, NOTICE, Outcome},
    notices::{mended, undelivered},
    notify::{
        self, Address, Answer, Class, Route, Routes,
        slack::{self, SETTLE, Thread},
    },
    pace::Pace,
};

/// Seconds to wait after the n-th failure without a word from the vendor.
const BACKOFF_SECS: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];
/// However long a vendor asks to wait, an alert is tried again within the hour.
const LONGEST_WAIT_SECS: u64 = 3600;
/// Seconds between attempts on a route that somebody must mend.
const BROKEN_WAIT_SECS: i64 = 600;
/// Attempts, about half an hour of them, before a letter that a relay puts off goes to its usual readers alone.
const LETTER_ATTEMPTS: i64 = 35;
/// Seconds a vendor has to answer.
const ANSWER_SECS: u64 = 10;
/// Of an answer so much is read: Slack's repeats the whole message.
const ANSWER_BYTES: usize = 256 * 1024;
/// ... and so much is kept.
const KEPT_BYTES: usize = 1024;

/// Delivers intents: in order for each incident and route, as early as allowed, until each has ended.
pub struct Sender {
    control: Control,
    routes: Routes,
    clock: Arc<dyn Clock>,
    client: reqwest::Client,
    pace: Pace,
}

/// How an attempt ended.
enum Attempt {
    /// Delivered, or never to be.
    Ended,
    /// To be tried again then.
    Again(DateTime<Utc>),
    /// The route takes nothing before then.
    RouteAgain(DateTime<Utc>),
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
            pace: Pace::default(),
        })
    }

    /// Attempts every intent that is due and returns when the next one will be; `None` when nothing is pending. Routes do not
    /// wait for each other: one that hangs delays nobody else.
    pub async fn deliver_due(&self) -> Result<Option<DateTime<Utc>>, AlertError> {
        let (pagerduty, slack, email) = tokio::join!(
            self.deliver_on(Route::Pagerduty),
            self.deliver_on(Route::Slack),
            self.deliver_on(Route::Email),
        );
        Ok([pagerduty?, slack?, email?].into_iter().flatten().min())
    }

    /// The same for one route, in order for each incident and not faster than the vendor likes.
    async fn deliver_on(&self, route: Route) -> Result<Option<DateTime<Utc>>, AlertError> {
        let Some(address) = self.routes.address(route) else {
            // Addresses are read at start: until then these wait, and whoever asks is told why.
            let reason = format!("{} has no address yet", route.name());
            self.control.say_why(route, &reason).await?;
            return Ok(None);
        };
        let pending = self.control.pending_on(route).await?;
        let mut held: BTreeSet<i64> = BTreeSet::new();
        let mut next: Option<DateTime<Utc>> = None;
        let mut wait_for = |at: DateTime<Utc>| next = Some(next.map_or(at, |known: DateTime<Utc>| known.min(at)));
        for intent in &pending {
            // A resolve never overtakes its trigger.
            if held.contains(&intent.incident_id) {
                continue;
            }
            let now = self.clock.now();
            if intent.not_before > now {
                held.insert(intent.incident_id);
                wait_for(intent.not_before);
                continue;
            }
            if let Err(at) = self.pace.take(route, now) {
                wait_for(at);
                break;
            }
            match self.attempt(intent, address).await? {
                Attempt::Ended => {}
                Attempt::Again(at) => {
                    held.insert(intent.incident_id);
                    wait_for(at);
                }
                // "Too many" is about the route and not about this message.
                Attempt::RouteAgain(at) => {
                    self.pace.hold(route, at);
                    wait_for(at);
                    break;
                }
            }
        }
        Ok(next)
    }

    /// One attempt.
    async fn attempt(&self, intent: &Intent, address: Address<'_>) -> Result<Attempt, AlertError> {
        let started = self.clock.now();
        let body: serde_json::Value = serde_json::from_str(&intent.body)?;
        let mut thread = Thread::default();
        // What is sent without its secrets, for the ledger.
        let (answer, request) = match address {
            Address::Mail(mailbox) => {
                let sent = mailbox.send(&body, started).await;
                (
                    sent.map_err(|reason| format!("ambiguous: {reason}")),
                    intent.body.clone(),
                )
            }
            Address::Http(url, secret) => {
                let mut request = notify::plain(intent.route, &body);
                let shown = request.to_string();
                if let Some(secret) = secret {
                    request["routing_key"] = secret.into();
                }
                (self.post(url.clone(), None, &request).await, shown)
            }
            Address::Bot(bot) => {
                thread = self.control.thread(intent.incident_id).await?;
                let (url, request) = bot.request(&intent.action, &body, &thread);
                (self.post(url, Some(&bot.token), &request).await, request.to_string())
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
                    reason: reason.clone(),
                },
                None,
                reason,
            ),
        };
        let is_limit = status == Some(429);
        let plainer = |reason: &str| notify::plainer(intent.route, &intent.action, &intent.body, reason);
        // A letter to more than its usual readers: whoever of them is refused for good, or again and again, is left out.
        let class = match class {
            Class::Permanent { reason } if intent.route == Route::Email && plainer(&reason).is_some() => {
                Class::Degrade { reason }
            }
            Class::Retry { reason, .. }
                if intent.route == Route::Email
                    && status.is_some()
                    && intent.attempts >= LETTER_ATTEMPTS
                    && plainer(&reason).is_some() =>
            {
                Class::Degrade { reason }
            }
            class => class,
        };
        // What is tried next instead.
        let mut instead: Option<String> = None;
        let is_broken = matches!(class, Class::Broken { .. });
        let has_moved = match address {
            Address::Bot(bot) => thread
                .posted
                .as_ref()
                .is_some_and(|posted| posted.channel != bot.channel),
            _ => false,
        };
        let (state, reason, again) = match class {
            Class::Delivered => ("delivered", String::new(), None),
            Class::Retry { after_secs, reason } => {
                let failures = usize::try_from(intent.attempts)
                    .unwrap_or(0)
                    .min(BACKOFF_SECS.len() - 1);
                let wait = after_secs.unwrap_or(BACKOFF_SECS[failures]).clamp(1, LONGEST_WAIT_SECS);
                let again = now + TimeDelta::seconds(i64::try_from(wait).unwrap_or(60));
                ("pending", reason, Some(again))
            }
            // The answer in the thread has told it: only the first message looks as if it went on.
            Class::Permanent { reason } | Class::Degrade { reason } | Class::Broken { reason }
                if intent.action == SETTLE =>
            {
                ("superseded", reason, None)
            }
            Class::Degrade { reason } if plainer(&reason).is_some() => {
                instead = plainer(&reason);
                ("pending", reason, Some(now))
            }
            // The channel of the first message is gone and there is another now: the news goes there.
            Class::Broken { reason } if has_moved && slack::apart(&intent.body).is_some() => {
                instead = slack::apart(&intent.body);
                ("pending", reason, Some(now))
            }
            // It stays until somebody has mended the route; the others hear of it at once.
            Class::Broken { reason } => {
                tracing::error!("{} is broken: {reason}", intent.route.name());
                ("pending", reason, Some(now + TimeDelta::seconds(BROKEN_WAIT_SECS)))
            }
            Class::Permanent { reason } | Class::Degrade { reason } => {
                tracing::error!(
                    "{} refused the {} of incident {}: {reason}",
                    intent.route.name(),
                    intent.action,
                    intent.incident_id
                );
                ("dead", reason, None)
            }
        };
        let waits_for_mending = is_broken && state == "pending" && instead.is_none();
        let posted = Some(&text).filter(|_| state == "delivered" && matches!(address, Address::Bot(_)));
        let is_over = state == "delivered" && intent.action == "resolve" && thread.posted.is_some();
        let outcome = Outcome {
            state,
            reason: &reason,
            not_before: again.unwrap_or(now),
            request: &request,
            status,
            answer: text.get(..text.floor_char_boundary(KEPT_BYTES)).unwrap_or_default(),
            latency_ms,
            body: instead,
            sent_as: posted.and_then(|text| slack::posted(text)),
            next: is_over.then_some(SETTLE),
            elsewhere: match state {
                "dead" => self.elsewhere(intent, &reason, now).await?,
                "pending" if waits_for_mending => {
                    let noticed = self.control.noticed_on(intent.incident_id).await?;
                    match noticed.iter().any(|route| *route != intent.route) {
                        true => None,
                        false => self.elsewhere(intent, &reason, now).await?,
                    }
                }
                "delivered" if intent.attempts > 0 && intent.route != Route::Pagerduty => {
                    let noticed = self.control.noticed_on(intent.incident_id).await?;
                    match noticed.contains(&Route::Pagerduty) {
                        true => self.mended(intent, now).await?,
                        false => None,
                    }
                }
                _ => None,
            },
        };
        self.control.book(intent, &outcome, now).await?;
        Ok(match again {
            // The step that follows waits in the database.
            None if is_over => Attempt::Again(now),
            None => Attempt::Ended,
            Some(at) if is_limit => Attempt::RouteAgain(at),
            Some(at) => Attempt::Again(at),
        })
    }

    /// What is told on another route when this one will never take it: nobody may believe that all is quiet. That a notice of
    /// this kind was refused as well is not told again.
    async fn elsewhere(
        &self,
        intent: &Intent,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(Route, String)>, AlertError> {
        if intent.action == NOTICE {
            return Ok(None);
        }
        let Some(incident) = self.control.incident(intent.incident_id).await? else {
            return Ok(None);
        };
        // Where it is told anyhow; else by mail, and as a page only where nothing else is left.
        let told = self.control.routes_of(intent.incident_id).await?;
        let others = [Route::Pagerduty, Route::Slack, Route::Email]
            .into_iter()
            .filter(|route| told.contains(route));
        let mut others = others.chain([Route::Email, Route::Slack, Route::Pagerduty]);
        let is_open = |route: &Route| *route != intent.route && self.routes.address(*route).is_some();
        let Some(route) = others.find(is_open) else {
            return Ok(None);
        };
        let message = undelivered(&incident, intent.route, reason, now);
        Ok(Some((route, serde_json::to_string(&notify::body(route, &message))?)))
    }

    /// The page that a route was broken ends when it takes the alert after all.
    async fn mended(&self, intent: &Intent, now: DateTime<Utc>) -> Result<Option<(Route, String)>, AlertError> {
        let Some(incident) = self.control.incident(intent.incident_id).await? else {
            return Ok(None);
        };
        let message = mended(&incident, intent.route, now);
        let body = serde_json::to_string(&notify::body(Route::Pagerduty, &message))?;
        Ok(self.routes.address(Route::Pagerduty).map(|_| (Route::Pagerduty, body)))
    }

    async fn post(&self, url: url::Url, bearer: Option<&str>, body: &serde_json::Value) -> Result<Answer, String> {
        // The address may hold a secret; it never goes into a message.
        let plain = |error: reqwest::Error| {
            let is_unsent = error.is_connect();
            let error = error.without_url();
            let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let words = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            match is_unsent {
                true => format!("not sent: {words}"),
                false => format!("ambiguous: {words}"),
            }
        };
        let mut request = self.client.post(url).json(body);
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let mut response = request.send().await.map_err(plain)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(plain)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= ANSWER_BYTES {
                break;
            }
        }
        bytes.truncate(ANSWER_BYTES);
        Ok(Answer {
            status,
            retry_after,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}
