use std::path::PathBuf;

use atalaya_store::StoreError;
use thiserror::Error;

/// Why a file could not be imported. Nothing of it has been landed then. Single rows that do not fit are not errors:
/// they become dead letters.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The file is at fault, at a line when one can be named.
    #[error("{}{}: {reason}. Nothing was imported", file.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: Option<u64>,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The mapping file is at fault.
    #[error("{place}: {reason}")]
    BadMapping {
        /// The mapping file.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// `sources.toml` is at fault.
    #[error("{place}: {reason}")]
    BadSources {
        /// The file, the source and the field.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A vendor could not be read; see the inner error for whether a retry helps. What was read before is durable.
    #[error(transparent)]
    Connector(#[from] crate::ConnectorError),
    /// The home could not take it; see the inner error for whether a retry helps.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model refused a value of the request.
    #[error(transparent)]
    Model(#[from] atalaya_model::ModelError),
    /// Columns could not be put together: a fault of ours.
    #[error("rows do not fit together: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl IngestError {
    /// What is wrong, without the place and without what is true of files alone.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::BadFile { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn file(file: &std::path::Path, line: Option<u64>, reason: impl Into<String>) -> Self {
        Self::BadFile {
            file: file.to_owned(),
            line,
            reason: reason.into(),
        }
    }
}
