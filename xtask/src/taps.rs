//! Taps of Singer that others wrote, each in an environment of its own: they want different versions of the same libraries.

use std::{path::PathBuf, process::Command};

use crate::step::{run, step, tools};

const TAPS: [&str; 2] = ["tap-rest-api-msdk==1.4.2", "meltanolabs-tap-postgres==0.10.0"];

/// Makes sure that they are there; returns their folder.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    let dir = tools().join("taps");
    let done = dir.join("fetched");
    let wanted = TAPS.join(" ");
    if std::fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(dir);
    }
    step("fetch taps", "they are read as sources, the real ones", || {
        for tap in TAPS {
            let name = tap.split("==").next().unwrap_or(tap);
            let own = dir.join(name);
            std::fs::create_dir_all(&dir)?;
            run(Command::new("python3").args(["-m", "venv"]).arg(&own))?;
            run(Command::new(own.join("bin/pip")).args(["install", "--quiet", tap]))?;
        }
        std::fs::write(&done, wanted)?;
        Ok(())
    })?;
    Ok(dir)
}
