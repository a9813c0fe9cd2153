use std::process::ExitCode;

use atalaya_store::{Home, StoreError};

use crate::{console::Console, context::Context, delegate};

pub(crate) async fn run(context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    let flushed = match &context.intake {
        Some(intake) => intake.flush().await?,
        None => {
            let home = context.home()?;
            let owner = context.own(&home)?;
            context.open_intake(&home, owner, None).await?.flush().await?
        }
    };
    console.note(&format!("{} rows into {} tables", flushed.rows, flushed.tables));
    Ok(0)
}

/// Sees to it that a command reads what was pushed too. Where another process takes events, that one runs the command
/// and its exit code is returned; where one ended while it did, what it left in the log is moved into the tables first.
pub(crate) async fn before_another_command(
    context: &Context,
    console: &dyn Console,
    reads_input: bool,
) -> anyhow::Result<Option<ExitCode>> {
    let Ok(home) = Home::open(&context.home_dir) else {
        // No home yet: the command itself says so, or makes one.
        return Ok(None);
    };
    if !home.has_log()? {
        return Ok(None);
    }
    match home.own() {
        Ok(owner) => {
            // Nothing is taken here: the sources and their keys are not needed.
            let flushed = context.open_intake(&home, owner.into(), None).await?.flush().await?;
            tracing::info!("{} rows of an earlier process came from the log", flushed.rows);
            Ok(None)
        }
        Err(StoreError::Owned { .. }) => {
            let answered = delegate::ask_owner(&home, reads_input).await?;
            if answered.is_none() {
                console.note("another process is working on this home: what was pushed and is in its log is not shown");
            }
            Ok(answered)
        }
        Err(error) => Err(error.into()),
    }
}
