//! Embeds the web client if it has been built. Without it the server says how to build it.
#![allow(clippy::expect_used, reason = "what a build script cannot do must stop the build")]

use std::{fmt::Write as _, path::Path};

fn main() {
    let dist = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("CARGO_MANIFEST_DIR")).join("../web/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    println!("cargo:rerun-if-changed={}", dist.join("stamp").display());
    let mut code = String::from("pub(crate) const ASSETS: &[Asset] = &[\n");
    let mut names: Vec<String> = std::fs::read_dir(&dist)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    for name in names
        .iter()
        .filter(|name| !name.ends_with(".br") && !name.ends_with(".gz") && *name != "stamp")
    {
        let path = |ending: &str| format!("{:?}", dist.join(format!("{name}{ending}")).display().to_string());
        writeln!(
            code,
            "    Asset {{ name: {name:?}, plain: include_bytes!({}), brotli: include_bytes!({}), gzip: include_bytes!({}) }},",
            path(""),
            path(".br"),
            path(".gz")
        )
        .expect("write");
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("OUT_DIR");
    std::fs::write(Path::new(&out).join("assets.rs"), code).expect("write assets.rs");
}
