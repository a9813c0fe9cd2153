//! Signals on both engines: what is judged at night is what the second engine would have judged.

use std::collections::BTreeMap;

use atalaya_catalog::Definition;
use atalaya_metrics::{Evaluator, MetricsError, read_readings, readings_select};
use atalaya_model::Reading;
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{SqlError, Worker, verify::ask_second};

/// What a comparison of signals found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) cells: usize,
    /// By signal, one line each.
    pub(crate) differences: BTreeMap<String, Vec<String>>,
    /// Signals that could not be compared, and why. That the second engine could not be asked proves nothing either way.
    pub(crate) not_compared: BTreeMap<String, String>,
}

/// Compares the readings of all signals between the engines.
pub(crate) async fn verify_signals(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    as_of: Option<DateTime<Utc>>,
) -> Result<Compared, SqlError> {
    let signals: Vec<&Definition> = evaluator.catalog().signals().collect();
    // Together first: the views are set up once. Where that fails, each is asked alone, so that one that has no answer does not
    // stand for all.
    if let Ok(found) = compare(evaluator, worker, snapshot, &signals, as_of).await {
        return Ok(found);
    }
    let mut found = Compared::default();
    for signal in signals {
        match compare(evaluator, worker, snapshot, &[signal], as_of).await {
            Ok(more) => {
                found.cells += more.cells;
                found.differences.extend(more.differences);
                found.not_compared.extend(more.not_compared);
            }
            Err(error) => {
                found.not_compared.insert(signal.spec.id.clone(), error.to_string());
            }
        }
    }
    Ok(found)
}

async fn compare(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    signals: &[&Definition],
    as_of: Option<DateTime<Utc>>,
) -> Result<Compared, SqlError> {
    let ids: Vec<&str> = signals.iter().map(|signal| signal.spec.id.as_str()).collect();
    let plan = evaluator.plan_signals(&ids, as_of)?;
    let queries = signals.iter().map(|signal| readings_select(signal)).collect();
    let session = evaluator.session(&plan, snapshot).await?;
    let answers = ask_second(worker, &plan, snapshot, queries).await?;
    let mut found = Compared::default();
    for (signal, theirs) in signals.iter().zip(answers) {
        let id = &signal.spec.id;
        let ours = session.query(&readings_select(signal)).await;
        let ours = ours.map_err(|source| MetricsError::Engine {
            metric: id.clone(),
            source,
        });
        let ours = ours.and_then(|(_, batches)| read_readings(signal, &batches));
        let theirs = theirs.and_then(|answer| Ok(read_readings(signal, &answer.batches)?));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                found.cells += ours.len() * (4 + signal.evidence.len());
                let lines = differences_of(id, ours, theirs);
                if !lines.is_empty() {
                    found.differences.insert(id.clone(), lines);
                }
            }
            (Err(error), _) => {
                found.not_compared.insert(id.clone(), error.to_string());
            }
            (_, Err(error)) => {
                found.not_compared.insert(id.clone(), error.to_string());
            }
        }
    }
    Ok(found)
}

fn differences_of(id: &str, ours: Vec<Reading>, theirs: Vec<Reading>) -> Vec<String> {
    let table = |readings: Vec<Reading>| -> BTreeMap<String, Reading> {
        readings
            .into_iter()
            .map(|reading| (reading.entity.clone(), reading))
            .collect()
    };
    let (ours, mut theirs) = (table(ours), table(theirs));
    let mut lines = Vec::new();
    for (entity, mine) in &ours {
        match theirs.remove(entity) {
            None => lines.push(format!("{id} {entity}: DuckDB has no row")),
            Some(other) if other != *mine => lines.push(format!(
                "{id} {entity}: DataFusion has {}/{}, DuckDB has {}/{}, or label, since or evidence differ",
                mine.numerator, mine.denominator, other.numerator, other.denominator
            )),
            Some(_) => {}
        }
    }
    lines.extend(
        theirs
            .keys()
            .map(|entity| format!("{id} {entity}: DataFusion has no row")),
    );
    lines
}
