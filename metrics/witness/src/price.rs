//! What one item costs a month, from the rules of metric-rules B1.

use chrono::{DateTime, Utc};

use crate::{Rules, SubscriptionState, Tier, WitnessError, nearest};

/// The price of an interval before discounts.
pub(crate) fn list_minor(state: &SubscriptionState, tiers: &[Tier]) -> Result<i128, WitnessError> {
    let quantity = state.quantity;
    let Some(mode) = &state.tier_mode else {
        return Ok(i128::from(state.unit_price_minor) * i128::from(quantity));
    };
    if quantity <= 0 {
        return Ok(0);
    }
    let price_id = state.price_id.clone().unwrap_or_default();
    let mut own: Vec<&Tier> = tiers
        .iter()
        .filter(|tier| tier.price_id == price_id && tier.currency == state.currency && tier.first_unit <= quantity)
        .collect();
    own.sort_by_key(|tier| tier.first_unit);
    let Some(last) = own.last() else {
        return Err(WitnessError::NoTier { price_id, quantity });
    };
    if mode == "volume" {
        return Ok(i128::from(last.unit_price_minor) * i128::from(quantity) + i128::from(last.flat_minor));
    }
    // Unit by unit would be the plainest; tier by tier is the same and ends.
    let mut total = 0;
    let mut priced_below = quantity + 1;
    for tier in own.iter().rev() {
        total += i128::from(priced_below - tier.first_unit) * i128::from(tier.unit_price_minor);
        total += i128::from(tier.flat_minor);
        priced_below = tier.first_unit;
    }
    Ok(total)
}

/// MRR of an item in this state, seen just before `at`, in millionths of a minor unit of its own currency.
pub(crate) fn monthly_micros(
    state: &SubscriptionState,
    tiers: &[Tier],
    rules: &Rules,
    at: DateTime<Utc>,
) -> Result<i64, WitnessError> {
    let runs = |ends_at: Option<DateTime<Utc>>| ends_at.is_none_or(|ends_at| at <= ends_at);
    let applies = [
        rules.forever_counts,
        rules.repeating_counts && runs(state.repeating_ends_at),
        rules.once_counts && runs(state.once_ends_at),
    ];
    let (mut kept, mut scale, mut off_minor) = (list_minor(state, tiers)?, 1_i128, 0_i128);
    for ((ppm, minor), applies) in state.discounts.into_iter().zip(applies) {
        if applies {
            kept *= i128::from(1_000_000 - ppm);
            scale *= 1_000_000;
            off_minor += i128::from(minor);
        }
    }
    // `kept / scale` minor units are left of an interval's price; amounts off come after percents.
    let after_percents = i128::from(nearest(kept * 1_000_000, scale)?);
    let interval_micros = (after_percents - off_minor * 1_000_000).max(0);
    let (months_above, months_below) = match state.billing_interval.as_str() {
        "day" => rules.months_per_day,
        "week" => rules.months_per_week,
        "year" => (1, 12),
        _ => (1, 1),
    };
    let tax = i128::from(1_000_000 + state.tax_ppm);
    nearest(
        interval_micros * i128::from(months_above) * 1_000_000,
        i128::from(months_below) * i128::from(state.interval_count) * tax,
    )
}
