use atalaya_model::Kind;
use atalaya_store::Compaction;
use clap::Args;

use crate::{console::Console, context::Context};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Merge all runs, not only where there are many: the next full computation is at its fastest.
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
    let mut merged = 0;
    for kind in Kind::ALL {
        let done = home.compact(kind, &owner, compaction, context.clock.now()).await?;
        merged += done.merged;
        if done.merged > 0 {
            console.note(&format!(
                "{kind}: {} files with {} rows became {}",
                done.merged, done.rows, done.written
            ));
        }
    }
    if merged == 0 {
        console.note("nothing to merge");
    }
    Ok(0)
}
