//! The golden company: one customer for each edge case, computed by hand (`tests/golden/README.md`).

use std::collections::{BTreeMap, BTreeSet};

use atalaya_tests::Home;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
const MONTHS: [&str; 6] = ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"];

fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-07-10T12:00:00Z".to_owned());
    for (file, kind) in [
        ("rates", "fx_rates"),
        ("tiers", "price_tiers"),
        ("states", "subscriptions"),
    ] {
        let said = home.import(format!("{GOLDEN}/{file}.csv").as_ref(), kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains(" 0 dead letters"), "{}", said.err);
    }
    home
}

/// What a customer's month is said to be: MRR, class, events, exchange rates, all in text to the cent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Month {
    mrr: String,
    movement: String,
    events: String,
    fx: String,
}

fn csv(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

/// Millionths of a cent as dollars: rounded half to even, from the exact amount.
fn dollars(micros: &str) -> String {
    let micros: i64 = micros.parse().unwrap();
    let (cents, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let up = rest > 500_000 || (rest == 500_000 && cents % 2 != 0);
    let cents = cents + i64::from(up);
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

fn signed(micros: &str) -> String {
    let text = dollars(micros);
    if text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

/// What Atalaya finds, by customer and month.
fn found(home: &Home) -> BTreeMap<(String, String), Month> {
    let ask = |sql: &str| csv(&home.ok(&["sql", sql, "--format", "csv"]));
    let mut found: BTreeMap<(String, String), Month> = BTreeMap::new();
    let movements = "SELECT strftime(period_start, '%Y-%m') AS month, customer_id, end_micros, fx_micros, starts + closes AS ends, movement FROM customer_movements";
    for row in ask(movements) {
        let month = found
            .entry((row["customer_id"].clone(), row["month"].clone()))
            .or_default();
        month.mrr = dollars(&row["end_micros"]);
        month.movement = if row["ends"] == "0" {
            String::new()
        } else {
            row["movement"].clone()
        };
        if row["fx_micros"] != "0" {
            month.fx = signed(&row["fx_micros"]);
        }
    }
    let events = "SELECT strftime(period_start, '%Y-%m') AS month, customer_id, group_index, any_value(movement) AS movement, any_value(reason) AS reason, \
                  CAST(sum(change_micros) AS BIGINT) AS change_micros FROM customer_movement_events \
                  WHERE movement <> 'unchanged' GROUP BY ALL ORDER BY period_start, customer_id, group_index";
    for row in ask(&events.replace("GROUP BY ALL", "GROUP BY period_start, customer_id, group_index")) {
        let month = found
            .entry((row["customer_id"].clone(), row["month"].clone()))
            .or_default();
        if !month.events.is_empty() {
            month.events.push(';');
        }
        month.events += format!(
            "{} {} {}",
            row["movement"],
            signed(&row["change_micros"]),
            row["reason"]
        )
        .trim_end();
    }
    found
}

#[test]
fn the_golden_company_is_as_computed_by_hand() {
    let home = home();
    let found = found(&home);
    let lines = csv(&std::fs::read_to_string(format!("{GOLDEN}/expected.csv")).unwrap());
    let mut customers: BTreeMap<&String, BTreeMap<&str, &BTreeMap<String, String>>> = BTreeMap::new();
    for line in &lines {
        let twice = customers
            .entry(&line["customer"])
            .or_default()
            .insert(line["month"].as_str(), line);
        assert!(twice.is_none(), "{line:?} stands twice");
    }
    assert!(customers.len() >= 60);
    let known: BTreeSet<&String> = found.keys().map(|(customer, _)| customer).collect();
    let stray: Vec<_> = known
        .iter()
        .filter(|customer| !customers.contains_key(**customer))
        .collect();
    assert!(stray.is_empty(), "not in the table: {stray:?}");

    let mut wrong = Vec::new();
    for (customer, listed) in &customers {
        let mut mrr = "0.00".to_owned();
        for month in MONTHS {
            let expected = match listed.get(month) {
                Some(line) => Month {
                    mrr: line["mrr"].clone(),
                    movement: line["movement"].clone(),
                    events: line["events"].clone(),
                    fx: line["fx"].clone(),
                },
                None => Month {
                    mrr: mrr.clone(),
                    movement: if mrr == "0.00" {
                        String::new()
                    } else {
                        "unchanged".to_owned()
                    },
                    ..Month::default()
                },
            };
            mrr.clone_from(&expected.mrr);
            let is = found
                .get(&((*customer).clone(), month.to_owned()))
                .cloned()
                .unwrap_or_else(|| Month {
                    mrr: "0.00".to_owned(),
                    ..Month::default()
                });
            let is = Month {
                mrr: if is.mrr.is_empty() {
                    "0.00".to_owned()
                } else {
                    is.mrr.clone()
                },
                ..is
            };
            if is != expected {
                let why = listed
                    .get(month)
                    .map_or("as the month before", |line| line["why"].as_str());
                wrong.push(format!("{customer} {month}: {is:?} is not {expected:?} ({why})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// `tests/golden/rules.csv` says of every rule of the revenue engine which customers and tests prove it: they exist, and
/// every metric that is named is asked for by one of the tests that are named, or stands on the golden company.
#[test]
fn every_rule_names_its_proof() {
    let read = |name: &str| std::fs::read_to_string(format!("{GOLDEN}/{name}.csv")).unwrap();
    let (expected, rules) = (csv(&read("expected")), csv(&read("rules")));
    let customers: BTreeSet<&str> = expected.iter().map(|row| row["customer"].as_str()).collect();
    let sources: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/system"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let catalog = atalaya_catalog::Catalog::embedded().unwrap();
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for rule in &rules {
        let words = |column: &str| -> Vec<String> { rule[column].split_whitespace().map(str::to_owned).collect() };
        let (named, tests, metrics) = (words("customers"), words("tests"), words("metrics"));
        let mut fault = |what: String| faults.push(format!("{}: {what}", rule["rule"]));
        if named.is_empty() && tests.is_empty() {
            fault("nothing proves it".to_owned());
        }
        for name in &named {
            if !customers.contains(name.as_str()) {
                fault(format!("{name} is no golden customer"));
            }
        }
        let mut proofs = String::new();
        for name in &tests {
            let place = sources.iter().find(|source| source.contains(&format!("fn {name}()")));
            match place {
                Some(source) => proofs += source,
                None => fault(format!("{name} is no test")),
            }
        }
        for metric in &metrics {
            if !catalog.metrics().any(|spec| spec.id == *metric) {
                fault(format!("{metric} is no metric"));
            }
            if named.is_empty() && !proofs.contains(&format!("\"{metric}\"")) {
                fault(format!("{metric} is asked for by none of the tests"));
            }
        }
        used.extend(named);
    }
    let unused: Vec<&&str> = customers.iter().filter(|name| !used.contains(**name)).collect();
    assert_eq!((faults, unused), (Vec::<String>::new(), Vec::new()));
}
