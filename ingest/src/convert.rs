//! Text into typed values. Pure, and strict: what is not clearly a value is an error that says what was expected.

use atalaya_model::{ColumnType, Currency, Money, calendar};
use atalaya_store::Value;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// How the text of one column is written, beyond the canonical form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// A `strftime` pattern for dates and instants.
    pub(crate) format: Option<String>,
    /// `1.234,56` instead of `1,234.56`.
    pub(crate) decimal_comma: bool,
    /// The text is in the larger unit: major units of money, percent, or a plain decimal rate.
    pub(crate) in_larger_unit: bool,
}

/// Converts one cell. `currency` is the row's, for money in major units; `zone` the home's, for times without offset.
pub(crate) fn convert(
    text: &str,
    column_type: ColumnType,
    reading: &Reading,
    currency: Option<Currency>,
    zone: Tz,
) -> Result<Value, String> {
    match column_type {
        ColumnType::Text => Ok(Value::Text(text.to_owned())),
        ColumnType::Currency => Currency::parse(text)
            .map(|known| Value::Text(known.code().to_owned()))
            .map_err(|error| error.to_string()),
        ColumnType::Integer => integer(text),
        ColumnType::Minor if reading.in_larger_unit => {
            let currency = currency.ok_or("is in major units, and the row has no currency to say what those are")?;
            let plain = plain_decimal(text, reading.decimal_comma)?;
            Money::parse_major(&plain, currency)
                .map(|money| Value::Integer(money.minor))
                .map_err(|error| error.to_string())
        }
        ColumnType::Minor | ColumnType::Ppm | ColumnType::E12 | ColumnType::E6 if !reading.in_larger_unit => {
            integer(text)
        }
        ColumnType::Ppm => scaled(text, 4, reading.decimal_comma),
        ColumnType::E6 => scaled(text, 6, reading.decimal_comma),
        ColumnType::E12 | ColumnType::Minor => scaled(text, 12, reading.decimal_comma),
        ColumnType::Date => date(text, reading.format.as_deref()).map(Value::Date),
        ColumnType::Instant => instant(text, reading.format.as_deref(), zone).map(Value::Instant),
    }
}

fn integer(text: &str) -> Result<Value, String> {
    text.parse()
        .map(Value::Integer)
        .map_err(|_| format!("{text:?} is not a whole number of 64 bits"))
}

/// Removes thousands separators and makes the decimal sign a point. A separator must stand where one belongs, so that
/// `1,5` is refused and never read as 15.
fn plain_decimal(text: &str, decimal_comma: bool) -> Result<String, String> {
    let (thousands, decimal) = if decimal_comma { ('.', ',') } else { (',', '.') };
    let (whole, fraction) = match text.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let unsigned = whole.trim_start_matches(['-', '+']);
    let groups: Vec<&str> = unsigned.split(thousands).collect();
    let well_grouped =
        groups.len() == 1 || (groups[1..].iter().all(|group| group.len() == 3) && (1..=3).contains(&groups[0].len()));
    if !well_grouped || fraction.is_some_and(|fraction| fraction.contains(thousands)) {
        return Err(format!(
            "{text:?} is not an amount with {decimal:?} as its decimal sign"
        ));
    }
    let sign = &whole[..whole.len() - unsigned.len()];
    let whole = groups.concat();
    Ok(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    })
}

/// A decimal times 10^`places`, exactly.
fn scaled(text: &str, places: usize, decimal_comma: bool) -> Result<Value, String> {
    let plain = plain_decimal(text, decimal_comma)?;
    let wrong = || format!("{text:?} is not a decimal of at most {places} places that fits");
    let (negative, digits) = plain
        .strip_prefix('-')
        .map_or((false, plain.as_str()), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty())
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        || fraction.bytes().skip(places).any(|byte| byte != b'0')
    {
        return Err(wrong());
    }
    let mut value: i64 = 0;
    let kept = &fraction[..fraction.len().min(places)];
    for digit in whole
        .bytes()
        .chain(kept.bytes())
        .chain(std::iter::repeat_n(b'0', places - kept.len()))
    {
        value = value
            .checked_mul(10)
            .and_then(|ten| ten.checked_add(i64::from(digit - b'0')))
            .ok_or_else(wrong)?;
    }
    Ok(Value::Integer(if negative { -value } else { value }))
}

fn date(text: &str, format: Option<&str>) -> Result<NaiveDate, String> {
    let pattern = format.unwrap_or("%Y-%m-%d");
    let day = NaiveDate::parse_from_str(text, pattern).map_err(|_| match format {
        Some(pattern) => format!("{text:?} is not a day written {pattern}"),
        None => format!("{text:?} is not a day (expected 2026-01-31)"),
    })?;
    if (1900..2200).contains(&chrono::Datelike::year(&day)) {
        Ok(day)
    } else {
        Err(format!("{text:?} lies outside 1900 to 2199"))
    }
}

fn instant(text: &str, format: Option<&str>, zone: Tz) -> Result<DateTime<Utc>, String> {
    let wrong = || match format {
        Some(pattern) => format!("{text:?} is not a time written {pattern}"),
        None => format!("{text:?} is not a time (expected 2026-01-31T09:30:00Z or 2026-01-31)"),
    };
    let since_1970 = || text.parse::<i64>().map_err(|_| wrong());
    let at = match format {
        Some("unix_secs") => DateTime::from_timestamp(since_1970()?, 0).ok_or_else(wrong)?,
        Some("unix_millis") => DateTime::from_timestamp_millis(since_1970()?).ok_or_else(wrong)?,
        Some(pattern) => {
            if let Ok(at) = DateTime::parse_from_str(text, pattern) {
                at.to_utc()
            } else if let Ok(local) = NaiveDateTime::parse_from_str(text, pattern) {
                local_instant(local, zone)
            } else {
                calendar::day_starts_at(zone, date(text, format).map_err(|_| wrong())?)
            }
        }
        None => {
            if let Ok(at) = DateTime::parse_from_rfc3339(text) {
                at.to_utc()
            } else if let Ok(local) = text.replacen(' ', "T", 1).parse::<NaiveDateTime>() {
                local_instant(local, zone)
            } else {
                calendar::day_starts_at(zone, date(text, None).map_err(|_| wrong())?)
            }
        }
    };
    let at = DateTime::from_timestamp_micros(at.timestamp_micros()).ok_or_else(wrong)?;
    if (1900..2200).contains(&chrono::Datelike::year(&at)) {
        Ok(at)
    } else {
        Err(format!("{text:?} lies outside 1900 to 2199"))
    }
}

/// A wall-clock time of the home's zone. Where the clock jumped over it, the instant after the jump.
fn local_instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&local).earliest().map_or_else(
        || {
            let shifted = local + chrono::TimeDelta::hours(1);
            zone.from_local_datetime(&shifted)
                .earliest()
                .map_or_else(|| local.and_utc(), |at| at.to_utc())
        },
        |at| at.to_utc(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, column_type: ColumnType, reading: &Reading) -> Result<Value, String> {
        convert(
            text,
            column_type,
            reading,
            Some(Currency::parse("EUR").unwrap()),
            calendar::parse_zone("Europe/Madrid").unwrap(),
        )
    }

    fn larger(decimal_comma: bool) -> Reading {
        Reading {
            in_larger_unit: true,
            decimal_comma,
            format: None,
        }
    }

    #[test]
    fn money_in_major_units_is_exact_in_both_notations() {
        for (text, comma, minor) in [
            ("1,234.56", false, 123_456),
            ("1.234,56", true, 123_456),
            ("-3", false, -300),
            ("11.77", false, 1177),
        ] {
            assert_eq!(
                read(text, ColumnType::Minor, &larger(comma)),
                Ok(Value::Integer(minor)),
                "{text}"
            );
        }
        for (text, comma) in [
            ("1,5", false),
            ("1.5", true),
            ("12,34.5", false),
            ("1.234", false),
            ("", false),
            ("€5", false),
            ("NaN", false),
        ] {
            assert!(read(text, ColumnType::Minor, &larger(comma)).is_err(), "{text}");
        }
    }

    #[test]
    fn percent_and_rates_keep_every_digit() {
        assert_eq!(
            read("33.33", ColumnType::Ppm, &larger(false)),
            Ok(Value::Integer(333_300))
        );
        assert_eq!(
            read("0.000243", ColumnType::E12, &larger(false)),
            Ok(Value::Integer(243_000_000))
        );
        assert!(read("0.0000000000001", ColumnType::E12, &larger(false)).is_err());
    }

    #[test]
    fn times_without_offset_are_of_the_home_s_zone() {
        let at = |text| {
            read(text, ColumnType::Instant, &Reading::default()).map(|value| match value {
                Value::Instant(at) => at.to_rfc3339(),
                other => format!("{other:?}"),
            })
        };
        assert_eq!(at("2026-07-01").unwrap(), "2026-06-30T22:00:00+00:00");
        assert_eq!(at("2026-07-01 09:30:00").unwrap(), "2026-07-01T07:30:00+00:00");
        assert_eq!(at("2026-07-01T09:30:00-05:00").unwrap(), "2026-07-01T14:30:00+00:00");
        assert_eq!(at("2026-03-29 02:30:00").unwrap(), "2026-03-29T01:30:00+00:00");
        assert!(at("31/01/2026").is_err() && at("2026-02-30").is_err() && at("0026-01-01").is_err());
        let pattern = Reading {
            format: Some("%Y%m%d".into()),
            ..Reading::default()
        };
        assert!(read("19970101", ColumnType::Instant, &pattern).is_ok());
        for (unit, text) in [("unix_secs", "1772000000"), ("unix_millis", "1772000000000")] {
            let reading = Reading {
                format: Some(unit.into()),
                ..Reading::default()
            };
            let at = DateTime::from_timestamp(1_772_000_000, 0).unwrap();
            assert_eq!(read(text, ColumnType::Instant, &reading), Ok(Value::Instant(at)));
            assert!(read("soon", ColumnType::Instant, &reading).is_err());
        }
        assert!(
            read("1997-01-01", ColumnType::Instant, &pattern)
                .unwrap_err()
                .contains("%Y%m%d")
        );
    }
}
