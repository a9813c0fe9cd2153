//! Sums over all customers that follow what is committed: only customers with new rows, and those of whom something
//! happened meanwhile, are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use crate::{
    Figures, Inputs, MovementError, PeriodEnds,
    figures::Sums,
    kept::Kept,
    merge::Merge,
    run::StateColumns,
    scan::Scan,
    state::Group,
    text::{SharedTexts, Texts},
};

/// New rows, and customers of whom something happened, beyond which all are looked at again.
const MOST_FRESH_ROWS: u64 = 200_000;
const MOST_DUE: usize = 50_000;

/// Why sums cannot follow, so that all customers must be looked at anew. Nothing is wrong with that.
#[derive(Debug, thiserror::Error)]
pub enum Stale {
    /// The clock went backwards.
    #[error("the instant asked for is before the one that stands")]
    Before,
    /// An item is another customer's now, or may be.
    #[error("items are shared by customers")]
    Shared,
    /// Rows went away, or are not known yet.
    #[error("there are not the rows there should be")]
    Rows,
    /// So much is new that a pass over all customers is cheaper.
    #[error("too much is new")]
    Much,
    /// Something could not be computed or read.
    #[error(transparent)]
    Failed(#[from] MovementError),
}

/// Sums over one sequence of periods, named by whoever asked for them.
#[derive(Debug)]
struct Frame<K> {
    key: K,
    figures: Arc<Figures>,
}

/// Sums over several sequences of periods, all on the same rows at the same instant.
#[derive(Debug)]
pub struct LiveFigures<K> {
    /// As they were when the sums were computed last; its periods are those of no frame.
    inputs: Inputs,
    runs: BTreeSet<PathBuf>,
    texts: Arc<SharedTexts>,
    kept: Kept,
    frames: Vec<Frame<K>>,
}

/// A customer of whom something has changed, before and now.
struct Changed {
    before: Vec<Group>,
    now: Vec<Group>,
}

fn runs_of(inputs: &Inputs) -> BTreeSet<PathBuf> {
    inputs.subscriptions.iter().flatten().cloned().collect()
}

impl<K> LiveFigures<K> {
    /// Computes the sums of a first frame in a pass over all customers, on so many threads, and writes down the rows of
    /// every customer, `rows` in all, in files without a name in `dir`.
    pub fn compute(inputs: &Arc<Inputs>, key: K, rows: u64, threads: usize, dir: PathBuf) -> Result<Self, Stale> {
        let texts = Arc::new(SharedTexts::new());
        let scan = Scan::keeping(Arc::clone(inputs), &texts, rows, dir);
        scan.work_on(threads)?;
        let (sums, kept) = scan.into_kept()?.ok_or(Stale::Rows)?;
        let live = Self {
            inputs: inputs.over(Vec::new()),
            runs: runs_of(inputs),
            texts,
            kept,
            frames: vec![Frame {
                key,
                figures: Arc::new(Figures::of(inputs, sums)),
            }],
        };
        live.check_rows(rows)?;
        Ok(live)
    }

    fn check_rows(&self, rows: u64) -> Result<(), Stale> {
        if self.kept.seqs.len() == rows {
            Ok(())
        } else {
            Err(Stale::Rows)
        }
    }

    /// The sums of the frames.
    pub fn frames(&self) -> impl Iterator<Item = (&K, &Arc<Figures>)> {
        self.frames.iter().map(|frame| (&frame.key, &frame.figures))
    }

    /// Adds sums that were computed on the same rows at the same instant, in the place of the first beyond so many.
    pub fn add_frame(&mut self, key: K, figures: Arc<Figures>, most: usize) {
        self.frames.push(Frame { key, figures });
        let beyond = self.frames.len().saturating_sub(most);
        self.frames.drain(..beyond);
    }

    /// What the sums were computed from, without periods and without what changed hands.
    pub fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// The instant at which the sums stand, in microseconds.
    pub fn as_of(&self) -> i64 {
        self.inputs.knowledge.as_of
    }

    /// How many rows it stands on.
    pub fn rows(&self) -> u64 {
        self.kept.seqs.len()
    }

    /// Whether the sums stand for these rows at this instant.
    pub fn is_at(&self, inputs: &Inputs) -> bool {
        self.inputs.knowledge.as_of == inputs.knowledge.as_of
            && self.has_prices_of(inputs)
            && self.runs == runs_of(inputs)
    }

    fn has_prices_of(&self, inputs: &Inputs) -> bool {
        self.inputs.tiers == inputs.tiers && self.inputs.quotes == inputs.quotes
    }

    /// Follows what has been committed and what time has passed, up to `inputs`, of which there are `rows` rows; `periods`
    /// gives the periods of a frame as they are measured now. Frames whose earlier periods changed, or whose prices and
    /// rates did, are let go. How many customers were looked at.
    ///
    /// After an error the sums must be thrown away.
    pub fn follow(
        &mut self,
        inputs: &Inputs,
        rows: u64,
        periods: impl Fn(&K) -> Vec<PeriodEnds>,
    ) -> Result<usize, Stale> {
        let (then, now) = (self.inputs.knowledge.as_of, inputs.knowledge.as_of);
        if now < then {
            return Err(Stale::Before);
        }
        // What follows is held in memory.
        let fresh = rows.saturating_sub(self.kept.seqs.len());
        if fresh > MOST_FRESH_ROWS || self.kept.is_bloated() {
            return Err(Stale::Much);
        }
        let same_prices = self.has_prices_of(inputs);
        let mut changed = self.changed(inputs)?;
        let mut frames = Vec::with_capacity(self.frames.len());
        for frame in self.frames.drain(..) {
            let measured = periods(&frame.key);
            if same_prices && can_follow(&frame.figures.periods, &measured, then, now) {
                let sums_of =
                    |inputs: Inputs, groups: &mut Vec<Group>| Scan::sums_of(Arc::new(inputs), &self.texts, groups);
                let then = inputs.over(frame.figures.periods.clone());
                let inputs = inputs.over(measured);
                let Changed { before, now } = &mut changed;
                let (before, after): (Result<Sums, _>, Result<Sums, _>) = std::thread::scope(|scope| {
                    let before = scope.spawn(|| sums_of(then, before));
                    let after = sums_of(inputs.over(inputs.periods.clone()), now);
                    (before.join().unwrap_or(Err(MovementError::Abandoned)), after)
                });
                let (before, after) = (before?, after?);
                let mut sums = frame.figures.sums.clone();
                sums.replace(&before, &after);
                let figures = Arc::new(Figures::of(&inputs, sums));
                frames.push(Frame { figures, ..frame });
            }
        }
        self.frames = frames;
        self.kept.put(&changed.now, &inputs.rules, now)?;
        self.runs = runs_of(inputs);
        self.inputs = inputs.over(Vec::new());
        self.check_rows(rows)?;
        Ok(changed.now.len())
    }

    /// Finds who has new rows, and of whom something happened since.
    fn changed(&mut self, inputs: &Inputs) -> Result<Changed, Stale> {
        let mut texts = Texts::over(&self.texts);
        let mut changed = Changed {
            before: Vec::new(),
            now: Vec::new(),
        };
        let mut has_news = BTreeSet::new();
        for (customer_id, news) in self.news(inputs, &mut texts)? {
            let before = self.kept.of(&customer_id, &texts)?;
            let is_other = before
                .as_ref()
                .is_some_and(|group| group.customers.first() != Some(&customer_id));
            if is_other || self.kept.is_entangled(&customer_id) {
                return Err(Stale::Shared);
            }
            let mut now = before.clone().unwrap_or_else(|| Group::of(&customer_id));
            self.claim(&before, &news)?;
            now.join(&news);
            changed.before.extend(before);
            changed.now.push(now);
            has_news.insert(customer_id);
        }
        let due = self.kept.due_by(inputs.knowledge.as_of, MOST_DUE, &texts)?;
        for group in due.ok_or(Stale::Much)? {
            let customer_id = group.customers.first().map_or("", String::as_str);
            if has_news.contains(customer_id) {
                continue;
            }
            if self.kept.is_entangled(customer_id) {
                return Err(Stale::Shared);
            }
            changed.before.push(group.clone());
            changed.now.push(group);
        }
        Ok(changed)
    }

    /// Notes whose items and records the new rows are; an error where they may be another customer's.
    fn claim(&self, before: &Option<Group>, news: &Group) -> Result<(), Stale> {
        let mut own: BTreeSet<u64> = before
            .iter()
            .flat_map(|group| &group.states)
            .flat_map(|state| [state.record_hash, state.item_hash])
            .collect();
        for hash in news
            .states
            .iter()
            .flat_map(|state| [state.record_hash, state.item_hash])
        {
            if own.insert(hash) && self.kept.seen.add(hash) {
                return Err(Stale::Shared);
            }
        }
        Ok(())
    }

    /// The rows that were not there before, by customer.
    fn news(&mut self, inputs: &Inputs, texts: &mut Texts) -> Result<BTreeMap<String, Group>, Stale> {
        let mut news = BTreeMap::new();
        for bucket in &inputs.subscriptions {
            let fresh: Vec<PathBuf> = bucket
                .iter()
                .filter(|path| !self.runs.contains(*path))
                .cloned()
                .collect();
            let mut states = Merge::open(&fresh, StateColumns::new, &["subscription_id"], texts)?;
            while let Some(customer_id) = states.customer() {
                let mut group = Group::of(customer_id);
                states.take(&inputs.knowledge, texts, &mut group)?;
                // A merged run has rows that were there before.
                let seqs = &mut self.kept.seqs;
                group
                    .states
                    .retain(|state| u64::try_from(state.arrival_seq).is_ok_and(|seq| seqs.insert(seq)));
                if !group.states.is_empty() {
                    news.insert(group.customers[0].clone(), group);
                }
            }
        }
        Ok(news)
    }
}

/// Whether sums over some periods can follow time to others: the same but for where the open ones are measured.
fn can_follow(before: &[PeriodEnds], now: &[PeriodEnds], then_at: i64, now_at: i64) -> bool {
    let same = |(before, now): (&PeriodEnds, &PeriodEnds)| {
        let is_measured_now = before.end.at == then_at && now.end.at == now_at && before.end.rate_on == now.end.rate_on;
        before == now
            || (is_measured_now
                && PeriodEnds {
                    end: now.end,
                    ..*before
                } == *now)
    };
    before.len() == now.len() && before.iter().zip(now).all(same)
}
