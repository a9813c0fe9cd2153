use std::collections::HashMap;

use arrow::datatypes::Date32Type;

use crate::{MovementError, Quote, Rules, text::Texts};

/// Rates into the reporting currency.
#[derive(Debug)]
pub(crate) struct Rates {
    reporting: u32,
    reporting_currency: String,
    max_age_days: i64,
    /// By currency, in the order of days.
    quotes: HashMap<u32, Vec<(i32, Rate)>>,
}

/// What one minor unit is worth: a numerator and a denominator.
pub(crate) type Rate = (i64, i64);

/// The same fraction in its smallest numbers: products with it mostly fit 64 bits, and the result is the same.
fn reduced(numerator: i64, denominator: i64) -> Rate {
    let (mut divisor, mut rest) = (numerator.unsigned_abs(), denominator.unsigned_abs());
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    match i64::try_from(divisor) {
        Ok(divisor) if divisor > 1 => (numerator / divisor, denominator / divisor),
        _ => (numerator, denominator),
    }
}

impl Rates {
    pub(crate) fn new(quotes: &[Quote], rules: &Rules, texts: &mut Texts) -> Self {
        let mut by_currency: HashMap<u32, Vec<(i32, Rate)>> = HashMap::new();
        for quote in quotes {
            let own = by_currency.entry(texts.number(&quote.currency)).or_default();
            own.push((quote.quoted_on, reduced(quote.numerator, quote.denominator)));
        }
        for own in by_currency.values_mut() {
            own.sort_unstable_by_key(|(day, _)| *day);
        }
        Self {
            reporting: texts.number(&rules.reporting_currency),
            reporting_currency: rules.reporting_currency.clone(),
            max_age_days: rules.fx_max_age_days,
            quotes: by_currency,
        }
    }

    /// The newest rate on or before a day, unless it is too old.
    pub(crate) fn on(&self, currency: u32, day: i32) -> Option<Rate> {
        if currency == self.reporting {
            return Some((1, 1));
        }
        let quotes = self.quotes.get(&currency)?;
        let after = quotes.partition_point(|(quoted_on, _)| *quoted_on <= day);
        let (quoted_on, rate) = quotes.get(after.checked_sub(1)?)?;
        (i64::from(day) - i64::from(*quoted_on) <= self.max_age_days).then_some(*rate)
    }

    pub(crate) fn missing(&self, currency: &str, day: i32) -> MovementError {
        MovementError::NoRate {
            currency: currency.to_owned(),
            reporting_currency: self.reporting_currency.clone(),
            day: Date32Type::to_naive_date_opt(day).unwrap_or_default(),
        }
    }

    pub(crate) fn missing_at_start(&self, currency: &str, customer_id: &str) -> MovementError {
        MovementError::NoStartRate {
            currency: currency.to_owned(),
            reporting_currency: self.reporting_currency.clone(),
            customer_id: customer_id.to_owned(),
        }
    }
}
