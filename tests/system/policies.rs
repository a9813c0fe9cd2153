//! One month under several policies, and what lies between them.

use atalaya_tests::Home;

fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-01T10:00:00Z".to_owned());
    let rates = home.file(
        "rates.csv",
        "rate_on,currency,quote_currency,rate\n2026-02-10,EUR,USD,1.10\n2026-02-28,EUR,USD,1.20\n",
    );
    // At the end of February: soon was cancelled for 10 March; half has 50 % off until June; free has 100 % off for ever;
    // late has been past due for 36 days; week pays 12 a week; still is paused; euro pays 100 EUR since 10 February.
    let states = home.file(
        "states.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,discount_percent,repeating_discount_percent,repeating_discount_ends_at,cancel_at,valid_from\n\
         soon,s1,i1,active,60,USD,month,,,,,2026-01-10T10:00:00Z\n\
         soon,s1,i1,active,60,USD,month,,,,2026-03-10T10:00:00Z,2026-02-10T10:00:00Z\n\
         half,s2,i2,active,40,USD,month,,50,2026-06-01T10:00:00Z,,2026-01-10T10:00:00Z\n\
         free,s3,i3,active,90,USD,month,100,,,,2026-01-10T10:00:00Z\n\
         late,s4,i4,active,30,USD,month,,,,,2026-01-10T10:00:00Z\n\
         late,s4,i4,past_due,30,USD,month,,,,,2026-01-23T10:00:00Z\n\
         week,s5,i5,active,12,USD,week,,,,,2026-01-10T10:00:00Z\n\
         still,s6,i6,active,70,USD,month,,,,,2026-01-10T10:00:00Z\n\
         still,s6,i6,paused,70,USD,month,,,,,2026-02-20T10:00:00Z\n\
         euro,s7,i7,active,100,EUR,month,,,,,2026-02-10T10:00:00Z\n",
    );
    for (path, kind) in [(&rates, "fx_rates"), (&states, "subscriptions")] {
        let said = home.import(path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains(" 0 dead letters"), "{}", said.err);
    }
    home
}

fn compare(home: &Home, second: &str) -> String {
    let words = [
        "compare",
        "--policy",
        "atalaya",
        "--policy",
        second,
        "--month",
        "2026-02",
        "--by-customer",
        "--format",
        "csv",
    ];
    home.ok(&words)
}

#[test]
fn the_gap_between_two_policies_is_told_by_cause_and_customer() {
    let home = home();
    // 60 + 20 + 30 + 12 * 52 / 12 + 120.
    let atalaya = "line,cause,customer,value_minor,currency\natalaya,,,28200,USD\n";
    assert_eq!(
        compare(&home, "stripe"),
        format!(
            "{atalaya}gap,\"cancelled, not yet ended\",soon,-6000,USD\ngap,discounts,half,2000,USD\nstripe,,,24200,USD\n"
        )
    );
    assert_eq!(
        compare(&home, "chartmogul"),
        format!("{atalaya}gap,paused,still,7000,USD\ngap,exchange rates,euro,-1000,USD\nchartmogul,,,34200,USD\n")
    );
    assert_eq!(
        compare(&home, "board"),
        format!("{atalaya}gap,past due,late,-3000,USD\nboard,,,25200,USD\n")
    );
    assert_eq!(
        compare(&home, "profitwell"),
        format!("{atalaya}profitwell,,,28200,USD\n")
    );
    // What starts in the future needs no rate yet, also where items are converted by the rate of their start.
    let later = home.file(
        "later.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\nnext,s8,i8,active,5,EUR,month,2026-05-10\n",
    );
    assert_eq!(home.import(&later, "subscriptions").code, Some(0));
    let events = [
        "metric",
        "mrr_movement_events",
        "--policy",
        "chartmogul",
        "--from",
        "2026-02-01",
        "--to",
        "2026-03-01",
        "--format",
        "csv",
    ];
    assert!(home.ok(&events).contains("2026-02-01,new,11000,USD,closed"));
    // A customer at zero by discount is one for ChartMogul only.
    let customers = |policy: &str| {
        let words = [
            "metric",
            "customers",
            "--policy",
            policy,
            "--from",
            "2026-02-01",
            "--to",
            "2026-03-01",
            "--format",
            "csv",
        ];
        home.ok(&words).lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(customers("atalaya"), "2026-02-01,5,closed");
    assert_eq!(customers("chartmogul"), "2026-02-01,7,closed");
}

#[test]
fn a_home_has_a_policy_of_its_own() {
    let home = home();
    let file = home.path().join("policy.toml");
    let mrr = || {
        home.run(&[
            "metric",
            "mrr",
            "--from",
            "2026-02-01",
            "--to",
            "2026-03-01",
            "--format",
            "csv",
        ])
    };
    let first = mrr();
    std::fs::write(&file, "preset = 'stripe'\nmonths_per_week = '4'\n").unwrap();
    let second = mrr();
    // Stripe's rules, and four weeks a month: 24200 - 400.
    assert_eq!(second.out.lines().last(), Some("2026-02-01,23800,USD,closed"));
    let policy = |said: &str| {
        said.split("policy ")
            .nth(1)
            .unwrap_or_default()
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(policy(&second.err).starts_with("stripe+@"), "{}", second.err);
    assert_ne!(policy(&first.err), policy(&second.err));
    assert!(home.ok(&["policy"]).contains("months_per_week                  [4,1]"));
    for (text, expected) in [
        ("past_due_days = 'soon'", "past_due_days"),
        ("half_life = 3", "unknown field `half_life`"),
        ("fx_mode = 'constant'", "policy.toml: fx_constant_on"),
    ] {
        std::fs::write(&file, text).unwrap();
        let said = mrr();
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
        assert!(
            said.err.contains(expected) && said.err.contains("policy.toml"),
            "{}",
            said.err
        );
    }
}

#[test]
fn a_churn_has_the_reason_its_records_tell() {
    let mut home = Home::new();
    home.now = Some("2026-04-01T10:00:00Z".to_owned());
    let item = |id: &str, rows: &[(&str, &str, &str, &str)]| -> String {
        rows.iter()
            .map(|(status, from, reason, more)| {
                format!("{id},s_{id},i_{id},{status},10,USD,month,{from},{reason},{more}\n")
            })
            .collect()
    };
    let active = ("active", "2026-01-10T10:00:00Z", "", ",");
    let states = [
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from,cancel_reason,collection,cancel_at\n".to_owned(),
        item("asked", &[active, ("canceled", "2026-03-05", "", ",")]),
        item("moved", &[active, ("canceled", "2026-03-05", "migration", ",")]),
        item("failed", &[active, ("past_due", "2026-03-05", "", ","), ("canceled", "2026-03-08", "", ",")]),
        item("told", &[active, ("past_due", "2026-03-05", "", ","), ("canceled", "2026-03-08", "voluntary", ",")]),
        item("unpaid", &[active, ("unpaid", "2026-03-05", "", ",")]),
        item("paused", &[active, ("paused", "2026-03-05", "", ",")]),
        item("ended", &[active, ("past_due", "2026-03-05", "", ",2026-03-20")]),
        item("owing", &[active, ("past_due", "2026-03-05", "", ",")]),
        item("asleep", &[active, ("active", "2026-03-05", "", "paused,")]),
    ]
    .concat();
    let path = home.file("states.csv", states);
    let said = home.import(&path, "subscriptions");
    assert!(
        said.err.contains("20 subscriptions landed, 0 dead letters"),
        "{}",
        said.err
    );
    let reasons = |home: &Home| {
        let sql = "SELECT customer_id, reason FROM customer_movement_events WHERE movement = 'churn' ORDER BY 1";
        home.ok(&["sql", sql, "--format", "csv"]).replace('\n', " ")
    };
    let always = "customer_id,reason asked,voluntary ended,delinquent failed,delinquent moved,migration ";
    assert_eq!(
        reasons(&home),
        format!("{always}paused,pause told,voluntary unpaid,delinquent ")
    );
    // Where late payers and paused collection do not count, they are churn, for that reason.
    std::fs::write(
        home.path().join("policy.toml"),
        "past_due_counts = false\ncollection_paused_counts = false\n",
    )
    .unwrap();
    assert_eq!(
        reasons(&home),
        "customer_id,reason asked,voluntary asleep,pause ended,delinquent failed,delinquent moved,migration owing,delinquent paused,pause told,delinquent unpaid,delinquent "
    );
    let said = home.run(&["sql", "SELECT * FROM logo_churn_rate_30d"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("logo_churn_rate_30d is computed by day only"),
        "{}",
        said.err
    );
}
