//! Answers that were given before. Nothing is kept that could not be computed anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use atalaya_model::{Series, SeriesQuery};
use atalaya_store::{Home, Snapshot, StoreError};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// Answers kept; a board asks some dozens.
const MOST_ANSWERS: usize = 512;

/// What an answer is an answer to: the question, the pinned data, and the minute. What an open period shows may change with
/// the clock alone (a trial ends), and an answer is never older than the minute it was asked in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    query: String,
    snapshot: String,
    minute: DateTime<Utc>,
}

impl Question {
    pub(crate) fn new(query: &SeriesQuery, snapshot: &Snapshot, now: DateTime<Utc>) -> Option<Self> {
        Some(Self {
            query: serde_json::to_string(query).ok()?,
            snapshot: snapshot.id(&[]),
            minute: now.duration_trunc(TimeDelta::minutes(1)).ok()?,
        })
    }
}

/// The newest snapshot and the answers to questions put before.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    answers: Mutex<BTreeMap<Question, Arc<Series>>>,
}

impl Cache {
    /// The newest snapshot; read again only when something has been committed.
    pub(crate) async fn snapshot(&self, home: &Home) -> Result<Arc<Snapshot>, StoreError> {
        let kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.is_latest(home)) {
            return Ok(kept);
        }
        let latest = Arc::new(Snapshot::latest(home).await?);
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&latest));
        Ok(latest)
    }

    pub(crate) fn get(&self, question: &Question) -> Option<Arc<Series>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question).cloned()
    }

    pub(crate) fn put(&self, question: Question, series: &Series) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Other data or another minute will not be asked for again.
        answers.retain(|kept, _| kept.snapshot == question.snapshot && kept.minute == question.minute);
        if answers.len() < MOST_ANSWERS {
            answers.insert(question, Arc::new(series.clone()));
        }
    }
}
