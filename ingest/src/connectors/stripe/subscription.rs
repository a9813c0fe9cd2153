//! Subscriptions as states of their items.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    discounts::shares,
    json::{elements, instant, text, written},
    terms::{is_metered, terms, tiers, worthless},
};
use crate::{
    connectors::{Record, Told},
    receivers::Fault,
};
use atalaya_model::Kind;

/// When a state was seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    /// An event told it.
    Event {
        id: &'a str,
        event_type: &'a str,
        at: DateTime<Utc>,
        version: i64,
        /// What the object was before, where the event tells.
        previous: Option<&'a Value>,
    },
    /// It was listed: as it is, since it began or, after a gap in what we know, since then.
    Listed {
        known_until: Option<DateTime<Utc>>,
        version: i64,
    },
}

/// The states that one sight of a subscription tells. An item that cannot be read does not keep the others from landing,
/// and its end always lands: a customer who is gone must not stay because of a price.
pub(super) fn told(subscription: &Value, seen: Seen<'_>) -> Told {
    let mut told = Told::default();
    if let Err(fault) = states(subscription, seen, &mut told) {
        told.faults.push(fault);
    }
    told
}

fn states(subscription: &Value, seen: Seen<'_>, told: &mut Told) -> Result<(), Fault> {
    let need = |name: &str| text(subscription, &[name]).ok_or_else(|| Fault::of(name, "is missing"));
    let (id, customer, status) = (need("id")?, need("customer")?, need("status")?);
    let is_over = matches!(status, "canceled" | "incomplete_expired");
    let ended_at = instant(subscription, &["ended_at"])
        .or_else(|| instant(subscription, &["canceled_at"]))
        .filter(|_| is_over);
    let started_at = instant(subscription, &["start_date"]).or_else(|| instant(subscription, &["created"]));
    let items = elements(subscription, "items");
    if items.is_empty() {
        return Err(Fault::of("items", "are missing"));
    }
    let shares = shares(items);
    for (item, share) in items.iter().zip(shares) {
        let Some(item_id) = text(item, &["id"]) else {
            told.faults.push(Fault::of("items.id", "is missing"));
            continue;
        };
        let terms = match terms(subscription, item, share, &mut told.faults) {
            Ok(terms) => terms,
            Err(fault) => {
                told.faults.push(fault);
                match seen {
                    // What it cost does not matter any more.
                    Seen::Event { .. } if is_over => worthless(item),
                    _ => continue,
                }
            }
        };
        let mut push = |suffix: &str, version: i64, status: &str, valid_from: DateTime<Utc>| {
            told.records.push(state(
                [id, customer, item_id],
                suffix,
                version,
                status,
                valid_from,
                &terms,
            ));
        };
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
                let period_start = instant(item, &["current_period_start"])
                    .or_else(|| instant(subscription, &["current_period_start"]));
                match (ended_at, status) {
                    // Its life between start and end is not told any more; that it paid is what a price says. After a gap
                    // what was known before stands until the end.
                    (Some(ended_at), _) => {
                        if status == "canceled" && known_until.is_none() && ended_at > start {
                            push(&suffix, version, "active", start);
                        }
                        push(&format!("{suffix}:end"), version, status, ended_at);
                    }
                    // That it does not pay now says nothing of the time before.
                    (None, "past_due" | "unpaid" | "paused") if period_start.is_some_and(|at| at > valid_from) => {
                        if known_until.is_none() {
                            push(&suffix, version, "active", start);
                        }
                        let since = period_start.unwrap_or(valid_from);
                        push(&format!("{suffix}:now"), version, status, since);
                    }
                    (None, _) => push(&suffix, version, status, valid_from),
                }
            }
        }
        let version = match seen {
            Seen::Event { version, .. } | Seen::Listed { version, .. } => version,
        };
        if let Some(price) = ["price", "plan"]
            .iter()
            .find_map(|name| item.get(name).filter(|price| price.is_object()))
            && !is_metered(price)
        {
            match tiers(price, version) {
                Ok(tiers) => told.records.extend(tiers),
                Err(fault) => told.faults.push(fault),
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
        let still = |item: &Value| items.iter().any(|now| now.get("id") == item.get("id"));
        // Items that an update took away: the event tells what was there before.
        for item in elements(previous, "items").iter().filter(|item| !still(item)) {
            let Some(item_id) = text(item, &["id"]) else { continue };
            let terms = terms(subscription, item, (0, 0, 1), &mut Vec::new()).unwrap_or_else(|_| worthless(item));
            let mut ended = state([id, customer, item_id], event, 0, "canceled", at, &terms);
            ended.set("cancel_reason", "migration");
            told.records.push(ended);
        }
    }
    Ok(())
}

fn state(
    [id, customer, item_id]: [&str; 3],
    suffix: &str,
    version: i64,
    status: &str,
    valid_from: DateTime<Utc>,
    terms: &[(&'static str, String)],
) -> Record {
    let mut record = Record::new(Kind::Subscriptions);
    record.set("record_key", format!("{id}|{item_id}|{suffix}"));
    record.set("record_version", version.to_string());
    record.set("customer_id", customer);
    record.set("subscription_id", id);
    record.set("item_id", item_id);
    record.set("status", status);
    record.set("valid_from", written(valid_from));
    record.extend(terms);
    record
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::stripe::terms::billed_units;

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
            version: 9,
            previous: None,
        };
        all(told(object, seen))
    }

    fn all(mut told: Told) -> Result<Vec<Record>, Fault> {
        match told.faults.pop() {
            Some(fault) => Err(fault),
            None => Ok(told.records),
        }
    }

    fn shown(records: &[Record], columns: &[&str]) -> Vec<String> {
        records.iter().map(|record| record.shown(columns)).collect()
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
        let listed = all(told(
            &ended,
            Seen::Listed {
                known_until: None,
                version: 7,
            },
        ))
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
        let listed = all(told(&subscription(), gap)).unwrap();
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
            version: 9,
            previous: Some(&previous),
        };
        let found = all(told(&subscription(), seen)).unwrap();
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
            (json!(["di_1"]), "does not know any more"),
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
                "price_1 graduated - 0 - paused 210000",
                "price_1 - 1 100 - - -",
                "price_1 - 11 80 500 - -"
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

    #[test]
    fn an_amount_off_the_whole_is_taken_once() {
        let two = with(|sub| {
            let mut second = sub["items"]["data"][0].clone();
            second["id"] = json!("si_2");
            second["quantity"] = json!(1);
            second["price"]["unit_amount"] = json!(3000);
            sub["items"]["data"].as_array_mut().unwrap().push(second);
            sub["discount"] =
                json!({"id": "di", "coupon": {"duration": "forever", "amount_off": 1000, "currency": "eur"}});
        });
        // 60.00 and 30.00: two thirds and one, to the cent.
        let found = event(&two, "customer.subscription.updated").unwrap();
        assert_eq!(shown(&found, &["item_id", "discount_minor"]), ["si_1 666", "si_2 334"]);
    }

    #[test]
    fn what_cannot_be_read_keeps_nothing_else_from_landing() {
        let unknown = with(|sub| sub["discounts"] = json!(["di_gone"]));
        let seen = |event_type| Seen::Event {
            id: "evt_1",
            event_type,
            at: at(500),
            version: 9,
            previous: None,
        };
        let landed = told(&unknown, seen("customer.subscription.created"));
        assert_eq!((landed.records.len(), landed.faults.len()), (1, 1));
        // A price below a minor unit: the state waits among the dead letters, and the end lands all the same.
        let tiny = |status: &str| {
            with(|sub| {
                sub["status"] = json!(status);
                sub["items"]["data"][0]["price"]["unit_amount"] = Value::Null;
            })
        };
        let active = told(&tiny("active"), seen("customer.subscription.updated"));
        assert_eq!((active.records.len(), active.faults.len()), (0, 1));
        let ended = told(&tiny("canceled"), seen("customer.subscription.deleted"));
        assert_eq!(
            shown(&ended.records, &["item_id", "status", "unit_price_minor"]),
            ["si_1 canceled 0"]
        );
        assert_eq!(ended.faults.len(), 1);
    }

    #[test]
    fn not_paying_now_says_nothing_of_before() {
        let listed = |known_until| {
            let unpaid = with(|sub| {
                sub["status"] = json!("unpaid");
                sub["current_period_start"] = json!(at(400).timestamp());
            });
            let told = all(told(
                &unpaid,
                Seen::Listed {
                    known_until,
                    version: 7,
                },
            ))
            .unwrap();
            shown(&told, &["status", "valid_from"])
        };
        let unpaid = format!("unpaid {}", written(at(400)));
        assert_eq!(listed(None), [format!("active {}", written(at(0))), unpaid.clone()]);
        assert_eq!(listed(Some(at(300))), [unpaid]);
    }

    #[test]
    fn packages_of_units_are_paid_whole() {
        let price = |round: &str| json!({"transform_quantity": {"divide_by": 10, "round": round}});
        assert_eq!(
            (billed_units(&price("up"), 25), billed_units(&price("down"), 25)),
            (3, 2)
        );
        assert_eq!(billed_units(&json!({}), 25), 25);
    }
}
