//! The moments at which a customer's items begin, change or end, in order.

use atalaya_model::ModelError;

use crate::{
    Fx, MovementError,
    ledger::{Frame, Ledger, at_rate},
    stretch::{Ended, Stretch},
};

/// One end of a stretch.
#[derive(Debug, Clone, Copy)]
struct Edge {
    at: i64,
    part: usize,
    native_micros: i64,
    own_micros: i64,
    items: i64,
    /// 1 where the rate of its own start is missing.
    unrated: i64,
    ended_by: Option<Ended>,
}

/// The sums of a part up to a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Running {
    pub(crate) native_before_micros: i64,
    pub(crate) native_micros: i64,
    pub(crate) own_before_micros: i64,
    pub(crate) own_micros: i64,
    pub(crate) unrated: i64,
    is_touched: bool,
}

/// A moment with the sums after it of the parts of which something happens.
#[derive(Debug)]
pub(crate) struct Happening<'a> {
    pub(crate) moment: Moment,
    touched: &'a [usize],
    running: &'a [Running],
}

impl Happening<'_> {
    /// The parts of which something happens: their places and sums.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (usize, &Running)> {
        self.touched.iter().map(|place| (*place, &self.running[*place]))
    }
}

/// A moment: how many items there were before and are after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: i64,
    pub(crate) items_before: i64,
    pub(crate) items_after: i64,
    pub(crate) previous_at: Option<i64>,
    /// The first of the reasons for what ended.
    pub(crate) ended_by: Option<Ended>,
}

/// The sum, if it fits.
pub(crate) fn sum(amounts: impl IntoIterator<Item = i64>) -> Result<i64, ModelError> {
    let sum: i128 = amounts.into_iter().map(i128::from).sum();
    i64::try_from(sum).map_err(|_| ModelError::Overflow)
}

/// Walks through a customer's moments; used anew for each customer.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    edges: Vec<Edge>,
    running: Vec<Running>,
    /// The parts of which something happens at the moment.
    touched: Vec<usize>,
    items: i64,
    next: usize,
    previous_at: Option<i64>,
}

impl Moments {
    /// Turns to a customer.
    pub(crate) fn turn_to(
        &mut self,
        customer_id: &str,
        stretches: &[Stretch],
        ledger: &Ledger,
        frame: &Frame<'_>,
    ) -> Result<(), MovementError> {
        self.edges.clear();
        self.running.clear();
        self.touched.clear();
        self.running.resize(ledger.parts().len(), Running::default());
        (self.items, self.next, self.previous_at) = (0, 0, None);
        for (stretch, &part) in stretches
            .iter()
            .zip(&ledger.part_of)
            .filter(|(stretch, _)| stretch.is_active)
        {
            let (own_micros, unrated) = if frame.rules.fx == Fx::ServiceStart {
                match frame.rates.on(stretch.part.currency, stretch.service_on) {
                    Some(rate) => (
                        at_rate(stretch.native_micros, rate).map_err(MovementError::amount(customer_id))?,
                        0,
                    ),
                    None => (0, 1),
                }
            } else {
                (0, 0)
            };
            let begins = Edge {
                at: stretch.from_at,
                part,
                native_micros: stretch.native_micros,
                own_micros,
                items: 1,
                unrated,
                ended_by: None,
            };
            self.edges.push(begins);
            if let Some(to_at) = stretch.to_at {
                self.edges.push(Edge {
                    at: to_at,
                    native_micros: -stretch.native_micros,
                    own_micros: -own_micros,
                    items: -1,
                    ended_by: Some(stretch.ended_by),
                    ..begins
                });
            }
        }
        // What happens at one moment is summed: the order within it does not matter.
        self.edges.sort_unstable_by_key(|edge| edge.at);
        Ok(())
    }

    /// The next moment.
    pub(crate) fn next(&mut self, customer_id: &str) -> Result<Option<Happening<'_>>, MovementError> {
        let Some(first) = self.edges.get(self.next).copied() else {
            return Ok(None);
        };
        for place in self.touched.drain(..) {
            self.running[place].is_touched = false;
        }
        let items_before = self.items;
        let mut ended_by: Option<Ended> = None;
        while let Some(edge) = self.edges.get(self.next).filter(|edge| edge.at == first.at) {
            let part = &mut self.running[edge.part];
            if !part.is_touched {
                part.is_touched = true;
                (part.native_before_micros, part.own_before_micros) = (part.native_micros, part.own_micros);
                self.touched.push(edge.part);
            }
            let amount = MovementError::amount(customer_id);
            part.native_micros = sum([part.native_micros, edge.native_micros]).map_err(&amount)?;
            part.own_micros = sum([part.own_micros, edge.own_micros]).map_err(&amount)?;
            part.unrated += edge.unrated;
            self.items += edge.items;
            ended_by = ended_by.into_iter().chain(edge.ended_by).min();
            self.next += 1;
        }
        let moment = Moment {
            at: first.at,
            items_before,
            items_after: self.items,
            previous_at: self.previous_at.replace(first.at),
            ended_by,
        };
        Ok(Some(Happening {
            moment,
            touched: &self.touched,
            running: &self.running,
        }))
    }
}
