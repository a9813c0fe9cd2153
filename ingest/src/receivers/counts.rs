//! What came from each source since the start of the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use atalaya_store::Appended;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::Sources;

/// One source's counts since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceCounts {
    /// Its name; empty for requests whose source is not known.
    pub source: String,
    /// Requests that were acknowledged.
    pub requests: u64,
    /// Rows that were new.
    pub rows: u64,
    /// Rows that had been landed before.
    pub duplicates: u64,
    /// Events kept as dead letters.
    pub dead_letters: u64,
    /// Requests that were refused for what they are: a wrong key, no JSON, too large.
    pub refused: u64,
    /// Requests that were asked to come again.
    pub put_off: u64,
    /// When one was acknowledged last.
    pub last_at: Option<DateTime<Utc>>,
}

#[derive(Debug)]
pub(crate) struct Counts(Mutex<BTreeMap<String, SourceCounts>>);

impl Counts {
    pub(crate) fn of(sources: &Sources) -> Self {
        let names = sources.all().iter().map(|source| source.name.clone());
        let counts = names.map(|name| {
            let counts = SourceCounts {
                source: name.clone(),
                ..SourceCounts::default()
            };
            (name, counts)
        });
        Self(Mutex::new(counts.collect()))
    }

    pub(crate) fn all(&self) -> Vec<SourceCounts> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn landed(&self, source: &str, appended: &Appended, at: DateTime<Utc>) {
        self.change(source, |counts| {
            counts.requests += 1;
            counts.rows += appended.rows;
            counts.duplicates += appended.duplicates;
            counts.dead_letters += appended.letters;
            counts.last_at = Some(at);
        });
    }

    pub(crate) fn refused(&self, source: &str) {
        self.change(source, |counts| counts.refused += 1);
    }

    pub(crate) fn put_off(&self, source: &str) {
        self.change(source, |counts| counts.put_off += 1);
    }

    fn change(&self, source: &str, change: impl FnOnce(&mut SourceCounts)) {
        let mut all = self.lock();
        let counts = all.entry(source.to_owned()).or_default();
        change(counts);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SourceCounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
