use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::Int32Type,
};

/// No text.
pub(crate) const NONE: u32 = u32::MAX;

/// Words the rules know, each with its number in every [`Texts`].
macro_rules! words {
    ($($name:ident = $number:literal $word:literal),+ $(,)?) => {
        $(pub(crate) const $name: u32 = $number;)+
        const WORDS: &[&str] = &[$($word),+];
    };
}

words! {
    ACTIVE = 0 "active", PAST_DUE = 1 "past_due", PAUSED = 2 "paused", UNPAID = 3 "unpaid",
    DAY = 4 "day", WEEK = 5 "week", MONTH = 6 "month", LICENSED = 7 "licensed",
    VOLUME = 8 "volume", GRADUATED = 9 "graduated", UPSERT = 10 "upsert",
    DELINQUENT = 11 "delinquent", MIGRATION = 12 "migration", PAUSE = 13 "pause", VOLUNTARY = 14 "voluntary",
}

/// Texts that recur from row to row, each kept once under a number that all threads of a pass share.
#[derive(Debug)]
pub(crate) struct SharedTexts(Mutex<Numbered>);

#[derive(Debug, Default)]
struct Numbered {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Numbered {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        let number = u32::try_from(self.texts.len()).unwrap_or(NONE);
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }
}

impl SharedTexts {
    pub(crate) fn new() -> Self {
        let mut numbered = Numbered::default();
        for word in WORDS {
            numbered.number(word);
        }
        Self(Mutex::new(numbered))
    }
}

/// A thread's own view of the texts, for reading without waiting.
#[derive(Debug)]
pub(crate) struct Texts {
    shared: Arc<SharedTexts>,
    known: Vec<Arc<str>>,
}

impl Texts {
    pub(crate) fn over(shared: &Arc<SharedTexts>) -> Self {
        let mut texts = Self {
            shared: Arc::clone(shared),
            known: Vec::new(),
        };
        texts.catch_up();
        texts
    }

    pub(crate) fn number(&mut self, text: &str) -> u32 {
        let number = self
            .shared
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .number(text);
        if number as usize >= self.known.len() {
            self.catch_up();
        }
        number
    }

    /// Learns what other threads have numbered meanwhile.
    pub(crate) fn catch_up(&mut self) {
        let numbered = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.known.extend(numbered.texts[self.known.len()..].iter().cloned());
    }

    /// The text of a number; none for [`NONE`].
    pub(crate) fn get(&self, number: u32) -> Option<&str> {
        self.known.get(number as usize).map(AsRef::as_ref)
    }
}

/// A column of recurring texts as numbers. A dictionary is translated when it changes, not row by row.
#[derive(Debug)]
pub(crate) struct TextColumn {
    name: &'static str,
    dictionary: Option<ArrayRef>,
    numbers: Vec<u32>,
    rows: Vec<u32>,
}

impl TextColumn {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            dictionary: None,
            numbers: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Turns to the next batch; a column it lacks has no texts.
    pub(crate) fn turn_to(&mut self, batch: &RecordBatch, texts: &mut Texts) {
        self.rows.clear();
        let column = batch
            .column_by_name(self.name)
            .and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let Some(column) = column else {
            return;
        };
        let values = column.values();
        // Each batch wraps the same bytes anew; while we hold them, nothing else can stand at their address.
        let bytes = |array: &ArrayRef| {
            let texts = array.as_string::<i32>();
            (texts.value_offsets().as_ptr(), texts.value_data().as_ptr(), texts.len())
        };
        if self
            .dictionary
            .as_ref()
            .is_none_or(|known| bytes(known) != bytes(values))
        {
            self.numbers.clear();
            let texts_of = values.as_string::<i32>().iter();
            self.numbers
                .extend(texts_of.map(|text| text.map_or(NONE, |text| texts.number(text))));
            self.dictionary = Some(Arc::clone(values));
        }
        let number = |key: Option<i32>| {
            let place = key.and_then(|key| usize::try_from(key).ok());
            place.and_then(|place| self.numbers.get(place)).copied().unwrap_or(NONE)
        };
        self.rows.extend(column.keys().iter().map(number));
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> u32 {
        self.rows.get(row).copied().unwrap_or(NONE)
    }
}
