//! Where sources push events to: bytes in, rows in the log, and only then an answer.

mod answer;
mod body;
mod cloud_events;
mod counts;
mod fields;
mod parsed;
mod records;
mod routes;
mod samples;
mod segment;
mod webhooks;

use std::sync::Arc;

use atalaya_model::{Clock, calendar};
use atalaya_store::{Home, Intake};
use chrono_tz::Tz;
use tokio::sync::Semaphore;

use crate::{IngestError, Sources};

pub use counts::SourceCounts;
pub(crate) use fields::{Fault, depth};
pub use routes::router;
pub(crate) use webhooks::HmacScheme;

/// Bytes of bodies that may be in memory at once: more is asked to come again.
const BODIES_BYTES: usize = 256 << 20;

/// What all receivers share.
pub struct Receivers {
    intake: Arc<Intake>,
    sources: Sources,
    clock: Arc<dyn Clock>,
    zone: Tz,
    room: Arc<Semaphore>,
    counts: counts::Counts,
}

impl Receivers {
    /// Receivers for the sources of a home.
    pub fn new(home: &Home, intake: Arc<Intake>, sources: Sources, clock: Arc<dyn Clock>) -> Result<Self, IngestError> {
        Ok(Self {
            intake,
            zone: calendar::parse_zone(&home.settings().time_zone)?,
            counts: counts::Counts::of(&sources),
            sources,
            clock,
            room: Arc::new(Semaphore::new(BODIES_BYTES)),
        })
    }

    /// What came from each source since the start.
    pub fn counts(&self) -> Vec<SourceCounts> {
        self.counts.all()
    }
}
