//! Columns of record kinds.

/// How a column's values are typed. The text of each type's canonical form is documented in `docs/import.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// Minor units of the row's currency. Files may give major units instead, under the column's `_major` name.
    Minor,
    /// An ISO 4217 code.
    Currency,
    /// A calendar day.
    Date,
    /// An instant, kept in UTC to the microsecond.
    Instant,
    /// A share, kept in millionths; files give percent under the column's `_percent` name.
    Ppm,
    /// A decimal kept in units of 10^-12 (exchange rates).
    E12,
    /// A decimal kept in millionths (samples, conversions).
    E6,
}

/// One canonical column of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in tables, definitions and files.
    pub name: &'static str,
    /// How its values are typed.
    pub column_type: ColumnType,
    /// Whether every row must have it.
    pub required: bool,
    /// The text taken when a file has no such column or an empty cell.
    pub default: Option<&'static str>,
}

pub(crate) const fn column(name: &'static str, column_type: ColumnType, required: bool) -> Column {
    Column {
        name,
        column_type,
        required,
        default: None,
    }
}

pub(crate) const fn defaulted(name: &'static str, column_type: ColumnType, default: &'static str) -> Column {
    Column {
        name,
        column_type,
        required: true,
        default: Some(default),
    }
}

use ColumnType::{Instant, Integer, Text};

/// Columns that every table has beside those of its kind.
///
/// `record_key`, `record_version` and `operation` are the row's identity, version and `upsert`/`delete`; `occurred_at`
/// when it was true, `recorded_at` when the source knew, `landed_at` when Atalaya did; `arrival_seq` orders all rows of a
/// home; `extra` keeps, as JSON text, what a file had and the kind does not know.
pub const SYSTEM_COLUMNS: &[Column] = &[
    column("record_key", Text, true),
    column("record_version", Integer, true),
    column("operation", Text, true),
    column("occurred_at", Instant, true),
    column("recorded_at", Instant, true),
    column("landed_at", Instant, true),
    column("arrival_seq", Integer, true),
    column("source", Text, true),
    column("extra", Text, false),
];
