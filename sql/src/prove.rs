//! The proof of one question: whatever its grain, its dimensions and its knowledge are.

use atalaya_metrics::{Evaluator, MetricsError, Rows};
use atalaya_model::SeriesQuery;
use atalaya_store::{Snapshot, check_bytes};

use crate::{
    SqlError, Worker,
    verify::{ask_second, differences_of, keep_verdict_of},
};

/// Checks the bytes that a question reads, asks both engines, and keeps the verdict: a line for each cell that differs.
pub async fn prove(evaluator: &Evaluator, snapshot: &Snapshot, query: &SeriesQuery) -> Result<Vec<String>, SqlError> {
    let spec = evaluator.spec(&query.metric)?;
    let kinds = evaluator.kinds_of(&spec.id);
    let key = evaluator.proof_key(&spec.id, &kinds, snapshot).of_question(query);
    if let Some(known) = evaluator.proofs().get(&key) {
        return Ok(known.differences);
    }
    let worker = Worker::find()?;
    let plan = evaluator.plan(query)?;
    let mut read = snapshot.clone();
    read.tables
        .retain(|table, _| kinds.iter().any(|kind| kind.name() == table));
    let faults = tokio::task::block_in_place(|| check_bytes(&read))?;
    let session = evaluator.session(&plan, snapshot).await?;
    let (_, batches) = session
        .query(&plan.select)
        .await
        .map_err(|source| MetricsError::Engine {
            metric: spec.id.clone(),
            source,
        })?;
    let ours = Rows::read(spec, plan.dimensions.len(), &batches)?;
    let answers = ask_second(&worker, &plan, snapshot, vec![plan.select.clone()]).await?;
    let mut differences = Vec::new();
    for answer in answers {
        let theirs = Rows::read(spec, plan.dimensions.len(), &answer?.batches)?;
        differences.extend(differences_of(spec, query.grain, &plan.dimensions, ours.clone(), theirs).1);
    }
    keep_verdict_of(evaluator, &key, spec, differences, &faults)
}
