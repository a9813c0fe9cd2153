//! Has the witness recompute customers from their raw records and compares what it finds with the definitions' rows.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Date32Type, Field, Int64Type, Schema, TimestampMicrosecondType},
};
use atalaya_engine::EngineSession;
use atalaya_model::{Currency, Kind, KnownBy, Period, calendar};
use atalaya_store::{Snapshot, customer_hash};
use atalaya_witness::{
    Customer, CustomerPeriod, FxRule, RateQuote, Rates, Rules, Status, SubscriptionState, Tier, Version, known,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::{
    CancelCountsUntil, DiscountDuration, EvaluationPlan, Evaluator, FullDiscount, FxMode, MetricsError, Policy, Scope,
    StartCountsFrom,
};

/// What the witness found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Customers it recomputed.
    pub customers: usize,
    /// Customers there are.
    pub of_customers: usize,
    /// Periods of customers that were compared.
    pub periods: usize,
    /// What differs, one line each.
    pub differences: Vec<String>,
}

/// The policy as the witness reads it.
pub fn rules(policy: &Policy) -> Rules {
    let counted = |duration| policy.discounts_counted.contains(&duration);
    Rules {
        past_due_counts: policy.past_due_counts,
        past_due_days: policy.past_due_days,
        paused_counts: policy.paused_counts,
        collection_paused_counts: policy.collection_paused_counts,
        cancel_at_request: policy.cancel_counts_until == CancelCountsUntil::Request,
        start_at_payment: policy.start_counts_from == StartCountsFrom::FirstPayment,
        forever_counts: counted(DiscountDuration::Forever),
        repeating_counts: counted(DiscountDuration::Repeating),
        once_counts: counted(DiscountDuration::Once),
        active_at_zero: policy.full_discount == FullDiscount::ActiveAtZero,
        months_per_week: policy.months_per_week,
        months_per_day: policy.months_per_day,
        fx: match (policy.fx_mode, policy.fx_constant_on) {
            (FxMode::ServiceStart, _) => FxRule::ServiceStart,
            (FxMode::Constant, Some(day)) => FxRule::Constant(day),
            _ => FxRule::PeriodEnd,
        },
        fx_max_age_days: policy.fx_max_age_days,
        grouping_minutes: policy.grouping_minutes,
        reactivation_within_days: policy.reactivation_within_days,
    }
}

/// The first so many customers by hash are witnessed where a home has more.
const MOST_CUSTOMERS: usize = 1_000;

impl Evaluator {
    /// Recomputes customers (all, or a sample by hash where there are many) over `periods` and compares.
    pub async fn witness(
        &self,
        snapshot: &Snapshot,
        periods: &[Period],
        as_of: Option<DateTime<Utc>>,
        known_by: KnownBy,
    ) -> Result<Testimony, MetricsError> {
        let now = self.clock().now();
        let now = as_of.map_or(now, |as_of| as_of.min(now));
        let periods: Vec<Period> = periods
            .iter()
            .filter(|period| period.starts_at < now)
            .copied()
            .collect();
        let mut plan = EvaluationPlan::for_definitions(
            self.catalog(),
            self.home().settings(),
            self.policy(),
            &["customer_movements", "customer_movement_events"],
            &Scope {
                by: &[],
                periods: &periods,
                known_by,
                now,
                vintages: &[],
                is_present: false,
            },
        )?;
        for kind in [Kind::Subscriptions, Kind::PriceTiers, Kind::FxRates] {
            if !plan.kinds.contains(&kind) {
                plan.kinds.push(kind);
            }
        }
        // The witness knows records, not books.
        let mut records = snapshot.clone();
        records.tables.remove(Kind::MonthCloses.name());
        let session = self.session(&plan, &records).await?;
        let all = ask(&session, "SELECT DISTINCT customer_id FROM raw_subscriptions").await?;
        let mut ids: Vec<String> = all
            .iter()
            .flat_map(|rows| (0..rows.len()).filter_map(|row| rows.text("customer_id", row)))
            .collect();
        let of_customers = ids.len();
        ids.sort_by_cached_key(|id| (customer_hash(id), id.clone()));
        ids.truncate(MOST_CUSTOMERS);
        let customers = self.customers(&session, &ids, known_by, now).await?;

        let rules = rules(self.policy());
        let as_known = |version: &Version| version.known_at <= now;
        let quotes = self.quotes(&session, known_by).await?;
        let quotes = known(quotes.into_iter().filter(|(version, _)| as_known(version)), now);
        let rates = Rates::new(self.policy().reporting_currency, rules.fx_max_age_days, quotes);
        let tiers = self.tiers(&session, known_by, now).await?;

        let ours = found_by_definitions(&session).await?;
        let zone = calendar::parse_zone(&self.home().settings().time_zone)?;
        let rate_day = |at: DateTime<Utc>| calendar::day_of(zone, at - TimeDelta::microseconds(1));
        let mut testimony = Testimony {
            customers: ids.len(),
            of_customers,
            ..Testimony::default()
        };
        for (id, customer) in &customers {
            for period in &periods {
                testimony.periods += 1;
                let ends_at = period.ends_at.min(now);
                let start = (period.starts_at, rate_day(period.starts_at));
                let theirs = customer.period(id, &tiers, &rules, &rates, start, (ends_at, rate_day(ends_at)));
                let nothing = OurPeriod::default();
                let mine = ours.get(&(id.clone(), period.start_on)).unwrap_or(&nothing);
                let theirs = match theirs {
                    Ok(theirs) => OurPeriod::of(&theirs),
                    Err(error) => {
                        testimony
                            .differences
                            .push(format!("witness of customer {id}, {}: {error}", period.start_on));
                        continue;
                    }
                };
                if *mine != theirs {
                    testimony.differences.push(format!(
                        "witness of customer {id}, {}: the definitions have {mine}, the witness has {theirs}",
                        period.start_on
                    ));
                }
            }
        }
        Ok(testimony)
    }

    async fn customers(
        &self,
        session: &EngineSession,
        ids: &[String],
        known_by: KnownBy,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, Customer>, MetricsError> {
        let schema = Arc::new(Schema::new(vec![Field::new("customer_id", DataType::Utf8, false)]));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(ids));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).map_err(contract)?;
        session
            .register_rows("witnessed", schema, vec![batch])
            .map_err(engine)?;
        let sql = "SELECT r.* FROM raw_subscriptions r WHERE r.item_id IN \
                   (SELECT s.item_id FROM raw_subscriptions s JOIN witnessed w ON w.customer_id = s.customer_id)";
        let mut states = Vec::new();
        for rows in ask(session, sql).await? {
            for row in 0..rows.len() {
                states.push((rows.version(row, known_by)?, rows.state(row)?));
            }
        }
        let mut customers = Customer::all(known(states, now));
        customers.retain(|id, _| ids.contains(id));
        // Of whom nothing is known any more, the definitions must have nothing either.
        for id in ids {
            customers.entry(id.clone()).or_default();
        }
        Ok(customers)
    }

    async fn quotes(
        &self,
        session: &EngineSession,
        known_by: KnownBy,
    ) -> Result<Vec<(Version, RateQuote)>, MetricsError> {
        let mut quotes = Vec::new();
        for rows in ask(session, "SELECT * FROM raw_fx_rates").await? {
            for row in 0..rows.len() {
                let quote = RateQuote {
                    rate_on: rows.day("rate_on", row).ok_or_else(|| missing("rate_on"))?,
                    currency: rows.currency("currency", row)?,
                    quote_currency: rows.currency("quote_currency", row)?,
                    rate_e12: rows.integer("rate_e12", row).ok_or_else(|| missing("rate_e12"))?,
                };
                quotes.push((rows.version(row, known_by)?, quote));
            }
        }
        Ok(quotes)
    }

    async fn tiers(
        &self,
        session: &EngineSession,
        known_by: KnownBy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Tier>, MetricsError> {
        let mut tiers = Vec::new();
        for rows in ask(session, "SELECT * FROM raw_price_tiers").await? {
            for row in 0..rows.len() {
                let tier = Tier {
                    price_id: rows.text("price_id", row).unwrap_or_default(),
                    currency: rows.currency("currency", row)?,
                    first_unit: rows.integer("first_unit", row).ok_or_else(|| missing("first_unit"))?,
                    unit_price_minor: rows
                        .integer("unit_price_minor", row)
                        .ok_or_else(|| missing("unit_price_minor"))?,
                    flat_minor: rows.integer("flat_minor", row).unwrap_or(0),
                };
                tiers.push((rows.version(row, known_by)?, tier));
            }
        }
        Ok(known(tiers, now).into_iter().map(|(_, tier)| tier).collect())
    }
}

/// A customer's period in comparable form; what is zero or unchanged is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OurPeriod {
    start_micros: i64,
    end_micros: i64,
    change_micros: i64,
    fx_micros: i64,
    movement: Option<String>,
    /// When it began, class, change, exchange rates.
    events: Vec<(DateTime<Utc>, String, i64, i64)>,
}

impl OurPeriod {
    fn of(period: &CustomerPeriod) -> Self {
        Self {
            start_micros: period.start_micros,
            end_micros: period.end_micros,
            change_micros: period.change_micros,
            fx_micros: period.fx_micros,
            movement: period.movement.map(|movement| movement.name().to_owned()),
            events: period
                .events
                .iter()
                .map(|event| {
                    (
                        event.began_at,
                        event.movement.name().to_owned(),
                        event.change_micros,
                        event.fx_micros,
                    )
                })
                .collect(),
        }
    }
}

impl std::fmt::Display for OurPeriod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} -> {} (change {}, fx {})",
            self.movement.as_deref().unwrap_or("nothing"),
            self.start_micros,
            self.end_micros,
            self.change_micros,
            self.fx_micros
        )?;
        for (at, movement, change, fx) in &self.events {
            write!(f, ", {movement} at {at}: {change} (fx {fx})")?;
        }
        Ok(())
    }
}

async fn found_by_definitions(
    session: &EngineSession,
) -> Result<BTreeMap<(String, NaiveDate), OurPeriod>, MetricsError> {
    let mut found: BTreeMap<(String, NaiveDate), OurPeriod> = BTreeMap::new();
    let sql = "SELECT m.* FROM customer_movements m JOIN witnessed w ON w.customer_id = m.customer_id";
    for rows in ask(session, sql).await? {
        for row in 0..rows.len() {
            let period = found.entry(rows.customer_period(row)?).or_default();
            let micros = |name: &'static str| rows.integer(name, row).ok_or_else(|| missing(name));
            period.start_micros = micros("start_micros")?;
            period.end_micros = micros("end_micros")?;
            period.change_micros = micros("change_micros")?;
            period.fx_micros = micros("fx_micros")?;
            period.movement = rows.text("movement", row);
        }
    }
    let sql = "SELECT e.period_start, e.customer_id, MIN(e.began_at) AS began_at, MIN(e.movement) AS movement, \
               money_sum(e.change_micros) AS change_micros, money_sum(e.fx_micros) AS fx_micros \
               FROM customer_movement_events e JOIN witnessed w ON w.customer_id = e.customer_id \
               GROUP BY e.period_start, e.customer_id, e.group_index ORDER BY e.period_start, e.customer_id, e.group_index";
    for rows in ask(session, sql).await? {
        for row in 0..rows.len() {
            let event = (
                rows.instant("began_at", row).ok_or_else(|| missing("began_at"))?,
                rows.text("movement", row).unwrap_or_default(),
                rows.integer("change_micros", row)
                    .ok_or_else(|| missing("change_micros"))?,
                rows.integer("fx_micros", row).ok_or_else(|| missing("fx_micros"))?,
            );
            found.entry(rows.customer_period(row)?).or_default().events.push(event);
        }
    }
    Ok(found)
}

fn engine(source: atalaya_engine::EngineError) -> MetricsError {
    MetricsError::Engine {
        metric: "witness".to_owned(),
        source,
    }
}

fn contract(error: impl std::fmt::Display) -> MetricsError {
    MetricsError::Contract {
        metric: "witness".to_owned(),
        reason: error.to_string(),
    }
}

fn missing(column: &'static str) -> MetricsError {
    contract(format!("a record has no {column}"))
}

/// A batch read by column names.
struct Records(RecordBatch);

async fn ask(session: &EngineSession, sql: &str) -> Result<Vec<Records>, MetricsError> {
    let (_, batches) = session.query(sql).await.map_err(engine)?;
    batches
        .into_iter()
        .map(|batch| {
            let columns = batch
                .columns()
                .iter()
                .map(|column| match column.data_type() {
                    DataType::Utf8View | DataType::LargeUtf8 => cast(column, &DataType::Utf8),
                    _ => Ok(Arc::clone(column)),
                })
                .collect::<Result<Vec<_>, _>>()
                .map_err(contract)?;
            let fields: Vec<Field> = batch
                .schema()
                .fields()
                .iter()
                .zip(&columns)
                .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
                .collect();
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
                .map(Records)
                .map_err(contract)
        })
        .collect()
}

impl Records {
    fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.0.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    fn integer(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn instant(&self, name: &str, row: usize) -> Option<DateTime<Utc>> {
        let column = self
            .0
            .column_by_name(name)?
            .as_primitive_opt::<TimestampMicrosecondType>()?;
        column
            .is_valid(row)
            .then(|| DateTime::from_timestamp_micros(column.value(row)))
            .flatten()
    }

    fn day(&self, name: &str, row: usize) -> Option<NaiveDate> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<Date32Type>()?;
        column
            .is_valid(row)
            .then(|| Date32Type::to_naive_date_opt(column.value(row)))
            .flatten()
    }

    fn currency(&self, name: &'static str, row: usize) -> Result<Currency, MetricsError> {
        let code = self.text(name, row).ok_or_else(|| missing(name))?;
        Ok(Currency::parse(&code)?)
    }

    fn customer_period(&self, row: usize) -> Result<(String, NaiveDate), MetricsError> {
        Ok((
            self.text("customer_id", row).ok_or_else(|| missing("customer_id"))?,
            self.day("period_start", row).ok_or_else(|| missing("period_start"))?,
        ))
    }

    fn version(&self, row: usize, known_by: KnownBy) -> Result<Version, MetricsError> {
        let instant = |name: &'static str| self.instant(name, row).ok_or_else(|| missing(name));
        let recorded_at = instant("recorded_at")?;
        Ok(Version {
            source: self.text("source", row).unwrap_or_default(),
            record_key: self.text("record_key", row).unwrap_or_default(),
            record_version: self
                .integer("record_version", row)
                .ok_or_else(|| missing("record_version"))?,
            known_at: match known_by {
                KnownBy::Atalaya => instant("landed_at")?,
                KnownBy::Source => recorded_at,
            },
            recorded_at,
            arrival_seq: self.integer("arrival_seq", row).ok_or_else(|| missing("arrival_seq"))?,
            deleted: self.text("operation", row).is_some_and(|word| word == "delete"),
        })
    }

    fn state(&self, row: usize) -> Result<SubscriptionState, MetricsError> {
        let number = |name: &str| self.integer(name, row).unwrap_or(0);
        let needed = |name: &'static str| self.integer(name, row).ok_or_else(|| missing(name));
        let word = |name: &'static str| self.text(name, row).ok_or_else(|| missing(name));
        Ok(SubscriptionState {
            customer_id: word("customer_id")?,
            item_id: word("item_id")?,
            product: self.text("product", row),
            plan: self.text("plan", row),
            status: Status::parse(&word("status")?),
            quantity: needed("quantity")?,
            unit_price_minor: needed("unit_price_minor")?,
            currency: self.currency("currency", row)?,
            billing_interval: word("billing_interval")?,
            interval_count: needed("interval_count")?,
            discounts: [
                (number("discount_ppm"), number("discount_minor")),
                (number("repeating_discount_ppm"), number("repeating_discount_minor")),
                (number("once_discount_ppm"), number("once_discount_minor")),
            ],
            repeating_ends_at: self.instant("repeating_discount_ends_at", row),
            once_ends_at: self.instant("once_discount_ends_at", row),
            tax_ppm: number("included_tax_ppm"),
            trial_ends_at: self.instant("trial_ends_at", row),
            cancel_at: self.instant("cancel_at", row),
            valid_from: self.instant("valid_from", row).ok_or_else(|| missing("valid_from"))?,
            licensed: self.text("charge_type", row).is_none_or(|word| word == "licensed"),
            collected: self.text("collection", row).is_none_or(|word| word == "charge"),
            past_due_at: self.instant("past_due_at", row),
            first_paid_at: self.instant("first_paid_at", row),
            price_id: self.text("price_id", row),
            tier_mode: self.text("tier_mode", row),
        })
    }
}
