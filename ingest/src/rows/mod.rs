//! Bytes into rows of text cells, with bounded memory whatever the bytes are: one thread cuts a file into chunks of whole rows,
//! others read them.

mod cells;
mod cutter;
mod json;

use std::borrow::Cow;

pub(crate) use cells::Chunk;
pub(crate) use cutter::Cutter;
pub(crate) use json::{Columns, columns as json_columns};

/// The longest row that is taken. A longer one is a wrong file or an unclosed quote, not data.
pub(crate) const MAX_ROW_BYTES: u64 = 16 << 20;

/// A cell: `None` where there is none.
pub(crate) type Cell<'c> = Option<Cow<'c, str>>;

/// One row as read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RawRow<'c, 'r> {
    /// Cells in the order of the file's columns.
    Cells { line: u64, cells: &'r [Cell<'c>] },
    /// A row that could not be split into cells, kept as text.
    Broken { line: u64, text: String, reason: String },
}
