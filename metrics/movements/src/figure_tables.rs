//! The definitions that are sums over all customers, and their rows.

use std::ops::Range;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{
    MovementError, PeriodEnds, Rules,
    events::Movement,
    figures::{CohortSlot, EventSlot, Identity, MOVEMENTS, NetSlot, REASONS, Slot, Sums},
    stretch::Ended,
    tables::{ColumnKind, Rows, Value, schema_of},
};
use ColumnKind::{Day, Integer, Text};

/// A definition whose rows are sums over all customers; undivided, and where no month is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FigureTable {
    /// `mrr_ends`
    Ends,
    /// `mrr`
    Mrr,
    /// `customers`
    Customers,
    /// `arpa`
    Arpa,
    /// `mrr_rounding_residue`
    Residue,
    /// `cmrr`
    Cmrr,
    /// `scheduled_churn_mrr`
    ScheduledChurn,
    /// `signed_mrr`
    Signed,
    /// `movement_sums`
    MovementSums,
    /// `event_sums`
    EventSums,
    /// `mrr_movement_events`
    MovementEvents,
    /// `yearly_sums`
    YearlySums,
    /// `revenue_cohorts`
    RevenueCohorts,
    /// `cohort_retention`
    CohortRetention,
    /// `logo_churn_rate_30d`
    LostIn30Days,
    /// `mrr_birth`
    Birth,
    /// `mrr_not_negative`
    NotNegative,
    /// `one_new_per_customer`
    OneNew,
    /// `mrr_events_rollforward`
    EventsRollforward,
}

type Columns = &'static [(&'static str, ColumnKind)];

const MONEY: Columns = &[("period_start", Day), ("value_micros", Integer), ("currency", Text)];
const RATIO: Columns = &[("period_start", Day), ("numerator", Integer), ("denominator", Integer)];
const VIOLATIONS: Columns = &[("violation", Text)];

impl FigureTable {
    fn columns(self) -> Columns {
        match self {
            Self::Ends => &[
                ("period_start", Day),
                ("opening_micros", Integer),
                ("closing_micros", Integer),
            ],
            Self::Mrr | Self::Residue | Self::Cmrr | Self::ScheduledChurn | Self::Signed => MONEY,
            Self::Customers => &[("period_start", Day), ("value", Integer)],
            Self::Arpa => &[
                ("period_start", Day),
                ("numerator_micros", Integer),
                ("denominator", Integer),
                ("currency", Text),
            ],
            Self::MovementSums => &[
                ("period_start", Day),
                ("movement", Text),
                ("customers", Integer),
                ("starting_customers", Integer),
                ("based_customers", Integer),
                ("basis_micros", Integer),
                ("based_micros", Integer),
                ("based_end_micros", Integer),
                ("kept_micros", Integer),
                ("change_micros", Integer),
                ("fx_micros", Integer),
                ("fx_customers", Integer),
                ("restatement_micros", Integer),
                ("restated_customers", Integer),
            ],
            Self::EventSums => &[
                ("period_start", Day),
                ("movement", Text),
                ("reason", Text),
                ("events", Integer),
                ("change_micros", Integer),
            ],
            Self::MovementEvents => &[
                ("period_start", Day),
                ("movement", Text),
                ("value_micros", Integer),
                ("currency", Text),
            ],
            Self::YearlySums => &[
                ("period_start", Day),
                ("start_micros", Integer),
                ("end_micros", Integer),
                ("kept_micros", Integer),
            ],
            Self::RevenueCohorts => &[
                ("period_start", Day),
                ("age", Integer),
                ("size_micros", Integer),
                ("net_micros", Integer),
                ("gross_micros", Integer),
            ],
            Self::CohortRetention => &[
                ("period_start", Day),
                ("age", Integer),
                ("numerator", Integer),
                ("denominator", Integer),
            ],
            Self::LostIn30Days => RATIO,
            Self::Birth | Self::NotNegative | Self::OneNew => VIOLATIONS,
            Self::EventsRollforward => &[("period_start", Day), ("violation", Text)],
        }
    }

    /// The columns: names and types of the definition's.
    pub fn schema(self) -> SchemaRef {
        schema_of(self.columns())
    }
}

/// Where rows of a table are written from sums.
pub(crate) struct Writer<'a> {
    pub(crate) sums: &'a Sums,
    pub(crate) periods: &'a [PeriodEnds],
    pub(crate) rules: &'a Rules,
    /// The periods asked for; those before and after are as if they were not there.
    pub(crate) range: Range<usize>,
}

/// A sum as a figure.
fn fits(sum: i128) -> Result<i64, MovementError> {
    i64::try_from(sum).map_err(|_| MovementError::TooLarge("a sum over all customers"))
}

impl Writer<'_> {
    /// The rows of a table.
    pub(crate) fn rows(&self, table: FigureTable) -> Result<RecordBatch, MovementError> {
        let columns = table.columns();
        let projection: Vec<usize> = (0..columns.len()).collect();
        let mut rows = Rows::of(columns, &projection)?;
        match table {
            FigureTable::Birth => self.violations(Identity::Birth, &mut rows),
            FigureTable::NotNegative => self.violations(Identity::NotNegative, &mut rows),
            FigureTable::OneNew => self.violations(Identity::OneNew, &mut rows),
            FigureTable::EventsRollforward => self.violations(Identity::EventsRollforward, &mut rows),
            _ => {
                for period in self.range.clone() {
                    self.period(table, period, &mut rows)?;
                }
            }
        }
        Ok(rows.take()?)
    }

    fn violations(&self, identity: Identity, rows: &mut Rows) {
        for (period, words) in self.sums.broken(identity, &self.range) {
            match period {
                Some(period) => rows.push(|column| match column {
                    0 => Value::Day(self.periods[period].start_on),
                    _ => Value::Text(Some(words)),
                }),
                None => rows.push(|_| Value::Text(Some(words))),
            }
        }
    }

    /// Adds a row of the period, texts and numbers behind its day.
    fn push(&self, period: usize, texts: &[Option<&str>], numbers: &[i64], currency: bool, rows: &mut Rows) {
        let day = self.periods[period].start_on;
        rows.push(|column| match column.checked_sub(1) {
            None => Value::Day(day),
            Some(place) if place < texts.len() => Value::Text(texts[place]),
            Some(place) => match numbers.get(place - texts.len()) {
                Some(number) => Value::Integer(*number),
                None => Value::Text(currency.then_some(self.rules.reporting_currency.as_str())),
            },
        });
    }

    fn period(&self, table: FigureTable, period: usize, rows: &mut Rows) -> Result<(), MovementError> {
        let sum = |slot| fits(self.sums.get(period, slot));
        let has = |slot| self.sums.get(period, slot) != 0;
        let mut push = |numbers: &[i64], currency| self.push(period, &[], numbers, currency, rows);
        match table {
            FigureTable::Ends if has(Slot::EndParts) => {
                push(&[sum(Slot::OpeningMicros)?, sum(Slot::ClosingMicros)?], false);
            }
            FigureTable::Mrr if has(Slot::ClosingParts) => push(&[sum(Slot::ClosingMicros)?], true),
            FigureTable::Residue if has(Slot::ClosingParts) => push(&[sum(Slot::ResidueMicros)?], true),
            FigureTable::Customers if has(Slot::Customers) => push(&[sum(Slot::Customers)?], false),
            FigureTable::Arpa if has(Slot::Customers) => {
                push(&[sum(Slot::ClosingMicros)?, sum(Slot::Customers)?], true);
            }
            FigureTable::ScheduledChurn if has(Slot::ScheduledItems) => push(&[sum(Slot::ScheduledMicros)?], true),
            FigureTable::Signed if has(Slot::SignedItems) => push(&[sum(Slot::SignedMicros)?], true),
            FigureTable::Cmrr if has(Slot::ClosingParts) || has(Slot::ScheduledItems) => {
                let committed =
                    self.sums.get(period, Slot::ClosingMicros) + self.sums.get(period, Slot::ScheduledMicros);
                push(&[fits(committed)?], true);
            }
            FigureTable::LostIn30Days if period >= self.range.start + 30 && has(Slot::BaseBefore30) => {
                push(&[sum(Slot::LostSince30)?, sum(Slot::BaseBefore30)?], false);
            }
            FigureTable::YearlySums if period >= self.range.start + 12 && has(Slot::YearCustomers) => {
                let numbers = [Slot::YearStartMicros, Slot::YearEndMicros, Slot::YearKeptMicros].map(sum);
                let [start, end, kept] = numbers;
                push(&[start?, end?, kept?], false);
            }
            FigureTable::MovementSums => self.movement_sums(period, rows)?,
            FigureTable::EventSums => self.event_sums(period, rows)?,
            FigureTable::MovementEvents => self.movement_events(period, rows)?,
            FigureTable::RevenueCohorts | FigureTable::CohortRetention => self.cohort(table, period, rows)?,
            _ => {}
        }
        Ok(())
    }

    fn movement_sums(&self, period: usize, rows: &mut Rows) -> Result<(), MovementError> {
        for movement in MOVEMENTS {
            let sum = |slot| fits(self.sums.get(period, Slot::Net(movement, slot)));
            if sum(NetSlot::Customers)? == 0 {
                continue;
            }
            // Where no month is closed, nobody begins but with something, and nothing is restated.
            let numbers = [
                sum(NetSlot::Customers)?,
                sum(NetSlot::Starting)?,
                sum(NetSlot::Based)?,
                sum(NetSlot::BasisMicros)?,
                sum(NetSlot::BasisMicros)?,
                sum(NetSlot::BasedEndMicros)?,
                sum(NetSlot::KeptMicros)?,
                sum(NetSlot::ChangeMicros)?,
                sum(NetSlot::FxMicros)?,
                sum(NetSlot::FxCustomers)?,
                0,
                0,
            ];
            self.push(period, &[Some(movement.name())], &numbers, false, rows);
        }
        Ok(())
    }

    fn event_sums(&self, period: usize, rows: &mut Rows) -> Result<(), MovementError> {
        for (movement, reason) in MOVEMENTS
            .iter()
            .flat_map(|m| REASONS.iter().map(move |reason| (*m, *reason)))
        {
            let sum = |slot| fits(self.sums.get(period, Slot::Event(movement, reason, slot)));
            let numbers = [sum(EventSlot::Events)?, sum(EventSlot::ChangeMicros)?];
            if numbers[0] != 0 {
                let texts = [Some(movement.name()), reason.map(Ended::name)];
                self.push(period, &texts, &numbers, false, rows);
            }
        }
        Ok(())
    }

    fn movement_events(&self, period: usize, rows: &mut Rows) -> Result<(), MovementError> {
        let of = |movement: Movement, slot: EventSlot| -> i128 {
            let reasons = REASONS.iter();
            reasons
                .map(|reason| self.sums.get(period, Slot::Event(movement, *reason, slot)))
                .sum()
        };
        for movement in MOVEMENTS {
            if of(movement, EventSlot::Moving) != 0 {
                let numbers = [fits(of(movement, EventSlot::ChangeMicros))?];
                self.push(period, &[Some(movement.name())], &numbers, true, rows);
            }
        }
        let all = |slot| -> i128 { MOVEMENTS.iter().map(|movement| of(*movement, slot)).sum() };
        if all(EventSlot::FxEvents) + self.sums.get(period, Slot::RevaluedParts) != 0 {
            let fx = fits(all(EventSlot::FxMicros) + self.sums.get(period, Slot::RevaluedMicros))?;
            self.push(period, &[Some("fx")], &[fx], true, rows);
        }
        Ok(())
    }

    /// The ages of those who came in a period. The period that is not over has none but the first.
    fn cohort(&self, table: FigureTable, cohort: usize, rows: &mut Rows) -> Result<(), MovementError> {
        let sum = |period, slot| fits(self.sums.cohort(cohort, period, slot));
        let (counted, size) = match table {
            FigureTable::CohortRetention => (CohortSlot::FirstPaid, CohortSlot::FirstPaid),
            _ => (CohortSlot::Members, CohortSlot::InitialMicros),
        };
        if sum(cohort, counted)? == 0 {
            return Ok(());
        }
        let size = sum(cohort, size)?;
        for period in cohort..self.range.end {
            let is_first = period == cohort;
            if self.periods[period].is_open && !is_first {
                continue;
            }
            let age = i64::try_from(period - cohort).map_err(|_| MovementError::TooLarge("an age"))?;
            let at = |slot| if is_first { Ok(size) } else { sum(period, slot) };
            let numbers = match table {
                FigureTable::CohortRetention => vec![age, at(CohortSlot::Paying)?, size],
                _ => vec![age, size, at(CohortSlot::NetMicros)?, at(CohortSlot::GrossMicros)?],
            };
            self.push(cohort, &[], &numbers, false, rows);
        }
        Ok(())
    }
}
