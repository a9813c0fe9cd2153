//! What the movement operator reads: the runs, the switches of the policy, the calendar, and small tables of prices and rates.

use std::{path::PathBuf, sync::Arc};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Date32Type, Int64Type},
};
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::{Kind, KnownBy};
use atalaya_movements::{Boundary, Fx, Handovers, Inputs, Knowledge, PeriodEnds, Quote, Rules, TierRange};
use atalaya_store::{BUCKETS, DataFile, Snapshot};

use crate::{Cell, ConstantTable, DiscountDuration, EvaluationPlan, FxMode, MetricsError, Policy};

/// The files of a table, bucket by bucket; none where a file stands in no bucket.
pub(crate) fn buckets(files: &[DataFile]) -> Option<Vec<Vec<PathBuf>>> {
    let mut buckets = vec![Vec::new(); BUCKETS as usize];
    for file in files {
        let folder = file.path.parent()?.file_name()?.to_str()?;
        let bucket: usize = folder.strip_prefix("bucket=")?.parse().ok()?;
        buckets.get_mut(bucket)?.push(file.path.clone());
    }
    Some(buckets)
}

/// What is known of who shares items, and where the runs are.
#[derive(Debug)]
pub(crate) struct Runs {
    subscriptions: Vec<Vec<PathBuf>>,
    customers: Vec<Vec<PathBuf>>,
    handovers: Arc<Handovers>,
}

impl Runs {
    /// Looks through a snapshot's files; none where the operator cannot read them customer by customer.
    pub(crate) fn find(snapshot: &Snapshot) -> Result<Option<Self>, String> {
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let table = |kind: Kind| snapshot.tables.get(kind.name()).map_or(&[][..], |table| &table.files);
        let rows = |kind: Kind| table(kind).iter().map(|file| file.rows).sum();
        let (Some(subscriptions), Some(customers)) =
            (buckets(table(Kind::Subscriptions)), buckets(table(Kind::Customers)))
        else {
            return Ok(None);
        };
        let find = |buckets: &[Vec<PathBuf>], kind| {
            Handovers::find(buckets, rows(kind), threads).map_err(|error| error.to_string())
        };
        // A customer's record that changed its customer would need both of them: rare enough for the SQL.
        if !find(&customers, Kind::Customers)?.is_empty() {
            return Ok(None);
        }
        let handovers = Arc::new(find(&subscriptions, Kind::Subscriptions)?);
        Ok(Some(Self {
            subscriptions,
            customers,
            handovers,
        }))
    }

    /// What changed hands.
    pub(crate) fn handovers(&self) -> &Arc<Handovers> {
        &self.handovers
    }
}

fn rules(policy: &Policy) -> Rules {
    let days = |days: i64| days * 86_400_000_000;
    let counted = |duration| policy.discounts_counted.contains(&duration);
    Rules {
        reporting_currency: policy.reporting_currency.code().to_owned(),
        past_due_counts: policy.past_due_counts,
        past_due_micros: policy.past_due_days.map(days),
        paused_counts: policy.paused_counts,
        collection_paused_counts: policy.collection_paused_counts,
        cancel_counts_at_request: policy.cancel_counts_until == crate::CancelCountsUntil::Request,
        start_counts_at_payment: policy.start_counts_from == crate::StartCountsFrom::FirstPayment,
        forever_counts: counted(DiscountDuration::Forever),
        repeating_counts: counted(DiscountDuration::Repeating),
        once_counts: counted(DiscountDuration::Once),
        active_at_zero: policy.full_discount == crate::FullDiscount::ActiveAtZero,
        months_per_week: policy.months_per_week,
        months_per_day: policy.months_per_day,
        fx: match policy.fx_mode {
            FxMode::PeriodEnd => Fx::PeriodEnd,
            FxMode::ServiceStart => Fx::ServiceStart,
            FxMode::Constant => Fx::Constant(policy.fx_constant_on.map_or(0, Date32Type::from_naive_date)),
        },
        fx_max_age_days: policy.fx_max_age_days,
        grouping_micros: policy.grouping_minutes * 60_000_000,
        reactivation_micros: policy.reactivation_within_days.map(days),
    }
}

/// The periods of a calendar's constant tables, those looked back on included.
pub(crate) fn periods(calendar: &[ConstantTable]) -> Vec<PeriodEnds> {
    let Some(table) = calendar.iter().find(|table| table.name == "periods") else {
        return Vec::new();
    };
    let place = |name: &str| table.columns.iter().position(|(column, _)| *column == name);
    let day = |row: &[Cell], name: &str| match place(name).and_then(|place| row.get(place)) {
        Some(Cell::Date(day)) => Some(Date32Type::from_naive_date(*day)),
        _ => None,
    };
    let at = |row: &[Cell], name: &str| match place(name).and_then(|place| row.get(place)) {
        Some(Cell::Instant(at)) => Some(at.timestamp_micros()),
        _ => None,
    };
    let period = |row: &Vec<Cell>| {
        Some(PeriodEnds {
            start_on: day(row, "period_start")?,
            start: Boundary {
                at: at(row, "starts_at")?,
                rate_on: day(row, "start_rate_on")?,
            },
            end: Boundary {
                at: at(row, "measured_at")?,
                rate_on: day(row, "end_rate_on")?,
            },
            is_open: matches!(
                place("is_open").and_then(|place| row.get(place)),
                Some(Cell::Integer(1))
            ),
        })
    };
    table.rows.iter().filter_map(period).collect()
}

/// Tiers of prices and exchange rates.
#[derive(Debug)]
pub(crate) struct Prices {
    /// The versions of the tables they are from.
    pub(crate) of: String,
    tiers: Vec<TierRange>,
    quotes: Vec<Quote>,
}

/// Tiers and rates, when the small views are there that they are read from.
pub(crate) async fn prices(session: &EngineSession, plan: &EvaluationPlan, of: String) -> Result<Prices, MetricsError> {
    let engine = |source: EngineError| MetricsError::Engine {
        metric: "movements".to_owned(),
        source,
    };
    let has = |name: &str| plan.views.iter().any(|view| view.name == name);
    let mut tiers = Vec::new();
    if has("price_tier_ranges") {
        let select =
            "SELECT price_id, currency, first_unit, last_unit, unit_price_minor, flat_minor FROM price_tier_ranges";
        let (_, batches) = session.query(select).await.map_err(engine)?;
        tiers = batches.iter().flat_map(tiers_of).collect();
    }
    let mut quotes = Vec::new();
    if has("quoted_rates") {
        let select = "SELECT currency, quoted_on, numerator, denominator FROM quoted_rates";
        let (_, batches) = session.query(select).await.map_err(engine)?;
        quotes = batches.iter().flat_map(quotes_of).collect();
    }
    if sabotaged() {
        quotes
            .iter_mut()
            .for_each(|quote: &mut Quote| quote.numerator += quote.numerator / 1_000);
    }
    Ok(Prices { of, tiers, quotes })
}

/// Everything that a pass over a plan's periods hangs on.
pub(crate) fn inputs(plan: &EvaluationPlan, runs: &Runs, prices: &Prices) -> Inputs {
    Inputs {
        rules: rules(&plan.policy),
        knowledge: Knowledge {
            as_of: plan.now.timestamp_micros(),
            by_source: plan.known_by == KnownBy::Source,
        },
        periods: periods(&plan.calendar),
        tiers: prices.tiers.clone(),
        quotes: prices.quotes.clone(),
        subscriptions: runs.subscriptions.clone(),
        customers: runs.customers.clone(),
        handovers: Arc::clone(&runs.handovers),
    }
}

/// The same without looking for items that changed hands; none where the runs cannot be read customer by customer.
pub(crate) fn unshared(plan: &EvaluationPlan, snapshot: &Snapshot, prices: &Prices) -> Option<Inputs> {
    let table = snapshot.tables.get(Kind::Subscriptions.name());
    let runs = Runs {
        subscriptions: buckets(table.map_or(&[], |table| &table.files))?,
        customers: Vec::new(),
        handovers: Arc::default(),
    };
    Some(inputs(plan, &runs, prices))
}

/// Deliberately wrong rates for the test that verification notices.
fn sabotaged() -> bool {
    std::env::var("ATALAYA_TEST_WRONG_FUNCTION").is_ok_and(|names| names.contains("operator"))
}

fn tiers_of(batch: &RecordBatch) -> Vec<TierRange> {
    let text = |column: usize| batch.column(column).as_string::<i32>();
    let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| TierRange {
            price_id: text(0).value(row).to_owned(),
            currency: text(1).value(row).to_owned(),
            first_unit: number(2).value(row),
            last_unit: number(3).is_valid(row).then(|| number(3).value(row)),
            unit_price_minor: number(4).value(row),
            flat_minor: number(5).value(row),
        })
        .collect()
}

fn quotes_of(batch: &RecordBatch) -> Vec<Quote> {
    let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
    (0..batch.num_rows())
        .map(|row| Quote {
            currency: batch.column(0).as_string::<i32>().value(row).to_owned(),
            quoted_on: batch.column(1).as_primitive::<Date32Type>().value(row),
            numerator: number(2).value(row),
            denominator: number(3).value(row),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_bucket() {
        let file = |path: &str| DataFile {
            path: path.into(),
            size_bytes: 1,
            rows: 1,
            sha256: String::new(),
        };
        let found = buckets(&[file("/t/bucket=3/a.parquet"), file("/t/bucket=3/b.parquet")]).unwrap();
        assert_eq!(found[3].len(), 2);
        assert_eq!(buckets(&[file("/t/landed_on=2026-01-01/a.parquet")]), None);
        assert_eq!(buckets(&[file("/t/bucket=8/a.parquet")]), None);
    }
}
