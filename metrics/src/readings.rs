//! Signals: what definitions say of things at one moment.

use std::collections::BTreeSet;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use atalaya_catalog::Definition;
use atalaya_model::{KnownBy, Proof, ProofState, Reading, Readings};
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{EvaluationPlan, Evaluator, MetricsError, ProofKey, Scope};

/// The columns of every signal; those of its evidence follow.
const COLUMNS: [&str; 5] = ["entity", "label", "since_at", "numerator", "denominator"];

/// The `SELECT` that reads a signal, in a total order.
pub fn readings_select(signal: &Definition) -> String {
    let columns = reading_columns(signal).join(", ");
    format!("SELECT {columns} FROM {} ORDER BY entity", signal.spec.id)
}

/// The columns of a signal: those of every one, then its evidence.
pub(crate) fn reading_columns(signal: &Definition) -> Vec<&str> {
    COLUMNS
        .into_iter()
        .chain(signal.evidence.iter().map(String::as_str))
        .collect()
}

/// Reads an engine's answer to [`readings_select`]. Two rows of one thing are a fault of the definition.
pub fn read_readings(signal: &Definition, batches: &[RecordBatch]) -> Result<Vec<Reading>, MetricsError> {
    let contract = |reason: String| MetricsError::Contract {
        metric: signal.spec.id.clone(),
        reason,
    };
    let as_type =
        |column: &ArrayRef, wanted: &DataType| cast(column, wanted).map_err(|error| contract(error.to_string()));
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut readings: Vec<Reading> = Vec::new();
    let mut known = BTreeSet::new();
    for batch in batches {
        if batch.num_columns() != COLUMNS.len() + signal.evidence.len() {
            return Err(contract(format!("gives {} columns", batch.num_columns())));
        }
        let texts = |index: usize| as_type(batch.column(index), &DataType::Utf8);
        let numbers = |index: usize| as_type(batch.column(index), &DataType::Int64);
        let (entities, labels) = (texts(0)?, texts(1)?);
        let since = as_type(batch.column(2), &instant)?;
        let (above, below) = (numbers(3)?, numbers(4)?);
        let evidence: Vec<(&String, ArrayRef)> = signal
            .evidence
            .iter()
            .enumerate()
            .map(|(index, name)| Ok((name, texts(COLUMNS.len() + index)?)))
            .collect::<Result<_, MetricsError>>()?;
        let text = |column: &ArrayRef, row: usize| {
            let column = column.as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let number = |column: &ArrayRef, row: usize, name: &str| {
            let column = column.as_primitive::<Int64Type>();
            let given = column.is_valid(row).then(|| column.value(row));
            given.ok_or_else(|| contract(format!("{name} is missing or no whole number of 64 bits")))
        };
        for row in 0..batch.num_rows() {
            let entity = text(&entities, row).ok_or_else(|| contract("entity is missing".to_owned()))?;
            if !known.insert(entity.clone()) {
                return Err(contract(format!("gives two rows for {entity:?}")));
            }
            let since = since.as_primitive::<TimestampMicrosecondType>();
            readings.push(Reading {
                entity,
                label: text(&labels, row),
                since_at: since
                    .is_valid(row)
                    .then(|| DateTime::from_timestamp_micros(since.value(row)))
                    .flatten(),
                numerator: number(&above, row, "numerator")?,
                denominator: number(&below, row, "denominator")?,
                evidence: evidence
                    .iter()
                    .filter_map(|(name, column)| Some(((*name).clone(), text(column, row)?)))
                    .collect(),
            });
        }
    }
    Ok(readings)
}

impl Evaluator {
    /// Plans a signal for one moment.
    pub fn plan_signals(&self, ids: &[&str], at: Option<DateTime<Utc>>) -> Result<EvaluationPlan, MetricsError> {
        let now = self.clock().now();
        EvaluationPlan::for_definitions(
            self.catalog(),
            self.home().settings(),
            self.policy(),
            ids,
            &Scope {
                by: &[],
                periods: &[],
                known_by: KnownBy::Atalaya,
                now: at.map_or(now, |at| at.min(now)),
                vintages: &[],
                is_present: at.is_none(),
            },
        )
    }

    /// What a signal says on a pinned snapshot.
    pub async fn readings_on(
        &self,
        signal: &str,
        at: Option<DateTime<Utc>>,
        snapshot: &Snapshot,
    ) -> Result<Readings, MetricsError> {
        let definition = self.signal(signal)?;
        let plan = self.plan_signals(&[signal], at)?;
        let session = self.session(&plan, snapshot).await?;
        let engine = |source| MetricsError::Engine {
            metric: signal.to_owned(),
            source,
        };
        let (_, batches) = session.query(&readings_select(definition)).await.map_err(engine)?;
        let readings = read_readings(definition, &batches)?;
        let fresh_at = self.fresh_at(&session, &plan, snapshot).await.map_err(engine)?;
        let key = self.proof_key(signal, &plan.kinds, snapshot);
        self.readings_of(definition, &plan, readings, &key, fresh_at)
    }

    /// The definition of a signal.
    pub(crate) fn signal(&self, signal: &str) -> Result<&Definition, MetricsError> {
        let definition = self.catalog().get(signal);
        definition
            .filter(|definition| definition.reading.is_some())
            .ok_or_else(|| MetricsError::UnknownSignal(signal.to_owned()))
    }

    /// What a signal says, with all that is known of its proof.
    pub(crate) fn readings_of(
        &self,
        definition: &Definition,
        plan: &EvaluationPlan,
        readings: Vec<Reading>,
        key: &ProofKey,
        fresh_at: Option<DateTime<Utc>>,
    ) -> Result<Readings, MetricsError> {
        let signal = &definition.spec.id;
        let unit = definition
            .reading
            .ok_or_else(|| MetricsError::UnknownSignal(signal.clone()))?;
        let (state, failures) = match self.proofs().get(key) {
            None => (ProofState::Pending, Vec::new()),
            Some(verdict) if verdict.differences.is_empty() => (ProofState::Checked, Vec::new()),
            Some(verdict) => (ProofState::Failed, verdict.differences),
        };
        Ok(Readings {
            signal: signal.clone(),
            unit,
            readings,
            proof: Proof {
                state,
                definition_hash: key.definition_hash.clone(),
                policy: self.policy().id(),
                snapshot: key.snapshot.clone(),
                failures,
            },
            fresh_at,
            evaluated_at: plan.now,
        })
    }
}
