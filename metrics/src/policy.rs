use atalaya_model::{Currency, HomeSettings};

use crate::{Cell, ConstantTable};

/// The switches that the definitions read from the one-row `policy` view. Named presets come with the revenue engine;
/// these are Atalaya's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Currency of figures that sum several currencies.
    pub reporting_currency: Currency,
    /// Whether an item that is past due still counts.
    pub past_due_counts: bool,
    /// Weeks in a year, for weekly intervals: a weekly price is times 52, by 12.
    pub weeks_per_year: i64,
    /// Days in a year, for daily intervals.
    pub days_per_year: i64,
    /// How many days an exchange rate may be old.
    pub fx_max_age_days: i64,
}

impl Policy {
    /// Atalaya's defaults for a home.
    pub fn of(settings: &HomeSettings) -> Self {
        Self {
            reporting_currency: settings.reporting_currency,
            past_due_counts: true,
            weeks_per_year: 52,
            days_per_year: 365,
            fx_max_age_days: 7,
        }
    }

    pub(crate) fn table(&self) -> ConstantTable {
        ConstantTable {
            name: "policy",
            columns: vec![
                ("reporting_currency", "VARCHAR"),
                ("past_due_counts", "BIGINT"),
                ("weeks_per_year", "BIGINT"),
                ("days_per_year", "BIGINT"),
                ("fx_max_age_days", "BIGINT"),
            ],
            rows: vec![vec![
                Cell::Text(self.reporting_currency.code().to_owned()),
                Cell::Integer(i64::from(self.past_due_counts)),
                Cell::Integer(self.weeks_per_year),
                Cell::Integer(self.days_per_year),
                Cell::Integer(self.fx_max_age_days),
            ]],
        }
    }
}
