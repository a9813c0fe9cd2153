use std::{collections::HashMap, hash::Hash};

/// Keys looked through one by one; beyond, a map is faster.
const FEW: usize = 16;

/// Keys in the order in which they came, each with its place. A customer has a few of them, now and then one has thousands.
#[derive(Debug)]
pub(crate) struct Places<K> {
    keys: Vec<K>,
    /// Filled only beyond [`FEW`].
    places: HashMap<K, usize>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Places<K> {
    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.places.clear();
    }

    /// The place of a key, which is the last one when it is new.
    pub(crate) fn of(&mut self, key: K) -> usize {
        let known = if self.places.is_empty() {
            self.keys.iter().position(|known| *known == key)
        } else {
            self.places.get(&key).copied()
        };
        if let Some(place) = known {
            return place;
        }
        self.keys.push(key);
        if self.keys.len() > FEW {
            if self.places.is_empty() {
                self.places.extend(self.keys.iter().copied().zip(0..));
            } else {
                self.places.insert(key, self.keys.len() - 1);
            }
        }
        self.keys.len() - 1
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_same_for_few_and_for_many() {
        let mut places = Places::default();
        for round in 0..2 {
            for key in 0..100_u32 {
                assert_eq!(places.of(key * 7), key as usize, "round {round}");
            }
        }
        assert_eq!(places.keys().len(), 100);
        places.clear();
        assert_eq!((places.of(5), places.of(9), places.of(5)), (0, 1, 0));
        assert_eq!(places.keys(), [5, 9]);
    }
}
