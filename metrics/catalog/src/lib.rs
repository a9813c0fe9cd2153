//! The catalogue of metric definitions: SQL with a checked header. Loading validates everything that can be known
//! without data, and every error names the file and the line.
#![deny(missing_docs)]

mod definition;
mod dialect;
mod error;
mod graph;
mod tokens;

use std::collections::BTreeMap;

use atalaya_model::{MetricSpec, Unit};

pub use definition::Definition;
pub use dialect::{BASE_TABLES, FUNCTIONS};
pub use error::{CatalogError, Fault};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// All definitions, validated.
#[derive(Debug, Clone)]
pub struct Catalog {
    definitions: BTreeMap<String, Definition>,
}

impl Catalog {
    /// The definitions that come with Atalaya.
    pub fn embedded() -> Result<Self, CatalogError> {
        Self::load(EMBEDDED.iter().copied())
    }

    /// Validates definitions given as (path, text). All faults are reported, not only the first.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut definitions: BTreeMap<String, Definition> = BTreeMap::new();
        let mut faults = Vec::new();
        for (path, text) in files {
            match definition::parse(path, text) {
                Ok(definition) => {
                    if let Some(other) = definitions.get(&definition.spec.id) {
                        let text = format!("id {:?} is already taken by {}", definition.spec.id, other.path);
                        faults.push(Fault {
                            file: path.to_owned(),
                            line: 1,
                            text,
                        });
                    } else {
                        definitions.insert(definition.spec.id.clone(), definition);
                    }
                }
                Err(found) => faults.extend(found),
            }
        }
        faults.extend(graph::check(&definitions));
        for definition in definitions.values() {
            faults.extend(dialect::check(definition));
        }
        if !faults.is_empty() {
            faults.sort();
            return Err(CatalogError { faults });
        }
        graph::hash(&mut definitions);
        Ok(Self { definitions })
    }

    /// A definition by id.
    pub fn get(&self, id: &str) -> Option<&Definition> {
        self.definitions.get(id)
    }

    /// All definitions by id.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values()
    }

    /// The metrics a person can ask for: all definitions but those of kind `rows`.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricSpec> {
        self.definitions
            .values()
            .map(|definition| &definition.spec)
            .filter(|spec| spec.unit != Unit::Rows)
    }

    /// The signals: what holds at one moment, a row for each thing.
    pub fn signals(&self) -> impl Iterator<Item = &Definition> {
        self.definitions
            .values()
            .filter(|definition| definition.reading.is_some())
    }

    /// Definitions that `ids` stand on, each after all that it stands on itself; `ids` are among them.
    pub fn in_order(&self, ids: &[&str]) -> Vec<&Definition> {
        graph::in_order(&self.definitions, ids)
    }

    /// Tables of the home and of the query that `ids` read in the end.
    pub fn base_tables(&self, ids: &[&str]) -> Vec<&'static str> {
        let used = self.in_order(ids);
        BASE_TABLES
            .iter()
            .copied()
            .filter(|table| {
                used.iter()
                    .any(|definition| definition.depends_on.iter().any(|name| name == table))
            })
            .collect()
    }
}
