use std::collections::BTreeMap;

use atalaya_model::Currency;
use chrono::NaiveDate;

use crate::{RateQuote, Version, WitnessError, nearest};

/// Rates into the reporting currency.
#[derive(Debug, Clone)]
pub struct Rates {
    reporting: Currency,
    max_age_days: i64,
    quotes: BTreeMap<(&'static str, NaiveDate), i64>,
}

impl Rates {
    /// The quotes into `reporting`; of several for one day the newest stands.
    pub fn new(reporting: Currency, max_age_days: i64, mut known: Vec<(Version, RateQuote)>) -> Self {
        known.sort_by(|(left, _), (right, _)| {
            let rank = |version: &Version| (version.record_version, version.recorded_at, version.arrival_seq);
            rank(left)
                .cmp(&rank(right))
                .then_with(|| right.record_key.cmp(&left.record_key))
        });
        let mut quotes = BTreeMap::new();
        for (_, quote) in known.into_iter().filter(|(_, quote)| quote.quote_currency == reporting) {
            quotes.insert((quote.currency.code(), quote.rate_on), quote.rate_e12);
        }
        Self {
            reporting,
            max_age_days,
            quotes,
        }
    }

    /// An amount in the reporting currency at the newest rate of `day` or before.
    pub(crate) fn convert(&self, micros: i64, currency: Currency, day: NaiveDate) -> Result<i64, WitnessError> {
        if currency == self.reporting {
            return Ok(micros);
        }
        let code = currency.code();
        let newest = self.quotes.range((code, NaiveDate::MIN)..=(code, day)).next_back();
        match newest {
            Some(((_, quoted_on), rate)) if (day - *quoted_on).num_days() <= self.max_age_days => nearest(
                i128::from(micros) * i128::from(*rate) * i128::from(self.reporting.minor_per_major()),
                1_000_000_000_000 * i128::from(currency.minor_per_major()),
            ),
            _ => Err(WitnessError::NoRate { currency: code, day }),
        }
    }
}
