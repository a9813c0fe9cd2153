use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Control, instant};
use crate::{AlertError, ledger};

/// What an incident is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentKind {
    /// A rule fires.
    Breach,
    /// A rule has had no value for long: nobody would be told if it fired.
    Blind,
}

impl IncidentKind {
    /// The word used in lists and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Blind => "blind",
        }
    }

    fn parse(name: &str) -> Self {
        if name == "blind" { Self::Blind } else { Self::Breach }
    }
}

/// Something that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// The rule that fired.
    pub rule_id: String,
    /// What it is about.
    pub kind: IncidentKind,
    /// What it is about within the rule: a thing, or everything.
    pub group_key: String,
    /// How bad it is.
    pub severity: String,
    /// One name for all its notifications.
    pub dedup_key: String,
    /// When it fired.
    pub opened_at: DateTime<Utc>,
    /// When it recovered.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What was told.
    pub title: String,
    /// Why nobody is told: a silence, or the rule that explains it.
    pub suppressed_by: Option<String>,
    /// When somebody was told first.
    pub told_at: Option<DateTime<Utc>>,
    /// When somebody took it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who took it.
    pub acknowledged_by: Option<String>,
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// What: `opened`, `joined`, `acknowledged`, `note` ...
    pub event: String,
    /// Who: a person, or `atalaya`.
    pub actor: String,
    /// In words.
    pub note: String,
}

impl Incident {
    /// One that is in no database: of a replay.
    pub(crate) fn imagined(
        id: i64,
        rule_id: &str,
        kind: IncidentKind,
        group_key: String,
        opened_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            rule_id: rule_id.to_owned(),
            kind,
            group_key,
            severity: String::new(),
            dedup_key: String::new(),
            opened_at,
            resolved_at: None,
            title: String::new(),
            suppressed_by: None,
            told_at: Some(opened_at),
            acknowledged_at: None,
            acknowledged_by: None,
        }
    }
}

fn incident(row: &SqliteRow) -> Result<Incident, sqlx::Error> {
    let at = |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(name)?.map(instant));
    let kind: String = row.try_get("kind")?;
    Ok(Incident {
        id: row.try_get("id")?,
        rule_id: row.try_get("rule_id")?,
        kind: IncidentKind::parse(&kind),
        group_key: row.try_get("group_key")?,
        severity: row.try_get("severity")?,
        dedup_key: row.try_get("dedup_key")?,
        opened_at: instant(row.try_get("opened_at_ms")?),
        resolved_at: at("resolved_at_ms")?,
        title: row.try_get("title")?,
        suppressed_by: row.try_get("suppressed_by")?,
        told_at: at("told_at_ms")?,
        acknowledged_at: at("acknowledged_at_ms")?,
        acknowledged_by: row.try_get("acknowledged_by")?,
    })
}

impl Control {
    /// An incident by number.
    pub async fn incident(&self, id: i64) -> Result<Option<Incident>, AlertError> {
        let row = sqlx::query("SELECT * FROM incidents WHERE id = ?1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.as_ref().map(incident).transpose()?)
    }

    /// All incidents, newest first.
    pub async fn incidents(&self) -> Result<Vec<Incident>, AlertError> {
        let rows = sqlx::query("SELECT * FROM incidents ORDER BY id DESC")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(incident).collect::<Result<_, _>>()?)
    }

    /// Incidents that are not over, oldest first.
    pub async fn open_incidents(&self) -> Result<Vec<Incident>, AlertError> {
        let rows = sqlx::query("SELECT * FROM incidents WHERE resolved_at_ms IS NULL ORDER BY id")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(incident).collect::<Result<_, _>>()?)
    }

    /// What happened to an incident, in order.
    pub async fn timeline(&self, incident_id: i64) -> Result<Vec<TimelineEntry>, AlertError> {
        let rows = sqlx::query("SELECT * FROM timeline WHERE incident_id = ?1 ORDER BY id")
            .bind(incident_id)
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(TimelineEntry {
                    at: instant(row.try_get("at_ms")?),
                    event: row.try_get("event")?,
                    actor: row.try_get("actor")?,
                    note: row.try_get("note")?,
                })
            })
            .collect()
    }

    /// Somebody takes an incident. Taking it twice changes nothing; `false` when it is over or does not exist.
    pub async fn acknowledge(&self, id: i64, actor: &str, note: &str, now: DateTime<Utc>) -> Result<bool, AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let taken = sqlx::query(
            "UPDATE incidents SET acknowledged_at_ms = ?2, acknowledged_by = ?3
             WHERE id = ?1 AND resolved_at_ms IS NULL AND acknowledged_at_ms IS NULL",
        )
        .bind(id)
        .bind(now.timestamp_millis())
        .bind(actor)
        .execute(&mut *transaction)
        .await?;
        if taken.rows_affected() == 1 {
            add_event(&mut transaction, id, "acknowledged", actor, note, now).await?;
            ledger::append_event(&mut transaction, now, id, "acknowledged", actor).await?;
        }
        let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE id = ?1 AND resolved_at_ms IS NULL")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(open == 1)
    }

    /// Somebody took an incident elsewhere, or gave it back. What is already known changes nothing.
    pub(crate) async fn hear(
        &self,
        dedup_key: &str,
        is_taken: bool,
        actor: &str,
        at: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query(
            "SELECT id FROM incidents WHERE dedup_key = ?1 AND resolved_at_ms IS NULL AND (acknowledged_at_ms IS NULL) = ?2",
        )
        .bind(dedup_key)
        .bind(i64::from(is_taken))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = found else {
            return Ok(());
        };
        let id: i64 = row.try_get("id")?;
        sqlx::query("UPDATE incidents SET acknowledged_at_ms = ?2, acknowledged_by = ?3 WHERE id = ?1")
            .bind(id)
            .bind(is_taken.then(|| at.timestamp_millis()))
            .bind(is_taken.then_some(actor))
            .execute(&mut *transaction)
            .await?;
        let event = if is_taken { "acknowledged" } else { "given back" };
        add_event(&mut transaction, id, event, actor, "by way of PagerDuty", at).await?;
        ledger::append_event(&mut transaction, at, id, event, actor).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Writes something into an incident's timeline; `false` when there is no such incident.
    pub async fn note(&self, id: i64, actor: &str, note: &str, now: DateTime<Utc>) -> Result<bool, AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let known: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE id = ?1")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await?;
        if known == 1 {
            add_event(&mut transaction, id, "note", actor, note, now).await?;
        }
        transaction.commit().await?;
        Ok(known == 1)
    }
}

pub(super) async fn add_event(
    connection: &mut SqliteConnection,
    incident_id: i64,
    event: &str,
    actor: &str,
    note: &str,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    sqlx::query("INSERT INTO timeline (incident_id, at_ms, event, actor, note) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(incident_id)
        .bind(now.timestamp_millis())
        .bind(event)
        .bind(actor)
        .bind(note)
        .execute(connection)
        .await?;
    Ok(())
}
