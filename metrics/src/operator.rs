//! Where the movement operator stands in for definitions: which ones, and under what conditions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Date32Type, Int64Type},
};
use atalaya_catalog::Catalog;
use atalaya_engine::{EngineError, EngineSession, Start};
use atalaya_model::{Kind, KnownBy};
use atalaya_movements::{
    Boundary, Fx, Handovers, Inputs, Knowledge, MovementTable, PeriodEnds, Quote, Rules, Scan, TierRange,
};
use atalaya_store::{BUCKETS, DataFile, Snapshot};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::{Cell, DiscountDuration, EvaluationPlan, FxMode, MetricsError, Policy, known_view};

/// A definition that the operator was proven equal to, by the text it had then.
struct Proven {
    definition: &'static str,
    table: MovementTable,
    /// [`text_hash`] of the definition when it was proven.
    hash: &'static str,
    /// Whether the books have a say: then the operator stands in only where no month is closed.
    reads_books: bool,
}

const fn proven(definition: &'static str, table: MovementTable, hash: &'static str, reads_books: bool) -> Proven {
    Proven {
        definition,
        table,
        hash,
        reads_books,
    }
}

/// When a text changes, its SQL runs until somebody has proven the operator again (`cargo test --test system -- operator`,
/// `golden`, `random_companies`) and written down the new hash.
const PROVEN: [Proven; 9] = [
    proven(
        "subscription_item_mrr",
        MovementTable::Items,
        "781d667cbb451b870fbd869818c9982d903c53d27099227a8000bdbebab7185b",
        false,
    ),
    proven(
        "customer_steps",
        MovementTable::Steps,
        "b14e657e186c15c1883b2cfd9881d723da0c2f424c4f691dec99d69632f528ab",
        false,
    ),
    proven(
        "mrr_known_at",
        MovementTable::KnownAt,
        "aabe6684fc39b1930cf1da5784f08553e26c47bb2b582654c0ce811b88defd01",
        false,
    ),
    proven(
        "mrr_at",
        MovementTable::KnownAt,
        "e6372b9b3a449f277533a8dc81ab2d4a3eb44c0fb1a02745fee7a9dd023d29b4",
        true,
    ),
    proven(
        "customer_ends",
        MovementTable::Ends,
        "8c5a6bfe17e56c5cb8d4a967694eb6b02930fc61dc1452385ba3f56b5f40f21c",
        true,
    ),
    proven(
        "customer_movement_events",
        MovementTable::Events,
        "583662d06f8070b3c74f95daf1a90f0de60c04bc7202e563ef7853239252b35b",
        false,
    ),
    proven(
        "customer_movements",
        MovementTable::Movements,
        "696a3e1a949963194e0b34a9abdc642130912da26d061926a4dccb5a43d47e82",
        true,
    ),
    proven(
        "mrr_ends",
        MovementTable::EndSums,
        "6c60dcdec3af8d25e13902202a2e308ff0909f2cee0ce2a00cbc71f5eedd4275",
        true,
    ),
    proven(
        "mrr_movements",
        MovementTable::MovementSums,
        "336bc380a662aa37e482b1a2b16fe730d1339ea17436df4bc9eede099aaa9f46",
        true,
    ),
];

/// SHA-256 of the texts that say what a definition's rows are: its own, all it stands on, and how records are known.
fn text_hash(catalog: &Catalog, definition: &str) -> String {
    let mut hash = Sha256::new();
    for below in catalog.in_order(&[definition]) {
        hash.update(&below.spec.id);
        hash.update([0]);
        hash.update(&below.sql);
        hash.update([0]);
    }
    let at = DateTime::<Utc>::UNIX_EPOCH;
    hash.update(known_view(Kind::Subscriptions, at, KnownBy::Atalaya, ""));
    hash.update(known_view(Kind::Customers, at, KnownBy::Source, ""));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tables that the operator may stand in for in this plan, by definition.
pub(crate) fn stands_in(
    catalog: &Catalog,
    plan: &EvaluationPlan,
    snapshot: &Snapshot,
) -> BTreeMap<&'static str, MovementTable> {
    if !plan.has_one_vintage {
        return BTreeMap::new();
    }
    let closes = snapshot.tables.get(Kind::MonthCloses.name());
    let has_books = plan.policy.books && closes.is_some_and(|table| !table.files.is_empty());
    PROVEN
        .iter()
        .filter(|proven| plan.views.iter().any(|view| view.name == proven.definition))
        .filter(|proven| !(proven.reads_books && has_books))
        .filter(|proven| text_hash(catalog, proven.definition) == proven.hash)
        .map(|proven| (proven.definition, proven.table))
        .collect()
}

/// Small definitions that the operator reads.
pub(crate) const INPUTS: [&str; 2] = ["price_tier_ranges", "quoted_rates"];

/// The views that must be there to read `wanted` when some definitions are computed by code.
pub(crate) fn needed(
    plan: &EvaluationPlan,
    wanted: &[&str],
    computed: &BTreeMap<&'static str, MovementTable>,
) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut open = wanted.to_vec();
    while let Some(name) = open.pop() {
        let Some(view) = plan.views.iter().find(|view| view.name == name) else {
            continue;
        };
        if !computed.contains_key(name) && needed.insert(name.to_owned()) {
            open.extend(view.reads.iter().map(String::as_str));
        }
    }
    needed
}

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

/// The periods of a plan, those looked back on included: as its constant table has them.
fn periods(plan: &EvaluationPlan) -> Vec<PeriodEnds> {
    let Some(table) = plan.calendar.iter().find(|table| table.name == "periods") else {
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
        })
    };
    table.rows.iter().filter_map(period).collect()
}

/// Registers what the operator computes, when the small tables it reads are there.
pub(crate) async fn register(
    session: &EngineSession,
    plan: &EvaluationPlan,
    runs: &Runs,
    computed: &BTreeMap<&'static str, MovementTable>,
) -> Result<(), MetricsError> {
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
    let inputs = Arc::new(Inputs {
        rules: rules(&plan.policy),
        knowledge: Knowledge {
            as_of: plan.now.timestamp_micros(),
            by_source: plan.known_by == KnownBy::Source,
        },
        periods: periods(plan),
        tiers,
        quotes,
        subscriptions: runs.subscriptions.clone(),
        customers: runs.customers.clone(),
        handovers: Arc::clone(&runs.handovers),
    });
    for (definition, table) in computed {
        let (inputs, table) = (Arc::clone(&inputs), *table);
        let start: Start = Arc::new(move |projection| {
            let scan = Scan::new(Arc::clone(&inputs), table, projection.to_vec());
            Ok(Arc::new(move |emit| {
                let mut hand_over = |batch| {
                    if emit(batch) {
                        Ok(())
                    } else {
                        Err(atalaya_movements::MovementError::Abandoned)
                    }
                };
                scan.work(&mut hand_over).map_err(Into::into)
            }))
        });
        session
            .register_computed(definition, table.schema(), start)
            .map_err(engine)?;
    }
    Ok(())
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
    fn the_operator_is_bound_to_the_text_it_was_proven_equal_to() {
        let catalog = Catalog::embedded().unwrap();
        let stale: Vec<String> = PROVEN
            .iter()
            .map(|proven| (proven, text_hash(&catalog, proven.definition)))
            .filter(|(proven, hash)| proven.hash != hash)
            .map(|(proven, hash)| format!("{} is {hash}", proven.definition))
            .collect();
        assert_eq!(
            stale,
            Vec::<String>::new(),
            "prove the operator again, then write down what it was proven for"
        );
    }

    #[test]
    fn the_operator_has_the_columns_of_the_definitions() {
        // Names and order; types are compared by every test that unites the rows with others.
        let catalog = Catalog::embedded().unwrap();
        for proven in &PROVEN {
            let definition = catalog.get(proven.definition).unwrap();
            let names: Vec<String> = proven
                .table
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            for name in &names {
                assert!(definition.sql.contains(name.as_str()), "{}: {name}", proven.definition);
            }
        }
    }

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
