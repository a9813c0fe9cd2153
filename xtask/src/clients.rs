//! What others made and we are tested with: client libraries, and a Stripe of one's own.

use std::{path::PathBuf, process::Command};

use crate::step::{has, install_packages, run, step, tools};

const NODE: [&str; 2] = ["@segment/analytics-node@3.1.0", "@rudderstack/rudder-sdk-node@3.0.13"];
const PYTHON: [&str; 7] = [
    "segment-analytics-python==2.4.0",
    "localstripe==1.15.10",
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    // Judges of what alerts send.
    "slack_sdk==3.47.0",
    "slackblocks==3.0.0",
    "jsonschema==4.26.0",
];

/// Makes sure that they are there; returns their folder.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    let dir = tools().join("clients");
    // Written last: what a broken fetch left behind is fetched again.
    let done = dir.join("fetched");
    let wanted = [&NODE[..], &PYTHON].concat().join(" ");
    if std::fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(dir);
    }
    if !has("npm") || !has("node") || !has("python3") {
        step("install Node and Python", "client libraries run on them", || {
            install_packages(
                &["nodejs", "npm", "python3", "python3-venv"],
                "Node and Python (nodejs, npm, python3 and python3-venv)",
            )
        })?;
    }
    step(
        "fetch client libraries",
        "Segment's, RudderStack's and OpenTelemetry's own are pointed at the receivers, and the connector at a local Stripe",
        || {
            std::fs::create_dir_all(&dir)?;
            std::fs::write(dir.join("package.json"), "{\"private\": true}\n")?;
            run(Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                .arg(&dir)
                .args(NODE))?;
            run(Command::new("python3").args(["-m", "venv"]).arg(dir.join("python")))?;
            run(Command::new(dir.join("python/bin/pip"))
                .args(["install", "--quiet"])
                .args(PYTHON))?;
            std::fs::write(&done, wanted)?;
            Ok(())
        },
    )?;
    Ok(dir)
}
