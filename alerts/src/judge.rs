//! Pure judgement: one reading against one condition.

use std::cmp::Ordering;

use crate::limit::Limit;

/// On which side of a limit a value breaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Strictly above.
    Above,
    /// At it or above.
    AtLeast,
    /// Strictly below.
    Below,
    /// At it or below.
    AtMost,
}

impl Side {
    /// Whether a value that compares so lies on this side.
    pub fn holds(self, value_to_limit: Ordering) -> bool {
        match self {
            Self::Above => value_to_limit == Ordering::Greater,
            Self::AtLeast => value_to_limit != Ordering::Less,
            Self::Below => value_to_limit == Ordering::Less,
            Self::AtMost => value_to_limit != Ordering::Greater,
        }
    }

    /// The sign people know.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => "≥",
            Self::Below => "<",
            Self::AtMost => "≤",
        }
    }

    /// Whether high values are the bad ones.
    pub fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

/// When a reading breaches and when it is clear again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is there: an event, something that waits for somebody. A value of 0 says that it is over, or well.
    Present {
        /// Whether what was over before it was first seen is told all the same.
        also_when_over: bool,
    },
    /// Its value lies on a side of a limit.
    Level {
        /// The side that breaches.
        fires: (Side, Limit),
        /// The side that is clear; without it whatever does not breach.
        recovers: Option<(Side, Limit)>,
        /// What stands below the line must be at least this much: too few say nothing.
        min_base: i64,
        /// What stands above the line must be at least this much, either way.
        min_change: i64,
    },
}

/// What a reading is under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The condition holds.
    Breach,
    /// Neither a breach nor clear: what fires goes on firing.
    Between,
    /// It would breach, and the numbers are too small to wake anybody for.
    BelowFloor,
    /// Clearly not.
    Clear,
    /// Nothing can be said; never taken for "all is well".
    NoValue {
        /// Why.
        reason: String,
    },
}

impl Judgement {
    /// The word used in lists.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Breach => "breach",
            Self::Between => "between",
            Self::BelowFloor => "below_floor",
            Self::Clear => "clear",
            Self::NoValue { .. } => "no_value",
        }
    }
}

impl Condition {
    /// Judges a fraction of whole numbers. Nothing is divided: what is exactly at a limit is exactly at it.
    pub fn judge(&self, numerator: i64, denominator: i64) -> Judgement {
        let Self::Level {
            fires: (side, limit),
            recovers,
            min_base,
            min_change,
        } = self
        else {
            return if numerator == 0 {
                Judgement::Clear
            } else {
                Judgement::Breach
            };
        };
        if denominator <= 0 {
            let reason = "there is nothing to compare with".to_owned();
            return Judgement::NoValue { reason };
        }
        if side.holds(limit.compare(numerator, denominator)) {
            let small = denominator < *min_base || numerator.unsigned_abs() < min_change.unsigned_abs();
            return if small {
                Judgement::BelowFloor
            } else {
                Judgement::Breach
            };
        }
        match recovers {
            Some((side, limit)) if !side.holds(limit.compare(numerator, denominator)) => Judgement::Between,
            // Too few say nothing, neither that it is wrong nor that it is well again.
            _ if denominator < *min_base => Judgement::Between,
            _ => Judgement::Clear,
        }
    }
}
