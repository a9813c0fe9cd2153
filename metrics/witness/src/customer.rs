use std::collections::{BTreeMap, BTreeSet};

use atalaya_model::Currency;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::{
    Rules, Status, SubscriptionState, Tier, Version, WitnessError,
    price::{list_minor, monthly_micros},
};

/// An item that counts at some instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is sold, at which plan.
    pub part: (Option<String>, Option<String>),
    /// Currency of the amount.
    pub currency: Currency,
    /// MRR in millionths of a minor unit.
    pub native_micros: i64,
    /// The UTC day on which its state began.
    pub service_on: NaiveDate,
}

/// A customer with all states of all its items, each item's in order.
#[derive(Debug, Clone, Default)]
pub struct Customer {
    items: Vec<Vec<SubscriptionState>>,
}

/// From when a state counts at the earliest.
fn starts_at(state: &SubscriptionState, rules: &Rules) -> DateTime<Utc> {
    let paid = state.first_paid_at.filter(|_| rules.start_at_payment);
    [state.trial_ends_at, paid]
        .into_iter()
        .flatten()
        .fold(state.valid_from, DateTime::max)
}

fn dropped_at(state: &SubscriptionState, rules: &Rules) -> Option<DateTime<Utc>> {
    let days = rules.past_due_days.filter(|_| state.status == Status::PastDue)?;
    Some(state.past_due_at.unwrap_or(state.valid_from) + TimeDelta::days(days))
}

fn counts(state: &SubscriptionState, rules: &Rules, at: DateTime<Utc>) -> bool {
    let by_status = match state.status {
        Status::Active => true,
        Status::PastDue => rules.past_due_counts,
        Status::Paused => rules.paused_counts,
        Status::Other => false,
    };
    by_status
        && state.licensed
        && (state.collected || rules.collection_paused_counts)
        && !(rules.cancel_at_request && state.cancel_at.is_some())
        && starts_at(state, rules) < at
        && state.cancel_at.is_none_or(|ends| at <= ends)
        && dropped_at(state, rules).is_none_or(|ends| at <= ends)
}

impl Customer {
    /// Customers by id, from known states.
    pub fn all(known: Vec<(Version, SubscriptionState)>) -> BTreeMap<String, Self> {
        let mut items: BTreeMap<(String, String), Vec<(Version, SubscriptionState)>> = BTreeMap::new();
        for (version, state) in known {
            items
                .entry((version.source.clone(), state.item_id.clone()))
                .or_default()
                .push((version, state));
        }
        let mut customers: BTreeMap<String, Self> = BTreeMap::new();
        for (_, mut states) in items {
            states.sort_by(|(left, a), (right, b)| {
                let rank = |version: &Version| (version.record_version, version.arrival_seq);
                (a.valid_from, rank(left), &left.record_key).cmp(&(b.valid_from, rank(right), &right.record_key))
            });
            let states: Vec<SubscriptionState> = states.into_iter().map(|(_, state)| state).collect();
            // An item that changes hands belongs, state by state, to whoever the state names.
            let owners: BTreeSet<String> = states.iter().map(|state| state.customer_id.clone()).collect();
            for owner in owners {
                let own = states.clone();
                let customer = customers.entry(owner).or_insert_with(|| Self { items: Vec::new() });
                customer.items.push(own);
            }
        }
        customers
    }

    fn in_force(states: &[SubscriptionState], at: DateTime<Utc>) -> Option<usize> {
        (0..states.len()).rev().find(|&index| states[index].valid_from < at)
    }

    fn standing(
        id: &str,
        states: &[SubscriptionState],
        tiers: &[Tier],
        rules: &Rules,
        at: DateTime<Utc>,
    ) -> Result<Option<Standing>, WitnessError> {
        let Some(state) = Self::in_force(states, at).map(|index| &states[index]) else {
            return Ok(None);
        };
        if state.customer_id != id || !counts(state, rules, at) {
            return Ok(None);
        }
        let native_micros = monthly_micros(state, tiers, rules, at)?;
        if native_micros == 0 && !(rules.active_at_zero && list_minor(state, tiers)? > 0) {
            return Ok(None);
        }
        Ok(Some(Standing {
            part: (state.product.clone(), state.plan.clone()),
            currency: state.currency,
            native_micros,
            service_on: starts_at(state, rules).date_naive(),
        }))
    }

    /// The items that count, seen just before `at`.
    pub fn standing_at(
        &self,
        id: &str,
        tiers: &[Tier],
        rules: &Rules,
        at: DateTime<Utc>,
    ) -> Result<Vec<Standing>, WitnessError> {
        let found: Result<Vec<_>, _> = self
            .items
            .iter()
            .map(|states| Self::standing(id, states, tiers, rules, at))
            .collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// The instants in `[from, to)` at which an item that counts begins, ends or changes, in order.
    pub(crate) fn moments(
        &self,
        id: &str,
        tiers: &[Tier],
        rules: &Rules,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<BTreeSet<DateTime<Utc>>, WitnessError> {
        let mut moments = BTreeSet::new();
        for states in &self.items {
            let mut candidates = BTreeSet::new();
            for state in states {
                candidates.extend([state.valid_from, starts_at(state, rules)]);
                candidates.extend([state.cancel_at, dropped_at(state, rules)].into_iter().flatten());
                candidates.extend([state.repeating_ends_at, state.once_ends_at].into_iter().flatten());
            }
            for at in candidates.range(from..to).copied() {
                let after = at + TimeDelta::microseconds(1);
                let rows = (Self::in_force(states, at), Self::in_force(states, after));
                let before = Self::standing(id, states, tiers, rules, at)?;
                let then = Self::standing(id, states, tiers, rules, after)?;
                let discount_ends = rows.0.is_some_and(|index| {
                    let state = &states[index];
                    (rules.repeating_counts && state.repeating_ends_at == Some(at))
                        || (rules.once_counts && state.once_ends_at == Some(at))
                });
                let either = before.is_some() || then.is_some();
                if either && (rows.0 != rows.1 || before != then || discount_ends) {
                    moments.insert(at);
                }
            }
        }
        Ok(moments)
    }
}
