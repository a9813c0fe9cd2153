//! DataFusion over a pinned snapshot: tables, views and the functions of the dialect. It knows no KPI.
#![deny(missing_docs)]

mod computed;
mod error;
mod functions;
mod lift;
mod session;
mod table;

pub use computed::{Emit, Start, Work};
pub use datafusion::arrow;
pub use error::EngineError;
pub use lift::{VINTAGE, VINTAGES, lift};
pub use session::{EngineSession, Materialised, RAW_PREFIX};
