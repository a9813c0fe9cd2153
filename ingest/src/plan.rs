//! Which cell of a file fills which canonical column: decided once a file, before any row is read.

use std::{collections::BTreeMap, path::Path};

use atalaya_model::{Column, ColumnType, Currency, Kind, Layout, SYSTEM_COLUMNS};
use atalaya_store::{Row, Value};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    IngestError,
    convert::{Reading, convert},
    mapping::{MappedColumn, Mapping, Origin},
};

/// A fault of one row: the column of the file, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowFault {
    pub(crate) column: String,
    pub(crate) reason: String,
}

enum Cell {
    At(usize),
    Constant(String),
    Absent,
}

struct Planned {
    column: Column,
    cell: Cell,
    name_in_file: String,
    reading: Reading,
    words: BTreeMap<String, String>,
}

/// The plan for one file.
pub(crate) struct Plan {
    kind: Kind,
    zone: Tz,
    now: DateTime<Utc>,
    source: Option<String>,
    own: Vec<Planned>,
    system: Vec<Planned>,
    leftover: Vec<(usize, String)>,
}

/// Their names.
const FILE_MAY_SET: [&str; 5] = ["record_key", "record_version", "operation", "recorded_at", "source"];

/// System columns that a file may fill itself.
pub(crate) fn settable() -> impl Iterator<Item = Column> {
    SYSTEM_COLUMNS
        .iter()
        .filter(|column| FILE_MAY_SET.contains(&column.name))
        .copied()
}

/// The name under which a file may give a column in its larger unit: `amount` for `amount_minor`.
fn larger_unit_name(column: &Column) -> Option<String> {
    let (ending, instead) = match column.column_type {
        ColumnType::Minor => ("_minor", ""),
        ColumnType::Ppm => ("_ppm", "_percent"),
        ColumnType::E12 => ("_e12", ""),
        ColumnType::E6 => ("_e6", ""),
        _ => return None,
    };
    column.name.strip_suffix(ending).map(|stem| format!("{stem}{instead}"))
}

impl Plan {
    pub(crate) fn new(
        path: &Path,
        kind: Kind,
        mapping: &Mapping,
        columns: &[String],
        zone: Tz,
        now: DateTime<Utc>,
    ) -> Result<Self, IngestError> {
        mapping.check(kind)?;
        let settable: Vec<Column> = settable().collect();
        let mut used = vec![false; columns.len()];
        let mut plan =
            |column: &Column| planned(path, kind, column, mapping.columns.get(column.name), columns, &mut used);
        let own = kind.columns().iter().map(&mut plan).collect::<Result<Vec<_>, _>>()?;
        let system = settable.iter().map(&mut plan).collect::<Result<Vec<_>, _>>()?;
        let missing: Vec<&str> = own
            .iter()
            .filter(|planned| {
                planned.column.required && planned.column.default.is_none() && matches!(planned.cell, Cell::Absent)
            })
            .map(|planned| planned.column.name)
            .collect();
        if !missing.is_empty() {
            let hint = match columns {
                [only] if only.contains([';', '\t', '|', ',']) => format!(
                    "The header was read as one column {only:?}: is the delimiter another one? Say it with --delimiter or in the mapping"
                ),
                _ => format!(
                    "The file has: {}. Name the columns in a mapping file (--mapping)",
                    columns.join(", ")
                ),
            };
            let reason = format!("{kind} need {} and the file has none. {hint}", missing.join(", "));
            return Err(IngestError::file(path, Some(1), reason));
        }
        let leftover = columns
            .iter()
            .enumerate()
            .filter(|(index, _)| !used[*index])
            .map(|(index, name)| (index, name.clone()))
            .collect();
        Ok(Self {
            kind,
            zone,
            now,
            source: mapping.source.clone(),
            own,
            system,
            leftover,
        })
    }

    /// One row's cells into canonical values. Every fault is the row's, never the file's.
    pub(crate) fn land<S: AsRef<str>>(&self, cells: &[Option<S>]) -> Result<Row, RowFault> {
        let currency = self.row_currency(cells)?;
        let values = self
            .own
            .iter()
            .map(|planned| self.value(planned, cells, currency))
            .collect::<Result<Vec<_>, _>>()?;
        let of = |name: &str| -> Option<&Value> {
            self.own
                .iter()
                .position(|planned| planned.column.name == name)
                .and_then(|index| values[index].as_ref())
        };
        self.check_row(&of)?;
        let occurred_at = match of(self.kind.occurred_column()) {
            Some(Value::Instant(at)) => *at,
            Some(Value::Date(day)) => atalaya_model::calendar::day_starts_at(self.zone, *day),
            _ => {
                return Err(RowFault {
                    column: self.kind.occurred_column().to_owned(),
                    reason: "is missing".to_owned(),
                });
            }
        };
        let mut row = Row {
            record_key: self.natural_key(&values),
            values,
            record_version: 0,
            operation: "upsert".to_owned(),
            occurred_at,
            recorded_at: None,
            source: self.source.clone(),
            extra: self.extra(cells),
        };
        for planned in &self.system {
            self.set_system(planned, cells, currency, &mut row)?;
        }
        Ok(row)
    }

    /// A column of every table, where the file fills it itself.
    fn set_system<S: AsRef<str>>(
        &self,
        planned: &Planned,
        cells: &[Option<S>],
        currency: Option<Currency>,
        row: &mut Row,
    ) -> Result<(), RowFault> {
        let fault = |reason: String| RowFault {
            column: planned.name_in_file.clone(),
            reason,
        };
        match (planned.column.name, self.value(planned, cells, currency)?) {
            ("record_key", Some(Value::Text(key))) => row.record_key = Some(key),
            ("record_version", Some(Value::Integer(version))) => row.record_version = version,
            ("operation", Some(Value::Text(word))) => {
                if word != "upsert" && word != "delete" {
                    return Err(fault(format!("{word:?} is not upsert or delete")));
                }
                row.operation = word;
            }
            ("recorded_at", Some(Value::Instant(at))) => {
                if at > self.now {
                    return Err(fault(format!(
                        "{at} lies in the future: a source cannot have known before now"
                    )));
                }
                row.recorded_at = Some(at);
            }
            ("source", Some(Value::Text(source))) => row.source = Some(source),
            _ => {}
        }
        Ok(())
    }

    /// A row that says no more than that a record is gone, where that is all its source told. `None` where it takes more to
    /// know which: its natural key, or the customer by whom states are kept.
    pub(crate) fn land_gone<S: AsRef<str>>(&self, cells: &[Option<S>]) -> Option<Row> {
        let currency = self.row_currency(cells).ok().flatten();
        let read = |planned: &Planned| self.value(planned, cells, currency).ok().flatten();
        let values: Vec<Option<Value>> = self.own.iter().map(read).collect();
        let mut row = Row {
            record_key: self.natural_key(&values),
            values,
            record_version: 0,
            operation: "delete".to_owned(),
            occurred_at: self.now,
            recorded_at: None,
            source: self.source.clone(),
            extra: self.extra(cells),
        };
        for planned in &self.system {
            self.set_system(planned, cells, currency, &mut row).ok()?;
        }
        row.operation = "delete".to_owned();
        let is_known = row.record_key.is_some() || self.kind.natural_key().is_empty();
        (is_known && self.kind.layout() == Layout::Events).then_some(row)
    }

    /// What only several columns together can tell.
    fn check_row<'a>(&self, of: &impl Fn(&str) -> Option<&'a Value>) -> Result<(), RowFault> {
        let fault = |column: &str, reason: &str| {
            Err(RowFault {
                column: column.to_owned(),
                reason: reason.to_owned(),
            })
        };
        if self.kind != Kind::MonthCloses
            && let Some(Value::Text(customer)) = of("customer_id")
            && customer == "*"
        {
            return fault("customer_id", "\"*\" is no customer: the books use it for all");
        }
        let takes_back = ["line_type", "payment_type"].iter().any(
            |column| matches!(of(column), Some(Value::Text(word)) if !matches!(word.as_str(), "charge" | "payment")),
        );
        if let (true, Some(Value::Integer(1..))) = (takes_back, of("amount_minor")) {
            return fault("amount_minor", "is above zero, and what is taken back is negative");
        }
        if let (Some(_), None) = (of("amount_minor"), of("currency")) {
            return fault("currency", "is missing where an amount is given");
        }
        match (of("service_from_on"), of("service_to_on")) {
            (Some(Value::Date(from)), Some(Value::Date(to))) if to <= from => fault(
                "service_to_on",
                "is not after service_from_on; it is the first day no longer served",
            ),
            (Some(_), None) => fault("service_to_on", "is missing where service_from_on is given"),
            (None, Some(_)) => fault("service_from_on", "is missing where service_to_on is given"),
            _ => Ok(()),
        }
    }

    fn row_currency<S: AsRef<str>>(&self, cells: &[Option<S>]) -> Result<Option<Currency>, RowFault> {
        let Some(planned) = self.own.iter().find(|planned| planned.column.name == "currency") else {
            return Ok(None);
        };
        match self.value(planned, cells, None)? {
            Some(Value::Text(code)) => Ok(Currency::parse(&code).ok()),
            _ => Ok(None),
        }
    }

    fn value<S: AsRef<str>>(
        &self,
        planned: &Planned,
        cells: &[Option<S>],
        currency: Option<Currency>,
    ) -> Result<Option<Value>, RowFault> {
        let fault = |reason: String| RowFault {
            column: planned.name_in_file.clone(),
            reason,
        };
        let text = match &planned.cell {
            Cell::At(index) => cells.get(*index).and_then(|cell| Some(cell.as_ref()?.as_ref())),
            Cell::Constant(text) => Some(text.as_str()),
            Cell::Absent => None,
        };
        let text = match (text, planned.column.default) {
            (Some(text), _) => planned.words.get(text).map_or(text, String::as_str),
            (None, Some(default)) => default,
            (None, None)
                if planned.column.required && self.kind.columns().iter().any(|own| own.name == planned.column.name) =>
            {
                return Err(fault("is empty".to_owned()));
            }
            (None, None) => return Ok(None),
        };
        let reading = if matches!(planned.cell, Cell::Absent) {
            &Reading::default()
        } else {
            &planned.reading
        };
        let value = convert(text, planned.column.column_type, reading, currency, self.zone).map_err(fault)?;
        let words = self.kind.allowed_words(planned.column.name);
        if let Value::Text(word) = &value
            && !words.is_empty()
            && !words.contains(&word.as_str())
        {
            return Err(fault(format!("{word:?} is not one of {}", words.join(", "))));
        }
        if let (Value::Integer(number), Some((least, most))) = (&value, self.kind.allowed_range(planned.column.name))
            && !(least..=most).contains(number)
        {
            // Told in the unit of the file: percent where it gives percent.
            let in_percent = planned.column.column_type == ColumnType::Ppm && reading.in_larger_unit;
            let shown = |bound: i64| if in_percent { bound / 10_000 } else { bound };
            let range = match (least, most) {
                (least, i64::MAX) => format!("at least {}", shown(least)),
                (least, most) => format!("between {} and {}", shown(least), shown(most)),
            };
            return Err(fault(format!("{text} is not {range}")));
        }
        Ok(Some(value))
    }

    fn natural_key(&self, values: &[Option<Value>]) -> Option<String> {
        let names = self.kind.natural_key();
        if names.is_empty() {
            return None;
        }
        let parts: Option<Vec<String>> = names
            .iter()
            .map(|name| {
                let index = self.own.iter().position(|planned| planned.column.name == *name)?;
                Some(match values[index].as_ref()? {
                    Value::Text(text) => text.clone(),
                    Value::Integer(number) => number.to_string(),
                    Value::Date(day) => day.to_string(),
                    Value::Instant(at) => at.to_rfc3339(),
                })
            })
            .collect();
        parts.map(|parts| parts.join("|"))
    }

    fn extra<S: AsRef<str>>(&self, cells: &[Option<S>]) -> Option<String> {
        let kept: serde_json::Map<String, serde_json::Value> = self
            .leftover
            .iter()
            .filter_map(|(index, name)| Some((name.clone(), cells.get(*index)?.as_ref()?.as_ref().into())))
            .collect();
        (!kept.is_empty()).then(|| serde_json::Value::Object(kept).to_string())
    }
}

fn planned(
    path: &Path,
    kind: Kind,
    column: &Column,
    mapped: Option<&MappedColumn>,
    columns: &[String],
    used: &mut [bool],
) -> Result<Planned, IngestError> {
    let position = |name: &str| columns.iter().position(|known| known == name);
    if let Some(mapped) = mapped {
        let (cell, name_in_file) = match &mapped.origin {
            Origin::Constant(text) => (Cell::Constant(text.clone()), column.name.to_owned()),
            Origin::Column(name) => {
                let index = position(name).ok_or_else(|| {
                    let reason = format!(
                        "the mapping takes {} from {name:?}, and the file has only {}",
                        column.name,
                        columns.join(", ")
                    );
                    IngestError::file(path, Some(1), reason)
                })?;
                used[index] = true;
                (Cell::At(index), name.clone())
            }
        };
        return Ok(Planned {
            column: *column,
            cell,
            name_in_file,
            reading: mapped.reading.clone(),
            words: mapped.words.clone(),
        });
    }
    let named = |name: &str| position(name).map(|index| (index, name.to_owned(), false));
    let canonical = named(column.name).or_else(|| kind.file_alias(column.name).and_then(named));
    let larger = || larger_unit_name(column).and_then(|name| position(&name).map(|index| (index, name, true)));
    let (cell, name_in_file, in_larger_unit) = match canonical.or_else(larger) {
        Some((index, name, in_larger_unit)) => {
            used[index] = true;
            (Cell::At(index), name, in_larger_unit)
        }
        None => (Cell::Absent, column.name.to_owned(), false),
    };
    let reading = Reading {
        in_larger_unit,
        ..Reading::default()
    };
    Ok(Planned {
        column: *column,
        cell,
        name_in_file,
        reading,
        words: BTreeMap::new(),
    })
}
