//! What an item costs, how often, and until when.

use atalaya_model::{Currency, Kind};
use serde_json::Value;

use super::{
    discounts::{Share, discounts},
    json::{currency, elements, instant, minor, number, ppm, text, written},
};
use crate::{connectors::Record, receivers::Fault};

/// The least that a state needs, for an item that is over.
pub(super) fn worthless(item: &Value) -> Vec<(&'static str, String)> {
    let price = ["price", "plan"]
        .iter()
        .find_map(|name| item.get(name).filter(|price| price.is_object()));
    let code = price
        .and_then(|price| currency(price).ok())
        .map_or("EUR", Currency::code);
    vec![
        ("currency", code.to_owned()),
        ("billing_interval", "month".to_owned()),
        ("unit_price_minor", "0".to_owned()),
    ]
}

pub(super) fn is_metered(price: &Value) -> bool {
    let recurring = price
        .get("recurring")
        .filter(|recurring| recurring.is_object())
        .unwrap_or(price);
    text(recurring, &["usage_type"]) == Some("metered")
}

/// Price, quantity, discounts and dates of an item.
pub(super) fn terms(
    subscription: &Value,
    item: &Value,
    share: Share,
    faults: &mut Vec<Fault>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    // Plans are what prices were called before.
    let price = ["price", "plan"]
        .iter()
        .find_map(|name| item.get(name).filter(|price| price.is_object()))
        .ok_or_else(|| Fault::of("items.price", "is missing"))?;
    let currency = currency(price)?;
    if let Some(billed) = text(subscription, &["currency"])
        && !billed.eq_ignore_ascii_case(currency.code())
    {
        let reason = format!("is {} where the subscription is billed in {billed}", currency.code());
        return Err(Fault::of("items.price.currency", reason));
    }
    let recurring = price
        .get("recurring")
        .filter(|recurring| recurring.is_object())
        .unwrap_or(price);
    let mut terms = vec![("currency", currency.code().to_owned())];
    let mut set = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            terms.push((name, value));
        }
    };
    let interval = text(recurring, &["interval"]).ok_or_else(|| Fault::of("items.price.recurring", "is missing"))?;
    set("billing_interval", Some(interval.to_owned()));
    set(
        "interval_count",
        number(recurring, &["interval_count"]).map(|count| count.to_string()),
    );
    set(
        "quantity",
        number(item, &["quantity"]).map(|units| billed_units(price, units).to_string()),
    );
    let metered = is_metered(price);
    set("charge_type", metered.then(|| "metered".to_owned()));
    set(
        "product",
        price.get("product").and_then(|product| {
            text(product, &["name"])
                .or_else(|| text(price, &["product"]))
                .map(str::to_owned)
        }),
    );
    let plan = ["nickname", "lookup_key", "name", "id"]
        .iter()
        .find_map(|name| text(price, &[name]));
    set("plan", plan.map(str::to_owned));
    if text(price, &["billing_scheme"]) == Some("tiered") {
        set("price_id", text(price, &["id"]).map(str::to_owned));
        set("tier_mode", text(price, &["tiers_mode"]).map(str::to_owned));
        set("unit_price_minor", Some("0".to_owned()));
    } else {
        let amount = number(price, &["unit_amount"]).or_else(|| number(price, &["amount"]));
        match (amount, metered) {
            (Some(amount), _) => set(
                "unit_price_minor",
                Some(minor("items.price.unit_amount", amount, currency)?.to_string()),
            ),
            (None, true) => set("unit_price_minor", Some("0".to_owned())),
            (None, false) => {
                let decimal = text(price, &["unit_amount_decimal"]).unwrap_or("none");
                return Err(Fault::of(
                    "items.price.unit_amount",
                    format!("is below a minor unit: {decimal}"),
                ));
            }
        }
    }
    let period_end = instant(item, &["current_period_end"]).or_else(|| instant(subscription, &["current_period_end"]));
    let at_period_end = subscription.get("cancel_at_period_end").and_then(Value::as_bool) == Some(true);
    let cancel_at = instant(subscription, &["cancel_at"]).or_else(|| period_end.filter(|_| at_period_end));
    set("cancel_at", cancel_at.map(written));
    set("trial_ends_at", instant(subscription, &["trial_end"]).map(written));
    let paused = subscription.get("pause_collection").is_some_and(Value::is_object);
    set("collection", paused.then(|| "paused".to_owned()));
    let reason = match text(subscription, &["cancellation_details", "reason"]) {
        Some("cancellation_requested") => Some("voluntary"),
        Some("payment_failed" | "payment_disputed") => Some("delinquent"),
        _ => None,
    };
    set("cancel_reason", reason.map(str::to_owned));
    // An item's own rates stand over the subscription's.
    let own_rates = elements(item, "tax_rates");
    let rates = if own_rates.is_empty() {
        elements(subscription, "default_tax_rates")
    } else {
        own_rates
    };
    let included: i64 = rates
        .iter()
        .filter(|rate| rate.get("inclusive").and_then(Value::as_bool) == Some(true))
        .map(|rate| {
            rate.get("percentage")
                .map_or(Ok(0), |percent| ppm("default_tax_rates.percentage", percent))
        })
        .sum::<Result<i64, Fault>>()?;
    set("included_tax_ppm", (included > 0).then(|| included.to_string()));
    terms.extend(discounts(subscription, item, currency, period_end, share, faults));
    Ok(terms)
}

/// Units that are paid for: prices may be for packages of units.
pub(super) fn billed_units(price: &Value, units: i64) -> i64 {
    match number(price, &["transform_quantity", "divide_by"]) {
        Some(divisor @ 1..) if text(price, &["transform_quantity", "round"]) == Some("down") => units / divisor,
        Some(divisor @ 1..) => (units + divisor - 1) / divisor,
        _ => units,
    }
}

/// Tiers of a price, where they came with it.
pub(super) fn tiers(price: &Value, version: i64) -> Result<Vec<Record>, Fault> {
    let Some(id) = text(price, &["id"]) else {
        return Ok(Vec::new());
    };
    let tiers = elements(price, "tiers");
    if tiers.is_empty() {
        return Ok(Vec::new());
    }
    let currency = currency(price)?;
    let mut first_unit = 1;
    let mut records = Vec::new();
    for tier in tiers {
        let mut record = Record::new(Kind::PriceTiers);
        record.set("record_version", version.to_string());
        record.set("price_id", id);
        record.set("currency", currency.code());
        record.set("first_unit", first_unit.to_string());
        let unit = match (number(tier, &["unit_amount"]), text(tier, &["unit_amount_decimal"])) {
            (Some(amount), _) => minor("tiers.unit_amount", amount, currency)?,
            (None, Some(decimal)) if !decimal.trim_matches(['0', '.']).is_empty() => {
                return Err(Fault::of(
                    "tiers.unit_amount",
                    format!("is below a minor unit: {decimal}"),
                ));
            }
            (None, _) => 0,
        };
        record.set("unit_price_minor", unit.to_string());
        if let Some(flat) = number(tier, &["flat_amount"]) {
            record.set("flat_minor", minor("tiers.flat_amount", flat, currency)?.to_string());
        }
        records.push(record);
        first_unit = number(tier, &["up_to"]).map_or(first_unit, |last| last + 1);
    }
    Ok(records)
}
