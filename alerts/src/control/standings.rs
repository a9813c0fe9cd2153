use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};

use super::{Control, instant};
use crate::{AlertError, Phase, Standing};

/// Where a thing stands, as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) label: Option<String>,
    pub(crate) standing: Standing,
}

/// What a rule found when it looked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The rule.
    pub rule_id: String,
    /// What it found, in one line.
    pub verdict: String,
    /// When.
    pub evaluated_at: DateTime<Utc>,
}

impl Control {
    /// All standings by rule and thing.
    pub(crate) async fn standings(&self) -> Result<BTreeMap<String, BTreeMap<String, Kept>>, AlertError> {
        let rows = sqlx::query("SELECT * FROM standings").fetch_all(&self.pool).await?;
        let mut all: BTreeMap<String, BTreeMap<String, Kept>> = BTreeMap::new();
        for row in rows {
            let phase: String = row.try_get("phase")?;
            let missing: Option<i64> = row.try_get("missing_since_ms")?;
            let told: i64 = row.try_get("is_missing_told")?;
            let kept = Kept {
                label: row.try_get("label")?,
                standing: Standing {
                    phase: Phase::parse(&phase)
                        .ok_or_else(|| sqlx::Error::Decode(format!("unknown phase {phase:?}").into()))?,
                    since_at: instant(row.try_get("since_ms")?),
                    missing_since_at: missing.map(instant),
                    is_missing_told: told != 0,
                },
            };
            all.entry(row.try_get("rule_id")?)
                .or_default()
                .insert(row.try_get("entity")?, kept);
        }
        Ok(all)
    }

    /// What a rule found when it looked last; `None` before its first look.
    pub async fn look(&self, rule_id: &str) -> Result<Option<Look>, AlertError> {
        let row = sqlx::query("SELECT * FROM looks WHERE rule_id = ?1")
            .bind(rule_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            Ok(Look {
                rule_id: row.try_get("rule_id")?,
                verdict: row.try_get("verdict")?,
                evaluated_at: instant(row.try_get("evaluated_at_ms")?),
            })
        })
        .transpose()
    }
}

pub(super) async fn put_look(
    connection: &mut SqliteConnection,
    rule_id: &str,
    verdict: &str,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    sqlx::query(
        "INSERT INTO looks (rule_id, evaluated_at_ms, verdict) VALUES (?1, ?2, ?3)
         ON CONFLICT (rule_id) DO UPDATE SET evaluated_at_ms = excluded.evaluated_at_ms, verdict = excluded.verdict",
    )
    .bind(rule_id)
    .bind(now.timestamp_millis())
    .bind(verdict)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn put_standing(
    connection: &mut SqliteConnection,
    rule_id: &str,
    entity: &str,
    kept: Option<&Kept>,
) -> Result<(), AlertError> {
    let Some(Kept { label, standing }) = kept else {
        sqlx::query("DELETE FROM standings WHERE rule_id = ?1 AND entity = ?2")
            .bind(rule_id)
            .bind(entity)
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query("INSERT OR REPLACE INTO standings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .bind(rule_id)
        .bind(entity)
        .bind(label.as_deref())
        .bind(standing.phase.name())
        .bind(standing.since_at.timestamp_millis())
        .bind(standing.missing_since_at.map(|at| at.timestamp_millis()))
        .bind(i64::from(standing.is_missing_told))
        .execute(connection)
        .await?;
    Ok(())
}
