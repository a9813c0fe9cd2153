//! The DuckDB worker. One process answers one request: JSON on standard input, Arrow IPC frames on standard output.
//!
//! Setup is Atalaya's own SQL and is trusted. Queries may come from outside: before they run, files are narrowed to the
//! snapshot's, the configuration is locked, and each query must be one `SELECT` over tables by name.

mod check;
mod request;
mod run;

use std::{
    io::{Read, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::from(2)
        }
    }
}

fn serve() -> anyhow::Result<()> {
    // Answers go out on a descriptor of our own; whatever a library prints to standard output lands on standard error.
    let answers = rustix::io::dup(std::io::stdout())?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    let mut answers = std::fs::File::from(answers);
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let request: request::Request = serde_json::from_slice(&text)?;
    run::answer(&request, &mut answers)?;
    answers.flush()?;
    Ok(())
}
