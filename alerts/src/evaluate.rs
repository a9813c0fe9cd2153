//! Pure judgement: figures in, verdict out.

use atalaya_model::{Figure, ProofState, Series, Status};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::rule::Condition;

/// What a rule says of the present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The condition holds.
    Fires {
        /// Sum of the earlier window.
        base_minor: i64,
        /// Sum of the later window.
        current_minor: i64,
    },
    /// Between firing and recovery: whatever was, stays.
    Holds {
        /// Sum of the earlier window.
        base_minor: i64,
        /// Sum of the later window.
        current_minor: i64,
    },
    /// Clearly not.
    Recovered {
        /// Sum of the earlier window.
        base_minor: i64,
        /// Sum of the later window.
        current_minor: i64,
    },
    /// The change would fire, and the sums are too small to wake anybody for.
    BelowFloor {
        /// Sum of the earlier window.
        base_minor: i64,
        /// Sum of the later window.
        current_minor: i64,
    },
    /// Nothing can be said; never taken for "all is well".
    NoValue {
        /// Why.
        reason: String,
    },
}

/// Judges a series of days. Days that have not ended are left out by construction; a failed proof decides nothing.
pub fn evaluate(condition: &Condition, series: &Series) -> (Verdict, Option<Windows>) {
    if series.proof.state == ProofState::Failed {
        let reason = format!(
            "the figures did not pass their proof: {}",
            series.proof.failures.join("; ")
        );
        return (Verdict::NoValue { reason }, None);
    }
    let closed: Vec<(NaiveDate, i64)> = series
        .totals()
        .filter(|point| point.status == Status::Closed)
        .filter_map(|point| match point.figure {
            Figure::Money { value_minor, .. } => Some((point.period_on, value_minor)),
            _ => None,
        })
        .collect();
    let amounts: Vec<i64> = closed.iter().map(|(_, amount)| *amount).collect();
    let verdict = change(condition, &amounts);
    let Condition::ChangeOverWindows { window_days, .. } = condition;
    let days = *window_days as usize;
    let windows = (closed.len() >= 2 * days).then(|| {
        let tail = &closed[closed.len() - 2 * days..];
        Windows {
            base_from: tail[0].0,
            current_from: tail[days].0,
            current_last: tail[2 * days - 1].0,
        }
    });
    (verdict, windows)
}

/// The days that were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// First day of the earlier window.
    pub base_from: NaiveDate,
    /// First day of the later window.
    pub current_from: NaiveDate,
    /// Last day of the later window.
    pub current_last: NaiveDate,
}

/// The condition over complete days, oldest first. Decided in whole minor units: no rounded percentage ever decides.
pub(crate) fn change(condition: &Condition, days: &[i64]) -> Verdict {
    let Condition::ChangeOverWindows {
        window_days,
        fires_below_percent,
        recovers_at_percent,
        min_base_minor,
        min_change_minor,
    } = condition;
    let window = *window_days as usize;
    if days.len() < 2 * window {
        return Verdict::NoValue {
            reason: format!("{} complete days are needed and there are {}", 2 * window, days.len()),
        };
    }
    let tail = &days[days.len() - 2 * window..];
    let sum = |part: &[i64]| part.iter().map(|amount| i128::from(*amount)).sum::<i128>();
    let (base, current) = (sum(&tail[..window]), sum(&tail[window..]));
    let (Ok(base_minor), Ok(current_minor)) = (i64::try_from(base), i64::try_from(current)) else {
        return Verdict::NoValue {
            reason: "the sums do not fit 64 bits".to_owned(),
        };
    };
    if base <= 0 {
        return Verdict::NoValue {
            reason: "the earlier window has nothing to compare with".to_owned(),
        };
    }
    let change = current - base;
    if 100 * change < i128::from(*fires_below_percent) * base {
        if base < i128::from(*min_base_minor) || change.abs() < i128::from(*min_change_minor) {
            return Verdict::BelowFloor {
                base_minor,
                current_minor,
            };
        }
        return Verdict::Fires {
            base_minor,
            current_minor,
        };
    }
    if 100 * change >= i128::from(*recovers_at_percent) * base {
        Verdict::Recovered {
            base_minor,
            current_minor,
        }
    } else {
        Verdict::Holds {
            base_minor,
            current_minor,
        }
    }
}
