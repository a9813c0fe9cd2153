//! Reading a source to its end, page by page; every page is durable with the position behind it before the next is asked for.

use std::sync::Arc;

use atalaya_model::{Clock, calendar};
use atalaya_store::{Home, Intake};

use super::{ConnectorError, Known, Pause, Surroundings, position};
use crate::{Connection, IngestError};

/// What a sync did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Pages that were read.
    pub pages: u64,
    /// Rows that are new, of all kinds, the raw objects among them.
    pub rows: u64,
    /// Rows that had been landed before.
    pub duplicates: u64,
    /// Objects kept as dead letters.
    pub dead_letters: u64,
}

async fn surroundings(
    home: &Home,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    pause: &Arc<dyn Pause>,
) -> Result<Surroundings, IngestError> {
    let known = match connection.compared() {
        Some(prefix) => Known::load(home, &connection.name, prefix).await?,
        None => Known::default(),
    };
    Ok(Surroundings {
        zone: calendar::parse_zone(&home.settings().time_zone)?,
        clock: Arc::clone(clock),
        pause: Arc::clone(pause),
        tokens_dir: home.dir().join("tokens"),
        known: Arc::new(known),
    })
}

/// Asks whether a source can be read with what is configured.
pub async fn check(
    home: &Home,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    pause: &Arc<dyn Pause>,
) -> Result<String, IngestError> {
    let around = surroundings(home, connection, clock, pause).await?;
    Ok(connection.open(&around)?.check(clock.now()).await?)
}

/// Reads what is new at a source. On an error what was read before stays, and the next sync goes on behind it.
pub async fn sync(
    home: &Home,
    intake: &Intake,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    pause: &Arc<dyn Pause>,
    on_page: &(dyn Fn(SyncReport) + Sync),
) -> Result<SyncReport, IngestError> {
    let around = surroundings(home, connection, clock, pause).await?;
    let mut connector = connection.open(&around)?;
    let mut known = position::newest(home, &connection.name).await?;
    let mut report = SyncReport::default();
    loop {
        let page = connector.read(known.as_deref(), clock.now()).await?;
        let now = clock.now();
        let mut parts = super::parts(
            &connection.name,
            connection.vendor_name(),
            around.zone,
            now,
            page.objects,
        );
        parts.push(position::part(&connection.name, &page.position, now));
        let appended = intake.append(parts).await.map_err(ConnectorError::Store)?;
        report.pages += 1;
        // The position is a row too, and no news.
        report.rows += appended.rows - 1;
        report.duplicates += appended.duplicates;
        report.dead_letters += appended.letters;
        on_page(report);
        if page.is_last {
            return Ok(report);
        }
        known = Some(page.position);
    }
}
