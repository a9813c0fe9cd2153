use serde::{Deserialize, Serialize};

use crate::text::{NONE, Texts};

/// A text of a group: where it stands in the group's own bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Span {
    from: u32,
    to: u32,
}

/// Percent and amount off.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Discount {
    pub(crate) ppm: i64,
    pub(crate) minor: i64,
}

/// One version of one state of a subscription item, as its row says. Instants are microseconds; recurring texts are numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// Whose it is: a place in the group.
    pub(crate) customer: u32,
    pub(crate) source: u32,
    pub(crate) record_key: Span,
    #[serde(skip)]
    pub(crate) record_hash: u64,
    pub(crate) item: Span,
    #[serde(skip)]
    pub(crate) item_hash: u64,
    /// Only where a scan shows it.
    pub(crate) subscription: Option<Span>,
    pub(crate) record_version: i64,
    pub(crate) recorded_at: i64,
    pub(crate) arrival_seq: i64,
    pub(crate) is_deleted: bool,
    pub(crate) product: u32,
    pub(crate) plan: u32,
    pub(crate) currency: u32,
    pub(crate) status: u32,
    pub(crate) interval: u32,
    pub(crate) interval_count: i64,
    pub(crate) quantity: i64,
    pub(crate) unit_price_minor: i64,
    pub(crate) tier_mode: u32,
    pub(crate) price_id: u32,
    pub(crate) is_licensed: bool,
    pub(crate) is_collection_paused: bool,
    pub(crate) forever: Discount,
    pub(crate) repeating: Discount,
    pub(crate) repeating_ends_at: Option<i64>,
    pub(crate) once: Discount,
    pub(crate) once_ends_at: Option<i64>,
    pub(crate) tax_ppm: i64,
    pub(crate) valid_from: i64,
    pub(crate) trial_ends_at: Option<i64>,
    pub(crate) cancel_at: Option<i64>,
    pub(crate) cancel_reason: u32,
    pub(crate) past_due_at: Option<i64>,
    pub(crate) first_paid_at: Option<i64>,
}

/// The rows of customers that must be seen together: one customer, or several where an item changed hands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) customers: Vec<String>,
    pub(crate) states: Vec<State>,
    bytes: Vec<u8>,
}

impl Group {
    /// A customer without rows yet.
    pub(crate) fn of(customer_id: &str) -> Self {
        Self {
            customers: vec![customer_id.to_owned()],
            ..Self::default()
        }
    }

    pub(crate) fn clear(&mut self) {
        self.customers.clear();
        self.states.clear();
        self.bytes.clear();
    }

    pub(crate) fn keep(&mut self, text: &str) -> Span {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        // A group of four gigabytes would not have fitted into memory before.
        let place = |index: usize| u32::try_from(index).unwrap_or(NONE);
        Span {
            from: place(from),
            to: place(self.bytes.len()),
        }
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes[span.from as usize..span.to as usize]
    }

    /// Takes over the rows of another group.
    pub(crate) fn append(&mut self, other: &Self) {
        let customers = u32::try_from(self.customers.len()).unwrap_or(NONE);
        let bytes = u32::try_from(self.bytes.len()).unwrap_or(NONE);
        self.customers.extend(other.customers.iter().cloned());
        self.bytes.extend_from_slice(&other.bytes);
        let moved = |span: Span| Span {
            from: span.from + bytes,
            to: span.to + bytes,
        };
        self.states.extend(other.states.iter().map(|state| State {
            customer: state.customer + customers,
            record_key: moved(state.record_key),
            item: moved(state.item),
            subscription: state.subscription.map(moved),
            ..state.clone()
        }));
    }

    /// Takes over more rows of the same customer.
    pub(crate) fn join(&mut self, more: &Self) {
        let first = self.states.len();
        self.append(more);
        self.customers.truncate(1);
        for state in &mut self.states[first..] {
            state.customer = 0;
        }
    }

    /// Computes the hashes of its items and records, which are not written down.
    pub(crate) fn rehash(&mut self, texts: &Texts) {
        let Self { states, bytes, .. } = self;
        let text = |span: Span| std::str::from_utf8(&bytes[span.from as usize..span.to as usize]).unwrap_or_default();
        for state in states {
            let source = texts.get(state.source).unwrap_or("");
            state.record_hash = hash_of(source, text(state.record_key));
            state.item_hash = hash_of(source, text(state.item));
        }
    }

    /// Leaves of every record its newest version, unless that takes it back; then orders by item and time.
    ///
    /// Both orders are the definitions': total, so that nothing hangs on files or threads.
    pub(crate) fn settle(&mut self, order: &mut Vec<u32>) {
        let Self { states, bytes, .. } = self;
        let text = |span: Span| &bytes[span.from as usize..span.to as usize];
        let count = u32::try_from(states.len()).unwrap_or(NONE);
        order.clear();
        order.extend(0..count);
        let at = |index: u32| &states[index as usize];
        let record = |left: &State, right: &State| {
            (left.record_hash, left.source)
                .cmp(&(right.record_hash, right.source))
                .then_with(|| text(left.record_key).cmp(text(right.record_key)))
        };
        order.sort_unstable_by(|&left, &right| {
            let (left, right) = (at(left), at(right));
            record(left, right).then_with(|| {
                let rank = |state: &State| (state.record_version, state.recorded_at, state.arrival_seq);
                rank(right).cmp(&rank(left))
            })
        });
        order.dedup_by(|later, first| record(at(*later), at(*first)).is_eq());
        order.retain(|&index| !at(index).is_deleted);
        order.sort_unstable_by(|&left, &right| {
            let (left, right) = (at(left), at(right));
            (left.item_hash, left.source)
                .cmp(&(right.item_hash, right.source))
                .then_with(|| text(left.item).cmp(text(right.item)))
                .then_with(|| {
                    let rank = |state: &State| (state.valid_from, state.record_version, state.arrival_seq);
                    rank(left).cmp(&rank(right))
                })
                .then_with(|| text(left.record_key).cmp(text(right.record_key)))
        });
    }

    /// Whether two states are of one item.
    pub(crate) fn same_item(&self, left: &State, right: &State) -> bool {
        left.item_hash == right.item_hash
            && left.source == right.source
            && self.bytes(left.item) == self.bytes(right.item)
    }
}

/// A hash of a text within a source: the same in every pass and every file. Keys are much alike and there are many: each
/// word is multiplied into 128 bits and folded, or a million of them would collide now and then.
pub(crate) fn hash_of(source: &str, text: &str) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    const SEED: u64 = 0x2d35_8dcc_aa6c_78a5;
    let fold = |left: u64, right: u64| {
        let product = u128::from(left) * u128::from(right);
        left.wrapping_mul(right) ^ u64::try_from(product >> 64).unwrap_or(0)
    };
    let mut hash = SEED;
    let mut add = |word: u64| hash = fold(hash ^ word, MULTIPLIER).rotate_left(23) ^ SEED;
    for part in [source, text] {
        let (words, rest) = part.as_bytes().as_chunks::<8>();
        for word in words {
            add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(u64::from_le_bytes(last));
        add(part.len() as u64);
    }
    fold(hash, SEED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn keys_that_are_much_alike_do_not_collide() {
        let mut seen: HashMap<u64, String> = HashMap::new();
        for number in 0..100_000 {
            for key in [
                format!("si_{number}_0"),
                format!("si_{number}_0_1"),
                format!("new_{number}_5"),
                format!("cus_{number:08}"),
                format!("in_1P{number:06}EmZ7y"),
            ] {
                if let Some(other) = seen.insert(hash_of("import", &key), key.clone()) {
                    panic!("{other} and {key} have one hash");
                }
            }
        }
    }
}
