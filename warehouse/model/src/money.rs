use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Currency, ModelError};

/// Recurring amounts are kept in millionths of a minor unit, so that a yearly price divided by twelve still adds up.
pub const MICROS_PER_MINOR: i64 = 1_000_000;

/// An exact amount: integer minor units and the currency beside them. Never a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (cents for EUR, yen for JPY, fils for KWD).
    pub minor: i64,
    /// The currency of `minor`.
    pub currency: Currency,
}

impl Money {
    /// An amount in minor units.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The sum; an error when the currencies differ or the sum does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, ModelError> {
        if self.currency != other.currency {
            return Err(ModelError::CurrencyMismatch {
                left: self.currency.code(),
                right: other.currency.code(),
            });
        }
        let minor = self.minor.checked_add(other.minor).ok_or(ModelError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The difference; an error when the currencies differ or it does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, ModelError> {
        let minor = other.minor.checked_neg().ok_or(ModelError::Overflow)?;
        self.checked_add(Self { minor, ..other })
    }

    /// Reads a plain decimal amount in major units (`-12.5`), exactly. More decimals than the currency has are an
    /// error unless they are zeros: a rounded import could never reconcile.
    pub fn parse_major(text: &str, currency: Currency) -> Result<Self, ModelError> {
        let bad = |reason| ModelError::BadAmount {
            text: text.to_owned(),
            currency: currency.code(),
            reason,
        };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(bad("no digits"));
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(bad("expected digits and one decimal point"));
        }
        let places = usize::from(currency.exponent());
        let kept = fraction.get(..places.min(fraction.len())).unwrap_or("");
        if fraction.bytes().skip(places).any(|byte| byte != b'0') {
            return Err(bad("more decimals than the currency has"));
        }
        let mut minor: i64 = 0;
        for digit in whole
            .bytes()
            .chain(kept.bytes())
            .chain(std::iter::repeat_n(b'0', places - kept.len()))
        {
            minor = minor
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(i64::from(digit - b'0')))
                .ok_or_else(|| bad("does not fit 64 bits of minor units"))?;
        }
        Ok(Self {
            minor: if negative { -minor } else { minor },
            currency,
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.currency.exponent());
        let unit = self.currency.minor_per_major().unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        let magnitude = self.minor.unsigned_abs();
        write!(f, "{sign}{}", magnitude / unit)?;
        if places > 0 {
            write!(f, ".{:0places$}", magnitude % unit)?;
        }
        write!(f, " {}", self.currency)
    }
}

/// `amount * numerator / denominator`, exact in 128 bits and rounded once, half to even.
#[inline]
pub fn muldiv(amount: i64, numerator: i64, denominator: i64) -> Result<i64, ModelError> {
    if denominator == 0 {
        return Err(ModelError::DivisionByZero);
    }
    if let Some(product) = amount.checked_mul(numerator)
        && denominator > 0
    {
        // Where the product fits, the processor divides; 128 bits are divided by a routine that takes ten times as long.
        let (floor, rest) = (product.div_euclid(denominator), product.rem_euclid(denominator));
        let up = match rest.cmp(&(denominator - rest)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => floor % 2 != 0,
        };
        return floor.checked_add(i64::from(up)).ok_or(ModelError::Overflow);
    }
    let product = i128::from(amount) * i128::from(numerator);
    let (product, denominator) = if denominator < 0 {
        (-product, -i128::from(denominator))
    } else {
        (product, i128::from(denominator))
    };
    let (floor, rest) = (product.div_euclid(denominator), product.rem_euclid(denominator));
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => floor % 2 != 0,
    };
    i64::try_from(floor + i128::from(up)).map_err(|_| ModelError::Overflow)
}

/// Rounds millionths of a minor unit to whole minor units, half to even.
pub fn round_micros(micros: i128) -> Result<i64, ModelError> {
    let unit = i128::from(MICROS_PER_MINOR);
    let (floor, rest) = (micros.div_euclid(unit), micros.rem_euclid(unit));
    let up = rest * 2 > unit || (rest * 2 == unit && floor % 2 != 0);
    i64::try_from(floor + i128::from(up)).map_err(|_| ModelError::Overflow)
}

/// Splits `total_minor` over parts that are exact in micros, by largest remainder: the parts add up to the total, and
/// each displayed part is its exact value rounded down or up. Ties go to the earlier part.
///
/// The total may be off the parts' own rounded sum by a unit or two (the difference of two rounded ends is); it is
/// spread one unit at a time. A total further away than that does not belong to these parts: an overflow error.
pub fn allocate_largest_remainder(parts_micros: &[i128], total_minor: i64) -> Result<Vec<i64>, ModelError> {
    let unit = i128::from(MICROS_PER_MINOR);
    let mut minor: Vec<i128> = parts_micros.iter().map(|part| part.div_euclid(unit)).collect();
    let missing = i128::from(total_minor) - minor.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts_micros.len()).collect();
    order.sort_by_key(|&index| (-parts_micros[index].rem_euclid(unit), index));
    let count = usize::try_from(missing.unsigned_abs()).map_err(|_| ModelError::Overflow)?;
    if count > parts_micros.len() + 2 || (count > 0 && parts_micros.is_empty()) {
        return Err(ModelError::Overflow);
    }
    if missing >= 0 {
        order.iter().cycle().take(count).for_each(|&index| minor[index] += 1);
    } else {
        order
            .iter()
            .rev()
            .cycle()
            .take(count)
            .for_each(|&index| minor[index] -= 1);
    }
    minor
        .into_iter()
        .map(|part| i64::try_from(part).map_err(|_| ModelError::Overflow))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn amounts_keep_the_currency_s_own_decimals() {
        for (text, code, minor) in [
            ("12.34", "EUR", 1234),
            ("-0.5", "USD", -50),
            ("100", "JPY", 100),
            ("1.234", "KWD", 1234),
            ("7.00", "JPY", 7),
        ] {
            assert_eq!(
                Money::parse_major(text, currency(code)).unwrap().minor,
                minor,
                "{text} {code}"
            );
        }
        for (text, code) in [
            ("12.345", "EUR"),
            ("1.5", "JPY"),
            ("", "EUR"),
            ("1,5", "EUR"),
            ("1e3", "EUR"),
            ("--1", "EUR"),
            (".", "EUR"),
        ] {
            assert!(Money::parse_major(text, currency(code)).is_err(), "{text} {code}");
        }
    }

    #[test]
    fn different_currencies_never_add_up() {
        let sum = Money::new(1, currency("EUR")).checked_add(Money::new(1, currency("USD")));
        assert_eq!(
            sum,
            Err(ModelError::CurrencyMismatch {
                left: "EUR",
                right: "USD"
            })
        );
        assert_eq!(
            Money::new(i64::MAX, currency("EUR")).checked_add(Money::new(1, currency("EUR"))),
            Err(ModelError::Overflow)
        );
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (amount, numerator, denominator, expected) in [
            (5, 1, 2, 2),
            (7, 1, 2, 4),
            (-5, 1, 2, -2),
            (-7, 1, 2, -4),
            (5, 1, -2, -2),
            (10, 1, 3, 3),
            (-10, 1, 3, -3),
            (11, 1, 3, 4),
        ] {
            assert_eq!(
                muldiv(amount, numerator, denominator),
                Ok(expected),
                "{amount}*{numerator}/{denominator}"
            );
        }
        assert_eq!(muldiv(i64::MAX, 2, 1), Err(ModelError::Overflow));
        assert_eq!(muldiv(1, 1, 0), Err(ModelError::DivisionByZero));
        assert_eq!(muldiv(i64::MAX, i64::MAX, i64::MAX), Ok(i64::MAX));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(minor in -9_000_000_000_000_i64..9_000_000_000_000, index in 0..CURRENCIES_LEN) {
            let money = Money::new(minor, Currency::parse(crate::CURRENCIES[index].0).unwrap());
            let text = money.to_string();
            let (amount, code) = text.split_once(' ').unwrap();
            prop_assert_eq!(Money::parse_major(amount, Currency::parse(code).unwrap()).unwrap(), money);
        }

        #[test]
        fn allocated_parts_add_up_and_stay_within_one_unit(parts in prop::collection::vec(-5_000_000_000_i64..5_000_000_000, 1..40)) {
            let micros: Vec<i128> = parts.iter().map(|part| i128::from(*part)).collect();
            let total = round_micros(micros.iter().sum()).unwrap();
            let minor = allocate_largest_remainder(&micros, total).unwrap();
            prop_assert_eq!(minor.iter().sum::<i64>(), total);
            for (part, shown) in micros.iter().zip(minor) {
                prop_assert!((i128::from(shown) * 1_000_000 - part).abs() < 1_000_000 + 500_000);
            }
        }
    }

    const CURRENCIES_LEN: usize = crate::CURRENCIES.len();
}
