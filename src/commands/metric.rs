use atalaya_metrics::Policy;
use atalaya_model::{Grain, KnownBy, ProofState, SeriesQuery, calendar};
use atalaya_sql::prove;
use atalaya_store::Snapshot;
use chrono::{DateTime, Months, NaiveDate, Utc};
use clap::{Args, ValueEnum};

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table, series_table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The metric's id; see `--list`.
    #[arg(required_unless_present = "list")]
    metric: Option<String>,
    /// Names all metrics.
    #[arg(long)]
    list: bool,
    /// First day, as 2026-01-31; a year back when absent.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// First day no longer wanted; tomorrow when absent.
    #[arg(long)]
    to: Option<NaiveDate>,
    /// Length of the periods: day, week, month, quarter or year.
    #[arg(long, default_value = "month")]
    grain: String,
    /// Dimensions to split by, divided by commas.
    #[arg(long, value_delimiter = ',')]
    by: Vec<String>,
    /// Only what was known then: a day (its end) or an instant.
    #[arg(long)]
    as_of: Option<String>,
    /// Whose knowledge: when Atalaya had it, or when the source says it had.
    #[arg(long, value_enum, default_value_t)]
    known_by: Knowledge,
    /// A preset to compute under: atalaya, stripe, chartmogul, profitwell or board; the home's own policy when absent.
    #[arg(long)]
    policy: Option<String>,
    /// Asks the second engine this very question too, however it is asked; otherwise it is asked what boards show.
    #[arg(long)]
    prove: bool,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Knowledge {
    #[default]
    Atalaya,
    Source,
}

/// An instant, or the end of a local day.
pub(crate) fn parse_as_of(text: &str, time_zone: &str) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let day: NaiveDate = text.parse().map_err(|_| {
        anyhow::anyhow!("--as-of {text:?} is neither a day (2026-01-31) nor an instant (2026-01-31T09:30:00Z)")
    })?;
    Ok(calendar::day_starts_at(
        calendar::parse_zone(time_zone)?,
        day + chrono::Days::new(1),
    ))
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let mut evaluator = context.evaluator()?;
    if let Some(name) = &arguments.policy {
        let policy = Policy::preset(name, evaluator.home().settings())?;
        evaluator = evaluator.under(policy);
    }
    let Some(metric) = arguments.metric else {
        let mut table = Table::new(
            &["id", "name", "unit", "grains", "dimensions", "description"],
            &[false; 6],
        );
        for spec in evaluator.catalog().metrics() {
            let unit = serde_json::to_value(spec.unit)?.as_str().unwrap_or_default().to_owned();
            let grains: Vec<&str> = spec.grains.iter().map(|grain| grain.name()).collect();
            let dimensions: Vec<String> = spec.dimensions.iter().chain(&spec.breakdown).cloned().collect();
            let cells = [
                spec.id.clone(),
                spec.name_en.clone(),
                unit,
                grains.join(" "),
                dimensions.join(" "),
                spec.description_en.clone(),
            ];
            table.rows.push(cells.map(Some).to_vec());
        }
        table.print(arguments.format, console)?;
        return Ok(0);
    };
    let settings = evaluator.home().settings();
    let zone = calendar::parse_zone(&settings.time_zone)?;
    let today = calendar::day_of(zone, context.clock.now());
    let grain = Grain::parse(&arguments.grain)?;
    let to = arguments.to.unwrap_or(today + chrono::Days::new(1));
    let from = arguments
        .from
        .unwrap_or_else(|| grain.start_of(to - chrono::Days::new(1), settings.week_start) - Months::new(11));
    let query = SeriesQuery {
        metric,
        from,
        to,
        grain,
        by: arguments.by,
        as_of: arguments
            .as_of
            .map(|text| parse_as_of(&text, &settings.time_zone))
            .transpose()?,
        known_by: match arguments.known_by {
            Knowledge::Atalaya => KnownBy::Atalaya,
            Knowledge::Source => KnownBy::Source,
        },
    };
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    if arguments.prove {
        prove(&evaluator, &snapshot, &query).await?;
    }
    let series = evaluator.series_on(&query, &snapshot).await?;
    match arguments.format {
        Format::Json => console.out(&format!("{}\n", serde_json::to_string_pretty(&series)?)),
        format => series_table(&series, format == Format::Table).print(format, console)?,
    }
    console.note(&format!(
        "proof {} · definition {} · policy {} · {}",
        series.proof.state.name(),
        &series.proof.definition_hash[..12],
        series.proof.policy,
        series.proof.snapshot
    ));
    for failure in &series.proof.failures {
        console.note(&format!("  {failure}"));
    }
    Ok(u8::from(series.proof.state == ProofState::Failed))
}
