//! Steps: announced, run, timed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default()
}

/// Where fetched tools are kept.
pub(crate) fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Announces a step, runs it, says how long it took.
pub(crate) fn step<T>(what: &str, why: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("\n▸ {what}\n  {why}");
    #[allow(clippy::disallowed_methods, reason = "a build tool tells how long a step took")]
    let started = Instant::now();
    let result = run().with_context(|| format!("{what} failed"))?;
    println!("  done in {:.1} s", started.elapsed().as_secs_f32());
    Ok(result)
}

/// Runs a command, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    forget_outer_cargo(command);
    let status = command
        .current_dir(root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs a command and returns what it printed; an error when it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!(
            "`{shown}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Build scripts (ring's, for one) run again when these change, and all that stands on them is compiled again: what the
/// outer `cargo run` says of xtask itself must not reach the inner cargo.
fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ]
        .iter()
        .any(|start| text.starts_with(start))
        {
            command.env_remove(&name);
        }
    }
}

/// Whether a program can be started.
pub(crate) fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// Installs Debian packages where that is possible; otherwise says the command that would.
pub(crate) fn install_packages(packages: &[&str], for_what: &str) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !has("apt-get") {
        bail!(
            "{for_what} is missing. On Debian or Ubuntu install it with\n    sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}\nand run the command again"
        );
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

fn shown(command: &Command) -> String {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}
