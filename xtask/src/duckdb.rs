//! The prebuilt DuckDB library: compiling it would take the better part of an hour.

use std::{fs, process::Command};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::step::{has, install_packages, output, run, step, tools};

const PACKAGE: &str = "@duckdb/node-bindings-linux-x64";
const VERSION: &str = "1.5.6-r.1";
/// SHA-256 of `libduckdb.so` in that package.
const SHA256: &str = "3f4962cdd266eab2b479a5b5a4a6d063d279b2954ae814ed00385d553b747633";

/// Fetches the library unless it is there.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let library = tools().join("duckdb/libduckdb.so");
    if fs::read(&library).is_ok_and(|bytes| hex(&bytes) == SHA256) {
        return Ok(());
    }
    step(
        "fetch libduckdb",
        "the second engine links DuckDB's own build of its library (24 MB, MIT), checked by its SHA-256",
        || {
            if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
                bail!(
                    "there is no checked library for this platform; build libduckdb 1.5.6 and put it into {}",
                    library.display()
                );
            }
            let dir = tools().join("duckdb");
            fs::create_dir_all(&dir)?;
            let archive = dir.join("package.tgz");
            fetch(&archive)?;
            let bytes = unpack(&fs::read(&archive)?)?;
            if hex(&bytes) != SHA256 {
                bail!(
                    "what was fetched is not the library that was checked: its SHA-256 is {}",
                    hex(&bytes)
                );
            }
            fs::write(&library, bytes)?;
            fs::remove_file(&archive)?;
            Ok(())
        },
    )
}

fn fetch(archive: &std::path::Path) -> anyhow::Result<()> {
    if has("npm") {
        let dir = tools().join("duckdb");
        let name =
            output(
                Command::new("npm")
                    .current_dir(&dir)
                    .args(["pack", "--silent", &format!("{PACKAGE}@{VERSION}")]),
            )?;
        let name = name.lines().last().unwrap_or_default().trim().to_owned();
        fs::rename(dir.join(name), archive).context("npm pack left no file")?;
        return Ok(());
    }
    if has("curl") {
        return download(archive);
    }
    install_packages(&["curl", "ca-certificates"], "curl, to fetch it")?;
    download(archive)
}

fn download(archive: &std::path::Path) -> anyhow::Result<()> {
    let url = format!("https://registry.npmjs.org/{PACKAGE}/-/node-bindings-linux-x64-{VERSION}.tgz");
    run(Command::new("curl")
        .args(["-fsSL", "--retry", "3", "-o"])
        .arg(archive)
        .arg(url))
}

fn unpack(archive: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in entries.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with("libduckdb.so") {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes)?;
            return Ok(bytes);
        }
    }
    bail!("the package holds no libduckdb.so")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Builds the worker, which is a program of its own.
pub(crate) fn build_worker() -> anyhow::Result<()> {
    step(
        "build the DuckDB worker",
        "the second engine is a process of its own",
        || {
            run(Command::new(env!("CARGO"))
                .args(["build", "--package", "atalaya-duckdb-worker"])
                .env("DUCKDB_LIB_DIR", tools().join("duckdb")))
        },
    )?;
    Ok(())
}
