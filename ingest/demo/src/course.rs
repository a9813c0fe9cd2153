//! The AI course: paid at once or in instalments, refunded now and then.

use chrono::{Months, TimeDelta};
use rand::Rng;

use crate::{
    DemoError,
    company::Person,
    files::{Files, OrderRow},
};

pub(crate) fn live(person: &mut Person, files: &mut Files) -> Result<(), DemoError> {
    let bought_at = person.signed_up_at + TimeDelta::hours(person.rng.random_range(0..72));
    let price_minor = person.market.price_minor(497);
    let (parts, order_type) = if person.chance(550) {
        (1, "sale")
    } else {
        ([3, 6, 12][person.rng.random_range(0..3)], "instalment")
    };
    let mut paid = 0;
    for part in 0..parts {
        if part > 0 && person.chance(30) {
            // A card that failed for good: the rest is never paid.
            break;
        }
        let share =
            price_minor * i64::from(part + 1) / i64::from(parts) - price_minor * i64::from(part) / i64::from(parts);
        let ordered_at = bought_at + Months::new(part);
        let recorded_at = person.recorded_at(ordered_at);
        let row = OrderRow {
            key: format!("{}_course_{part}", person.id),
            customer_id: person.id.clone(),
            product: "ai_course",
            quantity: 1,
            amount_minor: share,
            currency: person.market.currency,
            order_type,
            ordered_at,
            recorded_at,
        };
        paid += share;
        files.order(&row, person.until)?;
        if part == 0 && person.chance(45) {
            let refunded_at = ordered_at + TimeDelta::hours(person.rng.random_range(12..14 * 24));
            let recorded_at = person.recorded_at(refunded_at);
            let key = format!("{}_course_refund", person.id);
            files.order(
                &OrderRow {
                    key,
                    amount_minor: -paid,
                    order_type: "refund",
                    ordered_at: refunded_at,
                    recorded_at,
                    ..row
                },
                person.until,
            )?;
            break;
        }
    }
    Ok(())
}
