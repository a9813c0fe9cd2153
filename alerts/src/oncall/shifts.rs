//! From turns, windows and overrides to who is on call when, across every change of the clocks.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::Rotation;

/// From a moment until another, exclusively.
pub(super) type Span = (DateTime<Utc>, DateTime<Utc>);

/// Somebody's time on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Who.
    pub person: String,
    /// From when.
    pub from_at: DateTime<Utc>,
    /// Until when, exclusively.
    pub to_at: DateTime<Utc>,
    /// Whether they stand in for somebody.
    pub is_override: bool,
}

/// A local time as an instant. What the clocks skip is the moment they jump; what they show twice is the first of both.
pub(crate) fn instant(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        chrono::LocalResult::Single(at) | chrono::LocalResult::Ambiguous(at, _) => at.to_utc(),
        chrono::LocalResult::None => {
            // Zones jump by whole minutes, and by no more than a day.
            let skipped = (1..=24 * 60).find_map(|minutes| {
                let later = local + TimeDelta::minutes(minutes);
                zone.from_local_datetime(&later).earliest()
            });
            skipped.map_or_else(|| local.and_utc(), |at| at.to_utc())
        }
    }
}

impl Rotation {
    /// When the turn that begins on a day begins.
    fn begins(&self, on: NaiveDate) -> DateTime<Utc> {
        instant(self.zone, on.and_time(self.hands_over_at))
    }

    /// Who is on call at a moment.
    pub fn shift_at(&self, at: DateTime<Utc>) -> Option<Shift> {
        let shifts = self.shifts(at, at + TimeDelta::microseconds(1));
        shifts.into_iter().next()
    }

    /// Everybody's time on call between two moments, in order; nobody's times overlap.
    pub fn shifts(&self, from_at: DateTime<Utc>, to_at: DateTime<Utc>) -> Vec<Shift> {
        let mut found = Vec::new();
        for turn in self.turns(from_at, to_at) {
            for (begin, end) in self.held(turn.from_at, turn.to_at) {
                let mut free = vec![(begin, end)];
                for instead in &self.overrides {
                    free = free
                        .into_iter()
                        .flat_map(|(begin, end)| {
                            let before = (begin, end.min(instead.from_at));
                            let after = (begin.max(instead.to_at), end);
                            [before, after].into_iter().filter(|(begin, end)| begin < end)
                        })
                        .collect();
                }
                found.extend(free.into_iter().map(|(from_at, to_at)| Shift {
                    person: turn.person.clone(),
                    from_at,
                    to_at,
                    is_override: false,
                }));
            }
        }
        for instead in &self.overrides {
            let (begin, end) = (instead.from_at.max(from_at), instead.to_at.min(to_at));
            if begin < end {
                found.push(Shift {
                    person: instead.person.clone(),
                    from_at: begin,
                    to_at: end,
                    is_override: true,
                });
            }
        }
        found.sort_by_key(|shift| shift.from_at);
        found
    }

    /// Turns between two moments, cut to them.
    fn turns(&self, from_at: DateTime<Utc>, to_at: DateTime<Utc>) -> Vec<Shift> {
        let every = i64::from(self.every_days.max(1));
        let first_on = from_at.with_timezone(&self.zone).date_naive();
        // One turn earlier: it may have begun before.
        let mut number = ((first_on - self.starts_on).num_days().div_euclid(every) - 1).max(0);
        let mut found = Vec::new();
        loop {
            let days = |number: i64| u64::try_from(number * every).unwrap_or(0);
            let (begin, end) = (
                self.begins(self.starts_on + Days::new(days(number))),
                self.begins(self.starts_on + Days::new(days(number + 1))),
            );
            if begin >= to_at {
                return found;
            }
            let people = i64::try_from(self.people.len()).unwrap_or(1).max(1);
            let whose = usize::try_from(number % people).unwrap_or(0);
            let (begin, end) = (begin.max(from_at), end.min(to_at));
            if let Some(person) = self.people.get(whose).filter(|_| begin < end) {
                found.push(Shift {
                    person: person.clone(),
                    from_at: begin,
                    to_at: end,
                    is_override: false,
                });
            }
            number += 1;
        }
    }

    /// The parts of a time that lie in the windows; all of it where there are none.
    fn held(&self, from_at: DateTime<Utc>, to_at: DateTime<Utc>) -> Vec<Span> {
        if self.windows.is_empty() {
            return vec![(from_at, to_at)];
        }
        let first = from_at.with_timezone(&self.zone).date_naive() - Days::new(1);
        let last = to_at.with_timezone(&self.zone).date_naive();
        let mut parts: Vec<Span> = Vec::new();
        for day in first.iter_days().take_while(|day| *day <= last) {
            for window in self
                .windows
                .iter()
                .filter(|window| window.days.contains(&day.weekday()))
            {
                let ends_on = if window.to <= window.from {
                    day + Days::new(1)
                } else {
                    day
                };
                let begin = instant(self.zone, day.and_time(window.from)).max(from_at);
                let end = instant(self.zone, ends_on.and_time(window.to)).min(to_at);
                if begin < end {
                    parts.push((begin, end));
                }
            }
        }
        parts.sort();
        join(parts)
    }
}

/// The same time without what is told twice.
pub(super) fn join(sorted: Vec<Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for (begin, end) in sorted {
        match joined.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((begin, end)),
        }
    }
    joined
}

/// Seconds of a time that are night (22 to 8) in a zone.
pub(super) fn night_secs(zone: Tz, from_at: DateTime<Utc>, to_at: DateTime<Utc>) -> i64 {
    let at = |day: NaiveDate, hour| {
        instant(
            zone,
            day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default()),
        )
    };
    let first = from_at.with_timezone(&zone).date_naive() - Days::new(1);
    let last = to_at.with_timezone(&zone).date_naive();
    let nights = first.iter_days().take_while(|day| *day <= last);
    nights
        .map(|day| {
            (at(day + Days::new(1), 8).min(to_at) - at(day, 22).max(from_at))
                .num_seconds()
                .max(0)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oncall::{Override, Window};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn local(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_clocks_skip_or_show_twice_has_one_instant() {
        let madrid = chrono_tz::Europe::Madrid;
        assert_eq!(
            instant(madrid, local("2026-03-29T02:30:00")),
            at("2026-03-29T01:00:00Z")
        );
        assert_eq!(
            instant(madrid, local("2026-10-25T02:30:00")),
            at("2026-10-25T00:30:00Z")
        );
        // Where summer time begins at midnight, and where a whole day was left out.
        let santiago = chrono_tz::America::Santiago;
        assert_eq!(
            instant(santiago, local("2026-09-06T00:00:00")),
            at("2026-09-06T04:00:00Z")
        );
        let apia = chrono_tz::Pacific::Apia;
        assert_eq!(instant(apia, local("2011-12-30T09:00:00")), at("2011-12-30T10:00:00Z"));
    }

    fn rotation(zone: Tz, first: i64, hand_over: u32, every_days: u32) -> Rotation {
        Rotation {
            id: "primary".to_owned(),
            people: ["ana", "bo", "cy"].map(str::to_owned).to_vec(),
            starts_on: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + Days::new(u64::try_from(first).unwrap()),
            hands_over_at: NaiveTime::from_num_seconds_from_midnight_opt(hand_over * 900, 0).unwrap(),
            every_days,
            zone,
            windows: Vec::new(),
            overrides: Vec::new(),
        }
    }

    fn zones() -> impl Strategy<Value = Tz> {
        prop::sample::select(vec![
            chrono_tz::Europe::Madrid,
            chrono_tz::America::Bogota,
            chrono_tz::America::Santiago,
            chrono_tz::America::New_York,
            chrono_tz::Australia::Lord_Howe,
            chrono_tz::Africa::Casablanca,
        ])
    }

    fn rotations() -> impl Strategy<Value = Rotation> {
        let window = (0_u32..96, 0_u32..96, prop::collection::vec(0_u8..7, 1..6)).prop_map(|(from, to, days)| Window {
            days: days
                .into_iter()
                .map(|day| chrono::Weekday::try_from(day).unwrap())
                .collect(),
            from: NaiveTime::from_num_seconds_from_midnight_opt(from * 900, 0).unwrap(),
            to: NaiveTime::from_num_seconds_from_midnight_opt(to * 900, 0).unwrap(),
        });
        let windows = prop::collection::vec(window, 0..3);
        // Gaps and lengths in hours: they cannot overlap.
        let overrides = prop::collection::vec((1_i64..900, 1_i64..200), 0..6);
        let plain = (zones(), 0_i64..60, 0_u32..96, 1_u32..15);
        (plain, windows, overrides).prop_map(|((zone, first, hand_over, every_days), windows, overrides)| {
            let mut made = rotation(zone, first, hand_over, every_days);
            made.windows = windows;
            let mut reached = at("2026-01-01T00:00:00Z");
            for (gap, length) in overrides {
                let from_at = reached + TimeDelta::hours(gap);
                reached = from_at + TimeDelta::hours(length);
                made.overrides.push(Override {
                    person: "dee".to_owned(),
                    from_at,
                    to_at: reached,
                });
            }
            made
        })
    }

    proptest! {
        #[test]
        fn nobody_s_times_overlap_and_every_moment_says_the_same(
            rotation in rotations(), from in 0_i64..5_000, hours in 1_i64..4_000, moments in prop::collection::vec(0.0_f64..1.0, 20),
        ) {
            let from_at = at("2026-01-01T00:00:00Z") + TimeDelta::hours(from);
            let to_at = from_at + TimeDelta::hours(hours);
            let shifts = rotation.shifts(from_at, to_at);
            for shift in &shifts {
                prop_assert!(shift.from_at < shift.to_at && shift.from_at >= from_at && shift.to_at <= to_at);
            }
            for pair in shifts.windows(2) {
                prop_assert!(pair[0].to_at <= pair[1].from_at, "{pair:?}");
            }
            for moment in moments {
                #[allow(clippy::cast_possible_truncation, reason = "some moment")]
                let moment = from_at + TimeDelta::seconds((moment * (hours * 3600) as f64) as i64);
                let there = shifts.iter().find(|shift| shift.from_at <= moment && moment < shift.to_at);
                let said = rotation.shift_at(moment);
                prop_assert_eq!(there.map(|shift| &shift.person), said.as_ref().map(|shift| &shift.person));
                let instead = rotation.overrides.iter().any(|one| one.from_at <= moment && moment < one.to_at);
                prop_assert_eq!(said.is_some_and(|shift| shift.is_override), instead);
            }
        }

        #[test]
        fn without_windows_somebody_is_always_on_call_and_turns_begin_at_the_local_hour(
            zone in zones(), hand_over in 0_u32..96, every_days in 1_u32..15, hours in 1_i64..9_000,
        ) {
            let rotation = rotation(zone, 0, hand_over, every_days);
            let from_at = at("2026-01-03T00:00:00Z");
            let to_at = from_at + TimeDelta::hours(hours);
            let shifts = rotation.shifts(from_at, to_at);
            prop_assert_eq!(shifts[0].from_at, from_at);
            prop_assert_eq!(shifts[shifts.len() - 1].to_at, to_at);
            for pair in shifts.windows(2) {
                prop_assert_eq!(pair[0].to_at, pair[1].from_at);
                prop_assert_ne!(&pair[0].person, &pair[1].person);
                let day = pair[1].from_at.with_timezone(&zone).date_naive();
                prop_assert_eq!(pair[1].from_at, instant(zone, day.and_time(rotation.hands_over_at)));
            }
        }
    }
}
