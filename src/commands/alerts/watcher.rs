use std::{sync::Arc, time::Duration};

use atalaya_alerts::{Control, Routes, Runner, Sender};
use atalaya_model::{Clock, Language};
use tokio::sync::{Notify, watch};

use super::rules_of;
use crate::context::{AlertTurns, Context};

/// Evaluates after commits and delivers what is due.
pub(crate) struct Watcher {
    runner: Arc<Runner>,
    sender: Sender,
    clock: Arc<dyn Clock>,
    turns: Arc<AlertTurns>,
}

/// The least time between two looks.
const PAUSE: Duration = Duration::from_secs(2);

impl Watcher {
    pub(crate) async fn start(context: &Context) -> anyhow::Result<Self> {
        let home = context.home()?;
        let control = Control::open(&home.control_database()).await?;
        let routes = Routes::from_variables(|name| std::env::var(name).ok())?;
        let language = match std::env::var("ATALAYA_ALERT_LANGUAGE").as_deref() {
            Ok("es") => Language::Es,
            Ok("en") | Err(_) => Language::En,
            Ok(other) => anyhow::bail!("ATALAYA_ALERT_LANGUAGE: {other:?} is neither en nor es"),
        };
        let clock = Arc::clone(&context.clock);
        let runner = Runner::new(
            Arc::new(context.evaluator()?),
            control.clone(),
            Arc::clone(&clock),
            home.settings().clone(),
            language,
            rules_of(&home)?,
        );
        let sender = Sender::new(control, routes, Arc::clone(&clock))?;
        Ok(Self {
            runner: Arc::new(runner),
            sender,
            clock,
            turns: Arc::clone(&context.alert_turns),
        })
    }

    pub(super) async fn once(&self) -> anyhow::Result<Vec<String>> {
        let report = {
            let _turn = self.turns.deciding.lock().await;
            self.runner.tick().await?
        };
        let _turn = self.turns.sending.lock().await;
        self.sender.deliver_due().await?;
        Ok(report.lines)
    }

    /// Runs until `commits` ends. Deciding and sending do not wait for each other: a vendor that hangs delays no decision.
    pub(crate) async fn run(self, commits: watch::Receiver<u64>) {
        let decided = Notify::new();
        tokio::select! {
            () = self.decide(commits, &decided) => {}
            () = self.send(&decided) => {}
        }
    }

    /// Looks at the rules after commits, and every minute: a new day needs no commit. A failure is told and tried again:
    /// watching must not end because of it.
    async fn decide(&self, mut commits: watch::Receiver<u64>, decided: &Notify) {
        // Where data lands all the time, one look serves the commits of some seconds.
        let mut pace = tokio::time::interval(PAUSE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            commits.mark_unchanged();
            {
                let _turn = self.turns.deciding.lock().await;
                // In a task of its own: whatever goes wrong in one look, there is a next one.
                let runner = Arc::clone(&self.runner);
                match tokio::spawn(async move { runner.tick().await }).await {
                    Ok(Ok(report)) => report.lines.iter().for_each(|line| tracing::debug!("{line}")),
                    Ok(Err(error)) => tracing::error!("rules could not be evaluated: {error}"),
                    Err(error) => tracing::error!("a look at the rules broke off: {error}"),
                }
            }
            decided.notify_one();
            let look_again = tokio::time::Instant::now() + Duration::from_secs(60);
            if let Ok(Err(_)) = tokio::time::timeout_at(look_again, commits.changed()).await {
                return;
            }
        }
    }

    /// Delivers what is due, as soon as it is decided and whenever it is due again.
    async fn send(&self, decided: &Notify) {
        loop {
            let delivered = {
                let _turn = self.turns.sending.lock().await;
                self.sender.deliver_due().await
            };
            let wait = match delivered {
                Ok(Some(next)) => (next - self.clock.now())
                    .to_std()
                    .unwrap_or(Duration::ZERO)
                    .max(Duration::from_millis(50)),
                Ok(None) => Duration::from_secs(60),
                Err(error) => {
                    tracing::error!("delivery: {error}");
                    Duration::from_secs(5)
                }
            };
            let _ = tokio::time::timeout(wait.min(Duration::from_secs(60)), decided.notified()).await;
        }
    }
}
