//! A browser for the tests.

use std::process::Command;

use crate::step::{has, install_packages, output, run, step, tools};

/// The browser's program.
pub(crate) fn program() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| has(name))
}

/// Makes sure that there is one.
pub(crate) fn ensure() -> anyhow::Result<()> {
    if program().is_none() {
        step("install a browser", "the board is tested in the real thing", || {
            install_packages(&["chromium"], "a browser (Chromium)")
        })?;
    }
    Ok(())
}

/// The driver library that clicks and reads, fetched once.
pub(crate) fn driver() -> anyhow::Result<std::path::PathBuf> {
    let dir = tools().join("playwright");
    let module = dir.join("package/index.js");
    if !module.exists() {
        if !has("npm") || !has("node") {
            step(
                "install Node",
                "the browser is driven by playwright-core, which runs on Node",
                || install_packages(&["nodejs", "npm"], "Node (nodejs and npm)"),
            )?;
        }
        step(
            "fetch playwright-core",
            "it clicks and reads in the browser that is installed",
            || {
                std::fs::create_dir_all(&dir)?;
                let name =
                    output(
                        Command::new("npm")
                            .current_dir(&dir)
                            .args(["pack", "--silent", "playwright-core@1.56.1"]),
                    )?;
                run(Command::new("tar")
                    .arg("-xzf")
                    .arg(dir.join(name.lines().last().unwrap_or_default().trim()))
                    .arg("-C")
                    .arg(&dir))
            },
        )?;
    }
    Ok(module)
}
