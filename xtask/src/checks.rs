//! All checks, cheapest first.

use std::process::Command;

use crate::{
    browser, clients, duckdb, monitoring,
    step::{self, root, step},
    taps, web,
};

/// How large the numbers of the tests are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Minutes.
    Test,
    /// Hours.
    Soak,
}

fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(words);
    command
}

/// Runs everything; the first failure ends it.
pub(crate) fn run_all(size: Size) -> anyhow::Result<()> {
    duckdb::ensure()?;
    browser::ensure()?;
    let driver = browser::driver()?;
    let clients = clients::ensure()?;
    let monitoring = monitoring::ensure()?;
    let taps = taps::ensure()?;
    step(
        "check the format",
        "one style, so that changes show only what changed",
        || step::run(&mut cargo(&["fmt", "--all", "--check"])),
    )?;
    web::build()?;
    duckdb::build_worker()?;
    step("build", "the command itself, as the system tests start it", || {
        step::run(&mut cargo(&["build"]))
    })?;
    step("lints", "clippy without a single warning", || {
        step::run(&mut cargo(&["clippy", "--all-targets", "--", "-D", "warnings"]))?;
        step::run(&mut cargo(&[
            "clippy",
            "--package",
            "atalaya-duckdb-worker",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step(
        "tests",
        "units, properties, the whole system against real components, the browser",
        || {
            let mut command = cargo(&["test", "--no-fail-fast"]);
            command.env("ATALAYA_BROWSER_DRIVER", &driver);
            command.env("ATALAYA_CLIENTS", &clients);
            command.env("ATALAYA_MONITORING", &monitoring);
            command.env("ATALAYA_TAPS", &taps);
            if let Some(program) = browser::program() {
                command.env("ATALAYA_BROWSER", program);
            }
            if size == Size::Soak {
                command.env("ATALAYA_SOAK", "1");
            }
            if std::env::var_os("ATALAYA_SAMPLES").is_none() {
                command.env("ATALAYA_SAMPLES", root().join("../shared/data"));
            }
            step::run(&mut command)
        },
    )?;
    step("documentation", "every public item, no broken link", || {
        let mut command = cargo(&["doc", "--no-deps"]);
        step::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    })
}

/// Runs everything and says so at the end.
pub(crate) fn run(size: Size) -> anyhow::Result<()> {
    run_all(size)?;
    println!("\n✓ all checks passed");
    Ok(())
}
