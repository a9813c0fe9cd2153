//! What stands on what: existence, cycles, order, hashes.

use std::{collections::BTreeMap, fmt::Write as _};

use sha2::{Digest, Sha256};

use crate::{BASE_TABLES, Definition, Fault};

pub(crate) fn check(definitions: &BTreeMap<String, Definition>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for definition in definitions.values() {
        let fault = |text| Fault {
            file: definition.path.clone(),
            line: 1,
            text,
        };
        for name in &definition.depends_on {
            if !definitions.contains_key(name) && !BASE_TABLES.contains(&name.as_str()) {
                faults.push(fault(format!(
                    "depends_on names {name:?}, which is neither a definition nor a base table"
                )));
            }
        }
        for name in definition.identities.iter().chain(&definition.rounds_to) {
            if !definitions.contains_key(name) {
                faults.push(fault(format!("{name:?} is not a definition")));
            }
        }
        if let Some(cycle) = cycle_from(definitions, definition) {
            faults.push(fault(format!("depends on itself: {}", cycle.join(" -> "))));
        }
    }
    faults
}

fn cycle_from(definitions: &BTreeMap<String, Definition>, start: &Definition) -> Option<Vec<String>> {
    let mut path = vec![start.spec.id.clone()];
    let mut seen = std::collections::BTreeSet::new();
    fn walk(
        definitions: &BTreeMap<String, Definition>,
        start: &str,
        at: &Definition,
        path: &mut Vec<String>,
        seen: &mut std::collections::BTreeSet<String>,
    ) -> bool {
        for name in &at.depends_on {
            path.push(name.clone());
            if name == start {
                return true;
            }
            if seen.insert(name.clone())
                && let Some(next) = definitions.get(name)
                && walk(definitions, start, next, path, seen)
            {
                return true;
            }
            path.pop();
        }
        false
    }
    walk(definitions, &start.spec.id, start, &mut path, &mut seen).then_some(path)
}

pub(crate) fn in_order<'a>(definitions: &'a BTreeMap<String, Definition>, ids: &[&str]) -> Vec<&'a Definition> {
    let mut order: Vec<&Definition> = Vec::new();
    fn visit<'a>(definitions: &'a BTreeMap<String, Definition>, id: &str, order: &mut Vec<&'a Definition>) {
        if order.iter().any(|known| known.spec.id == id) {
            return;
        }
        let Some(definition) = definitions.get(id) else { return };
        for name in &definition.depends_on {
            visit(definitions, name, order);
        }
        order.push(definition);
    }
    for id in ids {
        visit(definitions, id, &mut order);
    }
    order
}

/// A definition's hash covers its own text, its identities and all it stands on.
pub(crate) fn hash(definitions: &mut BTreeMap<String, Definition>) {
    let ids: Vec<String> = definitions.keys().cloned().collect();
    let hashes: Vec<String> = ids
        .iter()
        .map(|id| {
            let mut hash = Sha256::new();
            let mut roots = vec![id.as_str()];
            if let Some(definition) = definitions.get(id) {
                roots.extend(
                    definition
                        .identities
                        .iter()
                        .chain(&definition.rounds_to)
                        .map(String::as_str),
                );
            }
            for definition in in_order(definitions, &roots) {
                hash.update(definition.spec.id.as_bytes());
                hash.update([0]);
                hash.update(definition.sql.as_bytes());
                hash.update(definition.lookback.to_le_bytes());
                hash.update([0]);
            }
            hash.finalize().iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        })
        .collect();
    for (id, hash) in ids.iter().zip(hashes) {
        if let Some(definition) = definitions.get_mut(id) {
            definition.spec.definition_hash = hash;
        }
    }
}
