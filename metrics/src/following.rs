//! Sums that follow commits: kept between questions, brought up to date by the customers whom a commit concerns, and
//! compared with a computation from all records.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use atalaya_model::{Kind, KnownBy, Period};
use atalaya_movements::{Figures, Handovers, Inputs, LiveFigures, PeriodEnds, Stale};
use atalaya_store::Snapshot;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    EvaluationPlan, Evaluator, MetricsError,
    operator_inputs::{self, Prices},
    plan,
};

/// Sequences of periods that are kept up to date: a board has months and days, and few others are asked for.
const MOST_FRAMES: usize = 6;

/// How long a present lasts.
const ONE_PRESENT: TimeDelta = TimeDelta::seconds(1);

/// What follows commits, with the version of the table that it has followed to.
#[derive(Debug)]
pub(crate) struct Following {
    live: LiveFigures<Vec<Period>>,
    version: Version,
}

/// A table's version, and how far its log is.
type Version = (u64, Option<i64>);

/// What a computation from all records says of the sums that followed commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Sums that differ; anything but 0 is a fault of Atalaya.
    pub differences: usize,
    /// Sequences of periods that were compared.
    pub frames: usize,
    /// When.
    pub checked_at: DateTime<Utc>,
}

fn version(snapshot: &Snapshot) -> Option<Version> {
    let table = snapshot.tables.get(Kind::Subscriptions.name())?;
    Some((table.version, table.hot_seq))
}

fn rows(snapshot: &Snapshot) -> u64 {
    let table = snapshot.tables.get(Kind::Subscriptions.name());
    table.map_or(0, |table| table.files.iter().map(|file| file.rows).sum())
}

impl Evaluator {
    /// The same with sums that follow commits, for a process that is asked again and again. Customers' rows are kept in
    /// files without a name in `dir`.
    pub fn following(mut self, dir: PathBuf) -> Self {
        self.kept_in = Some(dir);
        self
    }

    /// How often sums that follow commits (those of one sequence of periods) were computed from all customers, and how often
    /// brought up to date by some.
    pub fn passes_and_updates(&self) -> (u64, u64) {
        let (passes, updates) = (&self.cache.passes, &self.cache.updates);
        (passes.load(Ordering::Relaxed), updates.load(Ordering::Relaxed))
    }

    /// What was found when the sums that follow commits were compared last; none where they were not.
    pub fn drift(&self) -> Option<Drift> {
        self.cache.drift.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares the sums that follow commits with a computation from all records, to the last digit; none where there are
    /// none yet. Sums that differ are thrown away.
    pub async fn check_drift(&self) -> Result<Option<Drift>, MetricsError> {
        // Boards go on while all records are read.
        let (inputs, frames, rows) = {
            let following = self.cache.following.lock().await;
            let Some(kept) = following.as_ref() else {
                return Ok(None);
            };
            let frames: Vec<Arc<Figures>> = kept.live.frames().map(|(_, figures)| Arc::clone(figures)).collect();
            (kept.live.inputs(), frames, kept.live.rows())
        };
        let (many, threads) = (frames.len(), self.threads());
        let compare = move || -> Result<usize, String> {
            let handovers = Handovers::find(&inputs.subscriptions, rows, threads).map_err(|error| error.to_string())?;
            let inputs = inputs.with(&Arc::new(handovers));
            let mut differences = 0;
            for figures in frames {
                let inputs = Arc::new(inputs.over(figures.periods().to_vec()));
                let anew = Figures::compute(&inputs, threads).map_err(|error| error.to_string())?;
                differences += anew.differences(&figures);
            }
            Ok(differences)
        };
        let compared = tokio::task::spawn_blocking(compare)
            .await
            .map_err(|error| error.to_string());
        let differences = compared.and_then(|compared| compared).map_err(contract)?;
        if differences > 0 {
            *self.cache.following.lock().await = None;
        }
        let drift = Drift {
            differences,
            frames: many,
            checked_at: self.clock().now(),
        };
        *self.cache.drift.lock().unwrap_or_else(PoisonError::into_inner) = Some(drift.clone());
        Ok(Some(drift))
    }

    /// The present of a question: one for all that are asked of the same data within a second, so that they share sums.
    pub(crate) fn present(&self, snapshot: &Snapshot) -> DateTime<Utc> {
        let now = self.clock().now();
        if self.kept_in.is_none() {
            return now;
        }
        let id = snapshot.id(&[]);
        let mut present = self.cache.present.lock().unwrap_or_else(PoisonError::into_inner);
        match present.as_ref() {
            Some((of, at)) if *of == id && *at <= now && now - *at < ONE_PRESENT => *at,
            _ => {
                *present = Some((id, now));
                now
            }
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
    }

    /// The sums that a plan stands on, brought up to the snapshot; none where it is not the present that is asked for, or
    /// where they cannot be computed.
    pub(crate) async fn followed(
        &self,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
    ) -> Result<Option<Arc<Figures>>, MetricsError> {
        let (Some(dir), Some(version)) = (&self.kept_in, version(snapshot)) else {
            return Ok(None);
        };
        if !plan.is_present || plan.known_by != KnownBy::Atalaya || plan.periods.is_empty() {
            return Ok(None);
        }
        let prices = self.prices(plan, snapshot).await?;
        let Some(inputs) = operator_inputs::unshared(plan, snapshot, &prices) else {
            return Ok(None);
        };
        let wanted = operator_inputs::periods(&plan.calendar);
        let mut following = self.cache.following.lock().await;
        // A question that began before others is not worth losing what stands.
        let is_ahead = |kept: &Following| kept.version > version || kept.live.as_of() > plan.now.timestamp_micros();
        if following.as_ref().is_some_and(is_ahead) {
            return Ok(None);
        }
        if let Some(kept) = following.take() {
            *following = self.follow(kept, plan, &inputs, snapshot).await?;
        }
        if let Some(kept) = following.as_mut() {
            kept.version = version;
            let covering = kept.live.frames().find(|(_, figures)| figures.cover(&wanted));
            if let Some((_, figures)) = covering {
                return Ok(Some(Arc::clone(figures)));
            }
        }
        let Some(runs) = self.runs(snapshot).await? else {
            return Ok(None);
        };
        let inputs = inputs.with(runs.handovers());
        for lookback in self.lookbacks(plan) {
            self.cache.passes.fetch_add(1, Ordering::Relaxed);
            let periods = plan::looking_back(self.home().settings(), &plan.periods, lookback)?;
            let inputs = Arc::new(inputs.over(self.ends(plan, &periods)?));
            let threads = self.threads();
            match following.as_mut() {
                Some(kept) => {
                    let computed = tokio::task::spawn_blocking(move || Figures::compute(&inputs, threads)).await;
                    if let Some(figures) = computed.ok().and_then(Result::ok).map(Arc::new) {
                        kept.live.add_frame(periods, Arc::clone(&figures), MOST_FRAMES);
                        return Ok(Some(figures));
                    }
                }
                None => {
                    let (rows, dir) = (rows(snapshot), dir.clone());
                    let compute = move || LiveFigures::compute(&inputs, periods, rows, threads, dir);
                    match tokio::task::spawn_blocking(compute).await {
                        Ok(Ok(live)) => {
                            let figures = live.frames().next().map(|(_, figures)| Arc::clone(figures));
                            *following = Some(Following { live, version });
                            return Ok(figures);
                        }
                        Ok(Err(stale)) => tracing::debug!("sums do not follow commits: {stale}"),
                        Err(error) => return Err(contract(error.to_string())),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Brings what is kept up to date; none where it cannot follow.
    async fn follow(
        &self,
        mut kept: Following,
        plan: &EvaluationPlan,
        inputs: &Inputs,
        snapshot: &Snapshot,
    ) -> Result<Option<Following>, MetricsError> {
        if kept.live.is_at(inputs) {
            return Ok(Some(kept));
        }
        let measured: Vec<(Vec<Period>, Vec<PeriodEnds>)> = kept
            .live
            .frames()
            .map(|(periods, _)| Ok((periods.clone(), self.ends(plan, periods)?)))
            .collect::<Result<_, MetricsError>>()?;
        let (inputs, rows) = (inputs.over(Vec::new()), rows(snapshot));
        let follow = move || {
            let ends = |key: &Vec<Period>| {
                let of = measured.iter().find(|(periods, _)| periods == key);
                of.map(|(_, ends)| ends.clone()).unwrap_or_default()
            };
            let followed = kept.live.follow(&inputs, rows, ends);
            (kept, followed)
        };
        match tokio::task::spawn_blocking(follow).await {
            Ok((kept, Ok(customers))) => {
                let frames = kept.live.frames().count() as u64;
                self.cache.updates.fetch_add(frames, Ordering::Relaxed);
                tracing::debug!("{customers} customers looked at again");
                Ok(Some(kept))
            }
            Ok((_, Err(stale @ (Stale::Failed(_) | Stale::Rows)))) => {
                tracing::info!("all customers are looked at again: {stale}");
                Ok(None)
            }
            Ok((_, Err(stale))) => {
                tracing::debug!("all customers are looked at again: {stale}");
                Ok(None)
            }
            Err(error) => Err(contract(error.to_string())),
        }
    }

    /// Periods as they are measured at a plan's instant.
    pub(crate) fn ends(&self, plan: &EvaluationPlan, periods: &[Period]) -> Result<Vec<PeriodEnds>, MetricsError> {
        let tables = plan::constants(self.home().settings(), &plan.policy, periods, plan.now)?;
        Ok(operator_inputs::periods(&tables))
    }

    /// Tiers and rates as a plan knows them, read again only when they changed.
    async fn prices(&self, plan: &EvaluationPlan, snapshot: &Snapshot) -> Result<Arc<Prices>, MetricsError> {
        let of = snapshot.id(&[Kind::PriceTiers, Kind::FxRates].map(Kind::name));
        let kept = self.cache.prices.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept.filter(|kept| kept.of == of) {
            return Ok(kept);
        }
        let session = self.bare_session(plan, snapshot)?;
        self.create_inputs(&session, plan, snapshot).await?;
        let prices = Arc::new(operator_inputs::prices(&session, plan, of).await?);
        *self.cache.prices.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&prices));
        Ok(prices)
    }
}

fn contract(reason: String) -> MetricsError {
    MetricsError::Contract {
        metric: "movements".to_owned(),
        reason,
    }
}
