use std::path::Path;

use atalaya_model::{Currency, HomeSettings, WeekStart, calendar};
use chrono::NaiveDate;
use serde::Deserialize;

use crate::StoreError;

pub(crate) const DEFAULTS: &str = include_str!("../defaults.toml");

/// The settings file as written; every field may be missing and falls back to the embedded defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    version: Option<u32>,
    company: Option<String>,
    time_zone: Option<String>,
    week_start: Option<WeekStart>,
    fiscal_year_start_month: Option<u8>,
    reporting_currency: Option<String>,
    roadmap_start_on: Option<String>,
}

impl RawSettings {
    fn parse(place: &str, text: &str) -> Result<Self, StoreError> {
        toml::from_str(text).map_err(|error| StoreError::Settings {
            place: place.to_owned(),
            reason: error.to_string(),
        })
    }

    fn over(self, below: Self) -> Self {
        Self {
            version: self.version.or(below.version),
            company: self.company.or(below.company),
            time_zone: self.time_zone.or(below.time_zone),
            week_start: self.week_start.or(below.week_start),
            fiscal_year_start_month: self.fiscal_year_start_month.or(below.fiscal_year_start_month),
            reporting_currency: self.reporting_currency.or(below.reporting_currency),
            roadmap_start_on: self.roadmap_start_on.or(below.roadmap_start_on),
        }
    }
}

/// Reads the settings: embedded defaults, then `file`, then the environment through `variable`.
pub fn load_settings(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<HomeSettings, StoreError> {
    let mut raw = RawSettings::parse("defaults.toml", DEFAULTS)?;
    let mut place = "defaults.toml".to_owned();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(StoreError::io("read", path))?;
        place = path.display().to_string();
        raw = RawSettings::parse(&place, &text)?.over(raw);
    }
    raw.company = variable("ATALAYA_COMPANY").or(raw.company);
    raw.time_zone = variable("ATALAYA_TIME_ZONE").or(raw.time_zone);
    raw.reporting_currency = variable("ATALAYA_REPORTING_CURRENCY").or(raw.reporting_currency);
    validate(raw).map_err(|(field, reason)| StoreError::Settings {
        place: format!("{place}: {field}"),
        reason,
    })
}

fn validate(raw: RawSettings) -> Result<HomeSettings, (&'static str, String)> {
    let time_zone = raw.time_zone.unwrap_or_default();
    calendar::parse_zone(&time_zone).map_err(|error| ("time_zone", error.to_string()))?;
    let month = raw.fiscal_year_start_month.unwrap_or(1);
    if !(1..=12).contains(&month) {
        return Err((
            "fiscal_year_start_month",
            format!("{month} is not a month from 1 to 12"),
        ));
    }
    let reporting_currency = Currency::parse(&raw.reporting_currency.unwrap_or_default())
        .map_err(|error| ("reporting_currency", error.to_string()))?;
    let roadmap_start_on = raw
        .roadmap_start_on
        .map(|text| {
            text.parse::<NaiveDate>()
                .map_err(|_| ("roadmap_start_on", format!("{text:?} is not a day (2026-01-31)")))
        })
        .transpose()?;
    Ok(HomeSettings {
        version: raw.version.unwrap_or(1),
        company: raw.company.unwrap_or_default(),
        time_zone,
        week_start: raw.week_start.unwrap_or_default(),
        fiscal_year_start_month: month,
        reporting_currency,
        roadmap_start_on,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<HomeSettings, StoreError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("home.toml");
        std::fs::write(&file, text).unwrap();
        load_settings(Some(&file), |name| {
            (name == "ATALAYA_COMPANY").then(|| "From the environment".to_owned())
        })
    }

    #[test]
    fn the_environment_stands_over_the_file_and_the_file_over_the_defaults() {
        let settings = load("company = 'File'\nreporting_currency = 'EUR'").unwrap();
        assert_eq!(settings.company, "From the environment");
        assert_eq!(settings.reporting_currency.code(), "EUR");
        assert_eq!(settings.time_zone, "Europe/Madrid");
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_file() {
        for (text, expected) in [
            ("colour = 'red'", "unknown field `colour`"),
            ("time_zone = 'Mars/Olympus'", "unknown time zone \"Mars/Olympus\""),
            ("reporting_currency = 'EURO'", "unknown currency \"EURO\""),
            ("fiscal_year_start_month = 13", "13 is not a month"),
            ("roadmap_start_on = 'soon'", "not a day"),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("home.toml"), "{message}");
        }
    }
}
