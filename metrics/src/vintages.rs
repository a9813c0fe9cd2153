//! One question at many moments of knowledge, answered in one scan: what was said then, and then, and then.
//!
//! The definitions' texts are lifted over a table of moments, so that the same SQL says what it says at one moment; what cannot
//! be lifted, and what the movement operator answers faster by itself, is asked moment by moment.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::Int64Type,
};
use atalaya_engine::{EngineError, EngineSession, VINTAGE, VINTAGES, lift};
use atalaya_model::{Readings, Series, SeriesQuery};
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{
    Cell, ConstantTable, EvaluationPlan, Evaluator, MetricsError, Rows, View,
    freshness::landings,
    identities::read_violations,
    moments::{Moments, Reads},
    narrowing::{is_within_calendar, narrowing},
    operator,
    readings::{read_readings, reading_columns},
    records::{known_view_name, versions_view_name},
    series_from_rows,
};

/// Moments of one scan at most.
const MOST_MOMENTS: usize = 1_024;

/// Moments of a scan at least: fewer are asked one by one.
const FEWEST_MOMENTS: usize = 8;

/// Rows of an identity that are told, as of one question.
const MOST_VIOLATIONS: usize = 20;

/// Constant tables that are the same at all moments.
const TIMELESS: [&str; 2] = ["policy", "currencies"];

impl Evaluator {
    /// Answers many questions that differ in their moments and ranges only, in their order.
    pub async fn vintages_on(&self, queries: &[SeriesQuery], snapshot: &Snapshot) -> Vec<Result<Series, MetricsError>> {
        let mut answers = Vec::with_capacity(queries.len());
        let mut scans = Scans::default();
        while let Some(asked) = scans.next(queries, answers.len()) {
            match self.series_of_moments(asked, snapshot).await {
                Ok(series) => answers.extend(series.into_iter().map(Ok)),
                Err(error) if scans.takes_fewer(&error, asked.len()) => {}
                Err(_) => {
                    for query in asked {
                        answers.push(self.series_on(query, snapshot).await);
                    }
                }
            }
        }
        answers
    }

    /// What a signal said at many moments, in their order.
    pub async fn readings_of_moments(
        &self,
        signal: &str,
        moments: &[DateTime<Utc>],
        snapshot: &Snapshot,
    ) -> Vec<Result<Readings, MetricsError>> {
        let mut answers = Vec::with_capacity(moments.len());
        let mut scans = Scans::default();
        while let Some(asked) = scans.next(moments, answers.len()) {
            match self.lifted_readings(signal, asked, snapshot).await {
                Ok(readings) => answers.extend(readings.into_iter().map(Ok)),
                Err(error) if scans.takes_fewer(&error, asked.len()) => {}
                Err(_) => {
                    for at in asked {
                        answers.push(self.readings_on(signal, Some(*at), snapshot).await);
                    }
                }
            }
        }
        answers
    }

    /// How often many moments were answered in one scan.
    pub fn scans_of_many_moments(&self) -> u64 {
        self.cache.scans.load(Ordering::Relaxed)
    }

    /// Answers all of them in one scan; an error where each has to be asked by itself.
    async fn series_of_moments(
        &self,
        queries: &[SeriesQuery],
        snapshot: &Snapshot,
    ) -> Result<Vec<Series>, MetricsError> {
        let [first, _, ..] = queries else {
            return Err(refused("it is asked of one moment"));
        };
        let same = |other: &SeriesQuery| {
            (&other.metric, other.grain, &other.by, other.known_by)
                == (&first.metric, first.grain, &first.by, first.known_by)
        };
        if !queries.iter().all(same) || queries.iter().any(|query| query.as_of.is_none()) {
            return Err(refused("they are not one question at several moments"));
        }
        let now = self.clock().now();
        let plan_at = |query: &SeriesQuery| Ok(calendar_only(self.plan_at(query, now)?));
        let plans: Vec<EvaluationPlan> = queries.iter().map(plan_at).collect::<Result<_, MetricsError>>()?;
        let plan = &self.plan_at(first, now)?;
        if plan.rounding.is_some() {
            return Err(refused("its parts are rounded to what another question says"));
        }
        let engine = |source: EngineError| MetricsError::Engine {
            metric: first.metric.clone(),
            source,
        };
        let spec = self.spec(&first.metric)?;
        let session = self.lifted_session(plan, &plans, snapshot).await?;
        let columns: Vec<&str> = std::iter::once("period_start")
            .chain(plan.dimensions.iter().map(String::as_str))
            .chain(spec.unit.columns().iter().copied())
            .collect();
        let order: Vec<String> = (1..=plan.dimensions.len() + 2).map(|index| index.to_string()).collect();
        let select = format!(
            "SELECT {VINTAGE}, {} FROM {} ORDER BY {}",
            columns.join(", "),
            spec.id,
            order.join(", ")
        );
        let rows = apart(&session, &select, plans.len()).await.map_err(engine)?;
        let mut failures = vec![Vec::new(); plans.len()];
        for (id, _) in &plan.identities {
            let select = format!("SELECT * FROM {id} ORDER BY {VINTAGE}");
            let found = apart(&session, &select, plans.len()).await.map_err(engine)?;
            for (of_moment, broken) in failures.iter_mut().zip(found) {
                of_moment.extend(read_violations(id, &broken).into_iter().take(MOST_VIOLATIONS));
            }
        }
        let landed = landings(&session, &plan.kinds).await.map_err(engine)?;
        let key = self.proof_key(&first.metric, &plan.kinds, snapshot);
        let reporting = self.home().settings().reporting_currency;
        let mut answers = Vec::with_capacity(plans.len());
        for (((query, plan), batches), failures) in queries.iter().zip(&plans).zip(rows).zip(failures) {
            let mut rows = Rows::read(spec, plan.dimensions.len(), &batches)?;
            // What is looked back on is not asked for.
            let from = plan.periods.first().map(|period| period.start_on);
            rows.rows.retain(|(day, ..)| from.is_some_and(|from| *day >= from));
            let points = series_from_rows(spec, plan, rows, None, reporting)?;
            let fresh_at = newest(&landed, plan.now);
            answers.push(self.series_of(query, plan, points, failures, &key, fresh_at)?);
        }
        // The engine is asked one of them as it always is: a fault in putting them together must not pass for history. One
        // from the middle has both what is replaced later and what has been replaced.
        let place = queries.len() / 2;
        if let (Some(query), Some(together)) = (queries.get(place), answers.get(place))
            && *together != self.series_on(query, snapshot).await?
        {
            tracing::error!("{}: moments asked together differ from one asked alone", first.metric);
            return Err(refused("together they say otherwise than alone"));
        }
        self.cache.scans.fetch_add(1, Ordering::Relaxed);
        Ok(answers)
    }

    async fn lifted_readings(
        &self,
        signal: &str,
        moments: &[DateTime<Utc>],
        snapshot: &Snapshot,
    ) -> Result<Vec<Readings>, MetricsError> {
        let [first, _, ..] = moments else {
            return Err(refused("it is asked of one moment"));
        };
        let definition = self.signal(signal)?;
        let plan_at = |at: &DateTime<Utc>| Ok(calendar_only(self.plan_signals(&[signal], Some(*at))?));
        let plans: Vec<EvaluationPlan> = moments.iter().map(plan_at).collect::<Result<_, MetricsError>>()?;
        let plan = &self.plan_signals(&[signal], Some(*first))?;
        let engine = |source: EngineError| MetricsError::Engine {
            metric: signal.to_owned(),
            source,
        };
        let session = self.lifted_session(plan, &plans, snapshot).await?;
        let columns = reading_columns(definition).join(", ");
        let select = format!("SELECT {VINTAGE}, {columns} FROM {signal} ORDER BY {VINTAGE}, entity");
        let rows = apart(&session, &select, plans.len()).await.map_err(engine)?;
        let landed = landings(&session, &plan.kinds).await.map_err(engine)?;
        let key = self.proof_key(signal, &plan.kinds, snapshot);
        let mut answers = Vec::with_capacity(plans.len());
        for (plan, batches) in plans.iter().zip(rows) {
            let readings = read_readings(definition, &batches)?;
            let fresh_at = newest(&landed, plan.now);
            answers.push(self.readings_of(definition, plan, readings, &key, fresh_at)?);
        }
        let place = moments.len() / 2;
        if let (Some(at), Some(together)) = (moments.get(place), answers.get(place))
            && *together != self.readings_on(signal, Some(*at), snapshot).await?
        {
            tracing::error!("{signal}: moments asked together differ from one asked alone");
            return Err(refused("together they say otherwise than alone"));
        }
        self.cache.scans.fetch_add(1, Ordering::Relaxed);
        Ok(answers)
    }

    /// Whether the movement operator answers a part of it.
    fn is_computed(&self, plan: &EvaluationPlan, snapshot: &Snapshot) -> bool {
        let computed = self.stands_in(plan, snapshot);
        let wanted: Vec<&str> = plan.ids.iter().map(String::as_str).collect();
        !operator::needed(plan, &wanted, &computed).1.is_empty()
    }

    /// A session in which every relation has the rows of all moments.
    async fn lifted_session(
        &self,
        plan: &EvaluationPlan,
        moments: &[EvaluationPlan],
        snapshot: &Snapshot,
    ) -> Result<EngineSession, MetricsError> {
        if self.is_computed(plan, snapshot) {
            return Err(refused("the movement operator answers it"));
        }
        let Some(in_order) = Moments::of(moments) else {
            return Err(refused("the moments are not in the order of time"));
        };
        let (timeless, timely): (Vec<ConstantTable>, Vec<ConstantTable>) = plan
            .constants
            .iter()
            .cloned()
            .partition(|table| TIMELESS.contains(&table.name));
        let mut lifted: BTreeSet<String> = timely.iter().map(|table| table.name.to_owned()).collect();
        let mut constants = timeless;
        constants.extend(timely.into_iter().map(|table| of_all_moments(table, moments)));
        constants.push(moments_table(moments));
        let of_moments = EvaluationPlan {
            constants,
            ..plan.clone()
        };
        let session = self.bare_session(&of_moments, snapshot)?;
        let ids: Vec<&str> = plan.ids.iter().map(String::as_str).collect();
        let is_of_records = |view: &&View| {
            let mut kinds = plan.kinds.iter();
            kinds.any(|kind| known_view_name(*kind) == view.name || versions_view_name(*kind) == view.name)
        };
        let defined = plan.views.iter().filter(|view| !is_of_records(view));
        let texts: String = defined.map(|view| format!("{}\n", view.sql)).collect();
        for view in &plan.views {
            let engine = |source: EngineError| MetricsError::Engine {
                metric: view.name.clone(),
                source,
            };
            let known = plan.kinds.iter().find(|kind| known_view_name(**kind) == view.name);
            let versions = plan.kinds.iter().find(|kind| versions_view_name(**kind) == view.name);
            if let Some(kind) = known.or(versions) {
                let reads = Reads {
                    known_by: plan.known_by,
                    narrowing: narrowing(*kind, self.catalog(), &ids),
                    is_within_calendar: known.is_some() && is_within_calendar(*kind, self.catalog(), &ids),
                    has_versions: known.is_none(),
                };
                let rows = in_order.rows(&session, *kind, &reads, &texts).await;
                let registered = rows.and_then(|(schema, rows)| session.register_rows(&view.name, schema, rows));
                registered.map_err(engine)?;
                lifted.insert(view.name.clone());
                continue;
            }
            let text = lift(&view.sql, &lifted).map_err(engine)?;
            if text.is_some() {
                lifted.insert(view.name.clone());
            }
            let text = text.as_ref().unwrap_or(&view.sql);
            let created = match view.materialise {
                true => match session.materialise(text).await {
                    Ok(rows) => session.adopt(&view.name, &rows),
                    Err(error) => Err(error),
                },
                false => session.create_view(&view.name, text).await,
            };
            created.map_err(engine)?;
        }
        Ok(session)
    }
}

/// A plan of which only the moment and its calendar are needed: there are many of them.
fn calendar_only(plan: EvaluationPlan) -> EvaluationPlan {
    EvaluationPlan {
        views: Vec::new(),
        identities: Vec::new(),
        calendar: Vec::new(),
        ..plan
    }
}

/// How many moments are answered at once: fewer where they take too much, and those that cannot be answered so, one by one.
struct Scans {
    most: usize,
}

impl Default for Scans {
    fn default() -> Self {
        Self { most: MOST_MOMENTS }
    }
}

impl Scans {
    /// What is asked next, after so many answers.
    fn next<'a, T>(&self, all: &'a [T], answered: usize) -> Option<&'a [T]> {
        let rest = all.get(answered..).filter(|rest| !rest.is_empty())?;
        rest.get(..self.most.min(rest.len()))
    }

    /// Whether fewer than those that failed are tried. What stops one moment (a rate that was not known yet) must not stop the
    /// others: they are asked one by one.
    fn takes_fewer(&mut self, error: &MetricsError, asked: usize) -> bool {
        let MetricsError::Engine { source, .. } = error else {
            tracing::warn!("asked moment by moment: {error}");
            return false;
        };
        match source {
            EngineError::Memory(_) if asked >= 2 * FEWEST_MOMENTS => {
                self.most = asked / 2;
                true
            }
            EngineError::Memory(_) | EngineError::Lift(_) => {
                tracing::debug!("asked moment by moment: {error}");
                false
            }
            _ => {
                tracing::warn!("asked moment by moment: {error}");
                false
            }
        }
    }
}

fn refused(reason: &str) -> MetricsError {
    MetricsError::Engine {
        metric: VINTAGES.to_owned(),
        source: EngineError::Lift(reason.to_owned()),
    }
}

/// The newest of ordered instants that is not after another.
fn newest(ordered: &[DateTime<Utc>], at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let known = ordered.partition_point(|landed| *landed <= at);
    ordered.get(known.checked_sub(1)?).copied()
}

/// A constant table with the rows of all moments.
fn of_all_moments(table: ConstantTable, moments: &[EvaluationPlan]) -> ConstantTable {
    let columns = std::iter::once((VINTAGE, "BIGINT")).chain(table.columns).collect();
    let mut rows = Vec::new();
    for (vintage, moment) in (0_i64..).zip(moments) {
        let own = moment.constants.iter().find(|own| own.name == table.name);
        for row in own.into_iter().flat_map(|own| &own.rows) {
            rows.push(
                std::iter::once(Cell::Integer(vintage))
                    .chain(row.iter().cloned())
                    .collect(),
            );
        }
    }
    ConstantTable {
        name: table.name,
        columns,
        rows,
    }
}

fn moments_table(moments: &[EvaluationPlan]) -> ConstantTable {
    let rows = (0_i64..).zip(moments);
    ConstantTable {
        name: VINTAGES,
        columns: vec![(VINTAGE, "BIGINT"), ("as_of", "TIMESTAMPTZ")],
        rows: rows
            .map(|(vintage, moment)| vec![Cell::Integer(vintage), Cell::Instant(moment.now)])
            .collect(),
    }
}

/// The rows of each moment, the moments' own column left out; the answer is in the order of moments.
async fn apart(session: &EngineSession, select: &str, moments: usize) -> Result<Vec<Vec<RecordBatch>>, EngineError> {
    let (schema, batches) = session.query(select).await?;
    let all = concat_batches(&schema, &batches)?;
    let of_rows = all
        .column_by_name(VINTAGE)
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    let of_rows = of_rows.ok_or_else(|| EngineError::Lift("the answer does not tell its moments".to_owned()))?;
    let others: Vec<usize> = (0..all.num_columns())
        .filter(|index| schema.field(*index).name() != VINTAGE)
        .collect();
    let told = all.project(&others)?;
    let mut found = Vec::with_capacity(moments);
    let mut start = 0;
    for vintage in (0_i64..).take(moments) {
        let end = start + of_rows.values()[start..].partition_point(|value| *value <= vintage);
        found.push(vec![told.slice(start, end - start)]);
        start = end;
    }
    Ok(found)
}
