//! The dialect's own functions. Their DuckDB twins are macros in the worker; `tests/dialect/*.slt` pins both.

mod after_minutes;
mod micros_between;
mod money_sum;
mod month;
mod muldiv;
mod ratio;
mod require;

pub(crate) use after_minutes::AfterMinutes;
pub(crate) use micros_between::MicrosBetween;
pub(crate) use money_sum::MoneySum;
pub(crate) use month::{Month, MonthPart};
pub(crate) use muldiv::MulDiv;
pub(crate) use ratio::Ratio;
pub(crate) use require::Require;
