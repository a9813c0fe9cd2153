use atalaya_store::Compaction;
use clap::Args;

use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Merge all files, not only where there are many: the next full computation is at its fastest.
    #[arg(long)]
    full: bool,
}

pub(crate) async fn run(arguments: Arguments, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let home = context.home()?;
    let owner = context.own(&home)?;
    let compaction = if arguments.full {
        Compaction::Full
    } else {
        Compaction::Due
    };
    // First what makes room.
    let removed = home.vacuum(&owner, context.clock.now()).await?;
    if removed.files > 0 {
        console.note(&format!(
            "{} files that nobody needs any more removed, {} bytes",
            removed.files, removed.bytes
        ));
    }
    let done = home.compact_all(&owner, compaction, context.clock.now()).await?;
    for (table, done) in &done {
        console.note(&format!(
            "{table}: {} files with {} rows became {}",
            done.merged, done.rows, done.written
        ));
    }
    if done.is_empty() {
        console.note("nothing to merge");
    }
    Ok(0)
}
