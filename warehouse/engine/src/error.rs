use datafusion::error::DataFusionError;
use thiserror::Error;

/// Why a query could not be answered.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The data does not allow an answer, or the SQL is wrong: the text says which. Not cured by trying again.
    #[error("{0}")]
    Query(String),
    /// The memory allowed was not enough. A smaller query may succeed.
    #[error("the query needs more memory than is allowed: {0}")]
    Memory(String),
    /// A question cannot be put for many moments at once; each has to be asked by itself.
    #[error("cannot be asked for many moments at once: {0}")]
    Lift(String),
    /// A file could not be read; trying again may help.
    #[error("reading failed: {0}")]
    Read(String),
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        let text = match root {
            DataFusionError::Execution(text) | DataFusionError::Plan(text) => text.clone(),
            DataFusionError::External(source) => source.to_string(),
            other => other.to_string(),
        };
        match root {
            DataFusionError::ResourcesExhausted(_) => Self::Memory(text),
            DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) => {
                Self::Read(text)
            }
            _ => Self::Query(text),
        }
    }
}

impl From<datafusion::arrow::error::ArrowError> for EngineError {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        Self::Query(error.to_string())
    }
}
