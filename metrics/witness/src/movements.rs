//! What moved a customer's MRR between two instants, from the rules of metric-rules B2.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::{Customer, FxRule, Rates, Rules, Standing, Tier, WitnessError, nearest};

/// The class of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Movement {
    /// The first MRR ever.
    New,
    /// MRR again after none.
    Reactivation,
    /// More.
    Expansion,
    /// Less.
    Contraction,
    /// None any more.
    Churn,
    /// As much as before.
    Unchanged,
}

impl Movement {
    /// The word of the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Reactivation => "reactivation",
            Self::Expansion => "expansion",
            Self::Contraction => "contraction",
            Self::Churn => "churn",
            Self::Unchanged => "unchanged",
        }
    }
}

/// One movement when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// Its class.
    pub movement: Movement,
    /// What it changed, in millionths of a minor unit of the reporting currency.
    pub change_micros: i64,
    /// What exchange rates changed with it.
    pub fx_micros: i64,
}

/// A customer's period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerPeriod {
    /// MRR at the start.
    pub start_micros: i64,
    /// MRR at the end.
    pub end_micros: i64,
    /// What moved it, exchange rates apart.
    pub change_micros: i64,
    /// What exchange rates moved.
    pub fx_micros: i64,
    /// The one class of the period; absent when the customer had nothing at either end.
    pub movement: Option<Movement>,
    /// Everything that happened in it.
    pub events: Vec<Event>,
}

type Part = (&'static str, Option<String>, Option<String>);

/// Native amount, value in the reporting currency, number of items: by currency, product and plan.
fn by_part(
    items: &[Standing],
    rules: &Rules,
    rates: &Rates,
    day: NaiveDate,
) -> Result<BTreeMap<Part, (i64, i64)>, WitnessError> {
    let mut parts: BTreeMap<Part, (i64, i64)> = BTreeMap::new();
    for item in items {
        let key = (item.currency.code(), item.part.0.clone(), item.part.1.clone());
        let own = match rules.fx {
            FxRule::ServiceStart => rates.convert(item.native_micros, item.currency, item.service_on)?,
            _ => 0,
        };
        let part = parts.entry(key).or_default();
        part.0 += item.native_micros;
        part.1 += own;
    }
    if rules.fx != FxRule::ServiceStart {
        for item in items {
            let key = (item.currency.code(), item.part.0.clone(), item.part.1.clone());
            if let Some(part) = parts.get_mut(&key) {
                part.1 = rates.convert(part.0, item.currency, rate_day(rules, day))?;
            }
        }
    }
    Ok(parts)
}

fn rate_day(rules: &Rules, day: NaiveDate) -> NaiveDate {
    match rules.fx {
        FxRule::Constant(fixed) => fixed,
        _ => day,
    }
}

fn total(parts: &BTreeMap<Part, (i64, i64)>) -> i64 {
    parts.values().map(|(_, value)| value).sum()
}

impl Customer {
    /// What became of this customer in `[starts_at, ends_at)`. The rates are those of `start_day` and `end_day`, the days
    /// before the two ends.
    #[allow(
        clippy::too_many_arguments,
        reason = "a period, its rates, and what the customer is seen by"
    )]
    pub fn period(
        &self,
        id: &str,
        tiers: &[Tier],
        rules: &Rules,
        rates: &Rates,
        (starts_at, start_day): (DateTime<Utc>, NaiveDate),
        (ends_at, end_day): (DateTime<Utc>, NaiveDate),
    ) -> Result<CustomerPeriod, WitnessError> {
        let at_start = self.standing_at(id, tiers, rules, starts_at)?;
        let at_end = self.standing_at(id, tiers, rules, ends_at)?;
        let opening = by_part(&at_start, rules, rates, start_day)?;
        let closing = by_part(&at_end, rules, rates, end_day)?;
        let worth_at_end = by_part(&at_start, rules, rates, end_day)?;
        let mut revalued = 0;
        for (part, (native, value)) in &worth_at_end {
            revalued += match (rules.fx, closing.get(part)) {
                (FxRule::ServiceStart, Some((end_native, end_value))) if *end_native > 0 => {
                    nearest(i128::from(*native) * i128::from(*end_value), i128::from(*end_native))?
                }
                _ => *value,
            };
        }
        let events = self.events(id, tiers, rules, rates, starts_at, (ends_at, end_day))?;
        let (start_micros, end_micros) = (total(&opening), total(&closing));
        let movement = match (at_start.is_empty(), at_end.is_empty()) {
            (true, true) => None,
            (true, false) if events.iter().any(|event| event.movement == Movement::New) => Some(Movement::New),
            (true, false) => Some(Movement::Reactivation),
            (false, true) => Some(Movement::Churn),
            (false, false) => Some(by_sign(end_micros - revalued)),
        };
        Ok(CustomerPeriod {
            start_micros,
            end_micros,
            change_micros: end_micros - revalued,
            fx_micros: revalued - start_micros,
            movement,
            events,
        })
    }

    fn events(
        &self,
        id: &str,
        tiers: &[Tier],
        rules: &Rules,
        rates: &Rates,
        starts_at: DateTime<Utc>,
        (ends_at, end_day): (DateTime<Utc>, NaiveDate),
    ) -> Result<Vec<Event>, WitnessError> {
        let moments = self.moments(id, tiers, rules, starts_at, ends_at)?;
        let mut groups: Vec<Vec<DateTime<Utc>>> = Vec::new();
        for at in moments {
            match groups.last_mut() {
                Some(group)
                    if group
                        .last()
                        .is_some_and(|last| at - *last <= TimeDelta::minutes(rules.grouping_minutes)) =>
                {
                    group.push(at);
                }
                _ => groups.push(vec![at]),
            }
        }
        let mut events = Vec::new();
        for group in groups {
            let (mut change_micros, mut fx_micros) = (0, 0);
            for at in &group {
                let (change, fx) = self.change_at(id, tiers, rules, rates, *at, end_day)?;
                change_micros += change;
                fx_micros += fx;
            }
            let (Some(first), Some(last)) = (group.first().copied(), group.last().copied()) else {
                continue;
            };
            let had = !self.standing_at(id, tiers, rules, first)?.is_empty();
            let has = !self
                .standing_at(id, tiers, rules, last + TimeDelta::microseconds(1))?
                .is_empty();
            let movement = match (had, has) {
                (false, false) => Movement::Unchanged,
                (false, true) if self.is_new(id, tiers, rules, first)? => Movement::New,
                (false, true) => Movement::Reactivation,
                (true, false) => Movement::Churn,
                (true, true) => by_sign(change_micros),
            };
            events.push(Event {
                began_at: first,
                movement,
                change_micros,
                fx_micros,
            });
        }
        Ok(events)
    }

    /// Whether a customer who has nothing before `at` never had, or had it too long ago.
    fn is_new(&self, id: &str, tiers: &[Tier], rules: &Rules, at: DateTime<Utc>) -> Result<bool, WitnessError> {
        let before = self.moments(id, tiers, rules, DateTime::<Utc>::MIN_UTC, at)?;
        Ok(match (before.last(), rules.reactivation_within_days) {
            (None, _) => true,
            (Some(left_at), Some(days)) => *left_at + TimeDelta::days(days) < at,
            (Some(_), None) => false,
        })
    }

    fn change_at(
        &self,
        id: &str,
        tiers: &[Tier],
        rules: &Rules,
        rates: &Rates,
        at: DateTime<Utc>,
        end_day: NaiveDate,
    ) -> Result<(i64, i64), WitnessError> {
        let before = by_part(&self.standing_at(id, tiers, rules, at)?, rules, rates, end_day)?;
        let after = self.standing_at(id, tiers, rules, at + TimeDelta::microseconds(1))?;
        let after = by_part(&after, rules, rates, end_day)?;
        let mut fx_micros = 0;
        if rules.fx == FxRule::ServiceStart {
            for (part, (native, value)) in &before {
                if let Some((after_native, after_value)) = after.get(part)
                    && *native > 0
                    && *after_native > 0
                {
                    let worth = nearest(
                        i128::from(*native) * i128::from(*after_value),
                        i128::from(*after_native),
                    )?;
                    fx_micros += worth - value;
                }
            }
        }
        Ok((total(&after) - total(&before) - fx_micros, fx_micros))
    }
}

fn by_sign(change_micros: i64) -> Movement {
    match change_micros {
        0 => Movement::Unchanged,
        1.. => Movement::Expansion,
        _ => Movement::Contraction,
    }
}
