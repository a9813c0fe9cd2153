//! The months ahead: who carries how much, and when nobody would be told.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Class;

use super::{
    Oncall,
    shifts::{Span, join, night_secs},
};

/// A time in which a policy reaches nobody at its first level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The policy.
    pub policy: String,
    /// From when.
    pub from_at: DateTime<Utc>,
    /// Until when, exclusively.
    pub to_at: DateTime<Utc>,
}

/// What somebody carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Burden {
    /// Turns.
    pub shifts: u32,
    /// Seconds on call.
    pub secs: i64,
    /// Of them, seconds in the person's night.
    pub night_secs: i64,
}

/// What would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// By rotation and person.
    pub burdens: BTreeMap<(String, String), Burden>,
    /// In order.
    pub gaps: Vec<Gap>,
    /// Classes of incidents for which no policy names anybody. Opportunities wake nobody and need none.
    pub unnamed: Vec<Class>,
}

impl Oncall {
    /// Looks ahead between two moments.
    pub fn simulate(&self, from_at: DateTime<Utc>, to_at: DateTime<Utc>) -> Simulation {
        let mut found = Simulation {
            unnamed: Class::ALL
                .into_iter()
                .filter(|class| *class != Class::Opportunity && self.policy(*class).is_none())
                .collect(),
            ..Simulation::default()
        };
        let mut covered: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
        for rotation in self.rotations.values() {
            let mut before: Option<(String, DateTime<Utc>)> = None;
            for shift in rotation.shifts(from_at, to_at) {
                let Some(person) = self.people.get(&shift.person) else {
                    continue;
                };
                let key = (rotation.id.clone(), shift.person.clone());
                let burden = found.burdens.entry(key).or_default();
                // A day of a turn with windows is no turn of its own, and neither is what is left around an override.
                let goes_on = !shift.is_override
                    && before.as_ref().is_some_and(|(who, until)| {
                        *who == shift.person && shift.from_at - *until < TimeDelta::days(i64::from(rotation.every_days))
                    });
                burden.shifts += u32::from(!goes_on);
                burden.secs += (shift.to_at - shift.from_at).num_seconds();
                burden.night_secs += night_secs(person.zone, shift.from_at, shift.to_at);
                if !shift.is_override {
                    before = Some((shift.person.clone(), shift.to_at));
                }
                covered
                    .entry(&rotation.id)
                    .or_default()
                    .push((shift.from_at, shift.to_at));
            }
        }
        for policy in &self.policies {
            let Some(level) = policy.levels.first() else { continue };
            if level.who.iter().any(|name| self.people.contains_key(name)) {
                continue;
            }
            let parts = level.who.iter().filter_map(|name| covered.get(name.as_str())).flatten();
            let mut parts: Vec<_> = parts.copied().collect();
            parts.sort();
            let mut reached = from_at;
            let end = (to_at, to_at);
            for (begin, until) in join(parts).into_iter().chain([end]) {
                if begin > reached {
                    found.gaps.push(Gap {
                        policy: policy.id.clone(),
                        from_at: reached,
                        to_at: begin,
                    });
                }
                reached = reached.max(until);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CONTINENTS: &str = r#"
        time_zone = "Europe/Madrid"
        [[person]]
        id = "ana"
        email = "ana@example.org"
        [[person]]
        id = "bo"
        slack = "U0BO"
        time_zone = "America/Bogota"
        [[rotation]]
        id = "spain"
        people = ["ana"]
        starts_on = "2026-01-01"
        hands_over_at = "00:00"
        every = "7 d"
        [[rotation.window]]
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        from = "08:00"
        to = "20:00"
        [[rotation]]
        id = "colombia"
        people = ["bo"]
        starts_on = "2026-01-01"
        hands_over_at = "00:00"
        every = "7 d"
        time_zone = "America/Bogota"
        [[rotation.window]]
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        from = "14:00"
        to = "02:00"
        [[policy]]
        id = "all"
        classes = ["critical"]
        [[policy.level]]
        who = ["spain", "colombia"]
    "#;

    #[test]
    fn summer_time_opens_a_gap_that_is_found_months_before() {
        let oncall = Oncall::parse(TWO_CONTINENTS, chrono_tz::UTC).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        // In winter 20:00 in Madrid is 14:00 in Bogotá and all is covered; in summer Madrid ends an hour before Bogotá begins.
        let found = oncall.simulate(at("2026-03-27T12:00:00Z"), at("2026-03-31T12:00:00Z"));
        let gaps: Vec<String> = found
            .gaps
            .iter()
            .map(|gap| format!("{} {}", gap.from_at, gap.to_at))
            .collect();
        assert_eq!(
            gaps,
            [
                "2026-03-29 18:00:00 UTC 2026-03-29 19:00:00 UTC",
                "2026-03-30 18:00:00 UTC 2026-03-30 19:00:00 UTC",
            ]
        );
        let bo = found.burdens[&("colombia".to_owned(), "bo".to_owned())];
        assert_eq!((bo.secs, bo.night_secs), (4 * 12 * 3600, 4 * 4 * 3600));
        let without = "id = \"nobody\"\nclasses = [\"sla\"]\n[[policy.level]]\nwho = [\"nobody\"]";
        let wrong = format!("{TWO_CONTINENTS}\n[[policy]]\n{without}");
        assert_eq!(
            Oncall::parse(&wrong, chrono_tz::UTC).unwrap_err(),
            "policy \"nobody\": \"nobody\" is neither a person nor a rotation"
        );
    }
}
