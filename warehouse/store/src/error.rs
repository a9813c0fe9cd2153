use std::path::{Path, PathBuf};

use thiserror::Error;

/// What can go wrong in a home. The variants say who is at fault and whether trying again helps.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The operating system refused; on "no space left" and its like, trying again helps once the cause is gone.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no home in this folder; create one by importing into it.
    #[error("{} is not a home: it has no home.toml. `atalaya --home DIR import ...` or `demo` creates one", .0.display())]
    NotAHome(PathBuf),
    /// The folder's name cannot be used; the operator must choose another.
    #[error("{}: the path of a home may not hold \"%\", which the table format would decode", .0.display())]
    BadPath(PathBuf),
    /// Another process owns the home. Trying again helps when it has ended.
    #[error("{} is in use by another process (it holds {})", home.display(), lock.display())]
    Owned {
        /// The home.
        home: PathBuf,
        /// Its lock file.
        lock: PathBuf,
    },
    /// A settings file or variable is wrong; the operator must mend it.
    #[error("{place}: {reason}")]
    Settings {
        /// File or variable.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table format refused; the text is delta-rs's own.
    #[error("table {table}: {source}")]
    Delta {
        /// The table.
        table: String,
        /// What delta-rs said.
        source: Box<deltalake::DeltaTableError>,
    },
    /// Somebody else committed to the table first although we hold the lock; trying again helps.
    #[error("table {table}: version {version} was written by another process")]
    Conflict {
        /// The table.
        table: String,
        /// The version that was taken.
        version: u64,
    },
    /// A Parquet file could not be written or read.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: parquet::errors::ParquetError,
    },
    /// Columns do not fit the table: a fault of ours.
    #[error("rows do not fit the table: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The write-ahead log cannot take a request: after a failed sync, or by a fault of ours. A restart may help.
    #[error("the log: {reason}")]
    Log {
        /// Why.
        reason: String,
    },
    /// More is coming in than can be written; the sender should try again.
    #[error("too much is waiting to be written: try again in {retry_after_secs} s")]
    Busy {
        /// After how many seconds.
        retry_after_secs: u32,
    },
    /// A request is larger than all that may wait at once; it must be divided.
    #[error("a request of more than {limit} bytes cannot be taken")]
    TooLarge {
        /// What all requests may take together.
        limit: u32,
    },
    /// The disk is nearly full; trying again helps when there is room.
    #[error("{}: {free_bytes} bytes are free and {keep_free_bytes} are kept free", dir.display())]
    DiskShort {
        /// The folder.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        keep_free_bytes: u64,
    },
    /// The home's own bookkeeping is damaged.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source,
        }
    }

    pub(crate) fn delta<E: Into<deltalake::DeltaTableError>>(table: &str) -> impl FnOnce(E) -> Self + '_ {
        move |source| Self::Delta {
            table: table.to_owned(),
            source: Box::new(source.into()),
        }
    }
}
