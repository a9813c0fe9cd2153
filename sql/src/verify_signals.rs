//! Signals on both engines: what is judged at night is what the second engine would have judged.

use std::collections::BTreeMap;

use atalaya_catalog::Definition;
use atalaya_metrics::{Evaluator, MetricsError, Verdict, read_readings, readings_select};
use atalaya_model::Reading;
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{Request, SqlError, Worker, worker_setup};

/// Differences of readings between the engines, by signal, and how many cells were compared.
pub(crate) async fn verify_signals(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    as_of: Option<DateTime<Utc>>,
) -> Result<(usize, BTreeMap<String, Vec<String>>), SqlError> {
    let signals: Vec<&Definition> = evaluator.catalog().signals().collect();
    // Together first: the views are set up once. Where that fails, each is asked alone, so that one that has no answer does not
    // stand for all.
    if let Ok(found) = compare(evaluator, worker, snapshot, &signals, as_of).await {
        return Ok(found);
    }
    let (mut cells, mut differences) = (0, BTreeMap::new());
    for signal in signals {
        let id = signal.spec.id.clone();
        match compare(evaluator, worker, snapshot, &[signal], as_of).await {
            Ok((more, different)) => {
                cells += more;
                differences.extend(different);
            }
            Err(error) => {
                let line = format!("{id}: {error}");
                differences.insert(id, vec![line]);
            }
        }
    }
    Ok((cells, differences))
}

async fn compare(
    evaluator: &Evaluator,
    worker: &Worker,
    snapshot: &Snapshot,
    signals: &[&Definition],
    as_of: Option<DateTime<Utc>>,
) -> Result<(usize, BTreeMap<String, Vec<String>>), SqlError> {
    let ids: Vec<&str> = signals.iter().map(|signal| signal.spec.id.as_str()).collect();
    let plan = evaluator.plan_signals(&ids, as_of)?;
    let (files, setup) = worker_setup(&plan, snapshot);
    let request = Request {
        files,
        setup,
        queries: signals.iter().map(|signal| readings_select(signal)).collect(),
        untrusted: false,
        timeout_secs: 3600,
        max_answer_bytes: 1 << 30,
        memory_limit_mb: 4096,
    };
    let session = evaluator.session(&plan, snapshot).await?;
    let answers = worker.ask(&request).await?;
    if answers.len() != signals.len() {
        return Err(SqlError::WorkerDied(format!(
            "it gave {} answers to {} questions",
            answers.len(),
            signals.len()
        )));
    }
    let (mut cells, mut differences) = (0, BTreeMap::new());
    for (signal, theirs) in signals.iter().zip(answers) {
        let id = &signal.spec.id;
        let ours = session
            .query(&readings_select(signal))
            .await
            .map_err(|source| MetricsError::Engine {
                metric: id.clone(),
                source,
            });
        let ours = ours.and_then(|(_, batches)| read_readings(signal, &batches));
        let theirs = theirs.and_then(|answer| Ok(read_readings(signal, &answer.batches)?));
        let lines = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                cells += ours.len() * (4 + signal.evidence.len());
                differences_of(id, ours, theirs)
            }
            (Err(error), _) => vec![format!("{id}: {error}")],
            (_, Err(error)) => vec![format!("{id}: {error}")],
        };
        if !lines.is_empty() {
            differences.insert(id.clone(), lines);
        }
    }
    Ok((cells, differences))
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

/// Keeps what was found of each signal, so that alerts can say whether it was checked.
pub(crate) fn keep_verdicts(
    evaluator: &Evaluator,
    snapshot: &Snapshot,
    differences: &BTreeMap<String, Vec<String>>,
) -> Result<(), SqlError> {
    for signal in evaluator.catalog().signals() {
        let id = &signal.spec.id;
        let mut found = differences.get(id).cloned().unwrap_or_default();
        found.truncate(20);
        let key = evaluator.proof_key(id, &evaluator.kinds_of(id), snapshot);
        evaluator.proofs().put(&key, &Verdict { differences: found })?;
    }
    Ok(())
}
