//! Reading a source to its end, page by page; every page is durable with the position behind it before the next is asked for.

use std::sync::Arc;

use atalaya_model::{Clock, calendar};
use atalaya_store::{Home, Intake};

use super::{ConnectorError, position, stripe::Stripe};
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

/// Asks whether a source can be read with what is configured.
pub async fn check(home: &Home, connection: &Connection, clock: &dyn Clock) -> Result<String, IngestError> {
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let stripe = Stripe::new(connection, zone)?;
    Ok(stripe.check(clock.now()).await?)
}

/// Reads what is new at a source. On an error what was read before stays, and the next sync goes on behind it.
pub async fn sync(
    home: &Home,
    intake: &Intake,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    on_page: &(dyn Fn(SyncReport) + Sync),
) -> Result<SyncReport, IngestError> {
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let mut stripe = Stripe::new(connection, zone)?;
    let mut known = position::newest(home, &connection.name).await?;
    let mut report = SyncReport::default();
    loop {
        let now = clock.now();
        let page = stripe.read(known.as_deref(), now).await?;
        let mut parts = super::parts(&connection.name, "stripe", zone, now, page.objects);
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
