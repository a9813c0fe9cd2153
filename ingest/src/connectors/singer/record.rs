//! Records of one stream: kept as they came, and landed as a kind where there is a mapping for them.

use std::collections::HashMap;

use atalaya_model::Kind;
use atalaya_store::Row;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, value::RawValue};

use super::{COMPARED, message::Fields};
use crate::{
    Mapping,
    connectors::{Mapped, Surroundings, Told, Unfit, known},
    plan::Plan,
    receivers::Fault,
};

/// A stream as its schema announced it.
pub(super) struct Stream {
    keys: Vec<String>,
    mapping: Option<Mapping>,
    plans: HashMap<Vec<String>, Result<Plan, String>>,
    /// What this run has told already, with the version that it had.
    told: HashMap<String, (String, i64)>,
}

impl Stream {
    pub(super) fn new(keys: Vec<String>, mapping: Option<Mapping>) -> Self {
        Self {
            keys,
            mapping,
            plans: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// An object of a record; `None` when it was told like this before.
    pub(super) fn object(
        &mut self,
        source: &str,
        stream: &str,
        record: Fields,
        around: &Surroundings,
        now: DateTime<Utc>,
    ) -> Option<Mapped> {
        let is_deleted = record.get("_sdc_deleted_at").is_some_and(|at| at.get() != "null");
        // What a tap notes about its own run is no part of the record.
        let own = |name: &str| name.starts_with("_sdc_") && name != "_sdc_deleted_at";
        let record: Fields = record.into_iter().filter(|(name, _)| !own(name)).collect();
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| record.get(key).map(|value| text_of(value)).unwrap_or_default())
            .collect();
        let payload = written(&record, &[]);
        // Without a key a record is what it says.
        let identity = if keys.is_empty() {
            format!("{COMPARED}{stream}|{}", known::digest(&payload))
        } else {
            format!("{COMPARED}{stream}|{}", keys.join("|"))
        };
        let digest = known::digest(&payload);
        let (is_known, version) = match self.told.get(&identity) {
            Some((told, version)) => (*told == digest, now.timestamp_micros().max(version + 1)),
            None => (
                around.known.is_told(&identity, &payload),
                around.known.version(&identity, now),
            ),
        };
        if is_known {
            return None;
        }
        self.told.insert(identity.clone(), (digest, version));
        let mut told = Told::default();
        if let Some(mapping) = self.mapping.clone()
            && let Some(kind) = mapping.kind
        {
            match self.row(kind, &mapping, &record, around.zone, now) {
                Ok(mut row) => {
                    row.record_key.get_or_insert_with(|| identity.clone());
                    if row.record_version == 0 {
                        row.record_version = version;
                    }
                    if is_deleted {
                        row.operation = "delete".to_owned();
                    }
                    told.rows.push((kind, row));
                }
                Err(fault) => {
                    let own = [
                        ("source", Value::from(source)),
                        ("record_key", identity.clone().into()),
                        ("record_version", version.into()),
                    ];
                    told.unfit.push(Unfit {
                        kind,
                        fault,
                        mapping: mapping.text,
                        row: written(&record, &own),
                    });
                }
            }
        }
        Some(Mapped {
            key: known::key(&identity, &payload, version),
            event_type: stream.to_owned(),
            object_id: Some(keys.join("|")).filter(|key| !key.is_empty()),
            happened_at: now,
            payload,
            told,
        })
    }

    fn row(
        &mut self,
        kind: Kind,
        mapping: &Mapping,
        record: &Fields,
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<Row, Fault> {
        let (columns, cells): (Vec<String>, Vec<Option<String>>) = record
            .iter()
            .map(|(name, value)| (name.clone(), Some(text_of(value)).filter(|text| !text.is_empty())))
            .unzip();
        let plan = self.plans.entry(columns).or_insert_with_key(|columns| {
            let place = std::path::Path::new("the stream");
            Plan::new(place, kind, mapping, columns, zone, now).map_err(|error| error.reason())
        });
        let plan = plan.as_ref().map_err(|reason| Fault::of("", reason))?;
        plan.land(&cells)
            .map_err(|fault| Fault::of(&fault.column, fault.reason))
    }
}

/// A value as the text of a cell.
fn text_of(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
        other => other.to_owned(),
    }
}

/// Fields as a JSON object, with others where the record has none of their names.
fn written(record: &Fields, others: &[(&str, Value)]) -> String {
    let own = record
        .iter()
        .map(|(name, value)| (name.as_str(), value.get().to_owned()));
    let others = others.iter().filter(|(name, _)| !record.contains_key(*name));
    let others = others.map(|(name, value)| (*name, value.to_string()));
    let fields: Vec<String> = own
        .chain(others)
        .map(|(name, value)| format!("{}:{value}", Value::from(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}
