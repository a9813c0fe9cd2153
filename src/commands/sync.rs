use std::sync::Arc;

use atalaya_ingest::{Connection, Pause, RealPause, check};
use clap::Args;

use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection's name in `sources.toml`.
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// All connections.
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Only asks whether they can be read.
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let sources = context.named_sources(&home)?;
    let wanted = |connection: &&Connection| arguments.name.as_ref().is_none_or(|name| *name == connection.name);
    let chosen: Vec<&Connection> = sources.connections().iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(Context::no_connection(&home, &sources, arguments.name.as_deref()));
    }
    let intake = context.intake(&home, Some(&sources)).await?;
    let attached = intake.attach(&home);
    // By the owner too: tokens may change when they are used.
    if arguments.check {
        let pause: Arc<dyn Pause> = Arc::new(RealPause);
        for connection in chosen {
            let _turn = context.sync_turn(&connection.name).await;
            let said = check(&attached, connection, &context.clock, &pause).await?;
            console.note(&format!("{}: {said}", connection.name));
        }
        return Ok(0);
    }
    let mut failed = 0;
    for connection in chosen {
        let told = |report: atalaya_ingest::SyncReport| {
            console.progress(&connection.name, report.rows, report.rows);
        };
        match context.sync(&attached, &intake, connection, &told).await {
            Ok(report) => console.note(&format!("{}: {report}", connection.name)),
            Err(error) => {
                failed += 1;
                console.note(&format!("{}: {error}", connection.name));
            }
        }
    }
    if context.intake.is_none() {
        intake.flush().await?;
    }
    Ok(if failed > 0 { 2 } else { 0 })
}
