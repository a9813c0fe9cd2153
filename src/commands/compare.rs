use std::collections::BTreeMap;

use atalaya_metrics::Policy;
use atalaya_model::{Grain, HomeSettings, Period, calendar};
use atalaya_store::Snapshot;
use chrono::NaiveDate;
use clap::Args;

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Two policies, one after the other: presets, or `home` for the home's own.
    #[arg(long = "policy", required = true)]
    policies: Vec<String>,
    /// The month, as 2026-10.
    #[arg(long)]
    month: String,
    /// One line for each cause and customer instead of one for each cause.
    #[arg(long)]
    by_customer: bool,
    /// How the lines are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let evaluator = context.evaluator()?;
    let settings = evaluator.home().settings();
    let policy = |name: &str| match name {
        "home" => Ok(evaluator.policy().clone()),
        preset => Policy::preset(preset, settings),
    };
    let [first, second] = arguments.policies.as_slice() else {
        anyhow::bail!(
            "--policy is given {} times; name two policies to compare",
            arguments.policies.len()
        );
    };
    let (first, second) = (policy(first)?, policy(second)?);
    let month = parse_month(&arguments.month)?;
    let period = month_period(month, settings)?;
    anyhow::ensure!(
        period.starts_at < context.clock.now(),
        "{} has not begun",
        arguments.month
    );
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let found = evaluator.compare(&first, &second, period, &snapshot).await?;

    let mut table = Table::new(
        &["line", "cause", "customer", "value_minor", "currency"],
        &[false, false, false, true, false],
    );
    let mut line = |line: &str, cause: Option<&str>, customer: Option<&str>, value_minor: i64| {
        table.rows.push(vec![
            Some(line.to_owned()),
            cause.map(str::to_owned),
            customer.map(str::to_owned),
            Some(value_minor.to_string()),
            Some(found.currency.code().to_owned()),
        ]);
    };
    line(&first.name, None, None, found.first_minor);
    if arguments.by_customer {
        for part in &found.parts {
            line("gap", Some(part.cause), Some(&part.customer_id), part.value_minor);
        }
    } else {
        let mut causes: Vec<&str> = Vec::new();
        let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
        for part in &found.parts {
            if !causes.contains(&part.cause) {
                causes.push(part.cause);
            }
            *totals.entry(part.cause).or_default() += part.value_minor;
        }
        for cause in causes {
            line("gap", Some(cause), None, totals[cause]);
        }
    }
    line(&second.name, None, None, found.second_minor);
    table.print(arguments.format, console)?;
    console.note(&format!(
        "MRR at the end of {} under {} and {} · {}",
        arguments.month,
        first.id(),
        second.id(),
        snapshot.id(&[])
    ));
    Ok(0)
}

/// The month that holds a day.
pub(crate) fn month_period(day: NaiveDate, settings: &HomeSettings) -> anyhow::Result<Period> {
    let zone = calendar::parse_zone(&settings.time_zone)?;
    Ok(calendar::period_of(zone, settings.week_start, Grain::Month, day))
}

/// The first day of a month written as 2026-10.
pub(crate) fn parse_month(text: &str) -> anyhow::Result<NaiveDate> {
    format!("{text}-01")
        .parse()
        .map_err(|_| anyhow::anyhow!("--month {text:?} is not a month (expected 2026-10)"))
}
