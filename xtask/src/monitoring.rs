//! Prometheus, its node exporter and its Alertmanager, as Debian builds them: real senders of samples, and the peer that ours is
//! compared with. They are unpacked beside the build and
//! not installed, for an installed one would begin to run as a service.

use std::{path::PathBuf, process::Command};

use anyhow::bail;

use crate::step::{has, output, run, step, tools};

const PACKAGES: [&str; 3] = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"];

/// Makes sure that they are there; returns the folder of their programs.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    let dir = tools().join("monitoring");
    let programs = dir.join("usr/bin");
    if PACKAGES.iter().all(|name| programs.join(name).is_file()) {
        return Ok(programs);
    }
    step(
        "fetch Prometheus",
        "it sends what it measures of this machine to the receivers",
        || {
            if !has("apt-get") || !has("dpkg") {
                bail!(
                    "Prometheus and its node exporter are taken from Debian's packages, and there is no apt-get here"
                );
            }
            std::fs::create_dir_all(&dir)?;
            let download = || {
                let mut command = Command::new("apt-get");
                output(command.args(["download", "-qq"]).args(PACKAGES).current_dir(&dir))
            };
            // The lists of packages may be missing or old.
            if download().is_err() {
                let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
                if !is_root {
                    bail!("apt-get cannot download: run\n    sudo apt-get update\nand the command again");
                }
                run(Command::new("apt-get").args(["update", "-qq"]))?;
                download()?;
            }
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                if path.extension().is_some_and(|ending| ending == "deb") {
                    run(Command::new("dpkg").arg("-x").arg(&path).arg(&dir))?;
                    std::fs::remove_file(&path)?;
                }
            }
            Ok(())
        },
    )?;
    Ok(programs)
}
