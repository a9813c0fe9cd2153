use atalaya_model::{Grain, HomeSettings, KnownBy, Period, SeriesQuery, calendar};
use atalaya_store::Snapshot;
use chrono::NaiveDate;
use clap::Args;

use super::metric::parse_as_of;
use crate::{
    console::Console,
    context::Context,
    output::{Format, Table, series_table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The metric's id.
    metric: String,
    /// The period: 2026, 2026-Q1, 2026-03, 2026-W14 or 2026-03-15.
    #[arg(long)]
    period: String,
    /// The customer whose part is told down to its records.
    #[arg(long)]
    customer: Option<String>,
    /// Only what was known then: a day (its end) or an instant.
    #[arg(long)]
    as_of: Option<String>,
    /// How it is printed; JSON holds everything in one document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let settings = evaluator.home().settings();
    let period = parse_period(&arguments.period, settings)?;
    anyhow::ensure!(
        period.starts_at < context.clock.now(),
        "{} has not begun",
        arguments.period
    );
    let query = SeriesQuery {
        metric: arguments.metric,
        from: period.start_on,
        to: period.end_on,
        grain: period.grain,
        by: vec![],
        as_of: arguments
            .as_of
            .map(|text| parse_as_of(&text, &settings.time_zone))
            .transpose()?,
        known_by: KnownBy::Atalaya,
    };
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let series = evaluator.series_on(&query, &snapshot).await?;
    let customer = arguments.customer.as_deref();
    let exhibits = evaluator.explain(&query, period, customer, &snapshot).await?;
    if let Some(customer) = customer {
        let seen = exhibits
            .iter()
            .any(|exhibit| exhibit.name.starts_with("raw_") && exhibit.of_rows > 0);
        anyhow::ensure!(
            seen,
            "no record that {} reads names customer {customer:?}",
            query.metric
        );
    }
    if arguments.format == Format::Json {
        let tables: Vec<serde_json::Value> = exhibits
            .iter()
            .map(|exhibit| {
                serde_json::json!({
                    "name": exhibit.name, "about": exhibit.about, "columns": exhibit.columns,
                    "rows": exhibit.rows, "of_rows": exhibit.of_rows,
                })
            })
            .collect();
        let all = serde_json::json!({ "series": series, "exhibits": tables });
        console.out(&format!("{}\n", serde_json::to_string_pretty(&all)?));
        return Ok(0);
    }
    console.out(&format!("{} {}\n", query.metric, arguments.period));
    series_table(&series, arguments.format == Format::Table).print(arguments.format, console)?;
    console.out(&format!(
        "proof {} · policy {} · definition {} · {}\nrule: {}\n",
        series.proof.state.name(),
        series.proof.policy,
        &series.proof.definition_hash[..12],
        series.proof.snapshot,
        evaluator.spec(&query.metric)?.source
    ));
    for failure in &series.proof.failures {
        console.out(&format!("  {failure}\n"));
    }
    for exhibit in exhibits {
        console.out(&format!(
            "\n{} ({} rows)\n{}\n",
            exhibit.name, exhibit.of_rows, exhibit.about
        ));
        if exhibit.rows.is_empty() {
            continue;
        }
        let columns: Vec<&str> = exhibit.columns.iter().map(String::as_str).collect();
        let mut table = Table::new(&columns, &exhibit.numeric);
        let shown = exhibit.rows.len();
        table.rows = exhibit.rows;
        table.print(arguments.format, console)?;
        if shown < exhibit.of_rows {
            console.out(&format!("... and {} more\n", exhibit.of_rows - shown));
        }
    }
    Ok(0)
}

/// A period by its name.
fn parse_period(text: &str, settings: &HomeSettings) -> anyhow::Result<Period> {
    let wrong =
        || anyhow::anyhow!("--period {text:?} is not a period (2026, 2026-Q1, 2026-03, 2026-W14 or 2026-03-15)");
    let day = |text: String| text.parse::<NaiveDate>().map_err(|_| wrong());
    let (grain, on) = match text.split('-').collect::<Vec<_>>().as_slice() {
        [year] => (Grain::Year, day(format!("{year}-01-01"))?),
        [year, rest] => match (rest.strip_prefix('Q'), rest.strip_prefix('W')) {
            (Some(quarter), _) => {
                let quarter: u32 = quarter.parse().map_err(|_| wrong())?;
                anyhow::ensure!((1..=4).contains(&quarter), wrong());
                (Grain::Quarter, day(format!("{year}-{:02}-01", quarter * 3 - 2))?)
            }
            (_, Some(week)) => {
                let (year, week) = (year.parse().map_err(|_| wrong())?, week.parse().map_err(|_| wrong())?);
                let monday = NaiveDate::from_isoywd_opt(year, week, chrono::Weekday::Mon).ok_or_else(wrong)?;
                (Grain::Week, monday)
            }
            _ => (Grain::Month, day(format!("{text}-01"))?),
        },
        [_, _, _] => (Grain::Day, day(text.to_owned())?),
        _ => return Err(wrong()),
    };
    let zone = calendar::parse_zone(&settings.time_zone)?;
    Ok(calendar::period_of(zone, settings.week_start, grain, on))
}
