//! HubSpot: companies, contacts and deals by its search, in the order in which they changed.
//!
//! A search gives at most 10,000 results, sorts by one property only, and what changes while it is paged moves. So no page is
//! asked for behind another: each is a search of its own behind the last change that was seen. Where more objects than a page
//! holds changed in one instant, as by an import, that instant is read by their ids. The index behind a search is minutes
//! late, so every sync begins some minutes before the last change. Search does not tell what was deleted: that is listed
//! apart, once a day.

use std::collections::BTreeMap;

use async_trait::async_trait;
use atalaya_model::{Currency, Kind, Money};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Connection, Connector, ConnectorError, Mapped, Page, Record, Surroundings, Told, connector,
    http::{Api, Credentials, Question},
    json::{instant, integer, text, word},
    oauth::{Access, Client},
    pace::per_second,
};
use crate::receivers::Fault;

const VENDOR: &str = "hubspot";
const DEFAULT_URL: &str = "https://api.hubapi.com";
const PAGE: usize = 100;
/// How late the index of a search may be.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);

/// What HubSpot has to be told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// The property of contacts, companies and deals that holds the customer's id as billing knows it.
    customer_property: Option<String>,
    /// The currency of deals that name none.
    currency: Option<String>,
    /// Where access tokens are given, for tests and proxies.
    token_url: Option<String>,
}

/// A type of object, with the property that says when it changed, and those that are asked for.
struct ObjectType {
    name: &'static str,
    changed: &'static str,
    properties: &'static [&'static str],
}

const TYPES: [ObjectType; 3] = [
    ObjectType {
        name: "companies",
        changed: "hs_lastmodifieddate",
        properties: &["name", "domain", "country", "createdate", "hubspot_owner_id"],
    },
    ObjectType {
        name: "contacts",
        changed: "lastmodifieddate",
        properties: &[
            "email",
            "country",
            "lifecyclestage",
            "hs_analytics_source",
            "hs_analytics_source_data_1",
            "hubspotscore",
            "hubspot_owner_id",
            "associatedcompanyid",
            "createdate",
            "hs_lifecyclestage_customer_date",
        ],
    },
    ObjectType {
        name: "deals",
        changed: "hs_lastmodifieddate",
        properties: &[
            "dealname",
            "pipeline",
            "dealstage",
            "amount",
            "deal_currency_code",
            "createdate",
            "closedate",
            "hs_is_closed",
            "hs_is_closed_won",
            "hubspot_owner_id",
            "hs_primary_associated_company",
        ],
    },
];

/// How far HubSpot was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// What is being read; between two syncs nothing is.
    at: Option<Place>,
    /// The last change that was seen, in milliseconds, by type.
    changed_until: BTreeMap<String, i64>,
    /// Where reading was taken up that had broken off: what the index saw late meanwhile lies before, and is read next time.
    #[serde(default)]
    taken_up_at: BTreeMap<String, i64>,
    /// The day on which the deleted were listed last.
    deleted_on: Option<NaiveDate>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Place {
    /// Changes from this millisecond on.
    Changes { of: String, from_ms: i64 },
    /// Objects that changed in this millisecond, behind an id.
    Instant { of: String, at_ms: i64, after_id: i64 },
    /// Objects that were deleted, behind HubSpot's own mark.
    Deleted { of: String, after: Option<String> },
}

/// An account.
pub(super) struct Hubspot {
    api: Api,
    options: Options,
    zone: Tz,
    has_read: bool,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Value>,
    paging: Option<Value>,
}

impl Hubspot {
    pub(super) fn new(
        connection: &Connection,
        options: &Options,
        around: &Surroundings,
    ) -> Result<Self, ConnectorError> {
        let base_url = connection.base_url.as_deref().unwrap_or(DEFAULT_URL);
        let key = connection.key();
        let (credentials, secrets) = match Client::parse(VENDOR, &key)? {
            Some(client) => {
                let token_url = options.token_url.clone();
                let token_url = token_url.unwrap_or_else(|| format!("{DEFAULT_URL}/oauth/v1/token"));
                let path = around.home_dir.join("tokens").join(&connection.name);
                let secrets = client.secrets();
                let access = Access::open(VENDOR, token_url, client, path)?;
                (Credentials::OAuth(Box::new(access.into())), secrets)
            }
            None => (Credentials::Bearer(key), Vec::new()),
        };
        Ok(Self {
            api: Api::new(VENDOR, base_url, credentials, secrets, per_second(4), around)?,
            options: options.clone(),
            zone: around.zone,
            has_read: false,
        })
    }

    async fn search(
        &self,
        of: &ObjectType,
        filters: &[(&str, &str, i64)],
        sort_by: &str,
    ) -> Result<Vec<Value>, ConnectorError> {
        let filters: Vec<Value> = filters
            .iter()
            .map(|(property, operator, value)| {
                json!({ "propertyName": property, "operator": operator, "value": value.to_string() })
            })
            .collect();
        let properties = of.properties.iter().copied().chain([of.changed]);
        let body = json!({
            "filterGroups": [{ "filters": filters }],
            "sorts": [{ "propertyName": sort_by, "direction": "ASCENDING" }],
            "properties": properties.chain(self.options.customer_property.as_deref()).collect::<Vec<_>>(),
            "limit": PAGE,
        });
        let path = format!("/crm/v3/objects/{}/search", of.name);
        let question = Question {
            path: &path,
            body: Some(&body),
            ..Question::default()
        };
        let results: Results = self.api.read(&path, &self.api.ask(question).await?.text)?;
        Ok(results.results)
    }

    /// The next place behind the last one of a type.
    fn after(&self, of: &ObjectType, position: &mut Position, now: DateTime<Utc>) -> Option<Place> {
        let at = TYPES.iter().position(|known| known.name == of.name)?;
        match TYPES.get(at + 1) {
            Some(next) => Some(changes(next, position)),
            None if position.deleted_on == Some(now.date_naive()) => None,
            None => Some(Place::Deleted {
                of: TYPES[0].name.to_owned(),
                after: None,
            }),
        }
    }

    async fn changed(
        &self,
        place: Place,
        position: &mut Position,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let (name, found, since) = match &place {
            Place::Changes { of, from_ms } => {
                let of = object_type(of);
                let filter = (of.changed, "GTE", *from_ms);
                (of, self.search(of, &[filter], of.changed).await?, *from_ms)
            }
            Place::Instant { of, at_ms, after_id } => {
                let of = object_type(of);
                let filters = [(of.changed, "EQ", *at_ms), ("hs_object_id", "GT", *after_id)];
                (of, self.search(of, &filters, "hs_object_id").await?, *at_ms)
            }
            Place::Deleted { of, after } => {
                let (objects, next) = self.deleted(object_type(of), after.clone()).await?;
                if next.is_none() {
                    position.deleted_on = Some(now.date_naive());
                }
                return Ok((objects, next));
            }
        };
        let last_ms = found.iter().filter_map(|object| changed_ms(name, object)).max();
        let last_id = found.iter().filter_map(|object| integer(object, &["id"])).max();
        let of = name.name.to_owned();
        let is_full = found.len() >= PAGE;
        let next = match (&place, last_ms, last_id) {
            (Place::Changes { .. }, Some(last), _) if is_full && last > since => {
                Some(Place::Changes { of, from_ms: last })
            }
            (Place::Changes { .. }, Some(at_ms), _) if is_full => Some(Place::Instant { of, at_ms, after_id: 0 }),
            (Place::Instant { at_ms, .. }, _, Some(after_id)) if is_full => Some(Place::Instant {
                of,
                at_ms: *at_ms,
                after_id,
            }),
            (Place::Instant { at_ms, .. }, ..) => Some(Place::Changes { of, from_ms: at_ms + 1 }),
            _ => self.after(name, position, now),
        };
        if let Some(last) = last_ms {
            let until = position.changed_until.entry(name.name.to_owned()).or_default();
            *until = last.max(*until);
        }
        let objects = found.iter().map(|object| self.mapped(name, object)).collect();
        Ok((objects, next))
    }

    async fn deleted(
        &self,
        of: &ObjectType,
        after: Option<String>,
    ) -> Result<(Vec<Mapped>, Option<Place>), ConnectorError> {
        let path = format!("/crm/v3/objects/{}", of.name);
        let mut query = vec![("archived", "true".to_owned()), ("limit", PAGE.to_string())];
        let properties = of.properties.iter().copied().chain([of.changed]);
        let properties = properties.chain(self.options.customer_property.as_deref());
        query.push(("properties", properties.collect::<Vec<_>>().join(",")));
        query.extend(after.map(|after| ("after", after)));
        let text = self.api.get(&path, &query).await?;
        let results: Results = self.api.read(&path, &text)?;
        let after = results
            .paging
            .as_ref()
            .and_then(|paging| word(paging, &["next", "after"]));
        let at = TYPES.iter().position(|known| known.name == of.name).unwrap_or_default();
        let next = match after {
            Some(after) => Some((of.name, Some(after))),
            None => TYPES.get(at + 1).map(|next| (next.name, None)),
        };
        let next = next.map(|(of, after)| Place::Deleted {
            of: of.to_owned(),
            after,
        });
        let objects = results.results.iter().map(|object| self.mapped(of, object)).collect();
        Ok((objects, next))
    }

    fn mapped(&self, of: &ObjectType, object: &Value) -> Mapped {
        let id = text(object, &["id"]).unwrap_or_default();
        let is_deleted = object.get("archived").and_then(Value::as_bool) == Some(true);
        let changed_at = if is_deleted {
            instant(object, &["archivedAt"])
        } else {
            changed_at(of, object)
        };
        let mut unpriced = None;
        let told = changed_at.clone().and_then(|changed_at| {
            let mut records = match of.name {
                "companies" => self.company(object)?,
                "contacts" => vec![self.contact(object)?],
                _ => vec![self.deal(object, &mut unpriced)?],
            };
            for record in &mut records {
                record.set("record_version", changed_at.timestamp_micros().to_string());
                if is_deleted {
                    record.set("operation", "delete");
                }
            }
            Ok(records)
        });
        let mut told = Told::from(told);
        told.faults.extend(unpriced);
        let happened_at = changed_at.unwrap_or_default();
        Mapped {
            key: format!("{}|{id}|{}", of.name, happened_at.timestamp_millis()),
            event_type: format!("{}.{}", of.name, if is_deleted { "deleted" } else { "changed" }),
            object_id: Some(id.to_owned()),
            happened_at,
            payload: object.to_string(),
            told,
        }
    }

    fn customer(&self, object: &Value) -> Option<String> {
        property(object, self.options.customer_property.as_deref()?)
    }

    /// A company is a link between its id here and the customer's.
    fn company(&self, object: &Value) -> Result<Vec<Record>, Fault> {
        let Some(customer) = self.customer(object) else {
            return Ok(Vec::new());
        };
        let mut record = Record::new(Kind::IdentityLinks);
        record.set("identity_type", "hubspot_company");
        record.set_some("identity_id", text(object, &["id"]));
        record.set("customer_id", customer);
        record.set("linked_at", created(object)?);
        Ok(vec![record])
    }

    fn contact(&self, object: &Value) -> Result<Record, Fault> {
        let mut record = Record::new(Kind::Leads);
        record.set_some("lead_id", text(object, &["id"]));
        record.set("created_at", created(object)?);
        record.set_some("customer_id", self.customer(object));
        for (column, name) in [
            ("company_id", "associatedcompanyid"),
            ("email", "email"),
            ("country", "country"),
            ("lead_source", "hs_analytics_source"),
            ("campaign", "hs_analytics_source_data_1"),
            ("stage", "lifecyclestage"),
            ("owner_id", "hubspot_owner_id"),
            ("converted_at", "hs_lifecyclestage_customer_date"),
        ] {
            record.set_some(column, property(object, name));
        }
        // A score is written as a decimal, and may lie outside what a percentage can be.
        let score = property(object, "hubspotscore").and_then(|text| text.parse::<f64>().ok());
        record.set_some("score", score.map(|score| format!("{:.0}", score.clamp(0.0, 100.0))));
        Ok(record)
    }

    /// A deal lands without an amount that cannot be read: that it was won is not less true.
    fn deal(&self, object: &Value, unpriced: &mut Option<Fault>) -> Result<Record, Fault> {
        let mut record = Record::new(Kind::Opportunities);
        record.set_some("opportunity_id", text(object, &["id"]));
        record.set("created_at", created(object)?);
        record.set_some("customer_id", self.customer(object));
        for (column, name) in [
            ("company_id", "hs_primary_associated_company"),
            ("name", "dealname"),
            ("pipeline", "pipeline"),
            ("stage", "dealstage"),
            ("owner_id", "hubspot_owner_id"),
        ] {
            record.set_some(column, property(object, name));
        }
        if let Some(amount) = property(object, "amount") {
            match self.money(object, &amount) {
                Ok(money) => {
                    record.set("amount_minor", money.minor.to_string());
                    record.set("currency", money.currency.code());
                }
                Err(fault) => *unpriced = Some(fault),
            }
        }
        let is = |name: &str| property(object, name).as_deref() == Some("true");
        let (is_won, is_closed) = (is("hs_is_closed_won"), is("hs_is_closed"));
        let status = match (is_won, is_closed) {
            (true, _) => "won",
            (false, true) => "lost",
            (false, false) => "open",
        };
        record.set("status", status);
        if status == "open" {
            let closes = instant(object, &["properties", "closedate"]).ok();
            let day = closes.map(|at| at.with_timezone(&self.zone).date_naive());
            record.set_some("expected_close_on", day.map(|day| day.to_string()));
        } else {
            record.set_some("closed_at", property(object, "closedate"));
        }
        Ok(record)
    }

    fn money(&self, object: &Value, amount: &str) -> Result<Money, Fault> {
        let code = property(object, "deal_currency_code").or_else(|| self.options.currency.clone());
        let code =
            code.ok_or_else(|| Fault::of("deal_currency_code", "is missing, and hubspot.currency is not said"))?;
        let currency = Currency::parse(&code).map_err(|error| Fault::of("deal_currency_code", error))?;
        Money::parse_major(amount, currency).map_err(|error| Fault::of("amount", error))
    }
}

#[async_trait]
impl Connector for Hubspot {
    async fn check(&mut self, _: DateTime<Utc>) -> Result<String, ConnectorError> {
        for of in &TYPES {
            let path = format!("/crm/v3/objects/{}", of.name);
            self.api.get(&path, &[("limit", "1".to_owned())]).await?;
        }
        Ok("hubspot answers".to_owned())
    }

    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError> {
        let mut position: Position = connector::position(VENDOR, position)?.unwrap_or_default();
        let place = position.at.take();
        if let (false, Some(Place::Changes { of, from_ms: at } | Place::Instant { of, at_ms: at, .. })) =
            (self.has_read, &place)
        {
            let known = position.taken_up_at.entry(of.clone()).or_insert(*at);
            *known = (*known).min(*at);
        }
        self.has_read = true;
        let place = place.unwrap_or_else(|| changes(&TYPES[0], &mut position));
        let (objects, next) = self.changed(place, &mut position, now).await?;
        let is_last = next.is_none();
        position.at = next;
        connector::page(VENDOR, objects, &position, is_last)
    }
}

fn changes(of: &ObjectType, position: &mut Position) -> Place {
    let until = position.changed_until.get(of.name).copied().unwrap_or_default();
    let until = until.min(position.taken_up_at.remove(of.name).unwrap_or(until));
    Place::Changes {
        of: of.name.to_owned(),
        from_ms: (until - OVERLAP.num_milliseconds()).max(0),
    }
}

fn object_type(name: &str) -> &'static ObjectType {
    TYPES.iter().find(|known| known.name == name).unwrap_or(&TYPES[0])
}

fn property(object: &Value, name: &str) -> Option<String> {
    word(object, &["properties", name])
}

fn changed_at(of: &ObjectType, object: &Value) -> Result<DateTime<Utc>, Fault> {
    instant(object, &["properties", of.changed]).or_else(|_| instant(object, &["updatedAt"]))
}

fn changed_ms(of: &ObjectType, object: &Value) -> Option<i64> {
    changed_at(of, object).ok().map(|at| at.timestamp_millis())
}

fn created(object: &Value) -> Result<String, Fault> {
    let text = property(object, "createdate").or_else(|| word(object, &["createdAt"]));
    text.ok_or_else(|| Fault::of("createdate", "is missing"))
}
