use arrow::{
    array::{Array, AsArray},
    datatypes::TimestampMicrosecondType,
};
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::Kind;
use chrono::{DateTime, Utc};

use crate::{EvaluationPlan, records::instant_sql};

/// Kinds that other records are looked up in. That they land says nothing of whether what is counted does.
const REFERENCES: [Kind; 4] = [Kind::Customers, Kind::FxRates, Kind::PriceTiers, Kind::MonthCloses];

/// When the newest record that a plan counts, and knew of, landed; of what it only looks up where it counts nothing else.
pub(crate) async fn fresh_at(
    session: &EngineSession,
    plan: &EvaluationPlan,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let (references, counted): (Vec<Kind>, Vec<Kind>) = plan.kinds.iter().partition(|kind| REFERENCES.contains(kind));
    let mut newest = None;
    for kind in if counted.is_empty() { references } else { counted } {
        let (_, batches) = session
            .query(&format!(
                "SELECT MAX(landed_at) FROM raw_{} WHERE landed_at <= {}",
                kind.name(),
                instant_sql(plan.now)
            ))
            .await?;
        let at = batches.iter().find_map(|batch| {
            let column = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>()?;
            (batch.num_rows() > 0 && column.is_valid(0)).then(|| DateTime::from_timestamp_micros(column.value(0)))?
        });
        newest = newest.max(at);
    }
    Ok(newest)
}
