use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use atalaya_metrics::Evaluator;
use atalaya_model::{Clock, ManualClock, SystemClock};
use atalaya_store::{Home, OwnerLock};

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
    /// Whether this process watches the rules already.
    pub(crate) watching: bool,
    /// Held while rules are evaluated or intents delivered: two at once would both decide.
    pub(crate) alert_turn: Arc<tokio::sync::Mutex<()>>,
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
        Ok(Self {
            home_dir,
            working_dir,
            clock,
            owner: None,
            watching: false,
            alert_turn: Arc::default(),
        })
    }

    pub(crate) fn home(&self) -> anyhow::Result<Home> {
        Ok(Home::open(&self.home_dir)?)
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
