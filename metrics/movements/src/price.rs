use std::collections::HashMap;

use atalaya_model::{ModelError, muldiv};

use crate::{
    MovementError, Rules, TierRange,
    state::State,
    text::{self, NONE, Texts},
};

const MILLION: i64 = 1_000_000;

/// Tiers by price and currency, in the order of their units.
#[derive(Debug)]
pub(crate) struct Tiers {
    ranges: HashMap<(u32, u32), Vec<TierRange>>,
}

impl Tiers {
    pub(crate) fn new(tiers: &[TierRange], texts: &mut Texts) -> Self {
        let mut ranges: HashMap<(u32, u32), Vec<TierRange>> = HashMap::new();
        for tier in tiers {
            let key = (texts.number(&tier.price_id), texts.number(&tier.currency));
            ranges.entry(key).or_default().push(tier.clone());
        }
        Self { ranges }
    }

    /// A volume price is that of the tier the quantity falls into; a graduated price adds up what falls into each.
    fn amount(&self, state: &State) -> Result<Option<i64>, ModelError> {
        if state.price_id == NONE {
            return Ok(None);
        }
        let quantity = state.quantity;
        let mut total = None;
        for tier in self.ranges.get(&(state.price_id, state.currency)).into_iter().flatten() {
            let units = match state.tier_mode {
                text::GRADUATED if tier.first_unit <= quantity => {
                    let last = tier.last_unit.map_or(quantity, |last| last.min(quantity));
                    last - tier.first_unit + 1
                }
                text::VOLUME if tier.first_unit <= quantity && tier.last_unit.is_none_or(|last| last >= quantity) => {
                    quantity
                }
                _ => continue,
            };
            let amount = muldiv(units, tier.unit_price_minor, 1)?;
            let amount = amount.checked_add(tier.flat_minor).ok_or(ModelError::Overflow)?;
            total = Some(i64::checked_add(total.unwrap_or(0), amount).ok_or(ModelError::Overflow)?);
        }
        Ok(total)
    }

    /// The price of an interval before discounts.
    pub(crate) fn list_minor(&self, state: &State, customer_id: &str, texts: &Texts) -> Result<i64, MovementError> {
        let amount = MovementError::amount(customer_id);
        if state.tier_mode == NONE {
            return muldiv(state.unit_price_minor, state.quantity, 1).map_err(amount);
        }
        if state.quantity <= 0 {
            return Ok(0);
        }
        self.amount(state)
            .map_err(&amount)?
            .ok_or_else(|| MovementError::NoTier {
                price_id: texts.get(state.price_id).unwrap_or("(none)").to_owned(),
                currency: texts.get(state.currency).unwrap_or_default().to_owned(),
                quantity: state.quantity,
            })
    }
}

/// What of a price a stretch pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) repeating: bool,
    pub(crate) once: bool,
}

/// MRR of a state that counts, in millionths of a minor unit: percents first, as one product, then amounts, never below
/// zero; then tax and the interval.
pub(crate) fn mrr_micros(state: &State, list_minor: i64, applied: Applied, rules: &Rules) -> Result<i64, ModelError> {
    let kept = |counts: bool, ppm: i64| MILLION - if counts { ppm } else { 0 };
    let forever = kept(rules.forever_counts, state.forever.ppm);
    let repeating = kept(applied.repeating, state.repeating.ppm);
    let once = kept(applied.once, state.once.ppm);
    let mut off_minor = if rules.forever_counts { state.forever.minor } else { 0 };
    for (applies, discount) in [(applied.repeating, state.repeating), (applied.once, state.once)] {
        if applies {
            off_minor = off_minor.checked_add(discount.minor).ok_or(ModelError::Overflow)?;
        }
    }
    let kept_micros = if repeating == MILLION && once == MILLION {
        muldiv(list_minor, forever, 1)?
    } else {
        muldiv(list_minor, forever * repeating * once, MILLION * MILLION)?
    };
    let interval_micros = kept_micros
        .checked_sub(muldiv(off_minor, MILLION, 1)?)
        .ok_or(ModelError::Overflow)?
        .max(0);
    let (numerator, denominator) = months(state, rules)?;
    if state.tax_ppm == 0 {
        return if (numerator, denominator) == (1, 1) {
            Ok(interval_micros)
        } else {
            muldiv(interval_micros, numerator, denominator)
        };
    }
    let taxed = denominator
        .checked_mul(MILLION + state.tax_ppm)
        .ok_or(ModelError::Overflow)?;
    muldiv(interval_micros, numerator * MILLION, taxed)
}

/// An interval's price times this is a month's.
fn months(state: &State, rules: &Rules) -> Result<(i64, i64), ModelError> {
    let count = state.interval_count;
    let (numerator, per_count) = match state.interval {
        text::MONTH => (1, 1),
        text::WEEK => rules.months_per_week,
        text::DAY => rules.months_per_day,
        _ => (1, 12),
    };
    Ok((numerator, count.checked_mul(per_count).ok_or(ModelError::Overflow)?))
}
