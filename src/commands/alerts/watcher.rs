use std::{sync::Arc, time::Duration};

use atalaya_alerts::{
    Canary, Control, Heart, Oncall, Pulse, Route, Routes, Runner, Sender, is_canary_due, send_canary, tell_late,
};
use atalaya_metrics::Evaluator;
use atalaya_model::{Clock, Language, calendar};
use chrono::NaiveTime;
use chrono_tz::Tz;
use tokio::sync::{Notify, watch};

use super::rules_of;
use crate::context::{AlertTurns, Context};

/// Evaluates after commits and delivers what is due.
pub(crate) struct Watcher {
    runner: Arc<Runner>,
    sender: Sender,
    control: Control,
    company: String,
    zone: Tz,
    /// Routes that have an address.
    addressed: Vec<Route>,
    heart: Option<Heart>,
    /// When each day the routes are tested.
    canary_at: Option<NaiveTime>,
    clock: Arc<dyn Clock>,
    turns: Arc<AlertTurns>,
    pulse: Arc<Pulse>,
}

/// The least time between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(20);

impl Watcher {
    pub(crate) async fn start(context: &Context, evaluator: Arc<Evaluator>) -> anyhow::Result<Self> {
        let home = context.home()?;
        let control = Control::open(&home.control_database()).await?;
        let variable = |name: &str| std::env::var(name).ok();
        let routes = Routes::from_variables(variable)?;
        let hour = |name: &str| match variable(name) {
            Some(text) => NaiveTime::parse_from_str(&text, "%H:%M")
                .map(Some)
                .map_err(|_| anyhow::anyhow!("{name}: {text:?} is no time of the day (09:00)")),
            None => Ok(None),
        };
        let (canary_at, digest_at) = (hour("ATALAYA_CANARY_AT")?, hour("ATALAYA_DIGEST_AT")?);
        let language = match std::env::var("ATALAYA_ALERT_LANGUAGE").as_deref() {
            Ok("es") => Language::Es,
            Ok("en") | Err(_) => Language::En,
            Ok(other) => anyhow::bail!("ATALAYA_ALERT_LANGUAGE: {other:?} is neither en nor es"),
        };
        let clock = Arc::clone(&context.clock);
        let runner = Runner::new(
            evaluator,
            control.clone(),
            Arc::clone(&clock),
            home.settings().clone(),
            language,
            rules_of(&home)?,
        );
        let zone = calendar::parse_zone(&home.settings().time_zone)?;
        let runner = runner.with_oncall(Oncall::of_home(home.dir(), zone)?);
        let runner = match digest_at {
            Some(digest_at) => runner.with_digest_at(digest_at),
            None => runner,
        };
        let addressed = routes.addressed();
        let sender = Sender::new(control.clone(), routes, Arc::clone(&clock))?;
        Ok(Self {
            runner: Arc::new(runner),
            sender,
            control,
            company: home.settings().company.clone(),
            zone,
            addressed,
            heart: Heart::from_variables(variable)?,
            canary_at,
            clock,
            turns: Arc::clone(&context.alert_turns),
            pulse: Arc::clone(&context.pulse),
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

    /// Sends a message over each route that has an address, now, and says what became of it.
    pub(super) async fn test_routes(&self) -> anyhow::Result<Vec<(&'static str, Canary)>> {
        anyhow::ensure!(
            !self.addressed.is_empty(),
            "no route has an address: see docs/alerts.md"
        );
        send_canary(&self.control, &self.addressed, &self.company, self.clock.now()).await?;
        {
            let _turn = self.turns.sending.lock().await;
            self.sender.deliver_due().await?;
        }
        let mut canaries = self.control.canaries().await?;
        let of = |route: &Route| canaries.remove(route.name()).map(|canary| (route.name(), canary));
        Ok(self.addressed.iter().filter_map(of).collect())
    }

    /// Runs until `commits` ends. Deciding and sending do not wait for each other: a vendor that hangs delays no decision.
    pub(crate) async fn run(self, commits: watch::Receiver<u64>) {
        self.pulse.begin(self.clock.now());
        let decided = Notify::new();
        tokio::select! {
            () = self.decide(commits, &decided) => {}
            () = self.send(&decided) => {}
            () = self.beat(&decided) => {}
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
                let began = tokio::time::Instant::now();
                let looked = tokio::spawn(async move { runner.tick().await }).await;
                let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.pulse.looked(matches!(looked, Ok(Ok(_))), millis, self.clock.now());
                match looked {
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

    /// Tells those outside that alerts would reach people, as long as that is so; tells people when nobody looks at the rules; and
    /// tests the routes once a day. Beside the two others: it must notice when one of them hangs.
    async fn beat(&self, decided: &Notify) {
        let mut ticker = tokio::time::interval(BEAT);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticker.tick().await;
            match self.worry(decided).await {
                Ok(None) => {
                    if let Some(Err(reason)) = self.sign().await {
                        tracing::warn!("nobody took the sign of life: {reason}");
                    }
                }
                Ok(Some(worry)) => tracing::error!("no sign of life is given: {worry}"),
                Err(error) => tracing::error!("no sign of life is given: {error:#}"),
            }
        }
    }

    async fn sign(&self) -> Option<Result<(), String>> {
        // Before the first look nobody knows whether it will come to an end.
        let heart = self.heart.as_ref().filter(|_| self.pulse.beats().looked_at.is_some())?;
        Some(heart.beat().await)
    }

    async fn worry(&self, decided: &Notify) -> anyhow::Result<Option<String>> {
        let now = self.clock.now();
        let beats = self.pulse.beats();
        tell_late(&self.control, &self.company, &beats, now).await?;
        let figures = self.control.figures().await?;
        if let Some(at) = self.canary_at {
            let last_at = figures.canaries.values().map(|canary| canary.sent_at).max();
            if is_canary_due(at, self.zone, last_at, now) && !self.addressed.is_empty() {
                send_canary(&self.control, &self.addressed, &self.company, now).await?;
            }
        }
        decided.notify_one();
        Ok(beats.worry(&figures, &self.addressed, now))
    }
}
