//! How long customers stay, over a home whose lifetimes are known.

use std::fmt::Write as _;

use atalaya_tests::Home;

/// 60 customers of 100 a month: twenty leave after exactly 30, 90 and 300 days each, but four of the last are not there so
/// long yet. Who comes back has left; an end that lies ahead is none yet.
fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-01-01T10:00:00Z".to_owned());
    let header = "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from,cancel_at\n";
    let mut states = header.to_owned();
    let mut customers = "customer_id,channel,created_at\n".to_owned();
    for customer in 0..60 {
        // Days until the end, and the day on which it began.
        let (days, began) = match customer {
            0..20 => (30, "2024-01-10"),
            20..40 => (90, "2024-01-10"),
            40..56 => (300, "2024-01-10"),
            _ => (300, "2025-06-15"),
        };
        let began: chrono::NaiveDate = began.parse().unwrap();
        let end = began + chrono::Days::new(days);
        let _ = writeln!(
            states,
            "c{customer:02},s,i{customer},active,100,USD,month,{began},{end}"
        );
        let channel = if customer < 5 { "search" } else { "friends" };
        let _ = writeln!(customers, "c{customer:02},{channel},2024-01-01");
    }
    // c00 returns: its first life stays what it was.
    states += "c00,s,j0,active,100,USD,month,2025-01-01,\n";
    for (path, kind) in [
        (home.file("states.csv", states), "subscriptions"),
        (home.file("customers.csv", customers), "customers"),
        (
            home.file(
                "orders.csv",
                "customer_id,amount,currency,ordered_at\nc00,1000,USD,2025-12-05\n",
            ),
            "orders",
        ),
        (
            home.file(
                "costs.csv",
                "spent_on,category,amount,currency\n2025-12-05,hosting,250,USD\n",
            ),
            "expenses",
        ),
    ] {
        let said = home.import(&path, kind);
        assert!(said.err.contains(" 0 dead letters"), "{}", said.err);
    }
    home
}

#[test]
fn the_area_under_the_curve_and_what_it_is_worth() {
    let home = home();
    let lines = |words: &[&str]| -> Vec<Vec<String>> {
        let said = home.run(words);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        said.out
            .lines()
            .skip(1)
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect()
    };
    let found = lines(&["lifetimes", "--horizon", "9", "--format", "csv"]);
    // 30 days all, 60 days two thirds, then a third until 9 months of 30.4375 days: (30 + 40 + 183.9375 / 3) / 30.4375.
    assert_eq!(found[0][1..4], ["60", "56", "4.31"]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!(number(&found[0][4]) < 4.31 && number(&found[0][5]) > 4.31, "{found:?}");
    // Only c00 pays in December (100), of whose sales three quarters are left.
    assert_eq!(found[0][11], "32356");
    assert_eq!(found[0][14], "USD");
    // Two years: all watched so long have left, so the curve ends at nothing and the area is whole.
    let long = lines(&["lifetimes", "--horizon", "24", "--format", "csv"]);
    assert_eq!(long[0][3], "4.60", "(30 + 40 + 210 / 3) / 30.4375");
    let split = lines(&["lifetimes", "--horizon", "9", "--by", "channel", "--format", "csv"]);
    assert_eq!(split[0][..3], ["friends", "55", "51"]);
    assert_eq!(split[1][..3], ["search", "5", "5"]);
    assert!(split[1].join(",").contains("too few to tell"), "{split:?}");

    // The second engine has the same lives.
    let sum = "SELECT COUNT(*) AS lives, SUM(has_ended) AS ended, CAST(SUM(lifetime_days) AS BIGINT) AS days FROM customer_lifetimes";
    let answer = home.ok(&["sql", sum, "--format", "csv"]);
    // 20 * 30 + 20 * 90 + 16 * 300, and four of 201 UTC days so far (Madrid's 15 June begins on the 14th).
    assert!(answer.contains("60,56,8004"), "{answer}");
}

#[test]
fn what_cannot_be_told_is_said() {
    let home = home();
    let said = home.run(&["lifetimes", "--by", "plan"]);
    assert_ne!(said.code, Some(0));
    assert!(said.err.contains("country, market or channel"), "{}", said.err);
    let said = home.run(&["lifetimes", "--horizon", "0"]);
    assert_ne!(said.code, Some(0));
    let mut empty = Home::new();
    empty.now = Some("2026-01-01T10:00:00Z".to_owned());
    let orders = empty.file(
        "orders.csv",
        "customer_id,amount,currency,ordered_at\na,1,USD,2025-12-05\n",
    );
    assert_eq!(empty.import(&orders, "orders").code, Some(0));
    let said = empty.run(&["lifetimes"]);
    assert!(said.err.contains("nobody has ever paid"), "{}", said.err);
}
