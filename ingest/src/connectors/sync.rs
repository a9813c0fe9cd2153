//! Reading a source to its end, page by page; every page is durable with the position behind it before the next is asked for.

use std::{sync::Arc, time::Duration};

use atalaya_model::{Clock, calendar};
use atalaya_store::{Appended, Home, Intake, Part, StoreError};

use tokio::io::AsyncBufRead;

use super::{
    Connector, ConnectorError, Known, Pause, Surroundings, position,
    singer::{self, Singer},
};
use crate::{Connection, IngestError};

/// How often a page is offered to a log that has no room for it.
const MOST_TRIES: u32 = 5;

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

impl std::ops::AddAssign for SyncReport {
    fn add_assign(&mut self, other: Self) {
        self.pages += other.pages;
        self.rows += other.rows;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
    }
}

impl std::fmt::Display for SyncReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            pages,
            rows,
            duplicates,
            dead_letters,
        } = self;
        write!(
            f,
            "{rows} rows new, {duplicates} known, {dead_letters} dead letters, in {pages} pages"
        )
    }
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
        home_dir: home.dir().to_owned(),
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
    let connector = connection.open(&around)?;
    read_all(home, intake, connection, connector, &around, &|report, _| {
        on_page(report)
    })
    .await
}

/// Takes what a tap of Singer says that somebody else runs. `on_state` hears each state when all that came before it is
/// durable.
pub async fn take(
    home: &Home,
    intake: &Intake,
    connection: &Connection,
    clock: &Arc<dyn Clock>,
    pause: &Arc<dyn Pause>,
    input: Box<dyn AsyncBufRead + Send + Unpin>,
    on_state: &(dyn Fn(&str) + Sync),
) -> Result<SyncReport, IngestError> {
    let around = surroundings(home, connection, clock, pause).await?;
    let singer = Singer::over(connection, singer::options(connection)?, &around, input);
    let told = |_: SyncReport, position: &str| {
        if position != "null" {
            on_state(position);
        }
    };
    read_all(home, intake, connection, Box::new(singer), &around, &told).await
}

async fn read_all(
    home: &Home,
    intake: &Intake,
    connection: &Connection,
    mut connector: Box<dyn Connector>,
    around: &Surroundings,
    on_page: &(dyn Fn(SyncReport, &str) + Sync),
) -> Result<SyncReport, IngestError> {
    let clock = &around.clock;
    let mut known = position::newest(home, &connection.name).await?;
    let mut report = SyncReport::default();
    loop {
        let page = connector.read(known.as_deref(), clock.now()).await?;
        let now = clock.now();
        let stands_still = known.as_ref() == Some(&page.position);
        if stands_still && !page.is_last && connector.moves_with_every_page() {
            return Err(ConnectorError::Unreadable {
                vendor: connection.vendor_name(),
                asked: "the next page".to_owned(),
                reason: "it is the same page again".to_owned(),
            }
            .into());
        }
        report.pages += 1;
        if stands_still && page.objects.is_empty() {
            // Nothing is news.
            on_page(report, &page.position);
            if page.is_last {
                return Ok(report);
            }
            continue;
        }
        let mut parts = super::parts(
            &connection.name,
            connection.vendor_name(),
            around.zone,
            now,
            page.objects,
        );
        parts.push(position::part(&connection.name, &page.position, now));
        let appended = append(intake, parts, around).await?;
        // The position is a row too, and no news.
        report.rows += appended.rows - 1;
        report.duplicates += appended.duplicates;
        report.dead_letters += appended.letters;
        on_page(report, &page.position);
        if page.is_last {
            return Ok(report);
        }
        known = Some(page.position);
    }
}

/// Makes a page durable, and room for it where nobody else does.
async fn append(intake: &Intake, parts: Vec<Part>, around: &Surroundings) -> Result<Appended, IngestError> {
    if intake.is_due() {
        intake.flush().await?;
    }
    let mut tries = 0;
    loop {
        match intake.append(parts.clone()).await {
            Err(StoreError::Busy { retry_after_secs }) if tries < MOST_TRIES => {
                tries += 1;
                intake.flush().await?;
                around.pause.pause(Duration::from_secs(retry_after_secs.into())).await;
            }
            appended => return Ok(appended.map_err(ConnectorError::Store)?),
        }
    }
}
