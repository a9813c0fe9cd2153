/// Whose rate converts an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fx {
    /// That of the boundary.
    PeriodEnd,
    /// That of the UTC day on which the item's state began.
    ServiceStart,
    /// That of one day (since 1970).
    Constant(i32),
}

/// The switches of a policy that movements hang on; instants and lengths in microseconds.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Currency of every converted amount.
    pub reporting_currency: String,
    /// Whether past due items count ...
    pub past_due_counts: bool,
    /// ... and how long.
    pub past_due_micros: Option<i64>,
    /// Whether paused items count.
    pub paused_counts: bool,
    /// Whether items count whose collection is paused.
    pub collection_paused_counts: bool,
    /// Whether a cancellation counts when it is asked for.
    pub cancel_counts_at_request: bool,
    /// Whether an item counts from its first payment only.
    pub start_counts_at_payment: bool,
    /// Whether discounts for ever reduce MRR.
    pub forever_counts: bool,
    /// Whether discounts for some months do.
    pub repeating_counts: bool,
    /// Whether discounts for one payment do.
    pub once_counts: bool,
    /// Whether an item whose discount is 100 % stays active.
    pub active_at_zero: bool,
    /// A weekly price times this is a month's.
    pub months_per_week: (i64, i64),
    /// A daily price times this is a month's.
    pub months_per_day: (i64, i64),
    /// Whose rate converts.
    pub fx: Fx,
    /// How old a rate may be.
    pub fx_max_age_days: i64,
    /// Movements so close together are one.
    pub grouping_micros: i64,
    /// Who returns later than this is new; absent means never.
    pub reactivation_micros: Option<i64>,
}

impl Rules {
    /// The day whose rate converts what is seen on a day.
    pub(crate) fn rate_day(&self, day: i32) -> i32 {
        match self.fx {
            Fx::Constant(fixed) => fixed,
            _ => day,
        }
    }
}

/// Which knowledge counts: that of an instant, by our own clock or by the source's.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge {
    /// The instant, in microseconds.
    pub as_of: i64,
    /// By the source's word instead of our own.
    pub by_source: bool,
}

impl Knowledge {
    pub(crate) fn covers(&self, recorded_at: i64, landed_at: i64) -> bool {
        (if self.by_source { recorded_at } else { landed_at }) <= self.as_of
    }
}

/// An instant that MRR is asked for, with the day (since 1970) of its rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// The instant, in microseconds.
    pub at: i64,
    /// The day.
    pub rate_on: i32,
}

/// A period: its first day (since 1970) and its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodEnds {
    /// The first day.
    pub start_on: i32,
    /// Where it begins.
    pub start: Boundary,
    /// Up to where it is measured.
    pub end: Boundary,
    /// Whether it is not over.
    pub is_open: bool,
}

/// A tier of a price, with its last unit unless it is the last tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierRange {
    /// The price.
    pub price_id: String,
    /// Its currency.
    pub currency: String,
    /// The first unit.
    pub first_unit: i64,
    /// The last unit.
    pub last_unit: Option<i64>,
    /// Price of a unit.
    pub unit_price_minor: i64,
    /// Price of reaching the tier.
    pub flat_minor: i64,
}

/// What a minor unit is worth from a day on, as a fraction of the reporting currency's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The currency.
    pub currency: String,
    /// The day (since 1970).
    pub quoted_on: i32,
    /// Above the line.
    pub numerator: i64,
    /// Below it.
    pub denominator: i64,
}
