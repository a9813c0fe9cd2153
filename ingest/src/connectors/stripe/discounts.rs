//! What is taken off an item, by how long.

use atalaya_model::Currency;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    json::{currency, elements, instant, minor, number, ppm, text, written},
    terms::is_metered,
};
use crate::receivers::Fault;

/// An item's part of what is taken off the subscription as a whole: by what it costs, from the first to the last without
/// a remainder, as (before it, with it, of all).
pub(super) type Share = (i64, i64, i64);

pub(super) fn shares(items: &[Value]) -> Vec<Share> {
    let weight = |item: &Value| {
        let price = ["price", "plan"]
            .iter()
            .find_map(|name| item.get(name).filter(|price| price.is_object()));
        let Some(price) = price.filter(|price| !is_metered(price)) else {
            return 0;
        };
        let amount = number(price, &["unit_amount"])
            .or_else(|| number(price, &["amount"]))
            .unwrap_or(1);
        amount
            .saturating_mul(number(item, &["quantity"]).unwrap_or(1))
            .clamp(0, 1 << 40)
    };
    let weights: Vec<i64> = items.iter().map(weight).collect();
    let all: i64 = weights.iter().sum();
    let mut before = 0;
    let mut shares = Vec::new();
    for (place, weight) in weights.iter().enumerate() {
        // Where nothing costs anything, the first bears it.
        let share = if all == 0 {
            (i64::from(place > 0), 1, 1)
        } else {
            (before, before + weight, all)
        };
        shares.push(share);
        before += weight;
    }
    shares
}

/// Discounts by how long they run: percents multiply, amounts add up, those of the whole subscription by the item's share.
/// One that is not known is told, and the state lands without it: that a customer is there must not be lost with it.
pub(super) fn discounts(
    subscription: &Value,
    item: &Value,
    currency: Currency,
    period_end: Option<DateTime<Utc>>,
    (before, with, all): Share,
    faults: &mut Vec<Fault>,
) -> Vec<(&'static str, String)> {
    let single = subscription.get("discount").filter(|discount| !discount.is_null());
    let several = elements(subscription, "discounts");
    // Newer versions of the API give both; they say the same.
    let own: Vec<&Value> = if several.is_empty() {
        single.into_iter().collect()
    } else {
        several.iter().collect()
    };
    let part = |amount: i64| amount * with / all - amount * before / all;
    let of_all = own.into_iter().map(|discount| (discount, true));
    let of_item = elements(item, "discounts").iter().map(|discount| (discount, false));
    // Per duration: what is left of a million, the amount, the end.
    let mut slots = [(1_000_000_i64, 0_i64, None::<DateTime<Utc>>); 3];
    for (discount, is_shared) in of_all.chain(of_item) {
        match read_discount(discount, currency, period_end) {
            Err(fault) => faults.push(fault),
            Ok((slot, off_ppm, off_minor, end)) => {
                let (left, amount, ends_at) = &mut slots[slot];
                *left = (*left * (1_000_000 - off_ppm) + 500_000) / 1_000_000;
                *amount += if is_shared { part(off_minor) } else { off_minor };
                *ends_at = match (*ends_at, end) {
                    (Some(known), Some(end)) => Some(known.min(end)),
                    (known, end) => known.or(end),
                };
            }
        }
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
    terms
}

/// A discount's slot by duration, its percentage, its amount and its end.
type Discount = (usize, i64, i64, Option<DateTime<Utc>>);

fn read_discount(discount: &Value, currency: Currency, period_end: Option<DateTime<Utc>>) -> Result<Discount, Fault> {
    let coupon = [&["coupon"][..], &["source", "coupon"]]
        .iter()
        .find_map(|path| path.iter().try_fold(discount, |object, name| object.get(name)))
        .filter(|coupon| coupon.is_object())
        .ok_or_else(|| Fault::of("discounts", "are given by ids that Stripe does not know any more"))?;
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
    let off_ppm = match coupon.get("percent_off").filter(|percent| !percent.is_null()) {
        Some(percent) => ppm("discounts.coupon.percent_off", percent)?,
        None => 0,
    };
    let off_minor = match number(coupon, &["amount_off"]) {
        Some(off) => minor("discounts.coupon.amount_off", off, json_currency(coupon, currency)?)?,
        None => 0,
    };
    Ok((slot, off_ppm, off_minor, end))
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
