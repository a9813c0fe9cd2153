//! The home: its lock and settings, its Delta tables, snapshots of them, and the checksums that prove their bytes.
//!
//! Everything acknowledged here is durable: data files, log entries and their directories are synced by us, because the
//! object store of delta-rs syncs nothing.
#![deny(missing_docs)]

mod arrival;
mod checksum;
mod compact;
mod data_file;
mod dead_letter;
mod durable;
mod error;
mod home;
mod hot;
mod intake;
mod log;
mod origin;
mod recovery;
mod row;
mod row_groups;
mod schema;
mod seen;
mod settings;
mod snapshot;
mod table;
mod vacuum;
mod writer;

pub use arrival::ArrivalSeq;
pub use checksum::{ByteFault, check_bytes};
pub use compact::{Compacted, Compaction};
pub use dead_letter::{DEAD_LETTERS, DeadLetter, dead_letter_batch, dead_letters_from};
/// A written data file that waits for its commit.
pub use deltalake::kernel::Add as PendingFile;
pub use durable::{FailPoint, write_atomically, write_privately};
pub use error::StoreError;
pub use home::{Home, OwnerLock};
pub use intake::{Flushed, Intake, IntakeLimits};
pub use log::{Appended, Part};
pub use origin::{Origin, origins};
pub use row::{Row, RowBatchBuilder, Value};
pub use schema::{arrow_type, table_schema};
pub use seen::Window;
pub use settings::load_settings;
pub use snapshot::{DataFile, Snapshot, TableSnapshot};
pub use table::{BUCKETS, CommitOutcome, Table, TableLayout};
pub use vacuum::Vacuumed;
pub use writer::{TableWriter, customer_hash};
