//! The JSON API.

use std::{collections::HashMap, sync::Arc};

use atalaya_model::{Grain, HomeSettings, KnownBy, MetricReadError, MetricSpec, Series, SeriesQuery, calendar};
use atalaya_store::Snapshot;
use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::Shared;

/// An error as the API tells it.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: u16,
    /// What is wrong, for people.
    error: String,
    /// Whether asking again may help.
    retry: bool,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}

impl From<MetricReadError> for ApiError {
    fn from(error: MetricReadError) -> Self {
        let (status, retry) = match error {
            MetricReadError::BadQuery(_) => (400, false),
            MetricReadError::Data(_) => (422, false),
            MetricReadError::Unavailable(_) => (503, true),
        };
        Self {
            status,
            error: error.to_string(),
            retry,
        }
    }
}

fn bad(error: impl ToString) -> ApiError {
    ApiError {
        status: 400,
        error: error.to_string(),
        retry: false,
    }
}

/// Figures computed on the present snapshot; a warm board does no work.
#[derive(Default)]
pub(crate) struct Cache {
    snapshot: String,
    proved: u64,
    day: Option<NaiveDate>,
    series: HashMap<SeriesQuery, Arc<Series>>,
}

/// What `/healthz` says.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    snapshot: String,
}

pub(crate) async fn health(State(shared): State<Arc<Shared>>) -> Result<Json<Health>, ApiError> {
    let snapshot = pin(&shared).await?;
    Ok(Json(Health {
        status: "ok",
        snapshot: snapshot.id(&[]),
    }))
}

/// Numbers about the server itself, for Prometheus.
pub(crate) async fn expose(State(shared): State<Arc<Shared>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match (shared.exposition)().await {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

/// The home as the board shows it.
#[derive(Debug, Serialize)]
pub(crate) struct HomeView {
    settings: HomeSettings,
    now: DateTime<Utc>,
    today: NaiveDate,
}

pub(crate) async fn home(State(shared): State<Arc<Shared>>) -> Result<Json<HomeView>, ApiError> {
    let settings = shared.evaluator.home().settings().clone();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(bad)?;
    let now = shared.evaluator.clock().now();
    Ok(Json(HomeView {
        settings,
        now,
        today: calendar::day_of(zone, now),
    }))
}

pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Json<Vec<MetricSpec>> {
    Json(shared.evaluator.catalog().metrics().cloned().collect())
}

/// What `/api/v1/series` is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesParameters {
    metric: String,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    grain: Option<String>,
    by: Option<String>,
    as_of: Option<DateTime<Utc>>,
    known_by: Option<KnownBy>,
}

pub(crate) async fn series(
    State(shared): State<Arc<Shared>>,
    parameters: Result<Query<SeriesParameters>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Series>, ApiError> {
    let Query(parameters) = parameters.map_err(|error| bad(error.body_text()))?;
    let settings = shared.evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone).map_err(bad)?;
    let today = calendar::day_of(zone, shared.evaluator.clock().now());
    let grain = parameters
        .grain
        .as_deref()
        .map_or(Ok(Grain::Month), Grain::parse)
        .map_err(bad)?;
    let to = parameters.to.unwrap_or(today + Days::new(1));
    let from = parameters
        .from
        .unwrap_or_else(|| grain.start_of(to - Days::new(1), settings.week_start) - Months::new(11));
    if (to - from).num_days() > 40 * 366 {
        return Err(bad("ask for 40 years or less"));
    }
    let by = parameters
        .by
        .map(|text| text.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let known_by = parameters.known_by.unwrap_or_default();
    let query = SeriesQuery {
        metric: parameters.metric,
        from,
        to,
        grain,
        by,
        as_of: parameters.as_of,
        known_by,
    };
    let snapshot = pin(&shared).await?;
    let id = snapshot.id(&[]);
    let proved = *shared.commits.borrow();
    {
        let mut cache = shared.cache.lock().await;
        // A new snapshot, a new proof or a new day makes other figures; an open period moves by the day.
        if cache.snapshot != id || cache.day != Some(today) || cache.proved != proved {
            *cache = Cache {
                snapshot: id.clone(),
                proved,
                day: Some(today),
                series: HashMap::new(),
            };
        }
        if let Some(known) = cache.series.get(&query) {
            return Ok(Json(Series::clone(known)));
        }
    }
    let series = shared
        .evaluator
        .series_on(&query, &snapshot)
        .await
        .map_err(|error| MetricReadError::from(&error))?;
    shared.evaluator.prove_later(&query, &series);
    let mut cache = shared.cache.lock().await;
    if cache.snapshot == id && cache.proved == proved && cache.series.len() < 1000 {
        cache.series.insert(query, Arc::new(series.clone()));
    }
    Ok(Json(series))
}

async fn pin(shared: &Shared) -> Result<Snapshot, ApiError> {
    Snapshot::latest(shared.evaluator.home())
        .await
        .map_err(|error| ApiError {
            status: 503,
            error: error.to_string(),
            retry: true,
        })
}
