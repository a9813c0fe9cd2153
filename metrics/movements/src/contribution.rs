//! What a customer adds to the sums over all customers.

use atalaya_model::muldiv;

use crate::{
    Fx, MovementError,
    customer::{Customer, Whose},
    events::Movement,
    figures::{CohortSlot, EventSlot, Identity, NetSlot, Slot, Sums, Violation},
    ledger::{Frame, at_rate},
    moments::sum,
    stretch::Stretch,
};

/// Periods over which retention of a year looks back, and churn of thirty days.
const YEAR_PERIODS: usize = 12;
const DAYS_BEFORE: usize = 30;

/// Rounds to minor units.
fn residue_of(micros: i64) -> Result<i64, atalaya_model::ModelError> {
    let minor = muldiv(micros, 1, 1_000_000)?;
    sum([muldiv(minor, 1_000_000, 1)?, -micros])
}

impl Customer {
    /// Adds all that the customer adds. Its ledger stands, and its moments are at their beginning.
    pub(crate) fn contribute(
        &mut self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        sums: &mut Sums,
    ) -> Result<(), MovementError> {
        self.check_birth(of, stretches, frame, sums)?;
        self.moments.turn_to(of.customer_id, stretches, &self.ledger, frame)?;
        self.events.find(of, &mut self.moments, &self.ledger, frame)?;
        self.ends_of_periods(of, stretches, frame, sums)?;
        self.commitments(of, stretches, frame, sums)?;
        self.looking_back(sums);
        self.movements(of, frame, sums)?;
        self.cohorts(stretches, frame, sums)
    }

    /// What changed since birth is what there is, in every currency.
    fn check_birth(
        &mut self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        sums: &mut Sums,
    ) -> Result<(), MovementError> {
        let mut violate = |identity, words: String| {
            sums.violations.insert(Violation {
                identity,
                customer_id: of.customer_id.to_owned(),
                periods: Vec::new(),
                words,
            });
        };
        for stretch in stretches.iter().filter(|stretch| stretch.native_micros < 0) {
            let item = of.group.text(of.group.states[stretch.state as usize].item);
            let words = format!("item {item} of customer {} has MRR below zero", of.customer_id);
            violate(Identity::NotNegative, words);
        }
        let mut by_part = vec![0_i128; self.ledger.parts().len()];
        let mut has_sense = true;
        while let Some(happening) = self.moments.next(of.customer_id)? {
            let moment = happening.moment;
            has_sense &= moment.items_before >= 0 && moment.items_after >= 0;
            for (part, running) in happening.parts() {
                by_part[part] = i128::from(running.native_micros);
                has_sense &= running.native_micros >= 0 && (moment.items_after > 0 || running.native_micros == 0);
            }
        }
        if !has_sense {
            violate(
                Identity::Birth,
                format!("customer {} has MRR without an item", of.customer_id),
            );
        }
        for (stretch, part) in stretches.iter().zip(&self.ledger.part_of) {
            if stretch.is_active && stretch.to_at.is_none() {
                by_part[*part] -= i128::from(stretch.native_micros);
            }
        }
        let parts = self.ledger.parts();
        for (place, part) in parts.iter().enumerate() {
            let is_first = parts[..place].iter().all(|other| other.currency != part.currency);
            let same = parts
                .iter()
                .zip(&by_part)
                .filter(|(other, _)| other.currency == part.currency);
            let missed: i128 = same.map(|(_, micros)| micros).sum();
            if is_first && missed != 0 {
                let currency = frame.texts.get(part.currency).unwrap_or_default();
                let words = format!(
                    "customer {}: changes since birth miss the state by {missed} millionths of a minor unit of {currency}",
                    of.customer_id
                );
                violate(Identity::Birth, words);
            }
        }
        Ok(())
    }

    /// What the customer has at both ends of every period.
    fn ends_of_periods(
        &mut self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        sums: &mut Sums,
    ) -> Result<(), MovementError> {
        let amount = MovementError::amount(of.customer_id);
        self.at_ends.clear();
        for (period, ends @ (_, start, end)) in frame.calendar.periods.iter().enumerate() {
            if !self.ledger.reaches(ends) {
                self.at_ends.push(None);
                continue;
            }
            let mut at_end: Option<i64> = None;
            for part in 0..self.ledger.parts().len() {
                let (start, end) = (self.ledger.cell(*start, part), self.ledger.cell(*end, part));
                if start.is_present {
                    sums.grow(period, Slot::OpeningMicros, start.value_micros);
                }
                if end.is_present {
                    at_end = Some(sum([at_end.unwrap_or(0), end.value_micros]).map_err(&amount)?);
                    sums.grow(period, Slot::ClosingMicros, end.value_micros);
                    sums.grow(period, Slot::ClosingParts, 1);
                    if frame.rules.fx != Fx::ServiceStart {
                        let residue = residue_of(end.value_micros).map_err(&amount)?;
                        sums.grow(period, Slot::ResidueMicros, residue);
                    }
                }
                sums.grow(period, Slot::EndParts, i64::from(start.is_present || end.is_present));
            }
            self.at_ends.push(at_end);
            sums.grow(period, Slot::Customers, i64::from(at_end.is_some()));
            if frame.rules.fx == Fx::ServiceStart && at_end.is_some() {
                // Each item is converted and rounded by itself.
                let at = frame.calendar.boundaries[*end].at;
                for stretch in stretches.iter().filter(|stretch| stretch.stands_at(at)) {
                    let value = self.ledger.own_value(of.customer_id, stretch, frame)?;
                    sums.grow(period, Slot::ResidueMicros, residue_of(value).map_err(&amount)?);
                }
            }
        }
        Ok(())
    }

    /// Items that will end, and items that are signed and have not begun.
    fn commitments(
        &self,
        of: &Whose<'_>,
        stretches: &[Stretch],
        frame: &Frame<'_>,
        sums: &mut Sums,
    ) -> Result<(), MovementError> {
        let value = |stretch: &Stretch, rate_on: i32| {
            let day = if frame.rules.fx == Fx::ServiceStart {
                stretch.service_on
            } else {
                rate_on
            };
            let rate = frame.rate(stretch.part.currency, day)?;
            at_rate(stretch.native_micros, rate).map_err(MovementError::amount(of.customer_id))
        };
        for stretch in stretches.iter().filter(|stretch| stretch.is_active) {
            let state = &of.group.states[stretch.state as usize];
            let is_first = || {
                let same = |other: &&Stretch| {
                    other.is_active && of.group.same_item(state, &of.group.states[other.state as usize])
                };
                let first = of.of_group.iter().filter(same).map(|other| other.from_at).min();
                first == Some(stretch.from_at)
            };
            for (period, (ends, ..)) in frame.calendar.periods.iter().enumerate() {
                let at = ends.end.at;
                if stretch.stands_at(at) && state.cancel_at.is_some_and(|cancel_at| cancel_at >= at) {
                    sums.grow(period, Slot::ScheduledItems, 1);
                    sums.grow(period, Slot::ScheduledMicros, -value(stretch, ends.end.rate_on)?);
                }
                if stretch.from_at >= at && state.recorded_at < at && is_first() {
                    sums.grow(period, Slot::SignedItems, 1);
                    sums.grow(period, Slot::SignedMicros, value(stretch, ends.end.rate_on)?);
                }
            }
        }
        Ok(())
    }

    /// Who paid some periods before.
    fn looking_back(&self, sums: &mut Sums) {
        for (period, now) in self.at_ends.iter().enumerate() {
            let before = |periods: usize| period.checked_sub(periods).and_then(|before| self.at_ends[before]);
            if before(DAYS_BEFORE).is_some() {
                sums.grow(period, Slot::BaseBefore30, 1);
                sums.grow(period, Slot::LostSince30, i64::from(now.is_none()));
            }
            if let Some(start) = before(YEAR_PERIODS).filter(|start| *start > 0) {
                let end = now.unwrap_or(0);
                sums.grow(period, Slot::YearCustomers, 1);
                sums.grow(period, Slot::YearStartMicros, start);
                sums.grow(period, Slot::YearEndMicros, end);
                sums.grow(period, Slot::YearKeptMicros, end.min(start));
            }
        }
    }

    /// What moved the customer, event by event and between the ends; both must lead from start to end.
    fn movements(&self, of: &Whose<'_>, frame: &Frame<'_>, sums: &mut Sums) -> Result<(), MovementError> {
        let periods = &frame.calendar.periods;
        let mut moved = vec![0_i128; periods.len()];
        let same_event = |left: &crate::events::Event, right: &crate::events::Event| {
            (left.period, left.group_index) == (right.period, right.group_index)
        };
        for lines in self.events.events.chunk_by(same_event) {
            let Some(event) = lines.first() else {
                continue;
            };
            let mut add = |slot, by| sums.grow(event.period, Slot::Event(event.movement, event.reason, slot), by);
            let change = sum(lines.iter().map(|line| line.change_micros));
            let change = change.map_err(MovementError::amount(of.customer_id))?;
            add(EventSlot::Events, 1);
            add(EventSlot::Moving, i64::from(change != 0));
            add(EventSlot::ChangeMicros, change);
            let fx = sum(lines.iter().map(|line| line.fx_micros));
            let fx = fx.map_err(MovementError::amount(of.customer_id))?;
            add(EventSlot::FxEvents, i64::from(fx != 0));
            add(EventSlot::FxMicros, fx);
            for line in lines {
                moved[event.period] += i128::from(line.change_micros) + i128::from(line.fx_micros);
            }
        }
        let mut new_in = Vec::new();
        for (period, moved) in moved.iter_mut().enumerate() {
            let net = self.net_of_parts(of.customer_id, period, frame, |part| {
                let revalued = part.known_revalued_micros - part.start.value_micros;
                sums.grow(period, Slot::RevaluedParts, i64::from(revalued != 0));
                sums.grow(period, Slot::RevaluedMicros, revalued);
                *moved += i128::from(part.known_revalued_micros) - i128::from(part.end.value_micros);
            })?;
            if *moved != 0 {
                sums.violations.insert(Violation {
                    identity: Identity::EventsRollforward,
                    customer_id: of.customer_id.to_owned(),
                    periods: vec![period],
                    words: format!(
                        "customer {}: start and events miss the end by {} millionths",
                        of.customer_id, moved
                    ),
                });
            }
            let Some(net) = net else {
                continue;
            };
            let mut add = |slot, by| sums.grow(period, Slot::Net(net.movement, slot), by);
            add(NetSlot::Customers, 1);
            add(NetSlot::Starting, i64::from(net.starts));
            add(NetSlot::BasisMicros, net.start_micros);
            if net.start_micros > 0 {
                add(NetSlot::Based, 1);
                add(NetSlot::BasedEndMicros, net.end_micros);
                add(NetSlot::KeptMicros, net.end_micros.min(net.start_micros));
            }
            add(NetSlot::ChangeMicros, net.change_micros);
            add(NetSlot::FxMicros, net.fx_micros);
            add(NetSlot::FxCustomers, i64::from(net.fx_micros != 0));
            if net.movement == Movement::New {
                new_in.push(period);
            }
        }
        if new_in.len() > 1 && frame.rules.reactivation_micros.is_none() {
            sums.violations.insert(Violation {
                identity: Identity::OneNew,
                customer_id: of.customer_id.to_owned(),
                periods: new_in,
                words: format!("customer {} is new more than once", of.customer_id),
            });
        }
        Ok(())
    }

    /// Those who came together, at the end of every period since.
    fn cohorts(&self, stretches: &[Stretch], frame: &Frame<'_>, sums: &mut Sums) -> Result<(), MovementError> {
        let periods = &frame.calendar.periods;
        let active = stretches.iter().filter(|stretch| stretch.is_active);
        let first_paid_at = active.map(|stretch| stretch.from_at).min();
        let came_in = first_paid_at.and_then(|at| {
            periods
                .iter()
                .position(|(ends, ..)| ends.start.at <= at && at < ends.end.at)
        });
        if let Some(cohort) = came_in {
            sums.grow_cohort(cohort, cohort, CohortSlot::FirstPaid, 1);
            for period in (cohort..periods.len()).filter(|period| self.at_ends[*period].is_some()) {
                sums.grow_cohort(cohort, period, CohortSlot::Paying, 1);
            }
        }
        let news = self
            .events
            .events
            .iter()
            .filter(|event| event.movement == Movement::New);
        let news: Vec<_> = news.collect();
        for lines in news.chunk_by(|left, right| left.period == right.period) {
            let Some(cohort) = lines.first().map(|line| line.period) else {
                continue;
            };
            let initial: i128 = lines.iter().map(|line| i128::from(line.change_micros)).sum();
            let initial = i64::try_from(initial).map_err(|_| MovementError::TooLarge("a customer's MRR"))?;
            sums.grow_cohort(cohort, cohort, CohortSlot::Members, 1);
            sums.grow_cohort(cohort, cohort, CohortSlot::InitialMicros, initial);
            for period in cohort..periods.len() {
                if let Some(value) = self.at_ends[period] {
                    sums.grow_cohort(cohort, period, CohortSlot::NetMicros, value);
                    sums.grow_cohort(cohort, period, CohortSlot::GrossMicros, value.min(initial));
                }
            }
        }
        Ok(())
    }
}
