//! Limits as people write them (`80 %`, `15 min`, `50 USD`, `3`), kept and compared exactly.

use std::cmp::Ordering;

use atalaya_model::{Currency, Language, ReadingUnit};

/// An exact number with what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Above the line: a share, things, a score, seconds, or minor units.
    pub numerator: i64,
    /// Below the line: a power of ten.
    pub denominator: i64,
    /// What it counts; absent for a bare number, which is things or a score.
    pub unit: Option<ReadingUnit>,
    /// The currency of an amount.
    pub currency: Option<Currency>,
}

/// Most digits behind the point: with 64-bit values above and below, every product fits 128 bits.
const MOST_PLACES: usize = 6;
/// Nothing is waited for longer.
const LONGEST_SECS: i64 = 3_660 * 86_400;

impl Limit {
    /// Reads a limit; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no limit: write 80 %, 0.1 %, 30 s, 5 min, 1 h, 30 d, 50 USD or 3");
        let split = text
            .find(|sign: char| !matches!(sign, '0'..='9' | '.' | '-'))
            .unwrap_or(text.len());
        let (number, unit) = (text[..split].trim(), text[split..].trim());
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let has_digits = whole.trim_start_matches('-').bytes().next().is_some();
        if !has_digits || fraction.len() > MOST_PLACES || (number.contains('.') && fraction.is_empty()) {
            return Err(wrong());
        }
        let numerator: i64 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
        let mut limit = Self {
            numerator,
            denominator: 10_i64.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?),
            unit: None,
            currency: None,
        };
        let times = |limit: &mut Self, factor: i64| -> Result<(), String> {
            limit.numerator = limit.numerator.checked_mul(factor).ok_or_else(wrong)?;
            Ok(())
        };
        limit.unit = match unit {
            "" => None,
            "%" => {
                limit.denominator *= 100;
                Some(ReadingUnit::Percent)
            }
            "s" | "min" | "h" | "d" => {
                let secs = match unit {
                    "s" => 1,
                    "min" => 60,
                    "h" => 3_600,
                    _ => 86_400,
                };
                times(&mut limit, secs)?;
                Some(ReadingUnit::Seconds)
            }
            code => {
                let currency = Currency::parse(code).map_err(|_| wrong())?;
                times(&mut limit, currency.minor_per_major())?;
                limit.currency = Some(currency);
                Some(ReadingUnit::Money)
            }
        };
        Ok(limit)
    }

    /// Reads a duration in whole seconds.
    pub fn parse_secs(text: &str) -> Result<i64, String> {
        let is_duration = |limit: &Self| {
            let is_whole = limit.unit == Some(ReadingUnit::Seconds) && limit.denominator == 1;
            is_whole && (0..=LONGEST_SECS).contains(&limit.numerator)
        };
        match Self::parse(text).ok().filter(is_duration) {
            Some(limit) => Ok(limit.numerator),
            None => Err(format!(
                "{text:?} is no duration of at most ten years: write 30 s, 5 min, 1 h or 30 d"
            )),
        }
    }

    /// An error when a reading in `unit` and `currency` cannot be compared with it.
    pub fn check(&self, unit: ReadingUnit, currency: Currency) -> Result<(), String> {
        let fits = match self.unit {
            None => matches!(unit, ReadingUnit::Count | ReadingUnit::Score),
            Some(own) => own == unit,
        };
        if !fits {
            return Err(format!(
                "the limit is {} and the figures are {unit:?}",
                self.unit_name()
            ));
        }
        match self.currency.filter(|own| *own != currency) {
            Some(own) => Err(format!(
                "the limit is in {} and the figures are in {}: give the rule a limit in {}",
                own.code(),
                currency.code(),
                currency.code()
            )),
            None => Ok(()),
        }
    }

    fn unit_name(&self) -> String {
        self.unit
            .map_or_else(|| "a number".to_owned(), |unit| format!("{unit:?}"))
    }

    /// How a fraction with a positive denominator compares with it.
    pub fn compare(&self, numerator: i64, denominator: i64) -> Ordering {
        let ours = i128::from(self.numerator) * i128::from(denominator);
        (i128::from(numerator) * i128::from(self.denominator)).cmp(&ours)
    }
}

/// A reading's value as people read it.
pub fn show(language: Language, unit: ReadingUnit, currency: Currency, numerator: i64, denominator: i64) -> String {
    show_with(language, unit, currency, (numerator, denominator), 0)
}

/// The same with as many decimals as it takes to see on which side of a limit it is.
pub(crate) fn show_beside(
    language: Language,
    unit: ReadingUnit,
    currency: Currency,
    (numerator, denominator): (i64, i64),
    limit: &Limit,
) -> String {
    let is_equal = limit.compare(numerator, denominator) == Ordering::Equal;
    let mut shown = String::new();
    for more in 0..=4 {
        let own = show_with(language, unit, currency, (limit.numerator, limit.denominator), more);
        shown = show_with(language, unit, currency, (numerator, denominator), more);
        if is_equal || shown != own {
            break;
        }
    }
    shown
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a number for reading; the decision was made in integers"
)]
fn show_with(
    language: Language,
    unit: ReadingUnit,
    currency: Currency,
    (numerator, denominator): (i64, i64),
    more_places: u32,
) -> String {
    let value = numerator as f64 / denominator as f64;
    match unit {
        ReadingUnit::Percent => {
            let share = value.abs();
            let places = if share == 0.0 || (0.1..=0.99).contains(&share) {
                1
            } else {
                2
            };
            language.percent(value, places + more_places)
        }
        ReadingUnit::Count => language.integer(numerator / denominator),
        ReadingUnit::Score => language.decimal(value, 1 + more_places),
        ReadingUnit::Money => language.money(numerator / denominator, currency),
        ReadingUnit::Seconds if more_places > 0 => format!("{} s", language.decimal(value, 2 + more_places)),
        ReadingUnit::Seconds => duration(language, numerator, denominator),
    }
}

/// Whole seconds as people read them.
pub(crate) fn lasting(language: Language, secs: i64) -> String {
    duration(language, secs, 1)
}

/// A duration in its two largest units.
fn duration(language: Language, numerator: i64, denominator: i64) -> String {
    let millis = i128::from(numerator) * 1_000 / i128::from(denominator);
    let secs = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    if secs < 60 {
        #[allow(clippy::cast_precision_loss, reason = "less than a minute")]
        let text = language.decimal(millis as f64 / 1_000.0, if secs < 10 { 2 } else { 0 });
        return format!("{text} s");
    }
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = secs;
    let mut shown = Vec::new();
    for (size, name) in parts {
        let many = rest / size;
        rest %= size;
        if many > 0 {
            shown.push(format!("{} {name}", language.integer(many)));
        }
        if shown.len() == 2 || (shown.len() == 1 && many == 0) {
            break;
        }
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        let limit = |text: &str| {
            let limit = Limit::parse(text).unwrap();
            (limit.numerator, limit.denominator)
        };
        assert_eq!(limit("80 %"), (80, 100));
        assert_eq!(limit("0.1 %"), (1, 1_000));
        assert_eq!(limit("-10%"), (-10, 100));
        assert_eq!(limit("1 h"), (3_600, 1));
        assert_eq!(limit("0.5 s"), (5, 10));
        assert_eq!(limit("50 USD"), (5_000, 1));
        assert_eq!(limit("19.99 EUR"), (199_900, 100));
        assert_eq!(limit("50 CLP"), (50, 1));
        assert_eq!(limit("3"), (3, 1));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            "%",
            "1e3",
            "1.",
            "1.0000001 %",
            "5 parsecs",
            "--5",
            "1-2",
            "99999999999999999999",
            "9999999999999999 d",
        ] {
            assert!(Limit::parse(text).is_err(), "{text}");
        }
        assert!(Limit::parse_secs("5 %").is_err() && Limit::parse_secs("-5 s").is_err());
        let refused = Limit::parse_secs("2 hours").unwrap_err();
        assert!(refused.contains("is no duration"), "{refused}");
    }

    #[test]
    fn the_boundary_is_exact() {
        let limit = Limit::parse("0.1 %").unwrap();
        assert_eq!(limit.compare(1, 1_000), Ordering::Equal);
        assert_eq!(
            limit.compare(1_000_000_000_000_001, 1_000_000_000_000_000_000),
            Ordering::Greater
        );
        assert_eq!(
            limit.compare(999_999_999_999_999, 1_000_000_000_000_000_000),
            Ordering::Less
        );
        assert_eq!(limit.compare(i64::MIN, i64::MAX), Ordering::Less);
    }

    #[test]
    fn a_value_beside_its_limit_is_never_shown_as_the_limit() {
        let currency = Currency::parse("USD").unwrap();
        let beside =
            |value, limit: &str, unit| show_beside(Language::En, unit, currency, value, &Limit::parse(limit).unwrap());
        assert_eq!(beside((8_001, 10_000), "80 %", ReadingUnit::Percent), "80.01%");
        assert_eq!(beside((80, 100), "80 %", ReadingUnit::Percent), "80.0%");
        assert_eq!(beside((99_896, 100_000), "99.9 %", ReadingUnit::Percent), "99.896%");
        assert_eq!(beside((5_004, 100), "50", ReadingUnit::Score), "50.04");
        assert_eq!(beside((2_000_400, 1_000_000), "2 s", ReadingUnit::Seconds), "2.0004 s");
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        let shown = |secs: i64| {
            show(
                Language::En,
                ReadingUnit::Seconds,
                Currency::parse("USD").unwrap(),
                secs * 1_000_000,
                1_000_000,
            )
        };
        assert_eq!(shown(5_400), "1 h 30 min");
        assert_eq!(shown(90_061), "1 d 1 h");
        assert_eq!(shown(86_461), "1 d");
        assert_eq!(shown(61), "1 min 1 s");
        assert_eq!(shown(2), "2.00 s");
    }
}
