//! Answers that were given before. Nothing is kept that could not be computed anew.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use atalaya_engine::Materialised;
use atalaya_model::{Readings, Series, SeriesQuery};
use atalaya_store::{Home, Snapshot, StoreError};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio::sync::OnceCell;

use crate::{
    Drift,
    figures::{Frame, SharedFigures},
    following::Following,
    operator_inputs::{Prices, Runs},
    unproved::Unproved,
};

/// Answers kept; a board asks some dozens.
const MOST_ANSWERS: usize = 512;

/// Sums kept: a board asks for some ranges of periods.
const MOST_FIGURES: usize = 8;

/// Minutes after which a question is computed anew though no data came. Midnights fall on such a boundary in every zone.
const FRESH_MINUTES: i64 = 5;

/// Seconds after which a signal is looked at again though no data came: a ticket waits longer with the clock alone.
const FRESH_READING_SECS: i64 = 55;

/// What an answer is an answer to: the question, the pinned data, and the few minutes. What an open period shows may change
/// with the clock alone (a trial ends).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    query: String,
    snapshot: String,
    minutes: DateTime<Utc>,
}

impl Question {
    /// `snapshot` names the tables that the question reads, and no others: what lands elsewhere changes nothing.
    pub(crate) fn new(query: &SeriesQuery, snapshot: String, now: DateTime<Utc>) -> Option<Self> {
        Some(Self {
            query: serde_json::to_string(query).ok()?,
            snapshot,
            minutes: now.duration_trunc(TimeDelta::minutes(FRESH_MINUTES)).ok()?,
        })
    }
}

/// What an undivided plan's identities are asked of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    pub(crate) snapshot: String,
    /// Where its periods begin and end, in microseconds, those looked back on included; then its instant.
    pub(crate) calendar: Vec<i64>,
    pub(crate) knowledge: &'static str,
}

/// The newest snapshot and the answers to questions put before.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    snapshot: tokio::sync::Mutex<Option<Arc<Snapshot>>>,
    answers: Mutex<BTreeMap<Question, Arc<Series>>>,
    /// What signals said last, by signal, with the data it was said of.
    readings: Mutex<BTreeMap<String, (String, Readings)>>,
    /// Rows of definitions by snapshot and by what else they depend on; who comes second waits for who computes them.
    shared: Mutex<BTreeMap<(String, String), SharedRows>>,
    /// Where the operator's runs are, by snapshot.
    runs: Mutex<BTreeMap<String, SharedRuns>>,
    /// Sums over all customers, by what they hang on.
    figures: Mutex<Vec<(Frame, SharedFigures)>>,
    /// What breaks identities, by identity, of the questions asked last.
    broken: Mutex<BTreeMap<(Asked, String), Vec<String>>>,
    /// Sums that follow commits.
    pub(crate) following: tokio::sync::Mutex<Option<Following>>,
    /// What was found when those were compared last.
    pub(crate) drift: Mutex<Option<Drift>>,
    /// The present of the questions asked last, and of what data.
    pub(crate) present: Mutex<Option<(String, DateTime<Utc>)>>,
    /// When the newest row of a file landed, by file.
    pub(crate) landed: Mutex<BTreeMap<PathBuf, DateTime<Utc>>>,
    /// How often sums were computed from all customers, and how often only from some.
    pub(crate) passes: AtomicU64,
    pub(crate) updates: AtomicU64,
    /// How often many moments were answered in one scan.
    pub(crate) scans: AtomicU64,
    /// Questions that wait for a proof.
    pub(crate) unproved: Unproved,
    /// Tiers and rates as they are known now.
    pub(crate) prices: Mutex<Option<Arc<Prices>>>,
}

/// The operator's runs, once somebody has looked for them; none where it cannot read them.
type SharedRuns = Arc<OnceCell<Option<Arc<Runs>>>>;

/// Rows that several questions stand on, once somebody has computed them.
type SharedRows = Arc<OnceCell<Materialised>>;

impl Cache {
    /// The newest snapshot; read again only when something has been committed, and then once for all who ask.
    pub(crate) async fn snapshot(&self, home: &Home) -> Result<Arc<Snapshot>, StoreError> {
        let mut kept = self.snapshot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_latest(home)) {
            return Ok(Arc::clone(kept));
        }
        let latest = Arc::new(Snapshot::latest(home).await?);
        *kept = Some(Arc::clone(&latest));
        Ok(latest)
    }

    /// Where the rows of a definition on a snapshot are, or will be. Those of other snapshots are let go.
    pub(crate) fn shared(&self, snapshot: String, name: &str) -> SharedRows {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|(kept, _), _| *kept == snapshot);
        Arc::clone(shared.entry((snapshot, name.to_owned())).or_default())
    }

    /// Where the runs of a snapshot are, or will be. Those of other snapshots are let go.
    pub(crate) fn runs(&self, snapshot: String) -> SharedRuns {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|kept, _| *kept == snapshot);
        Arc::clone(runs.entry(snapshot).or_default())
    }

    /// Where the sums of a frame are, or will be: those of a frame that covers it, where there is one.
    pub(crate) fn figures(&self, frame: Frame) -> SharedFigures {
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.retain(|(kept, _)| kept.snapshot == frame.snapshot);
        if let Some((_, shared)) = figures.iter().find(|(kept, _)| kept.covers(&frame)) {
            return Arc::clone(shared);
        }
        if figures.len() >= MOST_FIGURES {
            figures.remove(0);
        }
        let shared = SharedFigures::default();
        figures.push((frame, Arc::clone(&shared)));
        shared
    }

    /// What breaks an identity, where that was asked of the same before.
    pub(crate) fn broken(&self, asked: &Asked, identity: &str) -> Option<Vec<String>> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get(&(asked.clone(), identity.to_owned())).cloned()
    }

    /// Keeps what breaks an identity, with what was asked of the same data.
    pub(crate) fn keep_broken(&self, asked: Asked, identity: &str, lines: Vec<String>) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.retain(|(kept, _), _| kept.snapshot == asked.snapshot);
        if broken.len() < MOST_ANSWERS {
            broken.insert((asked, identity.to_owned()), lines);
        }
    }

    /// For how many frames there are sums.
    pub(crate) fn figures_kept(&self) -> usize {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = figures
            .iter()
            .filter(|(_, shared)| shared.get().is_some_and(Option::is_some));
        kept.count()
    }

    /// What a signal said of the same data within the last minute, where that is asked for again.
    pub(crate) fn readings(&self, signal: &str, snapshot: &str, at: DateTime<Utc>) -> Option<Readings> {
        let kept = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, readings) = kept.get(signal)?;
        let age = at - readings.evaluated_at;
        let is_fresh = (TimeDelta::zero()..TimeDelta::seconds(FRESH_READING_SECS)).contains(&age);
        (known == snapshot && is_fresh).then(|| readings.clone())
    }

    /// Keeps what a signal said.
    pub(crate) fn keep_readings(&self, snapshot: String, readings: &Readings) {
        let mut kept = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(readings.signal.clone(), (snapshot, readings.clone()));
    }

    pub(crate) fn get(&self, question: &Question) -> Option<Arc<Series>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question).cloned()
    }

    pub(crate) fn put(&self, question: Question, series: &Series) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Other data or other minutes will not be asked for again.
        answers.retain(|kept, _| {
            kept.minutes == question.minutes && (kept.query != question.query || kept.snapshot == question.snapshot)
        });
        if answers.len() < MOST_ANSWERS {
            answers.insert(question, Arc::new(series.clone()));
        }
    }
}
