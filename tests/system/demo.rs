//! The demo company: proven, repeatable, and damage to it is noticed.

use std::path::PathBuf;

use atalaya_tests::{Home, soak};

const UNTIL: &str = "2026-11-01T08:00:00Z";

fn demo() -> Home {
    let mut home = Home::new();
    home.now = Some(UNTIL.to_owned());
    let customers = if soak() { "5000" } else { "600" };
    home.ok(&["demo", "--generate-only", "--seed", "3", "--customers", customers]);
    home
}

fn a_data_file(home: &Home, table: &str) -> PathBuf {
    let mut found = Vec::new();
    for partition in std::fs::read_dir(home.path().join("tables").join(table)).unwrap() {
        let partition = partition.unwrap().path();
        if partition.is_dir() && !partition.ends_with("_delta_log") {
            found.extend(std::fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found.remove(0)
}

#[test]
fn two_engines_agree_and_differences_are_named() {
    let home = demo();
    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    assert!(
        verified.out.contains("0 byte faults")
            && verified.out.contains(" 0 differences")
            && verified.out.contains("\n8 identities, 0 rows break them\n"),
        "{}",
        verified.out
    );

    // A deliberately wrong function in one engine, and wrong rates in the movement operator.
    let wrong = home
        .command(&["verify"])
        .env("ATALAYA_TEST_WRONG_FUNCTION", "muldiv operator")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&wrong.stdout);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said.lines()
            .any(|line| line.starts_with("mrr month 2026-09-01: DataFusion has value_micros ")),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line.starts_with("mrr_movements month 2026-09-01 movement=new: DataFusion has ")),
        "{said}"
    );
    assert!(
        said.lines()
            .any(|line| line.starts_with("burn_multiple month 2026-09-01: ")),
        "{said}"
    );
    // The figure is red from then on, until a verification passes again.
    let red = home.run(&["metric", "mrr"]);
    assert_eq!(red.code, Some(1));
    assert!(red.err.contains("proof failed"), "{}", red.err);
    assert_eq!(home.run(&["verify"]).code, Some(0));
    assert_eq!(home.run(&["metric", "mrr"]).code, Some(0));

    // One flipped byte: the file and what it feeds are named.
    let file = a_data_file(&home, "subscriptions");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = home.run(&["verify"]);
    assert_eq!(damaged.code, Some(1));
    assert!(
        damaged
            .out
            .contains(&file.file_name().unwrap().to_string_lossy().into_owned()),
        "{}",
        damaged.out
    );
    let feeds = damaged
        .out
        .lines()
        .find(|line| line.trim_start().starts_with("feeds "))
        .unwrap();
    assert!(
        feeds.contains("mrr,") && feeds.contains("cohort_retention") && !feeds.contains(" revenue,"),
        "{feeds}"
    );
}

#[test]
fn the_same_seed_is_the_same_company() {
    let (first, second) = (demo(), demo());
    for home in [&first, &second] {
        home.ok(&["demo", "--generate-only"]);
    }
    for metric in ["mrr", "revenue", "mrr_movements"] {
        assert_eq!(
            first.ok(&["metric", metric, "--format", "csv"]),
            second.ok(&["metric", metric, "--format", "csv"]),
            "{metric}"
        );
    }
    // History lives: the source knew less of September at its end than it knows now.
    let september = |more: &[&str]| {
        first.ok(&[
            &[
                "metric",
                "mrr",
                "--from",
                "2026-09-01",
                "--to",
                "2026-10-01",
                "--format",
                "csv",
                "--known-by",
                "source",
            ][..],
            more,
        ]
        .concat())
    };
    assert_ne!(september(&["--as-of", "2026-09-30"]), september(&[]));
}

#[test]
fn movements_add_up_and_dimensions_add_up() {
    let home = demo();
    let rows = |words: &[&str]| -> Vec<Vec<String>> {
        home.ok(&[words, &["--from", "2025-06-01", "--format", "csv"]].concat())
            .lines()
            .skip(1)
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect()
    };
    let mrr = rows(&["metric", "mrr"]);
    let moved = rows(&["metric", "mrr_movements"]);
    for pair in mrr.windows(2) {
        let total: i64 = moved
            .iter()
            .filter(|row| row[0] == pair[1][0])
            .map(|row| row[2].parse::<i64>().unwrap())
            .sum();
        assert_eq!(
            pair[0][1].parse::<i64>().unwrap() + total,
            pair[1][1].parse::<i64>().unwrap(),
            "{}",
            pair[1][0]
        );
    }
    for dimension in ["product", "country", "channel"] {
        let parts = rows(&["metric", "mrr", "--by", dimension]);
        for month in &mrr {
            let total: i64 = parts
                .iter()
                .filter(|row| row[0] == month[0])
                .map(|row| row[2].parse::<i64>().unwrap())
                .sum();
            assert_eq!(total.to_string(), month[1], "{dimension} {}", month[0]);
        }
    }
}
