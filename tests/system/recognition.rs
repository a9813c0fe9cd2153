//! Revenue recognised day by day, computed by hand.

use atalaya_tests::Home;

fn home() -> Home {
    let mut home = Home::new();
    home.now = Some("2026-04-11T08:00:00Z".to_owned());
    let rates = home.file(
        "rates.csv",
        "rate_on,currency,quote_currency,rate\n2026-01-15,EUR,USD,1.20\n2026-02-28,EUR,USD,2.00\n",
    );
    // year: 365 for the 365 days from 1 January: 1 a day. half: 90 for the 90 days from 1 January, 45 of them credited on
    // 15 February (45 days served: half of the credit is contra, half takes back what was deferred).
    // late: 60 for February and March (59 days), billed on 10 March. once: no days, earned when issued.
    // euro: 31 EUR for the 31 days from 15 January at 1.20, whatever rates do later. swap: an upgrade in mid-month.
    let lines = home.file(
        "lines.csv",
        "customer_id,invoice_id,line_id,line_type,amount,currency,issued_at,service_from_on,service_to_on\n\
         year,i1,1,charge,365,USD,2026-01-01T09:00:00Z,2026-01-01,2027-01-01\n\
         half,i2,1,charge,90,USD,2026-01-01T09:00:00Z,2026-01-01,2026-04-01\n\
         half,i2,2,credit_note,-45,USD,2026-02-15T09:00:00Z,2026-01-01,2026-04-01\n\
         late,i3,1,charge,59,USD,2026-03-10T09:00:00Z,2026-02-01,2026-04-01\n\
         once,i4,1,charge,7,USD,2026-02-02T09:00:00Z,,\n\
         euro,i5,1,charge,31,EUR,2026-01-15T09:00:00Z,2026-01-15,2026-02-15\n\
         swap,i6,1,charge,30,USD,2026-04-01T09:00:00Z,2026-04-01,2026-05-01\n\
         swap,i7,1,charge,-20,USD,2026-04-11T07:00:00Z,2026-04-11,2026-05-01\n\
         swap,i7,2,charge,40,USD,2026-04-11T07:00:00Z,2026-04-11,2026-05-01\n",
    );
    let payments = home.file(
        "payments.csv",
        "customer_id,payment_id,payment_type,amount,currency,paid_at\nyear,p1,payment,365,USD,2026-01-02T09:00:00Z\nhalf,p2,payment,90,USD,2026-01-31T22:59:00Z\nhalf,p3,refund,-45,USD,2026-02-16T09:00:00Z\n",
    );
    for (path, kind) in [(&rates, "fx_rates"), (&lines, "invoice_lines"), (&payments, "payments")] {
        let said = home.import(path, kind);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains(" 0 dead letters"), "{}", said.err);
    }
    home
}

#[test]
fn recognised_deferred_and_contra_are_what_was_invoiced() {
    let home = home();
    let minor = |metric: &str| -> Vec<i64> {
        let words = [
            "metric",
            metric,
            "--from",
            "2026-01-01",
            "--to",
            "2026-05-01",
            "--format",
            "csv",
        ];
        let said = home.run(&words);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        said.out
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
            .collect()
    };
    let (invoiced, recognised, contra, deferred) = (
        minor("invoiced"),
        minor("recognised_revenue"),
        minor("contra_revenue"),
        minor("deferred_revenue"),
    );
    // January: 365 + 90 + 31 EUR. February: -45 + 7. March: 59. April: 30 - 20 + 40.
    assert_eq!(invoiced, [36_500 + 9_000 + 3_720, -3_800, 5_900, 5_000]);
    // January: 31 + 31 + 17 EUR. February: 28 + 28 - 14 * 0.50 + 14 EUR + 7. March: 31 + 31 - 31 * 0.50 + all 59 of late, 28 of which were served
    // before it was billed. April, ten days over: 10 + 10 of the old plan; nothing yet of the change made today.
    assert_eq!(
        recognised,
        [
            3_100 + 3_100 + 2_040,
            2_800 + 2_800 - 700 + 1_680 + 700,
            3_100 + 3_100 - 1_550 + 5_900,
            1_000 + 1_000
        ]
    );
    // Of the credit, 45 of 90 days were served: half of it takes back what was earned, half what would have been.
    assert_eq!(contra, [0, -2_250, 0, 0]);
    let mut left = 0;
    for month in 0..4 {
        left += invoiced[month] - recognised[month] - contra[month];
        assert_eq!(deferred[month], left, "month {month}");
    }
    assert_eq!(deferred[3], (365 - 100) * 100 + 2_000 - 2_000 + 4_000);
    // The second payment came a minute before February began in Madrid.
    assert_eq!(minor("collected"), [45_500, -4_500, 0, 0]);
}

#[test]
fn lines_that_contradict_themselves_are_dead_letters() {
    let home = home();
    let lines = home.file(
        "odd.csv",
        "customer_id,invoice_id,line_id,line_type,amount,currency,issued_at,service_from_on,service_to_on\n\
         a,j1,1,charge,10,USD,2026-01-01,2026-02-01,2026-02-01\n\
         a,j2,1,charge,10,USD,2026-01-01,2026-02-01,\n\
         a,j3,1,credit_note,10,USD,2026-01-01,,\n\
         *,j4,1,charge,10,USD,2026-01-01,,\n",
    );
    let said = home.import(&lines, "invoice_lines");
    assert!(
        said.err.contains("0 invoice_lines landed, 4 dead letters"),
        "{}",
        said.err
    );
    let dead = home.ok(&["dead-letters", "--format", "csv"]);
    for expected in [
        "service_to_on,is not after service_from_on",
        "service_to_on,is missing where service_from_on is given",
        "amount_minor,\"is above zero, and what is taken back is negative\"",
        "customer_id,\"\"\"*\"\" is no customer",
    ] {
        assert!(dead.contains(expected), "{expected} is missing in\n{dead}");
    }
}
