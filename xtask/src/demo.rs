//! The demo: from a fresh clone to a live board.

use std::{path::PathBuf, process::Command};

use anyhow::Context;

use crate::{
    duckdb, receiver,
    step::{self, root, step},
    web,
};

/// Builds what is missing, fills the demo home on first run, serves it beside a receiver for its alerts.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    duckdb::ensure()?;
    web::build()?;
    duckdb::build_worker()?;
    step(
        "build atalaya",
        "the warehouse, the board and the alerts in one program",
        run_cargo_build,
    )?;
    let home = home();
    let program = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("debug/atalaya");
    step(
        "the demo company",
        "a course, a marketing SaaS and a document generator, three years old",
        || {
            step::run(
                Command::new(&program)
                    .arg("--home")
                    .arg(&home)
                    .args(["demo", "--generate-only"])
                    .args(arguments),
            )
        },
    )?;
    let received = receiver::start()?;
    println!("\n  Alerts go to a receiver on this machine: http://{received}");
    println!(
        "  Stage a revenue drop:   {} --home {} demo --incident revenue-drop",
        program.display(),
        home.display()
    );
    println!(
        "  The month's report:     {} --home {} report mrr_rollforward --month YYYY-MM",
        program.display(),
        home.display()
    );
    println!("\n  The board: http://127.0.0.1:8080\n");
    let status = Command::new(&program)
        .arg("--home")
        .arg(&home)
        .args(["serve", "--with-alerts"])
        .env("ATALAYA_SLACK_WEBHOOK_URL", format!("http://{received}/slack"))
        .env("ATALAYA_PAGERDUTY_URL", format!("http://{received}/pagerduty"))
        .env("ATALAYA_PAGERDUTY_ROUTING_KEY", "0123456789abcdef0123456789abcdef")
        .status()
        .context("cannot start atalaya")?;
    anyhow::ensure!(status.success(), "atalaya ended with {status}");
    Ok(())
}

fn run_cargo_build() -> anyhow::Result<()> {
    step::run(Command::new(env!("CARGO")).arg("build"))
}

fn home() -> PathBuf {
    std::env::var_os("ATALAYA_HOME").map_or_else(|| root().join(".atalaya"), PathBuf::from)
}
