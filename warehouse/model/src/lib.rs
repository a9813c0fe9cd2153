//! The nouns of Atalaya, shared by every crate and by the browser: money, periods, records, metric specs, series.
//!
//! Nothing here reads a clock, a file or the network, so all of it runs unchanged on wasm32.
#![deny(missing_docs)]

mod clock;
mod column;
mod currency;
mod error;
mod kind;
mod kind_columns;
mod locale;
mod money;
mod period;
mod query;
mod series;
mod settings;
mod signal;
mod spec;

pub use clock::{Clock, ManualClock, SystemClock};
pub use column::{Column, ColumnType, SYSTEM_COLUMNS};
pub use currency::{CURRENCIES, Currency};
pub use error::ModelError;
pub use kind::{Kind, Layout};
pub use locale::Language;
pub use money::{MICROS_PER_MINOR, Money, allocate_largest_remainder, muldiv, round_micros};
#[cfg(feature = "zones")]
pub use period::calendar;
pub use period::{Grain, Period};
pub use query::{BoxFuture, KnownBy, MetricReadError, MetricReader, SeriesQuery};
pub use series::{Delta, Figure, Point, Proof, ProofState, Series, Status};
pub use settings::{HomeSettings, WeekStart};
pub use signal::{Reading, ReadingUnit, Readings};
pub use spec::{Additivity, Direction, MetricSpec, Target, Unit};
