//! Identities that hold whatever the figures are: their rows are violations.

use std::collections::BTreeSet;

use arrow::{array::AsArray, datatypes::Date32Type};
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::{KnownBy, Period};
use atalaya_store::Snapshot;

use crate::{EvaluationPlan, Evaluator, MetricsError, Scope, cache::Asked, plan::known_by_name};

impl Evaluator {
    /// What breaks an identity of a plan; asked once of the same data, periods and instant.
    pub(crate) async fn broken(
        &self,
        session: &EngineSession,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
        id: &str,
        select: &str,
    ) -> Result<Vec<String>, EngineError> {
        let ends = plan
            .periods
            .iter()
            .flat_map(|period| [period.starts_at, period.ends_at]);
        let asked = (!plan.is_divided).then(|| Asked {
            snapshot: snapshot.id(&[]),
            calendar: ends.chain([plan.now]).collect(),
            knowledge: known_by_name(plan.known_by),
        });
        if let Some(known) = asked.as_ref().and_then(|asked| self.cache.broken(asked, id)) {
            return Ok(known);
        }
        let (_, batches) = session.query(select).await?;
        let lines = read_violations(id, &batches);
        if let Some(asked) = asked {
            self.cache.keep_broken(asked, id, lines.clone());
        }
        Ok(lines)
    }

    /// What violates the identities of some metrics over given periods, one line each.
    pub async fn violations(
        &self,
        metrics: &[&str],
        periods: &[Period],
        snapshot: &Snapshot,
    ) -> Result<Vec<String>, MetricsError> {
        let ids: BTreeSet<&str> = metrics
            .iter()
            .filter_map(|id| self.catalog().get(id))
            .flat_map(|definition| definition.identities.iter().map(String::as_str))
            .collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let settings = self.home().settings();
        let now = self.clock().now();
        let plan = EvaluationPlan::for_definitions(
            self.catalog(),
            settings,
            self.policy(),
            &ids,
            &Scope {
                by: &[],
                periods,
                known_by: KnownBy::Atalaya,
                now,
                vintages: &[],
                is_present: true,
            },
        )?;
        let session = self.session(&plan, snapshot).await?;
        let mut found = Vec::new();
        for id in ids {
            let asked = session.query(&format!("SELECT * FROM {id} LIMIT 20")).await;
            let (_, batches) = asked.map_err(|source| MetricsError::Engine {
                metric: id.to_owned(),
                source,
            })?;
            found.extend(read_violations(id, &batches));
        }
        Ok(found)
    }
}

fn read_violations(id: &str, batches: &[arrow::array::RecordBatch]) -> Vec<String> {
    let mut found = Vec::new();
    for batch in batches {
        let Some(texts) = batch
            .column_by_name("violation")
            .and_then(|column| column.as_string_opt::<i32>())
        else {
            found.extend((batch.num_rows() > 0).then(|| format!("identity {id} does not hold")));
            continue;
        };
        let days = batch
            .column_by_name("period_start")
            .and_then(|column| column.as_primitive_opt::<Date32Type>());
        for row in 0..batch.num_rows() {
            let day = days.and_then(|days| Date32Type::to_naive_date_opt(days.value(row)));
            let when = day.map(|day| format!("{day}: ")).unwrap_or_default();
            found.push(format!("{id}: {when}{}", texts.value(row)));
        }
    }
    found
}
