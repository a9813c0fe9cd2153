//! A third witness: MRR and its movements computed one customer and one instant at a time, from the rules and not from the
//! SQL. It is slow and short on purpose: every answer looks at all records of the customer again.
//!
//! Amounts are millionths of a minor unit. An instant is always looked at from just before it: what begins at midnight is
//! not there yet at midnight, what ends at midnight still is.
#![deny(missing_docs)]

mod customer;
mod movements;
mod price;
mod rates;
mod record;
mod rules;

pub use customer::{Customer, Standing};
pub use movements::{CustomerPeriod, Event, Movement};
pub use rates::Rates;
pub use record::{RateQuote, Status, SubscriptionState, Tier, Version, known};
pub use rules::{FxRule, Rules};

/// Why the witness cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// There is no rate; the data must be mended.
    #[error("no exchange rate from {currency} for {day}")]
    NoRate {
        /// The currency without a rate.
        currency: &'static str,
        /// The day it was needed for.
        day: chrono::NaiveDate,
    },
    /// A price by tiers has none for the quantity; the data must be mended.
    #[error("price {price_id:?} has no tier for quantity {quantity}")]
    NoTier {
        /// The price.
        price_id: String,
        /// How many.
        quantity: i64,
    },
    /// The exact result does not fit 64 bits.
    #[error("an amount does not fit 64 bits")]
    Overflow,
}

/// `numerator / denominator` to the nearest whole number, a half to the even one.
pub(crate) fn nearest(numerator: i128, denominator: i128) -> Result<i64, WitnessError> {
    let (below, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => below % 2 != 0,
    };
    i64::try_from(below + i128::from(up)).map_err(|_| WitnessError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_number() {
        let found: Vec<i64> = [-5, -3, -1, 1, 3, 5].map(|n| nearest(n, 2).unwrap()).to_vec();
        assert_eq!(found, [-2, -2, 0, 0, 2, 2]);
        assert_eq!(
            (
                nearest(10, 3).unwrap(),
                nearest(11, 3).unwrap(),
                nearest(-11, 3).unwrap()
            ),
            (3, 4, -4)
        );
    }
}
