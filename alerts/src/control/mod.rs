//! The control database: where everything stands, incidents, silences, intents and the delivery ledger.

mod apply;
mod incident;
mod intent;
mod silence;
mod standings;

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::AlertError;

pub(crate) use apply::{Decision, Opening, Told};
pub use incident::{Incident, IncidentKind, TimelineEntry};
pub use intent::Intent;
pub(crate) use intent::{NOTICE, Outcome};
pub use silence::Silence;
pub(crate) use standings::Kept;
pub use standings::Look;

const SCHEMA: &str = include_str!("schema.sql");
const FROM_1: &str = include_str!("from_1.sql");
const FROM_1_ROWS: &str = include_str!("from_1_rows.sql");

/// The control database of a home.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) pool: SqlitePool,
}

pub(crate) fn instant(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
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
        let control = Self { pool };
        control.bring_up_to_date().await?;
        Ok(control)
    }

    /// Gives the database its present shape, in one transaction: whoever is killed in between finds the old one.
    async fn bring_up_to_date(&self) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *transaction)
            .await?;
        if version == 2 {
            return Ok(());
        }
        let has_first_shape: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'rule_state'")
            .fetch_one(&mut *transaction)
            .await?;
        let mut parts = vec![SCHEMA];
        if has_first_shape > 0 {
            parts.insert(0, FROM_1);
            parts.push(FROM_1_ROWS);
        }
        for part in parts {
            sqlx::raw_sql(part).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Phase, ledger};

    /// The database as the first version made it.
    const FIRST_SHAPE: &str = "
        CREATE TABLE rule_state (rule_id TEXT PRIMARY KEY, state TEXT NOT NULL, incident_id INTEGER, verdict TEXT NOT NULL,
            evaluated_at_ms INTEGER NOT NULL) STRICT;
        CREATE TABLE incidents (id INTEGER PRIMARY KEY AUTOINCREMENT, rule_id TEXT NOT NULL, dedup_key TEXT NOT NULL UNIQUE,
            opened_at_ms INTEGER NOT NULL, resolved_at_ms INTEGER, title TEXT NOT NULL) STRICT;
        CREATE TABLE intents (id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL REFERENCES incidents(id),
            action TEXT NOT NULL, route TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',
            attempts INTEGER NOT NULL DEFAULT 0, not_before_ms INTEGER NOT NULL, UNIQUE (incident_id, action, route)) STRICT;
        CREATE TABLE ledger (sequence INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, incident_id INTEGER NOT NULL, intent_id INTEGER,
            event TEXT NOT NULL, route TEXT NOT NULL, request TEXT NOT NULL, status INTEGER, answer TEXT NOT NULL,
            latency_ms INTEGER, previous_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
        INSERT INTO rule_state VALUES ('revenue_drop', 'firing', 2, '{}', 5000);
        INSERT INTO incidents VALUES (1, 'revenue_drop', 'a', 1000, 2000, 'then'), (2, 'revenue_drop', 'b', 5000, NULL, 'now');
        INSERT INTO intents VALUES (1, 1, 'trigger', 'slack', '{}', 'delivered', '', 1, 1000),
            (2, 1, 'resolve', 'slack', '{}', 'delivered', '', 1, 2000), (3, 2, 'trigger', 'pagerduty', '{}', 'pending', 'busy', 4, 9000);";

    #[tokio::test]
    async fn a_database_of_the_first_shape_keeps_all_it_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        sqlx::raw_sql(FIRST_SHAPE).execute(&pool).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        for event in ["opened", "resolved"] {
            ledger::append_event(&mut connection, instant(1000), 1, event, "")
                .await
                .unwrap();
        }
        drop(connection);
        pool.close().await;
        // Opened twice: what is up to date stays as it is.
        for _ in 0..2 {
            let control = Control::open(&path).await.unwrap();
            let standings = control.standings().await.unwrap();
            assert_eq!(standings["revenue_drop"]["all"].standing.phase, Phase::Firing);
            let open = control.open_incidents().await.unwrap();
            assert_eq!((open.len(), open[0].id, open[0].group_key.as_str()), (1, 2, "all"));
            let pending = control.pending().await.unwrap();
            assert_eq!(
                (pending.len(), pending[0].attempts, pending[0].reason.as_str()),
                (1, 4, "busy")
            );
            assert_eq!(control.intents(1).await.unwrap().len(), 2);
            assert_eq!(
                (
                    control.ledger().await.unwrap().len(),
                    control.first_broken_row().await.unwrap()
                ),
                (2, None)
            );
            control.pool.close().await;
        }
    }
}
