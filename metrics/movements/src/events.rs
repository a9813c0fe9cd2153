//! What happened to a customer in every period: moments close together are one event.

use atalaya_model::{ModelError, muldiv};

use crate::{
    Fx, MovementError,
    attributes::{self, Attributes},
    customer::Whose,
    ledger::{Frame, Ledger, at_rate},
    moments::{Happening, Moment, Moments, sum},
    places::Places,
    stretch::Ended,
};

/// The class of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Movement {
    New,
    Reactivation,
    Expansion,
    Contraction,
    Churn,
    Unchanged,
}

impl Movement {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Reactivation => "reactivation",
            Self::Expansion => "expansion",
            Self::Contraction => "contraction",
            Self::Churn => "churn",
            Self::Unchanged => "unchanged",
        }
    }

    /// More, less or as much.
    pub(crate) fn by_sign(change_micros: i64) -> Self {
        match change_micros {
            0 => Self::Unchanged,
            1.. => Self::Expansion,
            _ => Self::Contraction,
        }
    }
}

/// What an event changed in one product and plan of one segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// The place of the period.
    pub(crate) period: usize,
    pub(crate) group_index: i64,
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) product: u32,
    pub(crate) plan: u32,
    /// What the customer was then.
    pub(crate) attributes: Attributes,
    pub(crate) change_micros: i64,
    pub(crate) fx_micros: i64,
    pub(crate) movement: Movement,
    pub(crate) reason: Option<Ended>,
}

/// Moments that are one event: those of one period, each close to the one before.
#[derive(Debug, Clone, Copy)]
struct Open {
    period: usize,
    group_index: i64,
    first: Moment,
    last: Moment,
}

/// The events of a customer; used anew for each.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// Products, plans and segments of the open event.
    places: Places<(u32, u32, Attributes)>,
    /// What it changed in each: beside exchange rates, and through them.
    lines: Vec<(i64, i64)>,
    pub(crate) events: Vec<Event>,
}

impl Events {
    /// Finds everything that happened within the periods.
    pub(crate) fn find(
        &mut self,
        of: &Whose<'_>,
        moments: &mut Moments,
        ledger: &Ledger,
        frame: &Frame<'_>,
    ) -> Result<(), MovementError> {
        let customer_id = of.customer_id;
        self.events.clear();
        self.lines.clear();
        self.places.clear();
        let periods = &frame.calendar.periods;
        let mut period = 0;
        let mut open: Option<Open> = None;
        while let Some(happening) = moments.next(customer_id)? {
            let moment = happening.moment;
            while periods.get(period).is_some_and(|(ends, ..)| moment.at >= ends.end.at) {
                period += 1;
            }
            let Some((ends, ..)) = periods.get(period) else {
                break;
            };
            if moment.at < ends.start.at {
                continue;
            }
            let before = open.filter(|event| event.period == period);
            let joined = before.filter(|event| moment.at - event.last.at <= frame.rules.grouping_micros);
            if joined.is_none()
                && let Some(event) = open
            {
                self.close(customer_id, &event, frame)?;
            }
            let begun = joined.unwrap_or(Open {
                period,
                group_index: before.map_or(1, |event| event.group_index + 1),
                first: moment,
                last: moment,
            });
            open = Some(Open { last: moment, ..begun });
            self.change(of, &happening, ends.end.rate_on, ledger, frame)?;
        }
        if let Some(event) = open {
            self.close(customer_id, &event, frame)?;
        }
        Ok(())
    }

    /// Adds what a moment changed to the open event, at the rates of the period's end.
    fn change(
        &mut self,
        of: &Whose<'_>,
        happening: &Happening<'_>,
        rate_on: i32,
        ledger: &Ledger,
        frame: &Frame<'_>,
    ) -> Result<(), MovementError> {
        let customer_id = of.customer_id;
        let amount = MovementError::amount(customer_id);
        let attributes = attributes::at(of.attributes, happening.moment.at);
        for (place, running) in happening.parts() {
            let part = &ledger.parts()[place];
            let (before, after, fx) = if frame.rules.fx == Fx::ServiceStart {
                if running.unrated > 0 {
                    let currency = frame.texts.get(part.currency).unwrap_or_default();
                    return Err(frame.rates.missing_at_start(currency, customer_id));
                }
                let fx = if running.native_before_micros > 0 && running.native_micros > 0 {
                    let worth = muldiv(running.native_before_micros, running.own_micros, running.native_micros);
                    sum([worth.map_err(&amount)?, -running.own_before_micros]).map_err(&amount)?
                } else {
                    0
                };
                (running.own_before_micros, running.own_micros, fx)
            } else {
                let rate = frame.rate(part.currency, rate_on)?;
                let value = |native_micros| at_rate(native_micros, rate).map_err(&amount);
                (value(running.native_before_micros)?, value(running.native_micros)?, 0)
            };
            let change = sum([after, -before, -fx]).map_err(&amount)?;
            let line = self.places.of((part.product, part.plan, attributes));
            match self.lines.get_mut(line) {
                Some((changed, revalued)) => {
                    *changed = sum([*changed, change]).map_err(&amount)?;
                    *revalued = sum([*revalued, fx]).map_err(&amount)?;
                }
                None => self.lines.push((change, fx)),
            }
        }
        Ok(())
    }

    fn close(&mut self, customer_id: &str, event: &Open, frame: &Frame<'_>) -> Result<(), MovementError> {
        let amount = MovementError::amount(customer_id);
        let (had, has) = (event.first.items_before > 0, event.last.items_after > 0);
        let total = sum(self.lines.iter().map(|line| line.0)).map_err(&amount)?;
        let movement = match (had, has) {
            (false, false) => Movement::Unchanged,
            (false, true) if is_new(&event.first, frame).map_err(&amount)? => Movement::New,
            (false, true) => Movement::Reactivation,
            (true, false) => Movement::Churn,
            (true, true) => Movement::by_sign(total),
        };
        for (&(product, plan, attributes), (change_micros, fx_micros)) in
            self.places.keys().iter().zip(self.lines.drain(..))
        {
            self.events.push(Event {
                period: event.period,
                group_index: event.group_index,
                began_at: event.first.at,
                ended_at: event.last.at,
                product,
                plan,
                attributes,
                change_micros,
                fx_micros,
                movement,
                reason: event.last.ended_by.filter(|_| had && !has),
            });
        }
        self.places.clear();
        Ok(())
    }

    /// Whether a customer was new in a period.
    pub(crate) fn is_new_in(&self, period: usize) -> bool {
        self.events
            .iter()
            .any(|event| event.period == period && event.movement == Movement::New)
    }
}

/// Whether who begins here never was a customer, or was one too long ago.
fn is_new(moment: &Moment, frame: &Frame<'_>) -> Result<bool, ModelError> {
    match (moment.previous_at, frame.rules.reactivation_micros) {
        (None, _) => Ok(true),
        (Some(left_at), Some(micros)) => Ok(left_at.checked_add(micros).ok_or(ModelError::Overflow)? < moment.at),
        (Some(_), None) => Ok(false),
    }
}
