//! The marketing SaaS: monthly and yearly plans, trials, upgrades, pauses, failed payments, second thoughts.

use chrono::{DateTime, Months, TimeDelta, Utc};
use rand::Rng;

use crate::{
    DemoError,
    company::Person,
    files::{Files, OrderRow, StateRow},
};

const PLANS: [(&str, i64); 3] = [("starter", 49), ("pro", 99), ("scale", 249)];

/// Chance in a thousand to leave, by age in months: most leave early.
pub(crate) fn churn_per_mille(age_months: u32) -> u32 {
    match age_months {
        0..=2 => 75,
        3..=11 => 42,
        _ => 24,
    }
}

pub(crate) struct Subscription {
    pub(crate) state: StateRow,
    changes: u32,
    invoices: u32,
}

impl Subscription {
    pub(crate) fn new(state: StateRow) -> Self {
        Self {
            state,
            changes: 0,
            invoices: 0,
        }
    }

    /// Writes the state as it is from `at` on; now and then wrongly at first, corrected by a later version.
    pub(crate) fn change(
        &mut self,
        person: &mut Person,
        files: &mut Files,
        at: DateTime<Utc>,
    ) -> Result<(), DemoError> {
        self.state.key = format!("{}_s{}", self.state.subscription_id, self.changes);
        self.state.version = 0;
        self.state.valid_from = at;
        self.state.recorded_at = person.recorded_at(at);
        self.changes += 1;
        if person.chance(8) {
            let wrong = StateRow {
                quantity: self.state.quantity + 1,
                ..self.state.clone()
            };
            files.state(&wrong, person.until)?;
            let mended_at = self.state.recorded_at + TimeDelta::hours(person.rng.random_range(30..700));
            let mended = StateRow {
                version: 1,
                recorded_at: mended_at,
                ..self.state.clone()
            };
            return files.state(&mended, person.until);
        }
        files.state(&self.state, person.until)
    }

    pub(crate) fn invoice(
        &mut self,
        person: &mut Person,
        files: &mut Files,
        at: DateTime<Utc>,
    ) -> Result<(), DemoError> {
        let gross = self.state.unit_price_minor * self.state.quantity;
        let amount_minor = gross - gross * i64::from(self.state.discount_percent) / 100;
        self.invoices += 1;
        let recorded_at = person.recorded_at(at);
        let row = OrderRow {
            key: format!("{}_inv{}", self.state.subscription_id, self.invoices),
            customer_id: person.id.clone(),
            product: self.state.product,
            quantity: self.state.quantity,
            amount_minor,
            currency: self.state.currency,
            order_type: "subscription",
            ordered_at: at,
            recorded_at,
        };
        let months = if self.state.interval == "year" { 12 } else { 1 };
        files.order(&row, person.until)?;
        files.invoice(&row, at, months, person.until)?;
        if person.chance(6) {
            let refunded_at = at + TimeDelta::hours(person.rng.random_range(5..120));
            let recorded_at = person.recorded_at(refunded_at);
            let key = format!("{}_refund", row.key);
            let refund = OrderRow {
                key,
                amount_minor: -amount_minor,
                order_type: "refund",
                ordered_at: refunded_at,
                recorded_at,
                ..row
            };
            files.order(&refund, person.until)?;
            files.invoice(&refund, at, months, person.until)?;
        }
        Ok(())
    }
}

pub(crate) fn live(person: &mut Person, files: &mut Files) -> Result<(), DemoError> {
    let mut plan = [0, 0, 0, 1, 1, 2][person.rng.random_range(0..6)];
    let yearly = person.chance(280);
    let price = |person: &Person, plan: usize| person.market.price_minor(PLANS[plan].1 * if yearly { 10 } else { 1 });
    let mut at = person.signed_up_at;
    let trial = person.chance(350);
    let discount = if person.chance(110) { 20 } else { 0 };
    let mut item = Subscription::new(StateRow {
        key: String::new(),
        version: 0,
        customer_id: person.id.clone(),
        subscription_id: format!("sub_{}", person.id.trim_start_matches("cus_")),
        product: "marketing_saas",
        plan: PLANS[plan].0,
        status: "active",
        quantity: 1,
        unit_price_minor: price(person, plan),
        currency: person.market.currency,
        interval: if yearly { "year" } else { "month" },
        discount_percent: discount,
        trial_ends_at: None,
        valid_from: at,
        recorded_at: at,
    });
    if trial {
        item.state.status = "trialing";
        item.state.trial_ends_at = Some(at + TimeDelta::days(14));
        item.change(person, files, at)?;
        at += TimeDelta::days(14);
        item.state.trial_ends_at = None;
        if person.chance(420) {
            item.state.status = "canceled";
            return item.change(person, files, at);
        }
        item.state.status = "active";
    }
    item.change(person, files, at)?;
    item.invoice(person, files, at)?;
    let step = if yearly { 12 } else { 1 };
    let mut age = 0;
    while at < person.until {
        age += step;
        at = at + Months::new(step);
        if item.state.discount_percent > 0 && age >= 3 {
            item.state.discount_percent = 0;
            item.change(person, files, at)?;
        }
        let leave = if yearly { 240 } else { churn_per_mille(age) };
        if person.chance(leave) {
            item.state.status = "canceled";
            item.change(person, files, at)?;
            if !person.chance(90) {
                return Ok(());
            }
            at += TimeDelta::days(person.rng.random_range(50..240));
            item.state.status = "active";
            item.change(person, files, at)?;
        } else if person.chance(30) {
            // The payment fails: most are recovered within three weeks, the others end.
            item.state.status = "past_due";
            item.change(person, files, at)?;
            let settled_at = at + TimeDelta::days(person.rng.random_range(2..21));
            let recovered = person.chance(800);
            item.state.status = if recovered { "active" } else { "canceled" };
            item.change(person, files, settled_at)?;
            if !recovered {
                return Ok(());
            }
        } else if !yearly && person.chance(7) {
            item.state.status = "paused";
            item.change(person, files, at)?;
            at += TimeDelta::days(person.rng.random_range(25..70));
            item.state.status = "active";
            item.change(person, files, at)?;
        } else if person.chance(22) && plan + 1 < PLANS.len() {
            plan += 1;
            (item.state.plan, item.state.unit_price_minor) = (PLANS[plan].0, price(person, plan));
            item.change(person, files, at)?;
        } else if person.chance(9) && plan > 0 {
            plan -= 1;
            (item.state.plan, item.state.unit_price_minor) = (PLANS[plan].0, price(person, plan));
            item.change(person, files, at)?;
        }
        item.invoice(person, files, at)?;
    }
    Ok(())
}
