use std::{collections::BTreeMap, path::Path};

use atalaya_model::Kind;
use serde::Deserialize;

use crate::{IngestError, convert::Reading, format::Format, plan::settable};

/// A mapping file: how a foreign layout becomes a record kind. Documented in `docs/import.md`.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    pub(crate) text: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) source: Option<String>,
    pub(crate) format: Option<Format>,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) columns: BTreeMap<String, MappedColumn>,
}

/// Where a canonical column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Column(String),
    Constant(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappedColumn {
    pub(crate) origin: Origin,
    pub(crate) reading: Reading,
    pub(crate) words: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMapping {
    kind: Option<String>,
    source: Option<String>,
    format: Option<String>,
    delimiter: Option<String>,
    names: Option<Vec<String>>,
    #[serde(default)]
    columns: BTreeMap<String, RawColumn>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawColumn {
    Name(String),
    Full(RawFullColumn),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFullColumn {
    column: Option<String>,
    value: Option<String>,
    format: Option<String>,
    #[serde(default)]
    decimal_comma: bool,
    unit: Option<String>,
    #[serde(default)]
    words: BTreeMap<String, String>,
}

impl Mapping {
    /// Reads a mapping file.
    pub fn load(path: &Path) -> Result<Self, IngestError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| IngestError::BadMapping {
            place: place.clone(),
            reason: format!("cannot be read: {error}"),
        })?;
        Self::parse(&place, &text)
    }

    /// Reads a mapping from its text; `place` names it in errors.
    pub fn parse(place: &str, text: &str) -> Result<Self, IngestError> {
        let bad = |reason: String| IngestError::BadMapping {
            place: place.to_owned(),
            reason,
        };
        let raw: RawMapping = toml::from_str(text).map_err(|error| bad(error.to_string()))?;
        let delimiter = match raw.delimiter.as_deref() {
            None => None,
            Some("\\t" | "\t") => Some(b'\t'),
            Some(text) if text.len() == 1 => text.bytes().next(),
            Some(text) => return Err(bad(format!("delimiter {text:?} is not one ASCII character"))),
        };
        let format = raw
            .format
            .as_deref()
            .map(|name| {
                Format::parse(name, delimiter)
                    .ok_or_else(|| bad(format!("format {name:?} is not one of csv, tsv, blank, jsonl, parquet")))
            })
            .transpose()?;
        let mut columns = BTreeMap::new();
        for (name, raw) in raw.columns {
            let mapped = mapped_column(raw).map_err(|reason| bad(format!("columns.{name}: {reason}")))?;
            columns.insert(name, mapped);
        }
        let kind = raw
            .kind
            .as_deref()
            .map(Kind::parse)
            .transpose()
            .map_err(|error| bad(error.to_string()))?;
        let format = format.or_else(|| delimiter.map(Format::Delimited));
        Ok(Self {
            text: text.to_owned(),
            kind,
            source: raw.source,
            format,
            names: raw.names,
            columns,
        })
    }
}

impl Mapping {
    /// Whether the kind has all columns that are mapped.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), IngestError> {
        let settable = settable();
        let known: Vec<&str> = kind
            .columns()
            .iter()
            .copied()
            .chain(settable)
            .map(|column| column.name)
            .collect();
        match self.columns.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(stray) => Err(IngestError::BadMapping {
                place: format!("columns.{stray}"),
                reason: format!("{kind} has no such column; it has {}", known.join(", ")),
            }),
        }
    }

    /// Columns of a file that are taken for those of the kind.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &str> {
        self.columns.values().filter_map(|column| match &column.origin {
            Origin::Column(name) => Some(name.as_str()),
            Origin::Constant(_) => None,
        })
    }
}

fn mapped_column(raw: RawColumn) -> Result<MappedColumn, String> {
    let raw = match raw {
        RawColumn::Name(column) => {
            return Ok(MappedColumn {
                origin: Origin::Column(column),
                reading: Reading::default(),
                words: BTreeMap::new(),
            });
        }
        RawColumn::Full(full) => full,
    };
    let origin = match (raw.column, raw.value) {
        (Some(column), None) => Origin::Column(column),
        (None, Some(value)) => Origin::Constant(value),
        _ => return Err("give either `column` or `value`".to_owned()),
    };
    let in_larger_unit = match raw.unit.as_deref() {
        None | Some("minor" | "ppm" | "e12" | "e6") => false,
        Some("major" | "percent" | "decimal") => true,
        Some(other) => {
            return Err(format!(
                "unit {other:?} is not one of minor, major, ppm, percent, e12, e6, decimal"
            ));
        }
    };
    let reading = Reading {
        format: raw.format,
        decimal_comma: raw.decimal_comma,
        in_larger_unit,
    };
    Ok(MappedColumn {
        origin,
        reading,
        words: raw.words,
    })
}
