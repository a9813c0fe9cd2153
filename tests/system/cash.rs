//! From MRR to money in the bank: the bridge, burn, runway and recognition by months, computed by hand.

use atalaya_tests::Home;

/// `steady` pays 100 a month since December 2025 and is invoiced on the first for the month. `yearly` is invoiced 1,095
/// on 10 January for the 365 days from then (3 a day, MRR 91.25) and has not paid. In February something else is sold for 30.
fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-11T08:00:00Z".to_owned());
    for (kind, text) in [
        (
            "subscriptions",
            "customer_id,subscription_id,item_id,status,unit_price,currency,interval,valid_from\n\
             steady,s1,i1,active,100,USD,month,2025-12-01\n\
             yearly,s2,i2,active,1095,USD,year,2026-01-10\n",
        ),
        (
            "invoice_lines",
            "customer_id,invoice_id,line_id,subscription_id,amount,currency,issued_at,service_from_on,service_to_on\n\
             steady,i0,1,s1,100,USD,2025-12-01T09:00:00Z,2025-12-01,2026-01-01\n\
             steady,i1,1,s1,100,USD,2026-01-01T09:00:00Z,2026-01-01,2026-02-01\n\
             steady,i2,1,s1,100,USD,2026-02-01T09:00:00Z,2026-02-01,2026-03-01\n\
             steady,i2,2,,30,USD,2026-02-03T09:00:00Z,,\n\
             steady,i3,1,s1,100,USD,2026-03-01T09:00:00Z,2026-03-01,2026-04-01\n\
             steady,i4,1,s1,100,USD,2026-04-01T09:00:00Z,2026-04-01,2026-05-01\n\
             yearly,i5,1,s2,1095,USD,2026-01-10T09:00:00Z,2026-01-10,2027-01-10\n",
        ),
        (
            "payments",
            "customer_id,payment_id,amount,currency,paid_at\n\
             steady,p1,100,USD,2026-01-02\nsteady,p2,130,USD,2026-02-05\nsteady,p3,60,USD,2026-03-05\n",
        ),
        (
            "expenses",
            "spent_on,category,amount,currency\n2025-12-05,agency,50,USD\n2026-01-05,hosting,200,USD\n2026-02-05,hosting,250,USD\n\
             2026-03-05,hosting,300,USD\n",
        ),
        (
            "fx_rates",
            "rate_on,currency,quote_currency,rate\n2026-03-31,EUR,USD,1.10\n2026-04-10,EUR,USD,1.20\n",
        ),
        // The newest balance of each account; the drawer is empty since February, and what is not an amount is no balance.
        (
            "reported_values",
            "value_name,reported_on,part,amount,currency,number,words\n\
             cash_balance,2026-03-30,bank,9999,USD,,\n\
             cash_balance,2026-03-31,bank,5000,USD,,\n\
             cash_balance,2026-03-20,wallet,1000,EUR,,\n\
             cash_balance,2026-02-20,drawer,77,USD,,\n\
             cash_balance,2026-02-27,drawer,0,USD,,\n\
             cash_balance,2026-03-31,vault,,,500,\n\
             technology_leadership_rank,2026-03-31,all,,,3,\n\
             legal_audit_results,2026-03-31,all,,,,passed with remarks\n",
        ),
    ] {
        let path = home.file(&format!("{kind}.csv"), text);
        let said = home.import(&path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains(" 0 dead letters"), "{}", said.err);
    }
    home
}

/// Lines of a metric from January to April, without header and status.
fn lines(home: &Home, metric: &str, grain: &str) -> Vec<String> {
    let words = [
        "metric",
        metric,
        "--grain",
        grain,
        "--from",
        "2026-01-01",
        "--to",
        "2026-05-01",
        "--format",
        "csv",
    ];
    let said = home.run(&words);
    assert_eq!(said.code, Some(0), "{metric}: {}{}", said.out, said.err);
    let bare = |line: &str| line.rsplit_once(',').map_or(line, |(bare, _)| bare).to_owned();
    said.out.lines().skip(1).map(bare).collect()
}

#[test]
fn the_bridge_leads_from_mrr_to_what_was_collected() {
    let home = home();
    let found = lines(&home, "revenue_bridge", "month");
    let january = [
        // Half of 100 and 191.25 is 145.625; recognised are 100 and 22 days at 3, 20.375 more: the odd cent goes to the first.
        "2026-01-01,1_mrr,14563,USD",
        "2026-01-01,2_not_subscriptions,0,USD",
        "2026-01-01,3_unexplained,2037,USD",
        "2026-01-01,4_contra,0,USD",
        // 1,195 were invoiced, 100 collected.
        "2026-01-01,5_deferred,102900,USD",
        "2026-01-01,6_receivables,-109500,USD",
    ];
    let february = [
        "2026-02-01,1_mrr,19125,USD",
        "2026-02-01,2_not_subscriptions,3000,USD",
        "2026-02-01,3_unexplained,-725,USD",
        "2026-02-01,4_contra,0,USD",
        "2026-02-01,5_deferred,-8400,USD",
        "2026-02-01,6_receivables,0,USD",
    ];
    assert_eq!(found[..6], january);
    assert_eq!(found[6..12], february);
    let shown = home.ok(&["metric", "revenue_bridge", "--from", "2026-01-01", "--to", "2026-05-01"]);
    assert!(!shown.contains("failed"), "{shown}");
}

#[test]
fn burn_and_runway() {
    let home = home();
    let flow = [
        "2026-01-01,-10000,USD",
        "2026-02-01,-12000,USD",
        "2026-03-01,-24000,USD",
    ];
    assert_eq!(lines(&home, "operating_cash_flow", "month")[..3], flow);
    assert_eq!(lines(&home, "burn_rate", "month")[2], "2026-03-01,24000,USD");
    // 5,000 and 1,000 EUR at 1.10 for 460 burnt in three months; in April the euros are worth 1.20 and the same three months count.
    let runway = lines(&home, "runway", "month");
    let of = |month: &str| {
        runway
            .iter()
            .find(|line| line.starts_with(month))
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(of("2026-03"), "2026-03-01,610000000000,15333333333");
    assert_eq!(of("2026-04"), "2026-04-01,620000000000,15333333333");
    // At the end of February the drawer is known, and empty; of January nothing is.
    assert!(!of("2026-01").contains("000000"), "{runway:?}");
    let many = home.file(
        "more.csv",
        "customer_id,payment_id,amount,currency,paid_at\nsteady,p9,500,USD,2026-03-09\n",
    );
    assert_eq!(home.import(&many, "payments").code, Some(0));
    let said = home.ok(&["metric", "runway", "--from", "2026-03-01", "--to", "2026-04-01"]);
    assert!(said.contains("no value: no cash balance of every account"), "{said}");
}

#[test]
fn the_magic_number_of_recognised_revenue() {
    // Four times what subscriptions earned more: 300 and 81 days at 3 in the quarter, 100 in the one before; 50 was spent then.
    let found = lines(&home(), "magic_number_gaap", "quarter");
    assert_eq!(found[0], "2026-01-01,44300000000,1250000000");
}

#[test]
fn recognition_by_even_months() {
    let home = home();
    let daily = lines(&home, "recognised_revenue", "month");
    assert_eq!(daily[..2], ["2026-01-01,16600,USD", "2026-02-01,21400,USD"]);
    std::fs::write(home.path().join("policy.toml"), "recognition = 'monthly'\n").unwrap();
    // The year from 10 January touches thirteen months: 84.23 each. Of April ten of thirty days are over.
    let monthly = lines(&home, "recognised_revenue", "month");
    assert_eq!(
        monthly,
        [
            "2026-01-01,18423,USD",
            "2026-02-01,21423,USD",
            "2026-03-01,18423,USD",
            "2026-04-01,6141,USD"
        ]
    );
    // Days of a month add up to it: 22 days of service in January.
    let words = [
        "metric",
        "recognised_revenue",
        "--grain",
        "day",
        "--from",
        "2026-01-01",
        "--to",
        "2026-02-01",
        "--format",
        "csv",
    ];
    let days = home.ok(&words);
    let minor = |line: &str| line.split(',').nth(1).unwrap().parse::<i64>().unwrap();
    let days: Vec<i64> = days.lines().skip(1).map(minor).collect();
    assert_eq!(
        (days[8], days[9]),
        (323, 705),
        "100 / 31, and 84.23 / 22 from the tenth on"
    );
    assert!((days.iter().sum::<i64>() - 18_423).abs() <= 16, "{days:?}");
    // What is credited takes back its own schedule: 400 for four touched months, credited on the second day, leaves nothing.
    let deferred = lines(&home, "deferred_revenue", "month");
    let credit = home.file(
        "credit.csv",
        "customer_id,invoice_id,line_id,subscription_id,line_type,amount,currency,issued_at,service_from_on,service_to_on\n\
         back,i9,1,s9,charge,400,USD,2026-01-31T09:00:00Z,2026-01-31,2026-04-30\n\
         back,i9,2,s9,credit_note,-400,USD,2026-02-01T09:00:00Z,2026-01-31,2026-04-30\n",
    );
    assert_eq!(home.import(&credit, "invoice_lines").code, Some(0));
    let with_credit = lines(&home, "deferred_revenue", "month");
    assert_eq!(
        with_credit[1..],
        deferred[1..],
        "from February on, as if it had never been"
    );
    assert!(lines(&home, "contra_revenue", "month").contains(&"2026-02-01,-10000,USD".to_owned()));
    let shown = home.ok(&[
        "metric",
        "deferred_revenue",
        "--from",
        "2026-01-01",
        "--to",
        "2026-05-01",
    ]);
    assert!(!shown.contains("failed"), "{shown}");
    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{}{}", verified.out, verified.err);
}
