use std::path::PathBuf;

use atalaya_ingest::{Mapping, list_dead_letters, replay_dead_letters};
use clap::{Args, Subcommand};

use crate::{
    console::Console,
    context::Context,
    output::{Format, Table},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// How the list is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tries them again, with a corrected mapping when one is given.
    Replay {
        /// The mapping to read them by now.
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
    },
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    if let Some(Action::Replay { mapping }) = arguments.action {
        let owner = context.own(&home)?;
        let mapping = mapping.map(|path| Mapping::load(&context.path(&path))).transpose()?;
        let report = replay_dead_letters(&home, &owner, context.clock.as_ref(), mapping.as_ref()).await?;
        console.note(&format!(
            "{} landed, {} still dead",
            report.landed,
            report.still_dead.len()
        ));
        for fault in &report.still_dead {
            console.note(&format!("  {fault}"));
        }
        return Ok(u8::from(!report.still_dead.is_empty()));
    }
    let mut table = Table::new(
        &["kind", "file", "line", "column", "reason", "row"],
        &[false, false, true, false, false, false],
    );
    for letter in list_dead_letters(&home).await? {
        let line = letter.line.to_string();
        table.rows.push(
            [letter.kind, letter.file, line, letter.column, letter.reason, letter.row]
                .map(Some)
                .to_vec(),
        );
    }
    table.print(arguments.format, console)?;
    Ok(0)
}
