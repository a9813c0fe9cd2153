//! Files and pushed events into records: formats, mapping, conversion, receivers, and the dead letters of what did not fit.
#![deny(missing_docs)]

mod connectors;
mod convert;
mod error;
mod file;
mod format;
mod freshness;
mod import;
mod mapping;
mod plan;
mod receivers;
mod replay;
mod rows;
mod sources;
mod stored;

pub use connectors::{Connection, ConnectorError, Pause, RealPause, SyncReport, check, sync, take};
pub use error::IngestError;
pub use freshness::landed_last;
pub use import::{ImportReport, ImportRequest, Progress, import_file};
pub use mapping::Mapping;
pub use receivers::{Receivers, SourceCounts, router};
pub use replay::{ReplayReport, list_dead_letters, replay_dead_letters};
pub use sources::{Protocol, SOURCES_FILE, Source, Sources};
