use arrow::{
    array::{Array, AsArray},
    datatypes::TimestampMicrosecondType,
};
use atalaya_engine::{EngineError, EngineSession};
use chrono::{DateTime, Utc};

use crate::EvaluationPlan;

/// When the newest record that a plan reads landed.
pub(crate) async fn fresh_at(
    session: &EngineSession,
    plan: &EvaluationPlan,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let mut newest = None;
    for kind in &plan.kinds {
        let (_, batches) = session
            .query(&format!("SELECT MAX(landed_at) FROM raw_{}", kind.name()))
            .await?;
        let at = batches.iter().find_map(|batch| {
            let column = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>()?;
            (batch.num_rows() > 0 && column.is_valid(0)).then(|| DateTime::from_timestamp_micros(column.value(0)))?
        });
        newest = newest.max(at);
    }
    Ok(newest)
}
