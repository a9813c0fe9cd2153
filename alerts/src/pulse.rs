//! Whether this process still watches: what it did last, and who is told when it no longer does.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    AlertError, Control, Figures, IncidentKind, Route,
    control::{Decision, Opening},
    dedup_key::dedup_key,
    notices,
};

/// The name it has where rules have theirs.
const RULE_ID: &str = "evaluation_late";
/// Rules are looked at every minute; this much later something is wrong.
const LATE: TimeDelta = TimeDelta::minutes(5);
/// What a route does not take for so long is not delivered in time.
const STUCK: TimeDelta = TimeDelta::minutes(15);

/// What was done last, shared by those who look, send and tell that all is well.
#[derive(Debug)]
pub struct Pulse {
    now: Mutex<Beats>,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beats {
    /// When the process began to watch.
    pub started_at: DateTime<Utc>,
    /// When all rules were looked at last, without a failure.
    pub looked_at: Option<DateTime<Utc>>,
    /// Looks that came to their end.
    pub looks: u64,
    /// Looks in which something failed.
    pub failed_looks: u64,
    /// How long the last look took.
    pub look_millis: u64,
}

impl Pulse {
    /// Of a process that begins.
    pub fn new(started_at: DateTime<Utc>) -> Self {
        Self {
            now: Mutex::new(Beats {
                started_at,
                looked_at: None,
                looks: 0,
                failed_looks: 0,
                look_millis: 0,
            }),
        }
    }

    /// The process begins to watch now: what it did before, and how long its start took, is no lateness.
    pub fn begin(&self, at: DateTime<Utc>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.started_at = at;
    }

    /// Notes the end of a look.
    pub fn looked(&self, is_well: bool, millis: u64, at: DateTime<Utc>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.look_millis = millis;
        if is_well {
            now.looks += 1;
            now.looked_at = Some(at);
        } else {
            now.failed_looks += 1;
        }
    }

    /// What was done until now.
    pub fn beats(&self) -> Beats {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beats {
    /// Since when no look came to a good end, when that is too long ago.
    pub fn late_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.looked_at.unwrap_or(self.started_at);
        (now - last >= LATE).then_some(last)
    }

    /// Why whoever watches from outside should be worried; `None` when alerts would reach people now. One route without an
    /// address is nobody's worry, and neither is one notification that waits while others pass.
    pub fn worry(&self, figures: &Figures, addressed: &[Route], now: DateTime<Utc>) -> Option<String> {
        if let Some(since) = self.late_since(now) {
            return Some(format!("rules were looked at last at {}", since.to_rfc3339()));
        }
        if addressed.is_empty() {
            return Some("no route has an address".to_owned());
        }
        let names = addressed.iter().map(|route| route.name());
        let waits = |name: &str| {
            let taken = figures.delivered_at.get(name).is_some_and(|at| now - *at < STUCK);
            figures
                .waiting_since
                .get(name)
                .is_some_and(|since| now - *since >= STUCK)
                && !taken
        };
        for name in names {
            if waits(name) {
                let since = figures.waiting_since[name].to_rfc3339();
                return Some(format!(
                    "{name} has taken nothing for 15 minutes; the oldest waits since {since}"
                ));
            }
            if figures.refusing.contains(name) {
                return Some(format!(
                    "{name} refused the last notification: `alerts test` shows whether it works again"
                ));
            }
        }
        None
    }
}

/// Tells people that rules are not looked at, and that they are again. For the one who sends, not for the one who looks.
pub async fn tell_late(control: &Control, company: &str, beats: &Beats, now: DateTime<Utc>) -> Result<(), AlertError> {
    let open = control.open_incidents().await?;
    let open = open.iter().find(|incident| incident.rule_id == RULE_ID);
    let mut decision = Decision {
        rule_id: RULE_ID.to_owned(),
        ..Decision::default()
    };
    match (beats.late_since(now), open) {
        (Some(since), None) => {
            let dedup_key = dedup_key(&[company, RULE_ID], now);
            let message = notices::late(&dedup_key, company, since, now);
            decision.verdict = message.title.clone();
            decision.openings.push(Opening {
                kind: IncidentKind::Breach,
                group_key: "all".to_owned(),
                severity: message.severity,
                dedup_key,
                title: message.title.clone(),
                told: Route::ALL.into_iter().map(|route| (route, message.clone())).collect(),
                and_then: Vec::new(),
                suppressed_by: None,
                waits_for_digest: false,
                is_over: false,
            });
        }
        // A process that has just begun has not looked yet.
        (None, Some(incident)) if beats.looked_at.is_some() => {
            let words = "rules are looked at again · las reglas se miran de nuevo";
            let mut message = notices::ended(incident, words, now);
            message.is_well = true;
            let told = Route::ALL.into_iter().map(|route| (route, message.clone())).collect();
            decision.verdict = "on time".to_owned();
            decision.closings.push((incident.id, words.to_owned(), told));
        }
        _ => return Ok(()),
    }
    control.apply(&decision, now).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[tokio::test]
    async fn nobody_looking_is_told_once_and_its_end_too() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::open(&dir.path().join("control.sqlite")).await.unwrap();
        let pulse = Pulse::new(at(0));
        pulse.looked(false, 5, at(4));
        let mut open = Vec::new();
        for minute in [4, 5, 6, 30] {
            tell_late(&control, "Company", &pulse.beats(), at(minute))
                .await
                .unwrap();
            open.push(control.open_incidents().await.unwrap().len());
        }
        assert_eq!(open, [0, 1, 1, 1]);
        // One that has just begun knows nothing yet.
        tell_late(&control, "Company", &Pulse::new(at(30)).beats(), at(31))
            .await
            .unwrap();
        assert_eq!(control.open_incidents().await.unwrap().len(), 1);
        pulse.looked(true, 5, at(31));
        tell_late(&control, "Company", &pulse.beats(), at(31)).await.unwrap();
        let incidents = control.incidents().await.unwrap();
        assert_eq!((incidents.len(), incidents[0].resolved_at), (1, Some(at(31))));
        let actions: Vec<String> = control
            .intents(1)
            .await
            .unwrap()
            .into_iter()
            .map(|intent| intent.action)
            .collect();
        assert_eq!(
            actions,
            ["trigger", "trigger", "trigger", "resolve", "resolve", "resolve"]
        );
    }

    #[test]
    fn a_route_that_takes_nothing_is_a_worry_and_one_without_an_address_is_none() {
        let pulse = Pulse::new(at(0));
        pulse.looked(true, 5, at(20));
        let mut figures = Figures::default();
        figures.waiting_since.insert("email", at(0));
        let worry = |figures: &Figures, minute| pulse.beats().worry(figures, &[Route::Slack], at(minute));
        assert_eq!(worry(&figures, 21), None);
        figures.waiting_since.insert("slack", at(7));
        assert_eq!(worry(&figures, 21), None);
        assert!(worry(&figures, 22).unwrap().contains("slack has taken nothing"));
        figures.delivered_at.insert("slack", at(8));
        assert_eq!(worry(&figures, 22), None, "one waits and others pass");
        assert!(worry(&figures, 23).is_some());
        figures.waiting_since.clear();
        figures.refusing.insert("slack");
        assert!(worry(&figures, 22).unwrap().contains("refused"));
        assert!(
            pulse
                .beats()
                .worry(&Figures::default(), &[], at(21))
                .unwrap()
                .contains("address")
        );
        assert!(worry(&Figures::default(), 25).unwrap().contains("looked at"));
    }
}
