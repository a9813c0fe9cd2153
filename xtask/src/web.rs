//! The web client: compiled, bound, shrunk, named by content, compressed, ready to be embedded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

use crate::{
    duckdb::hex,
    step::{has, output, root, run, step, tools},
    wasm,
};

/// Where the bundle goes; the server's build script embeds what is there.
pub(crate) fn dist() -> PathBuf {
    root().join("dashboard/web/dist")
}

/// Builds the bundle, unless nothing it is made from has changed.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let toolchain = wasm::toolchain()?;
    let target = root().join("target/web");
    let wasm_file = target.join("wasm32-unknown-unknown/wasm/atalaya-web.wasm");
    step("compile the web client", "Leptos to WebAssembly", || {
        run(wasm::cargo(toolchain)
            .args([
                "build",
                "--profile",
                "wasm",
                "--target",
                "wasm32-unknown-unknown",
                "--package",
                "atalaya-web",
                "--target-dir",
            ])
            .arg(&target)
            .args(wasm::arguments(toolchain)))
    })?;
    let sources = [
        fs::read(&wasm_file).with_context(|| wasm_file.display().to_string())?,
        style()?.into_bytes(),
        snippet_of_inputs().into_bytes(),
    ]
    .concat();
    let stamp = dist().join("stamp");
    let fingerprint = hex(&sources);
    if fs::read_to_string(&stamp).is_ok_and(|known| known == fingerprint) {
        return Ok(dist());
    }
    step(
        "bind and pack the web client",
        "small files under names that change with their content, compressed once and not per request",
        || {
            let work = root().join("target/web/bound");
            let mut bindgen = Bindgen::new();
            bindgen
                .input_path(&wasm_file)
                .out_name("atalaya")
                .web(true)?
                .remove_name_section(true)
                .remove_producers_section(true);
            bindgen.generate(&work)?;
            let mut wasm = work.join("atalaya_bg.wasm");
            if let Some(smaller) = shrink(&wasm)? {
                wasm = smaller;
            }
            let _ = fs::remove_dir_all(dist());
            fs::create_dir_all(dist())?;
            let wasm_name = publish("atalaya", "wasm", &fs::read(&wasm)?)?;
            let script = publish("atalaya", "js", &fs::read(work.join("atalaya.js"))?)?;
            let style_name = publish("atalaya", "css", style()?.as_bytes())?;
            // The policy of the page allows no inline script, so starting is a file of its own.
            let start = format!(
                "import init from './{script}';\ninit({{ module_or_path: new URL('./{wasm_name}', import.meta.url) }});\n"
            );
            let start_name = publish("start", "js", start.as_bytes())?;
            let page = fs::read_to_string(root().join("dashboard/web/index.html"))?
                .replace("{style}", &style_name)
                .replace("{start}", &start_name)
                .replace("{script}", &script)
                .replace("{wasm}", &wasm_name);
            compress("index.html", page.as_bytes())?;
            fs::write(&stamp, &fingerprint)?;
            let size = fs::metadata(dist().join(format!("{wasm_name}.br")))?.len();
            println!("  WebAssembly: {} KB as brotli", size / 1000);
            Ok(dist())
        },
    )
}

fn style() -> anyhow::Result<String> {
    Ok(fs::read_to_string(root().join("dashboard/web/style.css"))?)
}

/// The page is an input too, and so is this file's own way of packing.
fn snippet_of_inputs() -> String {
    fs::read_to_string(root().join("dashboard/web/index.html")).unwrap_or_default() + include_str!("web.rs")
}

fn publish(stem: &str, ending: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let name = format!("{stem}-{}.{ending}", &hex(bytes)[..16]);
    compress(&name, bytes)?;
    Ok(name)
}

fn compress(name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write;
    fs::write(dist().join(name), bytes)?;
    let mut packed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut packed, 1 << 16, 11, 22);
    writer.write_all(bytes)?;
    drop(writer);
    fs::write(dist().join(format!("{name}.br")), packed)?;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes)?;
    fs::write(dist().join(format!("{name}.gz")), writer.finish()?)?;
    Ok(())
}

/// Runs wasm-opt where Node is; without it the bundle is larger and works as well.
fn shrink(wasm: &Path) -> anyhow::Result<Option<PathBuf>> {
    let program = tools().join("binaryen/package/bin/wasm-opt");
    if !program.exists() {
        if !has("npm") || !has("node") {
            println!("  Node is not here: the WebAssembly stays larger than it need be");
            return Ok(None);
        }
        let dir = tools().join("binaryen");
        fs::create_dir_all(&dir)?;
        let Ok(name) = output(
            Command::new("npm")
                .current_dir(&dir)
                .args(["pack", "--silent", "binaryen@132.0.0"]),
        ) else {
            println!("  wasm-opt cannot be fetched: the WebAssembly stays larger than it need be");
            return Ok(None);
        };
        let archive = fs::read(dir.join(name.lines().last().unwrap_or_default().trim()))?;
        tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice())).unpack(&dir)?;
    }
    let smaller = wasm.with_file_name("smaller.wasm");
    run(Command::new("node")
        .arg(program)
        .args([
            "-Oz",
            "--enable-bulk-memory",
            "--enable-nontrapping-float-to-int",
            "--enable-sign-ext",
            "--enable-mutable-globals",
        ])
        .args(["--enable-reference-types", "--enable-multivalue"])
        .arg(wasm)
        .arg("-o")
        .arg(&smaller))?;
    Ok(Some(smaller))
}
