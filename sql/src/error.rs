use std::path::PathBuf;

use atalaya_metrics::MetricsError;
use atalaya_store::StoreError;
use thiserror::Error;

/// Why SQL, a report or a verification could not be answered.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The worker is not installed; the operator must build it.
    #[error("the DuckDB worker is not at {}; build it with `cargo xtask demo` (or name it in ATALAYA_DUCKDB_WORKER)", .0.display())]
    NoWorker(PathBuf),
    /// The worker ended before it answered. A retry helps if the machine was short of something.
    #[error("the DuckDB worker ended early: {0}")]
    WorkerDied(String),
    /// The query is wrong, not allowed, too slow or too large; whoever asked must ask otherwise.
    #[error("{0}")]
    Query(String),
    /// There is no such report.
    #[error("there is no report {name:?}; there are {known}")]
    UnknownReport {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file for people could not be written.
    #[error("write {format}: {reason}")]
    Export {
        /// The file's format.
        format: &'static str,
        /// What the library said.
        reason: String,
    },
    /// The plan could not be made.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The home could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
