//! Money going out: advertising by channel and day, costs by category and month, and the exchange rates of it all.

use chrono::{Datelike, Days, NaiveTime};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    Company, DemoError,
    files::{Files, instant},
    market::{demand, rates},
};

pub(crate) fn write(company: &Company, files: &mut Files) -> Result<(), DemoError> {
    let start = company.start_on();
    let today = company.until.date_naive();
    let known = |day: chrono::NaiveDate| {
        instant(
            (day + Days::new(1))
                .and_time(NaiveTime::MIN)
                .and_utc()
                .min(company.until),
        )
    };
    for (day, currency, rate_e12) in rates(company.seed, start - Days::new(14), today) {
        files.row(
            "fx_rates",
            &[&day.to_string(), currency, "USD", &rate_e12.to_string(), &known(day)],
        )?;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(company.seed ^ 0xAD_5BED);
    let mut day = start;
    while day < today {
        let index = u32::try_from((day - start).num_days() / 30).unwrap_or(0);
        let scale = i64::from(demand(index, day.month())) * i64::from(company.customers.max(1)) / 5_000;
        for (channel, campaign, dollars_percent) in [
            ("google_ads", "search_brand", 30),
            ("google_ads", "search_generic", 70),
            ("meta_ads", "lookalike", 85),
            ("webinar", "live_weekly", 25),
        ] {
            let noise: i64 = rng.random_range(75..125);
            let amount_minor = scale * dollars_percent * noise / 10_000;
            files.row(
                "ad_spend",
                &[
                    &day.to_string(),
                    channel,
                    campaign,
                    &amount_minor.to_string(),
                    "USD",
                    &known(day),
                ],
            )?;
        }
        if day.day() == 1 {
            for (category, dollars, role) in [
                ("payroll", 42_000, "research"),
                ("cloud", 6_500, "cogs"),
                ("tools", 2_800, "general"),
                ("support", 5_200, "cogs"),
                ("office", 1_900, "general"),
                ("sales_payroll", 9_000, "sales_team"),
            ] {
                let amount_minor = (dollars * (100 + i64::from(index) * 2)) * rng.random_range(95..106) / 100;
                files.row(
                    "expenses",
                    &[
                        &day.to_string(),
                        category,
                        &amount_minor.to_string(),
                        "USD",
                        role,
                        &known(day),
                    ],
                )?;
            }
        }
        day = day + Days::new(1);
    }
    Ok(())
}
