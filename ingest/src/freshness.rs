//! When each source was heard of last, by what has landed.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray},
    datatypes::TimestampMicrosecondType,
};
use atalaya_model::{Kind, calendar};
use atalaya_store::{DataFile, Home, Snapshot, StoreError};
use chrono::{DateTime, Days, Utc};

use crate::IngestError;

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
            look(file, &mut last)?;
        }
    }
    let instants = last
        .into_iter()
        .filter_map(|(source, micros)| Some((source, DateTime::from_timestamp_micros(micros)?)));
    Ok(instants.collect())
}

fn look(file: &DataFile, last: &mut BTreeMap<String, i64>) -> Result<(), StoreError> {
    for batch in file.batches(Some(&["source", "landed_at"]))? {
        let batch = batch?;
        let sources = batch
            .column_by_name("source")
            .and_then(|column| column.as_string_opt::<i32>());
        let landed = batch
            .column_by_name("landed_at")
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(sources), Some(landed)) = (sources, landed) else {
            return Err(StoreError::Damaged {
                path: file.path.clone(),
                reason: "it lacks source or landed_at".to_owned(),
            });
        };
        for row in (0..batch.num_rows()).filter(|row| sources.is_valid(*row)) {
            let (source, at) = (sources.value(row), landed.value(row));
            match last.get_mut(source) {
                Some(known) => *known = at.max(*known),
                None => drop(last.insert(source.to_owned(), at)),
            }
        }
    }
    Ok(())
}
