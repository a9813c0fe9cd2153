//! Evaluates definitions on a pinned snapshot: one plan, which both engines run; one way from rows to published figures.
#![deny(missing_docs)]

mod books;
mod cache;
mod compare;
mod constants;
mod error;
mod evaluator;
mod explain;
mod figures;
mod following;
mod freshness;
mod identities;
mod lifetimes;
mod moments;
mod narrowing;
mod operator;
mod operator_inputs;
mod plan;
mod policy;
mod proofs;
mod reader;
mod readings;
mod records;
mod series;
mod survival;
mod unproved;
mod vintages;
mod witness;

pub use books::{Close, Restatement, RestatementPart};
pub use compare::{Comparison, GapPart};
pub use constants::{Cell, ConstantTable};
pub use error::MetricsError;
pub use evaluator::Evaluator;
pub use explain::Exhibit;
pub use following::Drift;
pub use lifetimes::SegmentLifetimes;
pub use plan::{EvaluationPlan, Scope, View};
pub use policy::{
    CancelCountsUntil, DiscountDuration, FullDiscount, FxMode, POLICY_FILE, Policy, Recognition, StartCountsFrom,
};
pub use proofs::{ProofKey, Proofs, Verdict};
pub use readings::{read_readings, readings_select};
pub use records::{known_columns, known_view, known_view_name};
pub use series::{Rows, series_from_rows};
pub use survival::{
    Estimate, Lifetime, MonthCounts, ShiftedBetaGeometric, SurvivalStep, kaplan_meier, restricted_mean_months,
};
pub use witness::{Testimony, rules};
