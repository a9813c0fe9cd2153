//! The sums over all customers, computed in one pass, from which many definitions are answered.

use std::{ops::Range, sync::Arc};

use arrow::array::RecordBatch;

use crate::{
    FigureTable, Inputs, MovementError, PeriodEnds, Rules, Scan, figure_tables::Writer, figures::Sums, ledger::Calendar,
};

/// Sums over all customers in consecutive periods.
#[derive(Debug)]
pub struct Figures {
    pub(crate) periods: Vec<PeriodEnds>,
    rules: Rules,
    pub(crate) sums: Sums,
}

impl Figures {
    /// Computes them in one pass over all customers, on so many threads.
    pub fn compute(inputs: &Arc<Inputs>, threads: usize) -> Result<Self, MovementError> {
        let scan = Scan::for_sums(Arc::clone(inputs));
        scan.work_on(threads)?;
        Ok(Self::of(inputs, scan.into_sums()))
    }

    pub(crate) fn of(inputs: &Inputs, sums: Sums) -> Self {
        let calendar = Calendar::new(&inputs.periods);
        Self {
            periods: calendar.periods.into_iter().map(|(period, ..)| period).collect(),
            rules: inputs.rules.clone(),
            sums,
        }
    }

    /// In how many sums and violations two differ that should be the same.
    pub fn differences(&self, other: &Self) -> usize {
        self.sums.differences(&other.sums) + usize::from(self.periods != other.periods)
    }

    /// Where these periods, in order, stand among its own; none where they do not.
    fn range(&self, periods: &[PeriodEnds]) -> Option<Range<usize>> {
        let Some(first) = periods.first() else {
            return Some(0..0);
        };
        let start = self.periods.iter().position(|period| period == first)?;
        let range = start..start + periods.len();
        (self.periods.get(range.clone())? == periods).then_some(range)
    }

    /// Its periods.
    pub fn periods(&self) -> &[PeriodEnds] {
        &self.periods
    }

    /// Whether it can answer for these periods.
    pub fn cover(&self, periods: &[PeriodEnds]) -> bool {
        self.range(periods).is_some()
    }

    /// Whether it has what a table is made of.
    pub fn has(&self, table: FigureTable) -> bool {
        let is_cohorts = matches!(table, FigureTable::RevenueCohorts | FigureTable::CohortRetention);
        !is_cohorts || self.sums.has_cohorts()
    }

    /// The rows of a table in these periods, as if there were no others; none where it cannot answer for them.
    pub fn rows(&self, table: FigureTable, periods: &[PeriodEnds]) -> Result<Option<RecordBatch>, MovementError> {
        let Some(range) = self.range(periods) else {
            return Ok(None);
        };
        let writer = Writer {
            sums: &self.sums,
            periods: &self.periods,
            rules: &self.rules,
            range,
        };
        writer.rows(table).map(Some)
    }
}
