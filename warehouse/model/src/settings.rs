use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::Currency;

/// The first day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeekStart {
    /// ISO 8601.
    #[default]
    Monday,
    /// As in the Americas.
    Sunday,
}

/// What one home, which is one company, has settled on. Validated; the raw file lives in `atalaya-store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeSettings {
    /// Counts changes of this file, so that a cached figure of older settings is never served.
    pub version: u32,
    /// The company's name, shown on boards and in messages.
    pub company: String,
    /// IANA name of the zone in which days are cut.
    pub time_zone: String,
    /// First day of the week.
    pub week_start: WeekStart,
    /// First month of the fiscal year, 1 to 12.
    pub fiscal_year_start_month: u8,
    /// Currency of every figure that sums several currencies.
    pub reporting_currency: Currency,
    /// Day from which targets by roadmap phase are counted, when there is one.
    pub roadmap_start_on: Option<NaiveDate>,
}
