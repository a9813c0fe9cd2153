//! Drawings shared by the screen, Slack and paper: SVG by plotters, from plain numbers and labels.
//!
//! Nothing here measures text, so a drawing is the same in the browser and on the server. Colours are variables of the
//! page's style (`var(--ink)` ...), so one drawing serves light and dark.
#![deny(missing_docs)]

mod canvas;
mod heatmap;
mod sparkline;
mod waterfall;

use thiserror::Error;

pub use heatmap::{HeatCell, HeatRow, heatmap};
pub use sparkline::sparkline;
pub use waterfall::{Bar, BarKind, waterfall};

/// A drawing that could not be made: a fault of ours, since nothing is read or written.
#[derive(Debug, Error)]
#[error("drawing failed: {0}")]
pub struct ChartError(String);
