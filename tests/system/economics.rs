//! Retention, the cost of winning customers and what they are worth: a company small enough to compute by hand.

use std::collections::BTreeMap;

use atalaya_tests::Home;

/// Two old customers (100 and 300 a month since 2024), who pay 90 and 360 from March 2026; `gone` (200) leaves in February 2026;
/// in March come `ads` (50, by search, where there is advertising) and `word` (150, by word of mouth); `back` (80) left in 2025 and
/// returns in March. Sales are 1,000 a month; serving costs 200; advertising 300, an agency 100, the sales team 400 a month.
fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-01T10:00:00Z".to_owned());
    let customers = home.file(
        "customers.csv",
        "customer_id,channel,created_at\nads,search,2026-03-01\nword,friends,2026-03-01\n",
    );
    let states = home.file(
        "states.csv",
        "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\n\
         small,s1,i1,active,100,USD,month,2024-06-10\n\
         small,s1,i1,active,90,USD,month,2026-03-10\n\
         large,s2,i2,active,300,USD,month,2024-06-10\n\
         large,s2,i2,active,360,USD,month,2026-03-10\n\
         gone,s3,i3,active,200,USD,month,2024-06-10\n\
         gone,s3,i3,canceled,200,USD,month,2026-02-10\n\
         back,s4,i4,active,80,USD,month,2024-06-10\n\
         back,s4,i4,canceled,80,USD,month,2025-06-10\n\
         back,s4,i4,active,80,USD,month,2026-03-10\n\
         ads,s5,i5,active,50,USD,month,2026-03-10\n\
         word,s6,i6,active,150,USD,month,2026-03-10\n",
    );
    let (mut orders, mut ads, mut costs) = (
        "customer_id,amount,currency,ordered_at\n".to_owned(),
        "spent_on,channel,amount,currency\n".to_owned(),
        "spent_on,category,amount,currency,cost_role\n".to_owned(),
    );
    for month in [
        "2025-04", "2025-05", "2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01",
        "2026-02", "2026-03",
    ] {
        orders += &format!("small,1000,USD,{month}-05\n");
        ads += &format!("{month}-05,search,300,USD\n");
        costs += &format!(
            "{month}-05,hosting,200,USD,\n{month}-05,agency,100,USD,\n{month}-05,anything,400,USD,sales_team\n"
        );
    }
    for (name, text, kind) in [
        ("orders", orders, "orders"),
        ("ads", ads, "ad_spend"),
        ("costs", costs, "expenses"),
    ] {
        let path = home.file(&format!("{name}.csv"), text);
        assert_eq!(home.import(&path, kind).code, Some(0));
    }
    for (path, kind) in [(&customers, "customers"), (&states, "subscriptions")] {
        let said = home.import(path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    home
}

/// The last cells of one period's only line: without period and status.
fn figure(home: &Home, metric: &str, grain: &str, from: &str, to: &str) -> String {
    let words = [
        "metric", metric, "--grain", grain, "--from", from, "--to", to, "--format", "csv",
    ];
    let said = home.run(&words);
    assert_eq!(said.code, Some(0), "{metric}: {}{}", said.out, said.err);
    let line = said.out.lines().nth(1).unwrap_or_default().to_owned();
    let cells: Vec<&str> = line.split(',').collect();
    cells[1..cells.len() - 1].join(",")
}

#[test]
fn figures_of_a_month_by_hand() {
    let home = home();
    let march = |metric: &str| figure(&home, metric, "month", "2026-03-01", "2026-04-01");
    let dollars = |amount: i64| (amount * 100_000_000).to_string();
    let ratio = |above: i64, below: i64| format!("{},{}", dollars(above), dollars(below));
    let expected: BTreeMap<&str, String> = [
        // 90 + 360 + 80 + 50 + 150; who has anything.
        ("mrr", "73000,USD".to_owned()),
        ("customers", "5".to_owned()),
        ("arr", "876000,USD".to_owned()),
        // Nobody has signed for later or given notice.
        ("carr", "876000,USD".to_owned()),
        ("arpa", "14600,USD".to_owned()),
        // Of 100 + 300 at the start, each up to what it paid then: 90 + 300. All of it: 450.
        ("gross_revenue_retention", ratio(390, 400)),
        ("net_revenue_retention", ratio(450, 400)),
        // A year ago paid small, large, gone and back: 680. Now they pay 90, 360, 0 and 80.
        ("gross_revenue_retention_12m", ratio(470, 680)),
        ("net_revenue_retention_12m", ratio(530, 680)),
        // New 200, expansion 60, reactivation 80, against contraction 10.
        ("quick_ratio", ratio(340, 10)),
        ("gross_mrr_churn_rate", ratio(10, 400)),
        ("net_mrr_churn_rate", ratio(10 - 60 - 80, 400)),
        // New customers' MRR by new customer: the one who came back is not new.
        ("asp", "10000,USD".to_owned()),
        // Advertising and agency, 400, for two; advertising alone, 300, for the one from search; with the team, 800.
        ("cac", "20000,USD".to_owned()),
        ("cac_paid", "30000,USD".to_owned()),
        ("cac_fully_loaded", "40000,USD".to_owned()),
        // 1,000 less 200.
        ("gross_margin", ratio(800, 1_000)),
        // 400 spent, 200 * 0.8 a month come back.
        ("cac_payback_months", ratio(400, 160)),
        // ARPA 146, times 0.8, over churn of six months: 1 of 3 + 3 + 3 + 3 + 3 + 2 customers.
        ("ltv", "198560,USD".to_owned()),
        // 1,985.60 for each 200: shown as the value of all that were won over what winning them cost.
        ("ltv_cac", format!("{},{}", 2 * 198_560_000_000_i64, dollars(400))),
        // At age 0: 200 * 0.8 for two.
        ("ltv_by_cohort", "0,8000,USD".to_owned()),
        // 12 * (730 - 400).
        ("net_new_arr", "396000,USD".to_owned()),
        // 1,000 costs, 1,000 sales.
        ("burn_multiple", format!("0,{}", dollars(3_960))),
        // ARR of a year ago 12 * 680: growth 50/680 = 0.073529; no margin.
        ("rule_of_40", "73529,1000000".to_owned()),
    ]
    .into();
    for (metric, expected) in &expected {
        assert_eq!(&march(metric), expected, "{metric}");
    }
}

#[test]
fn customers_are_won_by_what_was_spent_some_months_before() {
    let home = home();
    // Two months before March, nothing else was spent than in any month; twelve months before nothing was.
    for (lag, expected) in [(2, "20000,USD"), (12, "0,USD")] {
        std::fs::write(home.path().join("policy.toml"), format!("cac_lag_months = {lag}\n")).unwrap();
        assert_eq!(
            figure(&home, "cac", "month", "2026-03-01", "2026-04-01"),
            expected,
            "{lag}"
        );
    }
}

#[test]
fn where_there_is_nothing_to_divide_by_there_is_no_value() {
    let home = home();
    // Nobody came in January, nobody lost anything, and ARR did not grow: no value, not 0, 1 or infinity.
    for metric in [
        "cac",
        "cac_paid",
        "asp",
        "quick_ratio",
        "burn_multiple",
        "cac_payback_months",
        "ltv_cac",
    ] {
        let figure = figure(&home, metric, "month", "2026-01-01", "2026-02-01");
        assert_eq!(figure.replace(',', ""), "", "{metric}");
    }
    // What winning the customers of March cost, 400, is not back by its end.
    let payback = figure(&home, "cac_payback_by_cohort", "month", "2026-03-01", "2026-04-01");
    assert_eq!(payback, ",");
    let said = home.ok(&["metric", "quick_ratio", "--from", "2026-01-01", "--to", "2026-02-01"]);
    assert!(said.contains("no value: nothing was lost in this period"), "{said}");
}

#[test]
fn customer_churn_in_its_variants() {
    let home = home();
    // On 20 February: gone left on the 10th. Thirty days before paid small, large and gone.
    let day = |metric: &str| figure(&home, metric, "day", "2026-02-20", "2026-02-21");
    assert_eq!(day("logo_churn_rate_30d"), "1,3");
    assert_eq!(day("logo_churn_rate_stripe"), "1,3");
    assert_eq!(day("logo_churn_rate_daily_sum"), "333333333333,1000000000000");
    // On 31 March: nobody left in 30 days, two are new (and one is back, which is not).
    let day = |metric: &str| figure(&home, metric, "day", "2026-03-31", "2026-04-01");
    assert_eq!(day("logo_churn_rate_30d"), "0,2");
    assert_eq!(day("logo_churn_rate_stripe"), "0,4");
    assert_eq!(
        figure(&home, "logo_churn_rate", "month", "2026-02-01", "2026-03-01"),
        "1,3"
    );
    // The quarter's net new ARR, 12 * (730 - 600), for each unit spent on winning customers in the quarter before: 2,400.
    assert_eq!(
        figure(&home, "magic_number", "quarter", "2026-01-01", "2026-04-01"),
        "156000000000,240000000000"
    );
}

#[test]
fn cohorts_of_customers_and_of_their_revenue() {
    let home = home();
    let lines = |metric: &str| -> Vec<String> {
        let words = [
            "metric",
            metric,
            "--from",
            "2024-06-01",
            "--to",
            "2026-04-01",
            "--format",
            "csv",
        ];
        let said = home.run(&words);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        said.out.lines().map(str::to_owned).collect()
    };
    let has = |lines: &[String], wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    // June 2024: small, large, gone and back. back leaves in June 2025 (age 12), gone in February 2026 (age 20), back returns in
    // March (age 21). March 2026: ads and word.
    let logos = lines("cohort_retention");
    for wanted in [
        "2024-06-01,0,4,4,",
        "2024-06-01,11,4,4,",
        "2024-06-01,12,3,4,",
        "2024-06-01,20,2,4,",
        "2024-06-01,21,3,4,",
        "2026-03-01,0,2,2,",
    ] {
        assert!(has(&logos, wanted), "{wanted}\n{}", logos.join("\n"));
    }
    assert!(!has(&logos, "2024-06-01,22,"), "April is not over: its cell is blank");
    // They came with 680. In March they pay 90, 360 and 80; of that, each up to what it came with, 90, 300 and 80.
    let dollars = |amount: i64| (amount * 100_000_000).to_string();
    let cell = |age: u32, amount: i64| format!("2024-06-01,{age},{},{},", dollars(amount), dollars(680));
    let (net, gross) = (lines("cohort_net_revenue"), lines("cohort_gross_revenue"));
    for (age, of_net, of_gross) in [(0, 680, 680), (12, 600, 600), (20, 400, 400), (21, 530, 470)] {
        assert!(has(&net, &cell(age, of_net)), "{age}\n{}", net.join("\n"));
        assert!(has(&gross, &cell(age, of_gross)), "{age}\n{}", gross.join("\n"));
    }
}
