//! What a source told before. Where a vendor gives no time of change, this tells what has changed.

use std::collections::{BTreeMap, HashMap};

use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
};
use atalaya_model::Kind;
use atalaya_store::{Home, Snapshot, StoreError};
use sha2::{Digest, Sha256};

use crate::file::hex;

/// Objects of a source as they were told last: for each identity a digest of what was told.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<String, String>);

/// The key of an object that has no version of its own: its identity, a digest of what it says, and when it was read.
pub(super) fn key(identity: &str, payload: &str, read_secs: i64) -> String {
    format!("{identity}|{}|{read_secs}", digest(payload))
}

fn digest(payload: &str) -> String {
    hex(&Sha256::digest(payload.as_bytes()))[..16].to_owned()
}

impl Known {
    /// Reads them from what is kept of the vendor's own words; only identities that begin with `prefix`.
    pub(super) async fn load(home: &Home, source: &str, prefix: &str) -> Result<Self, StoreError> {
        let snapshot = Snapshot::latest(home).await?;
        let Some(table) = snapshot.tables.get(Kind::VendorEvents.name()) else {
            return Ok(Self::default());
        };
        let mut newest: HashMap<String, (i64, String)> = HashMap::new();
        for file in &table.files {
            for batch in file.batches(Some(&["source", "record_key", "arrival_seq"]))? {
                let batch = batch?;
                let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
                let seqs = batch
                    .column_by_name("arrival_seq")
                    .and_then(|column| column.as_primitive_opt::<Int64Type>());
                let (Some(sources), Some(keys), Some(seqs)) = (text("source"), text("record_key"), seqs) else {
                    return Err(StoreError::Damaged {
                        path: file.path.clone(),
                        reason: "it lacks source, record_key or arrival_seq".to_owned(),
                    });
                };
                for row in 0..batch.num_rows() {
                    if !sources.is_valid(row) || sources.value(row) != source || !keys.value(row).starts_with(prefix) {
                        continue;
                    }
                    let mut parts = keys.value(row).rsplitn(3, '|');
                    let (Some(_), Some(digest), Some(identity)) = (parts.next(), parts.next(), parts.next()) else {
                        continue;
                    };
                    let seq = seqs.value(row);
                    let entry = newest.entry(identity.to_owned()).or_insert((seq, digest.to_owned()));
                    if entry.0 < seq {
                        *entry = (seq, digest.to_owned());
                    }
                }
            }
        }
        let newest = newest.into_iter().map(|(identity, (_, digest))| (identity, digest));
        Ok(Self(newest.collect()))
    }

    /// Whether an object was told like this already.
    pub(crate) fn is_told(&self, identity: &str, payload: &str) -> bool {
        self.0.get(identity).is_some_and(|known| *known == digest(payload))
    }

    /// Identities that were told, from `first` on and before `end`.
    pub(crate) fn between<'k>(&'k self, first: &str, end: &str) -> impl Iterator<Item = &'k str> {
        self.0
            .range(first.to_owned()..end.to_owned())
            .map(|(identity, _)| identity.as_str())
    }
}
