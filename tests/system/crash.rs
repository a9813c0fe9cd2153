//! Killed anywhere, run again: every row exactly once.

use std::process::{Child, Stdio};

use atalaya_tests::{Home, soak};
use rand::{Rng, SeedableRng, rngs::StdRng};

fn large_file(home: &Home, rows: usize) -> std::path::PathBuf {
    let mut content = "customer_id,amount,currency,ordered_at\n".to_owned();
    for row in 0..rows {
        let fault = if row % 1000 == 999 { "never" } else { "2026-01-31" };
        content += &format!("cus_{},{}.{:02},EUR,{fault}\n", row % 977, row % 500, row % 100);
    }
    home.file("large.csv", content)
}

fn counts(home: &Home) -> (String, usize) {
    let sql = "SELECT count(*) AS n, count(DISTINCT record_key) AS keys FROM orders_known";
    let raw = home
        .ok(&["sql", sql, "--format", "csv"])
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned();
    (raw, home.ok(&["dead-letters", "--format", "csv"]).lines().count() - 1)
}

#[test]
fn killed_at_random_moments() {
    let kills = if soak() { 1000 } else { 50 };
    let rows = 30_000;
    let mut rng = StdRng::seed_from_u64(11);
    let home = Home::new();
    let path = large_file(&home, rows);
    let start = |home: &Home| {
        home.command(&["import", &path.to_string_lossy(), "--as", "orders"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // Waiting for the machine and not for a clock: turns of a loop, as many as a whole import takes here and now.
    let whole = turns(&mut start(&Home::new()), u32::MAX).max(2);
    let mut interrupted = 0;
    for kill in 0..kills {
        let home = Home::new();
        let mut child = start(&home);
        let turns = turns(&mut child, rng.random_range(0..whole));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        interrupted += usize::from(ended.code().is_none());
        assert_eq!(
            home.import(&path, "orders").code,
            Some(0),
            "kill {kill} after {turns} turns"
        );
        assert_eq!(
            counts(&home),
            (format!("{},{}", rows - rows / 1000, rows - rows / 1000), rows / 1000),
            "kill {kill}"
        );
    }
    assert!(
        interrupted > kills / 4,
        "only {interrupted} of {kills} imports were interrupted"
    );
}

/// Takes up to so many turns while the child runs; how many were taken.
fn turns(child: &mut Child, most: u32) -> u32 {
    let mut taken = 0;
    while taken < most && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
        let _ = std::fs::read("/proc/self/stat");
        taken += 1;
    }
    taken
}

#[test]
fn killed_at_every_edge_between_durable_steps() {
    for point in [
        "after_data_file",
        "between_commits",
        "before_log_entry:1",
        "before_log_entry:2",
        "after_log_entry:1",
        "after_log_entry:2",
    ] {
        let home = Home::new();
        let path = large_file(&home, 3_000);
        let killed = home
            .command(&["import", &path.to_string_lossy(), "--as", "orders"])
            .env("ATALAYA_FAIL_AT", point)
            .output()
            .unwrap();
        assert_eq!(killed.status.code(), None, "{point} was not passed");
        assert_eq!(home.import(&path, "orders").code, Some(0), "{point}");
        assert_eq!(counts(&home), ("2997,2997".to_owned(), 3), "{point}");
    }
}
