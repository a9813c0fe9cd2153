//! Where one thing stands under one rule, and what a judgement makes of it. Pure: the clock comes in, changes come out.

use chrono::{DateTime, TimeDelta, Utc};

use crate::Judgement;

/// How long things must last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Seconds a breach must last before it fires.
    pub for_secs: i64,
    /// Seconds a recovery must last before it counts.
    pub recover_secs: i64,
    /// Seconds without a value before somebody is told.
    pub missing_secs: i64,
}

/// The phase of a thing under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is wrong.
    Ok,
    /// It breaches the limit, not long enough yet.
    Pending,
    /// It fires.
    Firing,
    /// It fires; the limit is kept again, not long enough yet.
    Recovering,
}

impl Phase {
    /// The word used in tables, tests and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Recovering => "recovering",
        }
    }

    /// Reads a word as [`Phase::name`] writes it.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Ok, Self::Pending, Self::Firing, Self::Recovering]
            .into_iter()
            .find(|phase| phase.name() == name)
    }

    /// Whether somebody has been told and not yet told that it is over.
    pub fn is_firing(self) -> bool {
        matches!(self, Self::Firing | Self::Recovering)
    }
}

/// Where a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its phase.
    pub phase: Phase,
    /// Since when.
    pub since_at: DateTime<Utc>,
    /// Since when there is no value.
    pub missing_since_at: Option<DateTime<Utc>>,
    /// Whether somebody was told that there is none.
    pub is_missing_told: bool,
}

/// Something people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It fires.
    Fired,
    /// It no longer does.
    Recovered,
    /// There has been no value for long.
    WentBlind,
    /// There is a value again.
    Sees,
}

impl Standing {
    /// Where everything begins.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            phase: Phase::Ok,
            since_at: now,
            missing_since_at: None,
            is_missing_told: false,
        }
    }

    /// What a judgement makes of it. Without a value the phase stays: not knowing is neither breach nor recovery.
    pub fn after(self, judgement: &Judgement, timing: Timing, now: DateTime<Utc>) -> (Self, Vec<Change>) {
        let mut next = self;
        let mut changes = Vec::new();
        if matches!(judgement, Judgement::NoValue { .. }) {
            let since = *next.missing_since_at.get_or_insert(now);
            // What was about to fire before it fell silent begins anew.
            if next.phase == Phase::Pending && now - since >= TimeDelta::seconds(timing.missing_secs) {
                next.phase = Phase::Ok;
                next.since_at = now;
            }
            if !next.is_missing_told && now - since >= TimeDelta::seconds(timing.missing_secs) {
                next.is_missing_told = true;
                changes.push(Change::WentBlind);
            }
            return (next, changes);
        }
        if next.is_missing_told {
            changes.push(Change::Sees);
        }
        next.missing_since_at = None;
        next.is_missing_told = false;
        let lasted = |secs: i64| now - self.since_at >= TimeDelta::seconds(secs);
        let phase = match (judgement, self.phase) {
            (Judgement::Breach, Phase::Ok) if timing.for_secs == 0 => Phase::Firing,
            (Judgement::Breach, Phase::Ok) => Phase::Pending,
            (Judgement::Breach, Phase::Pending) if lasted(timing.for_secs) => Phase::Firing,
            (Judgement::Breach, Phase::Pending) => Phase::Pending,
            (Judgement::Breach | Judgement::Between | Judgement::BelowFloor, Phase::Firing | Phase::Recovering) => {
                Phase::Firing
            }
            (Judgement::Clear, Phase::Firing) if timing.recover_secs == 0 => Phase::Ok,
            (Judgement::Clear, Phase::Firing) => Phase::Recovering,
            (Judgement::Clear, Phase::Recovering) if lasted(timing.recover_secs) => Phase::Ok,
            (Judgement::Clear, Phase::Recovering) => Phase::Recovering,
            (_, Phase::Ok | Phase::Pending) => Phase::Ok,
            (Judgement::NoValue { .. }, phase) => phase,
        };
        if phase != self.phase {
            next.phase = phase;
            next.since_at = now;
        }
        match (self.phase.is_firing(), phase.is_firing()) {
            (false, true) => changes.push(Change::Fired),
            (true, false) => changes.push(Change::Recovered),
            _ => {}
        }
        (next, changes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    fn judgement() -> impl Strategy<Value = Judgement> {
        prop_oneof![
            Just(Judgement::Breach),
            Just(Judgement::Between),
            Just(Judgement::BelowFloor),
            Just(Judgement::Clear),
            Just(Judgement::NoValue { reason: String::new() }),
        ]
    }

    proptest! {
        /// Whatever comes: firing and recovering alternate, blindness and sight alternate, nothing fires that was not breached
        /// for its whole time, and nothing recovers without a value that is clear.
        #[test]
        fn changes_alternate_and_have_their_reason(
            steps in proptest::collection::vec((judgement(), 1_i64..120), 1..200),
            for_secs in 0_i64..300, recover_secs in 0_i64..300, missing_secs in 0_i64..300,
        ) {
            let timing = Timing { for_secs, recover_secs, missing_secs };
            let mut now = 0;
            let mut standing = Standing::new(at(0));
            let (mut fires, mut blind) = (false, false);
            let mut breached_since: Option<i64> = None;
            let mut clear_since: Option<i64> = None;
            for (judgement, secs) in steps {
                now += secs;
                let has_value = !matches!(judgement, Judgement::NoValue { .. });
                if has_value {
                    breached_since = (judgement == Judgement::Breach).then(|| breached_since.unwrap_or(now));
                    clear_since = (judgement == Judgement::Clear).then(|| clear_since.unwrap_or(now));
                }
                let (next, changes) = standing.after(&judgement, timing, at(now));
                for change in changes {
                    match change {
                        Change::Fired => {
                            prop_assert!(!fires && judgement == Judgement::Breach);
                            prop_assert!(breached_since.is_some_and(|since| now - since >= for_secs));
                            fires = true;
                        }
                        Change::Recovered => {
                            prop_assert!(fires && judgement == Judgement::Clear);
                            prop_assert!(clear_since.is_some_and(|since| now - since >= recover_secs));
                            fires = false;
                        }
                        Change::WentBlind => {
                            prop_assert!(!blind && !has_value);
                            blind = true;
                        }
                        Change::Sees => {
                            prop_assert!(blind && has_value);
                            blind = false;
                        }
                    }
                }
                prop_assert_eq!(next.phase.is_firing(), fires);
                prop_assert_eq!(next.is_missing_told, blind);
                standing = next;
            }
        }
    }
}
