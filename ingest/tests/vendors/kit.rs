//! What every connector has to pass.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use atalaya_ingest::{Connection, IngestError, Pause, Sources, SyncReport, check, sync};
use atalaya_model::{Clock, Kind, ManualClock};
use atalaya_store::{DEAD_LETTERS, Home, Intake, Snapshot};
use chrono::TimeDelta;
use tokio::sync::Notify;

use crate::fake::{Answer, Server};

/// Moves the clock, and notes for how long somebody waited.
pub struct Moved {
    clock: Arc<ManualClock>,
    pub longest: Mutex<Duration>,
}

#[async_trait]
impl Pause for Moved {
    async fn pause(&self, time: Duration) {
        self.clock.advance(TimeDelta::from_std(time).unwrap());
        let mut longest = self.longest.lock().unwrap();
        *longest = time.max(*longest);
    }
}

/// A home with one connection.
pub struct Place {
    dir: tempfile::TempDir,
    server: Arc<Server>,
    connection: Connection,
    limits: String,
    pub pause: Arc<Moved>,
}

/// A home that is open.
pub struct Open {
    home: Home,
    intake: Intake,
}

impl Place {
    pub fn new(server: &Arc<Server>) -> Self {
        Self::with_limits(server, "")
    }

    fn with_limits(server: &Arc<Server>, limits: &str) -> Self {
        let sources = Self::sources(server, limits);
        Self {
            dir: tempfile::tempdir().unwrap(),
            server: Arc::clone(server),
            connection: sources.connections()[0].clone(),
            limits: limits.to_owned(),
            pause: Arc::new(Moved {
                clock: Arc::clone(&server.clock),
                longest: Mutex::default(),
            }),
        }
    }

    fn sources(server: &Server, limits: &str) -> Sources {
        let connection = server.vendor.connection(&format!("http://{}", server.address));
        let text = format!("{limits}\n[[connection]]\nname = 'place'\nkey_file = 'key'\n{connection}");
        let key = |_: &str| Ok(server.vendor.key());
        Sources::parse("sources.toml", &text, |_| None, key).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// As after a start, whatever the process before left behind.
    pub async fn open(&self) -> Open {
        let home = Home::open_or_create(self.dir.path(), Some("time_zone = 'Europe/Madrid'\n")).unwrap();
        let owner = Arc::new(home.own().unwrap());
        let limits = Self::sources(&self.server, &self.limits).limits().clone();
        let clock: Arc<dyn Clock> = self.server.clock.clone();
        let intake = Intake::open(&home, owner, clock, limits).await.unwrap();
        Open {
            home: intake.attach(&home),
            intake,
        }
    }

    fn tools(&self) -> (Arc<dyn Clock>, Arc<dyn Pause>) {
        (self.server.clock.clone(), self.pause.clone())
    }

    pub async fn check(&self) -> Result<String, IngestError> {
        let open = self.open().await;
        let (clock, pause) = self.tools();
        check(&open.home, &self.connection, &clock, &pause).await
    }

    pub async fn sync(&self) -> Result<SyncReport, IngestError> {
        let open = self.open().await;
        let (clock, pause) = self.tools();
        sync(&open.home, &open.intake, &self.connection, &clock, &pause, &|_| {}).await
    }

    /// Syncs, and is killed when a page is durable; whether it came to its end.
    async fn sync_one_page(&self) -> bool {
        let open = self.open().await;
        let (clock, pause) = self.tools();
        let killed = Notify::new();
        let on_page = |_: SyncReport| killed.notify_one();
        tokio::select! {
            biased;
            _ = killed.notified() => false,
            done = sync(&open.home, &open.intake, &self.connection, &clock, &pause, &on_page) => {
                done.unwrap();
                true
            }
        }
    }

    /// What stands: the newest version of every record, in the columns that the vendor's test looks at.
    pub async fn rows(&self) -> BTreeMap<Kind, Vec<String>> {
        let open = self.open().await;
        let kinds = self.server.vendor.kinds();
        let mut all = BTreeMap::new();
        for (kind, columns) in kinds {
            let mut newest: BTreeMap<String, ((i64, i64), String, String)> = BTreeMap::new();
            for row in table(&open.home, kind.name()).await {
                let number = |name: &str| row[name].parse::<i64>().unwrap();
                let rank = (number("record_version"), number("arrival_seq"));
                let cells: Vec<&str> = columns.iter().map(|column| row[*column].as_str()).collect();
                let entry = (rank, row["operation"].clone(), cells.join(" "));
                let known = newest.entry(row["record_key"].clone()).or_insert_with(|| entry.clone());
                if known.0 < rank {
                    *known = entry;
                }
            }
            let rows = newest.into_values().filter(|(_, operation, _)| operation == "upsert");
            let mut rows: Vec<String> = rows.map(|(_, _, shown)| shown).collect();
            rows.sort();
            all.insert(kind, rows);
        }
        all
    }

    /// Column and reason of each dead letter.
    pub async fn dead_letters(&self) -> Vec<String> {
        let open = self.open().await;
        let rows = table(&open.home, DEAD_LETTERS).await;
        rows.iter()
            .map(|row| format!("{} {}", row["column_name"], row["reason"]))
            .collect()
    }
}

async fn table(home: &Home, name: &str) -> Vec<BTreeMap<String, String>> {
    let snapshot = Snapshot::latest(home).await.unwrap();
    let mut rows = Vec::new();
    for file in snapshot
        .tables
        .get(name)
        .map(|table| table.files.clone())
        .unwrap_or_default()
    {
        for batch in file.batches(None).unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let schema = batch.schema();
                let named = schema.fields().iter().zip(batch.columns());
                let cells = named.map(|(field, column)| {
                    let shown = array_value_to_string(column, row).unwrap();
                    (field.name().clone(), shown)
                });
                rows.push(cells.collect());
            }
        }
    }
    rows
}

/// Everything that is asked of every connector.
pub async fn comply(server: &Arc<Server>) {
    let whole = Place::new(server);
    whole.check().await.unwrap();
    let first = whole.sync().await.unwrap();
    assert!(first.rows > 0 && first.dead_letters == 0, "{first:?}");
    let expected = whole.rows().await;
    assert!(expected.values().any(|rows| !rows.is_empty()));

    // Nothing happened: nothing is new.
    server.clock.advance(TimeDelta::minutes(2));
    let again = whole.sync().await.unwrap();
    assert_eq!((again.rows, again.dead_letters), (0, 0), "{again:?}");
    assert_eq!(whole.rows().await, expected);

    // Killed behind page after page, it goes on where it was.
    let interrupted = Place::new(server);
    let mut kills = 0;
    while !interrupted.sync_one_page().await {
        kills += 1;
        assert!(kills < 200, "it never comes to its end");
    }
    // Two pages may pass before the kill is heard.
    assert!(kills >= first.pages / 2, "{kills} of {} pages", first.pages);
    assert_eq!(interrupted.rows().await, expected);

    patience(server, &expected).await;
    secrets(server).await;
    nowhere_to_put_it(server).await;

    // An object that cannot be mapped is kept, told, and stops nothing.
    server.vendor.break_one(server.clock.now());
    server.clock.advance(TimeDelta::minutes(2));
    let broken = whole.sync().await.unwrap();
    assert_eq!(broken.dead_letters, 1, "{broken:?}");
    assert_eq!(whole.dead_letters().await.len(), 1);
    assert_eq!(whole.rows().await, expected);
    server.clock.advance(TimeDelta::minutes(2));
    let again = whole.sync().await.unwrap();
    assert_eq!((again.rows, again.dead_letters), (0, 0), "{again:?}");
}

/// A vendor that asks for patience, at every question, in every way.
async fn patience(server: &Arc<Server>, expected: &BTreeMap<Kind, Vec<String>>) {
    type Refuse = fn() -> Answer;
    let ways: [(u64, Refuse); 3] = [
        (7, || Answer::error(429, "slow down").with("retry-after", 7)),
        (4, || Answer::error(429, "slow down")),
        (4, || Answer::error(502, "bad gateway")),
    ];
    for (least_secs, refuse) in ways {
        let place = Place::new(server);
        let mut was_refused = false;
        // Every second time, so that what is asked again is answered.
        server.trouble(move |_, _| {
            was_refused = !was_refused;
            was_refused.then(refuse)
        });
        place.sync().await.unwrap();
        server.no_trouble();
        assert_eq!(place.rows().await, *expected);
        let longest = *place.pause.longest.lock().unwrap();
        assert!(longest >= Duration::from_secs(least_secs), "{longest:?}");
    }
    // One that never answers is left alone, and told.
    let place = Place::new(server);
    server.trouble(|_, _| Some(Answer::error(503, "maintenance").with("retry-after", 20)));
    let error = place.sync().await.unwrap_err().to_string();
    assert!(error.contains("try again in 20 s"), "{error}");
    assert!(server.asked() < 20, "{}", server.asked());
    server.no_trouble();
}

/// Whatever a vendor answers, no message holds what proves who asked.
pub async fn secrets(server: &Arc<Server>) {
    let secrets = server.vendor.secrets();
    for status in [400, 401, 403, 404, 500] {
        let place = Place::new(server);
        let all = secrets.join(" ");
        server.trouble(move |_, asked| {
            if asked.path == "/token" {
                return None;
            }
            let heard = format!("{all} {:?} {}", asked.headers, asked.body);
            Some(Answer::error(status, &heard))
        });
        // What is absent may be passed over by a sync, and told by a check.
        let errors = [place.sync().await.err(), Some(place.check().await.unwrap_err())];
        for error in errors.into_iter().flatten() {
            let (shown, debugged) = (error.to_string(), format!("{error:?} {:?}", place.connection));
            for secret in &secrets {
                assert!(
                    !shown.contains(secret) && !debugged.contains(secret),
                    "{status}: {shown}"
                );
            }
        }
        server.no_trouble();
    }
}

/// Where a page cannot be made durable, the position stays where it was.
async fn nowhere_to_put_it(server: &Arc<Server>) {
    let full = Place::with_limits(server, "[intake]\nkeep_free_mb = 1000000000000\n");
    assert!(full.sync().await.is_err());
    assert!(full.rows().await.values().all(Vec::is_empty));
    let open = full.open().await;
    assert!(table(&open.home, Kind::SyncPositions.name()).await.is_empty());
}
