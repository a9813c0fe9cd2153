//! The control database: where everything stands, incidents, silences, intents and the delivery ledger.

mod apply;
mod escalation;
mod figures;
mod incident;
mod intent;
mod silence;
mod standings;

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::{
    SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use crate::AlertError;

pub(crate) use apply::{Decision, Opening, Told, Update};
pub(crate) use escalation::Escalation;
pub use figures::{Canary, Figures};
pub use incident::{Incident, IncidentKind, TimelineEntry};
pub use intent::Intent;
pub(crate) use intent::{NOTICE, Outcome};
pub use silence::Silence;
pub(crate) use standings::Kept;
pub use standings::Look;

const SCHEMA: &str = include_str!("schema.sql");
const FROM_1: &str = include_str!("from_1.sql");
const FROM_1_ROWS: &str = include_str!("from_1_rows.sql");
const FROM_2: &str = include_str!("from_2.sql");
const FROM_2_EARLY: &str = include_str!("from_2_early.sql");
const FROM_3: &str = include_str!("from_3.sql");
const FROM_4_EARLY: &str = include_str!("from_4_early.sql");
const FROM_4: &str = include_str!("from_4.sql");
const PRESENT_SHAPE: i64 = 5;

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
        let count = async |connection: &mut SqliteConnection, query: &'static str| {
            sqlx::query_scalar::<_, i64>(query).fetch_one(connection).await
        };
        let parts = match version {
            PRESENT_SHAPE => return Ok(()),
            2 => {
                let told = "SELECT COUNT(*) FROM pragma_table_info('incidents') WHERE name = 'told_at_ms'";
                match count(&mut transaction, told).await? {
                    0 => vec![FROM_2_EARLY, FROM_2, FROM_3, FROM_4_EARLY, FROM_4],
                    _ => vec![FROM_2, FROM_3, FROM_4_EARLY, FROM_4],
                }
            }
            3 => vec![FROM_3, FROM_4_EARLY, FROM_4],
            4 => {
                let decided = "SELECT COUNT(*) FROM pragma_table_info('intents') WHERE name = 'decided_at_ms'";
                match count(&mut transaction, decided).await? {
                    0 => vec![FROM_4_EARLY, FROM_4],
                    _ => vec![FROM_4],
                }
            }
            0 => match count(
                &mut transaction,
                "SELECT COUNT(*) FROM sqlite_master WHERE name = 'rule_state'",
            )
            .await?
            {
                0 => vec![SCHEMA],
                _ => vec![FROM_1, SCHEMA, FROM_1_ROWS],
            },
            found => return Err(AlertError::Newer { found }),
        };
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

    /// The tables of an earlier shape: the present ones without what came later.
    fn earlier(version: i64, later_tables: &[&str], later_columns: &[&str]) -> String {
        let mut shape = SCHEMA.replace("PRAGMA user_version = 5", &format!("PRAGMA user_version = {version}"));
        for start in later_tables.iter().chain(&[
            "CREATE INDEX intents_by_state",
            "CREATE INDEX ledger_by_route",
            "CREATE INDEX ledger_by_intent",
        ]) {
            let from = shape.find(start).unwrap();
            let to = from + shape[from..].find(';').unwrap() + 1;
            shape.replace_range(from..to, "");
        }
        for column in later_columns {
            assert!(shape.contains(column), "{column}");
            shape = shape.replace(column, "");
        }
        shape
    }

    #[tokio::test]
    async fn databases_of_earlier_shapes_are_brought_up_to_date() {
        const OWED: &str = "CREATE TABLE owed";
        const ESCALATIONS: &str = "CREATE TABLE escalations";
        const SENT: &str = " sent_as TEXT,";
        const DECIDED: &str = " decided_at_ms INTEGER,";
        const ORIGIN: &str = ", origin TEXT UNIQUE";
        let incident =
            "INSERT INTO incidents (id, rule_id, kind, group_key, dedup_key, severity, title, opened_at_ms) VALUES
            (1, 'cpu_high', 'breach', 'a', 'k', 'critical', 'then', 7000)";
        let shapes = [
            (earlier(2, &[OWED, ESCALATIONS], &[SENT, DECIDED, ORIGIN]), None),
            (
                earlier(
                    2,
                    &[OWED, ESCALATIONS],
                    &[SENT, DECIDED, ORIGIN, " told_at_ms INTEGER,"],
                ),
                Some(7000),
            ),
            (earlier(3, &[ESCALATIONS], &[SENT, DECIDED, ORIGIN]), None),
            (earlier(4, &[ESCALATIONS], &[DECIDED]), None),
            (earlier(4, &[ESCALATIONS], &[]), None),
            (earlier(4, &[], &[]), None),
        ];
        for (shape, expected) in shapes {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("control.db");
            let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
            let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(shape)).execute(&pool).await.unwrap();
            sqlx::raw_sql(incident).execute(&pool).await.unwrap();
            pool.close().await;
            let control = Control::open(&path).await.unwrap();
            assert_eq!(control.open_incidents().await.unwrap().len(), 1);
            assert!(control.owed().await.unwrap().is_empty());
            assert!(control.escalations().await.unwrap().is_empty());
            assert!(control.silences(instant(0)).await.unwrap().is_empty());
            assert_eq!(control.thread(1).await.unwrap().posted, None);
            control.figures().await.unwrap();
            assert!(control.acknowledge(1, "ana", "", instant(9000)).await.unwrap());
            let told: Option<i64> = sqlx::query_scalar("SELECT told_at_ms FROM incidents")
                .fetch_one(&control.pool)
                .await
                .unwrap();
            assert_eq!(told, expected);
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        let control = Control::open(&path).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 99")
            .execute(&control.pool)
            .await
            .unwrap();
        control.pool.close().await;
        let refused = Control::open(&path).await.unwrap_err();
        assert!(matches!(refused, AlertError::Newer { found: 99 }), "{refused}");
    }
}
