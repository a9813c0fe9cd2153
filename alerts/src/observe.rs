//! What a rule sees: readings of a signal, or the newest complete figures of a metric.

use atalaya_model::{
    Currency, Figure, Grain, HomeSettings, KnownBy, MetricReader, Point, ProofState, Reading, ReadingUnit, Readings,
    Series, SeriesQuery, Status, Unit, calendar,
};
use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::{Rule, rule::Watch};

/// The thing that a rule without things speaks of.
pub(crate) const ALL: &str = "all";

/// How many periods are read to find the newest complete one: data may be late.
const LATE_PERIODS: u64 = 4;

/// What a rule sees at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) unit: ReadingUnit,
    /// What is compared in a change: amounts or things.
    pub(crate) amounts: ReadingUnit,
    pub(crate) currency: Currency,
    pub(crate) readings: Vec<Reading>,
    /// Why there is no reading where one is due.
    pub(crate) no_value: Option<String>,
    /// The days of a change with their amounts, oldest first.
    pub(crate) days: Vec<(NaiveDate, i64)>,
    /// The days that were compared or looked at.
    pub(crate) windows: Option<Windows>,
    pub(crate) fresh_at: Option<DateTime<Utc>>,
    pub(crate) proof_state: ProofState,
    pub(crate) snapshot: String,
    pub(crate) definition_hash: String,
}

/// The days of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// First day of the earlier window; of the only one, where there is one.
    pub(crate) base_from: NaiveDate,
    /// First day of the later window.
    pub(crate) current_from: NaiveDate,
    /// Last day of the later window.
    pub(crate) current_last: NaiveDate,
}

/// The sums of the last `days` amounts and of as many before, oldest first.
pub(crate) fn windows(amounts: &[i64], days: u32) -> Result<(i64, i64), String> {
    let window = days as usize;
    if amounts.len() < 2 * window {
        return Err(format!(
            "{} complete days are needed and there are {}",
            2 * window,
            amounts.len()
        ));
    }
    let tail = &amounts[amounts.len() - 2 * window..];
    let sum = |part: &[i64]| {
        let total = part.iter().map(|amount| i128::from(*amount)).sum::<i128>();
        i64::try_from(total).map_err(|_| "the sums do not fit 64 bits".to_owned())
    };
    Ok((sum(&tail[window..])?, sum(&tail[..window])?))
}

/// What a rule asks at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// What a signal says.
    Readings(String),
    /// Figures of a metric.
    Series(SeriesQuery),
}

/// What a rule was told.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Readings(Readings),
    Series(Series),
}

/// What a rule asks at a moment, with what is known then (`as_of`) or now; none where it looks at no figures.
pub(crate) fn question(
    rule: &Rule,
    settings: &HomeSettings,
    at: DateTime<Utc>,
    as_of: Option<DateTime<Utc>>,
) -> Result<Option<Question>, String> {
    let today = local_day(settings, at)?;
    Ok(match &rule.watch {
        Watch::Signal { signal, .. } => Some(Question::Readings(signal.clone())),
        Watch::Metric { metric, grain, .. } => {
            let mut from = today;
            for _ in 0..LATE_PERIODS {
                from = grain.start_of(from, settings.week_start) - Days::new(1);
            }
            let range = (from, today + Days::new(1));
            Some(Question::Series(query(metric, *grain, range, as_of)))
        }
        Watch::Change { metric, days, .. } => Some(Question::Series(change_query(metric, *days, today, as_of, None))),
        Watch::Unacknowledged | Watch::RuleFaults => None,
    })
}

fn local_day(settings: &HomeSettings, at: DateTime<Utc>) -> Result<NaiveDate, String> {
    let zone = calendar::parse_zone(&settings.time_zone).map_err(|error| error.to_string())?;
    Ok(calendar::day_of(zone, at))
}

/// Looks at what a rule watches. An error is a reason why nothing can be said.
pub(crate) async fn observe(
    rule: &Rule,
    reader: &dyn MetricReader,
    settings: &HomeSettings,
    at: DateTime<Utc>,
    as_of: Option<DateTime<Utc>>,
) -> Result<Observed, String> {
    let answer = match question(rule, settings, at, as_of)? {
        Some(Question::Readings(signal)) => reader.readings(&signal, as_of).await.map(Answer::Readings),
        Some(Question::Series(query)) => reader.series(&query).await.map(Answer::Series),
        None => return Err("is read from the control database".to_owned()),
    };
    see(rule, settings, at, answer.map_err(|error| error.to_string())?)
}

/// What a rule sees in an answer.
pub(crate) fn see(rule: &Rule, settings: &HomeSettings, at: DateTime<Utc>, answer: Answer) -> Result<Observed, String> {
    let zone = calendar::parse_zone(&settings.time_zone).map_err(|error| error.to_string())?;
    let today = calendar::day_of(zone, at);
    match (&rule.watch, answer) {
        (Watch::Signal { only, .. }, Answer::Readings(found)) => {
            if found.proof.state == ProofState::Failed {
                return Err(not_proven(&found.proof.failures));
            }
            let shows = |reading: &Reading| {
                only.iter().all(|(column, word)| {
                    reading
                        .evidence
                        .iter()
                        .any(|(name, text)| name == column && text == word)
                })
            };
            Ok(Observed {
                unit: found.unit,
                amounts: found.unit,
                currency: settings.reporting_currency,
                readings: found.readings.into_iter().filter(shows).collect(),
                no_value: None,
                days: Vec::new(),
                windows: None,
                fresh_at: found.fresh_at,
                proof_state: found.proof.state,
                snapshot: found.proof.snapshot,
                definition_hash: found.proof.definition_hash,
            })
        }
        (Watch::Metric { grain, is_to_date, .. }, Answer::Series(series)) => {
            proven(&series)?;
            let landed_on = series.fresh_at.map(|at| calendar::day_of(zone, at));
            let complete = |point: &&Point| {
                if *is_to_date {
                    return point.status == Status::Open;
                }
                let end_on = grain.next(point.period_on);
                point.status == Status::Closed && end_on <= today && landed_on.is_some_and(|day| end_on <= day)
            };
            let Some(point) = series.totals().rfind(complete) else {
                return Ok(observed(
                    &series,
                    settings,
                    Err("no period is complete yet".to_owned()),
                    None,
                ));
            };
            let windows = Windows {
                base_from: point.period_on,
                current_from: point.period_on,
                current_last: grain.next(point.period_on) - Days::new(1),
            };
            Ok(observed(&series, settings, fraction(&point.figure), Some(windows)))
        }
        (Watch::Change { metric, days, .. }, Answer::Series(series)) => {
            proven(&series)?;
            if !matches!(series.unit, Unit::Money | Unit::MoneyMicros | Unit::Count) {
                return Err(format!(
                    "{metric} is no amount and no count: its days cannot be added up"
                ));
            }
            // A day is complete when it has ended and data has landed since: a night before the morning's import is not
            // a drop to zero.
            let landed_on = series.fresh_at.map(|at| calendar::day_of(zone, at));
            let complete: Vec<(NaiveDate, i64)> = series
                .totals()
                .filter(|point| point.status == Status::Closed && landed_on.is_some_and(|day| point.period_on < day))
                .filter_map(|point| match point.figure {
                    Figure::Money { value_minor, .. } => Some((point.period_on, value_minor)),
                    Figure::Count { value } => Some((point.period_on, value)),
                    _ => None,
                })
                .collect();
            let amounts: Vec<i64> = complete.iter().map(|(_, amount)| *amount).collect();
            let window = *days as usize;
            let compared = complete.len().checked_sub(2 * window).map(|start| Windows {
                base_from: complete[start].0,
                current_from: complete[start + window].0,
                current_last: complete[start + 2 * window - 1].0,
            });
            let sums = windows(&amounts, *days).and_then(|(current, base)| {
                if base <= 0 {
                    return Err("the earlier window has nothing to compare with".to_owned());
                }
                Ok((
                    current.checked_sub(base).ok_or("the change does not fit 64 bits")?,
                    base,
                ))
            });
            let mut seen = observed(&series, settings, sums, compared);
            seen.unit = ReadingUnit::Percent;
            seen.days = complete.iter().rev().take(2 * window).rev().copied().collect();
            Ok(seen)
        }
        _ => Err("the answer is none to what the rule asks".to_owned()),
    }
}

/// The question about a change, whole or by a dimension. A few days more than two windows: when data is late, the windows move
/// back and stay full.
pub(crate) fn change_query(
    metric: &str,
    days: u32,
    today: NaiveDate,
    as_of: Option<DateTime<Utc>>,
    by: Option<&str>,
) -> SeriesQuery {
    let mut query = query(
        metric,
        Grain::Day,
        (today - Days::new(3 * u64::from(days)), today),
        as_of,
    );
    query.by = by.into_iter().map(str::to_owned).collect();
    query
}

fn query(metric: &str, grain: Grain, (from, to): (NaiveDate, NaiveDate), as_of: Option<DateTime<Utc>>) -> SeriesQuery {
    SeriesQuery {
        metric: metric.to_owned(),
        from,
        to,
        grain,
        by: vec![],
        as_of,
        known_by: KnownBy::Atalaya,
    }
}

fn proven(series: &Series) -> Result<(), String> {
    if series.proof.state == ProofState::Failed {
        return Err(not_proven(&series.proof.failures));
    }
    Ok(())
}

fn not_proven(failures: &[String]) -> String {
    format!("the figures did not pass their proof: {}", failures.join("; "))
}

fn fraction(figure: &Figure) -> Result<(i64, i64), String> {
    match figure {
        Figure::Money { value_minor, .. } => Ok((*value_minor, 1)),
        Figure::Count { value } => Ok((*value, 1)),
        Figure::Ratio { numerator, denominator } => Ok((*numerator, *denominator)),
        Figure::None { reason } => Err(reason.clone()),
    }
}

fn observed(
    series: &Series,
    settings: &HomeSettings,
    value: Result<(i64, i64), String>,
    windows: Option<Windows>,
) -> Observed {
    let unit = match series.unit {
        Unit::Money | Unit::MoneyMicros | Unit::MoneyPer => ReadingUnit::Money,
        Unit::Count | Unit::Rows => ReadingUnit::Count,
        Unit::Ratio => ReadingUnit::Percent,
        Unit::Factor => ReadingUnit::Score,
    };
    let reading = |(numerator, denominator)| Reading {
        entity: ALL.to_owned(),
        label: None,
        since_at: None,
        numerator,
        denominator,
        evidence: Vec::new(),
    };
    let currency = series.points.iter().find_map(|point| match point.figure {
        Figure::Money { currency, .. } => Some(currency),
        _ => None,
    });
    Observed {
        unit,
        amounts: unit,
        currency: currency.unwrap_or(settings.reporting_currency),
        readings: value.as_ref().ok().copied().map(reading).into_iter().collect(),
        no_value: value.err(),
        days: Vec::new(),
        windows,
        fresh_at: series.fresh_at,
        proof_state: series.proof.state,
        snapshot: series.proof.snapshot.clone(),
        definition_hash: series.proof.definition_hash.clone(),
    }
}
