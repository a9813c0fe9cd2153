use std::collections::BTreeMap;

use atalaya_charts::{HeatCell, HeatRow, heatmap};
use atalaya_model::{Figure, Language, MetricSpec, Series};
use chrono::NaiveDate;
use leptos::prelude::*;

use crate::{board::Answer, words};

/// Cells by cohort and age, as numerator and denominator.
fn cells(series: &Series) -> BTreeMap<NaiveDate, BTreeMap<usize, (i64, i64)>> {
    let mut found: BTreeMap<NaiveDate, BTreeMap<usize, (i64, i64)>> = BTreeMap::new();
    for point in &series.points {
        let age = point
            .dimensions
            .first()
            .and_then(Option::as_deref)
            .and_then(|age| age.parse().ok());
        if let (Some(age), Figure::Ratio { numerator, denominator }) = (age, &point.figure) {
            found
                .entry(point.period_on)
                .or_default()
                .insert(age, (*numerator, *denominator));
        }
    }
    found
}

#[allow(clippy::cast_precision_loss, reason = "a share for drawing")]
fn rows(language: Language, series: &Series) -> Vec<HeatRow> {
    cells(series)
        .into_iter()
        .map(|(cohort, ages)| {
            let last = ages.keys().max().copied().unwrap_or(0);
            let size = ages.get(&0).map_or(0, |(_, size)| *size);
            let cells = (0..=last)
                .map(|age| {
                    ages.get(&age).map(|(alive, size)| {
                        let share = *alive as f64 / *size as f64;
                        HeatCell {
                            share,
                            shown: language.percent(share, 0),
                        }
                    })
                })
                .collect();
            HeatRow {
                label: language.month(cohort),
                size: language.integer(size),
                cells,
            }
        })
        .collect()
}

/// How many of each month's new customers stay.
#[component]
pub(crate) fn Cohorts(
    answer: Signal<Answer>,
    spec: Signal<Option<MetricSpec>>,
    language: RwSignal<Language>,
) -> impl IntoView {
    let body = move || {
        let language = language.get();
        let series = match answer.get() {
            None => {
                return view! { <div class="message"><span class="skeleton">"loading loading loading"</span></div> }
                    .into_any();
            }
            Some(Err(error)) => return view! { <div class="message error">{error}</div> }.into_any(),
            Some(Ok(series)) => series,
        };
        let rows = rows(language, &series);
        if rows.is_empty() {
            return view! { <div class="message">{language.pick("Nobody has paid for the first time yet.", "Aún nadie ha pagado por primera vez.")}</div> }.into_any();
        }
        let title = language.pick("Customer retention by cohort", "Retención de clientes por cohorte");
        let drawing = heatmap(&rows, title).unwrap_or_default();
        let width = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let head = (0..width).map(|age| view! { <th>{age}</th> }).collect_view();
        let table = rows
            .into_iter()
            .map(|row| {
                let cells = row
                    .cells
                    .into_iter()
                    .map(|cell| view! { <td>{cell.map(|cell| cell.shown)}</td> })
                    .collect_view();
                view! { <tr><td>{row.label}</td><td>{row.size}</td>{cells}</tr> }
            })
            .collect_view();
        let (badge, meaning) = words::proof(language, series.proof.state);
        view! {
            <div class="chart wide" inner_html=drawing></div>
            <details>
                <summary>{language.pick("The figures", "Las cifras")}</summary>
                <div class="scroll">
                    <table>
                        <thead><tr><th>{language.pick("Cohort", "Cohorte")}</th><th>{language.pick("Customers", "Clientes")}</th>{head}</tr></thead>
                        <tbody>{table}</tbody>
                    </table>
                </div>
                <p><span class=format!("badge {}", series.proof.state.name()) title=meaning>{badge}</span></p>
            </details>
        }
        .into_any()
    };
    view! {
        <section class="card" data-section="cohorts">
            <header><h2>{move || spec.get().map(|spec| language.get().pick(&spec.name_en, &spec.name_es).to_owned())}</h2></header>
            <p class="what">{move || spec.get().map(|spec| language.get().pick(&spec.description_en, &spec.description_es).to_owned())}</p>
            {body}
        </section>
    }
}
