use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use thiserror::Error;

use crate::{
    course, documents,
    files::{CustomerRow, Files},
    market::{CHANNELS, Market, demand, pick},
    saas, spend,
};

/// Why the files could not be written.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The operating system refused.
    #[error("write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row could not be written.
    #[error("write demo rows: {0}")]
    Csv(#[from] csv::Error),
}

/// Months of history.
const MONTHS: u32 = 36;

/// What the demo company is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Company {
    /// Fixes all chance.
    pub seed: u64,
    /// People who ever signed up.
    pub customers: u32,
    /// The first instant that has not happened yet: nothing is recorded at or after it.
    pub until: DateTime<Utc>,
}

/// One customer's chance and surroundings, handed to the products.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) market: Market,
    pub(crate) signed_up_at: DateTime<Utc>,
    pub(crate) until: DateTime<Utc>,
    pub(crate) rng: ChaCha8Rng,
}

impl Person {
    /// True with a chance of `per_mille` in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.rng.random_range(0..1000) < per_mille
    }

    /// When the source came to know of something: mostly within minutes, sometimes weeks later.
    pub(crate) fn recorded_at(&mut self, at: DateTime<Utc>) -> DateTime<Utc> {
        let delay = if self.chance(15) {
            TimeDelta::minutes(self.rng.random_range(24 * 60..30 * 24 * 60))
        } else {
            TimeDelta::seconds(self.rng.random_range(5..600))
        };
        at + delay
    }
}

impl Company {
    /// First day of the history: a month's first, three years before the last.
    pub fn start_on(&self) -> NaiveDate {
        let month = self.until.date_naive().with_day(1).unwrap_or_default();
        month - Months::new(MONTHS)
    }

    /// Writes the company's files into a folder and returns them with the kind each is to be imported as. `on_customer`
    /// hears how many customers are done.
    pub fn write(
        &self,
        dir: &Path,
        mut on_customer: impl FnMut(u32),
    ) -> Result<Vec<(PathBuf, &'static str)>, DemoError> {
        let mut files = Files::create(dir)?;
        self.each_customer(&mut files, &mut on_customer)?;
        spend::write(self, &mut files)?;
        files.finish()
    }

    pub(crate) fn each_customer(&self, files: &mut Files, on_customer: &mut dyn FnMut(u32)) -> Result<(), DemoError> {
        let start = self.start_on();
        let months: Vec<(u32, NaiveDate)> = (0..=MONTHS).map(|index| (index, start + Months::new(index))).collect();
        for number in 0..self.customers {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(number));
            let (_, month) = *pick(&mut rng, &months, |(index, month)| {
                let days = if *index == MONTHS {
                    self.until.date_naive().day()
                } else {
                    30
                };
                demand(*index, month.month()) * days / 30
            });
            let day = month + Days::new(rng.random_range(0..28));
            let second = rng.random_range(7 * 3600..22 * 3600);
            let signed_up_at = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(second);
            if signed_up_at >= self.until {
                continue;
            }
            let market = Market::choose(&mut rng);
            let (channel, _) = *pick(&mut rng, &CHANNELS, |(_, weight)| *weight);
            let mut person = Person {
                id: format!("cus_{number:07}"),
                market,
                signed_up_at,
                until: self.until,
                rng,
            };
            files.customer(&CustomerRow {
                person: &person,
                channel,
            })?;
            match person.rng.random_range(0..100) {
                0..=34 => course::live(&mut person, files)?,
                35..=79 => saas::live(&mut person, files)?,
                _ => documents::live(&mut person, files)?,
            }
            if number % 512 == 0 {
                on_customer(number);
            }
        }
        on_customer(self.customers);
        Ok(())
    }
}
