use atalaya_charts::{Bar, BarKind, waterfall};
use atalaya_model::{Currency, Figure, Language, MetricSpec, Series};
use chrono::NaiveDate;
use leptos::prelude::*;

use crate::{board::Answer, words};

fn amount(figure: &Figure) -> Option<(i64, Currency)> {
    match figure {
        Figure::Money { value_minor, currency } => Some((*value_minor, *currency)),
        _ => None,
    }
}

/// Lines of the month: where it began, what moved, where it ended. `None` where the month is not known.
fn lines(mrr: &Series, moved: &Series, month: NaiveDate) -> Option<(Vec<(String, i64)>, Currency)> {
    let months: Vec<NaiveDate> = mrr.totals().map(|point| point.period_on).collect();
    let index = months.iter().position(|known| *known == month)?;
    let at = |index: usize| mrr.totals().nth(index).and_then(|point| amount(&point.figure));
    let (opening, _) = at(index.checked_sub(1)?)?;
    let (closing, currency) = at(index)?;
    let mut found = vec![("opening".to_owned(), opening)];
    for name in words::MOVEMENTS {
        let value = moved
            .points
            .iter()
            .find(|point| point.period_on == month && point.dimensions.first().and_then(Option::as_deref) == Some(name))
            .and_then(|point| amount(&point.figure))
            .map_or(0, |(value, _)| value);
        // Most months restate nothing; a bar of nothing would ask what it is.
        if value != 0 || name != "restatement" {
            found.push((name.to_owned(), value));
        }
    }
    found.push(("closing".to_owned(), closing));
    Some((found, currency))
}

fn label(language: Language, name: &str) -> String {
    match name {
        "opening" => language.pick("Start", "Inicio").to_owned(),
        "closing" => language.pick("End", "Final").to_owned(),
        other => words::movement(language, other).to_owned(),
    }
}

/// From one month's MRR to the next through what moved it.
#[component]
pub(crate) fn Movements(
    mrr: Signal<Answer>,
    moved: Signal<Answer>,
    spec: Signal<Option<MetricSpec>>,
    language: RwSignal<Language>,
) -> impl IntoView {
    let picked = RwSignal::new(None::<NaiveDate>);
    let months = Memo::new(move |_| match mrr.get() {
        Some(Ok(series)) => series.totals().skip(1).map(|point| point.period_on).collect::<Vec<_>>(),
        _ => vec![],
    });
    // The last month that has ended: the present one is not finished.
    let month = Memo::new(move |_| {
        let months = months.get();
        picked
            .get()
            .filter(|picked| months.contains(picked))
            .or_else(|| months.len().checked_sub(2).map(|index| months[index]))
            .or(months.last().copied())
    });
    let body = move || {
        let language = language.get();
        let (mrr, moved) = match (mrr.get(), moved.get()) {
            (Some(Ok(mrr)), Some(Ok(moved))) => (mrr, moved),
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                return view! { <div class="message error">{error}</div> }.into_any();
            }
            _ => {
                return view! { <div class="message"><span class="skeleton">"loading loading loading"</span></div> }
                    .into_any();
            }
        };
        let Some((lines, currency)) = month.get().and_then(|month| lines(&mrr, &moved, month)) else {
            return view! { <div class="message">{language.pick("There is no month with recurring revenue yet.", "Aún no hay ningún mes con ingresos recurrentes.")}</div> }.into_any();
        };
        let bars: Vec<Bar> = lines
            .iter()
            .map(|(name, value)| {
                let figure = Figure::Money {
                    value_minor: *value,
                    currency,
                };
                let major = figure.approximate().unwrap_or_default();
                let kind = if matches!(name.as_str(), "opening" | "closing") {
                    BarKind::Level
                } else {
                    BarKind::Change
                };
                Bar {
                    label: label(language, name),
                    shown: language.short(major),
                    value: major,
                    kind,
                }
            })
            .collect();
        let title = format!(
            "{} · {}",
            language.pick("MRR movements", "Movimientos de MRR"),
            month.get().map(|month| language.month(month)).unwrap_or_default()
        );
        let wide = waterfall(&bars, &title, false).unwrap_or_default();
        let narrow = waterfall(&bars, &title, true).unwrap_or_default();
        let rows = lines
            .into_iter()
            .map(|(name, value)| view! { <tr><td>{label(language, &name)}</td><td>{language.money(value, currency)}</td></tr> })
            .collect_view();
        let (badge, meaning) = words::proof(language, moved.proof.state);
        view! {
            <div class="chart wide-only" inner_html=wide></div>
            <div class="chart narrow" inner_html=narrow></div>
            <details>
                <summary>{language.pick("The figures", "Las cifras")}</summary>
                <div class="scroll"><table><tbody>{rows}</tbody></table></div>
                <p><span class=format!("badge {}", moved.proof.state.name()) title=meaning>{badge}</span></p>
            </details>
        }
        .into_any()
    };
    view! {
        <section class="card" data-section="movements">
            <header>
                <h2>{move || spec.get().map(|spec| language.get().pick(&spec.name_en, &spec.name_es).to_owned())}</h2>
                <select aria-label=move || language.get().pick("Month", "Mes") on:change=move |event| picked.set(event_target_value(&event).parse().ok())>
                    {move || months.get().into_iter().rev().map(|known| view! {
                        <option value=known.to_string() selected=move || month.get() == Some(known)>{move || language.get().month(known)}</option>
                    }).collect_view()}
                </select>
            </header>
            <p class="what">{move || spec.get().map(|spec| language.get().pick(&spec.description_en, &spec.description_es).to_owned())}</p>
            {body}
        </section>
    }
}
