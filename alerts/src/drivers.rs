//! What drove a change: its parts, adding up to the whole.

use std::collections::BTreeMap;

use atalaya_model::{Figure, Series};

use crate::{observe::Windows, story::LISTED};

/// One part of the change: a product, a country ...
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Driver {
    pub(crate) label: String,
    pub(crate) change_minor: i64,
}

/// The change by part, largest first. The parts add up to the change of the whole, because both are sums over the same
/// rows and each period's parts are allocated to its published total.
pub(crate) fn drivers(series: &Series, windows: &Windows) -> Vec<Driver> {
    let mut parts: BTreeMap<String, i64> = BTreeMap::new();
    for point in &series.points {
        let value_minor = match point.figure {
            Figure::Money { value_minor, .. } => value_minor,
            Figure::Count { value } => value,
            _ => continue,
        };
        let label = point
            .dimensions
            .first()
            .cloned()
            .flatten()
            .unwrap_or_else(|| "?".to_owned());
        let sign = if point.period_on >= windows.current_from && point.period_on <= windows.current_last {
            1
        } else if point.period_on >= windows.base_from && point.period_on < windows.current_from {
            -1
        } else {
            continue;
        };
        *parts.entry(label).or_default() += sign * value_minor;
    }
    let mut found: Vec<Driver> = parts
        .into_iter()
        .map(|(label, change_minor)| Driver { label, change_minor })
        .collect();
    found.sort_by_key(|driver| (-driver.change_minor.abs(), driver.label.clone()));
    // What is not listed is added up, so that the list still gives the whole change.
    if found.len() > LISTED {
        let rest = found.split_off(LISTED - 1);
        found.push(Driver {
            label: format!("… {}", rest.len()),
            change_minor: rest.iter().map(|driver| driver.change_minor).sum(),
        });
    }
    found
}
