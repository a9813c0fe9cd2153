//! Embeds every rule, so that the command needs no files beside it.
#![allow(clippy::expect_used, reason = "what a build script cannot do must stop the build")]

use std::{fmt::Write as _, path::Path};

fn main() {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("CARGO_MANIFEST_DIR")).join("rules");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut found: Vec<_> = std::fs::read_dir(&root)
        .expect("alerts/rules")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    found.sort();
    let mut code = String::from("const EMBEDDED: &[(&str, &str)] = &[\n");
    for path in found {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let full = path.canonicalize().expect("a path").display().to_string();
        writeln!(code, "    (\"alerts/rules/{name}\", include_str!({full:?})),").expect("write");
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("OUT_DIR");
    std::fs::write(Path::new(&out).join("embedded_rules.rs"), code).expect("write embedded_rules.rs");
}
