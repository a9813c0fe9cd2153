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
    attributes::{ProfileColumns, Span, spans},
    customer::{Customer, Whose},
    figures::Sums,
    kept::{Keeper, Kept, Seen},
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
#[derive(Debug, Clone)]
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
            periods,
            ..self.clone()
        }
    }

    /// The same with what changed hands.
    pub fn with(&self, handovers: &Arc<Handovers>) -> Self {
        Self {
            handovers: Arc::clone(handovers),
            ..self.clone()
        }
    }
}

/// Customers who must be seen together, with their attributes, until all are there.
#[derive(Debug, Default)]
struct Aside {
    group: Group,
    attributes: Vec<Vec<Span>>,
}

/// What a pass is made for.
#[derive(Debug)]
enum Aim {
    /// Some columns of a table's rows.
    Rows(MovementTable, Vec<usize>),
    /// The sums over all customers.
    Sums,
    /// The same, with every customer's rows written down.
    KeptSums(Keeping),
}

/// What writing down needs.
#[derive(Debug)]
struct Keeping {
    dir: PathBuf,
    seen: Seen,
    keepers: Mutex<Vec<Keeper>>,
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
        Self::aiming(inputs, Aim::Rows(table, projection), Arc::new(SharedTexts::new()))
    }

    /// A pass that answers with the sums over all customers.
    pub(crate) fn for_sums(inputs: Arc<Inputs>) -> Self {
        Self::aiming(inputs, Aim::Sums, Arc::new(SharedTexts::new()))
    }

    /// The same, with the rows of every customer written down: there are so many of them.
    pub(crate) fn keeping(inputs: Arc<Inputs>, texts: &Arc<SharedTexts>, rows: u64, dir: PathBuf) -> Self {
        let keeping = Keeping {
            dir,
            seen: Seen::new(rows),
            keepers: Mutex::default(),
        };
        Self::aiming(inputs, Aim::KeptSums(keeping), Arc::clone(texts))
    }

    /// The sums over some customers.
    pub(crate) fn sums_of(
        inputs: Arc<Inputs>,
        texts: &Arc<SharedTexts>,
        groups: &mut [Group],
    ) -> Result<Sums, MovementError> {
        let scan = Self::aiming(inputs, Aim::Sums, Arc::clone(texts));
        let mut worker = Worker::new(&scan)?;
        for group in groups {
            worker.group(group, &[], &mut |_| Ok(()))?;
        }
        match worker.into {
            Into::Sums(sums, _) => Ok(sums),
            Into::Rows(..) => Err(MovementError::Abandoned),
        }
    }

    fn aiming(inputs: Arc<Inputs>, aim: Aim, texts: Arc<SharedTexts>) -> Self {
        let calendar = Calendar::new(&inputs.periods);
        let sums = match aim {
            Aim::Rows(..) => Sums::new(0),
            Aim::Sums | Aim::KeptSums(_) => Sums::new(calendar.periods.len()),
        };
        Self {
            left: AtomicUsize::new(inputs.subscriptions.len()),
            next: AtomicUsize::new(0),
            inputs,
            aim,
            calendar,
            texts,
            aside: Mutex::default(),
            sums: Mutex::new(sums),
        }
    }

    /// Works on several threads until all is done.
    pub(crate) fn work_on(&self, threads: usize) -> Result<(), MovementError> {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| scope.spawn(|| self.work(&mut |_| Ok(()))))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or(Err(MovementError::Abandoned)))
        })
    }

    /// The sums, once all have worked.
    pub(crate) fn into_sums(self) -> Sums {
        self.sums.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums and what was written down, once all have worked; none where it cannot be told apart.
    pub(crate) fn into_kept(self) -> Result<Option<(Sums, Kept)>, MovementError> {
        let sums = self.sums.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Aim::KeptSums(keeping) = self.aim else {
            return Ok(None);
        };
        let keepers = keeping.keepers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let kept = Kept::new(keepers, keeping.seen, &keeping.dir)?;
        Ok(kept.map(|kept| (sums, kept)))
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
            Into::Sums(sums, keeper) => {
                self.sums.lock().unwrap_or_else(PoisonError::into_inner).add(&sums);
                if let (Aim::KeptSums(keeping), Some(keeper)) = (&self.aim, keeper) {
                    let mut keepers = keeping.keepers.lock().unwrap_or_else(PoisonError::into_inner);
                    keepers.push(keeper);
                }
            }
        }
        Ok(())
    }
}

/// Where a thread puts what it finds.
enum Into {
    Rows(MovementTable, Rows),
    Sums(Sums, Option<Keeper>),
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
                Aim::Sums => Into::Sums(Sums::new(scan.calendar.periods.len()), None),
                Aim::KeptSums(keeping) => {
                    let keeper = Keeper::new(&keeping.dir)?;
                    Into::Sums(Sums::new(scan.calendar.periods.len()), Some(keeper))
                }
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
            Aim::Sums | Aim::KeptSums(_) => (false, false),
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
            let attributes = spans(&mut own);
            states.take(knowledge, &mut self.texts, &mut group)?;
            if let (Into::Sums(_, Some(keeper)), Aim::KeptSums(keeping)) = (&mut self.into, &scan.aim) {
                keeper.keep(&group, &keeping.seen, &inputs.rules, knowledge.as_of)?;
            }
            let handovers = &inputs.handovers;
            let concerned = !handovers.is_empty()
                && group
                    .states
                    .iter()
                    .any(|state| handovers.concern(state.item_hash) || handovers.concern(state.record_hash));
            if concerned {
                if let Into::Sums(_, Some(keeper)) = &mut self.into {
                    keeper.entangle(&group);
                }
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
        attributes: &[Vec<Span>],
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
                attributes: attributes.get(place).map_or(&[], Vec::as_slice),
            };
            match &mut self.into {
                Into::Rows(table, rows) => {
                    self.customer.show(*table, &of, own, &frame, rows)?;
                    if rows.is_full() {
                        emit(rows.take()?)?;
                    }
                }
                Into::Sums(sums, _) => self.customer.add(&of, own, &frame, sums)?,
            }
        }
        Ok(())
    }
}
