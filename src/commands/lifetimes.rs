use atalaya_metrics::Estimate;
use atalaya_model::{Grain, calendar};
use atalaya_store::Snapshot;
use clap::Args;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Months from the beginning that are looked at: no figure says anything beyond.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=600))]
    horizon: u32,
    /// country, market or channel.
    #[arg(long)]
    by: Option<String>,
    /// How the lines are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone)?;
    // ARPA and margin of a month that is over.
    let this_month = calendar::period_of(
        zone,
        settings.week_start,
        Grain::Month,
        calendar::day_of(zone, context.clock.now()),
    );
    let before = this_month.start_on - chrono::Days::new(1);
    let month = calendar::period_of(zone, settings.week_start, Grain::Month, before);
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let found = evaluator
        .lifetimes(arguments.horizon, arguments.by.as_deref(), month, &snapshot)
        .await?;
    anyhow::ensure!(
        !found.is_empty(),
        "nobody has ever paid: there is no lifetime to tell of"
    );

    let columns = [
        "segment",
        "customers",
        "left",
        "months",
        "months_low",
        "months_high",
        "model_months",
        "model_low",
        "model_high",
        "alpha",
        "beta",
        "ltv_minor",
        "ltv_minor_low",
        "ltv_minor_high",
        "currency",
        "reason",
    ];
    let mut numeric = vec![true; columns.len()];
    for text in [0, 14, 15] {
        numeric[text] = false;
    }
    let mut table = Table::new(&columns, &numeric);
    let parts = |estimate: Option<Estimate>| {
        let text = |value: f64| Some(format!("{value:.2}"));
        estimate.map_or([None, None, None], |found| {
            [text(found.value), text(found.low), text(found.high)]
        })
    };
    let currency = settings.reporting_currency;
    let money = |minor: f64| Some(format!("{minor:.0}"));
    for segment in found {
        let mut row = vec![
            segment.segment,
            Some(segment.customers.to_string()),
            Some(segment.ended.to_string()),
        ];
        row.extend(parts(segment.observed_months));
        row.extend(parts(segment.model.map(|model| model.months(arguments.horizon))));
        row.extend([
            segment.model.map(|model| format!("{:.4}", model.alpha)),
            segment.model.map(|model| format!("{:.4}", model.beta)),
        ]);
        row.extend(segment.ltv_minor.map_or([None, None, None], |ltv| {
            [money(ltv.value), money(ltv.low), money(ltv.high)]
        }));
        row.extend([segment.ltv_minor.map(|_| currency.code().to_owned()), segment.reason]);
        table.rows.push(row);
    }
    table.print(arguments.format, console)?;
    console.note(&format!(
        "months within a horizon of {} with 95 % intervals: Kaplan–Meier, and shifted beta-geometric · worth at ARPA and gross margin of {} · policy {}",
        arguments.horizon,
        month.start_on.format("%Y-%m"),
        evaluator.policy().id()
    ));
    Ok(0)
}
