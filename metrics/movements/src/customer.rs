//! A customer's rows in each of the tables.

use crate::{
    Fx, MovementError, MovementTable,
    attributes::{self, Attributes, Span},
    events::{Events, Movement},
    figures::Sums,
    ledger::{Frame, Ledger, PartEnds},
    moments::{Moments, sum},
    state::Group,
    stretch::{Ended, Part, Stretch},
    tables::{Rows, Value},
};

/// Whose rows they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) group: &'a Group,
    /// The stretches of all customers of the group.
    pub(crate) of_group: &'a [Stretch],
    pub(crate) customer_id: &'a str,
    pub(crate) attributes: &'a [Span],
}

/// Computes one customer after another; what it needs for that is used anew.
#[derive(Debug, Default)]
pub(crate) struct Customer {
    pub(crate) ledger: Ledger,
    pub(crate) moments: Moments,
    pub(crate) events: Events,
    /// What the customer has at the end of every period, all parts together.
    pub(crate) at_ends: Vec<Option<i64>>,
}

/// A customer between the two ends of a period, all parts together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Net {
    pub(crate) starts: bool,
    pub(crate) closes: bool,
    pub(crate) start_micros: i64,
    pub(crate) end_micros: i64,
    pub(crate) change_micros: i64,
    pub(crate) fx_micros: i64,
    pub(crate) movement: Movement,
}

impl Customer {
    /// Adds the customer's rows of a table.
    pub(crate) fn show(
        &mut self,
        table: MovementTable,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        rows: &mut Rows,
    ) -> Result<(), MovementError> {
        if table == MovementTable::Items {
            items(of, stretches, frame, rows);
            return Ok(());
        }
        self.ledger.turn_to(stretches);
        if matches!(
            table,
            MovementTable::Steps | MovementTable::Events | MovementTable::Movements
        ) {
            self.moments.turn_to(of.customer_id, stretches, &self.ledger, frame)?;
        }
        if table == MovementTable::Steps {
            return self.steps(of, frame, rows);
        }
        if table != MovementTable::Events {
            self.ledger.value(of.customer_id, stretches, frame)?;
        }
        if matches!(table, MovementTable::Events | MovementTable::Movements) {
            self.events.find(of, &mut self.moments, &self.ledger, frame)?;
        }
        match table {
            MovementTable::KnownAt => self.known_at(of, stretches, frame, rows),
            MovementTable::Ends => self.ends(of, frame, rows),
            MovementTable::Events => {
                self.event_rows(of, frame, rows);
                Ok(())
            }
            MovementTable::Movements => {
                for period in 0..frame.calendar.periods.len() {
                    if let Some(net) = self.net(of.customer_id, period, frame)? {
                        movement_row(of, frame.calendar.periods[period].0.start_on, &net, rows);
                    }
                }
                Ok(())
            }
            MovementTable::Items | MovementTable::Steps => Ok(()),
        }
    }

    /// Adds what the customer adds to the sums over all customers.
    pub(crate) fn add(
        &mut self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        sums: &mut Sums,
    ) -> Result<(), MovementError> {
        self.ledger.turn_to(stretches);
        self.ledger.value(of.customer_id, stretches, frame)?;
        self.moments.turn_to(of.customer_id, stretches, &self.ledger, frame)?;
        self.contribute(of, stretches, frame, sums)
    }

    fn steps(&mut self, of: &Whose<'_>, frame: &Frame<'_>, rows: &mut Rows) -> Result<(), MovementError> {
        while let Some(happening) = self.moments.next(of.customer_id)? {
            let moment = happening.moment;
            for (place, running) in happening.parts() {
                let part = &self.ledger.parts()[place];
                rows.push(|column| match column {
                    0 => Value::Text(Some(of.customer_id)),
                    1..=3 => part_value(part, column - 1, frame),
                    4 => Value::Instant(Some(moment.at)),
                    5 => Value::Integer(running.native_before_micros),
                    6 => Value::Integer(running.native_micros),
                    7 => Value::Integer(running.own_before_micros),
                    8 => Value::Integer(running.own_micros),
                    9 => Value::Integer(running.unrated),
                    10 => Value::Integer(moment.items_before),
                    11 => Value::Integer(moment.items_after),
                    12 => Value::Instant(moment.previous_at),
                    _ => Value::Text(moment.ended_by.map(Ended::name)),
                });
            }
        }
        Ok(())
    }

    fn known_at(
        &self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        rows: &mut Rows,
    ) -> Result<(), MovementError> {
        let row = |rows: &mut Rows, boundary: usize, part: &Part, native_micros: i64, value_micros: i64| {
            let was = attributes::before(of.attributes, frame.calendar.boundaries[boundary].at);
            rows.push(|column| match column {
                0 => Value::Instant(Some(frame.calendar.boundaries[boundary].at)),
                1 => Value::Text(Some(of.customer_id)),
                2..=4 => part_value(part, column - 2, frame),
                5..=7 => attribute_value(was, column - 5, frame),
                8 => Value::Integer(native_micros),
                _ => Value::Integer(value_micros),
            });
        };
        if frame.rules.fx == Fx::ServiceStart {
            // Each item is converted and rounded by itself.
            for (boundary, at) in frame.calendar.boundaries.iter().enumerate() {
                for stretch in stretches.iter().filter(|stretch| stretch.stands_at(at.at)) {
                    let value = self.ledger.own_value(of.customer_id, stretch, frame)?;
                    row(rows, boundary, &stretch.part, stretch.native_micros, value);
                }
            }
            return Ok(());
        }
        for boundary in 0..frame.calendar.boundaries.len() {
            for (place, part) in self.ledger.parts().iter().enumerate() {
                let cell = self.ledger.cell(boundary, place);
                if cell.is_present {
                    row(rows, boundary, part, cell.native_micros, cell.value_micros);
                }
            }
        }
        Ok(())
    }

    fn ends(&self, of: &Whose<'_>, frame: &Frame<'_>, rows: &mut Rows) -> Result<(), MovementError> {
        for period in frame
            .calendar
            .periods
            .iter()
            .filter(|period| self.ledger.reaches(period))
        {
            for (place, part) in self.ledger.parts().iter().enumerate() {
                let Some(ends) = self.ledger.ends(of.customer_id, period, place, frame)? else {
                    continue;
                };
                let boundaries = &frame.calendar.boundaries;
                let was = attributes::before(of.attributes, boundaries[period.1].at);
                let is = attributes::before(of.attributes, boundaries[period.2].at);
                // Who has become another starts as the one and ends as the other.
                let has_become = ends.start.is_present && ends.end.is_present && was != is;
                let sides: &[(Attributes, bool, bool)] = match (has_become, ends.start.is_present) {
                    (true, _) => &[(was, true, false), (is, false, true)],
                    (false, true) => &[(was, true, ends.end.is_present)],
                    (false, false) => &[(is, false, true)],
                };
                for &(attributes, starts, closes) in sides {
                    let of_start = |micros: i64| Value::Integer(if starts { micros } else { 0 });
                    rows.push(|column| match column {
                        0 => Value::Day(period.0.start_on),
                        1 => Value::Text(Some(of.customer_id)),
                        2..=4 => part_value(part, column - 2, frame),
                        5..=7 => attribute_value(attributes, column - 5, frame),
                        8 => Value::Integer(i64::from(starts)),
                        9 => Value::Integer(i64::from(closes)),
                        // Where no month is closed, the books, the basis and what is known are the same.
                        10 | 11 | 13 => of_start(ends.start.value_micros),
                        12 | 14 => Value::Integer(if closes { ends.end.value_micros } else { 0 }),
                        15 => of_start(ends.revalued_micros),
                        _ => of_start(ends.known_revalued_micros),
                    });
                }
            }
        }
        Ok(())
    }

    fn event_rows(&self, of: &Whose<'_>, frame: &Frame<'_>, rows: &mut Rows) {
        for event in &self.events.events {
            rows.push(|column| match column {
                0 => Value::Day(frame.calendar.periods[event.period].0.start_on),
                1 => Value::Text(Some(of.customer_id)),
                2 => Value::Integer(event.group_index),
                3 => Value::Instant(Some(event.began_at)),
                4 => Value::Instant(Some(event.ended_at)),
                5 => Value::Text(frame.texts.get(event.product)),
                6 => Value::Text(frame.texts.get(event.plan)),
                7..=9 => attribute_value(event.attributes, column - 7, frame),
                10 => Value::Integer(event.change_micros),
                11 => Value::Integer(event.fx_micros),
                12 => Value::Text(Some(event.movement.name())),
                _ => Value::Text(event.reason.map(Ended::name)),
            });
        }
    }

    /// What became of the customer between the ends of a period; none where it is at neither.
    pub(crate) fn net(
        &self,
        customer_id: &str,
        period: usize,
        frame: &Frame<'_>,
    ) -> Result<Option<Net>, MovementError> {
        self.net_of_parts(customer_id, period, frame, |_| {})
    }

    /// The same, with a look at each part.
    pub(crate) fn net_of_parts(
        &self,
        customer_id: &str,
        period: usize,
        frame: &Frame<'_>,
        mut look: impl FnMut(&PartEnds),
    ) -> Result<Option<Net>, MovementError> {
        let ends = &frame.calendar.periods[period];
        if !self.ledger.reaches(ends) {
            return Ok(None);
        }
        let (mut starts, mut closes) = (false, false);
        let (mut start, mut end, mut revalued) = (0_i128, 0_i128, 0_i128);
        for part in 0..self.ledger.parts().len() {
            if let Some(part) = self.ledger.ends(customer_id, ends, part, frame)? {
                starts |= part.start.is_present;
                closes |= part.end.is_present;
                start += i128::from(part.start.value_micros);
                end += i128::from(part.end.value_micros);
                revalued += i128::from(part.revalued_micros);
                look(&part);
            }
        }
        let fits = |amount: i128| i64::try_from(amount).map_err(|_| MovementError::TooLarge("a customer's MRR"));
        let (start_micros, end_micros, revalued_micros) = (fits(start)?, fits(end)?, fits(revalued)?);
        let difference = |left: i64, right: i64| sum([left, -right]).map_err(MovementError::amount(customer_id));
        let change_micros = difference(end_micros, revalued_micros)?;
        let movement = match (starts, closes) {
            (false, false) => return Ok(None),
            (false, true) if self.events.is_new_in(period) => Movement::New,
            (false, true) => Movement::Reactivation,
            (true, false) => Movement::Churn,
            (true, true) => Movement::by_sign(change_micros),
        };
        Ok(Some(Net {
            starts,
            closes,
            start_micros,
            end_micros,
            change_micros,
            fx_micros: difference(revalued_micros, start_micros)?,
            movement,
        }))
    }
}

fn movement_row(of: &Whose<'_>, start_on: i32, net: &Net, rows: &mut Rows) {
    rows.push(|column| match column {
        0 => Value::Day(start_on),
        1 => Value::Text(Some(of.customer_id)),
        2 => Value::Integer(i64::from(net.starts)),
        3 => Value::Integer(i64::from(net.closes)),
        // Where no month is closed, the basis is the start and nothing is restated.
        4 | 8 => Value::Integer(net.start_micros),
        5 => Value::Integer(net.end_micros),
        6 => Value::Integer(net.change_micros),
        7 => Value::Integer(net.fx_micros),
        9 => Value::Integer(0),
        _ => Value::Text(Some(net.movement.name())),
    });
}

fn items(of: &Whose<'_>, stretches: &[Stretch], frame: &Frame<'_>, rows: &mut Rows) {
    let text = |number: u32| Value::Text(frame.texts.get(number));
    for stretch in stretches {
        let state = &of.group.states[stretch.state as usize];
        rows.push(|column| match column {
            0 => text(state.source),
            1 => Value::Text(Some(of.group.text(state.record_key))),
            2 => Value::Instant(Some(state.recorded_at)),
            3 => Value::Text(Some(of.customer_id)),
            4 => Value::Text(state.subscription.map(|span| of.group.text(span))),
            5 => Value::Text(Some(of.group.text(state.item))),
            6 => text(state.product),
            7 => text(state.plan),
            8 => text(state.currency),
            9 => text(state.status),
            10 => Value::Integer(state.quantity),
            11 => Value::Instant(state.cancel_at),
            12 => Value::Instant(Some(stretch.from_at)),
            13 => Value::Instant(stretch.to_at),
            14 => Value::Text(Some(stretch.ended_by.name())),
            15 => Value::Day(stretch.service_on),
            16 => Value::Integer(stretch.native_micros),
            _ => Value::Integer(i64::from(stretch.is_active)),
        });
    }
}

/// Currency, product, plan.
fn part_value<'a>(part: &Part, column: usize, frame: &Frame<'a>) -> Value<'a> {
    let number = [part.currency, part.product, part.plan][column];
    Value::Text(frame.texts.get(number))
}

/// Country, market, channel.
fn attribute_value<'a>(attributes: Attributes, column: usize, frame: &Frame<'a>) -> Value<'a> {
    let number = [attributes.country, attributes.market, attributes.channel][column];
    Value::Text(frame.texts.get(number))
}
