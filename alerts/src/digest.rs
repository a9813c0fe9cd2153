//! Good news once a day: opportunities wake nobody, and are told together.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use atalaya_model::calendar;

use crate::{
    AlertError, Class, Incident, IncidentKind, Route, Runner,
    control::{Decision, Opening},
    message::{Table, cut},
    notices,
    oncall::local_instant,
};

/// The name it has where rules have theirs.
pub(crate) const RULE_ID: &str = "digest";
/// Opportunities that are told one by one; of more only the number is.
const LISTED: usize = 20;

/// The last time of the day at which a digest was due.
fn due_before(at: NaiveTime, zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.with_timezone(&zone).date_naive();
    let due = |day: NaiveDate| local_instant(zone, day.and_time(at));
    let now_due = due(today);
    if now_due <= now {
        now_due
    } else {
        due(today - Days::new(1))
    }
}

impl Runner {
    /// Tells the opportunities that were found before today's hour and were not told yet, in one message.
    pub(crate) async fn digest(&self, now: DateTime<Utc>) -> Result<(), AlertError> {
        let Ok(zone) = calendar::parse_zone(&self.settings.time_zone) else {
            return Ok(());
        };
        let due_at = due_before(self.digest_at, zone, now);
        let untold: Vec<Incident> = self
            .control
            .untold_before(due_at)
            .await?
            .into_iter()
            .filter(|incident| incident.kind == IncidentKind::Breach)
            .filter(|incident| {
                self.rules
                    .get(&incident.rule_id)
                    .is_some_and(|rule| rule.class == Class::Opportunity)
            })
            .collect();
        let mut routes: Vec<Route> = Vec::new();
        for incident in &untold {
            let of_rule = self
                .rules
                .get(&incident.rule_id)
                .into_iter()
                .flat_map(|rule| &rule.routes);
            for route in of_rule.filter(|route| **route != Route::Pagerduty) {
                if !routes.contains(route) {
                    routes.push(*route);
                }
            }
        }
        if untold.is_empty() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        hash.update(&self.settings.company);
        hash.update(now.timestamp_micros().to_le_bytes());
        hash.update(RULE_ID);
        let dedup_key: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let message = notices::digest(
            &dedup_key,
            &self.settings.company,
            (self.table(&untold, zone), untold.len()),
            self.language,
            now,
        );
        let decision = Decision {
            rule_id: RULE_ID.to_owned(),
            verdict: message.title.clone(),
            openings: vec![Opening {
                kind: IncidentKind::Breach,
                group_key: dedup_key.clone(),
                severity: message.severity,
                dedup_key,
                title: message.title.clone(),
                told: routes.into_iter().map(|route| (route, message.clone())).collect(),
                and_then: Vec::new(),
                suppressed_by: None,
                waits_for_digest: false,
                is_over: true,
            }],
            in_digest: untold.iter().map(|incident| incident.id).collect(),
            ..Decision::default()
        };
        self.control.apply(&decision, now).await?;
        Ok(())
    }

    fn table(&self, untold: &[Incident], zone: Tz) -> Table {
        let shown = |at: DateTime<Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
        let header = [
            self.language.pick("Opportunity", "Oportunidad"),
            self.language.pick("Since", "Desde"),
            self.language.pick("over", "terminó"),
        ];
        let rows = untold.iter().take(LISTED).map(|incident| {
            // What is told once is over at once, and says nothing by that.
            let over = incident.resolved_at.filter(|at| *at > incident.opened_at);
            vec![
                cut(&incident.title),
                shown(incident.opened_at),
                over.map(shown).unwrap_or_default(),
            ]
        });
        Table {
            caption: self.language.pick("Opportunities", "Oportunidades").to_owned(),
            header: header.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_at_its_hour_of_the_company_s_day() {
        let nine = NaiveTime::from_hms_opt(9, 0, 0).unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let due = |now: &str| due_before(nine, chrono_tz::Europe::Madrid, at(now));
        assert_eq!(due("2026-03-28T07:59:59Z"), at("2026-03-27T08:00:00Z"));
        assert_eq!(due("2026-03-28T08:00:00Z"), at("2026-03-28T08:00:00Z"));
        // Summer time begins in the night.
        assert_eq!(due("2026-03-29T06:59:59Z"), at("2026-03-28T08:00:00Z"));
        assert_eq!(due("2026-03-29T07:00:00Z"), at("2026-03-29T07:00:00Z"));
    }
}
