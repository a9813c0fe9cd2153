//! The control database: rule state, incidents, intents and the delivery ledger.

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::{
    Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use crate::{AlertError, Route, ledger, message::Message, notify};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS rule_state (
    rule_id TEXT PRIMARY KEY, state TEXT NOT NULL, incident_id INTEGER, verdict TEXT NOT NULL, evaluated_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule_id TEXT NOT NULL, dedup_key TEXT NOT NULL UNIQUE,
    opened_at_ms INTEGER NOT NULL, resolved_at_ms INTEGER, title TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL REFERENCES incidents(id), action TEXT NOT NULL,
    route TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, not_before_ms INTEGER NOT NULL, UNIQUE (incident_id, action, route)
) STRICT;
CREATE TABLE IF NOT EXISTS ledger (
    sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, incident_id INTEGER NOT NULL, intent_id INTEGER, event TEXT NOT NULL,
    route TEXT NOT NULL, request TEXT NOT NULL, status INTEGER, answer TEXT NOT NULL, latency_ms INTEGER, previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
";

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// The rule.
    pub rule_id: String,
    /// `ok` or `firing`.
    pub state: String,
    /// The open incident.
    pub incident_id: Option<i64>,
    /// The last verdict as JSON.
    pub verdict: String,
    /// When it was last judged.
    pub evaluated_at: DateTime<Utc>,
}

/// Something that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// The rule that fired.
    pub rule_id: String,
    /// One name for all its notifications.
    pub dedup_key: String,
    /// When it fired.
    pub opened_at: DateTime<Utc>,
    /// When it recovered.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What was told.
    pub title: String,
}

/// A notification that must reach a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its number; intents of an incident are delivered in this order.
    pub id: i64,
    /// The incident.
    pub incident_id: i64,
    /// `trigger` or `resolve`.
    pub action: String,
    /// Where to.
    pub route: Route,
    /// The body without secrets.
    pub body: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Why it is not delivered yet.
    pub reason: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Not to be tried earlier.
    pub not_before: DateTime<Utc>,
}

/// The control database of a home.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) pool: SqlitePool,
}

pub(crate) fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

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
    /// Opens the database, creating it on first use. A transaction is on the disk before it counts.
    pub async fn open(path: &Path) -> Result<Self, AlertError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(std::time::Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options)
            .await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Where a rule stands; `None` before its first evaluation.
    pub async fn rule_state(&self, rule_id: &str) -> Result<Option<RuleState>, AlertError> {
        let row = sqlx::query("SELECT * FROM rule_state WHERE rule_id = ?1")
            .bind(rule_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(RuleState {
                rule_id: row.try_get("rule_id")?,
                state: row.try_get("state")?,
                incident_id: row.try_get("incident_id")?,
                verdict: row.try_get("verdict")?,
                evaluated_at: instant(row.try_get("evaluated_at_ms")?),
            })
        })
        .transpose()
    }

    /// Books a verdict that changes nothing.
    pub(crate) async fn note_verdict(
        &self,
        rule_id: &str,
        verdict: &str,
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        sqlx::query(
            "INSERT INTO rule_state (rule_id, state, incident_id, verdict, evaluated_at_ms) VALUES (?1, 'ok', NULL, ?2, ?3)
             ON CONFLICT (rule_id) DO UPDATE SET verdict = excluded.verdict, evaluated_at_ms = excluded.evaluated_at_ms",
        )
        .bind(rule_id)
        .bind(verdict)
        .bind(now.timestamp_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Opens an incident: state, incident, intents and ledger row in one transaction.
    pub(crate) async fn open_incident(
        &self,
        rule_id: &str,
        verdict: &str,
        dedup_key: &str,
        messages: &[(Route, Message)],
        now: DateTime<Utc>,
    ) -> Result<i64, AlertError> {
        let title = messages
            .first()
            .map(|(_, message)| message.title.clone())
            .unwrap_or_default();
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let incident_id =
            sqlx::query("INSERT INTO incidents (rule_id, dedup_key, opened_at_ms, title) VALUES (?1, ?2, ?3, ?4)")
                .bind(rule_id)
                .bind(dedup_key)
                .bind(now.timestamp_millis())
                .bind(title)
                .execute(&mut *transaction)
                .await?
                .last_insert_rowid();
        set_state(&mut transaction, rule_id, "firing", Some(incident_id), verdict, now).await?;
        add_intents(&mut transaction, incident_id, messages, now).await?;
        ledger::append(
            &mut transaction,
            now,
            incident_id,
            None,
            "opened",
            "",
            verdict,
            None,
            "",
            None,
        )
        .await?;
        transaction.commit().await?;
        Ok(incident_id)
    }

    /// Closes an incident: state, incident, intents and ledger row in one transaction.
    pub(crate) async fn resolve_incident(
        &self,
        rule_id: &str,
        verdict: &str,
        incident_id: i64,
        messages: &[(Route, Message)],
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE incidents SET resolved_at_ms = ?2 WHERE id = ?1")
            .bind(incident_id)
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
        set_state(&mut transaction, rule_id, "ok", None, verdict, now).await?;
        add_intents(&mut transaction, incident_id, messages, now).await?;
        ledger::append(
            &mut transaction,
            now,
            incident_id,
            None,
            "resolved",
            "",
            verdict,
            None,
            "",
            None,
        )
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// An incident by number.
    pub async fn incident(&self, id: i64) -> Result<Option<Incident>, AlertError> {
        Ok(self.incidents().await?.into_iter().find(|incident| incident.id == id))
    }

    /// All incidents, newest first.
    pub async fn incidents(&self) -> Result<Vec<Incident>, AlertError> {
        let rows = sqlx::query("SELECT * FROM incidents ORDER BY id DESC")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let resolved: Option<i64> = row.try_get("resolved_at_ms")?;
                Ok(Incident {
                    id: row.try_get("id")?,
                    rule_id: row.try_get("rule_id")?,
                    dedup_key: row.try_get("dedup_key")?,
                    opened_at: instant(row.try_get("opened_at_ms")?),
                    resolved_at: resolved.map(instant),
                    title: row.try_get("title")?,
                })
            })
            .collect()
    }

    /// Intents that have not ended, oldest first.
    pub async fn pending(&self) -> Result<Vec<Intent>, AlertError> {
        let rows = sqlx::query("SELECT * FROM intents WHERE state = 'pending' ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(intent).collect::<Result<_, _>>()?)
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
    #[allow(clippy::too_many_arguments, reason = "one attempt, whole")]
    pub(crate) async fn book(
        &self,
        intent: &Intent,
        state: &str,
        reason: &str,
        not_before: DateTime<Utc>,
        attempted: bool,
        status: Option<u16>,
        answer: &str,
        latency_ms: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE intents SET state = ?2, reason = ?3, not_before_ms = ?4, attempts = attempts + ?5 WHERE id = ?1",
        )
        .bind(intent.id)
        .bind(state)
        .bind(reason)
        .bind(not_before.timestamp_millis())
        .bind(i64::from(attempted))
        .execute(&mut *transaction)
        .await?;
        if attempted || state == "dead" {
            let event = match state {
                "delivered" => format!("{} delivered", intent.action),
                "dead" => format!("{} refused", intent.action),
                _ => format!("{} to be tried again: {reason}", intent.action),
            };
            let route = intent.route.name();
            ledger::append(
                &mut transaction,
                now,
                intent.incident_id,
                Some(intent.id),
                &event,
                route,
                &intent.body,
                status,
                answer,
                latency_ms,
            )
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn set_state(
    connection: &mut SqliteConnection,
    rule_id: &str,
    state: &str,
    incident_id: Option<i64>,
    verdict: &str,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    sqlx::query(
        "INSERT INTO rule_state (rule_id, state, incident_id, verdict, evaluated_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (rule_id) DO UPDATE SET state = excluded.state, incident_id = excluded.incident_id,
             verdict = excluded.verdict, evaluated_at_ms = excluded.evaluated_at_ms",
    )
    .bind(rule_id)
    .bind(state)
    .bind(incident_id)
    .bind(verdict)
    .bind(now.timestamp_millis())
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_intents(
    connection: &mut SqliteConnection,
    incident_id: i64,
    messages: &[(Route, Message)],
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    for (route, message) in messages {
        let body = serde_json::to_string(&notify::body(*route, message))?;
        sqlx::query("INSERT INTO intents (incident_id, action, route, body, state, not_before_ms) VALUES (?1, ?2, ?3, ?4, 'pending', ?5)")
            .bind(incident_id)
            .bind(message.action.name())
            .bind(route.name())
            .bind(body)
            .bind(now.timestamp_millis())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
