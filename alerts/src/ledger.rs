//! The delivery ledger: every attempt with what was sent and what came back, each row chained to the one before.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};

use crate::{AlertError, Control, control::instant};

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its place, from 1 without gaps.
    pub sequence: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The incident.
    pub incident_id: i64,
    /// The intent, where it is about one.
    pub intent_id: Option<i64>,
    /// What happened.
    pub event: String,
    /// The route, where there is one.
    pub route: String,
    /// What was sent, without secrets, or the verdict.
    pub request: String,
    /// HTTP status.
    pub status: Option<i64>,
    /// The answer's first kilobyte.
    pub answer: String,
    /// Milliseconds from request to answer.
    pub latency_ms: Option<i64>,
    /// Hash of the row before.
    pub previous_hash: String,
    /// Hash of this row and the one before.
    pub hash: String,
}

impl LedgerRow {
    fn expected_hash(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            self.previous_hash.clone(),
            self.sequence.to_string(),
            self.at.timestamp_millis().to_string(),
            self.incident_id.to_string(),
            format!("{:?}", self.intent_id),
            self.event.clone(),
            self.route.clone(),
            self.request.clone(),
            format!("{:?}", self.status),
            self.answer.clone(),
            format!("{:?}", self.latency_ms),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What a row says, before it has its place in the chain.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) incident_id: i64,
    pub(crate) intent_id: Option<i64>,
    pub(crate) event: &'a str,
    pub(crate) route: &'a str,
    pub(crate) request: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) answer: &'a str,
    pub(crate) latency_ms: Option<i64>,
}

/// Books something that happened to an incident itself.
pub(crate) async fn append_event(
    connection: &mut SqliteConnection,
    at: DateTime<Utc>,
    incident_id: i64,
    event: &str,
    words: &str,
) -> Result<(), AlertError> {
    let entry = Entry {
        incident_id,
        intent_id: None,
        event,
        route: "",
        request: words,
        status: None,
        answer: "",
        latency_ms: None,
    };
    append(connection, at, &entry).await
}

/// Books a row behind the last one.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    at: DateTime<Utc>,
    entry: &Entry<'_>,
) -> Result<(), AlertError> {
    let last = sqlx::query("SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (sequence, previous_hash) = match last {
        Some(row) => (row.try_get::<i64, _>("sequence")? + 1, row.try_get("hash")?),
        None => (1, String::new()),
    };
    let mut row = LedgerRow {
        sequence,
        at: instant(at.timestamp_millis()),
        incident_id: entry.incident_id,
        intent_id: entry.intent_id,
        event: entry.event.to_owned(),
        route: entry.route.to_owned(),
        request: entry.request.to_owned(),
        status: entry.status.map(i64::from),
        answer: entry.answer.to_owned(),
        latency_ms: entry.latency_ms,
        previous_hash,
        hash: String::new(),
    };
    row.hash = row.expected_hash();
    sqlx::query("INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")
        .bind(row.sequence)
        .bind(row.at.timestamp_millis())
        .bind(row.incident_id)
        .bind(row.intent_id)
        .bind(row.event)
        .bind(row.route)
        .bind(row.request)
        .bind(row.status)
        .bind(row.answer)
        .bind(row.latency_ms)
        .bind(row.previous_hash)
        .bind(row.hash)
        .execute(connection)
        .await?;
    Ok(())
}

impl Control {
    /// The whole ledger, oldest first.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>, AlertError> {
        let rows = sqlx::query("SELECT * FROM ledger ORDER BY sequence")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LedgerRow {
                    sequence: row.try_get("sequence")?,
                    at: instant(row.try_get("at_ms")?),
                    incident_id: row.try_get("incident_id")?,
                    intent_id: row.try_get("intent_id")?,
                    event: row.try_get("event")?,
                    route: row.try_get("route")?,
                    request: row.try_get("request")?,
                    status: row.try_get("status")?,
                    answer: row.try_get("answer")?,
                    latency_ms: row.try_get("latency_ms")?,
                    previous_hash: row.try_get("previous_hash")?,
                    hash: row.try_get("hash")?,
                })
            })
            .collect()
    }

    /// The first row that was changed, removed or put in between, if any.
    pub async fn first_broken_row(&self) -> Result<Option<i64>, AlertError> {
        let mut previous = String::new();
        for (row, expected) in self.ledger().await?.iter().zip(1..) {
            if row.sequence != expected || row.previous_hash != previous || row.hash != row.expected_hash() {
                return Ok(Some(expected));
            }
            previous.clone_from(&row.hash);
        }
        Ok(None)
    }
}
