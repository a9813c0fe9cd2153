//! Asking the server.

use atalaya_model::{HomeSettings, MetricSpec, Series};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The home as the server describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct HomeView {
    pub(crate) settings: HomeSettings,
    pub(crate) now: DateTime<Utc>,
    pub(crate) today: NaiveDate,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

fn plain(error: JsValue) -> String {
    error
        .dyn_ref::<js_sys::Error>()
        .map(|error| String::from(error.message()))
        .unwrap_or_else(|| format!("{error:?}"))
}

async fn get<T: DeserializeOwned>(url: &str) -> Result<T, String> {
    let promise = leptos::prelude::window().fetch_with_str(url);
    let response: web_sys::Response = JsFuture::from(promise)
        .await
        .map_err(plain)?
        .dyn_into()
        .map_err(plain)?;
    let text = JsFuture::from(response.text().map_err(plain)?)
        .await
        .map_err(plain)?
        .as_string()
        .unwrap_or_default();
    if response.ok() {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        Err(serde_json::from_str::<Problem>(&text).map_or(text, |problem| problem.error))
    }
}

pub(crate) async fn home() -> Result<HomeView, String> {
    get("/api/v1/home").await
}

pub(crate) async fn metrics() -> Result<Vec<MetricSpec>, String> {
    get("/api/v1/metrics").await
}

/// A metric by month over the months before `today` and the present one.
pub(crate) async fn months(metric: &str, today: NaiveDate, months: u32) -> Result<Series, String> {
    use chrono::{Datelike, Days, Months};
    let from = today.with_day(1).unwrap_or(today) - Months::new(months);
    let to = today + Days::new(1);
    get(&format!(
        "/api/v1/series?metric={metric}&grain=month&from={from}&to={to}"
    ))
    .await
}
