//! When each source was heard of last, by what has landed.

use std::collections::BTreeMap;

use atalaya_model::{Kind, calendar};
use atalaya_store::{DataFile, Home, Snapshot};
use chrono::{DateTime, Days, Utc};

use crate::{IngestError, stored};

/// Days of landing that are looked at: a source that was silent for longer is as good as never heard of.
const DAYS: u64 = 35;

/// When rows of each source landed last, what is in the log alone included.
pub async fn landed_last(home: &Home, now: DateTime<Utc>) -> Result<BTreeMap<String, DateTime<Utc>>, IngestError> {
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let oldest = format!("landed_on={}", calendar::day_of(zone, now) - Days::new(DAYS));
    let snapshot = Snapshot::latest(home).await?;
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let is_recent = |file: &&DataFile| {
        let folder = file
            .path
            .parent()
            .and_then(|dir| dir.file_name())
            .map(|name| name.to_string_lossy());
        // Customer state is not divided by days.
        folder.is_none_or(|folder| !folder.starts_with("landed_on=") || *folder >= *oldest)
    };
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_from_outside()) {
        let table = snapshot.tables.get(kind.name());
        for file in table.into_iter().flat_map(|table| &table.files).filter(is_recent) {
            stored::each(file, "operation", "landed_at", |source, _, at| {
                match last.get_mut(source) {
                    Some(known) => *known = at.max(*known),
                    None => drop(last.insert(source.to_owned(), at)),
                }
            })?;
        }
    }
    let instants = last
        .into_iter()
        .filter_map(|(source, micros)| Some((source, DateTime::from_timestamp_micros(micros)?)));
    Ok(instants.collect())
}
