use atalaya_charts::sparkline;
use atalaya_model::{
    Additivity, Delta, Direction, Figure, Language, MetricSpec, Point, ProofState, Series, Status, Target, Unit,
};
use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;

use crate::{board::Answer, words};

/// Hours after which data is called stale.
const STALE_HOURS: i64 = 36;

/// What a tile shows: a state is as of now, a flow or a rate is of the last month that has ended.
fn chosen<'a>(spec: &MetricSpec, series: &'a Series) -> Vec<&'a Point> {
    let by_state = spec.additivity == Additivity::State || spec.unit == Unit::MoneyPer;
    series
        .totals()
        .filter(|point| by_state || point.status == Status::Closed)
        .collect()
}

fn change(language: Language, spec: &MetricSpec, last: &Figure, before: &Figure) -> Option<(String, &'static str)> {
    let delta = Delta::between(before, last)?;
    let tone = match (spec.direction, delta.absolute) {
        (Direction::Neutral, _) => "level",
        (_, change) if change == 0.0 => "level",
        (Direction::Up, change) => {
            if change > 0.0 {
                "good"
            } else {
                "bad"
            }
        }
        (Direction::Down, change) => {
            if change < 0.0 {
                "good"
            } else {
                "bad"
            }
        }
    };
    let arrow = if delta.absolute > 0.0 {
        "▲"
    } else if delta.absolute < 0.0 {
        "▼"
    } else {
        "■"
    };
    let word = match tone {
        "good" => language.pick("better", "mejor"),
        "bad" => language.pick("worse", "peor"),
        _ => language.pick("unchanged", "igual"),
    };
    let text = if spec.unit == Unit::Ratio {
        let points = language.percent(delta.absolute.abs(), 1);
        format!(
            "{arrow} {} {}",
            points.trim_end_matches(['%', '\u{a0}']).to_owned() + " pts",
            word
        )
    } else if spec.unit == Unit::Factor {
        format!("{arrow} {} {}", language.decimal(delta.absolute.abs(), 1), word)
    } else {
        format!("{arrow} {} {}", language.signed_percent(delta.relative_ratio?, 1), word)
    };
    Some((text, tone))
}

fn target(language: Language, target: &Target, unit: Unit, figure: &Figure) -> String {
    let level = if unit == Unit::Ratio {
        language.percent(target.level, 1)
    } else if unit == Unit::Factor {
        language.decimal(target.level, 1)
    } else {
        language.short(target.level)
    };
    let met = figure.approximate().map(|value| match target.comparator.as_str() {
        "<=" => value <= target.level,
        "<" => value < target.level,
        ">" => value > target.level,
        _ => value >= target.level,
    });
    let verdict = match met {
        Some(true) => language.pick("met", "cumplido"),
        Some(false) => language.pick("missed", "no cumplido"),
        None => "–",
    };
    let sign = match target.comparator.as_str() {
        "<=" => "≤",
        ">=" => "≥",
        other => other,
    };
    format!("{} {sign} {level} · {verdict}", language.pick("Target", "Objetivo"))
}

/// One figure with its change, target, line, freshness and proof.
#[component]
pub(crate) fn Tile(
    metric: &'static str,
    spec: Signal<Option<MetricSpec>>,
    answer: Signal<Answer>,
    language: RwSignal<Language>,
    now: Signal<Option<DateTime<Utc>>>,
) -> impl IntoView {
    move || {
        let language = language.get();
        let Some(spec) = spec.get() else {
            return loading().into_any();
        };
        let name = language.pick(&spec.name_en, &spec.name_es).to_owned();
        let what = language.pick(&spec.description_en, &spec.description_es).to_owned();
        let series = match answer.get() {
            None => return loading().into_any(),
            Some(Err(error)) => {
                return view! {
                    <article class="card tile failed" data-metric=metric>
                        <h2 title=what>{name}</h2>
                        <div class="value none">"–"</div>
                        <div class="reason">{error}</div>
                    </article>
                }
                .into_any();
            }
            Some(Ok(series)) => series,
        };
        let points = chosen(&spec, &series);
        let last = points.last().copied();
        let before = points.len().checked_sub(2).and_then(|index| points.get(index).copied());
        let figure = last.map_or(Figure::None { reason: String::new() }, |point| point.figure.clone());
        let minor = match &figure {
            Figure::Money { value_minor, .. } => value_minor.to_string(),
            Figure::Count { value } => value.to_string(),
            _ => String::new(),
        };
        let shown = match &figure {
            Figure::Money { value_minor, currency } if spec.unit != Unit::MoneyPer => {
                language.money_rounded(*value_minor, *currency)
            }
            other => language.figure(other, spec.unit),
        };
        let exact = language.figure(&figure, spec.unit);
        let when = last.map(|point| match point.status {
            Status::Open => language.pick("now", "ahora").to_owned(),
            Status::Closed => language.month(point.period_on),
        });
        let changed = before.and_then(|before| {
            change(language, &spec, &figure, &before.figure).map(|(text, tone)| {
                (
                    format!(
                        "{text} · {} {}",
                        language.pick("vs", "frente a"),
                        language.month(before.period_on)
                    ),
                    tone,
                )
            })
        });
        let line: Vec<Option<f64>> = points.iter().map(|point| point.figure.approximate()).collect();
        let line = sparkline(&line, &name).unwrap_or_default();
        let (badge, meaning) = words::proof(language, series.proof.state);
        let failures = series.proof.failures.join("\n");
        let stale = match (series.fresh_at, now.get()) {
            (Some(fresh), Some(now)) => now - fresh > TimeDelta::hours(STALE_HOURS),
            _ => false,
        };
        let fresh = series.fresh_at.map(|at| {
            let text = at.format("%Y-%m-%d %H:%M UTC").to_string();
            if stale {
                format!("{} · {text}", language.pick("stale", "desactualizado"))
            } else {
                text
            }
        });
        let reason = match &figure {
            Figure::None { .. } => Some(language.pick("no value yet", "aún sin valor")),
            _ => None,
        };
        let aim = spec
            .targets
            .first()
            .map(|aim| target(language, aim, spec.unit, &figure));
        view! {
            <article class="card tile" class:failed=series.proof.state == ProofState::Failed data-metric=metric data-value=minor>
                <h2><span title=what>{name}</span><span>{when}</span></h2>
                <div class="value" class:none=reason.is_some() title=exact>{shown}</div>
                <div class="change">{changed.map(|(text, tone)| view! { <span class=tone>{text}</span> })}</div>
                <div class="target">{aim}{reason}</div>
                <div class="spark" inner_html=line></div>
                <div class="foot">
                    <span class="until" class:bad=stale>{fresh}</span>
                    <span class=format!("badge {}", series.proof.state.name()) title=format!("{meaning}\n{failures}")>{badge}</span>
                </div>
            </article>
        }
        .into_any()
    }
}

fn loading() -> impl IntoView {
    view! {
        <article class="card tile" aria-busy="true">
            <h2><span class="skeleton">"loading"</span></h2>
            <div class="value"><span class="skeleton">"000 000"</span></div>
        </article>
    }
}
