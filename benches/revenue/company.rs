//! A company of any size, the same for the same size: files as a user would import them.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context as _;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// A small generator of numbers: the same from run to run and from machine to machine.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or(0)]
    }
}

/// Columns of the states that are written.
pub(crate) const HEADER: &str = "record_key,customer_id,subscription_id,item_id,product,plan,status,quantity,unit_price_minor,currency,interval,interval_count,discount_ppm,valid_from,cancel_at,cancel_reason";

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_default()
}

/// All states of a customer, 7.7 on average, over three years.
fn customer(number: u64, numbers: &mut Numbers, out: &mut impl Write) -> std::io::Result<u64> {
    let born_at =
        instant("2023-10-05T08:00:00Z") + TimeDelta::minutes(i64::try_from(numbers.below(3 * 525_600)).unwrap_or(0));
    let currency = numbers.one_of(&["EUR", "EUR", "USD", "MXN"]);
    let mut rows = 0;
    for item in 0..1 + numbers.below(3) {
        let (product, mut plan) = (
            numbers.one_of(&["course", "saas", "documents"]),
            numbers.one_of(&["basic", "pro", "scale"]),
        );
        let interval = numbers.one_of(&["month", "month", "month", "year", "week"]);
        let mut from = born_at + TimeDelta::days(i64::try_from(numbers.below(120)).unwrap_or(0));
        for state in 0..1 + numbers.below(7) {
            let status = match numbers.below(20) {
                0 => "paused",
                1 => "past_due",
                2 | 3 if state > 0 => "canceled",
                _ => "active",
            };
            if numbers.below(3) == 0 {
                plan = numbers.one_of(&["basic", "pro", "scale"]);
            }
            let discount = if numbers.below(6) == 0 { 200_000 } else { 0 };
            let at = from.format("%Y-%m-%dT%H:%M:%SZ");
            writeln!(
                out,
                "si_{number}_{item}_{state},cus_{number:08},sub_{number}_{item},si_{number}_{item},{product},{plan},{status},{},{},{currency},{interval},1,{discount},{at},,",
                1 + numbers.below(20),
                900 + 100 * numbers.below(90),
            )?;
            rows += 1;
            from += TimeDelta::minutes(i64::try_from(1 + numbers.below(200 * 1440)).unwrap_or(1));
        }
    }
    Ok(rows)
}

/// A new state of a customer's first item, as of the time of the benchmark.
pub(crate) fn change(number: u64, round: u64, numbers: &mut Numbers) -> String {
    let plan = numbers.one_of(&["basic", "pro", "scale"]);
    let status = numbers.one_of(&["active", "active", "active", "canceled"]);
    let (quantity, price) = (1 + numbers.below(20), 900 + 100 * numbers.below(90));
    let minute = numbers.below(60);
    format!(
        "new_{number}_{round},cus_{number:08},sub_{number}_0,si_{number}_0,saas,{plan},{status},{quantity},{price},EUR,month,1,0,2026-11-1{}T08:{minute:02}:00Z,,\n",
        round % 10,
    )
}

/// Writes `subscriptions.csv` and `fx_rates.csv`; the number of states.
pub(crate) fn write(dir: &Path, customers: u64) -> anyhow::Result<u64> {
    let path = dir.join("subscriptions.csv");
    let mut out = BufWriter::with_capacity(
        1 << 20,
        File::create(&path).with_context(|| path.display().to_string())?,
    );
    writeln!(out, "{HEADER}")?;
    let numbers = &mut Numbers::new(42);
    let mut rows = 0;
    // Customers do not come in the order of their names.
    let stride = 7_919;
    for place in 0..customers {
        rows += customer(place * stride % customers.max(1), numbers, &mut out)?;
    }
    out.flush()?;
    let mut out = BufWriter::new(File::create(dir.join("fx_rates.csv"))?);
    writeln!(out, "rate_on,currency,quote_currency,rate")?;
    let mut day: NaiveDate = "2023-09-01".parse()?;
    while day < "2026-11-30".parse()? {
        for (currency, about) in [("USD", 92), ("MXN", 5)] {
            writeln!(out, "{day},{currency},EUR,0.{about:02}{:04}", numbers.below(10_000))?;
        }
        day = day + Days::new(1);
    }
    out.flush()?;
    Ok(rows)
}
