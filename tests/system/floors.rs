//! No crate may depend on one of its own floor or above: the house stands because of it.

use std::{collections::BTreeMap, process::Command};

const FLOORS: [(&str, u8); 16] = [
    ("atalaya-model", 0),
    ("atalaya-charts", 1),
    ("atalaya-store", 1),
    ("atalaya-catalog", 1),
    ("atalaya-demo", 1),
    ("atalaya-witness", 1),
    ("atalaya-engine", 2),
    ("atalaya-movements", 2),
    ("atalaya-ingest", 2),
    ("atalaya-alerts", 2),
    ("atalaya-web", 2),
    ("atalaya-duckdb-worker", 2),
    ("atalaya-metrics", 3),
    ("atalaya-sql", 4),
    ("atalaya-server", 5),
    ("atalaya", 6),
];

/// What a crate may use of the floors below, where the house says less than "all".
const MAY_USE: [(&str, &[&str]); 9] = [
    ("atalaya-engine", &["atalaya-model", "atalaya-store"]),
    ("atalaya-movements", &["atalaya-model", "atalaya-store"]),
    ("atalaya-ingest", &["atalaya-model", "atalaya-store"]),
    (
        "atalaya-alerts",
        &["atalaya-model", "atalaya-catalog", "atalaya-charts"],
    ),
    ("atalaya-web", &["atalaya-model", "atalaya-charts"]),
    ("atalaya-duckdb-worker", &["atalaya-model"]),
    (
        "atalaya-metrics",
        &[
            "atalaya-model",
            "atalaya-catalog",
            "atalaya-engine",
            "atalaya-movements",
            "atalaya-store",
            "atalaya-witness",
        ],
    ),
    ("atalaya-demo", &["atalaya-model"]),
    ("atalaya-witness", &["atalaya-model"]),
];

/// Crates that must build without DataFusion, directly or through another of ours.
const WITHOUT_DATAFUSION: [&str; 7] = [
    "atalaya-model",
    "atalaya-charts",
    "atalaya-store",
    "atalaya-catalog",
    "atalaya-ingest",
    "atalaya-alerts",
    "atalaya-web",
];

#[test]
fn every_edge_goes_down() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let mut seen = 0;
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        // Test and build tools stand beside the house.
        let Some(floor) = floors.get(name) else {
            assert!(
                ["xtask", "atalaya-tests", "atalaya-power-loss"].contains(&name),
                "{name} has no floor"
            );
            continue;
        };
        seen += 1;
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            if let Some(below) = floors.get(used) {
                assert!(below < floor, "{name} (floor {floor}) uses {used} (floor {below})");
                if let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) {
                    assert!(allowed.contains(&used), "{name} may not use {used}");
                }
            }
            assert!(
                used != "datafusion" || !WITHOUT_DATAFUSION.contains(&name),
                "{name} must build without DataFusion"
            );
        }
    }
    assert_eq!(seen, FLOORS.len());
}
