use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{Control, Told, apply::add_told, incident::add_event};
use crate::{AlertError, ledger};

impl Control {
    /// Which levels were told, by incident; of those that are not over.
    pub(crate) async fn escalations(&self) -> Result<BTreeSet<(i64, i64)>, AlertError> {
        let rows = sqlx::query(
            "SELECT e.incident_id, e.level FROM escalations e JOIN incidents n ON n.id = e.incident_id WHERE n.resolved_at_ms IS NULL",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut told = BTreeSet::new();
        for row in rows {
            told.insert((row.try_get("incident_id")?, row.try_get("level")?));
        }
        Ok(told)
    }

    /// A level is told of an incident that nobody took. What was told, taken or over meanwhile changes nothing.
    pub(crate) async fn escalate(
        &self,
        (incident_id, level): (i64, i64),
        words: &str,
        told: &Told,
        now: DateTime<Utc>,
    ) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query(
            "INSERT OR IGNORE INTO escalations (incident_id, level)
             SELECT id, ?2 FROM incidents WHERE id = ?1 AND resolved_at_ms IS NULL AND acknowledged_at_ms IS NULL",
        )
        .bind(incident_id)
        .bind(level)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 1 {
            add_event(&mut transaction, incident_id, "escalated", "atalaya", words, now).await?;
            add_told(&mut transaction, incident_id, told, now).await?;
            ledger::append_event(&mut transaction, now, incident_id, "escalated", words).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
