//! Records as known: of each, the newest version that was there at the query's knowledge time, unless it was deleted.

use atalaya_model::{Kind, KnownBy, SYSTEM_COLUMNS};
use chrono::{DateTime, Utc};

/// The view's name: `orders_known` for `orders`. Metrics have the plain names.
pub fn known_view_name(kind: Kind) -> String {
    format!("{}_known", kind.name())
}

/// The view of every known version of a kind's records: `customers_versions` for `customers`.
pub(crate) fn versions_view_name(kind: Kind) -> String {
    format!("{}_versions", kind.name())
}

/// Whether records of a kind are among these tables: as known, or in all their versions.
pub(crate) fn reads_kind(base: &[&str], kind: Kind) -> bool {
    base.contains(&known_view_name(kind).as_str()) || base.contains(&versions_view_name(kind).as_str())
}

/// The columns of the view.
pub fn known_columns(kind: Kind) -> Vec<&'static str> {
    kind.columns()
        .iter()
        .chain(SYSTEM_COLUMNS)
        .map(|column| column.name)
        .filter(|name| *name != "operation")
        .collect()
}

/// An instant in SQL, for both engines.
pub(crate) fn instant_sql(at: DateTime<Utc>) -> String {
    format!("CAST('{}' AS TIMESTAMPTZ)", at.format("%Y-%m-%d %H:%M:%S%.6f+00:00"))
}

fn knowledge(known_by: KnownBy) -> &'static str {
    match known_by {
        KnownBy::Atalaya => "landed_at",
        KnownBy::Source => "recorded_at",
    }
}

/// The `SELECT` of every known version, deletions included.
pub(crate) fn versions_view(kind: Kind, as_of: DateTime<Utc>, known_by: KnownBy) -> String {
    format!(
        "SELECT {}, operation\nFROM raw_{}\nWHERE {} <= {}",
        known_columns(kind).join(", "),
        kind.name(),
        knowledge(known_by),
        instant_sql(as_of)
    )
}

/// Every version that was the newest known at some time up to `last`: some columns of it, and from when (`own_known_at`) to
/// when (`own_replaced_at`). `narrowed` is a condition on records (` AND ...`, or nothing).
pub(crate) fn known_times(
    kind: Kind,
    known_by: KnownBy,
    columns: &[&str],
    last: DateTime<Utc>,
    narrowed: &str,
) -> String {
    let columns = columns.join(", ");
    let (knowledge, last) = (knowledge(known_by), instant_sql(last));
    format!(
        "SELECT {columns}, occurred_at AS own_happened_at, own_known_at, own_replaced_at\nFROM (\n  SELECT *, {knowledge} AS own_known_at,\n         MIN({knowledge}) OVER (PARTITION BY source, record_key ORDER BY record_version, recorded_at, arrival_seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS own_replaced_at\n  FROM raw_{}\n  WHERE {knowledge} <= {last}{narrowed}\n) AS versions\nWHERE operation = 'upsert' AND (own_replaced_at IS NULL OR own_replaced_at > own_known_at)",
        kind.name()
    )
}

/// Every version, deletions included, and from when it was known.
pub(crate) fn version_times(kind: Kind, known_by: KnownBy, columns: &[&str]) -> String {
    format!(
        "SELECT {}, occurred_at AS own_happened_at, {} AS own_known_at\nFROM raw_{}",
        columns.join(", "),
        knowledge(known_by),
        kind.name()
    )
}

/// The view's `SELECT`, for both engines, of the records that fulfil `narrowed` (` AND ...`, or nothing). The order of versions
/// is total, so that the engines cannot disagree on ties.
pub fn known_view(kind: Kind, as_of: DateTime<Utc>, known_by: KnownBy, narrowed: &str) -> String {
    let columns = known_columns(kind).join(", ");
    let knowledge = knowledge(known_by);
    let as_of = instant_sql(as_of);
    format!(
        "SELECT {columns}\nFROM (\n  SELECT {columns}, operation,\n         ROW_NUMBER() OVER (PARTITION BY source, record_key ORDER BY record_version DESC, recorded_at DESC, arrival_seq DESC) AS standing\n  FROM raw_{}\n  WHERE {knowledge} <= {as_of}{narrowed}\n) AS versions\nWHERE standing = 1 AND operation = 'upsert'",
        kind.name()
    )
}
