//! Records as known: of each, the newest version that was there at the query's knowledge time, unless it was deleted.

use atalaya_model::{Kind, KnownBy, SYSTEM_COLUMNS};
use chrono::{DateTime, Utc};

/// The view's name: `orders_known` for `orders`. Metrics have the plain names.
pub fn known_view_name(kind: Kind) -> String {
    format!("{}_known", kind.name())
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

/// The view's `SELECT`, for both engines, of the records that fulfil `narrowed` (` AND ...`, or nothing). The order of versions
/// is total, so that the engines cannot disagree on ties.
pub fn known_view(kind: Kind, as_of: DateTime<Utc>, known_by: KnownBy, narrowed: &str) -> String {
    let columns = known_columns(kind).join(", ");
    let knowledge = match known_by {
        KnownBy::Atalaya => "landed_at",
        KnownBy::Source => "recorded_at",
    };
    let as_of = instant_sql(as_of);
    format!(
        "SELECT {columns}\nFROM (\n  SELECT {columns}, operation,\n         ROW_NUMBER() OVER (PARTITION BY source, record_key ORDER BY record_version DESC, recorded_at DESC, arrival_seq DESC) AS standing\n  FROM raw_{}\n  WHERE {knowledge} <= {as_of}{narrowed}\n) AS versions\nWHERE standing = 1 AND operation = 'upsert'",
        kind.name()
    )
}
