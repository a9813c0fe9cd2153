//! The write-ahead log: what was acknowledged and is not in a data file yet.
//!
//! A request is one frame with its own checksum; the frames of one `fdatasync` are a group, which starts on a block of its
//! own, so that a block that was acknowledged is never written again. There is no second file that says how far the log
//! was read: positions follow from segment names and from the transactions in the tables' own commits.

mod appender;
mod frame;
mod request;
mod segment;

pub(crate) use appender::{Appender, AppenderParts};
pub(crate) use request::Logged;
pub use request::{Appended, Part};
pub(crate) use segment::{Segment, replay, segments};
