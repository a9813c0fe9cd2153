use chrono::NaiveDate;

/// Whose rate converts an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FxRule {
    /// That of the day before the period's end, for everything.
    PeriodEnd,
    /// That of the UTC day on which the item's state began.
    ServiceStart,
    /// That of one day.
    Constant(NaiveDate),
}

/// The switches of the policy, as the witness reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether past due counts.
    pub past_due_counts: bool,
    /// Days after which past due drops.
    pub past_due_days: Option<i64>,
    /// Whether paused counts.
    pub paused_counts: bool,
    /// Whether paused collection counts.
    pub collection_paused_counts: bool,
    /// Whether a cancellation counts from the request.
    pub cancel_at_request: bool,
    /// Whether counting starts with the first payment, where it is known.
    pub start_at_payment: bool,
    /// Whether discounts for ever reduce MRR.
    pub forever_counts: bool,
    /// Whether discounts for some months do.
    pub repeating_counts: bool,
    /// Whether discounts for one payment do.
    pub once_counts: bool,
    /// Whether a customer discounted to zero stays one.
    pub active_at_zero: bool,
    /// Months in a week.
    pub months_per_week: (i64, i64),
    /// Months in a day.
    pub months_per_day: (i64, i64),
    /// Whose rate converts.
    pub fx: FxRule,
    /// How old a rate may be, in days.
    pub fx_max_age_days: i64,
    /// Movements at most so far apart are one.
    pub grouping_minutes: i64,
    /// Days after which a returning customer is new.
    pub reactivation_within_days: Option<i64>,
}
