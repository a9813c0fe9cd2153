//! Sums over all customers that metrics are made of. They are linear: what a customer adds can be taken off again, so
//! that after a change only those concerned are looked at.

use std::{collections::BTreeSet, ops::Range};

use crate::{events::Movement, stretch::Ended};

/// The classes of movements, in the order of their places.
pub(crate) const MOVEMENTS: [Movement; 6] = [
    Movement::New,
    Movement::Reactivation,
    Movement::Expansion,
    Movement::Contraction,
    Movement::Churn,
    Movement::Unchanged,
];

/// The reasons of events, in the order of their places.
pub(crate) const REASONS: [Option<Ended>; 5] = [
    None,
    Some(Ended::Delinquent),
    Some(Ended::Migration),
    Some(Ended::Pause),
    Some(Ended::Voluntary),
];

/// What is summed in every period. Every sum stands beside the number of what was added: a row is there while anything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Customers' parts at either end.
    EndParts,
    OpeningMicros,
    ClosingMicros,
    /// Customers' parts at the end.
    ClosingParts,
    Customers,
    ResidueMicros,
    ScheduledItems,
    ScheduledMicros,
    SignedItems,
    SignedMicros,
    /// Who paid thirty periods before, and who of them no longer does.
    BaseBefore30,
    LostSince30,
    /// Who had MRR twelve periods before.
    YearCustomers,
    YearStartMicros,
    YearEndMicros,
    YearKeptMicros,
    /// Parts that exchange rates moved between the ends.
    RevaluedParts,
    RevaluedMicros,
    /// Customers by movement between the ends.
    Net(Movement, NetSlot),
    /// Events by movement and reason.
    Event(Movement, Option<Ended>, EventSlot),
}

/// What is summed of customers with one movement between the ends of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetSlot {
    Customers,
    Starting,
    Based,
    BasisMicros,
    BasedEndMicros,
    KeptMicros,
    ChangeMicros,
    FxMicros,
    FxCustomers,
}

/// What is summed of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventSlot {
    Events,
    /// Those with a change.
    Moving,
    ChangeMicros,
    /// Lines that exchange rates moved.
    FxEvents,
    FxMicros,
}

const PLAIN_SLOTS: usize = 18;
const NET_SLOTS: usize = 9;
const EVENT_SLOTS: usize = 5;
const SLOTS: usize = PLAIN_SLOTS + MOVEMENTS.len() * (NET_SLOTS + REASONS.len() * EVENT_SLOTS);

impl Slot {
    fn place(self) -> usize {
        match self {
            Self::EndParts => 0,
            Self::OpeningMicros => 1,
            Self::ClosingMicros => 2,
            Self::ClosingParts => 3,
            Self::Customers => 4,
            Self::ResidueMicros => 5,
            Self::ScheduledItems => 6,
            Self::ScheduledMicros => 7,
            Self::SignedItems => 8,
            Self::SignedMicros => 9,
            Self::BaseBefore30 => 10,
            Self::LostSince30 => 11,
            Self::YearCustomers => 12,
            Self::YearStartMicros => 13,
            Self::YearEndMicros => 14,
            Self::YearKeptMicros => 15,
            Self::RevaluedParts => 16,
            Self::RevaluedMicros => 17,
            Self::Net(movement, slot) => PLAIN_SLOTS + movement as usize * NET_SLOTS + slot as usize,
            Self::Event(movement, reason, slot) => {
                let reason = reason.map_or(0, |reason| reason as usize + 1);
                let before = PLAIN_SLOTS + MOVEMENTS.len() * NET_SLOTS;
                before + (movement as usize * REASONS.len() + reason) * EVENT_SLOTS + slot as usize
            }
        }
    }
}

/// What is summed of those who came in one period, by the period in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CohortSlot {
    /// Who first paid in the period; in the cell of the period itself.
    FirstPaid,
    /// Who of them pays at the end.
    Paying,
    /// Who was new in the period, and with what; in the cell of the period itself.
    Members,
    InitialMicros,
    /// What those have at the end, and of that no more than they began with.
    NetMicros,
    GrossMicros,
}

const COHORT_SLOTS: usize = 6;

/// Periods beyond which cohorts are not summed: forty years of months have them, years of days would take gigabytes.
const MOST_COHORTS: usize = 600;

/// An identity that a customer breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    Birth,
    NotNegative,
    OneNew,
    EventsRollforward,
}

/// A customer who breaks an identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub(crate) identity: Identity,
    pub(crate) customer_id: String,
    /// The periods concerned, where it is a matter of periods.
    pub(crate) periods: Vec<usize>,
    pub(crate) words: String,
}

/// The sums of all periods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    periods: usize,
    cells: Vec<i128>,
    cohorts: Vec<i128>,
    pub(crate) violations: BTreeSet<Violation>,
}

impl Sums {
    pub(crate) fn new(periods: usize) -> Self {
        let cohorts = if periods > MOST_COHORTS { 0 } else { periods };
        Self {
            periods,
            cells: vec![0; periods * SLOTS],
            cohorts: vec![0; cohorts * cohorts * COHORT_SLOTS],
            violations: BTreeSet::new(),
        }
    }

    /// Adds to the sum of a period.
    #[inline]
    pub(crate) fn grow(&mut self, period: usize, slot: Slot, by: i64) {
        self.cells[period * SLOTS + slot.place()] += i128::from(by);
    }

    #[inline]
    pub(crate) fn get(&self, period: usize, slot: Slot) -> i128 {
        self.cells[period * SLOTS + slot.place()]
    }

    #[inline]
    fn cohort_place(&self, cohort: usize, period: usize, slot: CohortSlot) -> usize {
        (cohort * self.periods + period) * COHORT_SLOTS + slot as usize
    }

    /// Adds to the sum of a cohort in a period.
    #[inline]
    pub(crate) fn grow_cohort(&mut self, cohort: usize, period: usize, slot: CohortSlot, by: i64) {
        let place = self.cohort_place(cohort, period, slot);
        if let Some(sum) = self.cohorts.get_mut(place) {
            *sum += i128::from(by);
        }
    }

    /// Whether cohorts are summed.
    pub(crate) fn has_cohorts(&self) -> bool {
        self.periods <= MOST_COHORTS
    }

    /// The sum of a cohort in a period, where cohorts are summed.
    pub(crate) fn cohort(&self, cohort: usize, period: usize, slot: CohortSlot) -> i128 {
        let place = self.cohort_place(cohort, period, slot);
        self.cohorts.get(place).copied().unwrap_or(0)
    }

    /// Adds other customers' sums over the same periods.
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = self.cells.iter_mut().zip(&other.cells);
        for (own, theirs) in pairs.chain(self.cohorts.iter_mut().zip(&other.cohorts)) {
            *own += theirs;
        }
        self.violations.extend(other.violations.iter().cloned());
    }

    /// Puts what customers add now in the place of what they added before.
    pub(crate) fn replace(&mut self, before: &Self, now: &Self) {
        let pairs = self.cells.iter_mut().zip(before.cells.iter().zip(&now.cells));
        let cohorts = self.cohorts.iter_mut().zip(before.cohorts.iter().zip(&now.cohorts));
        for (own, (before, now)) in pairs.chain(cohorts) {
            *own += now - before;
        }
        self.violations
            .retain(|violation| !before.violations.contains(violation));
        self.violations.extend(now.violations.iter().cloned());
    }

    /// Sums and violations in which two differ.
    pub(crate) fn differences(&self, other: &Self) -> usize {
        let cells = self
            .cells
            .iter()
            .zip(&other.cells)
            .chain(self.cohorts.iter().zip(&other.cohorts));
        let lengths = self.cells.len().abs_diff(other.cells.len()) + self.cohorts.len().abs_diff(other.cohorts.len());
        cells.filter(|(own, theirs)| own != theirs).count()
            + lengths
            + self.violations.symmetric_difference(&other.violations).count()
    }

    /// Those of an identity within a range of periods, in words; with the period where it is a matter of one.
    pub(crate) fn broken(
        &self,
        identity: Identity,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (Option<usize>, &str)> {
        let within = move |violation: &Violation| -> Vec<usize> {
            let periods = violation.periods.iter().copied();
            periods.filter(|period| range.contains(period)).collect()
        };
        let broken = self
            .violations
            .iter()
            .filter(move |violation| violation.identity == identity);
        broken.flat_map(move |violation| {
            let periods = within(violation);
            let places: Vec<Option<usize>> = match identity {
                Identity::EventsRollforward => periods.into_iter().map(Some).collect(),
                // New twice, in periods that are looked at; or churned without MRR, which no period excuses.
                Identity::OneNew if periods.len() < 2 && !violation.periods.is_empty() => vec![],
                Identity::OneNew | Identity::Birth | Identity::NotNegative => vec![None],
            };
            places.into_iter().map(|place| (place, violation.words.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_slots_share_a_place() {
        let mut slots = vec![
            Slot::EndParts,
            Slot::OpeningMicros,
            Slot::ClosingMicros,
            Slot::ClosingParts,
            Slot::Customers,
            Slot::ResidueMicros,
            Slot::ScheduledItems,
            Slot::ScheduledMicros,
            Slot::SignedItems,
            Slot::SignedMicros,
            Slot::BaseBefore30,
            Slot::LostSince30,
            Slot::YearCustomers,
            Slot::YearStartMicros,
            Slot::YearEndMicros,
            Slot::YearKeptMicros,
            Slot::RevaluedParts,
            Slot::RevaluedMicros,
        ];
        for movement in MOVEMENTS {
            use NetSlot::*;
            let net = [
                Customers,
                Starting,
                Based,
                BasisMicros,
                BasedEndMicros,
                KeptMicros,
                ChangeMicros,
                FxMicros,
                FxCustomers,
            ];
            slots.extend(net.map(|slot| Slot::Net(movement, slot)));
            for reason in REASONS {
                use EventSlot::*;
                let of = [Events, Moving, ChangeMicros, FxEvents, FxMicros];
                slots.extend(of.map(|slot| Slot::Event(movement, reason, slot)));
            }
        }
        let places: BTreeSet<usize> = slots.iter().map(|slot| slot.place()).collect();
        assert_eq!(places, (0..SLOTS).collect());
    }

    #[test]
    fn years_of_days_have_no_cohorts() {
        let mut sums = Sums::new(40 * 366);
        assert!(!sums.has_cohorts() && sums.cohorts.is_empty());
        sums.grow_cohort(14_000, 14_001, CohortSlot::Paying, 1);
        assert_eq!(sums.cohort(14_000, 14_001, CohortSlot::Paying), 0);
        assert!(
            Sums::new(492).has_cohorts(),
            "forty years of months, and what retention looks back on"
        );
    }

    #[test]
    fn new_twice_counts_only_within_the_periods_asked_for() {
        let mut sums = Sums::new(4);
        sums.violations.insert(Violation {
            identity: Identity::OneNew,
            customer_id: "c".to_owned(),
            periods: vec![0, 2],
            words: "customer c is new more than once".to_owned(),
        });
        let broken = |range| sums.broken(Identity::OneNew, &range).count();
        assert_eq!((broken(0..4), broken(1..4), broken(0..2)), (1, 0, 0));
        assert_eq!(sums.broken(Identity::Birth, &(0..4)).count(), 0);
    }

    #[test]
    fn what_a_customer_added_before_gives_way_to_what_it_adds_now() {
        let adding = |micros: i64, broken: bool| {
            let mut sums = Sums::new(2);
            sums.grow(1, Slot::ClosingMicros, micros);
            sums.grow(1, Slot::ClosingParts, 1);
            sums.grow_cohort(0, 1, CohortSlot::Paying, 1);
            if broken {
                sums.violations.insert(Violation {
                    identity: Identity::Birth,
                    customer_id: "c".to_owned(),
                    periods: vec![],
                    words: "broken".to_owned(),
                });
            }
            sums
        };
        let (other, before, now) = (adding(i64::MAX, false), adding(7, true), adding(-3, false));
        let together = |customer: &Sums| {
            let mut sums = other.clone();
            sums.add(customer);
            sums
        };
        let mut followed = together(&before);
        assert_eq!(followed.differences(&together(&now)), 2, "a sum and a violation");
        followed.replace(&before, &now);
        assert_eq!(followed, together(&now));
        assert_eq!(followed.differences(&together(&now)), 0);
        // Who has gone leaves nothing, and the row of a sum of nothing is not there.
        followed.replace(&now, &Sums::new(2));
        assert_eq!(followed, other);
    }
}
