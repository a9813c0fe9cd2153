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
    connectors::{self, Mapped, Surroundings, Unfit, known},
    plan::Plan,
    receivers::Fault,
};

/// A stream as its schema announced it.
pub(super) struct Stream {
    keys: Vec<String>,
    mapping: Option<Mapping>,
    plans: HashMap<Vec<String>, Result<Plan, String>>,
    /// Digests of what this run has told already.
    told: HashMap<String, String>,
}

/// What is known of a record beside its fields.
pub(super) struct Told<'a> {
    pub(super) source: &'a str,
    pub(super) stream: &'a str,
    pub(super) now: DateTime<Utc>,
    /// The least version that it may have.
    pub(super) version: i64,
}

/// Columns of every table, which a record may have fields named like.
const SYSTEM: [&str; 5] = ["source", "operation", "record_key", "record_version", "recorded_at"];

impl Stream {
    pub(super) fn new(mapping: Option<Mapping>) -> Self {
        Self {
            keys: Vec::new(),
            mapping,
            plans: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// A schema, which may come again and be another.
    pub(super) fn announce(&mut self, keys: Vec<String>) {
        self.keys = keys;
    }

    /// Plans know the present: what a source knew later would lie in their future.
    pub(super) fn begin_page(&mut self) {
        self.plans.clear();
    }

    /// An object of a record, and its version; `None` when it was told like this before.
    pub(super) fn object(&mut self, of: &Told<'_>, record: Fields, around: &Surroundings) -> Option<(Mapped, i64)> {
        let is_deleted = record.get("_sdc_deleted_at").is_some_and(|at| at.get() != "null");
        // Values as they were written: "1" is not 1, and none of them can be taken for two.
        let keys: Option<Vec<&str>> = self
            .keys
            .iter()
            .map(|key| {
                record
                    .get(key)
                    .map(|value| value.get())
                    .filter(|value| *value != "null")
            })
            .collect();
        let key = keys.filter(|keys| !keys.is_empty()).map(|keys| match keys.as_slice() {
            [key] => key.trim_matches('"').to_owned(),
            keys => format!("[{}]", keys.join(",")),
        });
        // What a tap notes about its own run is no part of the record.
        let own = |name: &str| name.starts_with("_sdc_") && name != "_sdc_deleted_at";
        let record: Fields = record.into_iter().filter(|(name, _)| !own(name)).collect();
        let payload = written(&record, &[]);
        let digest = known::digest(&payload);
        let mapping = self.mapping.clone();
        let kind = mapping.as_ref().and_then(|mapping| mapping.kind);
        let row = mapping.as_ref().zip(kind).map(|(mapping, kind)| {
            let row = self.row(kind, mapping, &record, is_deleted, around.zone, of.now);
            (kind, row)
        });
        // Without a key a record is what its row is of, or what it says.
        let natural = || row.as_ref().and_then(|(_, row)| row.as_ref().ok()?.record_key.as_ref());
        let name = key.as_ref().or_else(natural).unwrap_or(&digest);
        let identity = format!("{COMPARED}{}|{name}", of.stream);
        let is_known = match self.told.get(&identity) {
            Some(told) => *told == digest,
            None => around.known.is_told(&identity, &payload),
        };
        if is_known {
            return None;
        }
        let version = around.known.version(&identity, of.now).max(of.version);
        self.told.insert(identity.clone(), digest);
        let mut told = connectors::Told::default();
        match row {
            None => {}
            Some((kind, Ok(mut row))) => {
                row.source = Some(of.source.to_owned());
                row.record_key.get_or_insert_with(|| identity.clone());
                if row.record_version == 0 {
                    row.record_version = version;
                }
                if is_deleted {
                    row.operation = "delete".to_owned();
                }
                told.rows.push((kind, row));
            }
            Some((kind, Err(fault))) => {
                let mut own = vec![
                    ("source", Value::from(of.source)),
                    ("record_version", version.into()),
                    ("operation", if is_deleted { "delete" } else { "upsert" }.into()),
                ];
                // Tried again, it is the same record.
                if kind.natural_key().is_empty() {
                    own.push(("record_key", identity.clone().into()));
                }
                told.unfit.push(Unfit {
                    kind,
                    fault,
                    mapping: mapping.map(|mapping| mapping.text).unwrap_or_default(),
                    row: written(&record, &own),
                });
            }
        }
        let object = Mapped {
            key: known::key(&identity, &payload, version),
            event_type: of.stream.to_owned(),
            object_id: key,
            happened_at: of.now,
            payload,
            told,
        };
        Some((object, version))
    }

    fn row(
        &mut self,
        kind: Kind,
        mapping: &Mapping,
        record: &Fields,
        is_deleted: bool,
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<Row, Fault> {
        let (mut columns, mut cells): (Vec<String>, Vec<Option<String>>) = record
            .iter()
            .map(|(name, value)| {
                // A field that happens to be named like a column of every table is none, unless the mapping takes it.
                let is_own = SYSTEM.contains(&name.as_str()) && !mapping.origins().any(|taken| taken == name);
                let name = if is_own { format!("{name}_") } else { name.clone() };
                (name, Some(text_of(value)).filter(|text| !text.is_empty()))
            })
            .unzip();
        let landed = self.planned(kind, mapping, &columns, zone, now).and_then(|plan| {
            let landed = plan.land(&cells);
            landed.map_err(|fault| Fault::of(&fault.column, fault.reason))
        });
        let fault = match landed {
            Err(fault) if is_deleted => fault,
            landed => return landed,
        };
        // What is gone may be told by its key alone: the rest is empty then, and not missing.
        let own = kind.columns().iter().map(|column| column.name);
        for name in mapping.origins().chain(own) {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
                cells.push(None);
            }
        }
        let plan = self.planned(kind, mapping, &columns, zone, now)?;
        plan.land_gone(&cells).ok_or(fault)
    }

    fn planned(
        &mut self,
        kind: Kind,
        mapping: &Mapping,
        columns: &[String],
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<&Plan, Fault> {
        let plan = self.plans.entry(columns.to_vec()).or_insert_with(|| {
            let place = std::path::Path::new("the stream");
            Plan::new(place, kind, mapping, columns, zone, now).map_err(|error| error.reason())
        });
        plan.as_ref().map_err(|reason| Fault::of("", reason))
    }
}

/// A value as the text of a cell.
pub(crate) fn text_of(value: &RawValue) -> String {
    match value.get() {
        "null" => String::new(),
        text if text.starts_with('"') => serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()),
        other => other.to_owned(),
    }
}

/// Fields as a JSON object, with others in the place of those that are named alike.
fn written(record: &Fields, others: &[(&str, Value)]) -> String {
    let own = record
        .iter()
        .map(|(name, value)| (name.as_str(), value.get().to_owned()));
    let own = own.filter(|(name, _)| others.iter().all(|(other, _)| other != name));
    let others = others.iter().map(|(name, value)| (*name, value.to_string()));
    let fields: Vec<String> = own
        .chain(others)
        .map(|(name, value)| format!("{}:{value}", Value::from(name)))
        .collect();
    format!("{{{}}}", fields.join(","))
}
