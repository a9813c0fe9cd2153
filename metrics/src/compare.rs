//! One month under two policies, and the gap between them by cause and customer.

use std::collections::BTreeMap;

use arrow::{array::AsArray, datatypes::Int64Type};
use atalaya_model::{Currency, KnownBy, Period, allocate_largest_remainder, round_micros};
use atalaya_store::Snapshot;

use crate::{EvaluationPlan, Evaluator, MetricsError, Policy, Scope};

/// What one cause makes of one customer's MRR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapPart {
    /// The switch, in words.
    pub cause: &'static str,
    /// The customer.
    pub customer_id: String,
    /// Minor units that the second policy has more.
    pub value_minor: i64,
}

/// MRR at the end of a period under two policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Its MRR under the first policy, in minor units.
    pub first_minor: i64,
    /// ... and under the second.
    pub second_minor: i64,
    /// The currency of all of it.
    pub currency: Currency,
    /// What lies between: the parts add up to the gap, to the minor unit.
    pub parts: Vec<GapPart>,
}

impl Evaluator {
    /// Compares MRR at a period's end. Switches are changed one at a time, in the order of the policy file, from the first
    /// policy to the second: a customer touched by two of them has the overlap under the earlier one.
    pub async fn compare(
        &self,
        first: &Policy,
        second: &Policy,
        period: Period,
        snapshot: &Snapshot,
    ) -> Result<Comparison, MetricsError> {
        // Books were kept under one policy only.
        let first = &Policy {
            books: false,
            ..first.clone()
        };
        let mut before = self.customer_mrr(first, period, snapshot).await?;
        let first_micros: i128 = before.values().map(|micros| i128::from(*micros)).sum();
        let mut exact = Vec::new();
        let mut parts = Vec::new();
        for (cause, policy) in first.steps_to(second) {
            let after = self.customer_mrr(&policy, period, snapshot).await?;
            let customers: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for customer in customers {
                let of = |mrr: &BTreeMap<String, i64>| i128::from(mrr.get(customer).copied().unwrap_or(0));
                let change = of(&after) - of(&before);
                if change != 0 {
                    exact.push(change);
                    parts.push((cause, customer.clone()));
                }
            }
            before = after;
        }
        let second_micros: i128 = before.values().map(|micros| i128::from(*micros)).sum();
        let (first_minor, second_minor) = (round_micros(first_micros)?, round_micros(second_micros)?);
        let minor = allocate_largest_remainder(&exact, second_minor - first_minor)?;
        let parts = parts
            .into_iter()
            .zip(minor)
            .map(|((cause, customer_id), value_minor)| GapPart {
                cause,
                customer_id,
                value_minor,
            })
            .collect();
        Ok(Comparison {
            first_minor,
            second_minor,
            currency: first.reporting_currency,
            parts,
        })
    }

    async fn customer_mrr(
        &self,
        policy: &Policy,
        period: Period,
        snapshot: &Snapshot,
    ) -> Result<BTreeMap<String, i64>, MetricsError> {
        let plan = EvaluationPlan::for_definitions(
            self.catalog(),
            self.home().settings(),
            policy,
            &["mrr_at"],
            &Scope {
                by: &[],
                periods: &[period],
                known_by: KnownBy::Atalaya,
                now: self.clock().now(),
                vintages: &[],
                is_present: true,
            },
        )?;
        let session = self.session(&plan, snapshot).await?;
        let sql = "SELECT m.customer_id, money_sum(m.value_micros) FROM mrr_at m JOIN boundaries b ON b.boundary_at = m.boundary_at \
                   WHERE b.boundary_at = (SELECT MAX(boundary_at) FROM boundaries) GROUP BY m.customer_id";
        let (_, batches) = session.query(sql).await.map_err(|source| MetricsError::Engine {
            metric: "mrr_at".to_owned(),
            source,
        })?;
        let mut found = BTreeMap::new();
        for batch in &batches {
            let customers = batch.column(0).as_string::<i32>();
            let micros = batch.column(1).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                found.insert(customers.value(row).to_owned(), micros.value(row));
            }
        }
        Ok(found)
    }
}
