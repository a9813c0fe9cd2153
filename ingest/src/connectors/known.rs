//! What a source told before. Where a vendor gives no time of change, this tells what has changed.

use std::collections::{BTreeMap, HashMap};

use atalaya_model::Kind;
use atalaya_store::{Home, Snapshot, StoreError};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{file::hex, stored};

/// Objects of a source as they were told last.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<String, Last>);

/// How an object was told last.
#[derive(Debug, Clone)]
struct Last {
    digest: String,
    /// The version that it had then: microseconds.
    version: i64,
    seq: i64,
}

/// The key of an object that has no version of its own: its identity, a digest of what it says, and the version that it is
/// given.
pub(super) fn key(identity: &str, said: &str, version: i64) -> String {
    format!("{identity}|{}|{version}", digest(said))
}

pub(super) fn digest(said: &str) -> String {
    hex(&Sha256::digest(said.as_bytes()))[..16].to_owned()
}

impl Known {
    /// Reads them from what is kept of the vendor's own words; only identities that begin with `prefix`.
    pub(super) async fn load(home: &Home, source: &str, prefix: &str) -> Result<Self, StoreError> {
        let snapshot = Snapshot::latest(home).await?;
        let Some(table) = snapshot.tables.get(Kind::VendorEvents.name()) else {
            return Ok(Self::default());
        };
        let mut newest: HashMap<String, Last> = HashMap::new();
        for file in &table.files {
            stored::each(file, "record_key", "arrival_seq", |of, key, seq| {
                let mut parts = key.rsplitn(3, '|');
                let parts = (parts.next(), parts.next(), parts.next());
                let (Some(version), Some(digest), Some(identity)) = parts else {
                    return;
                };
                let is_newer = newest.get(identity).is_none_or(|known| known.seq < seq);
                if of == source && key.starts_with(prefix) && is_newer {
                    let last = Last {
                        digest: digest.to_owned(),
                        version: version.parse().unwrap_or_default(),
                        seq,
                    };
                    newest.insert(identity.to_owned(), last);
                }
            })?;
        }
        Ok(Self(newest.into_iter().collect()))
    }

    /// Whether an object was told like this already.
    pub(crate) fn is_told(&self, identity: &str, said: &str) -> bool {
        self.0.get(identity).is_some_and(|known| known.digest == digest(said))
    }

    /// The version of what is told now: the present, or what comes after the last one where the clock was ahead then.
    pub(crate) fn version(&self, identity: &str, now: DateTime<Utc>) -> i64 {
        let after = self
            .0
            .get(identity)
            .map_or(i64::MIN, |known| known.version.saturating_add(1));
        now.timestamp_micros().max(after)
    }

    /// Identities that were told, from `first` on and before `end`.
    pub(crate) fn between<'k>(&'k self, first: &str, end: &str) -> impl Iterator<Item = &'k str> {
        self.0
            .range(first.to_owned()..end.to_owned())
            .map(|(identity, _)| identity.as_str())
    }
}
