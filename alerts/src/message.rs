//! A notification before it is written for a route.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Characters of a name that a customer chose.
const NAME_CHARS: usize = 120;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Trigger,
    Update,
    Resolve,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Update => "update",
            Self::Resolve => "resolve",
        }
    }
}

/// A notification before it is written for a route.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) action: Action,
    pub(crate) severity: &'static str,
    pub(crate) dedup_key: String,
    pub(crate) rule_id: String,
    pub(crate) component: String,
    pub(crate) company: String,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) footer: String,
    pub(crate) details: Value,
    pub(crate) runbook_url: String,
    /// Whether an end is good news.
    pub(crate) is_well: bool,
    pub(crate) at: DateTime<Utc>,
}

/// Text of others on one line, and not too long.
pub(crate) fn cut(text: &str) -> String {
    let flat: String = text
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    if flat.chars().count() <= NAME_CHARS {
        return flat;
    }
    flat.chars().take(NAME_CHARS - 1).chain(['…']).collect()
}
