//! Zendesk: tickets with their times, by its incremental export behind a cursor. Ten questions a minute are allowed.
//!
//! The cursor stands on its last object and not behind it, and the last minute is left out by Zendesk itself.

use async_trait::async_trait;
use atalaya_model::Kind;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Connection, Connector, ConnectorError, Mapped, Page, Record, Surroundings, Told, connector,
    http::{Api, Credentials},
    json::{elements, instant, integer, text, word},
    pace::per_minute,
};
use crate::receivers::Fault;

const VENDOR: &str = "zendesk";
const PATH: &str = "/api/v2/incremental/tickets/cursor.json";
const PAGE: usize = 1_000;
/// How far behind the last change reading begins again when a cursor does not hold any more.
const OVERLAP_SECS: i64 = 300;

/// How far Zendesk was read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    cursor: Option<String>,
    /// The newest change that was seen, in seconds.
    changed_until: i64,
}

/// An account.
pub(super) struct Zendesk {
    api: Api,
}

impl Zendesk {
    pub(super) fn new(connection: &Connection, around: &Surroundings) -> Result<Self, ConnectorError> {
        let key = connection.key();
        // `ana@example.com/token:...` as Zendesk writes it, or a token of OAuth.
        let credentials = match key.split_once(':') {
            Some((user, token)) => Credentials::Basic(user.to_owned(), token.to_owned()),
            None => Credentials::Bearer(key),
        };
        let base_url = connection.base_url.as_deref().unwrap_or_default();
        Ok(Self {
            api: Api::new(VENDOR, base_url, credentials, Vec::new(), per_minute(10), around)?,
        })
    }

    async fn export(&self, position: &Position) -> Result<Export, ConnectorError> {
        let mut query = vec![
            ("per_page", PAGE.to_string()),
            ("include", "users,organizations,metric_sets,slas".to_owned()),
        ];
        query.push(match &position.cursor {
            Some(cursor) => ("cursor", cursor.clone()),
            None => ("start_time", (position.changed_until - OVERLAP_SECS).max(1).to_string()),
        });
        let text = self.api.get(PATH, &query).await?;
        self.api.read(PATH, &text)
    }
}

#[derive(Debug, Deserialize)]
struct Export {
    tickets: Vec<Value>,
    #[serde(default)]
    users: Vec<Value>,
    #[serde(default)]
    organizations: Vec<Value>,
    #[serde(default)]
    metric_sets: Vec<Value>,
    after_cursor: Option<String>,
    end_of_stream: bool,
}

#[async_trait]
impl Connector for Zendesk {
    async fn check(&mut self, _: DateTime<Utc>) -> Result<String, ConnectorError> {
        self.api.get("/api/v2/users/me.json", &[]).await?;
        Ok("zendesk answers".to_owned())
    }

    async fn read(&mut self, position: Option<&str>, _: DateTime<Utc>) -> Result<Page, ConnectorError> {
        let mut position: Position = connector::position(VENDOR, position)?.unwrap_or_default();
        let export = match self.export(&position).await {
            // A cursor does not hold for ever.
            Err(error) if error.is_about_the_object() && position.cursor.is_some() => {
                tracing::warn!("{error}; reading begins again behind the last change");
                position.cursor = None;
                self.export(&position).await?
            }
            export => export?,
        };
        let changed = export.tickets.iter().filter_map(changed_secs).max();
        position.changed_until = changed.unwrap_or_default().max(position.changed_until);
        if let Some(cursor) = &export.after_cursor {
            position.cursor = Some(cursor.clone());
        }
        let objects = export.tickets.iter().map(|found| ticket(found, &export)).collect();
        connector::page(VENDOR, objects, &position, export.end_of_stream)
    }
}

/// When anything of a ticket changed, its times too: `updated_at` is the time of what people did.
fn changed_secs(ticket: &Value) -> Option<i64> {
    let updated = instant(ticket, &["updated_at"]).ok().map(|at| at.timestamp());
    integer(ticket, &["generated_timestamp"]).max(updated)
}

/// The object of a list beside the tickets.
fn beside<'v>(list: &'v [Value], name: &str, id: Option<&String>) -> Option<&'v Value> {
    list.iter()
        .find(|found| id.is_some() && word(found, &[name]).as_ref() == id)
}

fn ticket(object: &Value, export: &Export) -> Mapped {
    let id = word(object, &["id"]);
    let changed = changed_secs(object).unwrap_or_default();
    let metrics = object
        .get("metric_set")
        .or_else(|| beside(&export.metric_sets, "ticket_id", id.as_ref()));
    let requester = beside(&export.users, "id", word(object, &["requester_id"]).as_ref());
    let organization = beside(&export.organizations, "id", word(object, &["organization_id"]).as_ref());
    let mut payload = object.clone();
    if let (Some(map), Some(metrics)) = (payload.as_object_mut(), metrics) {
        map.entry("metric_set").or_insert_with(|| metrics.clone());
    }
    let mut told = Told::default();
    for (identity_type, found) in [("zendesk_user", requester), ("zendesk_organization", organization)] {
        told.records.extend(found.and_then(|found| link(identity_type, found)));
    }
    match record(
        object,
        metrics.unwrap_or(&Value::Null),
        requester,
        organization,
        changed,
    ) {
        Ok(record) => told.records.push(record),
        Err(fault) => told.faults.push(fault),
    }
    let id = id.unwrap_or_default();
    Mapped {
        key: format!("ticket|{id}|{changed}"),
        event_type: "ticket".to_owned(),
        object_id: Some(id),
        happened_at: DateTime::from_timestamp(changed, 0).unwrap_or_default(),
        payload: payload.to_string(),
        told,
    }
}

/// Which customer an external id names, where one was given.
fn link(identity_type: &str, object: &Value) -> Option<Record> {
    let changed_at = instant(object, &["updated_at"]).ok()?;
    let mut record = Record::new(Kind::IdentityLinks);
    record.set("record_version", changed_at.timestamp_micros().to_string());
    record.set("identity_type", identity_type);
    record.set("identity_id", word(object, &["id"])?);
    record.set("customer_id", text(object, &["external_id"])?);
    record.set("linked_at", text(object, &["created_at"])?);
    Some(record)
}

fn record(
    object: &Value,
    metrics: &Value,
    requester: Option<&Value>,
    organization: Option<&Value>,
    changed: i64,
) -> Result<Record, Fault> {
    let created_at = instant(object, &["created_at"])?;
    let mut record = Record::new(Kind::Tickets);
    record.set("record_version", (changed * 1_000_000).to_string());
    record.set_some("ticket_id", word(object, &["id"]));
    let external = |found: Option<&Value>| found.and_then(|found| text(found, &["external_id"])).map(str::to_owned);
    record.set_some("customer_id", external(organization).or_else(|| external(requester)));
    record.set_some("requester_id", word(object, &["requester_id"]));
    record.set_some("organization_id", word(object, &["organization_id"]));
    record.set_some("assignee_id", word(object, &["assignee_id"]));
    record.set_some("group_id", word(object, &["group_id"]));
    record.set_some("subject", text(object, &["subject"]));
    record.set_some("channel", text(object, &["via", "channel"]));
    let tags: Vec<&str> = elements(object, "tags").iter().filter_map(Value::as_str).collect();
    record.set_some("tags", Some(tags.join(",")).filter(|tags| !tags.is_empty()));
    record.set("created_at", shown(created_at));
    match text(object, &["status"]) {
        Some("deleted") => record.set("operation", "delete"),
        status => record.set_some("status", status),
    }
    let priority = text(object, &["priority"]).map(|word| if word == "urgent" { "critical" } else { word });
    record.set_some("priority", priority);
    // Whole minutes are what Zendesk gives.
    let minutes = integer(metrics, &["reply_time_in_minutes", "calendar"]);
    record.set_some(
        "first_reply_at",
        minutes.map(|minutes| shown(created_at + TimeDelta::minutes(minutes))),
    );
    record.set_some("resolved_at", text(metrics, &["solved_at"]));
    record.set_some("reopen_count", word(metrics, &["reopens"]));
    record.set_some("agent_reply_count", word(metrics, &["replies"]));
    let score = match text(object, &["satisfaction_rating", "score"]) {
        Some("good" | "good_with_comment") => Some("5"),
        Some("bad" | "bad_with_comment") => Some("1"),
        _ => None,
    };
    record.set_some("satisfaction_score", score);
    let policies = object
        .get("slas")
        .map_or(&[][..], |slas| elements(slas, "policy_metrics"));
    for (metric, column) in [
        ("first_reply_time", "first_reply_due_at"),
        ("total_resolution_time", "resolution_due_at"),
    ] {
        let policy = policies.iter().find(|policy| text(policy, &["metric"]) == Some(metric));
        record.set_some(column, policy.and_then(|policy| text(policy, &["breach_at"])));
    }
    Ok(record)
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
