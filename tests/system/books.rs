//! Closed months: what was said stands, what is learned later is told as a restatement.

use atalaya_tests::Home;

fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-02T12:00:00Z".to_owned());
    let rates = home.file(
        "rates.csv",
        "rate_on,currency,quote_currency,rate\n2026-01-31,EUR,USD,1.10\n2026-02-28,EUR,USD,1.10\n2026-03-31,EUR,USD,1.20\n",
    );
    let states = home.file(
        "states.csv",
        "record_key,record_version,customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\n\
         r1,0,ana,s1,i1,active,100,EUR,month,2026-01-10T10:00:00Z\n\
         r2,0,bea,s2,i2,active,300,USD,month,2026-02-01T10:00:00Z\n\
         r3,0,cruz,s3,i3,active,50,USD,month,2026-02-01T10:00:00Z\n",
    );
    for (path, kind) in [(&rates, "fx_rates"), (&states, "subscriptions")] {
        let said = home.import(path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    // Three rates are enough for a test.
    std::fs::write(home.path().join("policy.toml"), "fx_max_age_days = 60\n").unwrap();
    home
}

fn metric(home: &Home, name: &str, more: &[&str]) -> String {
    let words = [
        "metric",
        name,
        "--from",
        "2026-03-01",
        "--to",
        "2026-05-01",
        "--format",
        "csv",
    ];
    home.ok(&[&words[..], more].concat())
}

#[test]
fn what_is_learned_of_a_closed_month_is_a_restatement_of_the_open_one() {
    let mut home = home();
    home.ok(&["close", "2026-02"]);
    home.ok(&["close", "2026-03"]);
    // Learned in April: bea had left in March, cruz always paid 60, and the rate of March was another.
    home.now = Some("2026-04-20T12:00:00Z".to_owned());
    let late = home.file(
        "late.csv",
        "record_key,record_version,customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\n\
         r4,0,bea,s2,i2,canceled,300,USD,month,2026-03-25T10:00:00Z\n\
         r3,1,cruz,s3,i3,active,60,USD,month,2026-02-01T10:00:00Z\n\
         r5,0,ana,s1,i1,active,110,EUR,month,2026-04-10T10:00:00Z\n",
    );
    let rates = home.file(
        "more.csv",
        "rate_on,currency,quote_currency,rate,record_version\n2026-03-31,EUR,USD,1.25,1\n2026-04-19,EUR,USD,1.25,0\n",
    );
    for (path, kind) in [(&late, "subscriptions"), (&rates, "fx_rates")] {
        assert_eq!(home.import(path, kind).code, Some(0));
    }

    // March stands at 120 + 300 + 50. April: 137.50 + 60.
    assert_eq!(
        metric(&home, "mrr", &[]),
        "period,value_minor,currency,status\n2026-03-01,47000,USD,closed\n2026-04-01,19750,USD,open\n"
    );
    // Restated: -300 for bea, +10 for cruz, +5 for the rate. Moved in April: ana's 10 EUR.
    let april = "2026-04-01,expansion,1250,USD,open\n2026-04-01,restatement,-28500,USD,open\n";
    assert_eq!(
        metric(&home, "mrr_movements", &[]),
        format!("period,movement,value_minor,currency,status\n2026-03-01,fx,1000,USD,closed\n{april}")
    );
    // Events are told as they are known; what the books of March do not have is taken back there.
    assert_eq!(
        metric(&home, "mrr_movement_events", &[]),
        format!(
            "period,movement,value_minor,currency,status\n2026-03-01,churn,-30000,USD,closed\n2026-03-01,fx,1500,USD,closed\n2026-03-01,restatement,29500,USD,closed\n{april}"
        )
    );
    assert_eq!(
        home.ok(&["restatements", "--month", "2026-03", "--by-customer", "--format", "csv"]),
        "month,line,cause,customer,value_minor,currency\n\
         2026-03,then,,,47000,USD\n\
         2026-03,restated,late records,bea,-30000,USD\n\
         2026-03,restated,corrected records,cruz,1000,USD\n\
         2026-03,restated,exchange rates,ana,500,USD\n\
         2026-03,now,,,18500,USD\n"
    );
    assert_eq!(
        home.ok(&["report", "mrr_rollforward", "--month", "2026-04"]),
        "month,line,value_minor,currency\n2026-04-01,opening,47000,USD\n2026-04-01,expansion,1250,USD\n2026-04-01,restatement,-28500,USD\n2026-04-01,closing,19750,USD\n"
    );
    // Books are kept under the home's own policy; before the close there were none.
    assert_eq!(
        metric(&home, "mrr", &["--policy", "stripe"]).lines().nth(1),
        Some("2026-03-01,18500,USD,closed")
    );
    assert_eq!(
        metric(&home, "mrr", &["--as-of", "2026-04-02T11:00:00Z"])
            .lines()
            .next(),
        Some("period,value_minor,currency,status")
    );
    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
}

#[test]
fn a_restatement_stays_one_when_its_month_is_closed_too() {
    let mut home = home();
    home.ok(&["close", "2026-02"]);
    // Learned in April, before March is closed: dan has paid 500 since January, and bea was never there.
    home.now = Some("2026-04-05T12:00:00Z".to_owned());
    let late = home.file(
        "late.csv",
        "record_key,record_version,operation,customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\n\
         r9,0,upsert,dan,s9,i9,active,500,USD,month,2026-01-10T10:00:00Z\n\
         r2,1,delete,bea,s2,i2,active,300,USD,month,2026-02-01T10:00:00Z\n",
    );
    assert_eq!(home.import(&late, "subscriptions").code, Some(0));
    let movements = |home: &Home| {
        let words = [
            "metric",
            "mrr_movements",
            "--from",
            "2026-03-01",
            "--to",
            "2026-04-01",
            "--format",
            "csv",
        ];
        home.ok(&words)
    };
    let open = movements(&home);
    assert_eq!(
        open,
        "period,movement,value_minor,currency,status\n2026-03-01,fx,1000,USD,closed\n2026-03-01,restatement,20000,USD,closed\n"
    );
    home.ok(&["close", "2026-03"]);
    assert_eq!(movements(&home), open);
    let rates = [
        "metric",
        "net_revenue_retention",
        "--from",
        "2026-03-01",
        "--to",
        "2026-04-01",
        "--format",
        "csv",
    ];
    // ana, cruz and dan paid 110 + 50 + 500 in February, as is known now, and pay 120 + 50 + 500.
    assert_eq!(
        home.ok(&rates).lines().last(),
        Some("2026-03-01,67000000000,66000000000,closed")
    );
}

#[test]
fn a_figure_is_explained_down_to_the_file_its_records_came_in() {
    let home = home();
    let told = home.ok(&[
        "explain",
        "mrr_movements",
        "--period",
        "2026-02",
        "--customer",
        "bea",
        "--format",
        "csv",
    ]);
    let at = |text: &str| {
        told.find(text)
            .unwrap_or_else(|| panic!("{text} is missing in:\n{told}"))
    };
    // From the figure to the movement, the event, the item, the record, the file: in this order.
    let order = [
        at("2026-02-01,new,35000,USD,closed"),
        at("bea,0,1,0,30000000000,30000000000,0,0,0,new"),
        at("customer_movement_events (1 rows)"),
        at("subscription_item_mrr (1 rows)"),
        at("raw_subscriptions (1 rows)"),
        at("2026-04-02T12:00:00Z"),
        at("states.csv"),
    ];
    let (records, file) = (order[4], order[6]);
    assert!(order[0] < order[1] && order[1] < order[2] && order[2] < order[3] && order[3] < records && records < file);

    let json = home.ok(&["explain", "mrr", "--period", "2026-03", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["exhibits"][1]["name"], "mrr_at");
    assert_eq!(json["exhibits"][1]["of_rows"], 3);
    for (words, expected) in [
        (["explain", "mrr", "--period", "March"], "is not a period"),
        (
            ["explain", "nothing", "--period", "2026-03"],
            "there is no metric \"nothing\"",
        ),
        (["explain", "mrr", "--period", "2027-01"], "2027-01 has not begun"),
    ] {
        let said = home.run(&words);
        assert_eq!(said.code, Some(2), "{words:?}");
        assert!(said.err.contains(expected), "{}", said.err);
    }
    let stranger = home.run(&["explain", "mrr", "--period", "2026-03", "--customer", "nobody"]);
    assert_eq!((stranger.code, stranger.out.as_str()), (Some(2), ""));
}

#[test]
fn a_month_is_closed_once_when_it_is_over_and_by_closing_only() {
    let home = home();
    for (words, expected) in [
        (vec!["close", "2026-04"], "2026-04 has not ended"),
        (vec!["close", "soon"], "is not a month"),
        (vec!["restatements", "--month", "2026-03"], "2026-03 is not closed"),
        (
            vec!["import", "books.csv", "--as", "month_closes"],
            "month_closes are written by `atalaya close`",
        ),
    ] {
        let said = home.run(&words);
        assert_eq!(said.code, Some(2), "{words:?}");
        assert!(said.err.contains(expected), "{}", said.err);
    }
    home.ok(&["close", "2026-03"]);
    let again = home.run(&["close", "2026-03"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("2026-03 was closed at 2026-04-02"), "{}", again.err);
}
