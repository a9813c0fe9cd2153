use std::path::PathBuf;

use atalaya_sql::{run_report, to_csv, to_parquet, to_xlsx};
use atalaya_store::{Snapshot, write_atomically};
use clap::{Args, ValueEnum};

use super::compare::parse_month;
use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The report, for example mrr_rollforward.
    report: String,
    /// The month, as 2026-10.
    #[arg(long)]
    month: String,
    /// The file's format.
    #[arg(long, value_enum, default_value_t)]
    format: FileFormat,
    /// Where to write it; CSV goes to standard output when absent, the others to NAME-MONTH.FORMAT.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum FileFormat {
    #[default]
    Csv,
    Xlsx,
    Parquet,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let month = parse_month(&arguments.month)?;
    let evaluator = context.evaluator()?;
    let snapshot = Snapshot::latest(evaluator.home()).await?;
    let (report, answer) = run_report(&evaluator, &snapshot, &arguments.report, month).await?;
    let (bytes, ending) = match arguments.format {
        FileFormat::Csv => (to_csv(&answer)?.into_bytes(), "csv"),
        FileFormat::Xlsx => (to_xlsx(&answer, &report.title_en)?, "xlsx"),
        FileFormat::Parquet => (to_parquet(&answer)?, "parquet"),
    };
    match (arguments.output, arguments.format) {
        (None, FileFormat::Csv) => console.out(&String::from_utf8_lossy(&bytes)),
        (path, _) => {
            let path = context
                .path(&path.unwrap_or_else(|| PathBuf::from(format!("{}-{}.{ending}", report.id, arguments.month))));
            write_atomically(&path, &bytes)?;
            console.note(&format!("wrote {}", path.display()));
        }
    }
    console.note(&format!(
        "{} · {} · {}",
        report.title_en,
        arguments.month,
        snapshot.id(&[])
    ));
    Ok(0)
}
