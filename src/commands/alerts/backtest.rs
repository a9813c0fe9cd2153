use atalaya_alerts::{IncidentKind, Limit, Route, backtest};
use atalaya_model::{Language, calendar};
use atalaya_store::Home;
use chrono::{DateTime, NaiveDate, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::rules_of;
use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

/// What is to be replayed.
pub(super) struct Asked {
    pub(super) rule: String,
    pub(super) from: NaiveDate,
    pub(super) to: Option<NaiveDate>,
    pub(super) every: String,
    pub(super) hindsight: bool,
    pub(super) format: Format,
}

pub(super) async fn run(asked: &Asked, home: &Home, context: &Context, console: &dyn Console) -> anyhow::Result<()> {
    let rules = rules_of(home)?;
    let Some(rule) = rules.get(&asked.rule) else {
        anyhow::bail!("there is no rule {:?}; `alerts rules` lists them", asked.rule)
    };
    let now = context.clock.now();
    let zone = calendar::parse_zone(&home.settings().time_zone)?;
    let to = asked.to.unwrap_or_else(|| calendar::day_of(zone, now));
    let secs = Limit::parse_secs(&asked.every).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(secs > 0, "{:?} is no time between looks", asked.every);
    let moments = looks(zone, asked.from, to, secs, now);
    anyhow::ensure!(
        moments.len() <= MOST_LOOKS,
        "{} looks are more than {MOST_LOOKS}: ask for fewer days, or less often",
        moments.len()
    );
    anyhow::ensure!(
        !moments.is_empty(),
        "there is no look between {} and {to} that is not in the future",
        asked.from
    );
    let evaluator = context.evaluator()?;
    let many = moments.len();
    let found = backtest(
        rule,
        &evaluator,
        home.settings(),
        Language::En,
        asked.hindsight,
        moments,
    )
    .await?;
    let mut table = Table::new(
        &["opened", "ended", "kind", "title", "updates"],
        &[false, false, false, false, true],
    );
    let at_night = |at: &DateTime<Utc>| !(8..22).contains(&at.with_timezone(&zone).hour());
    let pages = rule.routes.contains(&Route::Pagerduty);
    let (mut breaches, mut nights) = (0, 0);
    for incident in &found {
        if incident.kind == IncidentKind::Breach {
            breaches += 1;
            nights += usize::from(at_night(&incident.opened_at));
        }
        table.rows.push(vec![
            Some(incident.opened_at.to_rfc3339()),
            incident.ended_at.map(|at| at.to_rfc3339()),
            Some(incident.kind.name().to_owned()),
            Some(incident.title.clone()),
            Some(incident.updates.to_string()),
        ]);
    }
    table.print(asked.format, console)?;
    console.note(&format!(
        "{many} looks, {breaches} incidents{}",
        if pages {
            format!(", each a page, {nights} of them at night")
        } else {
            String::new()
        }
    ));
    Ok(())
}

/// The moments at which a rule is looked at: for whole days in the morning, at nine.
fn looks(zone: Tz, from: NaiveDate, to: NaiveDate, every_secs: i64, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    const DAY_SECS: i64 = 86_400;
    if every_secs % DAY_SECS == 0 {
        let step = usize::try_from(every_secs / DAY_SECS).unwrap_or(1);
        let days = from.iter_days().take_while(|day| *day < to).step_by(step);
        let mornings = days.map(|day| calendar::day_starts_at(zone, day) + TimeDelta::hours(9));
        return mornings.take_while(|at| *at <= now).take(MOST_LOOKS + 1).collect();
    }
    let end = calendar::day_starts_at(zone, to).min(now);
    let first = calendar::day_starts_at(zone, from);
    std::iter::successors(Some(first), |at| at.checked_add_signed(TimeDelta::seconds(every_secs)))
        .take_while(|at| *at < end)
        .take(MOST_LOOKS + 1)
        .collect()
}

/// Looks of one replay.
const MOST_LOOKS: usize = 100_000;
