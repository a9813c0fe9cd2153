//! How fast a route may be used: a token bucket each, on the injected clock.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::Route;

/// Messages that may go at once after a quiet time.
const BURST: i32 = 10;

/// When each route may be used next.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    routes: Mutex<BTreeMap<&'static str, State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// When the bucket would be full again.
    full_at: DateTime<Utc>,
    /// Nothing before then: the vendor said so.
    held_until: DateTime<Utc>,
}

/// Milliseconds between messages: Slack allows one a second in a channel, PagerDuty about 120 a minute for a key.
fn interval(route: Route) -> TimeDelta {
    TimeDelta::milliseconds(match route {
        Route::Slack => 1_000,
        Route::Pagerduty => 500,
        Route::Email => 100,
    })
}

impl Pace {
    /// Takes a token; the error says when there will be one.
    pub(crate) fn take(&self, route: Route, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let state = routes.entry(route.name()).or_insert(State {
            full_at: now,
            held_until: now,
        });
        if state.held_until > now {
            return Err(state.held_until);
        }
        let full_at = state.full_at.max(now) + interval(route);
        let earliest = full_at - interval(route) * BURST;
        if earliest > now {
            return Err(earliest);
        }
        state.full_at = full_at;
        Ok(())
    }

    /// Nothing goes before that.
    pub(crate) fn hold(&self, route: Route, until: DateTime<Utc>) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = routes.get_mut(route.name()) {
            state.held_until = state.held_until.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_a_second() {
        let pace = Pace::default();
        let mut now = DateTime::UNIX_EPOCH;
        let mut sent = Vec::new();
        for _ in 0..14 {
            while let Err(at) = pace.take(Route::Slack, now) {
                assert!(at > now);
                now = at;
            }
            sent.push((now - DateTime::UNIX_EPOCH).num_seconds());
        }
        assert_eq!(sent, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        pace.hold(Route::Slack, now + TimeDelta::seconds(30));
        assert_eq!(pace.take(Route::Slack, now), Err(now + TimeDelta::seconds(30)));
        assert_eq!(pace.take(Route::Pagerduty, now), Ok(()));
    }
}
