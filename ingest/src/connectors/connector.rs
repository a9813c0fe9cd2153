//! What every connector is: something that can be checked, and read page by page behind a position.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use atalaya_model::Clock;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{ConnectorError, Known, Mapped, Pause};

/// A page of objects and the position behind it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Mapped>,
    pub(crate) position: String,
    pub(crate) is_last: bool,
}

/// A source that is asked.
///
/// The position is the connector's own text; it is made durable in one step with the page that it stands behind. Reading
/// behind a position gives everything that came after it, and may give again what came before: what is told twice lands
/// once, by its key and version.
#[async_trait]
pub(crate) trait Connector: Send {
    /// Asks the least that shows whether the key and the address are right; says what answered.
    async fn check(&mut self, now: DateTime<Utc>) -> Result<String, ConnectorError>;

    /// Whether a page that is not the last stands behind another position than the one before it. Where it does not, a vendor
    /// that gives the same page for ever is told from one that goes on.
    fn moves_with_every_page(&self) -> bool {
        true
    }

    /// The page behind a position, or the first there is.
    async fn read(&mut self, position: Option<&str>, now: DateTime<Utc>) -> Result<Page, ConnectorError>;
}

/// What a connector works with beside its connection.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) zone: Tz,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pause: Arc<dyn Pause>,
    pub(crate) home_dir: PathBuf,
    /// What this source told before.
    pub(crate) known: Arc<Known>,
}

/// Reads a position as a connector wrote it.
pub(super) fn position<P: serde::de::DeserializeOwned>(
    vendor: &'static str,
    text: Option<&str>,
) -> Result<Option<P>, ConnectorError> {
    text.map(|text| {
        serde_json::from_str(text).map_err(|error| ConnectorError::Unreadable {
            vendor,
            asked: "the position it was read to".to_owned(),
            reason: error.to_string(),
        })
    })
    .transpose()
}

/// Puts a page together.
pub(super) fn page<P: serde::Serialize>(
    vendor: &'static str,
    objects: Vec<Mapped>,
    position: &P,
    is_last: bool,
) -> Result<Page, ConnectorError> {
    let position = serde_json::to_string(position).map_err(|error| ConnectorError::Unreadable {
        vendor,
        asked: "a position".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Page {
        objects,
        position,
        is_last,
    })
}
