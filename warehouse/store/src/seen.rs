//! Which events have been landed: a cache over the tables and the log, rebuilt from them whenever the home is opened.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use atalaya_model::Kind;
use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::{DEAD_LETTERS, DataFile, Snapshot, StoreError, dead_letters_from};

/// Days for which a source's events are remembered when it says nothing: more than the 12 hours for which the longest
/// of the known clients tries again.
const DEFAULT_WINDOW: Window = Window::Days(2);
/// Of samples only files of these days are looked at when a home is opened.
const SAMPLE_DAYS: i64 = 1;

/// For how long a source's events are told from repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// So many days in which something landed, and the present one.
    Days(u32),
    /// So many hours: for samples, of which there are very many and which nobody sends again after long.
    Hours(u32),
}

/// When something landed, and on which day of the home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landed {
    pub(crate) at: DateTime<Utc>,
    pub(crate) on: NaiveDate,
}

/// The identities of landed events, by source and day or hour of landing.
#[derive(Debug, Default)]
pub(crate) struct SeenKeys {
    windows: HashMap<String, Window>,
    sources: HashMap<String, BTreeMap<i64, HashSet<u128, BuildHasherDefault<Truncating>>>>,
}

/// The identity of an event: of 128 bits, so that no two events are ever taken for one.
pub(crate) type EventKey = u128;

/// The identity of a source's row.
pub(crate) fn event_key(kind: Kind, record_key: &str, record_version: i64) -> EventKey {
    let mut hash = Sha256::new();
    hash.update(kind.name().as_bytes());
    hash.update(record_version.to_le_bytes());
    hash.update(record_key.as_bytes());
    truncated(hash)
}

/// Under which dead letters are remembered: no source has a name like this.
pub(crate) const LETTERS: &str = "dead letters";

/// The identity of a dead letter.
pub(crate) fn letter_key(id: &str) -> EventKey {
    truncated(Sha256::new_with_prefix(LETTERS).chain_update(id))
}

fn truncated(hash: Sha256) -> EventKey {
    let digest = hash.finalize();
    digest.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte))
}

/// Takes part of the hash that a key is already.
#[derive(Debug, Default)]
pub(crate) struct Truncating(u64);

impl Hasher for Truncating {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

impl SeenKeys {
    /// Nothing seen; for how long each source's events are remembered.
    pub(crate) fn new(windows: HashMap<String, Window>) -> Self {
        Self {
            windows,
            sources: HashMap::new(),
        }
    }

    fn window(&self, source: &str) -> Window {
        match source {
            LETTERS => Window::Days(self.longest_days().unwrap_or(2)),
            _ => self.windows.get(source).copied().unwrap_or(DEFAULT_WINDOW),
        }
    }

    /// The most days that are remembered; `None` when there is no source.
    fn longest_days(&self) -> Option<u32> {
        let days = self.windows.values().map(|window| match window {
            Window::Days(days) => *days,
            Window::Hours(hours) => hours.div_ceil(24),
        });
        days.max()
    }

    /// The day or hour that something belongs to, and how many of them are kept.
    fn bucket(&self, source: &str, landed: Landed) -> (i64, usize) {
        match self.window(source) {
            Window::Days(days) => (i64::from(landed.on.num_days_from_ce()), days as usize + 1),
            Window::Hours(hours) => (landed.at.timestamp().div_euclid(3_600), hours as usize + 1),
        }
    }

    /// Whether the source landed it within its window.
    pub(crate) fn contains(&self, source: &str, key: EventKey) -> bool {
        self.sources
            .get(source)
            .is_some_and(|buckets| buckets.values().any(|keys| keys.contains(&key)))
    }

    /// Remembers an event. Of each source the newest days or hours with events are kept: one more than its window.
    pub(crate) fn insert(&mut self, source: &str, key: EventKey, landed: Landed) {
        let (bucket, kept) = self.bucket(source, landed);
        if !self.sources.contains_key(source) {
            self.sources.insert(source.to_owned(), BTreeMap::new());
        }
        let Some(buckets) = self.sources.get_mut(source) else {
            return;
        };
        buckets.entry(bucket).or_default().insert(key);
        // By how many there are and not by how far they lie back: a clock that was ahead once must not empty it.
        while buckets.len() > kept {
            buckets.pop_first();
        }
    }

    /// Forgets an event that did not become durable.
    pub(crate) fn remove(&mut self, source: &str, key: EventKey, landed: Landed) {
        let (bucket, _) = self.bucket(source, landed);
        if let Some(keys) = self
            .sources
            .get_mut(source)
            .and_then(|buckets| buckets.get_mut(&bucket))
        {
            keys.remove(&key);
        }
    }

    /// Remembers what the tables hold of the sources' windows. Only files that can hold rows of it are read, and of them
    /// four columns.
    pub(crate) fn fill(
        &mut self,
        snapshot: &Snapshot,
        now: DateTime<Utc>,
        day_of: impl Fn(DateTime<Utc>) -> NaiveDate,
    ) -> Result<(), StoreError> {
        let Some(longest) = self.longest_days() else {
            return Ok(());
        };
        let since = now - TimeDelta::days(i64::from(longest + 1));
        let partition_of = |path: &std::path::Path| {
            let name = path
                .parent()
                .and_then(|dir| dir.file_name())?
                .to_string_lossy()
                .into_owned();
            name.starts_with("landed_on=").then_some(name)
        };
        let files = snapshot.tables.values().flat_map(|table| &table.files);
        let newest = files.filter_map(|file| partition_of(&file.path)).max();
        let newest_on = newest.and_then(|name| name.split_once('=')?.1.parse::<NaiveDate>().ok());
        // By the clock, or by the newest rows where the clock is ahead of them.
        let since_on = newest_on.map_or(day_of(since), |day| {
            day_of(since).min(day - TimeDelta::days(i64::from(longest + 1)))
        });
        let since = since.min(since_on.and_time(chrono::NaiveTime::MIN).and_utc() - TimeDelta::days(1));
        let oldest_partition = format!("landed_on={since_on}");
        let is_recent = |file: &&DataFile| partition_of(&file.path).is_none_or(|name| name >= oldest_partition);
        let newest_samples = newest_on.map_or(day_of(now), |day| day.min(day_of(now))) - TimeDelta::days(SAMPLE_DAYS);
        let oldest_samples = format!("landed_on={newest_samples}");
        for kind in Kind::ALL {
            let table = snapshot.tables.get(kind.name());
            let is_wanted = |file: &&DataFile| {
                let is_old_sample =
                    kind == Kind::HostMetrics && partition_of(&file.path).is_some_and(|name| name < oldest_samples);
                is_recent(file) && !is_old_sample
            };
            for file in table.into_iter().flat_map(|table| &table.files).filter(is_wanted) {
                self.fill_from(kind, file, since, &day_of)?;
            }
        }
        let letters = snapshot.tables.get(DEAD_LETTERS);
        for file in letters.into_iter().flat_map(|table| &table.files).filter(is_recent) {
            for batch in file.batches(Some(&["id", "landed_at"]))? {
                let letters = dead_letters_from(&batch?);
                for letter in letters.iter().filter(|letter| letter.landed_at >= since) {
                    let landed = Landed {
                        at: letter.landed_at,
                        on: day_of(letter.landed_at),
                    };
                    self.insert(LETTERS, letter_key(&letter.id), landed);
                }
            }
        }
        Ok(())
    }

    fn fill_from(
        &mut self,
        kind: Kind,
        file: &DataFile,
        since: DateTime<Utc>,
        day_of: &impl Fn(DateTime<Utc>) -> NaiveDate,
    ) -> Result<(), StoreError> {
        for batch in file.batches(Some(&["source", "record_key", "record_version", "landed_at"]))? {
            let batch = batch?;
            let column = |name: &str| {
                batch.column_by_name(name).ok_or_else(|| StoreError::Damaged {
                    path: file.path.clone(),
                    reason: format!("it has no column {name}"),
                })
            };
            let sources = column("source")?.as_string::<i32>();
            let keys = column("record_key")?.as_string::<i32>();
            let versions = column("record_version")?.as_primitive::<Int64Type>();
            let landed = column("landed_at")?.as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                let source = sources.value(row);
                let Some(landed_at) = DateTime::from_timestamp_micros(landed.value(row)) else {
                    continue;
                };
                if landed_at >= since && self.windows.contains_key(source) && !keys.is_null(row) {
                    let key = event_key(kind, keys.value(row), versions.value(row));
                    let landed = Landed {
                        at: landed_at,
                        on: day_of(landed_at),
                    };
                    self.insert(source, key, landed);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> Landed {
        let on = NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        let at = on.and_time(chrono::NaiveTime::MIN).and_utc();
        Landed { at, on }
    }

    #[test]
    fn samples_are_known_for_hours_and_a_clock_that_was_ahead_forgets_none() {
        let mut seen = SeenKeys::new(HashMap::from([("machines".to_owned(), Window::Hours(3))]));
        let hour = |hour: i64| {
            let start = day(1);
            Landed {
                at: start.at + TimeDelta::hours(hour),
                on: start.on,
            }
        };
        let key = |hour: i64| event_key(Kind::HostMetrics, &format!("s{hour}"), 0);
        for now in [0, 1, 3] {
            seen.insert("machines", key(now), hour(now));
        }
        // By how many hours there were, not by how long ago they are.
        seen.insert("machines", key(90), hour(90));
        assert!([0, 1, 3, 90].iter().all(|hour| seen.contains("machines", key(*hour))));
        seen.insert("machines", key(4), hour(4));
        assert!(!seen.contains("machines", key(0)) && seen.contains("machines", key(1)));
        seen.remove("machines", key(4), hour(4));
        assert!(!seen.contains("machines", key(4)));
    }

    #[test]
    fn an_event_is_known_within_its_sources_window_and_to_that_source_alone() {
        let mut seen = SeenKeys::new(HashMap::from([
            ("web".to_owned(), Window::Days(2)),
            ("stripe".to_owned(), Window::Days(35)),
        ]));
        let key = event_key(Kind::ProductEvents, "m1", 0);
        seen.insert("web", key, day(1));
        seen.insert("stripe", key, day(1));
        assert!(seen.contains("web", key) && !seen.contains("app", key));
        assert!(!seen.contains("web", event_key(Kind::Orders, "m1", 0)));
        assert!(!seen.contains("web", event_key(Kind::ProductEvents, "m1", 1)));
        for source in ["web", "stripe"] {
            seen.insert(source, event_key(Kind::ProductEvents, "m2", 0), day(3));
            assert!(seen.contains(source, key));
            seen.insert(source, event_key(Kind::ProductEvents, "m3", 0), day(4));
            seen.insert(source, event_key(Kind::ProductEvents, "m4", 0), day(5));
        }
        assert!(!seen.contains("web", key) && seen.contains("stripe", key));
        seen.remove("stripe", key, day(1));
        assert!(!seen.contains("stripe", key));
    }
}
