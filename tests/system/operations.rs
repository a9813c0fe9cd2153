//! What sales, support and releases are measured by: their records, counted by hand.

use atalaya_tests::Home;

fn figures(home: &Home, metric: &str, columns: usize) -> Vec<String> {
    let csv = home.ok(&[
        "metric",
        metric,
        "--grain",
        "month",
        "--from",
        "2026-02-01",
        "--format",
        "csv",
    ]);
    let rows = csv.lines().skip(1);
    rows.map(|row| row.split(',').take(columns).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn leads_deals_tickets_and_deployments_are_counted_by_their_newest_state() {
    let mut home = Home::new();
    home.now = Some("2026-04-01T10:00:00Z".to_owned());
    for (name, text) in [
        (
            "leads",
            "lead_id,created_at,stage\na,2026-02-10,lead\nb,2026-03-10,lead\nc,2026-03-31T21:59:59Z,lead\nd,2026-03-31T22:00:01Z,lead\n",
        ),
        (
            "opportunities",
            "opportunity_id,status,amount,currency,created_at,closed_at,record_version\n\
             w,open,10,EUR,2026-01-01,,1\n\
             w,won,10,EUR,2026-01-01,2026-03-05,2\n\
             l,lost,10,EUR,2026-01-01,2026-03-06,1\n\
             x,lost,10,EUR,2026-01-01,2026-03-07,1\n\
             o,open,,,2026-01-01,,1\n",
        ),
        (
            "tickets",
            "ticket_id,created_at,first_reply_at,first_reply_due_at\n\
             in_time,2026-03-02T10:00:00Z,2026-03-02T11:00:00Z,2026-03-02T11:00:00Z\n\
             late,2026-03-02T10:00:00Z,2026-03-02T11:00:01Z,2026-03-02T11:00:00Z\n\
             never,2026-03-02T10:00:00Z,,2026-03-02T11:00:00Z\n\
             no_promise,2026-03-02T10:00:00Z,,\n",
        ),
        (
            "deployments",
            "deployment_id,environment,status,started_at\n1,production,passed,2026-03-02\n2,production,failed,2026-03-02\n3,staging,passed,2026-03-02\n",
        ),
    ] {
        let path = home.file(&format!("{name}.csv"), text);
        let said = home.import(&path, name);
        assert_eq!(said.code, Some(0), "{}", said.err);
    }
    assert_eq!(
        figures(&home, "leads_generated", 2),
        ["2026-02-01 1", "2026-03-01 2", "2026-04-01 1"]
    );
    assert_eq!(
        figures(&home, "deployment_frequency", 2),
        ["2026-02-01 0", "2026-03-01 1", "2026-04-01 0"]
    );
    for metric in ["win_rate", "sla_attainment_rate"] {
        let rows = figures(&home, metric, 3);
        assert_eq!(rows, ["2026-02-01  ", "2026-03-01 1 3", "2026-04-01  "], "{metric}");
    }
    home.ok(&["verify"]);

    // An amount without its currency is no amount.
    let path = home.file("bad.csv", "opportunity_id,amount_minor,created_at\nq,10,2026-03-01\n");
    let said = home.import(&path, "opportunities");
    assert!(said.err.contains("1 dead letter"), "{}", said.err);
    let letters = home.ok(&["dead-letters", "--format", "csv"]);
    assert!(
        letters.contains("currency,is missing where an amount is given"),
        "{letters}"
    );
}
