//! Sums over all customers, period by period.

use crate::{
    MovementError, MovementTable, Rules,
    events::Movement,
    ledger::Calendar,
    tables::{Rows, Value},
};

/// A sum that is there once something was added.
type Sum = Option<i128>;

/// Classes of movements with a sum, in the order of their words; exchange rates are one.
const CLASSES: [&str; 6] = ["churn", "contraction", "expansion", "fx", "new", "reactivation"];

fn class_of(movement: Movement) -> Option<usize> {
    match movement {
        Movement::Churn => Some(0),
        Movement::Contraction => Some(1),
        Movement::Expansion => Some(2),
        Movement::New => Some(4),
        Movement::Reactivation => Some(5),
        Movement::Unchanged => None,
    }
}

const FX: usize = 3;

/// What all customers have at both ends of a period, and what moved it.
#[derive(Debug, Clone, Copy, Default)]
struct PeriodSums {
    opening: Sum,
    closing: Sum,
    classes: [Sum; CLASSES.len()],
}

/// The sums of all periods.
#[derive(Debug)]
pub(crate) struct Sums {
    periods: Vec<PeriodSums>,
}

fn grow(sum: &mut Sum, amount: i128) {
    *sum = Some(sum.unwrap_or(0) + amount);
}

impl Sums {
    pub(crate) fn new(periods: usize) -> Self {
        Self {
            periods: vec![PeriodSums::default(); periods],
        }
    }

    pub(crate) fn open(&mut self, period: usize, micros: i64) {
        grow(&mut self.periods[period].opening, i128::from(micros));
    }

    pub(crate) fn close(&mut self, period: usize, micros: i64) {
        grow(&mut self.periods[period].closing, i128::from(micros));
    }

    pub(crate) fn movement(&mut self, period: usize, movement: Movement, change_micros: i64, fx_micros: i64) {
        let sums = &mut self.periods[period];
        if let Some(class) = class_of(movement) {
            grow(&mut sums.classes[class], i128::from(change_micros));
        }
        if fx_micros != 0 {
            grow(&mut sums.classes[FX], i128::from(fx_micros));
        }
    }

    /// Adds the sums of another thread, which starts anew.
    pub(crate) fn add(&mut self, other: &mut Self) {
        for (own, theirs) in self.periods.iter_mut().zip(&mut other.periods) {
            let theirs = std::mem::take(theirs);
            let pairs = own.classes.iter_mut().zip(theirs.classes);
            let ends = [(&mut own.opening, theirs.opening), (&mut own.closing, theirs.closing)];
            for (sum, amount) in pairs.chain(ends) {
                if let Some(amount) = amount {
                    grow(sum, amount);
                }
            }
        }
    }

    /// Writes the rows of the two tables that are sums; the others have none.
    pub(crate) fn write(
        &self,
        table: MovementTable,
        calendar: &Calendar,
        rules: &Rules,
        rows: &mut Rows,
    ) -> Result<(), MovementError> {
        let fits = |sum: i128| i64::try_from(sum).map_err(|_| MovementError::TooLarge("a sum over all customers"));
        for ((period, ..), sums) in calendar.periods.iter().zip(&self.periods) {
            match table {
                MovementTable::EndSums if sums.opening.is_some() || sums.closing.is_some() => {
                    let (opening, closing) = (fits(sums.opening.unwrap_or(0))?, fits(sums.closing.unwrap_or(0))?);
                    rows.push(|column| match column {
                        0 => Value::Day(period.start_on),
                        1 => Value::Integer(opening),
                        _ => Value::Integer(closing),
                    });
                }
                MovementTable::MovementSums => {
                    for (class, sum) in CLASSES.iter().zip(sums.classes) {
                        let Some(sum) = sum else {
                            continue;
                        };
                        let sum = fits(sum)?;
                        rows.push(|column| match column {
                            0 => Value::Day(period.start_on),
                            1 => Value::Text(Some(class)),
                            2 => Value::Integer(sum),
                            _ => Value::Text(Some(&rules.reporting_currency)),
                        });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
