//! Customer lifetimes of a home, by segment, and what a customer is worth over them.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
};
use atalaya_model::{Figure, Grain, KnownBy, Period, SeriesQuery, calendar};
use atalaya_store::Snapshot;

use crate::{
    EvaluationPlan, Evaluator, MetricsError, Scope,
    survival::{Estimate, Lifetime, MonthCounts, ShiftedBetaGeometric, restricted_mean_months},
};

/// Fewer customers, or fewer who left, tell nothing that should be shown.
const LEAST_CUSTOMERS: usize = 30;
const LEAST_ENDED: usize = 10;

/// How long the customers of a segment stay.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentLifetimes {
    /// The segment; none when nothing is split, or where nothing is known.
    pub segment: Option<String>,
    /// Customers that ever paid.
    pub customers: usize,
    /// Of them, those who left.
    pub ended: usize,
    /// Months within the horizon by Kaplan–Meier.
    pub observed_months: Option<Estimate>,
    /// The fitted model.
    pub model: Option<ShiftedBetaGeometric>,
    /// Gross profit of a customer within the horizon, in minor units of the reporting currency, by Kaplan–Meier.
    pub ltv_minor: Option<Estimate>,
    /// Why something is missing.
    pub reason: Option<String>,
}

impl Evaluator {
    /// Lifetimes within a horizon, split by one attribute of customers at most; worth at the ARPA and gross margin of `month`.
    pub async fn lifetimes(
        &self,
        horizon_months: u32,
        by: Option<&str>,
        month: Period,
        snapshot: &Snapshot,
    ) -> Result<Vec<SegmentLifetimes>, MetricsError> {
        let spec = self.spec("arpa")?;
        let split: Vec<String> = by.map(str::to_owned).into_iter().collect();
        spec.check_dimensions(&split)?;
        let column = match by {
            Some(name @ ("country" | "market" | "channel")) => name,
            Some(name) => {
                return Err(MetricsError::Query(atalaya_model::ModelError::BadSetting {
                    name: "by",
                    reason: format!("lifetimes are split by country, market or channel of the customer, not by {name}"),
                }));
            }
            None => "CAST(NULL AS VARCHAR)",
        };
        let settings = self.home().settings();
        let now = self.clock().now();
        // Up to now: of the present month, what is over.
        let zone = calendar::parse_zone(&settings.time_zone)?;
        let present = calendar::period_of(zone, settings.week_start, Grain::Month, calendar::day_of(zone, now));
        let scope = Scope {
            by: &[],
            periods: &[present],
            known_by: KnownBy::Atalaya,
            now,
            vintages: &[],
            is_present: true,
        };
        let plan =
            EvaluationPlan::for_definitions(self.catalog(), settings, self.policy(), &["customer_lifetimes"], &scope)?;
        let session = self.session(&plan, snapshot).await?;
        let select = format!("SELECT {column} AS segment, lifetime_days, has_ended, renewals FROM customer_lifetimes");
        let (_, batches) = session.query(&select).await.map_err(|source| MetricsError::Engine {
            metric: "customer_lifetimes".to_owned(),
            source,
        })?;
        let mut segments: BTreeMap<Option<String>, Vec<Lifetime>> = BTreeMap::new();
        for batch in &batches {
            let names = batch.column(0).as_string::<i32>();
            let [days, ended, renewals] = [1, 2, 3].map(|column| batch.column(column).as_primitive::<Int64Type>());
            for row in 0..batch.num_rows() {
                let segment = names.is_valid(row).then(|| names.value(row).to_owned());
                segments.entry(segment).or_default().push(Lifetime {
                    days: days.value(row),
                    has_ended: ended.value(row) == 1,
                    renewals: u32::try_from(renewals.value(row)).unwrap_or(0),
                });
            }
        }
        let arpa = self.figures("arpa", &split, month, snapshot).await?;
        let margin = self.figures("gross_margin", &[], month, snapshot).await?;
        let margin = margin.get(&None).copied().flatten();
        Ok(segments
            .into_iter()
            .map(|(segment, lifetimes)| {
                let worth = arpa
                    .get(&segment)
                    .copied()
                    .flatten()
                    .zip(margin)
                    .map(|(arpa, margin)| arpa * margin);
                of_segment(segment, &lifetimes, horizon_months, worth)
            })
            .collect())
    }

    /// A month's figures by segment: minor units of money, or ratios.
    #[allow(clippy::cast_precision_loss, reason = "factors of an estimate")]
    async fn figures(
        &self,
        metric: &str,
        by: &[String],
        month: Period,
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<Option<String>, Option<f64>>, MetricsError> {
        let query = SeriesQuery {
            metric: metric.to_owned(),
            from: month.start_on,
            to: month.end_on,
            grain: Grain::Month,
            by: by.to_vec(),
            as_of: None,
            known_by: KnownBy::Atalaya,
        };
        let series = self.series_on(&query, snapshot).await?;
        let value = |figure: &Figure| match figure {
            Figure::Money { value_minor, .. } => Some(*value_minor as f64),
            Figure::Ratio { numerator, denominator } if *denominator != 0 => {
                Some(*numerator as f64 / *denominator as f64)
            }
            _ => None,
        };
        Ok(series
            .points
            .iter()
            .map(|point| (point.dimensions.first().cloned().flatten(), value(&point.figure)))
            .collect())
    }
}

fn of_segment(
    segment: Option<String>,
    lifetimes: &[Lifetime],
    horizon_months: u32,
    worth_minor: Option<f64>,
) -> SegmentLifetimes {
    let ended = lifetimes.iter().filter(|lifetime| lifetime.has_ended).count();
    let mut found = SegmentLifetimes {
        segment,
        customers: lifetimes.len(),
        ended,
        observed_months: None,
        model: None,
        ltv_minor: None,
        reason: None,
    };
    if lifetimes.len() < LEAST_CUSTOMERS || ended < LEAST_ENDED {
        found.reason = Some(format!(
            "{} customers of whom {ended} left are too few to tell (at least {LEAST_CUSTOMERS} and {LEAST_ENDED})",
            lifetimes.len()
        ));
        return found;
    }
    found.model = ShiftedBetaGeometric::fit(&MonthCounts::of(lifetimes));
    found.observed_months = restricted_mean_months(lifetimes, horizon_months);
    found.ltv_minor = found
        .observed_months
        .zip(worth_minor)
        .map(|(months, worth)| months.times(worth));
    if found.observed_months.is_none() {
        let longest = lifetimes.iter().map(|lifetime| lifetime.days).max().unwrap_or(0);
        found.reason = Some(format!(
            "nobody has been a customer for {horizon_months} months yet (the longest for {longest} days): only the model reaches so far"
        ));
    } else if worth_minor.is_none() {
        found.reason = Some("the month has no ARPA or no gross margin: no value of a customer".to_owned());
    } else if found.model.is_none() {
        found.reason = Some(
            "no shifted beta-geometric model: they leave at an even rate, or in too few different months".to_owned(),
        );
    }
    found
}
