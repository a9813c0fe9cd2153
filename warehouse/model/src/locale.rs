//! Figures as people read them, in English and Spanish. One formatter for the screen, the alerts and the reports, after
//! the CLDR data of `en` and `es` (Spain): Spanish groups from five digits on and puts the sign of a currency behind.

use serde::{Deserialize, Serialize};

use crate::{Currency, Figure, Unit};

/// A language a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
}

const NO_BREAK: char = '\u{a0}';
const MINUS: char = '\u{2212}';

impl Language {
    /// The two-letter code.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// One of two texts.
    pub fn pick<'a>(self, english: &'a str, spanish: &'a str) -> &'a str {
        match self {
            Self::En => english,
            Self::Es => spanish,
        }
    }

    /// A whole number with its thousands grouped.
    pub fn integer(self, value: i64) -> String {
        let digits = value.unsigned_abs().to_string();
        let (separator, from_digits) = match self {
            Self::En => (',', 4),
            Self::Es => ('.', 5),
        };
        let mut text = String::new();
        if value < 0 {
            text.push(MINUS);
        }
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && digits.len() >= from_digits && (digits.len() - index).is_multiple_of(3) {
                text.push(separator);
            }
            text.push(digit);
        }
        text
    }

    fn decimal_sign(self) -> char {
        match self {
            Self::En => '.',
            Self::Es => ',',
        }
    }

    fn scaled(self, value: i64, places: u32) -> String {
        let unit = 10_i64.pow(places);
        let whole = self.integer(value / unit);
        // The sign of a number between 0 and -1 would be lost with its whole part.
        let sign = if value < 0 && value / unit == 0 {
            MINUS.to_string()
        } else {
            String::new()
        };
        if places == 0 {
            return whole;
        }
        let fraction = (value % unit).unsigned_abs();
        format!(
            "{sign}{whole}{}{fraction:0width$}",
            self.decimal_sign(),
            width = places as usize
        )
    }

    fn with_sign_of(self, amount: &str, currency: Currency) -> String {
        let sign = match (self, currency.code()) {
            (_, "EUR") => "€",
            (Self::En, "USD") => "$",
            (Self::Es, "USD") => "US$",
            (Self::En, "MXN") => "MX$",
            (_, code) => code,
        };
        match self {
            Self::Es => format!("{amount}{NO_BREAK}{sign}"),
            Self::En => {
                let gap = if sign.len() == 3 && sign.chars().all(char::is_alphabetic) {
                    String::from(NO_BREAK)
                } else {
                    String::new()
                };
                match amount.strip_prefix(MINUS) {
                    Some(rest) => format!("{MINUS}{sign}{gap}{rest}"),
                    None => format!("{sign}{gap}{amount}"),
                }
            }
        }
    }

    /// An amount to its last minor unit.
    pub fn money(self, value_minor: i64, currency: Currency) -> String {
        self.with_sign_of(&self.scaled(value_minor, u32::from(currency.exponent())), currency)
    }

    /// An amount in whole major units, for tiles and axes.
    pub fn money_rounded(self, value_minor: i64, currency: Currency) -> String {
        let unit = currency.minor_per_major();
        let half = if value_minor < 0 { -unit / 2 } else { unit / 2 };
        self.with_sign_of(&self.integer(value_minor.saturating_add(half) / unit), currency)
    }

    /// An amount short enough for an axis: `12.3k`, `1.2M`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a label of two or three digits"
    )]
    pub fn short(self, value: f64) -> String {
        let magnitude = value.abs();
        let (scaled, ending) = match (self, magnitude) {
            (_, small) if small < 1_000.0 => (value, ""),
            (Self::En, middle) if middle < 1_000_000.0 => (value / 1_000.0, "k"),
            (Self::Es, middle) if middle < 1_000_000.0 => (value / 1_000.0, "\u{a0}mil"),
            (Self::En, _) => (value / 1_000_000.0, "M"),
            (Self::Es, _) => (value / 1_000_000.0, "\u{a0}M"),
        };
        let tenths = (scaled * 10.0).round() as i64;
        let text = if tenths % 10 == 0 || scaled.abs() >= 100.0 {
            self.integer((scaled).round() as i64)
        } else {
            self.scaled(tenths, 1)
        };
        format!("{text}{ending}")
    }

    /// A ratio as percent with `places` decimals.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a percentage for reading"
    )]
    pub fn percent(self, ratio: f64, places: u32) -> String {
        let scaled = (ratio * 100.0 * 10_f64.powi(i32::try_from(places).unwrap_or(0))).round() as i64;
        let gap = if self == Self::Es {
            String::from(NO_BREAK)
        } else {
            String::new()
        };
        format!("{}{gap}%", self.scaled(scaled, places))
    }

    /// A signed change: `+3.2%`.
    pub fn signed_percent(self, ratio: f64, places: u32) -> String {
        let text = self.percent(ratio, places);
        if text.starts_with(MINUS) || ratio == 0.0 {
            text
        } else {
            format!("+{text}")
        }
    }

    /// A plain decimal with `places` decimals: how many times, or how many months.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a number for reading"
    )]
    pub fn decimal(self, value: f64, places: u32) -> String {
        let scaled = (value * 10_f64.powi(i32::try_from(places).unwrap_or(0))).round() as i64;
        self.scaled(scaled, places)
    }

    /// A figure of a metric of that unit as a tile shows it; what has no value is a dash.
    pub fn figure(self, figure: &Figure, unit: Unit) -> String {
        match figure {
            Figure::Ratio { .. } if unit == Unit::Factor => self.decimal(figure.approximate().unwrap_or_default(), 1),
            Figure::Money { value_minor, currency } => self.money(*value_minor, *currency),
            Figure::Count { value } => self.integer(*value),
            Figure::Ratio { .. } => self.percent(figure.approximate().unwrap_or_default(), 1),
            Figure::None { .. } => "–".to_owned(),
        }
    }

    /// A day, written out.
    pub fn day(self, day: chrono::NaiveDate) -> String {
        use chrono::Datelike;
        let month = self.month_name(day.month0());
        match self {
            Self::En => format!("{month} {}, {}", day.day(), day.year()),
            Self::Es => format!("{} {month} {}", day.day(), day.year()),
        }
    }

    /// A month, written out.
    pub fn month(self, day: chrono::NaiveDate) -> String {
        use chrono::Datelike;
        format!("{} {}", self.month_name(day.month0()), day.year())
    }

    fn month_name(self, month0: u32) -> &'static str {
        const EN: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        const ES: [&str; 12] = [
            "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic",
        ];
        let names = match self {
            Self::En => EN,
            Self::Es => ES,
        };
        names[(month0 as usize).min(11)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_no_percentage() {
        let figure = Figure::Ratio {
            numerator: 25,
            denominator: 2,
        };
        assert_eq!(Language::En.figure(&figure, Unit::Factor), "12.5");
        assert_eq!(Language::Es.figure(&figure, Unit::Factor), "12,5");
        assert_eq!(Language::En.figure(&figure, Unit::Ratio), "1,250.0%");
    }

    #[test]
    fn numbers_follow_cldr() {
        let usd = Currency::parse("USD").unwrap();
        let cop = Currency::parse("COP").unwrap();
        let jpy = Currency::parse("JPY").unwrap();
        let plain = |text: String| text.replace(NO_BREAK, "_").replace(MINUS, "-");
        for (spanish, english, expected_es, expected_en) in [
            (
                Language::Es.money(123_450, usd),
                Language::En.money(123_450, usd),
                "1234,50_US$",
                "$1,234.50",
            ),
            (
                Language::Es.money(1_234_560, usd),
                Language::En.money(-1_234_560, usd),
                "12.345,60_US$",
                "-$12,345.60",
            ),
            (
                Language::Es.money(-5, usd),
                Language::En.money(-5, usd),
                "-0,05_US$",
                "-$0.05",
            ),
            (
                Language::Es.money(100, cop),
                Language::En.money(100, cop),
                "1,00_COP",
                "COP_1.00",
            ),
            (
                Language::Es.money(12_345, jpy),
                Language::En.money(12_345, jpy),
                "12.345_JPY",
                "JPY_12,345",
            ),
            (
                Language::Es.percent(-0.1244, 1),
                Language::En.percent(-0.1244, 1),
                "-12,4_%",
                "-12.4%",
            ),
            (
                Language::Es.short(1_250_000.0),
                Language::En.short(234_234.0),
                "1,3_M",
                "234k",
            ),
            (Language::Es.short(12_000.0), Language::En.short(999.0), "12_mil", "999"),
            (Language::Es.integer(9999), Language::En.integer(9999), "9999", "9,999"),
        ] {
            assert_eq!(
                (plain(spanish).as_str(), plain(english).as_str()),
                (expected_es, expected_en)
            );
        }
    }
}
