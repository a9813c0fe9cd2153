//! Items that changed hands. A bucket holds whole customers, so a pass sees all of an item at once, unless the item, or a
//! record of it, names more than one customer. Those few customers are found here and then looked at together.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arrow::array::RecordBatch;

use crate::{
    Knowledge, MovementError,
    merge::Merge,
    run::{Columns, Keys, columns},
    state::hash_of,
    text::{SharedTexts, TextColumn, Texts},
};

columns! {
    /// The columns that say what a row is a version of.
    IdentityColumns {
        source: TextColumn "source", record_key: Keys "record_key", item_id: Keys "item_id",
    }
}

impl Columns for IdentityColumns {
    const NAMES: &'static [&'static str] = IdentityColumns::NAMES;
    type Into = Vec<u64>;

    fn turn_to(&mut self, batch: &RecordBatch, texts: &mut Texts) -> Result<(), MovementError> {
        self.turn(batch, texts);
        Ok(())
    }

    fn gather(&self, row: usize, _: &Knowledge, texts: &Texts, hashes: &mut Vec<u64>) -> Result<(), &'static str> {
        let source = texts.get(self.source.get(row)).unwrap_or("");
        hashes.push(hash_of(source, self.record_key.required(row)?));
        // Customers' own records have no items.
        hashes.extend(self.item_id.get(row).map(|item| hash_of(source, item)));
        Ok(())
    }
}

/// A set that may take a stranger for a member: one word a hash, four bits in it.
#[derive(Debug)]
pub(crate) struct Filter {
    words: Vec<AtomicU64>,
}

impl Filter {
    /// For so many hashes, sixteen bits each: one stranger in four hundred is taken for a member.
    pub(crate) fn new(hashes: usize) -> Self {
        let words = (hashes / 4).max(1024).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Adds a hash; whether it may have been there before. Of two that come at once, one is told.
    pub(crate) fn add(&self, hash: u64) -> bool {
        let (place, mask) = self.place(hash);
        self.words[place].fetch_or(mask, Ordering::Relaxed) & mask == mask
    }

    /// Whether a hash may have been added.
    #[cfg(test)]
    pub(crate) fn has(&self, hash: u64) -> bool {
        let (place, mask) = self.place(hash);
        self.words[place].load(Ordering::Relaxed) & mask == mask
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let bits = [0, 6, 12, 18].map(|shift| 1_u64 << ((hash >> shift) & 63));
        let mask = bits[0] | bits[1] | bits[2] | bits[3];
        (usize::try_from(hash >> 24).unwrap_or(0) & (self.words.len() - 1), mask)
    }
}

/// Hashes of items and records that name more than one customer.
#[derive(Debug, Default)]
pub struct Handovers {
    hashes: HashSet<u64>,
}

impl Handovers {
    /// Looks through the buckets of a table, whose rows are about so many.
    pub fn find(buckets: &[Vec<PathBuf>], rows: u64, threads: usize) -> Result<Self, MovementError> {
        let filter = Filter::new(usize::try_from(rows).unwrap_or(usize::MAX / 8).saturating_mul(2));
        let suspects = Mutex::new(HashSet::new());
        each_customer(buckets, threads, |_, hashes| {
            let again: Vec<u64> = hashes.iter().copied().filter(|hash| filter.add(*hash)).collect();
            if !again.is_empty() {
                suspects.lock().unwrap_or_else(PoisonError::into_inner).extend(again);
            }
        })?;
        drop(filter);
        let suspects = suspects.into_inner().unwrap_or_else(PoisonError::into_inner);
        if suspects.is_empty() {
            return Ok(Self::default());
        }
        let owners: Mutex<HashMap<u64, (u64, bool)>> = Mutex::new(HashMap::new());
        each_customer(buckets, threads, |customer, hashes| {
            for hash in hashes.iter().filter(|hash| suspects.contains(hash)) {
                let mut owners = owners.lock().unwrap_or_else(PoisonError::into_inner);
                let owner = hash_of("", customer);
                let (first, several) = owners.entry(*hash).or_insert((owner, false));
                *several |= *first != owner;
            }
        })?;
        let owners = owners.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            hashes: owners
                .into_iter()
                .filter(|(_, (_, several))| *several)
                .map(|(hash, _)| hash)
                .collect(),
        })
    }

    /// Whether nothing changed hands.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(crate) fn concern(&self, hash: u64) -> bool {
        self.hashes.contains(&hash)
    }
}

/// Shows every customer's hashes, each once, to whoever looks; several customers at a time.
fn each_customer(
    buckets: &[Vec<PathBuf>],
    threads: usize,
    look: impl Fn(&str, &[u64]) + Sync,
) -> Result<(), MovementError> {
    let next = AtomicUsize::new(0);
    let all = Knowledge {
        as_of: i64::MAX,
        by_source: false,
    };
    let shared = Arc::new(SharedTexts::new());
    let work = || -> Result<(), MovementError> {
        let mut texts = Texts::over(&shared);
        let (mut customer, mut hashes) = (String::new(), Vec::new());
        while let Some(bucket) = buckets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut merge = Merge::open(bucket, IdentityColumns::new, &[], &mut texts)?;
            while let Some(next) = merge.customer() {
                customer.clear();
                customer.push_str(next);
                hashes.clear();
                merge.take(&all, &mut texts, &mut hashes)?;
                hashes.sort_unstable();
                hashes.dedup();
                look(&customer, &hashes);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or(Err(MovementError::Abandoned)))
    })
}
