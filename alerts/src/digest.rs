//! Good news once a day: opportunities wake nobody, and are told together.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

use atalaya_model::calendar;

use crate::{
    AlertError, Class, Incident, IncidentKind, Route, Rule, Runner,
    control::{Decision, Opening},
    dedup_key::dedup_key,
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
        if self
            .control
            .last_of(RULE_ID)
            .await?
            .is_some_and(|last_at| last_at >= due_at)
        {
            return Ok(());
        }
        let mut untold: Vec<(Incident, &Rule)> = Vec::new();
        for incident in self.control.untold_before(due_at).await? {
            let rule = self.rules.get(&incident.rule_id);
            match rule.filter(|rule| rule.class == Class::Opportunity && incident.kind == IncidentKind::Breach) {
                Some(rule) => untold.push((incident, rule)),
                None => continue,
            }
        }
        if untold.is_empty() {
            return Ok(());
        }
        let dedup_key = dedup_key(&[&self.settings.company, RULE_ID], now);
        let message = |incidents: &[&Incident]| {
            let told = (self.table(incidents, zone), incidents.len());
            notices::digest(&dedup_key, &self.settings.company, told, self.language, now)
        };
        let mut told = Vec::new();
        for route in Route::ALL.into_iter().filter(|route| *route != Route::Pagerduty) {
            // Who reads a route reads what its rules say there, and no more.
            let of_route = untold.iter().filter(|(_, rule)| rule.routes.contains(&route));
            let incidents: Vec<&Incident> = of_route.map(|(incident, _)| incident).collect();
            if !incidents.is_empty() {
                told.push((route, message(&incidents)));
            }
        }
        let all: Vec<&Incident> = untold.iter().map(|(incident, _)| incident).collect();
        let message = message(&all);
        let decision = Decision {
            rule_id: RULE_ID.to_owned(),
            verdict: message.title.clone(),
            openings: vec![Opening {
                kind: IncidentKind::Breach,
                group_key: dedup_key.clone(),
                severity: message.severity,
                title: message.title,
                dedup_key,
                told,
                and_then: Vec::new(),
                suppressed_by: None,
                waits_for_digest: false,
                is_over: true,
            }],
            in_digest: all.iter().map(|incident| incident.id).collect(),
            ..Decision::default()
        };
        self.control.apply(&decision, now).await?;
        Ok(())
    }

    fn table(&self, untold: &[&Incident], zone: Tz) -> Table {
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
