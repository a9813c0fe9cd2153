use std::collections::BTreeMap;

use atalaya_model::Currency;
use chrono::{DateTime, NaiveDate, Utc};

/// What every record carries beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Who sent it.
    pub source: String,
    /// What it is a version of.
    pub record_key: String,
    /// Which version.
    pub record_version: i64,
    /// When it was known, by whichever knowledge is asked for.
    pub known_at: DateTime<Utc>,
    /// When the source knew.
    pub recorded_at: DateTime<Utc>,
    /// Its place among all arrivals.
    pub arrival_seq: i64,
    /// Whether it takes the record back.
    pub deleted: bool,
}

/// Of every record the newest version known at `as_of`, unless it is a deletion.
pub fn known<T>(records: impl IntoIterator<Item = (Version, T)>, as_of: DateTime<Utc>) -> Vec<(Version, T)> {
    let mut newest: BTreeMap<(String, String), (Version, T)> = BTreeMap::new();
    for (version, record) in records {
        if version.known_at > as_of {
            continue;
        }
        let rank = |version: &Version| (version.record_version, version.recorded_at, version.arrival_seq);
        let key = (version.source.clone(), version.record_key.clone());
        match newest.get(&key) {
            Some((standing, _)) if rank(standing) >= rank(&version) => {}
            _ => {
                newest.insert(key, (version, record));
            }
        }
    }
    newest.into_values().filter(|(version, _)| !version.deleted).collect()
}

/// The status of a subscription item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Paid for.
    Active,
    /// A payment failed.
    PastDue,
    /// Paused.
    Paused,
    /// Anything else: trials, cancelled, unpaid, incomplete.
    Other,
}

impl Status {
    /// Reads the record's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "paused" => Self::Paused,
            _ => Self::Other,
        }
    }
}

/// One state of a subscription item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    /// Whose it is.
    pub customer_id: String,
    /// Which item.
    pub item_id: String,
    /// What is sold.
    pub product: Option<String>,
    /// At which plan.
    pub plan: Option<String>,
    /// Its status.
    pub status: Status,
    /// How many.
    pub quantity: i64,
    /// Price of one for an interval.
    pub unit_price_minor: i64,
    /// The price's currency.
    pub currency: Currency,
    /// day, week, month or year.
    pub billing_interval: String,
    /// How many of them an interval has.
    pub interval_count: i64,
    /// Percent and amount off: for ever, for some months, for one payment.
    pub discounts: [(i64, i64); 3],
    /// When the second discount ends.
    pub repeating_ends_at: Option<DateTime<Utc>>,
    /// When the third ends.
    pub once_ends_at: Option<DateTime<Utc>>,
    /// Tax inside the price, in millionths.
    pub tax_ppm: i64,
    /// Until when it is free.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// When it will have ended.
    pub cancel_at: Option<DateTime<Utc>>,
    /// From when it is in this state.
    pub valid_from: DateTime<Utc>,
    /// Whether it recurs at a fixed price: neither metered nor once.
    pub licensed: bool,
    /// Whether money is collected.
    pub collected: bool,
    /// Since when it is past due.
    pub past_due_at: Option<DateTime<Utc>>,
    /// When it was first paid for.
    pub first_paid_at: Option<DateTime<Utc>>,
    /// The price, where it has tiers.
    pub price_id: Option<String>,
    /// `volume` or `graduated`.
    pub tier_mode: Option<String>,
}

/// A tier of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The price.
    pub price_id: String,
    /// Its currency.
    pub currency: Currency,
    /// The first unit at this tier.
    pub first_unit: i64,
    /// Price of one unit.
    pub unit_price_minor: i64,
    /// Price of reaching the tier.
    pub flat_minor: i64,
}

/// A rate as it was quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateQuote {
    /// The day.
    pub rate_on: NaiveDate,
    /// One unit of this ...
    pub currency: Currency,
    /// ... in units of that ...
    pub quote_currency: Currency,
    /// ... in millionths of a millionth.
    pub rate_e12: i64,
}
