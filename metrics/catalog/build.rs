//! Embeds every definition, so that the command needs no files beside it.
#![allow(clippy::expect_used, reason = "what a build script cannot do must stop the build")]

use std::{fmt::Write as _, path::Path};

fn collect(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    println!("cargo:rerun-if-changed={}", dir.display());
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .expect("metrics/definitions")
        .map(|entry| entry.expect("entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "sql") {
            found.push(path);
        }
    }
}

fn main() {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("CARGO_MANIFEST_DIR")).join("../definitions");
    let mut found = Vec::new();
    collect(&root, &mut found);
    let mut code = String::from("pub(crate) const EMBEDDED: &[(&str, &str)] = &[\n");
    for path in found {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let full = path.canonicalize().expect("a path");
        writeln!(code, "    ({name:?}, include_str!({:?})),", full.display().to_string()).expect("write");
    }
    code.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("OUT_DIR");
    std::fs::write(Path::new(&out).join("embedded.rs"), code).expect("write embedded.rs");
}
