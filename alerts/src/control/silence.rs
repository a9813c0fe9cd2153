use chrono::{DateTime, Utc};
use sqlx::{Row, sqlite::SqliteQueryResult};

use super::{Control, instant};
use crate::AlertError;

/// A time in which nobody is told of a rule, or of one thing under it: maintenance, or a known fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// The rule; `*` for all.
    pub rule_id: String,
    /// The thing; `*` for all.
    pub entity: String,
    /// From when.
    pub from_at: DateTime<Utc>,
    /// Until when, exclusively.
    pub until_at: DateTime<Utc>,
    /// Who asked for it.
    pub actor: String,
    /// Why.
    pub reason: String,
}

impl Silence {
    /// Whether it covers a thing of a rule.
    pub fn covers(&self, rule_id: &str, entity: &str, now: DateTime<Utc>) -> bool {
        (self.rule_id == "*" || self.rule_id == rule_id)
            && (self.entity == "*" || self.entity == entity)
            && self.from_at <= now
            && now < self.until_at
    }
}

impl Control {
    /// Adds a silence and returns its number.
    pub async fn add_silence(&self, silence: &Silence) -> Result<i64, AlertError> {
        Ok(self.insert_silence(silence, None).await?.last_insert_rowid())
    }

    /// Adds a silence that somebody asked for elsewhere; asked for again, it is the same one. `false` when it was known.
    pub(crate) async fn hear_silence(&self, silence: &Silence, origin: &str) -> Result<bool, AlertError> {
        Ok(self.insert_silence(silence, Some(origin)).await?.rows_affected() == 1)
    }

    async fn insert_silence(&self, silence: &Silence, origin: Option<&str>) -> Result<SqliteQueryResult, AlertError> {
        let done = sqlx::query(
            "INSERT INTO silences (rule_id, entity, from_ms, until_ms, actor, reason, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (origin) DO NOTHING",
        )
        .bind(&silence.rule_id)
        .bind(&silence.entity)
        .bind(silence.from_at.timestamp_millis())
        .bind(silence.until_at.timestamp_millis())
        .bind(&silence.actor)
        .bind(&silence.reason)
        .bind(origin)
        .execute(&self.pool)
        .await?;
        Ok(done)
    }

    /// Ends a silence; `false` when there is none of that number that still lasts.
    pub async fn end_silence(&self, id: i64, now: DateTime<Utc>) -> Result<bool, AlertError> {
        let done = sqlx::query("UPDATE silences SET until_ms = ?2 WHERE id = ?1 AND until_ms > ?2")
            .bind(id)
            .bind(now.timestamp_millis())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Silences that have not ended, oldest first.
    pub async fn silences(&self, now: DateTime<Utc>) -> Result<Vec<Silence>, AlertError> {
        let rows = sqlx::query("SELECT * FROM silences WHERE until_ms > ?1 ORDER BY id")
            .bind(now.timestamp_millis())
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Silence {
                    id: row.try_get("id")?,
                    rule_id: row.try_get("rule_id")?,
                    entity: row.try_get("entity")?,
                    from_at: instant(row.try_get("from_ms")?),
                    until_at: instant(row.try_get("until_ms")?),
                    actor: row.try_get("actor")?,
                    reason: row.try_get("reason")?,
                })
            })
            .collect()
    }
}
