//! The way of an event into the tables: log, memory, data file, and what happens in between when the machine stops.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use atalaya_model::{Clock, calendar};
use tokio::sync::Semaphore;

use crate::{
    Appended, CommitOutcome, FailPoint, Home, OwnerLock, Part, Snapshot, StoreError, TableWriter,
    durable::{create_dir, sync_dir},
    hot::{HotRows, Piece},
    log::{Appender, AppenderParts, Logged, replay},
    recovery::{last_landed, recover},
    seen::{SeenKeys, Window},
};

/// The identity under which the log commits to a table; the version beside it is the last arrival number.
pub(crate) const LOG_APP_ID: &str = "log";

/// What an unasked flush and a refusal depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Bytes of requests that may wait for their sync.
    pub in_flight_bytes: u32,
    /// Bytes of rows that may be in memory before requests are refused: reached when tables cannot be written.
    pub hot_bytes: usize,
    /// Bytes of rows in memory after which they are moved into the tables.
    pub flush_at_bytes: usize,
    /// Seconds after which they are moved however few they are.
    pub flush_after_secs: u32,
    /// Bytes of the disk that are left alone: requests are refused before.
    pub keep_free_bytes: u64,
    /// For how long each source's events are remembered, by name of the source.
    pub windows: HashMap<String, Window>,
}

/// What a flush moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Rows and dead letters.
    pub rows: u64,
    /// Tables that they went to.
    pub tables: u32,
}

/// Takes events for a home. What it has acknowledged is durable, and in every snapshot of its home from then on.
pub struct Intake {
    /// First, so that its thread has ended before the home is given up.
    appender: Appender,
    home: Home,
    owner: Arc<OwnerLock>,
    clock: Arc<dyn Clock>,
    limits: IntakeLimits,
    hot: Arc<HotRows>,
    room: Arc<Semaphore>,
    flush_turn: tokio::sync::Mutex<()>,
    removable: Mutex<Vec<PathBuf>>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Intake({})", self.home.dir().display())
    }
}

impl Intake {
    /// Opens the log of a home and reads what an earlier process left in it.
    pub async fn open(
        home: &Home,
        owner: Arc<OwnerLock>,
        clock: Arc<dyn Clock>,
        limits: IntakeLimits,
    ) -> Result<Self, StoreError> {
        let zone = calendar::parse_zone(&home.settings().time_zone).map_err(|error| StoreError::Settings {
            place: "time_zone".to_owned(),
            reason: error.to_string(),
        })?;
        let dir = home.log_dir();
        create_dir(&dir)?;
        let hot = Arc::new(HotRows::new(home.scratch_dir()?.join("hot"))?);
        let landed = last_landed(home, &owner, clock.as_ref()).await?;
        let snapshot = Snapshot::latest(home).await?;
        let mut seen = SeenKeys::new(limits.windows.clone());
        let day_of = |at| calendar::day_of(zone, at);
        let (next_group, older) = tokio::task::block_in_place(|| {
            seen.fill(&snapshot, clock.now(), day_of)?;
            let mut last_seq = landed.values().copied().max().unwrap_or(0);
            let next_group = replay(&dir, |path, payload| {
                let (landed_at, first_seq, parts) = Logged::decode(payload).map_err(|reason| StoreError::Damaged {
                    path: path.to_owned(),
                    reason: format!("a request in it cannot be read: {reason}"),
                })?;
                let count: usize = parts.iter().map(Part::len).sum();
                last_seq = last_seq.max(first_seq.saturating_add_unsigned(count as u64));
                recover(parts, first_seq, landed_at, day_of(landed_at), &landed, &hot, &mut seen)
            })?;
            // A home that was put back without its counter would give numbers again that tables take for landed.
            home.arrival_seq(&owner).raise_above(last_seq)?;
            let older = crate::log::segments(&dir)?;
            Ok::<_, StoreError>((next_group, older))
        })?;
        let appender = Appender::start(AppenderParts {
            dir,
            next_group,
            older,
            arrivals: home.arrival_seq(&owner),
            seen,
            hot: Arc::clone(&hot),
            clock: Arc::clone(&clock),
            zone,
            keep_free_bytes: limits.keep_free_bytes,
        })?;
        Ok(Self {
            home: home.clone(),
            owner,
            clock,
            room: Arc::new(Semaphore::new(limits.in_flight_bytes as usize)),
            limits,
            hot,
            appender,
            flush_turn: tokio::sync::Mutex::default(),
            removable: Mutex::default(),
        })
    }

    /// The home with the rows that are not in its tables yet: its snapshots have them.
    pub fn attach(&self, home: &Home) -> Home {
        home.clone().with_hot(Arc::clone(&self.hot))
    }

    /// Makes a request durable, all of it or nothing.
    ///
    /// On [`StoreError::Busy`] and [`StoreError::DiskShort`] trying again later helps; nothing was taken then.
    pub async fn append(&self, parts: Vec<Part>) -> Result<Appended, StoreError> {
        if self.hot.bytes() > self.limits.hot_bytes {
            return Err(StoreError::Busy { retry_after_secs: 5 });
        }
        let bytes: usize = parts.iter().map(Part::weight).sum();
        let limit = self.limits.in_flight_bytes;
        let bytes = u32::try_from(bytes).ok().filter(|bytes| *bytes <= limit);
        let bytes = bytes.ok_or(StoreError::TooLarge { limit })?;
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(bytes)
            .map_err(|_| StoreError::Busy { retry_after_secs: 1 })?;
        self.appender.append(parts, room).await
    }

    /// Whether it is time to move rows into the tables.
    pub fn is_due(&self) -> bool {
        let age = self.hot.oldest_at().map(|at| self.clock.now() - at);
        self.hot.active_bytes() >= self.limits.flush_at_bytes
            // Rows from the future: the clock was ahead, and nobody knows how old they are.
            || age.is_some_and(|age| age.num_seconds() >= i64::from(self.limits.flush_after_secs) || age.num_seconds() < -1)
    }

    /// Moves everything that is durable in the log into the tables, and removes the log's segments that held it.
    pub async fn flush(&self) -> Result<Flushed, StoreError> {
        let _turn = self.flush_turn.lock().await;
        let sealed = self.appender.seal().await?;
        self.removable().extend(sealed);
        let mut flushed = Flushed::default();
        for (name, pieces) in self.hot.frozen() {
            flushed.rows += self.land(name, &pieces).await?;
            flushed.tables += 1;
        }
        FailPoint("before_log_removal").pass();
        let mut removed = false;
        // Oldest first, and forgotten only when it is gone: a gap between segments would look like a loss.
        loop {
            let oldest = self.removable().first().cloned();
            let Some(path) = oldest else { break };
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("remove", &path)(error)),
            }
            self.removable().remove(0);
            removed = true;
        }
        if removed {
            sync_dir(&self.home.log_dir())?;
        }
        Ok(flushed)
    }

    fn removable(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.removable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One table's rows, in one commit that says how far the log is in it.
    async fn land(&self, name: &'static str, pieces: &[Arc<Piece>]) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut table = self.home.table_named(name, &self.owner, now).await?;
        // A commit may be in the table although it was answered with an error.
        let known = table.transaction_version(LOG_APP_ID).await?.unwrap_or(i64::MIN);
        self.hot.landed(name, known);
        let pieces: Vec<&Arc<Piece>> = pieces.iter().filter(|piece| piece.last_seq > known).collect();
        let Some(last_seq) = pieces.iter().map(|piece| piece.last_seq).max() else {
            return Ok(0);
        };
        let (adds, rows) = tokio::task::block_in_place(|| {
            let mut adds = Vec::new();
            let mut rows = 0;
            for day in pieces.chunk_by(|left, right| left.landed_on == right.landed_on) {
                let (Some(schema), Some(first)) = (day[0].batches.first().map(|batch| batch.schema()), day.first())
                else {
                    continue;
                };
                let mut writer = TableWriter::new(&table, schema, now, first.landed_on);
                for batch in day.iter().flat_map(|piece| &piece.batches) {
                    rows += batch.num_rows() as u64;
                    writer.push(batch.clone())?;
                }
                adds.extend(writer.finish()?);
            }
            Ok::<_, StoreError>((adds, rows))
        })?;
        let metadata = HashMap::from([("atalayaLandedAt".to_owned(), now.to_rfc3339().into())]);
        let outcome = table.commit_up_to(adds, LOG_APP_ID, last_seq, metadata, now).await?;
        if outcome == CommitOutcome::AlreadyThere {
            return Err(StoreError::Log {
                reason: format!("{name} says that it has rows up to {last_seq}, which it cannot have"),
            });
        }
        self.hot.landed(name, last_seq);
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::{Kind, ManualClock};
    use chrono::{DateTime, TimeDelta, TimeZone, Utc};

    use super::*;
    use crate::{Row, Value};

    fn start() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 3, 1, 22, 30, 0).unwrap()
    }

    fn limits() -> IntakeLimits {
        IntakeLimits {
            in_flight_bytes: 64 << 20,
            hot_bytes: 512 << 20,
            flush_at_bytes: 64 << 20,
            flush_after_secs: 60,
            keep_free_bytes: 0,
            windows: HashMap::new(),
        }
    }

    struct Place {
        dir: tempfile::TempDir,
        clock: Arc<ManualClock>,
    }

    impl Place {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                clock: Arc::new(ManualClock::new(start())),
            }
        }

        async fn open(&self) -> Result<Intake, StoreError> {
            let home = Home::open_or_create(self.dir.path(), None).unwrap();
            let owner = Arc::new(home.own().unwrap());
            let limits = IntakeLimits {
                windows: HashMap::from([("web".to_owned(), Window::Days(2))]),
                ..limits()
            };
            let clock: Arc<dyn Clock> = self.clock.clone();
            Intake::open(&home, owner, clock, limits).await
        }
    }

    fn events(ids: impl IntoIterator<Item = u32>) -> Part {
        let rows = ids
            .into_iter()
            .map(|id| {
                let mut values = vec![None; Kind::ProductEvents.columns().len()];
                values[0] = Some(Value::Text("track".to_owned()));
                values[6] = Some(Value::Instant(start()));
                Row {
                    values,
                    record_key: Some(format!("m{id}")),
                    record_version: 0,
                    operation: "upsert".to_owned(),
                    occurred_at: start(),
                    recorded_at: None,
                    source: Some("web".to_owned()),
                    extra: None,
                }
            })
            .collect();
        Part::Rows {
            kind: Kind::ProductEvents,
            rows,
            once: true,
        }
    }

    async fn append(intake: &Intake, ids: impl IntoIterator<Item = u32>) -> (u64, u64) {
        let appended = intake.append(vec![events(ids)]).await.unwrap();
        (appended.rows, appended.duplicates)
    }

    /// The keys that a snapshot reads, sorted.
    async fn keys(home: &Home) -> Vec<String> {
        let snapshot = Snapshot::latest(home).await.unwrap();
        assert!(snapshot.is_latest(home));
        let mut keys = Vec::new();
        for file in snapshot
            .tables
            .get("product_events")
            .map(|table| table.files.clone())
            .unwrap_or_default()
        {
            for batch in file.batches(None).unwrap() {
                let batch = batch.unwrap();
                let column = batch.column_by_name("record_key").unwrap();
                let column = arrow::array::AsArray::as_string::<i32>(column);
                keys.extend(column.iter().flatten().map(str::to_owned));
            }
        }
        keys.sort();
        keys
    }

    fn expected(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
        let mut keys: Vec<String> = ids.into_iter().map(|id| format!("m{id}")).collect();
        keys.sort();
        keys
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_is_read_at_once_and_once_whatever_happens() {
        let place = Place::new();
        let intake = place.open().await.unwrap();
        let home = intake.attach(&intake.home);
        assert_eq!(append(&intake, [1, 2, 2]).await, (2, 1));
        assert_eq!(append(&intake, [2, 3]).await, (1, 1));
        assert_eq!(keys(&home).await, expected([1, 2, 3]));
        let before = Snapshot::latest(&home).await.unwrap();
        assert_eq!(before.id(&[]), "product_events@0+3");

        // Moved into the table, and more while it is.
        assert_eq!(intake.flush().await.unwrap(), Flushed { rows: 3, tables: 1 });
        assert!(!before.is_latest(&home));
        assert_eq!(append(&intake, [3, 4]).await, (1, 1));
        assert_eq!(keys(&home).await, expected([1, 2, 3, 4]));
        assert_eq!(keys(&intake.home).await, expected([1, 2, 3]));
        // Whoever pinned before still reads what was there.
        let rows: u64 = before.tables["product_events"].files.iter().map(|file| file.rows).sum();
        assert_eq!(rows, 3);
        assert!(
            before.tables["product_events"]
                .files
                .iter()
                .all(|file| file.path.is_file())
        );

        // The process ends without a word, twice: what is in the log comes back, what is in the table does not twice.
        drop((intake, home, before));
        for _ in 0..2 {
            let intake = place.open().await.unwrap();
            assert_eq!(keys(&intake.attach(&intake.home)).await, expected([1, 2, 3, 4]));
            assert_eq!(append(&intake, [1, 4]).await, (0, 2));
        }
        let intake = place.open().await.unwrap();
        intake.flush().await.unwrap();
        assert_eq!(intake.flush().await.unwrap(), Flushed::default());
        assert_eq!(keys(&intake.home).await, expected([1, 2, 3, 4]));
        assert!(crate::log::segments(&intake.home.log_dir()).unwrap().is_empty());
        assert_eq!(
            std::fs::read_dir(place.dir.path().join("scratch/hot")).unwrap().count(),
            0
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_stand_under_the_day_they_landed_on_and_are_known_through_the_window() {
        let place = Place::new();
        let intake = place.open().await.unwrap();
        append(&intake, [1]).await;
        // In Madrid the day ends at 23:00 UTC.
        place.clock.advance(TimeDelta::hours(1));
        append(&intake, [2]).await;
        intake.flush().await.unwrap();
        let days: Vec<_> = ["2026-03-01", "2026-03-02"]
            .map(|day| {
                place
                    .dir
                    .path()
                    .join(format!("tables/product_events/landed_on={day}"))
                    .is_dir()
            })
            .into();
        assert_eq!(days, [true, true]);
        drop(intake);
        // The index of what was seen is made from the tables.
        place.clock.advance(TimeDelta::days(1));
        let intake = place.open().await.unwrap();
        assert_eq!(append(&intake, [1, 2, 3]).await, (1, 2));
        place.clock.advance(TimeDelta::days(3));
        assert_eq!(append(&intake, [3, 4]).await, (1, 1));
        assert_eq!(append(&intake, [1]).await, (1, 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_are_each_there_once() {
        let place = Place::new();
        let intake = Arc::new(place.open().await.unwrap());
        let home = intake.attach(&intake.home);
        let mut senders = Vec::new();
        for sender in 0..8_u32 {
            let intake = Arc::clone(&intake);
            senders.push(tokio::spawn(async move {
                let mut new = 0;
                for turn in 0..20_u32 {
                    // Every event is sent by two of them.
                    new += append(&intake, [(sender / 2) * 1000 + turn, (sender / 2) * 1000 + turn])
                        .await
                        .0;
                    if turn == 10 && sender == 3 {
                        intake.flush().await.unwrap();
                    }
                }
                new
            }));
        }
        let mut new = 0;
        for sender in senders {
            new += sender.await.unwrap();
        }
        assert_eq!(new, 80);
        let all = expected((0..4).flat_map(|pair| (0..20).map(move |turn| pair * 1000 + turn)));
        assert_eq!(keys(&home).await, all);
        intake.flush().await.unwrap();
        assert_eq!(keys(&intake.home).await, all);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn more_than_the_budget_is_refused_and_comes_in_later() {
        let place = Place::new();
        let intake = place.open().await.unwrap();
        let held = Arc::clone(&intake.room)
            .acquire_many_owned(intake.limits.in_flight_bytes)
            .await
            .unwrap();
        let refused = intake.append(vec![events([1])]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Busy { .. }), "{refused}");
        drop(held);
        assert_eq!(append(&intake, [1]).await, (1, 0));
        assert!(!intake.is_due());
        place.clock.advance(TimeDelta::seconds(60));
        assert!(intake.is_due());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_disk_that_is_nearly_full_takes_nothing_and_loses_nothing() {
        let place = Place::new();
        let home = Home::open_or_create(place.dir.path(), None).unwrap();
        let limits = IntakeLimits {
            keep_free_bytes: u64::MAX,
            ..limits()
        };
        let owner = Arc::new(home.own().unwrap());
        let intake = Intake::open(&home, owner, place.clock.clone(), limits).await.unwrap();
        let refused = intake.append(vec![events([1])]).await.unwrap_err();
        assert!(refused.to_string().contains("are kept free"), "{refused}");
        assert!(Snapshot::latest(&intake.attach(&home)).await.unwrap().tables.is_empty());
        drop(intake);
        // There is room again: the event is not taken for one that was seen.
        let intake = place.open().await.unwrap();
        assert_eq!(append(&intake, [1]).await, (1, 0));
    }
}
