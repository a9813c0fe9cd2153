//! A rule replayed over what was known then, not over what is known now.

use atalaya_tests::Home;

const ORDERS: &str = "record_key,record_version,customer_id,product,amount_minor,currency,ordered_at\n";

#[test]
fn a_backtest_says_what_was_known_on_each_day_and_sends_nothing() {
    let mut home = Home::new();
    // Each morning the orders of the day before: 1,000 a day, from the 12th on half of it.
    for day in 1..=20 {
        home.now = Some(format!("2026-03-{:02}T06:00:00Z", day + 1));
        let amount = if day < 12 { 100_000 } else { 50_000 };
        let row = format!("o{day},0,cus_{day},course,{amount},USD,2026-03-{day:02}T12:00:00Z\n");
        home.import(&home.file(&format!("{day}.csv"), format!("{ORDERS}{row}")), "orders");
    }
    // A week later it turns out that nothing had been lost.
    home.now = Some("2026-03-28T06:00:00Z".to_owned());
    let mut rows = ORDERS.to_owned();
    for day in 12..=20 {
        rows += &format!("o{day},1,cus_{day},course,100000,USD,2026-03-{day:02}T12:00:00Z\n");
    }
    for day in 21..=27 {
        rows += &format!("o{day},0,cus_{day},course,100000,USD,2026-03-{day:02}T12:00:00Z\n");
    }
    home.import(&home.file("late.csv", rows), "orders");
    home.now = Some("2026-03-29T10:00:00Z".to_owned());
    let replay = |rule: &str, from: &str| {
        let said = home.run(&["alerts", "backtest", rule, "--from", from, "--format", "csv"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        (said.out, said.err)
    };
    let (told, said) = replay("revenue_drop", "2026-03-01");
    let rows: Vec<&str> = told.lines().skip(1).collect();
    // Two whole weeks are there on the 15th at nine, local time: three of seven days are half. Better is known on the 28th.
    assert_eq!(rows.len(), 1, "{told}");
    assert!(
        rows[0].starts_with("2026-03-15T08:00:00+00:00,2026-03-28T08:00:00+00:00,breach,Revenue drop: −21.43%"),
        "{told}"
    );
    assert!(
        said.contains("28 looks, 1 incidents, each a page, 0 of them at night"),
        "{said}"
    );
    // Known today, nothing ever fell; and what a signal sees has no hindsight.
    let hindsight = home.run(&[
        "alerts",
        "backtest",
        "revenue_drop",
        "--from",
        "2026-03-01",
        "--hindsight",
    ]);
    assert!(hindsight.err.contains("28 looks, 0 incidents"), "{}", hindsight.err);
    let refused = home.run(&["alerts", "backtest", "cpu_high", "--from", "2026-03-01", "--hindsight"]);
    assert!(
        refused.code == Some(2) && refused.err.contains("looks at its moment"),
        "{}",
        refused.err
    );
    // Nothing was sent, and nothing stands differently for it.
    assert!(
        home.run(&["alerts", "status"])
            .err
            .contains("revenue_drop: not evaluated yet")
    );
    for (words, fault) in [
        (["incident_unacknowledged", "1 d"], "no history"),
        (["no_such_rule", "1 d"], "there is no rule"),
        (["revenue_drop", "0 s"], "no time between looks"),
        (["revenue_drop", "1 s"], "ask for fewer days"),
    ] {
        let said = home.run(&[
            "alerts",
            "backtest",
            words[0],
            "--from",
            "2026-03-01",
            "--every",
            words[1],
        ]);
        assert!(said.code == Some(2) && said.err.contains(fault), "{}", said.err);
    }
}
