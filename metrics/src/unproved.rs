//! Questions that nobody has proved yet: verification does not ask them of every snapshot, so whoever asks has them asked.

use std::{collections::VecDeque, sync::PoisonError};

use atalaya_model::{ProofState, Series, SeriesQuery};

use crate::Evaluator;

/// Questions that wait at most; the oldest give way.
const MOST_WAITING: usize = 32;

/// The questions that wait for the second engine.
#[derive(Debug, Default)]
pub(crate) struct Unproved {
    waiting: std::sync::Mutex<VecDeque<SeriesQuery>>,
    told: tokio::sync::Notify,
}

impl Evaluator {
    /// Has a question proved behind its answer, where nothing else will prove it.
    pub fn prove_later(&self, query: &SeriesQuery, answer: &Series) {
        if answer.proof.state != ProofState::Pending || self.is_verified_anyway(query) {
            return;
        }
        let unproved = &self.cache.unproved;
        let mut waiting = unproved.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.contains(query) {
            return;
        }
        if waiting.len() >= MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(query.clone());
        unproved.told.notify_one();
    }

    /// Has a question that was taken wait again, before all others.
    pub fn put_back(&self, query: SeriesQuery) {
        let unproved = &self.cache.unproved;
        let mut waiting = unproved.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_front(query);
        unproved.told.notify_one();
    }

    /// The question that waits longest; waits for one where there is none.
    pub async fn next_unproved(&self) -> SeriesQuery {
        loop {
            if let Some(query) = self.take_unproved() {
                return query;
            }
            self.cache.unproved.told.notified().await;
        }
    }

    /// The question that waits longest, if there is one.
    pub fn take_unproved(&self) -> Option<SeriesQuery> {
        let waiting = &self.cache.unproved.waiting;
        waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
