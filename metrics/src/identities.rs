//! Identities that hold whatever the figures are: their rows are violations.

use std::collections::BTreeSet;

use arrow::{array::AsArray, datatypes::Date32Type};
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::{KnownBy, Period};
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{EvaluationPlan, Evaluator, MetricsError, Scope, cache::Asked, operator_inputs, plan::known_by_name};

/// Rows of an identity that are told when all of them are asked for; whoever has more has one cause.
const MOST_VIOLATIONS: usize = 1000;

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
        let asked = (!plan.is_divided).then(|| asked(plan, snapshot));
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

    /// The identities of some metrics.
    pub fn identities_of(&self, metrics: &[&str]) -> Vec<&str> {
        let definitions = metrics.iter().filter_map(|id| self.catalog().get(id));
        let ids: BTreeSet<&str> = definitions
            .flat_map(|definition| definition.identities_of(self.catalog(), false))
            .collect();
        ids.into_iter().collect()
    }

    /// What violates the identities of some metrics over given periods, one line each: who fails, and by how much.
    pub async fn violations(
        &self,
        metrics: &[&str],
        periods: &[Period],
        as_of: Option<DateTime<Utc>>,
        snapshot: &Snapshot,
    ) -> Result<Vec<String>, MetricsError> {
        let ids = self.identities_of(metrics);
        let settings = self.home().settings();
        let now = self.clock().now();
        let now = as_of.map_or(now, |as_of| as_of.min(now));
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
                is_present: as_of.is_none(),
            },
        )?;
        let session = self.session(&plan, snapshot).await?;
        let mut found = Vec::new();
        for id in ids {
            let asked = session
                .query(&format!("SELECT * FROM {id} LIMIT {MOST_VIOLATIONS}"))
                .await;
            let (_, batches) = asked.map_err(|source| MetricsError::Engine {
                metric: id.to_owned(),
                source,
            })?;
            found.extend(read_violations(id, &batches));
        }
        Ok(found)
    }
}

/// What an undivided plan's identities are asked of. A plan that looks back has them hold in more periods.
fn asked(plan: &EvaluationPlan, snapshot: &Snapshot) -> Asked {
    let periods = operator_inputs::periods(&plan.calendar);
    let ends = periods.iter().flat_map(|period| [period.start.at, period.end.at]);
    Asked {
        snapshot: snapshot.id(&[]),
        calendar: ends.chain([plan.now.timestamp_micros()]).collect(),
        knowledge: known_by_name(plan.known_by),
    }
}

pub(crate) fn read_violations(id: &str, batches: &[arrow::array::RecordBatch]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atalaya_model::{Grain, ManualClock, SeriesQuery};
    use atalaya_store::Home;

    use super::*;

    #[test]
    fn identities_are_asked_again_where_a_question_looks_back() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open_or_create(dir.path(), None).unwrap();
        let clock = ManualClock::new("2026-05-20T09:00:00Z".parse().unwrap());
        let evaluator = Evaluator::new(home, Arc::new(clock)).unwrap();
        let of = |metric: &str| {
            let query = SeriesQuery {
                metric: metric.to_owned(),
                from: "2026-01-01".parse().unwrap(),
                to: "2026-05-01".parse().unwrap(),
                grain: Grain::Month,
                by: vec![],
                as_of: None,
                known_by: KnownBy::Atalaya,
            };
            asked(&evaluator.plan(&query).unwrap(), &Snapshot::default())
        };
        assert_eq!(of("arr"), of("mrr"));
        assert_ne!(of("arr"), of("rule_of_40"), "which looks back on twelve months");
    }
}
