//! Subscriptions as states of their items.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::json::{currency, elements, instant, minor, number, ppm, text, written};
use crate::{connectors::Record, receivers::Fault};
use atalaya_model::{Currency, Kind};

/// When a state was seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    /// An event told it.
    Event {
        id: &'a str,
        event_type: &'a str,
        at: DateTime<Utc>,
        /// What the object was before, where the event tells.
        previous: Option<&'a Value>,
    },
    /// It was listed: as it is, since it began or, after a gap in what we know, since then.
    Listed {
        known_until: Option<DateTime<Utc>>,
        version: i64,
    },
}

/// The states that one sight of a subscription tells.
pub(super) fn records(subscription: &Value, seen: Seen<'_>) -> Result<Vec<Record>, Fault> {
    let need = |name: &str| text(subscription, &[name]).ok_or_else(|| Fault::of(name, "is missing"));
    let (id, customer) = (need("id")?, need("customer")?);
    let ended_at = instant(subscription, &["ended_at"])
        .or_else(|| instant(subscription, &["canceled_at"]))
        .filter(|_| matches!(text(subscription, &["status"]), Some("canceled" | "incomplete_expired")));
    let started_at = instant(subscription, &["start_date"]).or_else(|| instant(subscription, &["created"]));
    let mut records = Vec::new();
    for item in elements(subscription, "items") {
        let item_id = text(item, &["id"]).ok_or_else(|| Fault::of("items.id", "is missing"))?;
        let terms = terms(subscription, item)?;
        let version_of_tiers = match seen {
            Seen::Event { at, .. } => at.timestamp(),
            Seen::Listed { version, .. } => version,
        };
        for price in ["price", "plan"].iter().filter_map(|name| item.get(name)).take(1) {
            records.extend(tiers(price, version_of_tiers)?);
        }
        let mut push = |suffix: &str, version: i64, status: &str, valid_from: DateTime<Utc>| {
            let mut record = Record::new(Kind::Subscriptions);
            record.set("record_key", format!("{id}|{item_id}|{suffix}"));
            record.set("record_version", version.to_string());
            record.set("customer_id", customer);
            record.set("subscription_id", id);
            record.set("item_id", item_id);
            record.set("status", status);
            record.set("valid_from", written(valid_from));
            record.extend(&terms);
            records.push(record);
        };
        let status = need("status")?;
        match seen {
            Seen::Event {
                id: event,
                event_type,
                at,
                ..
            } => {
                let valid_from = match (event_type, ended_at) {
                    ("customer.subscription.created", _) => started_at.map_or(at, |start| start.min(at)),
                    (_, Some(ended_at)) => ended_at.min(at),
                    _ => at,
                };
                push(event, 0, status, valid_from);
            }
            Seen::Listed { known_until, version } => {
                let start = started_at.ok_or_else(|| Fault::of("start_date", "is missing"))?;
                let suffix = known_until.map_or_else(|| "listed".to_owned(), |at| format!("listed:{}", at.timestamp()));
                let valid_from = known_until.map_or(start, |known| known.max(start));
                match ended_at {
                    // Its life between start and end is not told any more; that it paid is what a price says.
                    Some(ended_at) => {
                        if status == "canceled" && ended_at > valid_from {
                            push(&suffix, version, "active", valid_from);
                        }
                        push(&format!("{suffix}:end"), version, status, ended_at);
                    }
                    None => push(&suffix, version, status, valid_from),
                }
            }
        }
    }
    if let Seen::Event {
        id: event,
        at,
        previous: Some(previous),
        ..
    } = seen
    {
        records.extend(removed_items(subscription, previous, id, customer, event, at)?);
    }
    if records.is_empty() {
        return Err(Fault::of("items", "are missing"));
    }
    Ok(records)
}

/// Items that an update took away: the event tells what was there before.
fn removed_items(
    subscription: &Value,
    previous: &Value,
    id: &str,
    customer: &str,
    event: &str,
    at: DateTime<Utc>,
) -> Result<Vec<Record>, Fault> {
    let still = |item: &Value| {
        elements(subscription, "items")
            .iter()
            .any(|now| now.get("id") == item.get("id"))
    };
    let mut records = Vec::new();
    for item in elements(previous, "items").iter().filter(|item| !still(item)) {
        let Some(item_id) = text(item, &["id"]) else { continue };
        let mut record = Record::new(Kind::Subscriptions);
        record.set("record_key", format!("{id}|{item_id}|{event}"));
        record.set("customer_id", customer);
        record.set("subscription_id", id);
        record.set("item_id", item_id);
        record.set("status", "canceled");
        record.set("cancel_reason", "migration");
        record.set("valid_from", written(at));
        record.extend(&terms(subscription, item)?);
        records.push(record);
    }
    Ok(records)
}

/// Price, quantity, discounts and dates of an item.
fn terms(subscription: &Value, item: &Value) -> Result<Vec<(&'static str, String)>, Fault> {
    // Plans are what prices were called before.
    let price = ["price", "plan"]
        .iter()
        .find_map(|name| item.get(name).filter(|price| price.is_object()))
        .ok_or_else(|| Fault::of("items.price", "is missing"))?;
    let currency = currency(price)?;
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
        number(item, &["quantity"]).map(|quantity| quantity.to_string()),
    );
    let metered = text(recurring, &["usage_type"]) == Some("metered");
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
    let included: i64 = elements(subscription, "default_tax_rates")
        .iter()
        .filter(|rate| rate.get("inclusive").and_then(Value::as_bool) == Some(true))
        .map(|rate| {
            rate.get("percentage")
                .map_or(Ok(0), |percent| ppm("default_tax_rates.percentage", percent))
        })
        .sum::<Result<i64, Fault>>()?;
    set("included_tax_ppm", (included > 0).then(|| included.to_string()));
    terms.extend(discounts(subscription, item, currency, period_end)?);
    Ok(terms)
}

/// Discounts by how long they run: percents multiply, amounts add up.
fn discounts(
    subscription: &Value,
    item: &Value,
    currency: Currency,
    period_end: Option<DateTime<Utc>>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let single = subscription.get("discount").filter(|discount| !discount.is_null());
    let several = elements(subscription, "discounts");
    // Newer versions of the API give both; they say the same.
    let own = if several.is_empty() {
        single.into_iter().collect()
    } else {
        several.iter().collect::<Vec<_>>()
    };
    let all = own.into_iter().chain(elements(item, "discounts"));
    // Per duration: what is left of a million, the amount, the end.
    let mut slots = [(1_000_000_i64, 0_i64, None::<DateTime<Utc>>); 3];
    for discount in all {
        let coupon = [&["coupon"][..], &["source", "coupon"]]
            .iter()
            .find_map(|path| path.iter().try_fold(discount, |object, name| object.get(name)))
            .filter(|coupon| coupon.is_object())
            .ok_or_else(|| Fault::of("discounts", "are given by their ids: they must be expanded"))?;
        let end = instant(discount, &["end"]);
        let (slot, end) = match text(coupon, &["duration"]) {
            Some("forever") => (0, None),
            Some("repeating") => (1, end),
            Some("once") => (2, end.or(period_end)),
            other => {
                return Err(Fault::of(
                    "discounts.coupon.duration",
                    format!("{other:?} is not known"),
                ));
            }
        };
        let (left, amount, ends_at) = &mut slots[slot];
        if let Some(percent) = coupon.get("percent_off").filter(|percent| !percent.is_null()) {
            let off = ppm("discounts.coupon.percent_off", percent)?;
            *left = (*left * (1_000_000 - off) + 500_000) / 1_000_000;
        }
        if let Some(off) = number(coupon, &["amount_off"]) {
            let of = json_currency(coupon, currency)?;
            *amount += minor("discounts.coupon.amount_off", off, of)?;
        }
        *ends_at = match (*ends_at, end) {
            (Some(known), Some(end)) => Some(known.min(end)),
            (known, end) => known.or(end),
        };
    }
    let names = [
        ("discount_ppm", "discount_minor", None),
        (
            "repeating_discount_ppm",
            "repeating_discount_minor",
            Some("repeating_discount_ends_at"),
        ),
        (
            "once_discount_ppm",
            "once_discount_minor",
            Some("once_discount_ends_at"),
        ),
    ];
    let mut terms = Vec::new();
    for ((percent, amount, ends), (left, off, ends_at)) in names.into_iter().zip(slots) {
        if left < 1_000_000 {
            terms.push((percent, (1_000_000 - left).to_string()));
        }
        if off > 0 {
            terms.push((amount, off.to_string()));
        }
        if let (Some(name), Some(at)) = (ends, ends_at) {
            terms.push((name, written(at)));
        }
    }
    Ok(terms)
}

fn json_currency(coupon: &Value, expected: Currency) -> Result<Currency, Fault> {
    let found = currency(coupon)?;
    if found == expected {
        Ok(found)
    } else {
        Err(Fault::of(
            "discounts.coupon.currency",
            format!("{} is not the price's {}", found.code(), expected.code()),
        ))
    }
}

/// Tiers of the prices in a subscription, where they came with it.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_772_000_000 + secs, 0).unwrap()
    }

    /// A subscription as version 2024-06-20 gives it.
    fn subscription() -> Value {
        json!({
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active",
            "start_date": at(0).timestamp(), "current_period_end": at(1000).timestamp(),
            "cancel_at_period_end": false, "trial_end": null, "discount": null, "discounts": [],
            "items": {"has_more": false, "data": [{
                "id": "si_1", "quantity": 3,
                "price": {
                    "id": "price_1", "nickname": "Pro", "product": "prod_1", "currency": "eur", "unit_amount": 2000,
                    "billing_scheme": "per_unit", "recurring": {"interval": "month", "interval_count": 3, "usage_type": "licensed"}
                }
            }]}
        })
    }

    fn with(change: impl FnOnce(&mut Value)) -> Value {
        let mut changed = subscription();
        change(&mut changed);
        changed
    }

    fn event(object: &Value, event_type: &str) -> Result<Vec<Record>, Fault> {
        let seen = Seen::Event {
            id: "evt_1",
            event_type,
            at: at(500),
            previous: None,
        };
        records(object, seen)
    }

    fn shown(records: &[Record], columns: &[&str]) -> Vec<String> {
        let cell = |record: &Record, column: &str| record.get(column).unwrap_or("-").to_owned();
        records
            .iter()
            .map(|record| {
                columns
                    .iter()
                    .map(|column| cell(record, column))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    #[test]
    fn an_item_has_its_price_quantity_and_interval() {
        let records = event(&subscription(), "customer.subscription.updated").unwrap();
        let columns = [
            "record_key",
            "customer_id",
            "status",
            "quantity",
            "unit_price_minor",
            "currency",
            "billing_interval",
            "interval_count",
            "product",
            "plan",
            "valid_from",
        ];
        assert_eq!(
            shown(&records, &columns),
            [format!(
                "sub_1|si_1|evt_1 cus_1 active 3 2000 EUR month 3 prod_1 Pro {}",
                written(at(500))
            )]
        );
        // A new one holds from its start, also where that lies before.
        let created = event(&subscription(), "customer.subscription.created").unwrap();
        assert_eq!(created[0].get("valid_from"), Some(written(at(0)).as_str()));
    }

    #[test]
    fn ends_are_dated_when_they_were() {
        let ended = with(|sub| {
            sub["status"] = json!("canceled");
            sub["ended_at"] = json!(at(490).timestamp());
            sub["cancellation_details"] = json!({"reason": "payment_failed"});
        });
        let columns = ["status", "valid_from", "cancel_reason", "record_key"];
        assert_eq!(
            shown(&event(&ended, "customer.subscription.deleted").unwrap(), &columns),
            [format!("canceled {} delinquent sub_1|si_1|evt_1", written(at(490)))]
        );
        let listed = records(
            &ended,
            Seen::Listed {
                known_until: None,
                version: 7,
            },
        )
        .unwrap();
        assert_eq!(
            shown(&listed, &columns),
            [
                format!("active {} delinquent sub_1|si_1|listed", written(at(0))),
                format!("canceled {} delinquent sub_1|si_1|listed:end", written(at(490))),
            ]
        );
        // After a gap in what is known, it holds from there: what was known before stays.
        let gap = Seen::Listed {
            known_until: Some(at(300)),
            version: 7,
        };
        let listed = records(&subscription(), gap).unwrap();
        assert_eq!(listed[0].get("valid_from"), Some(written(at(300)).as_str()));
        let at_period_end = with(|sub| sub["cancel_at_period_end"] = json!(true));
        let planned = event(&at_period_end, "customer.subscription.updated").unwrap();
        assert_eq!(planned[0].get("cancel_at"), Some(written(at(1000)).as_str()));
    }

    #[test]
    fn an_item_that_was_taken_away_ends() {
        let previous = json!({"items": {"data": [{"id": "si_0", "quantity": 1, "plan": {
            "id": "old", "currency": "eur", "amount": 900, "interval": "month"}}]}});
        let seen = Seen::Event {
            id: "evt_1",
            event_type: "customer.subscription.updated",
            at: at(500),
            previous: Some(&previous),
        };
        let found = records(&subscription(), seen).unwrap();
        assert_eq!(
            shown(&found, &["item_id", "status", "cancel_reason", "unit_price_minor"]),
            ["si_1 active - 2000", "si_0 canceled migration 900"]
        );
    }

    #[test]
    fn discounts_stand_by_how_long_they_run() {
        let discount = |duration: &str, more: Value| {
            let mut coupon = json!({"duration": duration});
            coupon
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"id": "di", "end": if duration == "repeating" { json!(at(700).timestamp()) } else { Value::Null }, "coupon": coupon})
        };
        let found = event(
            &with(|sub| {
                sub["discounts"] = json!([
                    discount("forever", json!({"percent_off": 20})),
                    discount("forever", json!({"percent_off": 12.5})),
                    discount("repeating", json!({"amount_off": 500, "currency": "eur"})),
                    discount("once", json!({"percent_off": 50})),
                ]);
            }),
            "customer.subscription.updated",
        )
        .unwrap();
        let columns = [
            "discount_ppm",
            "repeating_discount_minor",
            "repeating_discount_ends_at",
            "once_discount_ppm",
            "once_discount_ends_at",
        ];
        assert_eq!(
            shown(&found, &columns),
            [format!("300000 500 {} 500000 {}", written(at(700)), written(at(1000)))]
        );
        for (discounts, expected) in [
            (json!(["di_1"]), "must be expanded"),
            (
                json!([discount("forever", json!({"amount_off": 5, "currency": "usd"}))]),
                "USD is not the price's EUR",
            ),
            (json!([discount("weekly", json!({}))]), "is not known"),
        ] {
            let fault = event(
                &with(|sub| sub["discounts"] = discounts),
                "customer.subscription.updated",
            )
            .unwrap_err();
            assert!(fault.reason.contains(expected), "{fault:?}");
        }
    }

    #[test]
    fn tiers_meters_pauses_and_taxes_are_told() {
        let tiered = with(|sub| {
            let price = &mut sub["items"]["data"][0]["price"];
            price["billing_scheme"] = json!("tiered");
            price["tiers_mode"] = json!("graduated");
            price["unit_amount"] = Value::Null;
            price["tiers"] = json!([
                {"up_to": 10, "unit_amount": 100, "flat_amount": null},
                {"up_to": null, "unit_amount": 80, "flat_amount": 500}
            ]);
            sub["pause_collection"] = json!({"behavior": "void"});
            sub["default_tax_rates"] =
                json!([{"inclusive": true, "percentage": 21.0}, {"inclusive": false, "percentage": 5}]);
        });
        let found = event(&tiered, "customer.subscription.updated").unwrap();
        assert_eq!(
            shown(
                &found,
                &[
                    "price_id",
                    "tier_mode",
                    "first_unit",
                    "unit_price_minor",
                    "flat_minor",
                    "collection",
                    "included_tax_ppm"
                ]
            ),
            [
                "price_1 - 1 100 - - -",
                "price_1 - 11 80 500 - -",
                "price_1 graduated - 0 - paused 210000"
            ]
        );
        let metered = with(|sub| {
            sub["items"]["data"][0]["price"]["recurring"]["usage_type"] = json!("metered");
            sub["items"]["data"][0]["price"]["unit_amount"] = Value::Null;
        });
        assert_eq!(
            event(&metered, "customer.subscription.updated").unwrap()[0].get("charge_type"),
            Some("metered")
        );
        let tiny = with(|sub| {
            sub["items"]["data"][0]["price"]["unit_amount"] = Value::Null;
            sub["items"]["data"][0]["price"]["unit_amount_decimal"] = json!("0.5");
        });
        let fault = event(&tiny, "customer.subscription.updated").unwrap_err();
        assert_eq!(fault.reason, "is below a minor unit: 0.5");
    }
}
