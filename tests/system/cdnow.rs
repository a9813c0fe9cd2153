//! The real purchases of 2,357 customers, through the mapping that the documentation shows.

use std::collections::{BTreeMap, BTreeSet};

use atalaya_tests::{Home, samples};

/// The file's own sums, computed here without any of our code.
struct Truth {
    cents: BTreeMap<String, i64>,
    orders: BTreeMap<String, i64>,
    cohort_sizes: BTreeMap<String, i64>,
    cohort_cents: BTreeMap<(String, String), i64>,
}

fn truth(text: &str) -> Truth {
    let rows: Vec<(String, String, i64)> = text
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let (dollars, cents) = cells[4].split_once('.').unwrap();
            let month = format!("{}-{}-01", &cells[2][..4], &cells[2][4..6]);
            (
                cells[0].to_owned(),
                month,
                dollars.parse::<i64>().unwrap() * 100 + cents.parse::<i64>().unwrap(),
            )
        })
        .collect();
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (customer, month, _) in &rows {
        let known = first.entry(customer).or_insert(month);
        *known = (*known).min(month);
    }
    let mut truth = Truth {
        cents: BTreeMap::new(),
        orders: BTreeMap::new(),
        cohort_sizes: BTreeMap::new(),
        cohort_cents: BTreeMap::new(),
    };
    for (customer, month, cents) in &rows {
        *truth.cents.entry(month.clone()).or_default() += cents;
        *truth.orders.entry(month.clone()).or_default() += 1;
        *truth
            .cohort_cents
            .entry((first[customer.as_str()].to_owned(), month.clone()))
            .or_default() += cents;
    }
    for month in first.values() {
        *truth.cohort_sizes.entry((*month).to_owned()).or_default() += 1;
    }
    truth
}

fn cells(csv: &str) -> Vec<Vec<String>> {
    csv.lines()
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect()
}

#[test]
fn totals_equal_the_file_s_own_sums_to_the_cent() {
    let Some(samples) = samples() else { return };
    let path = samples.join("cdnow_sample/CDNOW_sample.txt");
    let truth = truth(&std::fs::read_to_string(&path).unwrap());
    let home = Home::new();
    let mapping = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/cdnow.toml");
    let said = home.run(&[
        "import",
        &path.to_string_lossy(),
        "--as",
        "orders",
        "--mapping",
        mapping,
    ]);
    assert!(said.err.contains("6919 orders landed, 0 dead letters"), "{}", said.err);
    let metric = |name: &str| {
        cells(&home.ok(&[
            "metric",
            name,
            "--from",
            "1997-01-01",
            "--to",
            "1998-07-01",
            "--format",
            "csv",
        ]))
    };

    let revenue: BTreeMap<String, i64> = metric("revenue")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    assert_eq!(revenue, truth.cents);
    let orders: BTreeMap<String, i64> = metric("orders")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].parse().unwrap()))
        .collect();
    assert_eq!(orders, truth.orders);
    let buyers = metric("order_cohort_customers");
    let sizes: BTreeMap<String, i64> = buyers
        .iter()
        .filter(|row| row[1] == "0")
        .map(|row| (row[0].clone(), row[2].parse().unwrap()))
        .collect();
    assert_eq!(sizes, truth.cohort_sizes);
    assert_eq!(sizes.values().sum::<i64>(), 2357);
    let months: Vec<&String> = truth.cents.keys().collect();
    let cohorts: BTreeMap<(String, String), i64> = metric("order_cohort_revenue")
        .into_iter()
        .map(|row| {
            let age: usize = row[1].parse().unwrap();
            let start = months.iter().position(|month| **month == row[0]).unwrap();
            ((row[0].clone(), months[start + age].clone()), row[2].parse().unwrap())
        })
        .collect();
    assert_eq!(cohorts, truth.cohort_cents);
    assert_eq!(months.into_iter().collect::<BTreeSet<_>>().len(), 18);

    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    assert!(verified.out.contains(" 0 differences"));
}
