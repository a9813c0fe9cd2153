use std::path::PathBuf;

use atalaya_ingest::{ImportRequest, Mapping, import_file};
use atalaya_model::Kind;
use atalaya_store::{Compaction, Home};
use clap::Args;

use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file to land.
    file: PathBuf,
    /// What its rows are: customers, subscriptions, orders, invoice_lines, payments, ad_spend, expenses, fx_rates,
    /// price_tiers, reported_values, leads, opportunities, tickets, issues and others; see docs/import.md.
    #[arg(long = "as", value_name = "KIND")]
    kind: String,
    /// How a foreign layout maps to the kind; see docs/import.md.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The character between cells, when it is not the usual one.
    #[arg(long)]
    delimiter: Option<char>,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let kind = Kind::parse(&arguments.kind)?;
    anyhow::ensure!(
        kind.is_from_outside(),
        "month_closes are written by `atalaya close`, not imported"
    );
    let mapping = match &arguments.mapping {
        Some(path) => Mapping::load(&context.path(path))?,
        None => Mapping::default(),
    };
    let delimiter = match arguments.delimiter {
        None => None,
        Some(sign) if sign.is_ascii() => u8::try_from(sign).ok(),
        Some(sign) => anyhow::bail!("--delimiter {sign:?} is not an ASCII character"),
    };
    let home = Home::open_or_create(&context.home_dir, None)?;
    let owner = context.own(&home)?;
    let request = ImportRequest {
        file: context.path(&arguments.file),
        kind,
        mapping,
        delimiter,
    };
    let report = import_file(&home, &owner, context.clock.as_ref(), &request, &|progress| {
        console.progress(progress.stage, progress.done_bytes, progress.total_bytes);
    })
    .await?;
    let name = request
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if report.already_imported {
        console.note(&format!("{name}: imported before, nothing changed"));
        return Ok(0);
    }
    console.note(&format!(
        "{name}: {} {kind} landed, {} dead letters",
        report.rows, report.dead
    ));
    // What has landed stays landed: runs that could not be merged only make the next question slower.
    match home.compact(kind, &owner, Compaction::Due, context.clock.now()).await {
        Ok(done) if done.merged > 0 => {
            console.note(&format!("merged {} files into {}", done.merged, done.written));
        }
        Ok(_) => {}
        Err(error) => console.note(&format!(
            "the files could not be merged, `atalaya compact` tries again: {error}"
        )),
    }
    for fault in &report.first_faults {
        console.note(&format!("  {fault}"));
    }
    if report.dead > 0 {
        console.note(
            "see them all with `atalaya dead-letters`; correct the mapping and run `atalaya dead-letters replay`",
        );
    }
    Ok(0)
}
