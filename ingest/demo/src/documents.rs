//! The bulk document generator: seats by the month, plus what was used.

use chrono::{Months, TimeDelta};
use rand::Rng;

use crate::{
    DemoError,
    company::Person,
    files::{Files, OrderRow, StateRow},
    saas::{Subscription, churn_per_mille},
};

pub(crate) fn live(person: &mut Person, files: &mut Files) -> Result<(), DemoError> {
    let mut at = person.signed_up_at + TimeDelta::minutes(person.rng.random_range(10..600));
    let seats = match person.rng.random_range(0..100) {
        0..=59 => person.rng.random_range(1..6),
        60..=89 => person.rng.random_range(6..20),
        _ => person.rng.random_range(20..60),
    };
    let mut item = Subscription::new(StateRow {
        key: String::new(),
        version: 0,
        customer_id: person.id.clone(),
        subscription_id: format!("sub_{}", person.id.trim_start_matches("cus_")),
        product: "document_generator",
        plan: "team",
        status: "active",
        quantity: seats,
        unit_price_minor: person.market.price_minor(19),
        currency: person.market.currency,
        interval: "month",
        discount_percent: 0,
        trial_ends_at: None,
        valid_from: at,
        recorded_at: at,
    });
    item.change(person, files, at)?;
    item.invoice(person, files, at)?;
    let mut age = 0;
    while at < person.until {
        age += 1;
        at = at + Months::new(1);
        if person.chance(churn_per_mille(age) * 7 / 10) {
            item.state.status = "canceled";
            return item.change(person, files, at);
        }
        if person.chance(60) {
            item.state.quantity = if person.chance(700) {
                item.state.quantity + person.rng.random_range(1..5)
            } else {
                (item.state.quantity - person.rng.random_range(1..3)).max(1)
            };
            item.change(person, files, at)?;
        }
        item.invoice(person, files, at)?;
        let documents = item.state.quantity * person.rng.random_range(20..400);
        let recorded_at = person.recorded_at(at);
        let usage = OrderRow {
            key: format!("{}_usage{age}", person.id),
            customer_id: person.id.clone(),
            product: "document_generator",
            quantity: documents,
            amount_minor: person.market.price_minor(1) * documents / 100,
            currency: person.market.currency,
            order_type: "usage",
            ordered_at: at,
            recorded_at,
        };
        files.order(&usage, person.until)?;
    }
    Ok(())
}
