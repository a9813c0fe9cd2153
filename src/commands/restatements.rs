use std::collections::BTreeMap;

use atalaya_model::Money;
use atalaya_store::Snapshot;
use clap::Args;

use super::compare::{month_period, parse_month};
use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One closed month, as 2026-10; all of them when absent.
    #[arg(long)]
    month: Option<String>,
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
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let wanted = arguments.month.as_deref().map(parse_month).transpose()?;
    let any = month_period(wanted.unwrap_or_else(|| context.clock.now().date_naive()), settings)?;
    let mut closes = evaluator.closes(any, &snapshot).await?;
    closes.retain(|close| wanted.is_none_or(|month| close.month_on == month));
    if let (Some(month), true) = (&arguments.month, closes.is_empty()) {
        anyhow::bail!("{month} is not closed; `atalaya close {month}` closes it");
    }
    if closes.is_empty() {
        console.note("no month is closed; `atalaya close MONTH` closes one");
    }
    let mut table = Table::new(
        &["month", "line", "cause", "customer", "value_minor", "currency"],
        &[false, false, false, false, true, false],
    );
    for close in closes {
        let period = month_period(close.month_on, settings)?;
        let found = evaluator.restatement(&close, period, &snapshot).await?;
        let mut line = |line: &str, cause: Option<&str>, customer: Option<&str>, value_minor: i64| {
            table.rows.push(vec![
                Some(close.month_on.format("%Y-%m").to_string()),
                Some(line.to_owned()),
                cause.map(str::to_owned),
                customer.map(str::to_owned),
                Some(value_minor.to_string()),
                Some(found.currency.code().to_owned()),
            ]);
        };
        line("then", None, None, found.then_minor);
        if arguments.by_customer {
            for part in &found.parts {
                line("restated", Some(part.cause), Some(&part.customer_id), part.value_minor);
            }
        } else {
            let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
            for part in &found.parts {
                *totals.entry(part.cause).or_default() += part.value_minor;
            }
            for (cause, value_minor) in totals {
                line("restated", Some(cause), None, value_minor);
            }
        }
        line("now", None, None, found.now_minor);
        console.note(&format!(
            "{}: closed at {} under {}; restated by {}",
            close.month_on.format("%Y-%m"),
            close.closed_at.to_rfc3339(),
            close.policy,
            Money::new(found.now_minor - found.then_minor, found.currency)
        ));
    }
    table.print(arguments.format, console)?;
    Ok(0)
}
