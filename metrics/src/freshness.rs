use std::sync::PoisonError;

use arrow::{
    array::{Array, AsArray},
    datatypes::TimestampMicrosecondType,
};
use atalaya_engine::{EngineError, EngineSession};
use atalaya_model::Kind;
use atalaya_store::Snapshot;
use chrono::{DateTime, Utc};

use crate::{EvaluationPlan, Evaluator, records::instant_sql};

/// Files whose newest row is remembered.
const MOST_FILES: usize = 100_000;

/// Kinds that other records are looked up in. That they land says nothing of whether what is counted does.
const REFERENCES: [Kind; 4] = [Kind::Customers, Kind::FxRates, Kind::PriceTiers, Kind::MonthCloses];

impl Evaluator {
    /// When the newest record that a plan counts, and knew of, landed; of what it only looks up where it counts nothing else.
    pub(crate) async fn fresh_at(
        &self,
        session: &EngineSession,
        plan: &EvaluationPlan,
        snapshot: &Snapshot,
    ) -> Result<Option<DateTime<Utc>>, EngineError> {
        let mut newest = None;
        for kind in counted(&plan.kinds) {
            let of_files = self.landed(kind, snapshot);
            let at = match of_files {
                Some(at) if at.is_none_or(|at| at <= plan.now) => at,
                // Some rows are not known yet, or a file does not say.
                _ => landed_by(session, kind, plan.now).await?,
            };
            newest = newest.max(at);
        }
        Ok(newest)
    }

    /// When the newest row of a kind landed, as its files say; none where one of them does not.
    fn landed(&self, kind: Kind, snapshot: &Snapshot) -> Option<Option<DateTime<Utc>>> {
        let files = snapshot.tables.get(kind.name()).map_or(&[][..], |table| &table.files);
        let mut known = self.cache.landed.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MOST_FILES {
            known.clear();
        }
        let mut newest = None;
        for file in files.iter().filter(|file| file.rows > 0) {
            let at = match known.get(&file.path) {
                Some(at) => *at,
                None => {
                    let at = file.newest_landed_at()?;
                    known.insert(file.path.clone(), at);
                    at
                }
            };
            newest = newest.max(Some(at));
        }
        Some(newest)
    }
}

/// The kinds that a plan counts, or looks up where it counts none.
fn counted(kinds: &[Kind]) -> Vec<Kind> {
    let (references, counted): (Vec<Kind>, Vec<Kind>) = kinds.iter().partition(|kind| REFERENCES.contains(kind));
    if counted.is_empty() { references } else { counted }
}

/// When rows that a plan counts landed, in order.
pub(crate) async fn landings(session: &EngineSession, kinds: &[Kind]) -> Result<Vec<DateTime<Utc>>, EngineError> {
    let mut found = Vec::new();
    for kind in counted(kinds) {
        let select = format!("SELECT DISTINCT landed_at FROM raw_{}", kind.name());
        let (_, batches) = session.query(&select).await?;
        for batch in &batches {
            let column = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>();
            let instants = column.into_iter().flat_map(|column| column.values().iter());
            found.extend(instants.filter_map(|micros| DateTime::from_timestamp_micros(*micros)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// When the newest row that was known by an instant landed.
async fn landed_by(
    session: &EngineSession,
    kind: Kind,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, EngineError> {
    let (kind, by) = (kind.name(), instant_sql(now));
    let select = format!("SELECT MAX(landed_at) FROM raw_{kind} WHERE landed_at <= {by}");
    let (_, batches) = session.query(&select).await?;
    Ok(batches.iter().find_map(|batch| {
        let column = batch.column(0).as_primitive_opt::<TimestampMicrosecondType>()?;
        (batch.num_rows() > 0 && column.is_valid(0)).then(|| DateTime::from_timestamp_micros(column.value(0)))?
    }))
}
