//! Sources that are asked: what they answer becomes records, and how far they were read is logged with it in one frame, so
//! that it can be neither ahead of the records nor behind them.

mod connection;
mod connector;
mod github;
mod google_ads;
mod http;
mod hubspot;
mod json;
mod known;
mod oauth;
mod pace;
mod position;
mod singer;
mod stripe;
mod sync;
mod zendesk;

use std::{collections::HashMap, path::Path};

use atalaya_model::Kind;
use atalaya_store::{DeadLetter, Part, Row};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{Mapping, plan::Plan, receivers::Fault};

pub use connection::Connection;
pub(crate) use connection::RawConnection;
pub(crate) use connector::{Connector, Page, Surroundings};
pub use http::ConnectorError;
pub(crate) use known::Known;
pub(crate) use pace::Pace;
pub use pace::{Pause, RealPause};
pub(crate) use singer::text_of;
pub use sync::{SyncReport, check, sync, take};

/// A record as a connector's mapping makes it: the columns of a kind, as text of the canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    fields: Vec<(&'static str, String)>,
}

impl Record {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            fields: Vec::new(),
        }
    }

    /// Gives a column its value; of two the last counts.
    pub(crate) fn set(&mut self, column: &'static str, value: impl Into<String>) {
        self.fields.retain(|(known, _)| *known != column);
        self.fields.push((column, value.into()));
    }

    /// Gives a column its value where there is one.
    pub(crate) fn set_some(&mut self, column: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.set(column, value);
        }
    }

    /// Gives columns that have none yet their values.
    pub(crate) fn extend(&mut self, fields: &[(&'static str, String)]) {
        for (column, value) in fields {
            if self.get(column).is_none() {
                self.fields.push((column, value.clone()));
            }
        }
    }

    /// A column's value.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| *known == column)
            .map(|(_, value)| value.as_str())
    }
}

/// One object of a vendor: as it came, and what it was made into.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Its identity among what the vendor told.
    pub(crate) key: String,
    pub(crate) event_type: String,
    pub(crate) object_id: Option<String>,
    pub(crate) happened_at: DateTime<Utc>,
    pub(crate) payload: String,
    pub(crate) told: Told,
}

/// Records that an object makes, and what of it could not be read: one does not prevent the other.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) records: Vec<Record>,
    pub(crate) faults: Vec<Fault>,
    /// Rows that a mapping of the operator's made.
    pub(crate) rows: Vec<(Kind, Row)>,
    /// What did not fit such a mapping.
    pub(crate) unfit: Vec<Unfit>,
}

/// An object that does not fit the mapping of its stream: with another one it may be tried again.
#[derive(Debug)]
pub(crate) struct Unfit {
    pub(crate) kind: Kind,
    pub(crate) fault: Fault,
    pub(crate) mapping: String,
    /// Its fields as a JSON object, with its key and version.
    pub(crate) row: String,
}

impl From<Result<Vec<Record>, Fault>> for Told {
    fn from(told: Result<Vec<Record>, Fault>) -> Self {
        match told {
            Ok(records) => Self {
                records,
                ..Self::default()
            },
            Err(fault) => Self {
                faults: vec![fault],
                ..Self::default()
            },
        }
    }
}

/// Checks records like a file's rows and puts them together with the raw objects and the dead letters.
pub(crate) fn parts(source: &str, vendor: &str, zone: Tz, now: DateTime<Utc>, objects: Vec<Mapped>) -> Vec<Part> {
    let place = format!("{vendor}:{source}");
    let mut plans: HashMap<(Kind, Vec<String>), Result<Plan, String>> = HashMap::new();
    let mut rows: Vec<(Kind, Vec<Row>)> = Vec::new();
    let mut letters = Vec::new();
    let mut keep = |kind: Kind, row: Row| match rows.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, rows)) => rows.push(row),
        None => rows.push((kind, vec![row])),
    };
    for (number, object) in (1..).zip(objects) {
        // Asked for again, an object has the same faults: their letters have the same names.
        let mut buried = 0;
        let mut bury = |kind: &str, fault: Fault, mapping: &str, row: &str| {
            buried += 1;
            letters.push(DeadLetter {
                id: format!("{place}:{}:{}", object.key, buried),
                state: "dead".to_owned(),
                kind: kind.to_owned(),
                file: place.clone(),
                line: number,
                column: fault.field,
                reason: fault.reason,
                row: row.to_owned(),
                mapping: mapping.to_owned(),
                landed_at: now,
                arrival_seq: 0,
            });
        };
        for fault in &object.told.faults {
            bury(Kind::VendorEvents.name(), fault.clone(), "", &object.payload);
        }
        for record in &object.told.records {
            let columns: Vec<String> = record.fields.iter().map(|(column, _)| (*column).to_owned()).collect();
            let cells: Vec<Option<String>> = record.fields.iter().map(|(_, value)| Some(value.clone())).collect();
            let plan = plans
                .entry((record.kind, columns))
                .or_insert_with_key(|(kind, columns)| {
                    let plan = Plan::new(Path::new(&place), *kind, &Mapping::default(), columns, zone, now);
                    plan.map_err(|error| error.to_string())
                });
            let row = match plan {
                Ok(plan) => plan
                    .land(&cells)
                    .map_err(|fault| Fault::of(&fault.column, fault.reason)),
                Err(reason) => Err(Fault::of("", reason)),
            };
            match row {
                Ok(row) => keep(
                    record.kind,
                    Row {
                        source: Some(source.to_owned()),
                        ..row
                    },
                ),
                Err(fault) => bury(record.kind.name(), fault, "", &object.payload),
            }
        }
        for unfit in &object.told.unfit {
            bury(unfit.kind.name(), unfit.fault.clone(), &unfit.mapping, &unfit.row);
        }
        for (kind, row) in &object.told.rows {
            let source = row.source.clone().or_else(|| Some(source.to_owned()));
            keep(*kind, Row { source, ..row.clone() });
        }
        keep(Kind::VendorEvents, raw(source, object));
    }
    let rows = rows
        .into_iter()
        .map(|(kind, rows)| Part::Rows { kind, rows, once: true });
    let letters = (!letters.is_empty()).then_some(Part::Letters(letters));
    rows.chain(letters).collect()
}

fn raw(source: &str, object: Mapped) -> Row {
    use atalaya_store::Value;
    Row {
        values: vec![
            Some(Value::Text(object.event_type)),
            object.object_id.map(Value::Text),
            Some(Value::Instant(object.happened_at)),
            Some(Value::Text(object.payload)),
        ],
        record_key: Some(object.key),
        record_version: 0,
        operation: "upsert".to_owned(),
        occurred_at: object.happened_at,
        recorded_at: None,
        source: Some(source.to_owned()),
        extra: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Record {
        /// The values of these columns, with a dash where there is none.
        pub(crate) fn shown(&self, columns: &[&str]) -> String {
            let cells: Vec<&str> = columns.iter().map(|column| self.get(column).unwrap_or("-")).collect();
            cells.join(" ")
        }
    }

    fn letters(objects: Vec<Mapped>) -> Vec<DeadLetter> {
        let parts = parts("billing", "stripe", chrono_tz::UTC, DateTime::UNIX_EPOCH, objects);
        let letters = parts.into_iter().filter_map(|part| match part {
            Part::Letters(letters) => Some(letters),
            Part::Rows { .. } => None,
        });
        letters.flatten().collect()
    }

    fn object(key: &str, faults: usize) -> Mapped {
        Mapped {
            key: key.to_owned(),
            event_type: "x".to_owned(),
            object_id: None,
            happened_at: DateTime::UNIX_EPOCH,
            payload: "{}".to_owned(),
            told: Told {
                records: vec![Record::new(Kind::Customers)],
                faults: vec![Fault::of("f", "is wrong"); faults],
                ..Told::default()
            },
        }
    }

    #[test]
    fn an_object_that_is_asked_for_again_has_the_same_dead_letters() {
        let together = letters(vec![object("a", 2), object("b", 1)]);
        assert_eq!(together.len(), 5, "a record without its columns is one too");
        let alone = letters(vec![object("b", 1)]);
        let ids = |letters: &[DeadLetter]| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&together)[3..], ids(&alone));
    }
}
