//! Finance's engines: the DuckDB worker's client, verification between the engines, SQL, reports and exports.
#![deny(missing_docs)]

mod error;
mod export;
mod prove;
mod report;
mod setup;
mod verify;
mod verify_signals;
mod worker;

pub use error::SqlError;
pub use export::{to_csv, to_parquet, to_xlsx};
pub use prove::prove;
pub use report::{Report, reports, run_report};
pub use setup::{sql_surface, worker_setup};
pub use verify::{Verification, compare_engines, verify};
pub use worker::{Answer, Request, Worker};
