//! A decision becomes true: standings, incidents, intents and ledger rows in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};

use super::{
    Control, Incident, IncidentKind, Kept,
    incident::{add_event, incident_by_id, tell_who_has_it},
    standings::{put_look, put_standing},
};
use crate::{AlertError, Route, ledger, message::Message, notices::ended, notify};

/// What is told of an incident, by route.
pub(crate) type Told = Vec<(Route, Message)>;

/// An incident to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) kind: IncidentKind,
    pub(crate) group_key: String,
    pub(crate) severity: &'static str,
    pub(crate) dedup_key: String,
    pub(crate) title: String,
    pub(crate) suppressed_by: Option<String>,
    /// Told with others later, and not now.
    pub(crate) waits_for_digest: bool,
    /// Empty when it is suppressed.
    pub(crate) told: Told,
    /// Over at once: there is nothing to recover.
    pub(crate) is_over: bool,
    /// What is told right after the rest.
    pub(crate) and_then: Told,
}

/// What becomes of an open incident that more things joined.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) incident_id: i64,
    /// What joined, in words; empty when nothing did.
    pub(crate) joined: String,
    /// What it is called now, where it shall be in the next digest again.
    pub(crate) retitled: Option<String>,
    /// Things of which people will hear when their silence ends.
    pub(crate) owes: Vec<String>,
    /// Things of which people hear now, or that are gone.
    pub(crate) paid: Vec<String>,
    pub(crate) told: Told,
}

/// What a look at a rule changes.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) rule_id: String,
    pub(crate) verdict: String,
    /// Things that stand differently; `None` for those to be forgotten.
    pub(crate) standings: Vec<(String, Option<Kept>)>,
    pub(crate) openings: Vec<Opening>,
    /// Open incidents that more things joined.
    pub(crate) updates: Vec<Update>,
    /// Open incidents that are over.
    pub(crate) closings: Vec<(i64, String, Told)>,
    /// Incidents that are told with this one: their turn in the digest.
    pub(crate) in_digest: Vec<i64>,
    /// Suppressed incidents that are told of after all.
    pub(crate) releases: Vec<(i64, Told)>,
}

impl Decision {
    /// Whether anything stands differently or is told.
    pub(crate) fn changes_nothing(&self) -> bool {
        self.standings.is_empty()
            && self.openings.is_empty()
            && self.updates.is_empty()
            && self.closings.is_empty()
            && self.releases.is_empty()
    }
}

impl Control {
    /// Books what rules found that changed nothing.
    pub(crate) async fn book_looks(&self, looks: &[(String, String)], now: DateTime<Utc>) -> Result<(), AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for (rule_id, verdict) in looks {
            put_look(&mut transaction, rule_id, verdict, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Ends an incident by hand: whoever was told hears so, and its things are forgotten. What still fires opens another one at
    /// the next look. `false` when there is no open incident of that number.
    pub async fn close(&self, id: i64, actor: &str, reason: &str, now: DateTime<Utc>) -> Result<bool, AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let Some(incident) = incident_by_id(&mut transaction, id)
            .await?
            .filter(|incident| incident.resolved_at.is_none())
        else {
            return Ok(false);
        };
        let routes = routes_told(&mut transaction).await?.remove(&id).unwrap_or_default();
        let message = ended(&incident, reason, now);
        let told: Told = routes.into_iter().map(|route| (route, message.clone())).collect();
        let done = sqlx::query("UPDATE incidents SET resolved_at_ms = ?2 WHERE id = ?1 AND resolved_at_ms IS NULL")
            .bind(id)
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        forget(&mut transaction, &incident).await?;
        add_event(&mut transaction, id, "closed", actor, reason, now).await?;
        add_told(&mut transaction, id, &told, now).await?;
        ledger::append_event(&mut transaction, now, id, "closed", actor).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Things of open incidents of which people will hear when their silence ends.
    pub(crate) async fn owed(&self) -> Result<BTreeMap<i64, BTreeSet<String>>, AlertError> {
        let rows = sqlx::query(
            "SELECT o.incident_id, o.entity FROM owed o JOIN incidents n ON n.id = o.incident_id WHERE n.resolved_at_ms IS NULL",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut owed: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for row in rows {
            owed.entry(row.try_get("incident_id")?)
                .or_default()
                .insert(row.try_get("entity")?);
        }
        Ok(owed)
    }

    /// Where each incident that is not over was told.
    pub(crate) async fn routes_told(&self) -> Result<BTreeMap<i64, Vec<Route>>, AlertError> {
        routes_told(&mut *self.pool.acquire().await?).await
    }

    /// Writes a decision, whole or not at all; returns the numbers of the incidents it opened.
    pub(crate) async fn apply(&self, decision: &Decision, now: DateTime<Utc>) -> Result<Vec<i64>, AlertError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        put_look(&mut transaction, &decision.rule_id, &decision.verdict, now).await?;
        for (entity, kept) in &decision.standings {
            put_standing(&mut transaction, &decision.rule_id, entity, kept.as_ref()).await?;
        }
        let mut opened = Vec::new();
        for opening in &decision.openings {
            opened.push(open(&mut transaction, &decision.rule_id, &decision.verdict, opening, now).await?);
        }
        for id in &decision.in_digest {
            sqlx::query("UPDATE incidents SET told_at_ms = ?2 WHERE id = ?1 AND told_at_ms IS NULL")
                .bind(id)
                .bind(now.timestamp_millis())
                .execute(&mut *transaction)
                .await?;
            add_event(&mut transaction, *id, "told", "atalaya", "in the digest", now).await?;
        }
        for update in &decision.updates {
            // Somebody closed it by hand meanwhile: a trigger after the end would open it anew elsewhere.
            if !is_open(&mut transaction, update.incident_id).await? {
                continue;
            }
            apply_update(&mut transaction, update, now).await?;
        }
        for (id, told) in &decision.releases {
            let done = sqlx::query(
                "UPDATE incidents SET suppressed_by = NULL, told_at_ms = ?2 WHERE id = ?1 AND resolved_at_ms IS NULL",
            )
            .bind(id)
            // What waits for the digest is not told yet.
            .bind((!told.is_empty()).then(|| now.timestamp_millis()))
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                continue;
            }
            let event = if told.is_empty() { "released" } else { "told" };
            add_event(&mut transaction, *id, event, "atalaya", "no longer suppressed", now).await?;
            add_told(&mut transaction, *id, told, now).await?;
            tell_who_has_it(&mut transaction, *id, now).await?;
        }
        for (id, words, told) in &decision.closings {
            let done = sqlx::query("UPDATE incidents SET resolved_at_ms = ?2 WHERE id = ?1 AND resolved_at_ms IS NULL")
                .bind(id)
                .bind(now.timestamp_millis())
                .execute(&mut *transaction)
                .await?;
            // Somebody closed it by hand meanwhile, and whoever was told has heard so.
            if done.rows_affected() == 0 {
                continue;
            }
            add_event(&mut transaction, *id, "resolved", "atalaya", words, now).await?;
            add_told(&mut transaction, *id, told, now).await?;
            ledger::append_event(&mut transaction, now, *id, "resolved", words).await?;
        }
        transaction.commit().await?;
        Ok(opened)
    }
}

async fn routes_told(connection: &mut SqliteConnection) -> Result<BTreeMap<i64, Vec<Route>>, AlertError> {
    let rows = sqlx::query(
        "SELECT DISTINCT i.incident_id, i.route FROM intents i JOIN incidents n ON n.id = i.incident_id
         WHERE n.resolved_at_ms IS NULL AND i.action IN ('trigger', 'update') ORDER BY 1, 2",
    )
    .fetch_all(connection)
    .await?;
    let mut routes: BTreeMap<i64, Vec<Route>> = BTreeMap::new();
    for row in rows {
        let route: String = row.try_get("route")?;
        routes
            .entry(row.try_get("incident_id")?)
            .or_default()
            .extend(Route::parse(&route));
    }
    Ok(routes)
}

async fn is_open(connection: &mut SqliteConnection, id: i64) -> Result<bool, AlertError> {
    let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE id = ?1 AND resolved_at_ms IS NULL")
        .bind(id)
        .fetch_one(connection)
        .await?;
    Ok(open == 1)
}

async fn apply_update(
    connection: &mut SqliteConnection,
    update: &Update,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    if !update.joined.is_empty() {
        add_event(connection, update.incident_id, "joined", "atalaya", &update.joined, now).await?;
    }
    if let Some(title) = &update.retitled {
        sqlx::query("UPDATE incidents SET title = ?2, told_at_ms = NULL WHERE id = ?1")
            .bind(update.incident_id)
            .bind(title)
            .execute(&mut *connection)
            .await?;
    }
    for (entities, statement) in [
        (
            &update.owes,
            "INSERT OR IGNORE INTO owed (incident_id, entity) VALUES (?1, ?2)",
        ),
        (&update.paid, "DELETE FROM owed WHERE incident_id = ?1 AND entity = ?2"),
    ] {
        for entity in entities {
            sqlx::query(statement)
                .bind(update.incident_id)
                .bind(entity)
                .execute(&mut *connection)
                .await?;
        }
    }
    add_told(connection, update.incident_id, &update.told, now).await
}

/// Forgets what an incident was about, and nothing else: what fires stays known when it is only the silence that is closed.
async fn forget(connection: &mut SqliteConnection, incident: &Incident) -> Result<(), AlertError> {
    let parts: &[&'static str] = match incident.kind {
        IncidentKind::Breach => &[
            "DELETE FROM standings WHERE rule_id = ?1 AND (?2 = '*' OR entity = ?2) AND phase IN ('firing', 'recovering')",
        ],
        IncidentKind::Blind => &[
            "DELETE FROM standings WHERE rule_id = ?1 AND ?2 = '*' AND is_missing_told = 1 AND phase IN ('ok', 'pending')",
            "UPDATE standings SET is_missing_told = 0, missing_since_ms = NULL WHERE rule_id = ?1 AND ?2 = '*' AND is_missing_told = 1",
        ],
    };
    for part in parts {
        sqlx::query(*part)
            .bind(&incident.rule_id)
            .bind(&incident.group_key)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn open(
    connection: &mut SqliteConnection,
    rule_id: &str,
    verdict: &str,
    opening: &Opening,
    now: DateTime<Utc>,
) -> Result<i64, AlertError> {
    let now_ms = now.timestamp_millis();
    let id = sqlx::query(
        "INSERT INTO incidents (rule_id, kind, group_key, severity, dedup_key, opened_at_ms, resolved_at_ms, title, suppressed_by, told_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(rule_id)
    .bind(opening.kind.name())
    .bind(&opening.group_key)
    .bind(opening.severity)
    .bind(&opening.dedup_key)
    .bind(now_ms)
    .bind(opening.is_over.then_some(now_ms))
    .bind(&opening.title)
    .bind(opening.suppressed_by.as_deref())
    .bind((opening.suppressed_by.is_none() && !opening.waits_for_digest).then_some(now_ms))
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    add_event(connection, id, "opened", "atalaya", &opening.title, now).await?;
    if let Some(reason) = &opening.suppressed_by {
        add_event(connection, id, "suppressed", "atalaya", reason, now).await?;
    }
    add_told(connection, id, &opening.told, now).await?;
    add_told(connection, id, &opening.and_then, now).await?;
    ledger::append_event(connection, now, id, "opened", verdict).await?;
    Ok(id)
}

/// Writes what is told of an incident for each route.
pub(super) async fn add_told(
    connection: &mut SqliteConnection,
    incident_id: i64,
    told: &Told,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    let Some((_, message)) = told.first() else {
        return Ok(());
    };
    let bodies = told
        .iter()
        .map(|(route, message)| Ok((*route, serde_json::to_string(&notify::body(*route, message))?)))
        .collect::<Result<Vec<_>, AlertError>>()?;
    add_intents(connection, incident_id, message.action.name(), &bodies, now).await
}

/// Adds intents as the next step of an incident.
pub(super) async fn add_intents(
    connection: &mut SqliteConnection,
    incident_id: i64,
    action: &str,
    bodies: &[(Route, String)],
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    let step: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(step), 0) + 1 FROM intents WHERE incident_id = ?1")
        .bind(incident_id)
        .fetch_one(&mut *connection)
        .await?;
    for (route, body) in bodies {
        sqlx::query(
            "INSERT INTO intents (incident_id, step, action, route, body, state, not_before_ms, decided_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?6)",
        )
        .bind(incident_id)
        .bind(step)
        .bind(action)
        .bind(route.name())
        .bind(body)
        .bind(now.timestamp_millis())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
