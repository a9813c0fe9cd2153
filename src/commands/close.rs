use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_model::{Kind, Period, ProofState, SeriesQuery};
use atalaya_store::Snapshot;
use clap::Args;

use super::compare::{month_period, parse_month};
use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The month, as 2026-10; it must have ended.
    month: String,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let owner = context.own(&home)?;
    let evaluator = context.evaluator()?;
    let period = month_period(parse_month(&arguments.month)?, home.settings())?;
    anyhow::ensure!(
        period.ends_at <= context.clock.now(),
        "{} has not ended: only what is over can be closed",
        arguments.month
    );
    let snapshot = Snapshot::latest(&home).await?;
    if let Some(close) = evaluator
        .closes(period, &snapshot)
        .await?
        .iter()
        .find(|close| close.month_on == period.start_on)
    {
        anyhow::bail!(
            "{} was closed at {}; what is learned of it now becomes a restatement",
            arguments.month,
            close.closed_at.to_rfc3339()
        );
    }
    refuse_unproven(&evaluator, period, &snapshot, &arguments.month).await?;

    let (columns, rows) = evaluator.closing_rows(period, &snapshot).await?;
    let file = home.scratch_dir()?.join(format!("close-{}.csv", arguments.month));
    let mut table = crate::output::Table::new(&columns, &vec![false; columns.len()]);
    let customers = rows.len() - 2;
    table.rows = rows
        .into_iter()
        .map(|row| row.into_iter().map(|cell| (!cell.is_empty()).then_some(cell)).collect())
        .collect();
    std::fs::write(&file, table.csv()?)?;
    let request = ImportRequest {
        file: file.clone(),
        kind: Kind::MonthCloses,
        mapping: Mapping::default(),
        delimiter: None,
    };
    let report = import_file(&home, &owner, context.clock.as_ref(), &request, &|_| {}).await;
    std::fs::remove_file(&file)?;
    let report = report?;
    anyhow::ensure!(
        report.dead == 0,
        "the books could not be written: {:?}",
        report.first_faults
    );
    console.note(&format!(
        "{} is closed: {customers} rows of MRR are in the books under policy {}",
        arguments.month,
        evaluator.policy().id()
    ));
    Ok(0)
}

/// Books are not closed on figures that a check contradicts.
async fn refuse_unproven(
    evaluator: &atalaya_metrics::Evaluator,
    period: Period,
    snapshot: &Snapshot,
    month: &str,
) -> anyhow::Result<()> {
    for metric in ["mrr", "mrr_movements", "mrr_movement_events"] {
        let query = SeriesQuery {
            metric: metric.to_owned(),
            from: period.start_on,
            to: period.end_on,
            grain: period.grain,
            by: vec![],
            as_of: None,
            known_by: atalaya_model::KnownBy::Atalaya,
        };
        let series = evaluator.series_on(&query, snapshot).await?;
        anyhow::ensure!(
            series.proof.state != ProofState::Failed,
            "{month} cannot be closed: {metric} is not proven: {}",
            series.proof.failures.join("; ")
        );
    }
    Ok(())
}
