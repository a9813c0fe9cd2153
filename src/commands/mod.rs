mod alerts;
mod close;
mod compact;
mod compare;
mod dead_letters;
mod demo;
mod explain;
mod flush;
mod import;
mod lifetimes;
mod metric;
mod oncall;
mod policy;
mod report;
mod restatements;
mod serve;
mod signal;
mod singer_target;
mod sources;
mod sql;
mod sync;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use atalaya_store::StoreError;
use clap::{Parser, Subcommand};

use crate::{
    console::{Console, Terminal},
    context::Context,
    delegate,
};

/// A KPI warehouse for subscription businesses: every figure with its proof.
#[derive(Debug, Parser)]
#[command(name = "atalaya", version, about)]
pub(crate) struct Cli {
    /// Folder of the warehouse.
    #[arg(long, global = true, env = "ATALAYA_HOME", default_value = ".atalaya")]
    pub(crate) home: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lands a file of records: CSV, TSV, blank-separated, JSON lines or Parquet, plain, gzip or zstd.
    Import(import::Arguments),
    /// Lists rows that could not be landed, or tries them again.
    DeadLetters(dead_letters::Arguments),
    /// Computes a metric.
    Metric(metric::Arguments),
    /// What a signal says now: what alert rules look at.
    Signal(signal::Arguments),
    /// Shows what a figure is made of, down to the records and the files they came in.
    Explain(explain::Arguments),
    /// Estimates how long customers stay and what they are worth, with intervals.
    Lifetimes(lifetimes::Arguments),
    /// Closes a month: what is known of its MRR goes into the books and stands.
    Close(close::Arguments),
    /// Merges sorted files and removes those that nobody needs any more; every figure stays as it is.
    Compact(compact::Arguments),
    /// Moves what was pushed and is in the log into the tables, as happens every minute anyhow.
    Flush,
    /// Shows what was learned of closed months since they were closed, by cause.
    Restatements(restatements::Arguments),
    /// Shows a month's MRR under two policies and what makes the difference.
    Compare(compare::Arguments),
    /// Shows the switches of a policy.
    Policy(policy::Arguments),
    /// Checks the bytes of every file and compares every metric between the two engines.
    Verify(verify::Arguments),
    /// Answers one SELECT in the DuckDB worker, read-only, on a pinned snapshot.
    Sql(sql::Arguments),
    /// Runs a report for a month.
    Report(report::Arguments),
    /// Serves the board, its API, and the commands of other processes.
    Serve(serve::Arguments),
    /// Lists the sources that push events: what came, what was refused, when last.
    Sources(sources::Arguments),
    /// Reads what is new at sources that are asked: Stripe, HubSpot, Zendesk, GitHub, Google Ads and taps of Singer.
    Sync(sync::Arguments),
    /// Takes what a tap of Singer says on standard input, and says each state when all before it is durable.
    SingerTarget(singer_target::Arguments),
    /// Watches the rules and delivers alerts.
    Alerts(alerts::Arguments),
    /// Who is on call, and whether there will be somebody.
    Oncall(oncall::Arguments),
    /// Fills a home with the demo company, or stages an incident in it.
    Demo(demo::Arguments),
}

impl Command {
    /// Whether it writes by way of the log alone, where everybody may at once; it may take as long as a vendor does.
    pub(crate) fn writes_through_the_log(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::SingerTarget(_))
    }

    /// Whether it reads standard input.
    pub(crate) fn reads_input(&self) -> bool {
        matches!(self, Self::SingerTarget(_))
    }
}

/// Runs the command here, or in the process that owns the home when that is another one.
pub(crate) async fn main(cli: Cli) -> ExitCode {
    let console = Terminal::new();
    let result = async {
        let context = Context::new(cli.home.clone())?;
        let reads_input = cli.command.reads_input();
        if !matches!(cli.command, Command::Serve(_))
            && let Some(code) = flush::before_another_command(&context, &console, reads_input).await?
        {
            return Ok(code);
        }
        match run(cli.command, &context, &console).await {
            Ok(code) => Ok(ExitCode::from(code)),
            Err(error) => match error.downcast_ref::<StoreError>() {
                Some(StoreError::Owned { .. }) => match delegate::ask_owner(&context.home()?, reads_input).await? {
                    Some(code) => Ok(code),
                    None => Err(error.context(
                        "another process is working on this home and takes no commands; try again when it has ended",
                    )),
                },
                _ => Err(error),
            },
        }
    }
    .await;
    result.unwrap_or_else(|error: anyhow::Error| {
        console.note(&format!("error: {}", told(&error)));
        ExitCode::from(2)
    })
}

/// An error with its causes; a cause that the text before it tells already is not told again.
pub(crate) fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match (text.is_empty(), text.contains(&cause)) {
            (true, _) => cause,
            (false, true) => text,
            (false, false) => format!("{text}: {cause}"),
        }
    })
}

/// Runs a command. The code is 0 when all is well and 1 when a check found something.
pub(crate) async fn run(command: Command, context: &Context, console: &dyn Console) -> anyhow::Result<u8> {
    match command {
        Command::Import(arguments) => import::run(arguments, context, console).await,
        Command::DeadLetters(arguments) => dead_letters::run(arguments, context, console).await,
        Command::Metric(arguments) => metric::run(arguments, context, console).await,
        Command::Signal(arguments) => signal::run(arguments, context, console).await,
        Command::Explain(arguments) => explain::run(arguments, context, console).await,
        Command::Lifetimes(arguments) => lifetimes::run(arguments, context, console).await,
        Command::Close(arguments) => close::run(arguments, context, console).await,
        Command::Compact(arguments) => compact::run(arguments, context, console).await,
        Command::Flush => flush::run(context, console).await,
        Command::Restatements(arguments) => restatements::run(arguments, context, console).await,
        Command::Compare(arguments) => compare::run(arguments, context, console).await,
        Command::Policy(arguments) => policy::run(arguments, context, console).await,
        Command::Verify(arguments) => verify::run(arguments, context, console).await,
        Command::Sql(arguments) => sql::run(arguments, context, console).await,
        Command::Report(arguments) => report::run(arguments, context, console).await,
        Command::Serve(arguments) => serve::run(arguments, context, console).await,
        Command::Sources(arguments) => sources::run(arguments, context, console).await,
        Command::Sync(arguments) => sync::run(arguments, context, console).await,
        Command::SingerTarget(arguments) => singer_target::run(arguments, context, console).await,
        Command::Alerts(arguments) => alerts::run(arguments, context, console).await,
        Command::Oncall(arguments) => oncall::run(arguments, context, console).await,
        Command::Demo(arguments) => demo::run(arguments, context, console).await,
    }
}
