//! Fields of Stripe's objects, where versions of its API have put them.

use atalaya_model::Currency;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::receivers::Fault;

/// Text at a path of names; the `id` where Stripe gives the object instead of its id.
pub(super) fn text<'v>(object: &'v Value, path: &[&str]) -> Option<&'v str> {
    let found = path.iter().try_fold(object, |object, name| object.get(name))?;
    found.as_str().or_else(|| found.get("id")?.as_str())
}

/// A whole number at a path of names.
pub(super) fn number(object: &Value, path: &[&str]) -> Option<i64> {
    path.iter().try_fold(object, |object, name| object.get(name))?.as_i64()
}

/// An instant at a path of names: seconds since 1970.
pub(super) fn instant(object: &Value, path: &[&str]) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(number(object, path)?, 0)
}

/// The elements of a list, whether bare or as one of Stripe's lists.
pub(super) fn elements<'v>(object: &'v Value, name: &str) -> &'v [Value] {
    let found = object.get(name);
    found
        .and_then(Value::as_array)
        .or_else(|| found?.get("data")?.as_array())
        .map_or(&[], Vec::as_slice)
}

/// An instant as a record has it.
pub(super) fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The currency of an object.
pub(super) fn currency(object: &Value) -> Result<Currency, Fault> {
    let code = text(object, &["currency"]).ok_or_else(|| Fault::of("currency", "is missing"))?;
    Currency::parse(&code.to_ascii_uppercase()).map_err(|error| Fault::of("currency", error))
}

/// Decimal places of Stripe's amounts, where they are not those of ISO 4217:
/// <https://docs.stripe.com/currencies#special-cases>.
fn places(currency: Currency) -> u32 {
    match currency.code() {
        "ISK" | "UGX" => 2,
        "MGA" => 0,
        _ => u32::from(currency.exponent()),
    }
}

/// An amount of Stripe's in minor units.
pub(super) fn minor(field: &str, amount: i64, currency: Currency) -> Result<i64, Fault> {
    let (theirs, ours) = (places(currency), u32::from(currency.exponent()));
    let fault = |reason: &str| Fault::of(field, format!("{amount} {} {reason}", currency.code()));
    if ours >= theirs {
        let factor = 10_i64.pow(ours - theirs);
        return amount.checked_mul(factor).ok_or_else(|| fault("does not fit"));
    }
    let factor = 10_i64.pow(theirs - ours);
    if amount % factor != 0 {
        return Err(fault("is no whole number of minor units"));
    }
    Ok(amount / factor)
}

/// The percentage in millionths.
pub(super) fn ppm(field: &str, percent: &Value) -> Result<i64, Fault> {
    let text = percent.as_str().map_or_else(|| percent.to_string(), str::to_owned);
    let fault = || Fault::of(field, format!("{text} is not a percentage of four decimal places"));
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 4 {
        return Err(fault());
    }
    format!("{whole}{fraction:0<4}").parse().map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_in_our_minor_units() {
        for (code, theirs, ours) in [
            ("eur", 1999, Some(1999)),
            ("jpy", 500, Some(500)),
            ("kwd", 5120, Some(5120)),
            ("isk", 500, Some(5)),
            ("isk", 550, None),
            ("ugx", 1000, Some(10)),
        ] {
            let currency = currency(&json!({ "currency": code })).unwrap();
            assert_eq!(minor("amount", theirs, currency).ok(), ours, "{code}");
        }
        assert!(currency(&json!({"currency": "xyz"})).is_err());
    }

    #[test]
    fn percentages_are_exact() {
        for (percent, expected) in [
            (json!(25), 250_000),
            (json!(12.5), 125_000),
            (json!("33.3300"), 333_300),
            (json!(0.0001), 1),
        ] {
            assert_eq!(ppm("percent_off", &percent), Ok(expected), "{percent}");
        }
        assert!(ppm("percent_off", &json!("33.33333")).is_err());
        assert!(ppm("percent_off", &json!("many")).is_err());
    }

    #[test]
    fn fields_are_found_where_they_are() {
        let object = json!({"customer": {"id": "cus_1"}, "plan": "p", "items": {"data": [1]}, "bare": [2, 3]});
        assert_eq!(text(&object, &["customer"]), Some("cus_1"));
        assert_eq!(text(&object, &["plan"]), Some("p"));
        assert_eq!(text(&object, &["nothing", "here"]), None);
        assert_eq!(
            (
                elements(&object, "items").len(),
                elements(&object, "bare").len(),
                elements(&object, "x").len()
            ),
            (1, 2, 0)
        );
    }
}
