//! Where customers live, what they pay in, and how rates and seasons move.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A country the company sells in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Market {
    pub(crate) country: &'static str,
    pub(crate) market: &'static str,
    pub(crate) currency: &'static str,
    /// Local price of one US dollar's worth, in major units, times 100.
    pub(crate) price_factor_percent: i64,
    weight: u32,
}

pub(crate) const MARKETS: [Market; 6] = [
    Market {
        country: "ES",
        market: "spain",
        currency: "EUR",
        price_factor_percent: 95,
        weight: 30,
    },
    Market {
        country: "MX",
        market: "latam",
        currency: "MXN",
        price_factor_percent: 1_800,
        weight: 25,
    },
    Market {
        country: "CO",
        market: "latam",
        currency: "COP",
        price_factor_percent: 400_000,
        weight: 15,
    },
    Market {
        country: "AR",
        market: "latam",
        currency: "ARS",
        price_factor_percent: 90_000,
        weight: 10,
    },
    Market {
        country: "PE",
        market: "latam",
        currency: "USD",
        price_factor_percent: 100,
        weight: 10,
    },
    Market {
        country: "US",
        market: "other",
        currency: "USD",
        price_factor_percent: 100,
        weight: 10,
    },
];

pub(crate) const CHANNELS: [(&str, u32); 6] = [
    ("google_ads", 28),
    ("meta_ads", 24),
    ("webinar", 18),
    ("organic", 16),
    ("referral", 9),
    ("partner", 5),
];

/// How much of a year's demand falls on a month, in percent of an even share: summers and December are slow, January
/// and September strong.
const SEASON_PERCENT: [u32; 12] = [125, 108, 104, 98, 100, 92, 80, 70, 122, 112, 108, 81];

/// Weight of a month `index` months after the start: demand grows and follows the seasons.
pub(crate) fn demand(index: u32, month: u32) -> u32 {
    (100 + 9 * index) * SEASON_PERCENT[(month as usize - 1) % 12]
}

pub(crate) fn pick<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
    let total: u32 = choices.iter().map(&weight).sum();
    let mut left = rng.random_range(0..total.max(1));
    for choice in choices {
        let own = weight(choice);
        if left < own {
            return choice;
        }
        left -= own;
    }
    &choices[choices.len() - 1]
}

impl Market {
    pub(crate) fn choose(rng: &mut ChaCha8Rng) -> Self {
        *pick(rng, &MARKETS, |market| market.weight)
    }

    /// The list price here of what costs `dollars` in the United States, in minor units, rounded to a pretty price.
    pub(crate) fn price_minor(self, dollars: i64) -> i64 {
        let major = dollars * self.price_factor_percent / 100;
        let pretty = match major {
            0..=999 => major,
            1_000..=9_999 => major / 10 * 10 - 1,
            _ => major / 1_000 * 1_000 - 100,
        };
        pretty.max(1) * 100
    }
}

/// Daily rates to the dollar in units of 10^-12, on working days only, as a central bank publishes them.
pub(crate) fn rates(seed: u64, from: NaiveDate, to: NaiveDate) -> Vec<(NaiveDate, &'static str, i64)> {
    let mut found = Vec::new();
    for (index, (currency, start_e12, drift_ppm)) in [
        ("EUR", 1_085_000_000_000_i64, 20_i64),
        ("MXN", 56_500_000_000, -60),
        ("COP", 251_000_000, -30),
        ("ARS", 1_250_000_000, -700),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (0xF0_0000 + index as u64));
        let mut rate = start_e12;
        let mut day = from;
        while day < to {
            if !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
                found.push((day, currency, rate));
                let shock_ppm = rng.random_range(-4_500..=4_500) + drift_ppm;
                rate += rate / 1_000_000 * shock_ppm;
            }
            day = day + Days::new(1);
        }
    }
    found
}
