//! Stripe. Objects have no time of change, so: everything is listed once, then events tell what changed since. Events are
//! kept for 30 days; after a longer gap everything is listed again, and states hold from the end of what was known.

mod complete;
mod discounts;
mod invoice;
mod json;
mod map;
mod payment;
mod subscription;
mod terms;

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Connector, ConnectorError, Mapped, Page, Surroundings, connector,
    http::{Api, Credentials},
    pace::per_second,
};
use crate::Connection;
use json::text;

/// The version of the interface whose answers are expected: the account's own would change them.
const VERSION: &str = "2024-06-20";
const DEFAULT_URL: &str = "https://api.stripe.com";
/// Events of the last moments may appear late: they are asked for again, and those that were there are passed over.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
/// How long Stripe keeps events, less a day.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(29);
/// Events read at a time: they are put into their order in memory.
const MOST_EVENTS: usize = 2_000;
/// The longest span of time asked for at once.
const LONGEST_SPAN_SECS: i64 = 7 * 24 * 3600;

/// Lists that an account may lack.
const OPTIONAL: [&str; 2] = ["credit_notes", "disputes"];

/// What is listed, in an order in which customers come before what they have.
const LISTS: [(&str, &[&str]); 7] = [
    ("customers", &[]),
    ("subscriptions", &[]),
    ("invoices", &[]),
    ("charges", &[]),
    ("refunds", &["data.charge"]),
    ("credit_notes", &[]),
    ("disputes", &["data.charge"]),
];

/// How far Stripe was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Position {
    /// Listing: the list, the last object of it, when listing began, and until when events had told everything.
    Lists {
        list: String,
        after: Option<String>,
        began_at: i64,
        known_until: Option<i64>,
    },
    /// Everything until this second is there; how long a span was asked for last; whether that was up to the present, so
    /// that events may have appeared in it since.
    Events {
        until: i64,
        span_secs: i64,
        was_present: bool,
    },
}

/// A Stripe account.
pub(super) struct Stripe {
    api: Api,
    zone: Tz,
    /// Names of products by their ids, asked for once.
    products: HashMap<String, String>,
    /// Tiered prices that subscriptions name, as they were asked for.
    prices: HashMap<String, Value>,
}

impl Stripe {
    pub(super) fn new(connection: &Connection, around: &Surroundings) -> Result<Self, ConnectorError> {
        let base_url = connection.base_url.as_deref().unwrap_or(DEFAULT_URL);
        let key = Credentials::Bearer(connection.key());
        let api = Api::new("stripe", base_url, key, Vec::new(), per_second(25), around)?;
        Ok(Self {
            api: api.with_header("stripe-version", VERSION)?,
            zone: around.zone,
            products: HashMap::new(),
            prices: HashMap::new(),
        })
    }
}

#[async_trait]
impl Connector for Stripe {
    /// Asks for one event: the least that a key must be allowed to read.
    async fn check(&mut self, _: DateTime<Utc>) -> Result<String, ConnectorError> {
        let query = [("limit", "1".to_owned())];
        let text = self.api.get("/v1/events", &query).await?;
        self.list("/v1/events", &text)?;
        Ok(format!("stripe answers, version {VERSION}"))
    }

    /// The next page behind a position.
    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        if self.products.is_empty() {
            self.products = self.product_names().await?;
        }
        let first = || Position::Lists {
            list: LISTS[0].0.to_owned(),
            after: None,
            began_at: now.timestamp(),
            known_until: None,
        };
        match connector::position("stripe", position)?.unwrap_or_else(first) {
            Position::Events { until, .. } if now.timestamp() - until > EVENTS_KEPT.num_seconds() => {
                let again = Position::Lists {
                    list: LISTS[0].0.to_owned(),
                    after: None,
                    began_at: now.timestamp(),
                    known_until: Some(until),
                };
                self.read_list(again, now).await
            }
            Position::Events {
                until,
                span_secs,
                was_present,
            } => self.read_events(until, span_secs, was_present, now).await,
            listing => self.read_list(listing, now).await,
        }
    }
}

impl Stripe {
    async fn read_list(&mut self, position: Position, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        let Position::Lists {
            list,
            after,
            began_at,
            known_until,
        } = position
        else {
            return Err(self.api.unreadable("a list", "the position is none of a list"));
        };
        let at = LISTS.iter().position(|(name, _)| *name == list).unwrap_or(0);
        let (name, expand) = LISTS[at];
        let path = format!("/v1/{name}");
        let mut query = vec![("limit", "100".to_owned())];
        let after_given = after.is_some();
        query.extend(after.map(|id| ("starting_after", id)));
        query.extend(expand.iter().map(|field| ("expand[]", (*field).to_owned())));
        if name == "subscriptions" {
            query.push(("status", "all".to_owned()));
        }
        let text = match self.api.get(&path, &query).await {
            // The object that the page stood behind is gone, or the account has no such list: once more from its start,
            // or on with the next.
            Err(error) if error.is_about_the_object() && (after_given || OPTIONAL.contains(&name)) => {
                tracing::warn!("{error}");
                r#"{"data": [], "has_more": true}"#.to_owned()
            }
            answer => answer?,
        };
        let (mut objects, has_more) = self.list(&path, &text)?;
        let mut faults = Vec::new();
        for object in &mut objects {
            faults.push(self.complete(object).await?);
        }
        let last = objects.last().and_then(|object| text_of(object, "id"));
        let next = match (has_more, last, LISTS.get(at + 1)) {
            (true, None, _) if after_given => Position::Lists {
                list,
                after: None,
                began_at,
                known_until,
            },
            (true, Some(last), _) => Position::Lists {
                list,
                after: Some(last),
                began_at,
                known_until,
            },
            (_, _, Some((name, _))) => Position::Lists {
                list: (*name).to_owned(),
                after: None,
                began_at,
                known_until,
            },
            // Events from the moment on when listing began: what changed while it went on is in them.
            (_, _, None) => Position::Events {
                until: began_at - OVERLAP.num_seconds(),
                span_secs: LONGEST_SPAN_SECS,
                was_present: true,
            },
        };
        let known_until = known_until.and_then(|secs| DateTime::from_timestamp(secs, 0));
        let mut mapped = Vec::new();
        for (object, fault) in objects.iter().zip(faults) {
            if let Some(mut listed) = map::listed(object, began_at, known_until, now, self.zone) {
                listed.told.faults.extend(fault);
                mapped.push(listed);
            }
        }
        self.page(mapped, &next, false)
    }

    /// The events of a span of time, oldest first. Stripe gives the newest first, so a span is read as a whole; one with too
    /// many events is made shorter.
    async fn read_events(
        &mut self,
        until: i64,
        span_secs: i64,
        was_present: bool,
        now: DateTime<Utc>,
    ) -> Result<Page, ConnectorError> {
        let from = if was_present {
            until - OVERLAP.num_seconds()
        } else {
            until
        };
        let present = self.api.present_secs(now);
        let mut span = span_secs.clamp(1, LONGEST_SPAN_SECS);
        loop {
            let to = (until + span).min(present).max(until);
            let mut events: Vec<Value> = Vec::new();
            let mut after: Option<String> = None;
            let mut has_more = true;
            while has_more && (events.len() < MOST_EVENTS || span == 1) {
                let mut query = vec![
                    ("limit", "100".to_owned()),
                    ("created[gte]", from.to_string()),
                    ("created[lt]", to.to_string()),
                ];
                query.extend(after.take().map(|id| ("starting_after", id)));
                let text = self.api.get("/v1/events", &query).await?;
                let (page, more) = self.list("/v1/events", &text)?;
                after = page.last().and_then(|event| text_of(event, "id"));
                has_more = more && after.is_some();
                events.extend(page);
            }
            if has_more {
                span = (span / 8).max(1);
                continue;
            }
            events.reverse();
            // Within one second the order of the list is all there is; a stable sort keeps it where kinds are alike.
            events.sort_by_key(|event| (json::number(event, &["created"]), map::rank(event)));
            let is_last = to >= present;
            let next = Position::Events {
                until: to,
                span_secs: (span * 2).min(LONGEST_SPAN_SECS),
                was_present: is_last,
            };
            let mut mapped = Vec::new();
            let mut place = (0, 0);
            for mut event in events {
                let fault = match event.pointer_mut("/data/object") {
                    Some(object) => self.complete(object).await?,
                    None => None,
                };
                let second = json::number(&event, &["created"]).unwrap_or_default();
                place = (second, if place.0 == second { place.1 + 1 } else { 0 });
                let mut told = map::event(&event, place.1, self.zone);
                told.told.faults.extend(fault);
                mapped.push(told);
            }
            return self.page(mapped, &next, is_last);
        }
    }

    fn page(&self, mut objects: Vec<Mapped>, next: &Position, is_last: bool) -> Result<Page, ConnectorError> {
        // People know products by their names.
        for record in objects.iter_mut().flat_map(|object| &mut object.told.records) {
            let name = record.get("product").and_then(|id| self.products.get(id)).cloned();
            if let Some(name) = name {
                record.set("product", name);
            }
        }
        connector::page("stripe", objects, next, is_last)
    }

    fn list(&self, path: &str, text: &str) -> Result<(Vec<Value>, bool), ConnectorError> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Value>,
            has_more: bool,
        }
        let list: List = self.api.read(path, text)?;
        Ok((list.data, list.has_more))
    }
}

fn text_of(object: &Value, name: &str) -> Option<String> {
    text(object, &[name]).map(str::to_owned)
}
