//! Files into records: formats, mapping, conversion, landing, and the dead letters of what did not fit.
#![deny(missing_docs)]

mod convert;
mod error;
mod file;
mod format;
mod import;
mod land;
mod mapping;
mod plan;
mod replay;
mod rows;

pub use error::IngestError;
pub use import::{ImportReport, ImportRequest, Progress, import_file};
pub use mapping::Mapping;
pub use replay::{ReplayReport, list_dead_letters, replay_dead_letters};
