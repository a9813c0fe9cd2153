use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc, Weekday};
use serde::{Deserialize, Serialize};

use crate::{ModelError, WeekStart};

/// The length of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// A calendar day of the home's zone (23 to 25 hours).
    Day,
    /// Seven days from the home's first day of the week.
    Week,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
    /// A calendar year.
    Year,
}

impl Grain {
    /// All grains, finest first.
    pub const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The name used on the command line, in the API and in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// Reads a name as [`Grain::name`] writes it.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        Self::ALL
            .into_iter()
            .find(|grain| grain.name() == text)
            .ok_or_else(|| ModelError::UnknownGrain(text.to_owned()))
    }

    /// First day of the period that holds `day`.
    pub fn start_of(self, day: NaiveDate, week_start: WeekStart) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => {
                let first = match week_start {
                    WeekStart::Monday => Weekday::Mon,
                    WeekStart::Sunday => Weekday::Sun,
                };
                day - Days::new(u64::from(day.weekday().days_since(first)))
            }
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Quarter => {
                let month = (day.month0() / 3) * 3 + 1;
                NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
            }
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1).unwrap_or(day),
        }
    }

    /// First day of the next period, for a day that starts one.
    pub fn next(self, start: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => start + Days::new(1),
            Self::Week => start + Days::new(7),
            Self::Month => start + Months::new(1),
            Self::Quarter => start + Months::new(3),
            Self::Year => start + Months::new(12),
        }
    }
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A half-open stretch of time, cut in the home's zone and kept as instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Its length.
    pub grain: Grain,
    /// Its first local day; the period's name.
    pub start_on: NaiveDate,
    /// The first local day after it.
    pub end_on: NaiveDate,
    /// The instant `start_on` begins; inside the period.
    pub starts_at: DateTime<Utc>,
    /// The instant `end_on` begins; outside the period.
    pub ends_at: DateTime<Utc>,
}

#[cfg(feature = "zones")]
/// Boundaries of days, weeks, months ... of a zone as instants. SQL joins these and never converts zones itself.
pub mod calendar {
    use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
    use chrono_tz::Tz;

    use super::{Grain, Period};
    use crate::{ModelError, WeekStart};

    /// Reads an IANA zone name.
    pub fn parse_zone(name: &str) -> Result<Tz, ModelError> {
        name.parse().map_err(|_| ModelError::UnknownZone(name.to_owned()))
    }

    /// The instant at which a local day begins. Where midnight does not exist (clocks jump over it) the day begins at
    /// the first instant after the gap; where it exists twice, at the earlier one.
    pub fn day_starts_at(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(chrono::NaiveTime::MIN);
        (0..=24 * 4)
            .map(|quarters| midnight + TimeDelta::minutes(15 * quarters))
            .find_map(|local| zone.from_local_datetime(&local).earliest())
            .map_or_else(|| midnight.and_utc(), |local| local.with_timezone(&Utc))
    }

    /// The local day of an instant.
    pub fn day_of(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&zone).date_naive()
    }

    /// The period of `grain` that holds `day`.
    pub fn period_of(zone: Tz, week_start: WeekStart, grain: Grain, day: NaiveDate) -> Period {
        let start_on = grain.start_of(day, week_start);
        let end_on = grain.next(start_on);
        Period {
            grain,
            start_on,
            end_on,
            starts_at: day_starts_at(zone, start_on),
            ends_at: day_starts_at(zone, end_on),
        }
    }

    /// Every period that overlaps the days `[from, to)`, in order and without gaps.
    pub fn periods(
        zone: Tz,
        week_start: WeekStart,
        grain: Grain,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<Period>, ModelError> {
        if from >= to {
            return Err(ModelError::EmptyRange { from, to });
        }
        let mut periods = vec![period_of(zone, week_start, grain, from)];
        while let Some(last) = periods.last().copied()
            && last.end_on < to
        {
            periods.push(period_of(zone, week_start, grain, last.end_on));
        }
        Ok(periods)
    }
}

#[cfg(all(test, feature = "zones"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use chrono::Timelike;
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_of_a_clock_change_have_23_and_25_hours() {
        let zone = calendar::parse_zone("Europe/Madrid").unwrap();
        let hours = |text| {
            let period = calendar::period_of(zone, WeekStart::Monday, Grain::Day, day(text));
            (period.ends_at - period.starts_at).num_hours()
        };
        assert_eq!(
            (hours("2026-03-29"), hours("2026-10-25"), hours("2026-06-01")),
            (23, 25, 24)
        );
    }

    #[test]
    fn a_day_without_midnight_begins_after_the_gap() {
        // Asunción jumped from 00:00 to 01:00 on 2023-10-01.
        let zone = calendar::parse_zone("America/Asuncion").unwrap();
        let start = calendar::day_starts_at(zone, day("2023-10-01"));
        assert_eq!(start.with_timezone(&zone).hour(), 1);
    }

    #[test]
    fn weeks_start_where_the_home_says() {
        let sunday = day("2026-11-15");
        assert_eq!(Grain::Week.start_of(sunday, WeekStart::Monday), day("2026-11-09"));
        assert_eq!(Grain::Week.start_of(sunday, WeekStart::Sunday), sunday);
    }

    #[test]
    fn an_unknown_zone_and_an_empty_range_are_errors() {
        assert!(calendar::parse_zone("Europe/Madird").is_err());
        let zone = calendar::parse_zone("UTC").unwrap();
        assert!(
            calendar::periods(
                zone,
                WeekStart::Monday,
                Grain::Day,
                day("2026-01-02"),
                day("2026-01-02")
            )
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn periods_tile_time_without_gap_or_overlap(offset in 0_u64..20_000, length in 1_u64..400, grain in 0_usize..5, zone in 0_usize..4) {
            let zone = ["Europe/Madrid", "America/Asuncion", "America/Sao_Paulo", "Pacific/Apia"][zone];
            let zone = calendar::parse_zone(zone).unwrap();
            let from = day("1990-01-01") + Days::new(offset);
            let to = from + Days::new(length);
            let periods = calendar::periods(zone, WeekStart::Monday, Grain::ALL[grain], from, to).unwrap();
            prop_assert!(periods[0].start_on <= from && periods[periods.len() - 1].end_on >= to);
            for pair in periods.windows(2) {
                prop_assert_eq!(pair[0].ends_at, pair[1].starts_at);
                prop_assert_eq!(pair[0].end_on, pair[1].start_on);
            }
            for period in &periods {
                prop_assert!(period.starts_at <= period.ends_at);
                prop_assert_eq!(calendar::day_of(zone, period.starts_at), period.start_on.max(calendar::day_of(zone, period.starts_at)));
            }
        }
    }
}
