use atalaya_catalog::CatalogError;
use atalaya_engine::EngineError;
use atalaya_model::{MetricReadError, ModelError};
use atalaya_store::StoreError;
use thiserror::Error;

/// Why a metric could not be computed.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// There is no such metric; the caller must ask for another.
    #[error("there is no metric {0:?}; `atalaya metric --list` names them all")]
    UnknownMetric(String),
    /// There is no such signal; the caller must ask for another.
    #[error("there is no signal {0:?}; `atalaya signal` names them all")]
    UnknownSignal(String),
    /// The query is wrong; the caller must ask otherwise.
    #[error(transparent)]
    Query(#[from] ModelError),
    /// The definitions are wrong; their author must mend them.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A policy file is wrong; its author must mend it.
    #[error("{place}: {reason}")]
    Policy {
        /// The file or preset, and the field where one is at fault.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The engine could not answer; see the inner error for whether a retry helps.
    #[error("{metric}: {source}")]
    Engine {
        /// What was being computed.
        metric: String,
        /// What the engine said.
        source: EngineError,
    },
    /// The home could not be read; a retry may help.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A definition's columns are not what its unit asks for; its author must mend it.
    #[error("{metric}: {reason}")]
    Contract {
        /// The definition.
        metric: String,
        /// What is wrong with its columns or values.
        reason: String,
    },
}

impl MetricsError {
    /// Names the metric that was asked for, whichever of the definitions below it failed.
    pub(crate) fn asked_for(self, metric: &str) -> Self {
        match self {
            Self::Engine { source, .. } => Self::Engine {
                metric: metric.to_owned(),
                source,
            },
            other => other,
        }
    }
}

impl From<&MetricsError> for MetricReadError {
    fn from(error: &MetricsError) -> Self {
        let text = error.to_string();
        match error {
            MetricsError::UnknownMetric(_) | MetricsError::UnknownSignal(_) | MetricsError::Query(_) => {
                Self::BadQuery(text)
            }
            MetricsError::Catalog(_) | MetricsError::Contract { .. } | MetricsError::Policy { .. } => Self::Data(text),
            MetricsError::Engine {
                source: EngineError::Query(_),
                ..
            } => Self::Data(text),
            MetricsError::Engine { .. } | MetricsError::Store(_) => Self::Unavailable(text),
        }
    }
}
