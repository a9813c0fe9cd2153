use chrono::{DateTime, Utc};
use sqlx::{Row, sqlite::SqliteRow};

use super::apply::add_intents;
use super::{Control, instant};
use crate::{
    AlertError, Route,
    ledger::{self, Entry},
    notify::slack::{Posted, Thread},
};

/// A notification that must reach a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its number; intents of an incident are delivered in this order.
    pub id: i64,
    /// The incident.
    pub incident_id: i64,
    /// `trigger`, `update`, `acknowledge`, `give_back`, `resolve`, `settle` or `notice`.
    pub action: String,
    /// Where to.
    pub route: Route,
    /// The body without secrets.
    pub body: String,
    /// `pending`, `delivered`, `superseded` or `dead`.
    pub state: String,
    /// Why it is not delivered yet.
    pub reason: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Not to be tried earlier.
    pub not_before: DateTime<Utc>,
}

/// How an attempt, or the lack of one, ended.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) state: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) not_before: DateTime<Utc>,
    /// What was sent, without secrets.
    pub(crate) request: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) answer: &'a str,
    pub(crate) latency_ms: Option<i64>,
    /// A plainer body to be tried next.
    pub(crate) body: Option<String>,
    /// What Slack knows it by.
    pub(crate) sent_as: Option<Posted>,
    /// The step that follows on the same route, with the same body.
    pub(crate) next: Option<&'static str>,
    /// What another route is told instead.
    pub(crate) elsewhere: Option<(Route, String)>,
}

/// The action of a notice that something was not delivered.
pub(crate) const NOTICE: &str = "notice";

fn intent(row: &SqliteRow) -> Result<Intent, sqlx::Error> {
    let route: String = row.try_get("route")?;
    Ok(Intent {
        id: row.try_get("id")?,
        incident_id: row.try_get("incident_id")?,
        action: row.try_get("action")?,
        route: Route::parse(&route).ok_or_else(|| sqlx::Error::Decode(format!("unknown route {route:?}").into()))?,
        body: row.try_get("body")?,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
        not_before: instant(row.try_get("not_before_ms")?),
    })
}

impl Control {
    /// Intents that have not ended, oldest first.
    pub async fn pending(&self) -> Result<Vec<Intent>, AlertError> {
        let rows = sqlx::query("SELECT * FROM intents WHERE state = 'pending' ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(intent).collect::<Result<_, _>>()?)
    }

    /// Those of one route.
    pub(crate) async fn pending_on(&self, route: Route) -> Result<Vec<Intent>, AlertError> {
        let rows = sqlx::query("SELECT * FROM intents WHERE state = 'pending' AND route = ?1 ORDER BY id")
            .bind(route.name())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(intent).collect::<Result<_, _>>()?)
    }

    /// Says of all that wait for a route why they do; nothing is written where that is known.
    pub(crate) async fn say_why(&self, route: Route, reason: &str) -> Result<(), AlertError> {
        sqlx::query("UPDATE intents SET reason = ?2 WHERE state = 'pending' AND route = ?1 AND reason <> ?2")
            .bind(route.name())
            .bind(reason)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What Slack was told of an incident, for what is added to it.
    pub(crate) async fn thread(&self, incident_id: i64) -> Result<Thread, AlertError> {
        let rows = sqlx::query(
            "SELECT action, body, sent_as FROM intents
             WHERE incident_id = ?1 AND route = 'slack' AND state = 'delivered' ORDER BY id",
        )
        .bind(incident_id)
        .fetch_all(&self.pool)
        .await?;
        let mut thread = Thread::default();
        for row in rows {
            let action: String = row.try_get("action")?;
            let body: String = row.try_get("body")?;
            let sent_as: Option<String> = row.try_get("sent_as")?;
            match action.as_str() {
                "trigger" => {
                    thread.posted = sent_as.as_deref().map(serde_json::from_str).transpose()?;
                    thread.root = Some(serde_json::from_str(&body)?);
                }
                "acknowledge" | "give_back" => thread.taken = Some(serde_json::from_str(&body)?),
                _ => {}
            }
        }
        Ok(thread)
    }

    /// Routes that were told that another did not take something of an incident.
    pub(crate) async fn noticed_on(&self, incident_id: i64) -> Result<Vec<Route>, AlertError> {
        self.routes_where(incident_id, "action = 'notice'").await
    }

    /// Routes on which an incident was told.
    pub(crate) async fn routes_of(&self, incident_id: i64) -> Result<Vec<Route>, AlertError> {
        self.routes_where(incident_id, "action <> 'notice'").await
    }

    async fn routes_where(&self, incident_id: i64, condition: &'static str) -> Result<Vec<Route>, AlertError> {
        let query = format!("SELECT DISTINCT route FROM intents WHERE incident_id = ?1 AND {condition}");
        let names: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .bind(incident_id)
            .fetch_all(&self.pool)
            .await?;
        Ok(names.iter().filter_map(|name| Route::parse(name)).collect())
    }

    /// All intents of an incident, in order.
    pub async fn intents(&self, incident_id: i64) -> Result<Vec<Intent>, AlertError> {
        let rows = sqlx::query("SELECT * FROM intents WHERE incident_id = ?1 ORDER BY id")
            .bind(incident_id)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(intent).collect::<Result<_, _>>()?)
    }

    /// Books the end of an attempt, or of the intent, with its ledger row in one transaction.
    pub(crate) async fn book(
        &self,
        intent: &Intent,
        outcome: &Outcome<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE intents SET state = ?2, reason = ?3, not_before_ms = ?4, attempts = attempts + 1, sent_as = ?5
             WHERE id = ?1 AND state = 'pending'",
        )
        .bind(intent.id)
        .bind(outcome.state)
        .bind(outcome.reason)
        .bind(outcome.not_before.timestamp_millis())
        .bind(outcome.sent_as.as_ref().map(serde_json::to_string).transpose()?)
        .execute(&mut *transaction)
        .await?;
        if let Some(body) = &outcome.body {
            sqlx::query("UPDATE intents SET body = ?2 WHERE id = ?1")
                .bind(intent.id)
                .bind(body)
                .execute(&mut *transaction)
                .await?;
        }
        if let Some((route, body)) = &outcome.elsewhere {
            add_intents(
                &mut transaction,
                intent.incident_id,
                NOTICE,
                &[(*route, body.clone())],
                now,
            )
            .await?;
        }
        if let Some(action) = outcome.next {
            let body = [(intent.route, intent.body.clone())];
            add_intents(&mut transaction, intent.incident_id, action, &body, now).await?;
        }
        let event = match outcome.state {
            "delivered" => format!("{} delivered", intent.action),
            "dead" => format!("{} refused", intent.action),
            "superseded" => format!("{} not needed: {}", intent.action, outcome.reason),
            _ => format!("{} to be tried again: {}", intent.action, outcome.reason),
        };
        let entry = Entry {
            incident_id: intent.incident_id,
            intent_id: Some(intent.id),
            event: &event,
            route: intent.route.name(),
            request: outcome.request,
            status: outcome.status,
            answer: outcome.answer,
            latency_ms: outcome.latency_ms,
        };
        ledger::append(&mut transaction, now, &entry).await?;
        transaction.commit().await?;
        Ok(())
    }
}
