use thiserror::Error;

/// What can go wrong in alerting itself. Failed deliveries are no errors: they are booked and tried again.
#[derive(Debug, Error)]
pub enum AlertError {
    /// The control database refused; trying again may help.
    #[error("alert state: {0}")]
    Database(#[from] sqlx::Error),
    /// The control database was written by a newer Atalaya; use that one.
    #[error("the alerts' database has shape {found}, which this version does not know: a newer Atalaya wrote it")]
    Newer {
        /// Its shape.
        found: i64,
    },
    /// A rule file is wrong; its author must mend it.
    #[error("{file}: {reason}")]
    Rule {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The file of who is on call is wrong; its author must mend it.
    #[error("{file}: {reason}")]
    Oncall {
        /// The file.
        file: String,
        /// What is wrong, and of whom.
        reason: String,
    },
    /// A route's address or key is wrong; the operator must mend it.
    #[error("{variable}: {reason}")]
    Route {
        /// The variable.
        variable: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Something of ours could not be written as JSON: a fault of ours.
    #[error("write JSON: {0}")]
    Json(#[from] serde_json::Error),
}
