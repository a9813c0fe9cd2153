use std::sync::Arc;

use atalaya_ingest::{Pause, RealPause, take};
use clap::Args;

use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection's name in `sources.toml`; its vendor is singer.
    name: String,
    /// Where Meltano and others put a target's configuration; what this one needs stands in `sources.toml`.
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let sources = context.named_sources(&home)?;
    let connection = sources.connections().iter().find(|known| known.name == arguments.name);
    let connection = connection.ok_or_else(|| Context::no_connection(&home, &sources, Some(&arguments.name)))?;
    let intake = context.intake(&home, Some(&sources)).await?;
    let _turn = context.sync_turn(&connection.name).await;
    let attached = intake.attach(&home);
    let pause: Arc<dyn Pause> = Arc::new(RealPause);
    // A state is said when everything before it is durable, one line each.
    let told = |state: &str| console.out(&format!("{state}\n"));
    let input = context.input()?;
    let report = take(&attached, &intake, connection, &context.clock, &pause, input, &told).await?;
    console.note(&format!("{}: {report}", connection.name));
    if context.intake.is_none() {
        intake.flush().await?;
    }
    Ok(0)
}
