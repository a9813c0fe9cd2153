//! The `atalaya` command. One thin file a subcommand; what they do stands in the crates below.

mod commands;
mod console;
mod context;
mod delegate;
mod exposition;
mod output;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("ATALAYA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,atalaya=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    runtime.block_on(commands::main(cli))
}
