//! Sums over all customers, computed once for all questions that stand on them.

use std::sync::Arc;

use atalaya_model::{Grain, Kind, KnownBy};
use atalaya_movements::{Figures, Inputs, PeriodEnds};
use atalaya_store::Snapshot;
use tokio::sync::OnceCell;

use crate::{EvaluationPlan, Evaluator, MetricsError, operator_inputs, plan};

/// Sums, once somebody has computed them; none where the records do not allow all of them.
pub(crate) type SharedFigures = Arc<OnceCell<Option<Arc<Figures>>>>;

/// All that sums hang on.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The tables they are computed from.
    pub(crate) snapshot: String,
    policy: String,
    known_by: KnownBy,
    as_of: i64,
    periods: Vec<PeriodEnds>,
}

impl Frame {
    /// Whether another frame's sums are among those of this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let known = |frame: &Self| (frame.known_by, frame.as_of);
        self.snapshot == other.snapshot
            && self.policy == other.policy
            && known(self) == known(other)
            && self
                .periods
                .windows(other.periods.len().max(1))
                .any(|periods| periods == other.periods)
    }
}

/// Periods before the first that some figure of the grain looks back on: one pass serves them all.
fn lookback(grain: Grain) -> u32 {
    match grain {
        Grain::Day => 30,
        Grain::Month => 12,
        Grain::Week | Grain::Quarter | Grain::Year => 0,
    }
}

impl Evaluator {
    /// For how many frames (data, policy, instant and periods) sums over all customers are kept.
    pub fn figures_kept(&self) -> usize {
        self.cache.figures_kept()
    }

    /// How many periods before the first are computed too: those that some figure looks back on, so that one pass serves
    /// them all, and where that fails, those that the plan itself does. What lies before may lack its rates.
    pub(crate) fn lookbacks(&self, plan: &EvaluationPlan) -> [u32; 2] {
        let with_own = operator_inputs::periods(&plan.calendar).len();
        let own = u32::try_from(with_own.saturating_sub(plan.periods.len())).unwrap_or(0);
        let of_grain = plan.periods.first().map_or(0, |period| lookback(period.grain));
        [own.max(of_grain), own]
    }

    /// The sums that a plan stands on; none where some of them cannot be computed: then each question must be asked for
    /// itself, so that one that does not need them is answered and one that does says what is missing.
    pub(crate) async fn sums_for(
        &self,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
        inputs: &Arc<Inputs>,
    ) -> Result<Option<Arc<Figures>>, MetricsError> {
        if plan.periods.is_empty() {
            return Ok(None);
        }
        let names = [Kind::Subscriptions, Kind::PriceTiers, Kind::FxRates].map(Kind::name);
        let frame = |periods| Frame {
            snapshot: snapshot.id(&names),
            policy: self.policy().hash(),
            known_by: plan.known_by,
            as_of: plan.now.timestamp_micros(),
            periods,
        };
        for lookback in self.lookbacks(plan) {
            let periods = plan::looking_back(self.home().settings(), &plan.periods, lookback)?;
            let periods = self.ends(plan, &periods)?;
            let cell = self.cache.figures(frame(periods.clone()));
            let compute = || async {
                let inputs = Arc::new(inputs.over(periods));
                let threads = self.threads();
                let computed = tokio::task::spawn_blocking(move || Figures::compute(&inputs, threads)).await;
                computed.ok().and_then(Result::ok).map(Arc::new)
            };
            if let Some(figures) = cell.get_or_init(compute).await {
                return Ok(Some(Arc::clone(figures)));
            }
        }
        Ok(None)
    }
}
