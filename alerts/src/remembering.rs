use std::collections::BTreeMap;

use atalaya_model::{BoxFuture, MetricReadError, MetricReader, MetricSpec, Readings, Series, SeriesQuery};
use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

/// A reader that asks for each signal once in a tick: several rules look at the same one.
pub(crate) struct Remembering<'a> {
    reader: &'a dyn MetricReader,
    readings: Mutex<BTreeMap<String, Result<Readings, MetricReadError>>>,
}

impl<'a> Remembering<'a> {
    pub(crate) fn new(reader: &'a dyn MetricReader) -> Self {
        Self {
            reader,
            readings: Mutex::default(),
        }
    }
}

impl MetricReader for Remembering<'_> {
    fn specs(&self) -> Vec<MetricSpec> {
        self.reader.specs()
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> BoxFuture<'a, Result<Series, MetricReadError>> {
        self.reader.series(query)
    }

    fn readings<'a>(
        &'a self,
        signal: &'a str,
        at: Option<DateTime<Utc>>,
    ) -> BoxFuture<'a, Result<Readings, MetricReadError>> {
        Box::pin(async move {
            let mut known = self.readings.lock().await;
            if let Some(found) = known.get(signal) {
                return found.clone();
            }
            let found = self.reader.readings(signal, at).await;
            known.insert(signal.to_owned(), found.clone());
            found
        })
    }
}
