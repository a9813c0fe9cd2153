//! A compiler for wasm32: rustup's target, or Debian's own where rustup cannot download.

use std::{path::Path, process::Command};

use crate::step::{has, install_packages, output, step};

/// Which compiler builds the web client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The one that builds everything else, with the target added.
    Rustup,
    /// Debian's `rustc-web`, with the standard library built from its source.
    Debian,
}

fn rustup_has_target() -> bool {
    output(Command::new("rustup").args(["target", "list", "--installed"]))
        .is_ok_and(|list| list.contains("wasm32-unknown-unknown"))
}

fn debian_is_there() -> bool {
    Path::new("/usr/bin/cargo").exists()
        && Path::new("/usr/lib/rustlib/src/rust/library/std").exists()
        && has("wasm-ld-19")
        && Path::new("/usr/bin/rustc").exists()
}

/// Finds a compiler, installing one if need be.
pub(crate) fn toolchain() -> anyhow::Result<Toolchain> {
    if rustup_has_target() {
        return Ok(Toolchain::Rustup);
    }
    if debian_is_there() {
        return Ok(Toolchain::Debian);
    }
    step("get a compiler for wasm32", "the dashboard runs in the browser", || {
        if has("rustup")
            && output(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"])).is_ok()
            && rustup_has_target()
        {
            return Ok(Toolchain::Rustup);
        }
        println!("  rustup cannot add the target here; taking Debian's compiler");
        install_packages(
            &[
                "rustc-web",
                "cargo-web",
                "rust-web-src",
                "libstd-rust-web-dev",
                "lld-19",
            ],
            "a compiler for wasm32 (`rustup target add wasm32-unknown-unknown` is the other way)",
        )?;
        Ok(Toolchain::Debian)
    })
}

/// A cargo of that toolchain, free of what the outer cargo put into the environment.
pub(crate) fn cargo(toolchain: Toolchain) -> Command {
    let mut command = match toolchain {
        Toolchain::Rustup => Command::new("cargo"),
        Toolchain::Debian => {
            let mut command = Command::new("/usr/bin/cargo");
            let path = std::env::var("PATH").unwrap_or_default();
            command
                .env("PATH", format!("/usr/bin:{path}"))
                .env("RUSTC", "/usr/bin/rustc")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19");
            command
        }
    };
    for name in [
        "CARGO",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
    ] {
        command.env_remove(name);
    }
    if toolchain == Toolchain::Debian {
        command.env_remove("RUSTUP_TOOLCHAIN").env("RUSTC", "/usr/bin/rustc");
    }
    command
}

/// What must follow `cargo build` for that toolchain.
pub(crate) fn arguments(toolchain: Toolchain) -> &'static [&'static str] {
    match toolchain {
        Toolchain::Rustup => &[],
        Toolchain::Debian => &["-Zbuild-std=std,panic_abort"],
    }
}
