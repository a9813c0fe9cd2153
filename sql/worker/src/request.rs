use serde::Deserialize;

/// What the worker is asked. The twin of `atalaya_sql::worker::Request`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The only files that may be read.
    pub(crate) files: Vec<String>,
    /// Trusted statements that make views and tables.
    pub(crate) setup: String,
    /// Questions, answered in order, one frame each.
    pub(crate) queries: Vec<String>,
    /// Whether the questions come from outside and must be checked.
    pub(crate) untrusted: bool,
    /// Seconds after which a question is broken off.
    pub(crate) timeout_secs: u64,
    /// Bytes that an answer may have.
    pub(crate) max_answer_bytes: usize,
    /// DuckDB's own memory limit.
    pub(crate) memory_limit_mb: u64,
}
