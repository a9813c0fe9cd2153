use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Control, apply::add_told, instant};
use crate::{AlertError, Route, canary, digest, ledger, notices};

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
    /// Whether it is about messages alone: a test of the routes, a digest.
    pub fn is_notice(&self) -> bool {
        [canary::RULE_ID, digest::RULE_ID].contains(&self.rule_id.as_str())
    }

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
        incident_by_id(&mut *self.pool.acquire().await?, id).await
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

    /// Incidents that began before a moment and of which nobody was told, oldest first, over or not. What a silence or another
    /// rule keeps quiet is not among them.
    pub(crate) async fn untold_before(&self, at: DateTime<Utc>) -> Result<Vec<Incident>, AlertError> {
        let rows = sqlx::query(
            "SELECT * FROM incidents WHERE told_at_ms IS NULL AND suppressed_by IS NULL AND opened_at_ms < ?1 ORDER BY id",
        )
        .bind(at.timestamp_millis())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(incident).collect::<Result<_, _>>()?)
    }

    /// When a rule's last incident began.
    pub(crate) async fn last_of(&self, rule_id: &str) -> Result<Option<DateTime<Utc>>, AlertError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(opened_at_ms) FROM incidents WHERE rule_id = ?1")
            .bind(rule_id)
            .fetch_one(&self.pool)
            .await?;
        Ok(last.map(instant))
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
            tell_taken(&mut transaction, id, (actor, true), None, (now, now)).await?;
            ledger::append_event(&mut transaction, now, id, "acknowledged", actor).await?;
        }
        let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE id = ?1 AND resolved_at_ms IS NULL")
            .bind(id)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(open == 1)
    }

    /// Somebody took an incident on a route, or gave it back. What is already known changes nothing, and neither does what
    /// was said before somebody took it, or gave it back, since.
    pub(crate) async fn hear(
        &self,
        dedup_key: &str,
        (actor, is_taken): (&str, bool),
        by_way_of: Route,
        (at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query(
            "SELECT id FROM incidents n
             WHERE dedup_key = ?1 AND resolved_at_ms IS NULL AND (acknowledged_at_ms IS NULL) = ?2 AND NOT EXISTS (
               SELECT 1 FROM timeline t
               WHERE t.incident_id = n.id AND t.event IN ('acknowledged', 'given back') AND t.at_ms >= ?3)",
        )
        .bind(dedup_key)
        .bind(i64::from(is_taken))
        .bind(at.timestamp_millis())
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
        if !is_taken {
            // Whose turn it is, and whoever comes after, are asked anew.
            sqlx::query("UPDATE incidents SET told_at_ms = ?2 WHERE id = ?1 AND told_at_ms IS NOT NULL")
                .bind(id)
                .bind(now.timestamp_millis())
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM escalations WHERE incident_id = ?1")
                .bind(id)
                .execute(&mut *transaction)
                .await?;
        }
        let event = if is_taken { "acknowledged" } else { "given back" };
        let way = format!("by way of {}", by_way_of.title());
        add_event(&mut transaction, id, event, actor, &way, at).await?;
        tell_taken(&mut transaction, id, (actor, is_taken), Some(by_way_of), (at, now)).await?;
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

pub(super) async fn incident_by_id(connection: &mut SqliteConnection, id: i64) -> Result<Option<Incident>, AlertError> {
    let row = sqlx::query("SELECT * FROM incidents WHERE id = ?1")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(incident).transpose()?)
}

/// Of an incident that somebody took before anybody was told, the first word is followed by who has it.
pub(super) async fn tell_who_has_it(
    connection: &mut SqliteConnection,
    id: i64,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    let known = incident_by_id(connection, id).await?;
    let taken = known.and_then(|incident| Some((incident.acknowledged_by?, incident.acknowledged_at?)));
    match taken {
        Some((actor, at)) => tell_taken(connection, id, (&actor, true), None, (at, now)).await,
        None => Ok(()),
    }
}

/// Whoever was told of an incident sees who has it now. A letter would wake people for nothing, PagerDuty has no word for
/// giving back, and whoever said it there need not be told.
async fn tell_taken(
    connection: &mut SqliteConnection,
    id: i64,
    (actor, is_taken): (&str, bool),
    heard_on: Option<Route>,
    (at, now): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), AlertError> {
    let Some(incident) = incident_by_id(connection, id).await? else {
        return Ok(());
    };
    let message = notices::taken(&incident, actor, is_taken, at);
    let told: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT route FROM intents WHERE incident_id = ?1 AND action = 'trigger' AND state <> 'dead'",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let hears = |route: &Route| match route {
        Route::Slack => true,
        Route::Pagerduty => is_taken && heard_on != Some(Route::Pagerduty),
        Route::Email => false,
    };
    let routes = told.iter().filter_map(|name| Route::parse(name)).filter(hears);
    let told = routes.map(|route| (route, message.clone())).collect();
    add_told(connection, id, &told, now).await
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
