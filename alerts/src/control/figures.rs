//! How alerts themselves are doing, in numbers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{Control, instant};
use crate::{AlertError, Route, canary};

/// Numbers about incidents and deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Incidents that are not over, by severity and by whether somebody has them.
    pub open: BTreeMap<(String, bool), i64>,
    /// Notifications by route and state.
    pub intents: BTreeMap<(&'static str, String), i64>,
    /// Since when the oldest notification of each route waits.
    pub waiting_since: BTreeMap<&'static str, DateTime<Utc>>,
    /// When each route took something last.
    pub delivered_at: BTreeMap<&'static str, DateTime<Utc>>,
    /// Routes that refused what ended last.
    pub refusing: BTreeSet<&'static str>,
    /// The last canary of each route.
    pub canaries: BTreeMap<&'static str, Canary>,
}

/// What became of a message that only tests a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Why it is not delivered.
    pub reason: String,
    /// Milliseconds from the decision to the vendor's word; absent until then.
    pub latency_ms: Option<i64>,
}

impl Control {
    /// The numbers as they are now.
    pub async fn figures(&self) -> Result<Figures, AlertError> {
        let mut figures = Figures::default();
        let open = "SELECT severity, acknowledged_at_ms IS NOT NULL AS is_taken, COUNT(*) AS many FROM incidents
                    WHERE resolved_at_ms IS NULL GROUP BY 1, 2";
        for row in sqlx::query(open).fetch_all(&self.pool).await? {
            let key = (row.try_get("severity")?, row.try_get::<i64, _>("is_taken")? == 1);
            figures.open.insert(key, row.try_get("many")?);
        }
        let intents = "SELECT route, state, COUNT(*) AS many, MIN(decided_at_ms) AS oldest FROM intents GROUP BY 1, 2";
        for row in sqlx::query(intents).fetch_all(&self.pool).await? {
            let name: String = row.try_get("route")?;
            let Some(route) = Route::parse(&name) else { continue };
            let state: String = row.try_get("state")?;
            if let (true, Some(oldest)) = (state == "pending", row.try_get::<Option<i64>, _>("oldest")?) {
                figures.waiting_since.insert(route.name(), instant(oldest));
            }
            figures.intents.insert((route.name(), state), row.try_get("many")?);
        }
        for route in Route::ALL {
            let delivered =
                "SELECT at_ms FROM ledger WHERE route = ?1 AND event LIKE '% delivered' ORDER BY sequence DESC LIMIT 1";
            let at: Option<i64> = sqlx::query_scalar(delivered)
                .bind(route.name())
                .fetch_optional(&self.pool)
                .await?;
            figures.delivered_at.extend(at.map(|at| (route.name(), instant(at))));
            let last = "SELECT (SELECT MAX(id) FROM intents WHERE route = ?1 AND state = 'dead')
                             > COALESCE((SELECT MAX(id) FROM intents WHERE route = ?1 AND state = 'delivered'), 0)";
            let is_refusing: Option<i64> = sqlx::query_scalar(last)
                .bind(route.name())
                .fetch_one(&self.pool)
                .await?;
            figures.refusing.extend((is_refusing == Some(1)).then(|| route.name()));
        }
        figures.canaries = self.canaries().await?;
        Ok(figures)
    }

    /// The last canary of each route.
    pub async fn canaries(&self) -> Result<BTreeMap<&'static str, Canary>, AlertError> {
        let last = "SELECT i.route, i.state, i.reason, i.decided_at_ms, MAX(i.id),
                           (SELECT MIN(l.at_ms) FROM ledger l WHERE l.intent_id = i.id AND l.event LIKE '% delivered') AS delivered_ms
                    FROM intents i JOIN incidents n ON n.id = i.incident_id
                    WHERE n.rule_id = ?1 AND i.action = ?2 GROUP BY i.route";
        let rows = sqlx::query(last)
            .bind(canary::RULE_ID)
            .bind(canary::ACTION.name())
            .fetch_all(&self.pool)
            .await?;
        let mut found = BTreeMap::new();
        for row in rows {
            let name: String = row.try_get("route")?;
            let sent_ms: i64 = row.try_get("decided_at_ms")?;
            let delivered_ms: Option<i64> = row.try_get("delivered_ms")?;
            if let Some(route) = Route::parse(&name) {
                let canary = Canary {
                    sent_at: instant(sent_ms),
                    state: row.try_get("state")?,
                    reason: row.try_get("reason")?,
                    latency_ms: delivered_ms.map(|at| at - sent_ms),
                };
                found.insert(route.name(), canary);
            }
        }
        Ok(found)
    }
}
