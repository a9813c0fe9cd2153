//! `cargo xtask demo`, `cargo xtask test`, `cargo xtask soak`: everything from a fresh clone to a running board or a
//! verdict. Each step says what it does, why, and how long it took; a step already done is quick.
#![allow(clippy::print_stdout, reason = "a build tool talks to the person who started it")]

mod browser;
mod checks;
mod clients;
mod demo;
mod duckdb;
mod monitoring;
mod receiver;
mod step;
mod taps;
mod wasm;
mod web;

use std::process::ExitCode;

use anyhow::bail;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo", rest @ ..] => demo::run(rest),
        ["test"] => checks::run(checks::Size::Test),
        ["soak"] => checks::run(checks::Size::Soak),
        ["web"] => web::build().map(|_| ()),
        ["prepare"] => prepare(),
        _ => usage(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> anyhow::Result<()> {
    bail!(
        "what should be done?\n\
         cargo xtask demo     build, create the demo company on first run, serve http://127.0.0.1:8080\n\
         cargo xtask test     format, lints, all tests, documentation, browser tests\n\
         cargo xtask soak     the same tests with large numbers (hours)\n\
         cargo xtask web      only the web client\n\
         cargo xtask prepare  only fetch what is missing"
    )
}

fn prepare() -> anyhow::Result<()> {
    duckdb::ensure()?;
    wasm::toolchain()?;
    browser::ensure()
}
