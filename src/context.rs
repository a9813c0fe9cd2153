use std::{
    collections::{BTreeMap, HashMap},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use atalaya_alerts::Pulse;
use atalaya_ingest::{Connection, IngestError, Pause, RealPause, Receivers, SOURCES_FILE, Sources, SyncReport, sync};
use atalaya_metrics::Evaluator;
use atalaya_model::{Clock, ManualClock, SystemClock};
use atalaya_store::{Home, Intake, OwnerLock};
use chrono::{DateTime, Utc};
use tokio::{
    io::{AsyncBufRead, BufReader},
    sync::OwnedMutexGuard,
};

/// What is piped into a command.
pub(crate) type Input = Box<dyn AsyncBufRead + Send + Unpin>;

/// What became of asking a source.
#[derive(Debug, Clone)]
pub(crate) struct Synced {
    /// When it was read to its end last.
    pub(crate) at: Option<DateTime<Utc>>,
    /// What all syncs together brought.
    pub(crate) all: SyncReport,
    /// Why the last one failed; `None` when it came to its end.
    pub(crate) failed: Option<String>,
    /// How many did.
    pub(crate) failures: u64,
}

type SyncTurn = Arc<tokio::sync::Mutex<()>>;

/// What a command runs in.
#[derive(Clone)]
pub(crate) struct Context {
    /// The home's folder as it was named.
    pub(crate) home_dir: PathBuf,
    /// The folder relative paths start from.
    pub(crate) working_dir: PathBuf,
    /// Where "now" comes from.
    pub(crate) clock: Arc<dyn Clock>,
    /// The home's lock, when this process holds it already.
    pub(crate) owner: Option<Arc<OwnerLock>>,
    /// Where events come in, when this process takes them.
    pub(crate) intake: Option<Arc<Intake>>,
    /// The receivers, when this process listens for events.
    pub(crate) receivers: Option<Arc<Receivers>>,
    /// Whether this process watches the rules already.
    pub(crate) watching: bool,
    /// What is piped in, where another process asked and sends it; else this process's own standard input is read.
    pub(crate) piped: Arc<Mutex<Option<Input>>>,
    /// What became of each source that was asked since the start of the process.
    pub(crate) synced: Arc<Mutex<BTreeMap<String, Synced>>>,
    /// One for each source that is asked: two at once would each write how far they have come.
    pub(crate) sync_turns: Arc<Mutex<HashMap<String, SyncTurn>>>,
    /// What those who watch the rules did last.
    pub(crate) pulse: Arc<Pulse>,
    /// Held while rules are evaluated or intents delivered.
    pub(crate) alert_turns: Arc<AlertTurns>,
}

/// What only one may do at a time: two at once would both decide, or both send.
#[derive(Debug, Default)]
pub(crate) struct AlertTurns {
    pub(crate) deciding: tokio::sync::Mutex<()>,
    pub(crate) sending: tokio::sync::Mutex<()>,
}

/// What is piped into this process.
pub(crate) fn standard_input() -> anyhow::Result<tokio::fs::File> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(tokio::fs::File::from_std(std::fs::File::from(input)))
}

impl Context {
    pub(crate) fn new(home_dir: PathBuf) -> anyhow::Result<Self> {
        let working_dir = std::env::current_dir()?;
        // Tests and rehearsals fix the present; everything that asks for "now" asks this clock.
        let clock: Arc<dyn Clock> = match std::env::var("ATALAYA_NOW") {
            Ok(text) => {
                let at = chrono::DateTime::parse_from_rfc3339(&text).map_err(|_| {
                    anyhow::anyhow!("ATALAYA_NOW: {text:?} is not a time (expected 2026-01-31T09:30:00Z)")
                })?;
                Arc::new(ManualClock::new(at.to_utc()))
            }
            Err(_) => Arc::new(SystemClock),
        };
        let pulse = Arc::new(Pulse::new(clock.now()));
        Ok(Self {
            home_dir,
            working_dir,
            clock,
            owner: None,
            intake: None,
            receivers: None,
            watching: false,
            piped: Arc::default(),
            synced: Arc::default(),
            sync_turns: Arc::default(),
            pulse,
            alert_turns: Arc::default(),
        })
    }

    pub(crate) fn home(&self) -> anyhow::Result<Home> {
        let home = Home::open(&self.home_dir)?;
        Ok(match &self.intake {
            Some(intake) => intake.attach(&home),
            None => home,
        })
    }

    /// The sources that may push events, where the home names any.
    pub(crate) fn sources(&self, home: &Home) -> anyhow::Result<Option<Sources>> {
        Ok(Sources::load(home.dir(), |name| std::env::var(name).ok())?)
    }

    /// The sources of a home that must name some.
    pub(crate) fn named_sources(&self, home: &Home) -> anyhow::Result<Sources> {
        self.sources(home)?.ok_or_else(|| {
            let file = home.dir().join(SOURCES_FILE);
            anyhow::anyhow!("{} is missing: it names the connections", file.display())
        })
    }

    /// What is told where a connection is asked for that is not there.
    pub(crate) fn no_connection(home: &Home, sources: &Sources, name: Option<&str>) -> anyhow::Error {
        let file = home.dir().join(SOURCES_FILE);
        let known: Vec<&str> = sources.connections().iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        let asked = name.map_or_else(|| "no connection".to_owned(), |name| format!("no connection {name:?}"));
        anyhow::anyhow!("{}: {asked}; {known}", file.display())
    }

    /// Opens the log of a home, with what an earlier process left in it.
    pub(crate) async fn open_intake(
        &self,
        home: &Home,
        owner: Arc<OwnerLock>,
        sources: Option<&Sources>,
    ) -> anyhow::Result<Intake> {
        let limits = match sources {
            Some(sources) => sources.limits().clone(),
            None => Sources::none()?.limits().clone(),
        };
        Ok(Intake::open(home, owner, Arc::clone(&self.clock), limits).await?)
    }

    /// Standard input of the process that asked.
    pub(crate) fn input(&self) -> anyhow::Result<Input> {
        let piped = self.piped.lock().unwrap_or_else(PoisonError::into_inner).take();
        match piped {
            Some(piped) => Ok(piped),
            None => Ok(Box::new(BufReader::new(standard_input()?))),
        }
    }

    /// The log: the one of this process, or opened now.
    pub(crate) async fn intake(&self, home: &Home, sources: Option<&Sources>) -> anyhow::Result<Arc<Intake>> {
        match &self.intake {
            Some(intake) => Ok(Arc::clone(intake)),
            None => Ok(Arc::new(self.open_intake(home, self.own(home)?, sources).await?)),
        }
    }

    /// Reads what is new at a source, and remembers what became of it.
    pub(crate) async fn sync(
        &self,
        home: &Home,
        intake: &Intake,
        connection: &Connection,
        on_page: &(dyn Fn(SyncReport) + Sync),
    ) -> Result<SyncReport, IngestError> {
        let _turn = self.sync_turn(&connection.name).await;
        let pause: Arc<dyn Pause> = Arc::new(RealPause);
        let so_far = Mutex::new(SyncReport::default());
        let heard = |report: SyncReport| {
            *so_far.lock().unwrap_or_else(PoisonError::into_inner) = report;
            on_page(report);
        };
        let done = sync(home, intake, connection, &self.clock, &pause, &heard).await;
        let so_far = *so_far.lock().unwrap_or_else(PoisonError::into_inner);
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let note = synced.entry(connection.name.clone()).or_insert_with(|| Synced {
            at: None,
            all: SyncReport::default(),
            failed: None,
            failures: 0,
        });
        if done.is_ok() {
            note.at = Some(self.clock.now());
        }
        note.all += so_far;
        note.failed = done.as_ref().err().map(IngestError::to_string);
        note.failures += u64::from(done.is_err());
        done
    }

    /// What became of the sources that were asked.
    pub(crate) fn synced(&self) -> BTreeMap<String, Synced> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody asks a source, and keeps others from it.
    pub(crate) async fn sync_turn(&self, connection: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.sync_turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(connection.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    pub(crate) fn evaluator(&self) -> anyhow::Result<Evaluator> {
        Ok(Evaluator::new(self.home()?, Arc::clone(&self.clock))?)
    }

    /// The lock: this process's own, or taken now.
    pub(crate) fn own(&self, home: &Home) -> anyhow::Result<Arc<OwnerLock>> {
        match &self.owner {
            Some(owner) => Ok(Arc::clone(owner)),
            None => Ok(Arc::new(home.own()?)),
        }
    }

    /// A path of the command line as the asking process meant it.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.working_dir.join(path)
    }
}
