//! One customer's MRR at every boundary, and what became of it between the two ends of every period.

use atalaya_model::{ModelError, muldiv};

use crate::{
    Boundary, Fx, MovementError, PeriodEnds, Rules,
    places::Places,
    rates::{Rate, Rates},
    stretch::{Part, Stretch},
    text::{NONE, Texts},
};

/// The boundaries in order and the periods between them, each with the places of its two ends.
#[derive(Debug)]
pub(crate) struct Calendar {
    pub(crate) boundaries: Vec<Boundary>,
    pub(crate) periods: Vec<(PeriodEnds, usize, usize)>,
}

impl Calendar {
    pub(crate) fn new(periods: &[PeriodEnds]) -> Self {
        let mut boundaries: Vec<Boundary> = periods.iter().flat_map(|period| [period.start, period.end]).collect();
        boundaries.sort_unstable_by_key(|boundary| boundary.at);
        boundaries.dedup();
        let place = |wanted: Boundary| boundaries.partition_point(|boundary| boundary.at < wanted.at);
        let mut periods: Vec<_> = periods
            .iter()
            .map(|period| (*period, place(period.start), place(period.end)))
            .collect();
        periods.sort_unstable_by_key(|(period, ..)| period.start.at);
        Self { boundaries, periods }
    }
}

/// MRR of a part at a boundary.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    pub(crate) is_present: bool,
    pub(crate) native_micros: i64,
    pub(crate) value_micros: i64,
}

/// A part of a customer at both ends of a period.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartEnds {
    pub(crate) start: Cell,
    pub(crate) end: Cell,
    pub(crate) revalued_micros: i64,
    pub(crate) known_revalued_micros: i64,
}

/// What the figures of a customer hang on beside its own records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) calendar: &'a Calendar,
    pub(crate) rules: &'a Rules,
    pub(crate) rates: &'a Rates,
    pub(crate) texts: &'a Texts,
    /// The rates of the boundaries.
    pub(crate) at_boundaries: &'a BoundaryRates,
}

/// The rates of all boundaries, currency by currency, looked up once.
#[derive(Debug, Default)]
pub(crate) struct BoundaryRates {
    /// By the number of the currency's text.
    by_currency: Vec<Vec<Option<Rate>>>,
}

impl BoundaryRates {
    /// Learns the currencies of some stretches.
    pub(crate) fn learn(&mut self, stretches: &[Stretch], calendar: &Calendar, rules: &Rules, rates: &Rates) {
        for stretch in stretches {
            let currency = stretch.part.currency as usize;
            if self.by_currency.get(currency).is_some_and(|known| !known.is_empty()) || stretch.part.currency == NONE {
                continue;
            }
            if self.by_currency.len() <= currency {
                self.by_currency.resize(currency + 1, Vec::new());
            }
            let rate = |boundary: &Boundary| rates.on(stretch.part.currency, rules.rate_day(boundary.rate_on));
            self.by_currency[currency] = calendar.boundaries.iter().map(rate).collect();
        }
    }
}

impl Frame<'_> {
    /// The rate of a boundary.
    #[inline]
    pub(crate) fn rate_at(&self, currency: u32, boundary: usize) -> Result<Rate, MovementError> {
        let known = self.at_boundaries.by_currency.get(currency as usize);
        match known.and_then(|rates| rates.get(boundary)) {
            Some(Some(rate)) => Ok(*rate),
            _ => self.rate(currency, self.calendar.boundaries[boundary].rate_on),
        }
    }

    /// The rate of a boundary under the policy.
    pub(crate) fn rate(&self, currency: u32, day: i32) -> Result<Rate, MovementError> {
        let day = self.rules.rate_day(day);
        let missing = || self.rates.missing(self.texts.get(currency).unwrap_or_default(), day);
        self.rates.on(currency, day).ok_or_else(missing)
    }
}

/// A customer's parts and their cells; used anew for each customer.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    places: Places<Part>,
    /// The part of each stretch.
    pub(crate) part_of: Vec<usize>,
    cells: Vec<Cell>,
    /// The first boundary at which there is anything.
    first: usize,
}

/// `amount` at a rate.
#[inline]
pub(crate) fn at_rate(amount: i64, (numerator, denominator): Rate) -> Result<i64, ModelError> {
    if numerator == denominator {
        return Ok(amount);
    }
    muldiv(amount, numerator, denominator)
}

impl Ledger {
    /// Turns to a customer: finds the parts of its stretches.
    pub(crate) fn turn_to(&mut self, stretches: &[Stretch]) {
        self.places.clear();
        self.part_of.clear();
        for stretch in stretches {
            self.part_of.push(self.places.of(stretch.part));
        }
    }

    /// The customer's parts.
    pub(crate) fn parts(&self) -> &[Part] {
        self.places.keys()
    }

    /// Whether there may be something at either end of a period.
    pub(crate) fn reaches(&self, (_, start, end): &(PeriodEnds, usize, usize)) -> bool {
        *start.max(end) >= self.first
    }

    #[inline]
    pub(crate) fn cell(&self, boundary: usize, part: usize) -> &Cell {
        &self.cells[boundary * self.parts().len() + part]
    }

    /// Fills the cells of all boundaries.
    pub(crate) fn value(
        &mut self,
        customer_id: &str,
        stretches: &[Stretch],
        frame: &Frame<'_>,
    ) -> Result<(), MovementError> {
        let amount = MovementError::amount(customer_id);
        let width = self.parts().len();
        let boundaries = &frame.calendar.boundaries;
        self.first = boundaries.len();
        self.cells.clear();
        self.cells.resize(boundaries.len() * width, Cell::default());
        for (stretch, &part) in stretches
            .iter()
            .zip(&self.part_of)
            .filter(|(stretch, _)| stretch.is_active)
        {
            let first = boundaries.partition_point(|boundary| boundary.at <= stretch.from_at);
            let after = stretch.to_at.map_or(boundaries.len(), |to_at| {
                boundaries.partition_point(|boundary| boundary.at <= to_at)
            });
            if first >= after {
                continue;
            }
            self.first = self.first.min(first);
            let own_micros = match frame.rules.fx {
                Fx::ServiceStart => self.own_value(customer_id, stretch, frame)?,
                _ => 0,
            };
            for boundary in first..after {
                let cell = &mut self.cells[boundary * width + part];
                let add = |left: i64, right: i64| left.checked_add(right).ok_or_else(|| amount(ModelError::Overflow));
                *cell = Cell {
                    is_present: true,
                    native_micros: add(cell.native_micros, stretch.native_micros)?,
                    value_micros: add(cell.value_micros, own_micros)?,
                };
            }
        }
        if frame.rules.fx == Fx::ServiceStart {
            return Ok(());
        }
        for (boundary, cells) in self.cells.chunks_mut(width.max(1)).enumerate() {
            for (cell, part) in cells
                .iter_mut()
                .zip(self.places.keys())
                .filter(|(cell, _)| cell.is_present)
            {
                let rate = frame.rate_at(part.currency, boundary)?;
                cell.value_micros = at_rate(cell.native_micros, rate).map_err(&amount)?;
            }
        }
        Ok(())
    }

    /// A stretch's MRR at the rate of its own start.
    pub(crate) fn own_value(
        &self,
        customer_id: &str,
        stretch: &Stretch,
        frame: &Frame<'_>,
    ) -> Result<i64, MovementError> {
        let rate = frame.rate(stretch.part.currency, stretch.service_on)?;
        at_rate(stretch.native_micros, rate).map_err(MovementError::amount(customer_id))
    }

    /// A part at both ends of a period; none where it is at neither.
    pub(crate) fn ends(
        &self,
        customer_id: &str,
        (_, start, end): &(PeriodEnds, usize, usize),
        part: usize,
        frame: &Frame<'_>,
    ) -> Result<Option<PartEnds>, MovementError> {
        let (at_start, at_end) = (*start, *end);
        let (start, end) = (*self.cell(at_start, part), *self.cell(at_end, part));
        if !start.is_present && !end.is_present {
            return Ok(None);
        }
        let worth_at_end = || -> Result<i64, MovementError> {
            if end.is_present && end.native_micros == start.native_micros {
                return Ok(end.value_micros);
            }
            let rate = frame.rate_at(self.parts()[part].currency, at_end)?;
            at_rate(start.native_micros, rate).map_err(MovementError::amount(customer_id))
        };
        let (revalued_micros, known_revalued_micros) = if start.native_micros == 0 {
            (0, start.value_micros)
        } else if frame.rules.fx == Fx::ServiceStart {
            let revalued = if end.native_micros > 0 {
                muldiv(start.native_micros, end.value_micros, end.native_micros)
                    .map_err(MovementError::amount(customer_id))?
            } else {
                start.value_micros
            };
            (revalued, start.value_micros)
        } else {
            let worth = worth_at_end()?;
            (worth, worth)
        };
        Ok(Some(PartEnds {
            start,
            end,
            revalued_micros,
            known_revalued_micros,
        }))
    }
}
