//! Every customer's rows in compact form in files without a name, found by customer. It is a cache: gone with the process,
//! and made anew from the runs.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use roaring::RoaringTreemap;

use crate::{
    MovementError, Rules,
    handover::Filter,
    state::{Group, State, hash_of},
    text::{self, Texts},
};

/// What replaced rows may take on disk however few there are.
const LEAST_BLOAT_BYTES: u64 = 64 << 20;

fn failed(reason: impl std::fmt::Display) -> MovementError {
    MovementError::Kept(reason.to_string())
}

/// Hashes of items and records that some customer has. One stranger in more than a hundred thousand is taken for one.
#[derive(Debug)]
pub(crate) struct Seen([Filter; 2]);

impl Seen {
    pub(crate) fn new(rows: u64) -> Self {
        let hashes = usize::try_from(rows).unwrap_or(usize::MAX / 8).saturating_mul(2);
        Self([Filter::new(hashes), Filter::new(hashes)])
    }

    /// Adds a hash; whether it may have been there before.
    pub(crate) fn add(&self, hash: u64) -> bool {
        let (first, second) = (self.0[0].add(hash), self.0[1].add(another(hash)));
        first && second
    }

    /// Whether a hash may have been added.
    #[cfg(test)]
    fn has(&self, hash: u64) -> bool {
        self.0[0].has(hash) && self.0[1].has(another(hash))
    }
}

/// A second hash, made of the first.
fn another(hash: u64) -> u64 {
    let other = hash.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    other ^ (other >> 31)
}

/// Where a customer's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// Of the customer's id.
    hash: u64,
    /// When the next thing happens that its rows speak of; then its figures may change without a new row.
    next_at: i64,
    offset: u64,
    file: u32,
    length: u32,
}

/// The hash under which a customer's rows are kept.
fn customer_hash(customer_id: &str) -> u64 {
    hash_of("", customer_id)
}

/// The first instant from `now` on that a customer's rows speak of. Stretches begin and end at no others.
fn next_at(states: &[State], rules: &Rules, now: i64) -> i64 {
    let of = |state: &State| {
        let since = state.past_due_at.unwrap_or(state.valid_from);
        let dropped_at = rules
            .past_due_micros
            .filter(|_| state.status == text::PAST_DUE)
            .map(|micros| since.saturating_add(micros));
        let instants = [
            Some(state.valid_from),
            Some(state.recorded_at),
            state.trial_ends_at,
            state.cancel_at,
            state.repeating_ends_at,
            state.once_ends_at,
            state.first_paid_at,
            dropped_at,
        ];
        instants.into_iter().flatten().filter(|at| *at >= now).min()
    };
    states.iter().filter_map(of).min().unwrap_or(i64::MAX)
}

/// Writes down the customers that one thread sees.
#[derive(Debug)]
pub(crate) struct Keeper {
    file: BufWriter<File>,
    offset: u64,
    entries: Vec<Entry>,
    entangled: HashSet<u64>,
    seqs: RoaringTreemap,
}

impl Keeper {
    pub(crate) fn new(dir: &Path) -> Result<Self, MovementError> {
        let file = tempfile::tempfile_in(dir).map_err(failed)?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, file),
            offset: 0,
            entries: Vec::new(),
            entangled: HashSet::new(),
            seqs: RoaringTreemap::new(),
        })
    }

    /// Writes down a customer's rows.
    pub(crate) fn keep(&mut self, group: &Group, seen: &Seen, rules: &Rules, now: i64) -> Result<(), MovementError> {
        for state in &group.states {
            self.seqs.insert(u64::try_from(state.arrival_seq).map_err(failed)?);
            seen.add(state.record_hash);
            seen.add(state.item_hash);
        }
        let customer_id = group.customers.first().map_or("", String::as_str);
        let bytes = packed(group)?;
        self.file.write_all(&bytes).map_err(failed)?;
        self.entries.push(Entry {
            hash: customer_hash(customer_id),
            next_at: next_at(&group.states, rules, now),
            offset: self.offset,
            file: 0,
            length: u32::try_from(bytes.len()).map_err(failed)?,
        });
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Marks the customer as one of several who share an item.
    pub(crate) fn entangle(&mut self, group: &Group) {
        let hashes = group.customers.iter().map(|customer_id| customer_hash(customer_id));
        self.entangled.extend(hashes);
    }
}

fn packed(group: &Group) -> Result<Vec<u8>, MovementError> {
    let bytes = postcard::to_stdvec(group).map_err(failed)?;
    Ok(lz4_flex::block::compress_prepend_size(&bytes))
}

/// All customers' rows.
#[derive(Debug)]
pub(crate) struct Kept {
    files: Vec<File>,
    /// Where in the last file more is written.
    end: u64,
    /// What all rows took when they were written first.
    bytes: u64,
    /// In the order of the hashes.
    entries: Vec<Entry>,
    entangled: HashSet<u64>,
    /// The arrival numbers of the rows.
    pub(crate) seqs: RoaringTreemap,
    pub(crate) seen: Seen,
}

impl Kept {
    /// Puts together what several threads have written; none where two customers have one hash.
    pub(crate) fn new(keepers: Vec<Keeper>, seen: Seen, dir: &Path) -> Result<Option<Self>, MovementError> {
        let mut kept = Self {
            files: Vec::with_capacity(keepers.len() + 1),
            end: 0,
            bytes: 0,
            entries: Vec::new(),
            entangled: HashSet::new(),
            seqs: RoaringTreemap::new(),
            seen,
        };
        for keeper in keepers {
            let file = u32::try_from(kept.files.len()).map_err(failed)?;
            kept.bytes += keeper.offset;
            kept.files.push(keeper.file.into_inner().map_err(failed)?);
            kept.entries
                .extend(keeper.entries.into_iter().map(|entry| Entry { file, ..entry }));
            kept.entangled.extend(keeper.entangled);
            kept.seqs |= keeper.seqs;
        }
        kept.files.push(tempfile::tempfile_in(dir).map_err(failed)?);
        kept.entries.sort_unstable_by_key(|entry| entry.hash);
        let collides = kept.entries.windows(2).any(|pair| pair[0].hash == pair[1].hash);
        Ok((!collides).then_some(kept))
    }

    fn place(&self, hash: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&hash, |entry| entry.hash)
    }

    /// Whether a customer shares an item with another.
    pub(crate) fn is_entangled(&self, customer_id: &str) -> bool {
        self.entangled.contains(&customer_hash(customer_id))
    }

    /// A customer's rows; none of a customer who is not there.
    pub(crate) fn of(&self, customer_id: &str, texts: &Texts) -> Result<Option<Group>, MovementError> {
        match self.place(customer_hash(customer_id)) {
            Ok(place) => self.read(&self.entries[place], texts).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The rows of the customers of whom something happens by then; none where there are more than so many.
    pub(crate) fn due_by(&self, at: i64, most: usize, texts: &Texts) -> Result<Option<Vec<Group>>, MovementError> {
        let due: Vec<&Entry> = self.entries.iter().filter(|entry| entry.next_at <= at).collect();
        if due.len() > most {
            return Ok(None);
        }
        due.into_iter()
            .map(|entry| self.read(entry, texts))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Whether what replaced other rows takes more than all rows did at first.
    pub(crate) fn is_bloated(&self) -> bool {
        self.end > self.bytes.max(LEAST_BLOAT_BYTES)
    }

    fn read(&self, entry: &Entry, texts: &Texts) -> Result<Group, MovementError> {
        let mut bytes = vec![0; entry.length as usize];
        let file = self
            .files
            .get(entry.file as usize)
            .ok_or_else(|| failed("a file is missing"))?;
        file.read_exact_at(&mut bytes, entry.offset).map_err(failed)?;
        let bytes = lz4_flex::block::decompress_size_prepended(&bytes).map_err(failed)?;
        let mut group: Group = postcard::from_bytes(&bytes).map_err(failed)?;
        group.rehash(texts);
        Ok(group)
    }

    /// Writes down customers' rows anew.
    pub(crate) fn put(&mut self, groups: &[Group], rules: &Rules, now: i64) -> Result<(), MovementError> {
        let file = u32::try_from(self.files.len() - 1).map_err(failed)?;
        let mut fresh = Vec::new();
        let mut all = Vec::new();
        for group in groups {
            let customer_id = group.customers.first().map_or("", String::as_str);
            let bytes = packed(group)?;
            let entry = Entry {
                hash: customer_hash(customer_id),
                next_at: next_at(&group.states, rules, now),
                offset: self.end + all.len() as u64,
                file,
                length: u32::try_from(bytes.len()).map_err(failed)?,
            };
            all.extend_from_slice(&bytes);
            match self.place(entry.hash) {
                Ok(place) => self.entries[place] = entry,
                Err(_) => fresh.push(entry),
            }
        }
        if let Some(file) = self.files.last() {
            file.write_all_at(&all, self.end).map_err(failed)?;
        }
        self.end += all.len() as u64;
        if !fresh.is_empty() {
            self.entries.extend(fresh);
            self.entries.sort_by_key(|entry| entry.hash);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_hardly_ever_taken_for_members() {
        let seen = Seen::new(200_000);
        for number in 0..50_000 {
            for state in 0..4 {
                seen.add(hash_of("import", &format!("si_{number}_0_{state}")));
            }
            seen.add(hash_of("import", &format!("si_{number}_0")));
        }
        let strangers = |round: u32| {
            let hashes = (0..50_000).map(|number| hash_of("import", &format!("new_{number}_{round}")));
            hashes.filter(|hash| seen.has(*hash)).count()
        };
        let found: Vec<usize> = (0..10).map(strangers).collect();
        assert!(found.iter().sum::<usize>() < 5, "{found:?}");
    }
}
