//! Which records of a kind need not be looked at, because nobody who is asked reads them.

use atalaya_catalog::Catalog;
use atalaya_model::Kind;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{known_view_name, records::instant_sql};

/// Kinds of what happens at one instant and is never moved to another one by a later version.
const MOMENTARY: [Kind; 5] = [
    Kind::HostMetrics,
    Kind::HttpRequests,
    Kind::UptimeChecks,
    Kind::ProductEvents,
    Kind::VendorEvents,
];

/// What must be looked at of momentary records.
#[derive(Debug, Default)]
pub(crate) struct Narrowing<'a> {
    /// How many minutes are looked back on; all where there is none.
    pub(crate) minutes: Option<u32>,
    /// What the records that are read fulfil.
    pub(crate) keeps: Option<&'a str>,
}

/// What must be looked at of a kind: signals that look back on minutes need not open the files of years.
pub(crate) fn narrowing<'a>(kind: Kind, catalog: &'a Catalog, ids: &[&str]) -> Narrowing<'a> {
    if !MOMENTARY.contains(&kind) {
        return Narrowing::default();
    }
    let view = known_view_name(kind);
    let mut readers = catalog.in_order(ids);
    readers.retain(|definition| definition.depends_on.contains(&view));
    let longest: Option<u32> = readers
        .iter()
        .try_fold(0, |longest, definition| Some(definition.horizon_minutes?.max(longest)));
    let keeps = match readers.as_slice() {
        [only] => only.keeps.as_deref(),
        _ => None,
    };
    Narrowing {
        minutes: longest,
        keeps,
    }
}

/// Whether nothing of a kind is read but what happened within the calendar.
pub(crate) fn is_within_calendar(kind: Kind, catalog: &Catalog, ids: &[&str]) -> bool {
    let view = known_view_name(kind);
    let mut readers = catalog.in_order(ids);
    readers.retain(|definition| definition.depends_on.contains(&view));
    readers
        .iter()
        .all(|definition| definition.within_calendar.contains(&view))
}

/// The same as a condition at one moment.
pub(crate) fn narrowed_at(narrowing: &Narrowing<'_>, now: DateTime<Utc>) -> String {
    let minutes = narrowing.minutes.map(|minutes| TimeDelta::minutes(i64::from(minutes)));
    let since = minutes.and_then(|minutes| now.checked_sub_signed(minutes));
    let since = since.map(|since| format!(" AND occurred_at >= {}", instant_sql(since)));
    let keeps = narrowing.keeps.map(|keeps| format!(" AND ({keeps})"));
    since.into_iter().chain(keeps).collect()
}
