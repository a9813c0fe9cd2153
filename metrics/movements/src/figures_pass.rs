//! The sums over all customers, computed in one pass, from which many definitions are answered.

use std::{ops::Range, sync::Arc};

use arrow::array::RecordBatch;

use crate::{
    FigureTable, Inputs, MovementError, PeriodEnds, Rules, Scan, figure_tables::Writer, figures::Sums, ledger::Calendar,
};

/// Sums over all customers in consecutive periods.
#[derive(Debug)]
pub struct Figures {
    periods: Vec<PeriodEnds>,
    rules: Rules,
    sums: Sums,
}

impl Figures {
    /// Computes them in one pass over all customers, on so many threads.
    pub fn compute(inputs: &Arc<Inputs>, threads: usize) -> Result<Self, MovementError> {
        let scan = Scan::for_sums(Arc::clone(inputs));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| scope.spawn(|| scan.work(&mut |_| Ok(()))))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or(Err(MovementError::Abandoned)))
        })?;
        let calendar = Calendar::new(&inputs.periods);
        Ok(Self {
            periods: calendar.periods.into_iter().map(|(period, ..)| period).collect(),
            rules: inputs.rules.clone(),
            sums: scan.into_sums(),
        })
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

    /// Whether it can answer for these periods.
    pub fn cover(&self, periods: &[PeriodEnds]) -> bool {
        self.range(periods).is_some()
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
