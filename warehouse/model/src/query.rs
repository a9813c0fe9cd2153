use std::{future::Future, pin::Pin};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Grain, MetricSpec, Readings, Series};

/// A boxed future, so that readers can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whose knowledge "as of" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownBy {
    /// What Atalaya had: `landed_at`.
    #[default]
    Atalaya,
    /// What the source says it had: `recorded_at`.
    Source,
}

/// What to compute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeriesQuery {
    /// The metric's id.
    pub metric: String,
    /// First local day.
    pub from: NaiveDate,
    /// First local day no longer wanted.
    pub to: NaiveDate,
    /// Length of the periods.
    pub grain: Grain,
    /// Dimensions to split by, in the order wanted.
    pub by: Vec<String>,
    /// Only what was known then; absent means now.
    pub as_of: Option<DateTime<Utc>>,
    /// Whose knowledge.
    pub known_by: KnownBy,
}

/// Why a series could not be had.
#[derive(Debug, Clone, Error)]
pub enum MetricReadError {
    /// The query is at fault; asking again will not help.
    #[error("{0}")]
    BadQuery(String),
    /// The data does not allow an answer (a missing rate, an overflow); it must be mended first.
    #[error("{0}")]
    Data(String),
    /// Reading failed; asking again may help.
    #[error("{0}")]
    Unavailable(String),
}

/// Where dashboards, alerts and reports get figures from. One implementation stands on DataFusion, one in tests.
pub trait MetricReader: Send + Sync {
    /// The metrics that can be asked for, ordered by id.
    fn specs(&self) -> Vec<MetricSpec>;

    /// Computes a series on the newest snapshot.
    fn series<'a>(&'a self, query: &'a SeriesQuery) -> BoxFuture<'a, Result<Series, MetricReadError>>;

    /// What a signal says at a moment with what was known then; without a moment, now.
    fn readings<'a>(
        &'a self,
        signal: &'a str,
        at: Option<DateTime<Utc>>,
    ) -> BoxFuture<'a, Result<Readings, MetricReadError>>;

    /// The same question at many moments of knowledge, on one snapshot; an answer for each, in their order.
    fn vintages<'a>(&'a self, queries: &'a [SeriesQuery]) -> BoxFuture<'a, Vec<Result<Series, MetricReadError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(queries.len());
            for query in queries {
                answers.push(self.series(query).await);
            }
            answers
        })
    }

    /// What a signal said at many moments, on one snapshot; an answer for each, in their order.
    fn readings_at<'a>(
        &'a self,
        signal: &'a str,
        moments: &'a [DateTime<Utc>],
    ) -> BoxFuture<'a, Vec<Result<Readings, MetricReadError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(moments.len());
            for at in moments {
                answers.push(self.readings(signal, Some(*at)).await);
            }
            answers
        })
    }
}
