//! The port through which boards and alerts read figures: with what is kept between questions.

use atalaya_model::{BoxFuture, MetricReadError, MetricReader, MetricSpec, Readings, Series, SeriesQuery};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{Evaluator, cache::Question};

/// A moment that is not longer ago is the present.
const PRESENT: TimeDelta = TimeDelta::seconds(60);

impl MetricReader for Evaluator {
    fn specs(&self) -> Vec<MetricSpec> {
        self.catalog().metrics().cloned().collect()
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> BoxFuture<'a, Result<Series, MetricReadError>> {
        Box::pin(async move {
            let snapshot = self
                .cache
                .snapshot(self.home())
                .await
                .map_err(|error| MetricReadError::Unavailable(error.to_string()))?;
            let kinds = self.kinds_of(&query.metric);
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let question = Question::new(query, snapshot.id(&names), self.clock().now());
            if let Some(known) = question.as_ref().and_then(|question| self.cache.get(question)) {
                return Ok(self.proved_since(&known, query, &snapshot));
            }
            let series = self
                .series_on(query, &snapshot)
                .await
                .map_err(|error| MetricReadError::from(&error))?;
            if let Some(question) = question {
                self.cache.put(question, &series);
            }
            Ok(series)
        })
    }

    fn readings<'a>(
        &'a self,
        signal: &'a str,
        at: Option<DateTime<Utc>>,
    ) -> BoxFuture<'a, Result<Readings, MetricReadError>> {
        Box::pin(async move {
            let snapshot = self
                .cache
                .snapshot(self.home())
                .await
                .map_err(|error| MetricReadError::Unavailable(error.to_string()))?;
            let kinds = self.kinds_of(signal);
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let read = snapshot.id(&names);
            let now = self.clock().now();
            let at_or_now = at.unwrap_or(now);
            // A look at the past is asked for once; it must not take the place of what is kept of the present.
            let is_present = now - at_or_now < PRESENT;
            if let Some(known) = self.cache.readings(signal, &read, at_or_now).filter(|_| is_present) {
                return Ok(known);
            }
            let readings = self.readings_on(signal, at, &snapshot).await;
            let readings = readings.map_err(|error| MetricReadError::from(&error))?;
            if is_present {
                self.cache.keep_readings(read, &readings);
            }
            Ok(readings)
        })
    }

    fn vintages<'a>(&'a self, queries: &'a [SeriesQuery]) -> BoxFuture<'a, Vec<Result<Series, MetricReadError>>> {
        Box::pin(async move {
            let snapshot = match self.cache.snapshot(self.home()).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    let failed = |_: &SeriesQuery| Err(MetricReadError::Unavailable(error.to_string()));
                    return queries.iter().map(failed).collect();
                }
            };
            let answers = self.vintages_on(queries, &snapshot).await.into_iter();
            answers
                .map(|answer| answer.map_err(|error| MetricReadError::from(&error)))
                .collect()
        })
    }

    fn readings_at<'a>(
        &'a self,
        signal: &'a str,
        moments: &'a [DateTime<Utc>],
    ) -> BoxFuture<'a, Vec<Result<Readings, MetricReadError>>> {
        Box::pin(async move {
            let snapshot = match self.cache.snapshot(self.home()).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    let failed = |_: &DateTime<Utc>| Err(MetricReadError::Unavailable(error.to_string()));
                    return moments.iter().map(failed).collect();
                }
            };
            let answers = self.readings_of_moments(signal, moments, &snapshot).await.into_iter();
            answers
                .map(|answer| answer.map_err(|error| MetricReadError::from(&error)))
                .collect()
        })
    }
}
