use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{Control, Told, apply::add_told, incident::add_event};
use crate::{AlertError, ledger};

/// A level that is told of an incident.
#[derive(Debug)]
pub(crate) struct Escalation {
    pub(crate) incident_id: i64,
    /// From one: the first level is told with the incident.
    pub(crate) level: i64,
    /// Who is told.
    pub(crate) words: String,
    pub(crate) told: Told,
}

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

    /// Levels are told of incidents that nobody took, all in one transaction. What was told, taken or over meanwhile changes nothing.
    pub(crate) async fn escalate(&self, due: &[Escalation], now: DateTime<Utc>) -> Result<(), AlertError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for step in due {
            let done = sqlx::query(
                "INSERT OR IGNORE INTO escalations (incident_id, level)
                 SELECT id, ?2 FROM incidents WHERE id = ?1 AND resolved_at_ms IS NULL AND acknowledged_at_ms IS NULL",
            )
            .bind(step.incident_id)
            .bind(step.level)
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 1 {
                let id = step.incident_id;
                add_event(&mut transaction, id, "escalated", "atalaya", &step.words, now).await?;
                add_told(&mut transaction, id, &step.told, now).await?;
                ledger::append_event(&mut transaction, now, id, "escalated", &step.words).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}
