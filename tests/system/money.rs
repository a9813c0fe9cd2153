//! A small company computed by hand, through the command as a person would use it.

use atalaya_tests::Home;

fn company() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-15T12:00:00Z".to_owned());
    let rates = home.file(
        "rates.csv",
        "rate_on,currency,quote_currency,rate\n2025-12-31,EUR,USD,1.10\n2026-01-30,EUR,USD,1.20\n2026-02-27,EUR,USD,1.20\n2026-03-31,EUR,USD,1.00\n2026-04-14,EUR,USD,1.00\n",
    );
    // ana: 100 EUR a month from January, 20 % off in February; leaves in March.
    // bea: 1,200 USD a year from February: 100 a month; three seats from March.
    // cruz: a trial until 10 March, then 50 USD a month; past due in April counts.
    let states = home.file(
        "states.csv",
        "customer_id,subscription_id,item_id,status,quantity,unit_price,currency,interval,discount_percent,trial_ends_at,valid_from\n\
         ana,s1,i1,active,1,100,EUR,month,0,,2026-01-10T10:00:00Z\n\
         ana,s1,i1,active,1,100,EUR,month,20,,2026-02-05T10:00:00Z\n\
         ana,s1,i1,canceled,1,100,EUR,month,20,,2026-03-05T10:00:00Z\n\
         bea,s2,i2,active,1,1200,USD,year,0,,2026-02-01T10:00:00Z\n\
         bea,s2,i2,active,3,1200,USD,year,0,,2026-03-20T10:00:00Z\n\
         cruz,s3,i3,trialing,1,50,USD,month,0,2026-03-10T00:00:00Z,2026-02-24T10:00:00Z\n\
         cruz,s3,i3,active,1,50,USD,month,0,,2026-03-10T00:00:00Z\n\
         cruz,s3,i3,past_due,1,50,USD,month,0,,2026-04-10T00:00:00Z\n",
    );
    for (path, kind) in [(&rates, "fx_rates"), (&states, "subscriptions")] {
        let said = home.import(path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains("0 dead letters"), "{}", said.err);
    }
    // A few rates are enough for a test.
    std::fs::write(home.path().join("policy.toml"), "fx_max_age_days = 60\n").unwrap();
    home
}

#[test]
fn a_hand_computed_company() {
    let home = company();
    let range = ["--from", "2026-01-01", "--to", "2026-04-16", "--format", "csv"];
    let metric = |name: &str| home.ok(&[&["metric", name][..], &range].concat());
    // January: 100 EUR at the rate of the last day before February, 1.20. February: 80 EUR at 1.20 plus 100 USD.
    // March: 300 + 50 USD. April, so far: the same, past due counts.
    assert_eq!(
        metric("mrr"),
        "period,value_minor,currency,status\n2026-01-01,12000,USD,closed\n2026-02-01,19600,USD,closed\n2026-03-01,35000,USD,closed\n2026-04-01,35000,USD,open\n"
    );
    // March: ana had 80 EUR = 96 USD; at the end's rate 80 USD, so 16 are exchange and 80 are churn; nothing is left.
    assert_eq!(
        metric("mrr_movements"),
        "period,movement,value_minor,currency,status\n\
         2026-01-01,new,12000,USD,closed\n\
         2026-02-01,contraction,-2400,USD,closed\n\
         2026-02-01,new,10000,USD,closed\n\
         2026-03-01,churn,-8000,USD,closed\n\
         2026-03-01,expansion,20000,USD,closed\n\
         2026-03-01,fx,-1600,USD,closed\n\
         2026-03-01,new,5000,USD,closed\n"
    );
    assert_eq!(
        metric("logo_churn_rate"),
        "period,numerator,denominator,status\n2026-01-01,,,closed\n2026-02-01,0,1,closed\n2026-03-01,1,2,closed\n2026-04-01,0,2,open\n"
    );
    assert_eq!(metric("arr").lines().last(), Some("2026-04-01,420000,USD,open"));
    assert_eq!(metric("customers").lines().last(), Some("2026-04-01,2,open"));
    assert_eq!(metric("arpa").lines().last(), Some("2026-04-01,17500,USD,open"));
    assert_eq!(
        metric("cohort_retention"),
        "period,age,numerator,denominator,status\n2026-01-01,0,1,1,closed\n2026-01-01,1,1,1,closed\n2026-01-01,2,0,1,closed\n2026-02-01,0,1,1,closed\n2026-02-01,1,1,1,closed\n2026-03-01,0,1,1,closed\n"
    );
    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
    assert!(verified.out.contains(" 0 differences"), "{}", verified.out);
    assert!(home.run(&["metric", "mrr"]).err.starts_with("proof checked"));
}

#[test]
fn a_missing_rate_is_an_error_that_names_currency_and_day() {
    let home = company();
    let states = home.file(
        "more.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\ndan,s9,i9,active,10,MXN,month,2026-02-20T10:00:00Z\n",
    );
    home.import(&states, "subscriptions");
    let said = home.run(&["metric", "mrr", "--from", "2026-02-01", "--to", "2026-03-01"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("no exchange rate from MXN to USD for 2026-02-28"),
        "{}",
        said.err
    );
}

#[test]
fn what_was_known_then_is_answered_as_then() {
    let mut home = company();
    home.now = Some("2026-05-20T12:00:00Z".to_owned());
    // Learned in May, recorded by the source in April: bea had left already in March.
    let late = home.file(
        "late.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from,recorded_at\nbea,s2,i2,canceled,1200,USD,year,2026-03-25T10:00:00Z,2026-04-20T10:00:00Z\n",
    );
    home.import(&late, "subscriptions");
    let march = |more: &[&str]| {
        let words = [
            &[
                "metric",
                "mrr",
                "--from",
                "2026-03-01",
                "--to",
                "2026-04-01",
                "--format",
                "csv",
            ][..],
            more,
        ]
        .concat();
        home.ok(&words).lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(march(&[]), "2026-03-01,5000,USD,closed");
    assert_eq!(march(&["--as-of", "2026-05-01"]), "2026-03-01,35000,USD,closed");
    assert_eq!(
        march(&["--as-of", "2026-05-01", "--known-by", "source"]),
        "2026-03-01,5000,USD,closed"
    );
}

#[test]
fn the_report_equals_the_figures_to_the_cent() {
    let home = company();
    let report = home.ok(&["report", "mrr_rollforward", "--month", "2026-03", "--format", "csv"]);
    assert_eq!(
        report,
        "month,line,value_minor,currency\n2026-03-01,opening,19600,USD\n2026-03-01,new,5000,USD\n2026-03-01,expansion,20000,USD\n2026-03-01,churn,-8000,USD\n2026-03-01,fx,-1600,USD\n2026-03-01,closing,35000,USD\n"
    );
    for format in ["xlsx", "parquet"] {
        let path = home.path().with_file_name(format!("report.{format}"));
        home.ok(&[
            "report",
            "mrr_rollforward",
            "--month",
            "2026-03",
            "--format",
            format,
            "--output",
            &path.to_string_lossy(),
        ]);
        assert!(std::fs::metadata(path).unwrap().len() > 500);
    }
    assert_eq!(
        home.ok(&[
            "sql",
            "SELECT value_minor FROM published_mrr ORDER BY period_start DESC LIMIT 1",
            "--format",
            "csv"
        ]),
        "value_minor\n35000\n"
    );
}

#[test]
fn sql_from_outside_can_only_read_tables() {
    let home = company();
    let secret = home.file("secret.csv", "a\n1\n");
    let secret = secret.to_string_lossy();
    for sql in [
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT * FROM '{secret}'"),
        format!("COPY (SELECT 1) TO '{secret}'"),
        format!("ATTACH '{secret}'"),
        "SELECT 1; SELECT 2".to_owned(),
        "SET memory_limit = '1TB'".to_owned(),
        "SELECT * FROM enable_logging('QueryLog')".to_owned(),
        "SELECT current_setting('allowed_paths')".to_owned(),
        "DROP VIEW mrr".to_owned(),
        String::new(),
    ] {
        let said = home.run(&["sql", &sql]);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{sql}: {}", said.err);
    }
    assert_eq!(std::fs::read_to_string(secret.as_ref()).unwrap(), "a\n1\n");
    let slow = home.run(&[
        "sql",
        "SELECT count(*) FROM range(10000000000) a, range(100000) b",
        "--timeout-secs",
        "1",
    ]);
    assert!(slow.code == Some(2) && slow.err.contains("nterrupt"), "{}", slow.err);
}
