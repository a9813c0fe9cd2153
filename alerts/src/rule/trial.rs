//! Tests inside rule files. They run through the judgement and the standing that watch the real figures.

use atalaya_model::Currency;
use chrono::{DateTime, TimeDelta};
use serde::Deserialize;

use super::{Rule, Watch};
use crate::{Judgement, Standing, limit::Limit, observe::windows};

/// One `[[test]]`: what is seen at each look, and where the rule stands after it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    name: String,
    /// Time between looks.
    every: Option<String>,
    /// What each look sees: a value as a limit is written, `4/100`, `-` for no value, or `there` and `gone`.
    #[serde(default)]
    readings: Vec<String>,
    /// Complete days, oldest first, for a change over windows: one look.
    #[serde(default)]
    days: Vec<i64>,
    /// The phase after each look; the last ones where there are fewer than looks.
    expect: Vec<String>,
}

/// Runs a test; the error says at which look it differs.
pub(super) fn run(rule: &Rule, trial: &Trial) -> Result<(), String> {
    let fail = |reason: String| format!("test {:?}: {reason}", trial.name);
    let every = match &trial.every {
        Some(text) => Limit::parse_secs(text).map_err(fail)?,
        None => 60,
    };
    let judgements: Vec<Judgement> = if trial.days.is_empty() {
        trial
            .readings
            .iter()
            .map(|text| seen(rule, text))
            .collect::<Result<_, _>>()
            .map_err(fail)?
    } else {
        let Watch::Change { days, .. } = &rule.watch else {
            return Err(fail("only a change over windows has days".to_owned()));
        };
        vec![match windows(&trial.days, *days) {
            Ok((current, base)) => rule.condition.judge(current.saturating_sub(base), base),
            Err(reason) => Judgement::NoValue { reason },
        }]
    };
    if trial.expect.is_empty() || trial.expect.len() > judgements.len() {
        return Err(fail(format!(
            "{} looks cannot give {} phases",
            judgements.len(),
            trial.expect.len()
        )));
    }
    let mut now = DateTime::UNIX_EPOCH;
    let mut standing = Standing::new(now);
    let unseen = judgements.len() - trial.expect.len();
    for (index, judgement) in judgements.iter().enumerate() {
        (standing, _) = standing.after(judgement, rule.timing, now);
        now += TimeDelta::seconds(every);
        let word = match judgement {
            Judgement::NoValue { .. } if standing.is_missing_told => "blind",
            // Too small to fire is worth telling from well.
            Judgement::BelowFloor if !standing.phase.is_firing() => "below_floor",
            Judgement::NoValue { .. } => "no_value",
            _ => standing.phase.name(),
        };
        let Some(expected) = index.checked_sub(unseen).map(|at| &trial.expect[at]) else {
            continue;
        };
        let full = format!("{word} {}", standing.phase.name());
        if expected != word && *expected != full {
            return Err(fail(format!(
                "look {} expects {expected}, the rule says {word}",
                index + 1
            )));
        }
    }
    Ok(())
}

fn seen(rule: &Rule, text: &str) -> Result<Judgement, String> {
    let no_value = |reason: &str| Judgement::NoValue {
        reason: reason.to_owned(),
    };
    match text {
        "-" => return Ok(no_value("no value")),
        "there" => return Ok(rule.condition.judge(1, 1)),
        "gone" => {
            return Ok(match rule.when_gone {
                super::WhenGone::Recovered => Judgement::Clear,
                super::WhenGone::Unknown => no_value("gone"),
            });
        }
        _ => {}
    }
    if let Some((above, below)) = text.split_once('/') {
        let number = |text: &str| {
            let parsed = text.trim().parse::<i64>();
            parsed.map_err(|_| format!("{text:?} is no whole number"))
        };
        return Ok(rule.condition.judge(number(above)?, number(below)?));
    }
    let value = Limit::parse(text)?;
    if let crate::Condition::Level { fires: (_, limit), .. } = &rule.condition {
        let currency = limit.currency.or(Currency::parse("USD").ok());
        if let (Some(unit), Some(currency)) = (value.unit, currency) {
            limit.check(unit, value.currency.unwrap_or(currency))?;
        } else if limit.unit.is_some() {
            return Err(format!("{text:?} does not say what it counts"));
        }
    }
    Ok(rule.condition.judge(value.numerator, value.denominator))
}
