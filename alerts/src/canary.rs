//! A message that only shows that a route works, before somebody's night depends on it.

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;

use crate::{
    AlertError, Control, IncidentKind, Route,
    control::{Decision, Opening},
    dedup_key::dedup_key,
    message::Action,
    notices,
};

/// The name it has where rules have theirs.
pub(crate) const RULE_ID: &str = "canary";
/// Nobody can take it, and a letter about it begins no thread.
pub(crate) const ACTION: Action = Action::Update;

/// Decides on a message over each of the routes. On PagerDuty it is over at once.
pub async fn send_canary(
    control: &Control,
    routes: &[Route],
    company: &str,
    now: DateTime<Utc>,
) -> Result<(), AlertError> {
    let dedup_key = dedup_key(&[company, RULE_ID], now);
    let message = notices::canary(&dedup_key, company, now);
    let mut over = message.clone();
    over.action = Action::Resolve;
    let pages = routes.iter().filter(|route| **route == Route::Pagerduty);
    let opening = Opening {
        kind: IncidentKind::Breach,
        group_key: dedup_key.clone(),
        severity: message.severity,
        dedup_key,
        title: message.title.clone(),
        told: routes.iter().map(|route| (*route, message.clone())).collect(),
        and_then: pages.map(|route| (*route, over.clone())).collect(),
        suppressed_by: None,
        waits_for_digest: false,
        is_over: true,
    };
    let decision = Decision {
        rule_id: RULE_ID.to_owned(),
        verdict: "sent".to_owned(),
        openings: vec![opening],
        ..Decision::default()
    };
    control.apply(&decision, now).await?;
    Ok(())
}

/// Whether today's canary is due: at a time of the day, in the company's zone, where there was none since.
pub fn is_canary_due(at: NaiveTime, zone: Tz, last_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    let due = now.with_timezone(&zone).date_naive().and_time(at);
    let before = |moment: DateTime<Utc>| moment.with_timezone(&zone).naive_local() < due;
    !before(now) && last_at.is_none_or(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_due_once_a_day_of_the_company() {
        let zone = chrono_tz::Europe::Madrid;
        let nine = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert!(!is_canary_due(nine, zone, None, at("2026-03-28T07:59:59Z")));
        assert!(is_canary_due(nine, zone, None, at("2026-03-28T08:00:00Z")));
        // One that somebody sent by hand in the night is not the morning's.
        assert!(is_canary_due(
            nine,
            zone,
            Some(at("2026-03-28T01:00:00Z")),
            at("2026-03-28T08:00:00Z")
        ));
        let sent = Some(at("2026-03-28T08:00:00Z"));
        assert!(!is_canary_due(nine, zone, sent, at("2026-03-28T22:59:59Z")));
        // Summer time begins in the night: nine is an hour earlier.
        assert!(!is_canary_due(nine, zone, sent, at("2026-03-29T06:59:59Z")));
        assert!(is_canary_due(nine, zone, sent, at("2026-03-29T07:00:00Z")));
    }
}
