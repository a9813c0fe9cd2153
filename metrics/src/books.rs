//! The books: what a month's MRR was said to be when it was closed, and what has been learned of it since.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType},
};
use atalaya_engine::EngineSession;
use atalaya_model::{Currency, Kind, KnownBy, Period, allocate_largest_remainder, round_micros};
use atalaya_store::Snapshot;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use crate::{EvaluationPlan, Evaluator, MetricsError, Policy, Scope};

/// A closed month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Its first day.
    pub month_on: NaiveDate,
    /// Its end.
    pub boundary_at: DateTime<Utc>,
    /// When it was closed: what was known then is in the books.
    pub closed_at: DateTime<Utc>,
    /// The policy it was closed under.
    pub policy: String,
}

/// One line between what was said and what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestatementPart {
    /// Why, in words.
    pub cause: &'static str,
    /// The customer.
    pub customer_id: String,
    /// Minor units that are known more than was said.
    pub value_minor: i64,
}

/// The bridge from what was said of a month's MRR to what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restatement {
    /// The month.
    pub close: Close,
    /// What the books say, in minor units.
    pub then_minor: i64,
    /// What is known.
    pub now_minor: i64,
    /// The currency of all of it.
    pub currency: Currency,
    /// What lies between; the parts add up to the difference.
    pub parts: Vec<RestatementPart>,
}

/// The columns of `month_closes`, as its import reads them.
const COLUMNS: [&str; 16] = [
    "boundary_at",
    "boundary",
    "month_on",
    "customer_id",
    "currency",
    "product",
    "plan",
    "country",
    "market",
    "channel",
    "native_micros",
    "value_micros",
    "reporting_currency",
    "policy",
    "definition_hash",
    "closed_at",
];

/// MRR by customer, in millionths.
type ByCustomer = BTreeMap<String, i64>;

impl Evaluator {
    /// The rows that close a month, as a header and rows of text for import. Every close has a row of customer `*`.
    pub async fn closing_rows(
        &self,
        period: Period,
        snapshot: &Snapshot,
    ) -> Result<(Vec<&'static str>, Vec<Vec<String>>), MetricsError> {
        let now = self.clock().now();
        let session = self
            .books_session(self.policy(), &["mrr_known_at"], period, now, &[], snapshot)
            .await?;
        let hash = self.spec("mrr")?.definition_hash.clone();
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let tail = [
            self.policy().reporting_currency.code().to_owned(),
            self.policy().id(),
            hash,
            instant(now),
        ];
        let mut rows = Vec::new();
        // The opening is written as it is known now, too: what this month moved is told from there, whatever the books of
        // the month before say.
        for (boundary_at, boundary) in [(period.starts_at, "opening"), (period.ends_at, "closing")] {
            let head = [instant(boundary_at), boundary.to_owned(), period.start_on.to_string()];
            let row = |cells: Vec<String>| -> Vec<String> {
                head.iter().cloned().chain(cells).chain(tail.iter().cloned()).collect()
            };
            let blank = (0..5).map(|_| String::new());
            rows.push(row(["*".to_owned(), tail[0].clone()]
                .into_iter()
                .chain(blank)
                .chain(["0".to_owned(), "0".to_owned()])
                .collect()));
            let sql = format!(
                "SELECT customer_id, currency, product, plan, country, market, channel, native_micros, value_micros \
                 FROM mrr_known_at WHERE boundary_at = CAST('{}' AS TIMESTAMPTZ) \
                 ORDER BY customer_id, currency, product, plan, native_micros, value_micros",
                boundary_at.format("%Y-%m-%d %H:%M:%S%.6f+00:00")
            );
            for batch in ask(&session, &sql).await? {
                for index in 0..batch.num_rows() {
                    let mut cells: Vec<String> = (0..7).map(|column| text(&batch, column, index)).collect();
                    cells.extend([7, 8].map(|column| integer(&batch, column, index).to_string()));
                    rows.push(row(cells));
                }
            }
        }
        Ok((COLUMNS.to_vec(), rows))
    }

    /// The months that are closed, in order.
    pub async fn closes(&self, period: Period, snapshot: &Snapshot) -> Result<Vec<Close>, MetricsError> {
        let now = self.clock().now();
        let session = self
            .books_session(self.policy(), &["closed_boundaries"], period, now, &[], snapshot)
            .await?;
        let sql = "SELECT month_on, boundary_at, closed_at, policy FROM month_closes_known WHERE customer_id = '*' AND boundary = 'closing' ORDER BY month_on";
        let mut closes = Vec::new();
        for batch in ask(&session, sql).await? {
            let days = batch.column(0).as_primitive::<Date32Type>();
            let instant = |column: usize, row: usize| {
                let values = batch.column(column).as_primitive::<TimestampMicrosecondType>();
                DateTime::from_timestamp_micros(values.value(row)).unwrap_or_default()
            };
            for row in 0..batch.num_rows() {
                closes.push(Close {
                    month_on: Date32Type::to_naive_date_opt(days.value(row)).unwrap_or_default(),
                    boundary_at: instant(1, row),
                    closed_at: instant(2, row),
                    policy: text(&batch, 3, row),
                });
            }
        }
        Ok(closes)
    }

    /// What was learned of a closed month since, by cause and customer. Causes are taken one after another: rules, records
    /// of subscriptions, prices, exchange rates.
    pub async fn restatement(
        &self,
        close: &Close,
        period: Period,
        snapshot: &Snapshot,
    ) -> Result<Restatement, MetricsError> {
        let now = self.clock().now();
        let known = &Policy {
            books: false,
            ..self.policy().clone()
        };
        let then = close.closed_at;
        let books = self
            .books_session(self.policy(), &["mrr_at"], period, now, &[], snapshot)
            .await?;
        let mut before = summed(&books, "mrr_at", period.ends_at).await?;
        let corrected = self.corrected_customers(&books, then).await?;
        let mut steps: Vec<(&'static str, ByCustomer)> = Vec::new();
        let mut vintages: Vec<(Kind, DateTime<Utc>)> = Vec::new();
        for (cause, kind) in [
            ("rules", None),
            ("records", Some(Kind::Subscriptions)),
            ("prices", Some(Kind::PriceTiers)),
            ("exchange rates", Some(Kind::FxRates)),
        ] {
            vintages.extend(kind.map(|kind| (kind, now)));
            let session = self
                .books_session(known, &["mrr_known_at"], period, then, &vintages, snapshot)
                .await?;
            steps.push((cause, summed(&session, "mrr_known_at", period.ends_at).await?));
        }
        let then_micros: i128 = before.values().map(|micros| i128::from(*micros)).sum();
        let (mut exact, mut parts) = (Vec::new(), Vec::new());
        for (cause, after) in steps {
            let customers: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for customer in customers {
                let of = |mrr: &ByCustomer| i128::from(mrr.get(customer).copied().unwrap_or(0));
                let change = of(&after) - of(&before);
                if change != 0 {
                    let cause = match (cause, corrected.contains(customer)) {
                        ("records", true) => "corrected records",
                        ("records", false) => "late records",
                        (other, _) => other,
                    };
                    exact.push(change);
                    parts.push((cause, customer.clone()));
                }
            }
            before = after;
        }
        let now_micros: i128 = before.values().map(|micros| i128::from(*micros)).sum();
        let (then_minor, now_minor) = (round_micros(then_micros)?, round_micros(now_micros)?);
        let minor = allocate_largest_remainder(&exact, now_minor - then_minor)?;
        Ok(Restatement {
            close: close.clone(),
            then_minor,
            now_minor,
            currency: self.policy().reporting_currency,
            parts: parts
                .into_iter()
                .zip(minor)
                .map(|((cause, customer_id), value_minor)| RestatementPart {
                    cause,
                    customer_id,
                    value_minor,
                })
                .collect(),
        })
    }

    /// Customers of whom a record that was known at the close has been replaced or taken back since.
    async fn corrected_customers(
        &self,
        session: &EngineSession,
        then: DateTime<Utc>,
    ) -> Result<BTreeSet<String>, MetricsError> {
        let then = then.format("%Y-%m-%d %H:%M:%S%.6f+00:00");
        let sql = format!(
            "SELECT DISTINCT old.customer_id FROM raw_subscriptions old JOIN raw_subscriptions later \
             ON later.source = old.source AND later.record_key = old.record_key \
             WHERE old.landed_at <= CAST('{then}' AS TIMESTAMPTZ) AND later.landed_at > CAST('{then}' AS TIMESTAMPTZ)"
        );
        let mut found = BTreeSet::new();
        for batch in ask(session, &sql).await? {
            found.extend((0..batch.num_rows()).map(|row| text(&batch, 0, row)));
        }
        Ok(found)
    }

    async fn books_session(
        &self,
        policy: &Policy,
        ids: &[&str],
        period: Period,
        now: DateTime<Utc>,
        vintages: &[(Kind, DateTime<Utc>)],
        snapshot: &Snapshot,
    ) -> Result<EngineSession, MetricsError> {
        let scope = Scope {
            by: &[],
            periods: &[period],
            known_by: KnownBy::Atalaya,
            now,
            vintages,
            is_present: false,
        };
        let plan = EvaluationPlan::for_definitions(self.catalog(), self.home().settings(), policy, ids, &scope)?;
        self.session(&plan, snapshot).await
    }
}

async fn ask(session: &EngineSession, sql: &str) -> Result<Vec<RecordBatch>, MetricsError> {
    let (_, batches) = session.query(sql).await.map_err(|source| MetricsError::Engine {
        metric: "books".to_owned(),
        source,
    })?;
    Ok(batches)
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let Ok(values) = cast(batch.column(column), &DataType::Utf8) else {
        return String::new();
    };
    let values = values.as_string::<i32>();
    if values.is_valid(row) {
        values.value(row).to_owned()
    } else {
        String::new()
    }
}

fn integer(batch: &RecordBatch, column: usize, row: usize) -> i64 {
    batch.column(column).as_primitive::<Int64Type>().value(row)
}

/// MRR at a boundary by customer: of the books (`mrr_at`) or of the records (`mrr_known_at`).
async fn summed(session: &EngineSession, table: &str, at: DateTime<Utc>) -> Result<ByCustomer, MetricsError> {
    let sql = format!(
        "SELECT customer_id, money_sum(value_micros) FROM {table} WHERE boundary_at = CAST('{}' AS TIMESTAMPTZ) GROUP BY customer_id",
        at.format("%Y-%m-%d %H:%M:%S%.6f+00:00")
    );
    let mut found = BTreeMap::new();
    for batch in ask(session, &sql).await? {
        found.extend((0..batch.num_rows()).map(|row| (text(&batch, 0, row), integer(&batch, 1, row))));
    }
    Ok(found)
}
