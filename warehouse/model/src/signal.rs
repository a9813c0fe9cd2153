use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Proof;

/// What a signal's readings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadingUnit {
    /// A share: `numerator / denominator`.
    Percent,
    /// A number of things: `numerator`, over a denominator of 1.
    Count,
    /// A score on a scale of its own: `numerator / denominator`, never a percentage.
    Score,
    /// A duration: `numerator` microseconds over a denominator of 1,000,000.
    Seconds,
    /// An amount: `numerator` minor units of the reporting currency, over a denominator of 1 or of things.
    Money,
}

/// What a signal says of one thing at one moment. The value is a fraction of whole numbers, so that no rounding ever decides
/// whether somebody is woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What it is about: a host, a ticket, a customer; `all` for the company.
    pub entity: String,
    /// The same as people call it, where that is another name.
    pub label: Option<String>,
    /// Since when what it says holds, where the records know.
    pub since_at: Option<DateTime<Utc>>,
    /// Above the line.
    pub numerator: i64,
    /// Below the line; 0 means that there is no value.
    pub denominator: i64,
    /// What else the definition gives for people to understand it, by column.
    pub evidence: Vec<(String, String)>,
}

/// What a signal said at one moment, about everything it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// The signal.
    pub signal: String,
    /// What the readings are.
    pub unit: ReadingUnit,
    /// Ordered by entity; each entity once.
    pub readings: Vec<Reading>,
    /// The proof.
    pub proof: Proof,
    /// When the newest record it was computed from landed; absent when there is none.
    pub fresh_at: Option<DateTime<Utc>>,
    /// The moment.
    pub evaluated_at: DateTime<Utc>,
}
