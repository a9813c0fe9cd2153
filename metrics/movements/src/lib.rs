//! The movement operator: MRR of subscription items, its ends and its movements, in one streaming pass per customer.
//!
//! It reads the sorted runs of the customer-state buckets, holds one customer at a time and answers with the very rows
//! of the definitions it stands for. Those stay the truth: they run as they are on the second engine, and a pass is only
//! used while they read as they did when it was proven equal.
#![deny(missing_docs)]

mod attributes;
mod contribution;
mod customer;
mod error;
mod events;
mod figure_tables;
mod figures;
mod figures_pass;
mod handover;
mod kept;
mod ledger;
mod live;
mod merge;
mod moments;
mod places;
mod price;
mod rates;
mod rules;
mod run;
mod scan;
mod state;
mod stretch;
mod tables;
mod text;

pub use error::MovementError;
pub use figure_tables::FigureTable;
pub use figures_pass::Figures;
pub use handover::Handovers;
pub use live::{LiveFigures, Stale};
pub use rules::{Boundary, Fx, Knowledge, PeriodEnds, Quote, Rules, TierRange};
pub use scan::{Inputs, Scan};
pub use tables::MovementTable;
