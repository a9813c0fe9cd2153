//! One pass over all customers that answers with the rows of one table.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::array::RecordBatch;

use crate::{
    Handovers, Knowledge, MovementError, MovementTable, PeriodEnds, Quote, Rules, TierRange,
    attributes::{Attributes, ProfileColumns, newest},
    customer::{Customer, Whose},
    figures::Sums,
    ledger::{BoundaryRates, Calendar, Frame},
    merge::Merge,
    price::Tiers,
    rates::Rates,
    run::StateColumns,
    state::Group,
    stretch::{Stretch, stretches},
    tables::Rows,
    text::{SharedTexts, Texts},
};

/// Everything that the figures of a pass hang on.
#[derive(Debug)]
pub struct Inputs {
    /// The policy's switches.
    pub rules: Rules,
    /// Which knowledge counts.
    pub knowledge: Knowledge,
    /// The periods, which do not overlap.
    pub periods: Vec<PeriodEnds>,
    /// Tiers of prices.
    pub tiers: Vec<TierRange>,
    /// Rates into the reporting currency.
    pub quotes: Vec<Quote>,
    /// The sorted runs of subscription states, bucket by bucket.
    pub subscriptions: Vec<Vec<PathBuf>>,
    /// The sorted runs of customers, bucket by bucket as those of subscriptions.
    pub customers: Vec<Vec<PathBuf>>,
    /// What changed hands among the subscriptions.
    pub handovers: Arc<Handovers>,
}

impl Inputs {
    /// The same over other periods.
    pub fn over(&self, periods: Vec<PeriodEnds>) -> Self {
        Self {
            rules: self.rules.clone(),
            knowledge: self.knowledge,
            periods,
            tiers: self.tiers.clone(),
            quotes: self.quotes.clone(),
            subscriptions: self.subscriptions.clone(),
            customers: self.customers.clone(),
            handovers: Arc::clone(&self.handovers),
        }
    }
}

/// Customers who must be seen together, with their attributes, until all are there.
#[derive(Debug, Default)]
struct Aside {
    group: Group,
    attributes: Vec<Attributes>,
}

/// What a pass is made for.
#[derive(Debug)]
enum Aim {
    /// Some columns of a table's rows.
    Rows(MovementTable, Vec<usize>),
    /// The sums over all customers.
    Sums,
}

/// A pass, shared by the threads that work on it.
#[derive(Debug)]
pub struct Scan {
    inputs: Arc<Inputs>,
    aim: Aim,
    calendar: Calendar,
    next: AtomicUsize,
    left: AtomicUsize,
    texts: Arc<SharedTexts>,
    aside: Mutex<Aside>,
    sums: Mutex<Sums>,
}

impl Scan {
    /// A pass that answers with some columns of a table.
    pub fn new(inputs: Arc<Inputs>, table: MovementTable, projection: Vec<usize>) -> Self {
        Self::aiming(inputs, Aim::Rows(table, projection))
    }

    /// A pass that answers with the sums over all customers.
    pub(crate) fn for_sums(inputs: Arc<Inputs>) -> Self {
        Self::aiming(inputs, Aim::Sums)
    }

    fn aiming(inputs: Arc<Inputs>, aim: Aim) -> Self {
        let calendar = Calendar::new(&inputs.periods);
        let sums = match aim {
            Aim::Rows(..) => Sums::new(0),
            Aim::Sums => Sums::new(calendar.periods.len()),
        };
        Self {
            left: AtomicUsize::new(inputs.subscriptions.len()),
            next: AtomicUsize::new(0),
            inputs,
            aim,
            calendar,
            texts: Arc::new(SharedTexts::new()),
            aside: Mutex::default(),
            sums: Mutex::new(sums),
        }
    }

    /// The sums, once all have worked.
    pub(crate) fn into_sums(self) -> Sums {
        self.sums.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on buckets until none is left, and hands over the rows. Any number of threads may do so at once; together
    /// they hand over every row once.
    pub fn work(&self, emit: &mut dyn FnMut(RecordBatch) -> Result<(), MovementError>) -> Result<(), MovementError> {
        let mut worker = Worker::new(self)?;
        loop {
            let bucket = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(runs) = self.inputs.subscriptions.get(bucket) else {
                break;
            };
            let profiles = self.inputs.customers.get(bucket).map_or(&[][..], Vec::as_slice);
            worker.bucket(runs, profiles, emit)?;
            if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                worker.aside(emit)?;
            }
        }
        match worker.into {
            Into::Rows(_, mut rows) if !rows.is_empty() => emit(rows.take()?)?,
            Into::Rows(..) => {}
            Into::Sums(sums) => self.sums.lock().unwrap_or_else(PoisonError::into_inner).add(&sums),
        }
        Ok(())
    }
}

/// Where a thread puts what it finds.
enum Into {
    Rows(MovementTable, Rows),
    Sums(Sums),
}

/// What one thread needs.
struct Worker<'a> {
    scan: &'a Scan,
    texts: Texts,
    tiers: Tiers,
    rates: Rates,
    at_boundaries: BoundaryRates,
    into: Into,
    customer: Customer,
    order: Vec<u32>,
    stretches: Vec<Stretch>,
}

impl<'a> Worker<'a> {
    fn new(scan: &'a Scan) -> Result<Self, MovementError> {
        let mut texts = Texts::over(&scan.texts);
        let inputs = &scan.inputs;
        Ok(Self {
            tiers: Tiers::new(&inputs.tiers, &mut texts),
            rates: Rates::new(&inputs.quotes, &inputs.rules, &mut texts),
            texts,
            at_boundaries: BoundaryRates::default(),
            into: match &scan.aim {
                Aim::Rows(table, projection) => Into::Rows(*table, Rows::of(table.columns(), projection)?),
                Aim::Sums => Into::Sums(Sums::new(scan.calendar.periods.len())),
            },
            customer: Customer::default(),
            order: Vec::new(),
            stretches: Vec::new(),
            scan,
        })
    }

    fn bucket(
        &mut self,
        runs: &[PathBuf],
        profiles: &[PathBuf],
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), MovementError>,
    ) -> Result<(), MovementError> {
        let scan = self.scan;
        let (inputs, knowledge) = (&scan.inputs, &scan.inputs.knowledge);
        let (with_subscription, with_attributes) = match &scan.aim {
            Aim::Rows(table, projection) => (
                table.shows(projection, "subscription_id"),
                table.shows_attributes(projection),
            ),
            Aim::Sums => (false, false),
        };
        let unread: &[&str] = if with_subscription { &[] } else { &["subscription_id"] };
        let mut states = Merge::open(runs, StateColumns::new, unread, &mut self.texts)?;
        let profiles = if with_attributes { profiles } else { &[] };
        let mut profiles = Merge::open(profiles, ProfileColumns::new, &[], &mut self.texts)?;
        let (mut group, mut own, mut unused) = (Group::default(), Vec::new(), Vec::new());
        while let Some(customer) = states.customer() {
            group.clear();
            group.customers.push(customer.to_owned());
            while profiles
                .customer()
                .is_some_and(|profile| profile < group.customers[0].as_str())
            {
                unused.clear();
                profiles.take(knowledge, &mut self.texts, &mut unused)?;
            }
            own.clear();
            if profiles.customer() == Some(group.customers[0].as_str()) {
                profiles.take(knowledge, &mut self.texts, &mut own)?;
            }
            let attributes = newest(&mut own, &self.texts);
            states.take(knowledge, &mut self.texts, &mut group)?;
            let handovers = &inputs.handovers;
            let concerned = !handovers.is_empty()
                && group
                    .states
                    .iter()
                    .any(|state| handovers.concern(state.item_hash) || handovers.concern(state.record_hash));
            if concerned {
                let mut aside = scan.aside.lock().unwrap_or_else(PoisonError::into_inner);
                aside.group.append(&group);
                aside.attributes.push(attributes);
            } else {
                self.group(&mut group, &[attributes], emit)?;
            }
        }
        Ok(())
    }

    /// The customers who were set aside, once all of them are there.
    fn aside(&mut self, emit: &mut dyn FnMut(RecordBatch) -> Result<(), MovementError>) -> Result<(), MovementError> {
        let mut aside = std::mem::take(&mut *self.scan.aside.lock().unwrap_or_else(PoisonError::into_inner));
        self.texts.catch_up();
        self.group(&mut aside.group, &aside.attributes, emit)
    }

    fn group(
        &mut self,
        group: &mut Group,
        attributes: &[Attributes],
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), MovementError>,
    ) -> Result<(), MovementError> {
        group.settle(&mut self.order);
        let rules = &self.scan.inputs.rules;
        let with_inactive = matches!(self.into, Into::Rows(MovementTable::Items, _));
        stretches(
            group,
            &self.order,
            &self.tiers,
            rules,
            &self.texts,
            with_inactive,
            &mut self.stretches,
        )?;
        self.stretches.sort_by_key(|stretch| stretch.customer);
        self.at_boundaries
            .learn(&self.stretches, &self.scan.calendar, rules, &self.rates);
        let frame = Frame {
            at_boundaries: &self.at_boundaries,
            calendar: &self.scan.calendar,
            rules,
            rates: &self.rates,
            texts: &self.texts,
        };
        for own in self.stretches.chunk_by(|left, right| left.customer == right.customer) {
            let place = own.first().map_or(0, |stretch| stretch.customer as usize);
            let of = Whose {
                group,
                of_group: &self.stretches,
                customer_id: group.customers.get(place).map_or("", String::as_str),
                attributes: attributes.get(place).copied().unwrap_or(Attributes::UNKNOWN),
            };
            match &mut self.into {
                Into::Rows(table, rows) => {
                    self.customer.show(*table, &of, own, &frame, rows)?;
                    if rows.is_full() {
                        emit(rows.take()?)?;
                    }
                }
                Into::Sums(sums) => self.customer.add(&of, own, &frame, sums)?,
            }
        }
        Ok(())
    }
}
